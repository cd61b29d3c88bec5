// SPDX-License-Identifier: PostgreSQL
//
// Listening sockets, TCP and Unix. What they accept becomes a link (login.h).
#ifndef PGFOLD_PROXY_LISTENER_H
#define PGFOLD_PROXY_LISTENER_H

#include "proxy/proxy.h"

// Opens every address of the comma-separated list; false with a message, nothing stays open then.
bool listeners_open(struct proxy *p, const char *addresses, char *err, size_t err_size);
void listeners_watch(struct proxy *p, bool look); // `look` false: connections stay in the queue
void listeners_close(struct proxy *p);            // Unix sockets' files are removed

#endif
