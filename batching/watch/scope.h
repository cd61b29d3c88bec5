// SPDX-License-Identifier: PostgreSQL
//
// A scope is what a test's connections have in common: their database and user, unless the setting pgfold.scope says
// another name; and the section that one of them has begun for all. So nobody breaks the statements of other users.
//
//   struct scopes (one in the engine)
//     run       what all sessions have asked, if it was expected from the start (limits.expect)
//     list      scopes, each with the section that was begun by SET pgfold.expect
//
// A scope lives as long as a session is in it. If a section in it was broken and is not ended yet, that is remembered: pools
// close a connection that had an error.
#ifndef PGFOLD_BATCHING_WATCH_SCOPE_H
#define PGFOLD_BATCHING_WATCH_SCOPE_H

#include "batching/base/memory.h"
#include "batching/watch/section.h"

struct scope {
    struct scope *next;
    unsigned refs;
    bool begun; // a section is open
    bool left;  // one was, and broken, when the last session went: who ends it is told
    struct section section;
    size_t weighs;
    size_t len;
    uint8_t name[];
};

#define SCOPES_BEGUN 256 // sections that are open at once
#define SCOPES_LISTS 64  // statements whose results are remembered for reports

// Statements that have this in their text, without its values, count for no loop.
struct allowance {
    struct allowance *next;
    bool used;
    char text[];
};

struct scopes {
    struct scope *list;
    unsigned n_begun;                  // scopes with an open section
    unsigned n_left;                   // scopes whose section was left broken
    bool runs;                         // something was expected from the start
    struct section run;                // and what has come since
    struct shape *lists[SCOPES_LISTS]; // references, by digest; the newest of those that share a place
    uint64_t n_seen;                   // statements of any kind, while something was expected
    uint64_t n_refused, n_warned;      // statements for which a client was told
    struct allowance *allowed;         // owned; in the order in which they were added
    struct account *memory;
    size_t weighs;
};

// What is expected of all sessions from now on. Nothing: the run is forgotten.
void scopes_expect(struct scopes *s, const struct expectation *e);
void scopes_finish(struct scopes *s); // all scopes must have been given back

// The scope of this name, made if there is none; a reference for the caller. NULL: out of memory.
struct scope *scope_for(struct scopes *s, struct slice name);
void scope_unref(struct scopes *s, struct scope *of); // takes NULL

// A section begins with this expectation; the one before is forgotten. False: there are SCOPES_BEGUN already.
bool scope_begin(struct scopes *s, struct scope *of, const struct expectation *e);
void scope_end(struct scopes *s, struct scope *of);

// A statement of this shape has given a list. And back: the shape with this digest; borrowed. NULL: not remembered.
void scopes_note_list(struct scopes *s, struct shape *shape);
struct shape *scopes_list(const struct scopes *s, uint64_t digest);

// Adds an allowance. False: out of memory.
bool scopes_add_allowance(struct scopes *s, const char *text);
// Tells whether the statement has one. `used`: there was a loop that it excuses.
bool scopes_allow(struct scopes *s, const struct shape *shape, bool used);

// Tells whether anything is expected of anybody.
static inline bool scopes_are_watched(const struct scopes *s) {
    return s->runs || s->n_begun;
}

// The section at hand of those that a session in this scope is part of: i is 0, then 1. NULL: there is none. `of` may be
// NULL.
static inline struct section *scope_section(struct scopes *s, struct scope *of, unsigned i) {
    if (i == 0)
        return of && of->begun ? &of->section : NULL;
    return i == 1 && s->runs ? &s->run : NULL;
}

#endif
