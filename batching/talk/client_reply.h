// SPDX-License-Identifier: PostgreSQL
//
// A reply that goes to the client is read in passing: it tells which prepared statements the server has
// accepted, what columns they have, and which rows the client has read.
//
// The reader never delays the reply and never changes it. Only what answers messages that pgfold added is
// taken out of it (client_reply_is_dropped).
#ifndef PGFOLD_BATCHING_TALK_CLIENT_REPLY_H
#define PGFOLD_BATCHING_TALK_CLIENT_REPLY_H

#include "batching/session/session.h"

// Notes what one message of a reply tells. `o`: the entry that it answers; NULL: nothing is owed, the server
// sent it of its own accord. `whole`: the body is there; if not, only the type is known. `last`:
// ReadyForQuery follows. May make the session opaque.
void client_reply_note(struct session *s, struct owed *o, const struct frame *f, bool whole, bool last);

// True: the client must not see this message. Either it answers a message of ours inside the client's unit,
// or the client was already told of another error in its place.
bool client_reply_is_dropped(struct session *s, struct owed *o, const struct frame *f, bool whole);

#endif
