// SPDX-License-Identifier: PostgreSQL
//
// What a client's reply tells on its way.
#ifndef PGFOLD_BATCHING_TALK_CLIENT_REPLY_H
#define PGFOLD_BATCHING_TALK_CLIENT_REPLY_H

#include "batching/session/session.h"

void client_reply_note(struct session *s, struct owed *o, const struct frame *f, bool whole, bool last);
bool client_reply_is_dropped(struct session *s, struct owed *o, const struct frame *f, bool whole);

#endif
