// SPDX-License-Identifier: PostgreSQL
//
// A place is a row of a list that has a lookup's key, or part of it. This says what speaks for the lookup's
// key to come from there.
//
// Each row of a list answers one lookup. The group's own answers are no lists in this sense: they have what
// was asked for.
#ifndef PGFOLD_BATCHING_AHEAD_PLACE_H
#define PGFOLD_BATCHING_AHEAD_PLACE_H

#include "batching/ahead/association.h"
#include "batching/ahead/values.h"

struct step;

#define PLACE_TURNS 1024 // rows with equal values that are told apart

// A place from which a lookup's key may come.
struct guess {
    struct trail *trail;
    bool known;  // the catalogue says that its column supplies the key, or lookups have shown it
    bool linked; // the catalogue says so
    bool named;  // its list has the row that the client was given just now, which names the key
    bool own;    // it is in an answer of the group's own
    bool unread; // the client was not given it yet, nor any row with its value
    bool cut;    // not all places of the key were looked at, so the lists do not tell how often it was asked
    unsigned fits;     // number of parts whose values the row has; 0: not known how they are written
    unsigned goes_on;  // number of lookups that went through the rows before it, one after the other
    bool over;         // its row was asked for before
    unsigned habit;    // the largest such number in any result of the statement
    uint32_t distinct; // number of the lead's values in the result
    uint32_t far;      // rows from the one that was asked for last, or from the list's beginning
    uint64_t who;      // whose lookups: the digest of the group, and of the values that no column supplies
    struct trail_result *result;
    unsigned lead; // the part by which it was found
    uint32_t row;  // the row for which the lookup asks
    // The columns of the parts, as indexes into the result's. -1: none, all lookups have the same value.
    int columns[KEY_MAX_PARTS];
    struct spelling spellings[KEY_MAX_PARTS]; // how the client writes values of TRAIL_OTHER
    bool seconded;                            // the key of another row was asked for before
    bool backwards;                           // the loop goes to earlier rows
    bool turns;                               // it may: when no row is left behind, look before
    const struct step *run;                   // instead of a list: numbers in steps
    struct association *association;          // predict_follow, predict_relocate: never NULL
};

// The number of lookups that went through the rows before the place's row, one after the other. In a list
// that was gone through to its end, or left, nothing goes on.
unsigned place_steps(const struct guess *w, const struct trail_target *target);
// Weighs what speaks for a place where a part of the key, the lead, was found.
struct guess place_weigh(struct trail *t, const struct group *g, const struct value *values, unsigned lead,
                         const struct trail_place *p);
// Tells whether the lookups go through the rows one after the other.
bool place_goes_on(const struct guess *w);
// The digest of the statement that has given the place's list.
uint64_t place_list(const struct guess *w);
// Tells whether the association's lookups went through a list of this statement before.
bool place_is_usual(const struct guess *w);
// Tells whether more speaks for `a` than for `b`. With b->result NULL it does.
bool place_is_better(const struct guess *a, const struct guess *b);

// Notes that the place was asked for. `by_chance`: it does not count as a step from the row before, since the loop goes
// through another list.
void place_note(const struct guess *w, bool by_chance);

// ---- what a column has

// Tells whether the catalogue says that the column supplies the part's values.
bool place_is_linked(const struct group *g, unsigned part, const struct trail_column *c);
// Tells whether it says so, or lookups have shown it.
bool place_is_supplied(const struct group *g, unsigned part, const struct trail_result *r, unsigned column);
// Tells whether the column only repeats what was asked for: it is the group's own key column, in the group's
// own answers, or in answers to lookups of another shape by the same column.
bool place_is_echo(const struct group *g, unsigned part, struct trail_result *r, unsigned column);

// Tells whether a row with these values, one for each of the columns, names what is asked for: the catalogue says that
// the column supplies it, and it is not the group's own key column, or with `own` it may be.
bool place_is_named(const struct group *g, const struct key *asked, const struct trail_columns *c,
                    const struct key *row, bool own);

// ---- what a row has

// Finds the row that has most of the key, among those that have the lead's value, and its columns.
void place_find_row(struct guess *w, const struct group *g, const struct value *values);
// Writes the origins of the place's columns, one for each of KEY_MAX_PARTS.
void place_origins(const struct guess *w, unsigned n_parts, uint64_t *origins);
// The digest of who asks there. See `who` in struct guess.
uint64_t place_who(const struct guess *w, const struct group *g, const struct value *values);
// Tells whether two rows of the place's result have the same key.
bool place_is_same_key(const struct guess *w, unsigned n_parts, uint32_t row, uint32_t other);
// Tells whether the result is answers to lookups of the group's shape. Its groups differ in formats and in what does not
// vary; a driver may go over from one to the other in the middle of a loop.
bool place_is_own(const struct group *g, const struct trail_result *r);
// Tells whether each row of the result answers one lookup of the group.
bool place_counts_rows(const struct group *g, const struct trail_result *r);
// Finds the row for which the lookup asks: the next one with its key that was not asked for yet, else one
// before. Returns false when there is none, or when it is not known which were asked for.
bool place_find_turn(struct guess *w, const struct group *g, const struct trail_target *target);

#endif
