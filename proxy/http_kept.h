// SPDX-License-Identifier: PostgreSQL
//
// An answer that may serve several requests: it is made anew when KEPT_SHARE times its making has passed, so that
// making it takes at most 5 % of the loop's time, however often it is asked for.
//
// And the headers that every answer has.
#ifndef PGFOLD_PROXY_HTTP_KEPT_H
#define PGFOLD_PROXY_HTTP_KEPT_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/buf.h"

#define KEPT_SHARE 20

struct proxy;

struct kept {
    struct MHD_Response *response; // a reference; NULL: none
    uint64_t made, cost;           // microseconds
};

// Writes an answer's bytes. What fails is noted in the buffer; `which`: one of several of its kind.
typedef void kept_write(struct proxy *p, int which, struct buf *out);

// What was made last, or a new one; NULL: none could be made yet. It stays the caller's no longer than until the
// next call. `most`: bytes that it may have.
struct MHD_Response *kept_take(struct kept *k, struct proxy *p, kept_write *write, int which, uint32_t most,
                               const char *content_type);

void kept_drop(struct kept *k);

// Content-Type, and what tells a browser to be strict.
void http_add_headers(struct MHD_Response *r, const char *content_type);

#endif
