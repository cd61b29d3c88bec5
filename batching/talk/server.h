// SPDX-License-Identifier: PostgreSQL
//
// What the server says: the entry for its bytes.
//
// The head of the queue of owed replies tells what becomes of a message. Replies of the client's are passed
// on in runs, without a copy; a few of their messages are read on the way (talk/client_reply.h). Replies of
// our own are read message by message, whole (talk/own_reply.h). ReadyForQuery ends a reply
// (talk/reply_end.h).
//
// A frame that makes no sense fails the session.
#ifndef PGFOLD_BATCHING_TALK_SERVER_H
#define PGFOLD_BATCHING_TALK_SERVER_H

#include "batching/session/session.h"

// Takes bytes of the server's. Returns how many were taken; the caller keeps the rest and offers it again,
// with what follows it. A message that is needed whole is left until it is whole; it is never longer than
// session_largest_message().
size_t session_from_server(struct session *s, const uint8_t *bytes, size_t len, uint64_t now);

#endif
