// SPDX-License-Identifier: PostgreSQL
#include "proxy/http_kept.h"

#include "proxy/proxy.h"

void http_add_headers(struct MHD_Response *r, const char *content_type) {
    MHD_add_response_header(r, "Content-Type", content_type);
    MHD_add_response_header(
        r, "Content-Security-Policy",
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(r, "Cross-Origin-Resource-Policy", "same-origin");
}

bool kept_is_good(const struct kept *k, const struct kept_time *t) {
    uint64_t now = proxy_now();
    return k->response && (now < k->made + KEPT_SHARE * k->cost || now + KEPT_BURST < t->paid);
}

void kept_put(struct kept *k, struct kept_time *t, struct buf *b, uint64_t cost, const char *content_type) {
    uint64_t now = proxy_now();
    struct MHD_Response *made =
        b->failed ? NULL : MHD_create_response_from_buffer(b->len, b->data, MHD_RESPMEM_MUST_FREE);
    t->paid = (t->paid > now ? t->paid : now) + KEPT_SHARE * cost;
    if (!made)
        return;
    *b = buf_make(0); // what was in it is the answer's now
    http_add_headers(made, content_type);
    MHD_add_response_header(made, "Cache-Control", "no-store");
    kept_drop(k);
    *k = (struct kept){made, now, cost};
}

struct MHD_Response *kept_take(struct kept *k, struct kept_time *t, struct proxy *p, kept_write *write,
                               int which, uint32_t most, const char *content_type) {
    uint64_t began = proxy_now();
    if (kept_is_good(k, t))
        return k->response;
    struct buf b = buf_make(most);
    write(p, which, &b);
    kept_put(k, t, &b, proxy_now() - began, content_type);
    buf_free(&b);
    return k->response;
}

void kept_drop(struct kept *k) {
    if (k->response)
        MHD_destroy_response(k->response);
    k->response = NULL;
}
