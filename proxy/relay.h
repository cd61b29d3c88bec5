// SPDX-License-Identifier: PostgreSQL
//
// The second stage of a link: a session of the engine. Its bytes go to the engine, and what the engine
// decides becomes bytes on the link's sockets.
#ifndef PGFOLD_PROXY_RELAY_H
#define PGFOLD_PROXY_RELAY_H

#include "protocol/message.h"
#include "proxy/link.h"

extern const struct engine_effects relay_effects; // what the engine is created with

// The log-in is over: the link becomes a session. `opaque`: a replication connection, relayed unread. Without
// memory the link is refused.
void relay_start(struct link *l, struct slice startup_params, bool opaque);
void relay_parameter(struct link *l, const char *name, const char *value); // a ParameterStatus of the log-in

#endif
