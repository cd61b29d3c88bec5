// SPDX-License-Identifier: PostgreSQL
//
// What the client says: its bytes become units, and each unit is accepted as a lookup, answered without the server, or
// forwarded. Their order is kept here.
#ifndef PGFOLD_BATCHING_TALK_CLIENT_H
#define PGFOLD_BATCHING_TALK_CLIENT_H

#include "batching/session/session.h"

// Bytes from either side. Returns how many were taken; the rest is offered again with what follows it (from
// the client: also after resume_client). A message of which all is needed but not all has come is left; it
// never exceeds session_largest_message().
size_t session_from_client(struct session *s, const uint8_t *bytes, size_t len);

#endif
