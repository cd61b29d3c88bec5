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

static void make(struct kept *k, struct proxy *p, kept_write *write, int which, uint32_t most,
                 const char *content_type) {
    uint64_t now = proxy_now();
    struct buf b = buf_make(most);
    write(p, which, &b);
    struct MHD_Response *made =
        b.failed ? NULL : MHD_create_response_from_buffer(b.len, b.data, MHD_RESPMEM_MUST_COPY);
    buf_free(&b);
    if (!made)
        return;
    http_add_headers(made, content_type);
    MHD_add_response_header(made, "Cache-Control", "no-store");
    kept_drop(k);
    *k = (struct kept){made, now, proxy_now() - now};
}

struct MHD_Response *kept_take(struct kept *k, struct kept_time *t, struct proxy *p, kept_write *write,
                               int which, uint32_t most, const char *content_type) {
    uint64_t now = proxy_now();
    if (k->response && (now < k->made + KEPT_SHARE * k->cost || now + KEPT_BURST < t->paid))
        return k->response;
    make(k, p, write, which, most, content_type);
    t->paid = (t->paid > now ? t->paid : now) + KEPT_SHARE * (proxy_now() - now);
    return k->response;
}

void kept_drop(struct kept *k) {
    if (k->response)
        MHD_destroy_response(k->response);
    k->response = NULL;
}
