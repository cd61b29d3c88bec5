// SPDX-License-Identifier: PostgreSQL
//
// An opaque session: its protocol is no longer understood, so its bytes are relayed unread, for good.
#ifndef PGFOLD_BATCHING_TALK_OPAQUE_H
#define PGFOLD_BATCHING_TALK_OPAQUE_H

#include "batching/session/session.h"

// Makes the session opaque, and lets go what waits for replies that can no longer be told apart. The session
// fails if replies to messages of our own are still to come inside the client's: they would be relayed, too.
void session_go_opaque(struct session *s);

#endif
