// SPDX-License-Identifier: PostgreSQL
//
// The first stage of a link: from the first byte of a connection to the first ReadyForQuery. Start-up packets
// are answered or passed on as they came; the log-in is relayed message by message, so that no secret is kept
// here. Two things are changed on the way: SASL mechanisms with channel binding are taken out of the server's
// offer, since they bind to a TLS connection that ends here, and nothing but the messages of a log-in passes
// before it is complete.
//
// With target_session_attrs the server's role is known only when it has logged the client in. A log-in that
// needed nothing from the client is then repeated at the next host; another one is refused, and the host is
// left out for a while.
#ifndef PGFOLD_PROXY_LOGIN_H
#define PGFOLD_PROXY_LOGIN_H

#include "proxy/link.h"

void login_accept(struct proxy *p, int fd); // a client has connected; takes over fd

// For pace: its turn has come, the first host is connected to.
void login_connect(struct link *l);
// For the gate.
void login_evict(struct link *l);              // to make room for others
bool login_is_at_server(const struct link *l); // does the server know of it?

#endif
