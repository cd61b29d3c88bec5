// SPDX-License-Identifier: PostgreSQL
//
// An association says which columns of other statements' results supply a shape's keys, and keeps what is
// known of such loops: how many keys are worth loading, and how fast they are asked for (ahead/pace.h).
//
// Bounded: a shape has at most ASSOCIATIONS of them.
#ifndef PGFOLD_BATCHING_AHEAD_ASSOCIATION_H
#define PGFOLD_BATCHING_AHEAD_ASSOCIATION_H

#include "batching/ahead/trail.h"
#include "batching/statement/key.h"

#define ASSOCIATIONS 4 // of one shape

struct group;
struct shape;

// What an association has brought, in keys. Each key that was loaded ends in one of the last three.
struct association_figures {
    uint64_t batches, loaded, answered, unused, stale;
    uint64_t with_list; // of the batches, those that were sent in their list's own write
};

// Columns of other statements' results that supply a shape's keys.
struct association {
    uint64_t origin[KEY_MAX_PARTS]; // digest of the column; 0: the part has the same value in all lookups
    bool sure;                      // the catalogue says so (linked), or lookups have shown it
    bool linked;
    uint8_t lead;        // the part by which its rows are found: the one that has most values
    bool useful;         // most of a batch was asked for, and no batch since was useless
    uint32_t window;     // keys to load at a time; 0: not begun
    uint32_t gap;        // microseconds between two lookups, without their waiting, moving average
    uint32_t latency;    // microseconds that a batch takes, moving average
    uint32_t cost;       // nanoseconds for one key, moving average
    unsigned n_costs;    // times that it was measured; the first few count by the least of them
    uint64_t last_asked; // microseconds
    uint64_t asker;      // the session that has asked then,
    uint64_t waited;     // and how long it had waited by then (pace.h)
    unsigned failures;   // successive batches of which hardly any key was asked for
    unsigned unserved;   // batches that were sent since one of them answered a lookup
    uint32_t reach;      // how far its loops get, see reach.h; 0: not known
    uint64_t list;       // digest of the statement whose rows lookups went through, one by one; 0: none
    uint64_t kind;       // digest of the column that tells which of a list's rows are asked for; 0: none
    uint8_t mistaken;    // such columns that did not (kind.h)
    uint64_t last_sent;  // microseconds: when a batch was last sent
    uint64_t last_ended; // microseconds: when a batch was last given up
    uint64_t off_until, pause;          // microseconds: nothing is loaded before; the next pause
    struct association_figures figures; // writer: session/ahead_cost.c
};

// Finds the shape's association with these origins, one for each part. Returns NULL when there is none.
struct association *association_find(struct shape *s, const uint64_t *origins);
// Adds one. Returns NULL when memory is out.
struct association *association_add(struct shape *s, const uint64_t *origins);
// Tells whether lookups of the shape have shown that the column supplies the part.
bool association_is_learnt(const struct shape *s, unsigned part, uint64_t origin);
// Finds the association's columns in a result, -1 for a part that has none. Returns false when one is missing.
bool association_is_in(const struct association *a, const struct trail_result *r, unsigned n_parts,
                       int *columns);
// The part by which the association's rows are found.
unsigned association_lead(const struct association *a, const struct group *g);
// The number of parts that come from columns.
unsigned association_n_columns(const struct association *a);

#endif
