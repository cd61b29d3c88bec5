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

#include "batching/statement/key.h"

#define TRAIL_MAX_COLUMNS 10 // eight, and two of other types
#define TRAIL_MAX_RESULTS 16
#define TRAIL_MAX_TARGETS 16
#define TRAIL_MAX_TEXT    64 // bytes of a text that is kept
#define TRAIL_MAX_ROWS    65536

// OTHER: dates, times and numbers, as they came. They are no keys, but may be part of a key beside one.
enum trail_kind { TRAIL_NOTHING, TRAIL_INTEGER, TRAIL_UUID, TRAIL_TEXT, TRAIL_OTHER, TRAIL_KINDS };

// The kind of a type (OID); TRAIL_NOTHING for types that are not kept.
enum trail_kind trail_kind_of(uint32_t type);

struct trail_column {
    uint16_t at; // index in the row
    uint16_t format;
    uint16_t attribute; // 0: computed
    uint32_t table;     // OID; 0: computed
    uint32_t type;      // OID
    enum trail_kind kind;
};

struct trail_columns {
    uint64_t source; // digest of the description: equal for results of the same statement
    uint64_t group;  // id of the group of lookups whose answers they are; 0: none
    uint64_t at;     // microseconds: when the client was given it
    uint64_t loads;  // number of batches that had been loaded ahead when it came
    bool loaded;     // it was loaded ahead
    bool unread;     // the same, and the client was given nothing of it
    unsigned n_row;  // columns of the row, of which n are kept
    unsigned n, n_other;
    struct trail_column columns[TRAIL_MAX_COLUMNS];
};

// Reads the body of a RowDescription. Returns false when nothing in it is worth keeping.
bool trail_columns_read(struct trail_columns *c, const uint8_t *body, size_t len)
    __attribute__((warn_unused_result));
// Sets the formats in which rows come, as in a Bind message: none, one for all, or one for each column.
void trail_columns_format(struct trail_columns *c, unsigned n_formats, const uint8_t *formats);

// Lookups that follow a column of a result, and the rows that they have asked for.
struct trail_target {
    uint64_t who;      // digest of whose lookups they are (place.h); 0: none
    unsigned column;   // index into the result's columns
    uint32_t last_row; // the row that was asked for last
    bool any;          // a row was asked for, so last_row is valid
    // Number of lookups that went on in the row beside the last one. Each that did not leaves a quarter of it.
    uint8_t run;
    uint8_t longest;   // the largest value of `run`
    bool whole;        // no target of this result was forgotten before it
    uint32_t n_asked;  // number of rows
    uint64_t last_use; // the result's `uses` at that time
    uint64_t *asked;   // a bit for each row; owned
};

struct trail_cell {
    uint8_t bytes[16]; // of a text: 32 bits of offset, 32 of length
};

struct trail_result {
    struct trail_result *next; // the one before it
    uint64_t serial;           // numbers the results in the order in which they came, from 1
    struct trail_columns columns;
    uint32_t n_rows, max_rows;
    struct trail_cell *cells; // n_rows times columns.n
    uint16_t *nulls;          // a bit for each column of a row: it is NULL, or was not kept
    struct buf texts;
    int64_t least[TRAIL_MAX_COLUMNS], most[TRAIL_MAX_COLUMNS]; // of the integers among them
    // Each has n_slots slots with row + 1 and bits of the hash. It is made at the first search.
    uint32_t *index[TRAIL_MAX_COLUMNS];
    // Made with the index. By row: the next row with the same value, counted from 1.
    uint32_t *equal[TRAIL_MAX_COLUMNS];
    uint32_t distinct[TRAIL_MAX_COLUMNS]; // number of values; 0: not counted
    uint32_t n_slots;
    uint64_t filter[TRAIL_KINDS][2]; // of a small result: a bit for each value's hash, by kind
    struct trail_target targets[TRAIL_MAX_TARGETS];
    uint64_t uses; // counts the uses of its targets
    bool forgets;  // a target made room for another
    bool followed;
    bool full;
    size_t bytes;
};

// What is recorded of one reply: its columns, and its first row until there is a second.
struct trail_recorder {
    bool on;
    struct trail_columns columns;
    unsigned n_rows;
    struct key first[TRAIL_MAX_COLUMNS];
    uint8_t first_text[TRAIL_MAX_COLUMNS][TRAIL_MAX_TEXT];
    struct trail_result *result; // in the trail; from the second row on
};

struct trail {
    struct trail_result *results; // newest or last used first
    unsigned n_results;
    uint64_t serial; // of the last one
    size_t bytes, max_bytes;
    struct trail_recorder recorder;
};

// max_bytes: of the results.
void trail_init(struct trail *t, size_t max_bytes);
void trail_clear(struct trail *t); // forgets and frees all

// Forgets the results of this statement that nothing has followed.
void trail_drop_unfollowed(struct trail *t, uint64_t source);

// A reply begins whose rows have these columns.
void trail_begin(struct trail *t, const struct trail_columns *c);
// Takes one of its rows: the body of a DataRow.
void trail_row(struct trail *t, const uint8_t *body, size_t len);
// The reply has ended.
void trail_end(struct trail *t);

// Where a value was found.
struct trail_place {
    struct trail_result *result;
    unsigned column; // index into result->columns.columns
    uint32_t row;    // the first one that has it
};

// Finds the next place of the value after *p (all zero: the first), in any result and column of the kind.
// Returns false when there is none.
bool trail_find(struct trail *t, enum trail_kind kind, const struct key *value, struct trail_place *p)
    __attribute__((warn_unused_result));
// Finds the first row with the value in one column. It does not find rows of a result that is still being
// recorded.
bool trail_find_row(struct trail *t, struct trail_result *r, unsigned column, const struct key *value,
                    uint32_t *row) __attribute__((warn_unused_result));
// Finds the next row with the same value in a column that was searched. Returns false when there is none.
bool trail_next_equal(const struct trail_result *r, unsigned column, uint32_t *row)
    __attribute__((warn_unused_result));
// The number of values of a column that was searched.
uint32_t trail_distinct(struct trail_result *r, unsigned column);
// Tells whether the result is complete: it is not being recorded.
bool trail_is_whole(const struct trail *t, const struct trail_result *r);

// The value of a cell: KEY_NULL, KEY_PLAIN for an integer or uuid, KEY_RAW (borrowed) for a text or another.
struct key trail_value(const struct trail_result *r, uint32_t row, unsigned column);

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
// These lookups have asked for the row.
void trail_note_asked(struct trail_result *r, struct trail_target *t, uint32_t row);
// Tells whether the row is beside the one that was asked for last, so that the loop goes on in it.
static inline bool trail_goes_on(const struct trail_target *t, uint32_t row) {
    return t->any && (row == t->last_row + 1 || row + 1 == t->last_row);
}

// The client was given something of the result with this serial now.
void trail_note_read(struct trail *t, uint64_t serial, uint64_t now);

// The result was of use: something follows it, and it stays longest.
void trail_touch(struct trail *t, struct trail_result *r);

#endif
