// SPDX-License-Identifier: PostgreSQL
//
// A batch from its lender to its end: its members are answered, or run alone.
#ifndef PGFOLD_BATCHING_FLOW_BATCHES_H
#define PGFOLD_BATCHING_FLOW_BATCHES_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

void engine_start_batch(struct engine *e, struct batch *b); // of no member: counted, not sent yet

// Answers it from an ended batch, or has it run alone. It is a member of none.
void engine_answer(struct engine *e, struct batch *b, struct lookup *l, uint32_t key);
void engine_note_not_folded(struct engine *e, struct lookup *l, enum reason why); // it runs as sent
void engine_note_alone(struct engine *e, const struct lookup *l); // its answer came, and no error
void engine_batch_ended(struct engine *e, struct batch *b);  // ReadyForQuery came, or its connection was lost
void engine_abandon_batch(struct batch *b, const char *why); // its members run alone; why: static
void engine_abandon_shape(struct engine *e, const struct shape *s, const char *why); // all of its batches

// The lender's reply to a batch has ended. Members that are no longer what they were when they joined, or
// whose proof is older than the configuration that the lender has read, leave it and run alone.
void session_check_members(struct session *lender, struct batch *b);

bool engine_run_batch(struct engine *e, struct group *g);

#endif
