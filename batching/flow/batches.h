// SPDX-License-Identifier: PostgreSQL
//
// A batch from its lender to its end: its members are answered, or run alone.
//
//   engine_run_batch     waiting lookups of a group become a batch; one member's session lends its connection
//   engine_batch_ended   ReadyForQuery has come: each member gets its rows
//   engine_abandon_batch nobody waits any longer: members run alone, the rest of the reply is dropped
//
// A batch can fail in many ways (an error, an answer that is too large, a stamp that has changed, a lost
// connection). Its members never notice: they run alone, as their clients sent them. The group and the
// shape's guard remember the failure.
#ifndef PGFOLD_BATCHING_FLOW_BATCHES_H
#define PGFOLD_BATCHING_FLOW_BATCHES_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

// Makes a batch of the group's first waiting lookups and sends it on the connection of a member. False: out
// of memory, the queue is as it was. A batch that could not be sent has ended when this returns, and its
// members run alone.
bool engine_run_batch(struct engine *e, struct group *g);

// Lists a batch that the caller has made (flow/coming.c); it is not sent yet.
void engine_start_batch(struct engine *e, struct batch *b);

// The batch has ended: ReadyForQuery came, or it could not be sent, or its connection was lost; b->failed
// says how. Answers its members or has them run alone. Frees the batch unless it was loaded ahead.
void engine_batch_ended(struct engine *e, struct batch *b);

// The lender's reply to a batch has ended, before engine_batch_ended(). Members leave the batch and run alone
// if their identity has changed since they joined, or if they were proved before the lender's server process
// read its configuration.
void session_check_members(struct session *lender, struct batch *b);

// Answers a lookup from an ended batch with the rows of this key, or has it run alone if they are not for it.
// The lookup is no member of a batch. May free the lookup.
void engine_answer(struct engine *e, struct batch *b, struct lookup *l, uint32_t key);

// Gives the members of a batch under way back: they run alone. The server is asked to end the batch. `why`:
// for the log; static.
void engine_abandon_batch(struct batch *b, const char *why);

// The same for all batches of a shape.
void engine_abandon_shape(struct engine *e, const struct shape *s, const char *why);

// A lookup that ran as sent was answered without an error: the guard is told how long that took.
void engine_note_alone(struct engine *e, const struct lookup *l);

// A lookup is not folded after all, and runs as sent: counts and notes the reason.
void engine_note_not_folded(struct lookup *l, enum reason why);

#endif
