// SPDX-License-Identifier: PostgreSQL
//
// The lookups of one unit that holds several statements (a pipeline).
//
// Each lookup waits, is folded and answered like any other, but its answer is kept until all answers of the
// unit are there. If one of them must run alone, for whatever reason, all run as the client sent them
// (whole_unit.h). Then the first lookup stands for the whole unit, and the others are answered with nothing.
#ifndef PGFOLD_BATCHING_SESSION_PIPELINE_H
#define PGFOLD_BATCHING_SESSION_PIPELINE_H

#include "batching/session/session.h"
#include "batching/session/statements.h"

struct pipeline_part {
    struct statement *statement; // a reference
    bool has_parse, has_describe;
    unsigned n_closes;
};

struct pipeline {
    unsigned refs, n, n_answered;
    unsigned n_held;        // of which something was held when it came (flow/find.h)
    struct account *memory; // that it is counted in
    size_t weighs;
    bool whole;           // runs as the client sent it
    struct lookup *first; // stands for the unit when it runs whole
    struct pipeline_part parts[];
};

// A pipeline without lookups, with room for n, and one reference: the caller's. NULL: out of memory.
struct pipeline *pipeline_create(struct session *s, unsigned n);

// Adds the next lookup, which takes a reference to the pipeline. It is the last one in its session's order.
void pipeline_add(struct pipeline *p, struct lookup *l);

// May the lookup's answer go out, as far as the others of its unit go? True for a lookup without a pipeline.
bool pipeline_is_answered(const struct lookup *l);

// Gives a reference back. Takes NULL.
void pipeline_unref(struct pipeline *p);

#endif
