// SPDX-License-Identifier: PostgreSQL
//
// A section of a test: what its sessions have asked since it began, what was expected, and whether it was so.
//
// Counted are the client's statements that read or write. BEGIN, COMMIT, SAVEPOINT, SET, SHOW, DEALLOCATE and
// reads of the server's own catalogue are not, and nothing that pgfold asks.
//
// A loop is proved by two lookups of one shape whose keys stand in one column of one list, if the catalogue says that
// the column supplies them. It is the caller who knows that (talk/watch_take.h).
//
// Bounded: of more than SECTION_SHAPES shapes the others are counted together; of each SECTION_KEYS keys are told apart.
#ifndef PGFOLD_BATCHING_WATCH_SECTION_H
#define PGFOLD_BATCHING_WATCH_SECTION_H

#include "batching/statement/parse.h"
#include "batching/watch/expect.h"
#include "protocol/buf.h"

struct shape;

#define SECTION_SHAPES 512
#define SECTION_KEYS   32
#define SECTION_LISTS  16

// One shape's lookups.
struct section_shape {
    struct shape *shape;         // a reference; the texts of reports. NULL: the place is free
    struct shape *list;          // looped: of the list; a reference. NULL: not known
    uint64_t n;                  // lookups
    uint32_t most_keys;          // the most different keys that there were at once
    uint32_t n_keys;             // different keys, at most SECTION_KEYS
    uint32_t keys[SECTION_KEYS]; // their hashes
    uint64_t by[SECTION_KEYS];   // who asked with them first
    struct {
        uint64_t list;     // that had the key; 0: none
        uint64_t by;       // who asked with it
        uint32_t key;      // its hash
    } from[SECTION_LISTS]; // the last ones
    unsigned n_from;
    uint64_t asker;   // who asks now
    uint64_t loop_by; // who proved it last; 0: nobody, in the test at hand
    bool fresh;       // nobody had asked with the key of the last one
    bool looped;      // proved
    bool excused;     // it counts for nothing
    bool warned;      // the client was told
};

struct section {
    struct expectation expect;
    uint64_t n[METRIC_COUNT];
    struct section_shape *shapes; // owned: SECTION_SHAPES places, by digest; NULL: no lookup came yet
    bool broken[METRIC_COUNT];    // it was not so
};

// Frees what it refers to, and begins anew with nothing expected.
void section_clear(struct section *s);

// Tells whether a statement of this kind is counted. `p`: NULL where nothing is known of it.
bool section_counts(enum statement_kind kind, const struct parsed *p);

// A statement is sent.
void section_note(struct section *s, enum statement_kind kind, const struct parsed *p);

// What the shape's lookups are; made when it is missing. `key`: hash of the key of the one at hand, which is counted.
// `by`: the number of the session that asks, from 1. `excused`: it counts for no loop. Borrowed until the section is cleared. NULL: out of memory, or there are too many.
struct section_shape *section_lookup(struct section *s, struct shape *shape, uint32_t key, uint64_t by,
                                     bool excused);

// The key at hand stands in this list, whose number nothing else has. Returns true when another key of it was asked for
// before.
bool section_from_list(struct section_shape *of, uint64_t list, uint32_t key);

// The shape's lookups are a loop through the rows of a list. `list`: its shape; NULL: not known.
void section_looped(struct section *s, struct section_shape *of, struct shape *list);

// What this session asks from now on is another test's, or another request's: it makes no loop with what it asked before.
// 0: all sessions. What was counted stays.
void section_part(struct section *s, uint64_t by);

// The metric that is larger than was expected, which is noted in `broken`. METRIC_COUNT: none. `more`: one statement
// more is to come.
enum metric section_exceeds(struct section *s, bool more);

// The same at the section's end, where nothing may be less than was expected either.
enum metric section_fails(const struct section *s);

// Was a statement refused, or a warning given, since something was larger than was expected?
bool section_is_broken(const struct section *s);

// The counts as a JSON object.
void section_write_counts(const struct section *s, struct buf *out);

#endif
