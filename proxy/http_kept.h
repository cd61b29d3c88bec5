// SPDX-License-Identifier: PostgreSQL
//
// An answer that may serve several requests: it is made anew when KEPT_SHARE times its making has passed, and all
// of them together take no more, so that making them takes at most 5 % of the loop's time, however often they are
// asked for. Until then it is given as it is.
//
// And the headers that every answer has.
#ifndef PGFOLD_PROXY_HTTP_KEPT_H
#define PGFOLD_PROXY_HTTP_KEPT_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/buf.h"

#define KEPT_SHARE 20
#define KEPT_BURST 200000 // microseconds: a page asks for several at once

struct proxy;

struct kept_time {
    uint64_t paid; // microseconds: when what was spent has been made good
};

struct kept {
    struct MHD_Response *response; // a reference; NULL: none
    uint64_t made, cost;           // microseconds
};

// Writes an answer's bytes. What fails is noted in the buffer; `which`: one of several of its kind.
typedef void kept_write(struct proxy *p, int which, struct buf *out);

// What was made last, or a new one; NULL: none could be made yet. It stays the caller's no longer than until the
// next call. `most`: bytes that it may have.
struct MHD_Response *kept_take(struct kept *k, struct kept_time *t, struct proxy *p, kept_write *write,
                               int which, uint32_t most, const char *content_type);

// The same in two steps, for what is not made at once: is what was made last to be given still? And: these bytes were made, at
// such a cost in microseconds. They are taken from the buffer; what has failed is not kept.
bool kept_is_good(const struct kept *k, const struct kept_time *t);
void kept_put(struct kept *k, struct kept_time *t, struct buf *b, uint64_t cost, const char *content_type);

void kept_drop(struct kept *k);

// Content-Type, and what tells a browser to be strict.
void http_add_headers(struct MHD_Response *r, const char *content_type);

#endif
