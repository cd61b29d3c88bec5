// SPDX-License-Identifier: PostgreSQL
//
// HTTP on the event loop: libmicrohttpd reads and writes, the loop says when. No thread is started, and nothing
// of a request is waited for.
//
// Bounded: HTTP_CONNECTIONS (http_reply.h) at once, further ones wait in the socket's queue; some kB of memory for each; and
// HTTP_TIMEOUT seconds for what one side owes the other.
#ifndef PGFOLD_PROXY_HTTP_H
#define PGFOLD_PROXY_HTTP_H

#include "proxy/proxy.h"

#define HTTP_MEMORY  16384 // bytes of each, for its request
#define HTTP_TIMEOUT 10

struct http;

// Opens every address of the comma-separated list. An address that is in use is no fault: pgfold says so and
// tries it again each second, so that a pgfold that ends can be followed by another, and monitoring keeps
// nobody from being served. False with a message: nothing stays open. No address: *out is NULL.
bool http_open(struct http **out, struct proxy *p, const char *addresses, char *err, size_t err_size);
void http_tick(struct http *h);  // once a second; takes NULL
void http_close(struct http *h); // takes NULL; the loop must run once more

#endif
