// SPDX-License-Identifier: PostgreSQL
//
// A message that is no lookup is passed to the server, with an entry in the queue of owed replies.
#ifndef PGFOLD_BATCHING_TALK_FORWARD_H
#define PGFOLD_BATCHING_TALK_FORWARD_H

#include "batching/session/session.h"
#include "batching/talk/feed.h"

// Forwards the message at f->at. False: more of its bytes are needed first, or the queue of owed replies is
// full.
bool forward_message(struct feed *f, const struct frame *fr);

#endif
