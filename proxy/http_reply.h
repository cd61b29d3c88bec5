// SPDX-License-Identifier: PostgreSQL
//
// What each path answers. Only GET and HEAD are; nothing changes anything.
//
//   /          the page (page.h), and its files: /page.css, /page.js, /icon.svg
//   /stats.json, /history.json   what it shows, see page_data.h
//   /metrics   for Prometheus, see batching/show/metrics.h
//   /healthz   200: the event loop turns
//   /readyz    200: pgfold lets clients in, and the server was reached within the last seconds
//
// A page that a browser has loaded from elsewhere may not read what is shown on loopback: there, the Host that
// a request names must be an address or localhost (DNS rebinding).
#ifndef PGFOLD_PROXY_HTTP_REPLY_H
#define PGFOLD_PROXY_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include <microhttpd.h>

#define HTTP_CONNECTIONS 64

struct proxy;
struct http_replies;

struct http_replies *http_replies_create(struct proxy *p); // NULL: out of memory
// Those that wait for the server are answered when libmicrohttpd runs next.
void http_replies_resume(struct http_replies *r);
// The end: all that wait go on.
void http_replies_resume_all(struct http_replies *r);
// Goes on with what is made in slices (report_making.h). And: is there more to do, REPORT_PAUSE later?
void http_replies_work(struct http_replies *r);
bool http_replies_works(const struct http_replies *r);
void http_replies_free(struct http_replies *r); // takes NULL

// The callback for libmicrohttpd; arg: struct http_replies.
enum MHD_Result http_reply(void *arg, struct MHD_Connection *c, const char *path, const char *method,
                           const char *version, const char *upload, size_t *upload_len, void **context);

#endif
