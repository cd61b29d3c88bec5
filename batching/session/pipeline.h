// SPDX-License-Identifier: PostgreSQL
//
// The lookups of one unit that holds several statements: each is folded by itself, all are answered
// together.
#ifndef PGFOLD_BATCHING_SESSION_PIPELINE_H
#define PGFOLD_BATCHING_SESSION_PIPELINE_H

#include "batching/session/session.h"
#include "batching/session/statements.h"

// The lookups of such a unit.
//
// Each waits, is folded and answered like any other, but its answer is kept until all are there. Is one of
// them to run alone, for whatever reason, then all are, as the client sent them: the first one stands for the
// unit, and the others have nothing more to say.
struct pipeline_part {
    struct statement *statement; // a reference
    bool has_parse, has_describe;
    unsigned n_closes;
};

struct pipeline {
    unsigned refs, n, n_answered;
    struct account *memory; // that it is counted in
    size_t weighs;
    bool whole; // runs as the client sent it
    struct lookup *first;
    struct pipeline_part parts[];
};

struct pipeline *pipeline_create(struct session *s, unsigned n); // NULL: out of memory
void pipeline_unref(struct pipeline *p);                         // takes NULL
void pipeline_add(struct pipeline *p, struct lookup *l);         // the next one
bool pipeline_is_answered(const struct lookup *l);               // or is none

#endif
