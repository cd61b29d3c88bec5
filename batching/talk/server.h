// SPDX-License-Identifier: PostgreSQL
//
// What the server says: bytes to messages, and to whom each of them goes.
#ifndef PGFOLD_BATCHING_TALK_SERVER_H
#define PGFOLD_BATCHING_TALK_SERVER_H

#include "batching/session/session.h"

size_t session_from_server(struct session *s, const uint8_t *bytes, size_t len);

#endif
