// SPDX-License-Identifier: PostgreSQL
//
// The traffic of links: what happens when a socket is ready, when a peer that was slow has caught up, and at
// the end of the loop's turn. Bytes are read here, and offered to the stage that the link is in.
#ifndef PGFOLD_PROXY_TRAFFIC_H
#define PGFOLD_PROXY_TRAFFIC_H

#include "proxy/link.h"

// The callbacks of the two sockets: a link is opened with them.
void traffic_on_client(uv_poll_t *poll, int status, int events);
void traffic_on_server(uv_poll_t *poll, int status, int events);
// A client that the gate has kept waiting has its turn.
void traffic_client_is_due(struct link *l);

// Bytes that were left over are looked at again; the link may be closed then.
void traffic_feed_client(struct link *l);
void traffic_feed_server(struct link *l);

void traffic_flush_dirty(struct proxy *p);   // at the end of the turn: sends what has been put into buffers
void traffic_check_partial(struct proxy *p); // units whose rest has not come for a while go on without it

#endif
