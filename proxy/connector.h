// SPDX-License-Identifier: PostgreSQL
//
// Connects to one of the target's hosts, TLS handshake included, without blocking: hosts in order, each
// host's addresses in order, each attempt limited by connect_timeout. sslmode as in libpq: `prefer` falls
// back to plain where the server says N, `allow` starts plain. A byte that follows the server's 'S' before
// TLS is up closes the connection (CVE-2021-23222).
#ifndef PGFOLD_PROXY_CONNECTOR_H
#define PGFOLD_PROXY_CONNECTOR_H

#include <uv.h>

#include "proxy/stream.h"
#include "proxy/target.h"

struct connector;

// Called exactly once for each connector_start, never from within it; not at all when it was cancelled. On
// success `stream` is connected: the callee copies the struct and takes it over. `host_index` says which host
// it is and `address` where ("10.0.0.1:5432" or a socket's path). On failure stream is NULL, and message says
// which hosts were tried and why each failed.
#define CONNECTOR_NO_DESCRIPTORS "too many open files" // in a message: the fault is not the server's
typedef void connector_done(void *arg, struct stream *stream, size_t host_index, const char *address,
                            const char *message);

// Starts with host `first_host`; those behind it follow in order, those before it do not. skip[i] leaves host
// i out; skip may be NULL, and is copied. NULL: memory or descriptors ran out, and done is not called. The
// target must outlive the attempt.
struct connector *connector_start(uv_loop_t *loop, const struct target *target, size_t first_host,
                                  const bool *skip, connector_done *done, void *arg);
// The same, to one known address ("10.0.0.1:5432" or a socket's path) of host `host_index`: for cancel
// requests.
struct connector *connector_start_address(uv_loop_t *loop, const struct target *target, size_t host_index,
                                          const char *address, connector_done *done, void *arg);
// Its descriptors must be below `files`: the last ones are for others. To be called right after
// connector_start.
void connector_keep_back(struct connector *c, int files);
void connector_cancel(struct connector *c); // done will not be called; its memory goes back by itself

#endif
