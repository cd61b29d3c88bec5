// SPDX-License-Identifier: PostgreSQL
//
// What the client says: the entry for its bytes.
//
// The client's input is looked at unit by unit (statement/unit.h). The happy path: a whole unit that is a
// lookup is accepted (talk/lookup_take.c, talk/pipeline_take.c). A few units are answered without the server
// (talk/prepare.c). All others are forwarded, message by message (talk/forward.c), behind the lookups that
// came before them. What has to wait stays in the caller's buffer (`struct hold`) and is looked at again
// later.
//
// A frame that makes no sense fails the session.
#ifndef PGFOLD_BATCHING_TALK_CLIENT_H
#define PGFOLD_BATCHING_TALK_CLIENT_H

#include "batching/session/session.h"

// Takes bytes of the client's. Returns how many were taken; the caller keeps the rest and offers it again,
// with what follows it, when more bytes come or effects->resume_client was called. A message that is needed
// whole is left until it is whole; it is never longer than session_largest_message().
size_t session_from_client(struct session *s, const uint8_t *bytes, size_t len, uint64_t now);

#endif
