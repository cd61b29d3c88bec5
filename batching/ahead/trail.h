// SPDX-License-Identifier: PostgreSQL
//
// A trail keeps the key-like columns (integers, uuids, short texts) of the last few results that a session
// was given. Keys of coming lookups are predicted from it (ahead.h). Values of one kind are kept in one form,
// so an id that came as text is found by a parameter in binary. Wrong values cost time but cannot give a
// wrong answer.
//
// Results of one row predict nothing and are not kept. Bounded: a trail holds at most TRAIL_MAX_RESULTS
// results and a given number of bytes. Results are in one order, by last use: recorded, followed or read.
// First a result makes room whose statement has given a newer one, and of these one that was gone through.
#ifndef PGFOLD_BATCHING_AHEAD_TRAIL_H
#define PGFOLD_BATCHING_AHEAD_TRAIL_H

#include "batching/ahead/cells.h"

#define TRAIL_MAX_RESULTS 16
#define TRAIL_MAX_TARGETS 16
#define TRAIL_MAX_TEXT    KEY_MAX_RAW // bytes of a text that is kept
#define TRAIL_MAX_ROWS    65536
#define TRAIL_TURNS       32
#define TRAIL_STEP        4  // rows from one that is asked for to the next
#define TRAIL_SMALL       16 // rows of a result that is searched without an index, behind a filter

// Lookups that follow a column of a result, and the rows that they have asked for.
struct trail_target {
    uint64_t who;      // digest of whose lookups they are (place.h); 0: none
    unsigned column;   // index into the result's columns
    uint32_t last_row; // the row that was asked for last
    bool any;          // a row was asked for, so last_row is valid
    // Number of lookups that went on in the row beside the last one. Each that did not leaves a quarter of it.
    uint8_t run;
    uint8_t longest;    // the largest value of `run`
    bool whole;         // no target of this result was forgotten before it
    uint32_t n_asked;   // number of rows
    uint64_t last_use;  // the result's `uses` at that time
    uint32_t last_turn; // the number of their last lookup that was found in it, see trail_turn
    uint64_t *asked;    // a bit for each row; owned
};

struct trail_result {
    struct trail_result *next; // the one before it
    uint64_t serial;           // numbers the results in the order in which they came, from 1
    uint32_t n_rows, max_rows;
    uint32_t n_slots;                // of the columns' indexes
    uint64_t filter[TRAIL_KINDS][2]; // of a small result: a bit for each value's hash, by kind
    struct trail_target targets[TRAIL_MAX_TARGETS];
    uint64_t uses; // counts the uses of its targets
    bool forgets;  // a target made room for another
    uint8_t
        came[2]; // a bit for each of its followers that has come; [1]: of those with its tags (followers.h)
    bool followed;
    bool full;
    uint64_t *given;    // a bit for each row: the client was given it; owned. NULL: it was given all
    uint32_t n_answers; // number of answers that it is made of; 0: one
    size_t bytes;
    struct cells *cells;          // of each column; owned
    struct trail_columns columns; // with room for its own columns alone. NOTHING: values were given up
};

// What is recorded of one reply: its columns, and its first row until there is a second. The elements of its arrays
// are results of their own, one for each column of arrays.
struct trail_recorder {
    bool on;
    struct trail_columns columns;
    unsigned n_rows;
    uint8_t *first; // owned
    size_t first_len;
    struct trail_result *result; // in the trail; from the second row on
    struct trail_result *lists[TRAIL_MAX_ARRAYS];
    uint64_t serial; // of all of them; 0: there is none yet
    uint32_t before; // rows that `result` had when it was opened again; 0: it was not
    bool keeps_one;  // what it has counts also if that is one row
};

struct trail {
    struct trail_result *results; // newest or last used first
    unsigned n_results;
    uint64_t serial; // of the last one
    uint64_t naming; // serial of the list whose row was given just now, and names what is asked for; 0: none
    size_t bytes, max_bytes;
    struct {
        uint64_t who;
        uint32_t n;
    } turns[TRAIL_TURNS];
    struct trail_recorder recorder;
};

// max_bytes: of the results.
void trail_init(struct trail *t, size_t max_bytes);
void trail_clear(struct trail *t); // forgets and frees all

// Forgets the results of this statement that nothing has followed.
void trail_drop_unfollowed(struct trail *t, uint64_t source);

// Adds an empty result with these columns to what is being recorded, in front of all others. NULL: out of memory.
struct trail_result *trail_add(struct trail *t, const struct trail_columns *c);
// Of the answers that the same batch would have had: opens the result to take further rows. NULL: there is none.
struct trail_result *trail_open_again(struct trail *t, const struct trail_columns *c);
// The rows of such a result have come: so many had been there before.
void trail_close_again(struct trail *t, struct trail_result *r, uint32_t before);
// Takes a result out and frees it.
void trail_remove(struct trail *t, struct trail_result *r);
// Tells whether the result is complete: it is not being recorded.
bool trail_is_whole(const struct trail *t, const struct trail_result *r);
// Tells whether anything is being recorded.
bool trail_is_recording(const struct trail *t);
// Adds a row to it: a value for each column. If there is no room it is `full`.
void trail_add_row(struct trail *t, struct trail_result *r, const struct key *keys);
// Counts what the result holds in addition.
void trail_charge(struct trail *t, struct trail_result *r, size_t bytes);

// The value of a cell: KEY_NULL, KEY_PLAIN for an integer or uuid, KEY_RAW (borrowed) for a text or another.
struct key trail_value(const struct trail_result *r, uint32_t row, unsigned column);

// Tells whether two results come from the same statement. A list and answers of lookups may have the same
// columns.
static inline bool trail_is_same_kind(const struct trail_result *a, const struct trail_result *b) {
    return a->columns.source == b->columns.source && a->columns.shape == b->columns.shape;
}

// Tells whether the statement has given a result since.
bool trail_is_older(const struct trail *t, const struct trail_result *r);

// The digest of a column: of its table and attribute, or, when it is computed, of its place in its
// statement's result.
uint64_t trail_origin(const struct trail_result *r, unsigned column);

// What these lookups have asked for of the column. With `add` it is made when it is missing, in place of the
// target that was used longest ago. Borrowed. NULL: nothing, or out of memory.
struct trail_target *trail_target(struct trail_result *r, uint64_t who, unsigned column, bool add);
// Tells whether any lookups follow the column.
bool trail_is_followed(const struct trail_result *r, unsigned column);
static inline bool trail_was_asked(const struct trail_target *t, uint32_t row) {
    return t->asked[row / 64] >> (row % 64) & 1;
}
// These lookups have asked for the row. `turn`: the number of the lookup. `beside`: the loop goes on in it.
void trail_note_asked(struct trail_result *r, struct trail_target *t, uint32_t row, uint32_t turn,
                      bool beside);
// Numbers the lookups of each `who`. With `next` it is the next one. Of many some are forgotten, and begin anew.
uint32_t trail_turn(struct trail *t, uint64_t who, bool next);
// Tells whether the row is beside the one that was asked for last, so that the loop goes on in it.
static inline bool trail_goes_on(const struct trail_target *t, uint32_t row) {
    return t->any && (row == t->last_row + 1 || row + 1 == t->last_row);
}

// A row of the list with this serial, given just now, names what is asked for next. 0: none does.
static inline void trail_note_naming(struct trail *t, uint64_t serial) {
    t->naming = serial;
}
// Nothing of the result with this serial, of this statement, was given to the client. If memory is short, nothing is
// asked for again by it. It is made of so many answers.
void trail_hold_back(struct trail *t, uint64_t serial, uint64_t source, uint32_t n_answers);
// So many rows of it were given, from this one on.
void trail_note_given(struct trail *t, uint64_t serial, uint32_t row, uint32_t n);
static inline bool trail_was_given(const struct trail_result *r, uint32_t row) {
    return !r->given || (r->given[row / 64] >> (row % 64) & 1);
}
// The client was given something of the result with this serial now.
void trail_note_read(struct trail *t, uint64_t serial, uint64_t now);

// The result was of use: something follows it, and it stays longest.
void trail_touch(struct trail *t, struct trail_result *r);

#endif
