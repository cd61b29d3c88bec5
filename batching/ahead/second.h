// SPDX-License-Identifier: PostgreSQL
//
// Two lookups that come from one list are a loop; a lookup behind each list is none. Here is noted when a statement
// was last looked up, until the catalogue has been asked about it: that is worth its cost only for a loop. The last
// values are kept, so that the loop is known by them when the answer has come; and a digest of the rows that the server
// has given for them, with which those of the first batch are compared.
//
// Bounded: of a session the last SECOND_SHAPES statements that nobody has asked about are remembered.
#ifndef PGFOLD_BATCHING_AHEAD_SECOND_H
#define PGFOLD_BATCHING_AHEAD_SECOND_H

#include "batching/ahead/trail.h"
#include "batching/statement/key.h"

#define SECOND_SHAPES 16
#define SECOND_BYTES  48 // of values that are kept

struct group;

// The last lookups of a statement.
struct second {
    uint32_t shape;  // of its digest; 0: none
    uint32_t values; // digest of the last lookup's values
    uint32_t lists;  // number of lists that had been read when the one before it came
    uint32_t last;   // and when it came
    bool any, same;  // there was one before it; it had the same values
    uint8_t n_kept;  // parts of the last one's values; 0: they were not kept, or were taken
    bool kept_any;   // they were kept
    bool whole;      // the answer for them has passed
    uint32_t n_rows; // of it,
    uint64_t rows;   // and a digest of them: second_digest(), from 0 on
    uint32_t group;  // whose they were
    uint8_t lengths[KEY_MAX_PARTS];
    uint8_t kept[SECOND_BYTES];
};

struct seconds {
    struct second of[SECOND_SHAPES]; // the last one used in front
    bool open;                       // the answer for one of them may be on its way
};

// A lookup of the group has come, with these values as sent, one for each part.
void second_note(struct seconds *s, const struct trail *t, const struct group *g, const struct slice *raw);
// Tells whether the last lookup of the group's statement, with these values, may come from a list that had been read
// when the one before it came, and was not read again since.
bool second_follows(const struct seconds *s, struct trail *t, const struct group *g, const struct slice *raw);

// Takes the values of the last lookup that was noted for the group, once: one slice for each part. They are
// valid until the next call of second_note(). Returns false when there is none, or they are not known.
bool second_take(struct seconds *s, const struct group *g, struct slice *raw)
    __attribute__((warn_unused_result));

// The digest of some rows (bodies of DataRow messages) with one more behind them.
uint64_t second_digest(uint64_t rows, const uint8_t *row, size_t len);
// A row of the answer to the lookup of the group that was noted last, and its end. If they were another lookup's, nothing equals
// the digest.
void second_note_row(struct seconds *s, const struct group *g, const uint8_t *row, size_t len);
void second_note_end(struct seconds *s, const struct group *g);
// The values of the last lookup that was noted for the group, taken or not, if the server has given rows for them; valid as
// above. NULL: it has not, or they are not known.
const struct second *second_answered(struct seconds *s, const struct group *g, struct slice *raw)
    __attribute__((warn_unused_result));

#endif
