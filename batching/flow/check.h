// SPDX-License-Identifier: PostgreSQL
//
// Checks that a folded answer is the original's: of a share of the lookups in mode fold, of all in mode
// verify. A lookup that is checked runs as it was sent and takes part in a batch, and its client gets the
// original's answer:
//
//   NONE --drawn--> ORIGINAL --answered--> FOLDED --the batch says the same--> answered: equal
//                      |                      |
//                      |                      +--it does not--> AGAIN --the same as the first time-->
//                      answered: a |                      |                   | difference | | +--it is
//                      not--> answered: data changed meanwhile
//                      +--too large---------> as if it had never been drawn
//                                             +--no batch came about, or it failed--> answered: not checked
//
// A difference counts only when the original, run before and after the batch, says the same both times, so
// that what others write meanwhile is none. Nor is one where the original's columns are others than those
// that the statement had when it was vetted: definitions have changed, and all is vetted anew, once. The
// other members of a batch that differed run alone. In mode fold the shape is switched off: its batches under
// way are given up, and its lookups are forwarded from then on.
//
// Inside a transaction nothing runs a second time, since that could abort it: what differs there is not
// decided.
#ifndef PGFOLD_BATCHING_FLOW_CHECK_H
#define PGFOLD_BATCHING_FLOW_CHECK_H

#include "batching/fold/batch.h"

struct engine;
struct owed;

// Shall this waiting lookup be checked? Decided once; what is not drawn is CHECK_NO from then on.
bool check_draw(struct engine *e, struct lookup *l);
// Sends a waiting lookup as the client sent it; its answer is kept.
void check_start(struct engine *e, struct lookup *l);

// One message of the reply to a lookup in state LOOKUP_CHECKING, and its end.
void check_feed(struct lookup *l, const struct frame *f, struct owed *o);
// True: what a batch had said differs from the original's answer, run before and after it. The caller gives up
// the batches of the shape, unless all is merely verified, and then has the lookup answered: check_answer().
bool check_replied(struct engine *e, struct lookup *l, const struct owed *o)
    __attribute__((warn_unused_result));

// A batch has succeeded: compares what it says to the members that are checked. True: one of them differs.
bool check_batch(struct engine *e, const struct batch *b);
// Member i of it, CHECK_FOLDED, goes on: it is answered, or runs again.
void check_member(struct engine *e, struct batch *b, uint32_t i);

// Gives a lookup that has its original's answer that answer: there is nothing more to compare it with.
void check_answer(struct engine *e, struct lookup *l);

void session_run_alone(struct session *s, struct lookup *l);

#endif
