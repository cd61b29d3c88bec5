// SPDX-License-Identifier: PostgreSQL
//
// ReadyForQuery: a reply has ended. What the client or pgfold had asked for is settled now: settings take
// effect, verdicts are given, a batch's members are answered, the next thing is sent.
#ifndef PGFOLD_BATCHING_TALK_REPLY_END_H
#define PGFOLD_BATCHING_TALK_REPLY_END_H

#include "batching/session/session.h"

// Ends the reply to the head of the owed queue, and pops it. `status`: the transaction status byte of
// ReadyForQuery (I, T or E). May free lookups and send to either side, so the caller must have passed on what
// came before.
void reply_end(struct session *s, char status);

#endif
