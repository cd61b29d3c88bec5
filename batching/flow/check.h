// SPDX-License-Identifier: PostgreSQL
//
// Checks that a folded answer is the original's: for a share of the lookups in mode fold, for all of them in
// mode verify. A lookup that is checked runs as sent and also takes part in a batch. Its client gets the
// original's answer.
//
//   NONE --drawn--> ORIGINAL --answered--> FOLDED --the batch says the same--> answered: equal
//                     |                      |
//                     |                      +--it does not--> AGAIN --the original is as before--> answered:
//                     |                      |                   |                            a difference
//                     |                      |                   +--it is not--> answered: the data changed
//                     |                      |
//                     |                      +--no batch came, or it failed--> answered: not checked
//                     |
//                     +--cancelled, or an error that is not the data's, or not READY--> answered: not checked
//                     +--too large to be kept--> runs once more, as if it had not been drawn
//
// A difference counts only if the original says the same before and after the batch. So a write of somebody
// else's in between does not count. It does not count either if the original has other columns now than when
// the statement was vetted: then the definitions have changed, and everything is vetted again, once.
//
// The other members of a batch that differs run alone. In mode fold the shape is switched off: its batches
// under way are abandoned, and its lookups are forwarded from then on.
//
// Nothing runs a second time inside a transaction, since that could abort the transaction; a difference stays
// undecided there.
#ifndef PGFOLD_BATCHING_FLOW_CHECK_H
#define PGFOLD_BATCHING_FLOW_CHECK_H

#include "batching/fold/batch.h"

struct engine;
struct owed;
struct shape;

// Is this waiting lookup to be checked? Decided once for each lookup; CHECK_NO from then on if it is not.
bool check_draw(struct engine *e, struct lookup *l);
// The draw alone: is the next lookup of this shape one of them?
bool check_draws(struct engine *e, struct shape *s);

// Sends a waiting lookup as the client sent it, and keeps the answer.
void check_start(struct engine *e, struct lookup *l);

// Takes one message of the reply to a lookup in state LOOKUP_CHECKING. `l` NULL: it is gone.
void check_feed(struct lookup *l, const struct frame *f, struct owed *o);

// That reply has ended. True: a difference; a batch said something else than the original before and after
// it. The caller abandons the shape's batches, except in mode verify, and then calls check_answer().
bool check_replied(struct engine *e, struct lookup *l, const struct owed *o)
    __attribute__((warn_unused_result));

// A batch has succeeded: compares what it says with the originals of the members that are checked. True: one
// of them differs.
bool check_batch(struct engine *e, const struct batch *b);

// Then each member i that is CHECK_FOLDED: it is answered, or its original runs again.
void check_member(struct engine *e, struct batch *b, uint32_t i);

// Answers a lookup with its original's answer, which it has; nothing more is compared.
void check_answer(struct engine *e, struct lookup *l);

// Runs a lookup as sent. It has left its queue and its batch. One whose original has been answered gets that
// answer instead; one of a unit of several takes the whole unit along. May free the lookup.
void session_run_alone(struct session *s, struct lookup *l);

#endif
