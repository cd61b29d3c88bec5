// SPDX-License-Identifier: PostgreSQL
//
// Replies to what pgfold itself has asked on a client's connection: batches, proofs, verdicts, facts, checks,
// and statements given late. Each message is handed to whoever reads it.
//
// Messages that the server sends of its own accord in the middle of such a reply (ParameterStatus,
// NotificationResponse, a fatal error) are the client's and are passed on.
#ifndef PGFOLD_BATCHING_TALK_OWN_REPLY_H
#define PGFOLD_BATCHING_TALK_OWN_REPLY_H

#include "batching/session/session.h"

// Takes one whole message of the reply to `o`, which is the head of the owed queue. At its end the entry is
// popped (reply_end()), so `o` must not be used afterwards.
void own_reply_take(struct session *s, struct owed *o, const struct frame *f);

// Notes a ParameterStatus, in whatever reply it comes; `o` may be NULL. A setting that nobody has changed
// means that the server has read its configuration again.
void own_reply_note_parameter(struct session *s, const struct owed *o, const struct frame *f);

#endif
