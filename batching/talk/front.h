// SPDX-License-Identifier: PostgreSQL
//
// What must go out in front of a client's statement: statements that the server lacks, questions, a
// snapshot.
#ifndef PGFOLD_BATCHING_TALK_FRONT_H
#define PGFOLD_BATCHING_TALK_FRONT_H

#include "batching/session/session.h"
#include "batching/talk/classify.h"
#include "batching/talk/feed.h"
#include "batching/talk/reads.h"

// At the unit at f->at, inside a transaction: if it is a SELECT that nobody has vetted, the catalogue is
// asked, and the unit must wait for the answer: true.
bool front_vet_first(struct feed *f);

bool front_may_see_prepared(enum statement_kind kind, enum read_effect effect);
bool front_give_all(struct feed *f, bool asks);
bool front_give_executed(struct feed *f, const char *name);
void front_prove(struct feed *f, enum statement_kind kind, bool hold);
void front_snapshot_for_query(struct feed *f, const struct statement_class *c);
void front_snapshot_for_unit(struct feed *f);
void front_keep_out(struct feed *f, const struct frame *fr);
bool front_before_unit(struct feed *f, const struct frame *fr);

#endif
