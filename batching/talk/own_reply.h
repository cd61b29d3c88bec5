// SPDX-License-Identifier: PostgreSQL
//
// Replies to what is our own: batches, questions, checks.
#ifndef PGFOLD_BATCHING_TALK_OWN_REPLY_H
#define PGFOLD_BATCHING_TALK_OWN_REPLY_H

#include "batching/session/session.h"

void own_reply_note_parameter(struct session *s, const struct owed *o, const struct frame *f);
void own_reply_take(struct session *s, struct owed *o, const struct frame *f);

#endif
