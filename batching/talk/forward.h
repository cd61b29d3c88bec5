// SPDX-License-Identifier: PostgreSQL
//
// Forwarding: whatever is no lookup goes to the server as it came.
//
// The client's messages become a run (talk/feed.h) that is sent in one piece. For each unit an entry FORWARD
// is pushed to the queue of owed replies, with notes on what its statements will do to the session
// (talk/effects.h, talk/extended.h). What the unit needs is sent in front of it (talk/front.h).
//
// A statement that is not understood makes the session private until it is proved again. Framing that makes
// no sense makes the session opaque (talk/opaque.h). Without memory the session fails.
#ifndef PGFOLD_BATCHING_TALK_FORWARD_H
#define PGFOLD_BATCHING_TALK_FORWARD_H

#include "batching/session/session.h"
#include "batching/talk/feed.h"

// Adds the message at f->at to the run. False: it has to wait, since more of its bytes are needed, the queue
// of owed replies is full, or an answer must come first; or the session failed.
bool forward_message(struct feed *f, const struct frame *fr);

// The next message of an open unit comes. If that is a Bind, with nothing but a Parse before it, and what it runs is pgfold's to
// answer (watch_settings.h), the unit ends here for the server.
void forward_behind_parse(struct feed *f);

// An Execute of an open unit was passed on; f->at is behind it. If it was BEGIN and a lookup is all that follows,
// the lookup is looked after: if an answer is held for it, the unit ends here for the server, and the lookup is
// taken when BEGIN is answered.
void forward_behind_begin(struct feed *f);

#endif
