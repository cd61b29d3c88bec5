// SPDX-License-Identifier: PostgreSQL
#include "proxy/http_reply.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "batching/show/metrics.h"
#include "protocol/buf.h"
#include "proxy/census.h"
#include "proxy/http_kept.h"
#include "proxy/page.h"
#include "proxy/page_data.h"
#include "proxy/page_files.h"
#include "proxy/reach.h"
#include "proxy/report_making.h"
#include "proxy/report_words.h"

#define METRICS_MOST (4u << 20) // bytes
#define REPORT_MOST  (16u << 20)
#define REPORT_AGAIN 1000000 // microseconds until it is tried again

struct http_replies {
    struct proxy *proxy;
    struct kept metrics[METRICS_FORMATS], page, stats, history, report[REPORT_FORMATS];
    struct MHD_Connection *waiting[HTTP_CONNECTIONS]; // suspended until the server has answered
    unsigned n_waiting;
    struct report_making making;
    struct MHD_Connection *reports[HTTP_CONNECTIONS]; // suspended until it is made
    unsigned n_reports;
    uint64_t report_failed; // microseconds: when one could not be made
    struct kept_time time;  // of all that are kept
};

// ---- answers

static enum MHD_Result send_text(struct MHD_Connection *c, unsigned status, const char *text) {
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    http_add_headers(r, "text/plain; charset=utf-8");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, "Allow", "GET, HEAD");
    enum MHD_Result done = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result send_kept(struct http_replies *r, struct MHD_Connection *c, struct kept *k,
                                 kept_write *write, int which, uint32_t most, const char *type) {
    struct MHD_Response *kept = kept_take(k, &r->time, r->proxy, write, which, most, type);
    return kept ? MHD_queue_response(c, MHD_HTTP_OK, kept)
                : send_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
}

// ---- /metrics

static void write_metrics(struct proxy *p, int format, struct buf *out) {
    struct show_outside o = census_take(p);
    metrics_write(out, p->engine, &o, (enum metrics_format)format);
}

static enum MHD_Result send_metrics(struct http_replies *r, struct MHD_Connection *c) {
    enum metrics_format format =
        metrics_format_for(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept"));
    return send_kept(r, c, &r->metrics[format], write_metrics, (int)format, METRICS_MOST,
                     metrics_content_type(format));
}

// ---- the report

static const char *report_type(enum report_format f) {
    return f == REPORT_JSON ? "application/json" : "text/html; charset=utf-8";
}

// What waits is looked at anew when one report is there: one of another form may be wanted next.
static enum MHD_Result send_report(struct http_replies *r, struct MHD_Connection *c, enum report_format f) {
    struct kept *k = &r->report[f];
    if (kept_is_good(k, &r->time))
        return MHD_queue_response(c, MHD_HTTP_OK, k->response);
    if (proxy_now() < r->report_failed + REPORT_AGAIN || r->n_reports == HTTP_CONNECTIONS ||
        (!r->making.runs && !report_making_begin(&r->making, r->proxy, f, REPORT_MOST)))
        return send_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    MHD_suspend_connection(c);
    r->reports[r->n_reports++] = c;
    return MHD_YES;
}

bool http_replies_works(const struct http_replies *r) {
    return r->making.runs;
}

void http_replies_work(struct http_replies *r) {
    struct report_making *m = &r->making;
    if (!report_making_go_on(m, r->proxy))
        return;
    r->report_failed = m->out.failed ? proxy_now() : 0;
    kept_put(&r->report[m->format], &r->time, &m->out, m->cost, report_type(m->format));
    report_making_end(m);
    while (r->n_reports)
        MHD_resume_connection(r->reports[--r->n_reports]);
}

// ---- the page

// A file of the page: a browser that has it asks whether it is still the same.
static enum MHD_Result send_file(struct MHD_Connection *c, const struct page_file *f) {
    const char *has = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-None-Match");
    bool same = has && (strstr(has, f->etag) || strcmp(has, "*") == 0);
    struct MHD_Response *r = MHD_create_response_from_buffer(same ? 0 : f->len, (void *)(uintptr_t)f->data,
                                                             MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    http_add_headers(r, f->type);
    MHD_add_response_header(r, "ETag", f->etag);
    MHD_add_response_header(r, "Cache-Control", "no-cache");
    enum MHD_Result done = MHD_queue_response(c, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return done;
}

// NULL: none. The template is no file of its own.
static const struct page_file *find_file(const char *path) {
    for (const struct page_file *f = page_files; f->path; f++)
        if (strcmp(f->path, path) == 0 && strcmp(path, PAGE_TEMPLATE) != 0)
            return f;
    return NULL;
}

// ---- /readyz

void http_replies_resume(struct http_replies *r) {
    while (r->n_waiting)
        MHD_resume_connection(r->waiting[--r->n_waiting]);
}

static enum MHD_Result send_ready(struct http_replies *r, struct MHD_Connection *c) {
    struct proxy *p = r->proxy;
    char text[300];
    if (p->draining)
        return send_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "pgfold is shutting down\n");
    switch (reach_ask(p->reach, proxy_now())) {
    case REACH_GOOD:
        return send_text(c, MHD_HTTP_OK, "ready\n");
    case REACH_BAD:
        snprintf(text, sizeof text, "the server cannot be reached: %s\n", p->reach->why);
        return send_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, text);
    case REACH_UNKNOWN:
        break;
    }
    if (r->n_waiting == HTTP_CONNECTIONS)
        return send_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests wait for the server\n");
    MHD_suspend_connection(c);
    r->waiting[r->n_waiting++] = c;
    return MHD_YES;
}

// ---- who may ask

static bool is_on_loopback(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (!info || getsockname(info->connect_fd, (struct sockaddr *)&a, &len) != 0)
        return true;
    if (a.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *six = &((struct sockaddr_in6 *)&a)->sin6_addr;
    return a.ss_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(six) ||
           (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

// A name could be one that somebody else's name server has pointed at this machine.
static bool names_us(const char *host) {
    char name[256];
    unsigned char address[16];
    size_t n = strlen(host), digits = 0;
    while (digits < n && host[n - 1 - digits] >= '0' && host[n - 1 - digits] <= '9')
        digits++;
    if (digits < n && host[n - 1 - digits] == ':')
        n -= digits + 1; // the port
    if (n >= sizeof name)
        return false;
    memcpy(name, host, n);
    name[n] = 0;
    if (n > 2 && name[0] == '[' && name[n - 1] == ']') {
        name[n - 1] = 0;
        return inet_pton(AF_INET6, name + 1, address) == 1;
    }
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1;
}

// ---- all

enum MHD_Result http_reply(void *arg, struct MHD_Connection *c, const char *path, const char *method,
                           const char *version, const char *upload, size_t *upload_len, void **context) {
    struct http_replies *r = arg;
    (void)version;
    (void)upload;
    (void)upload_len;
    (void)context;
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return send_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
    if (host && is_on_loopback(c) && !names_us(host))
        return send_text(
            c, MHD_HTTP_FORBIDDEN,
            "this address is asked for by a name that is not its own: use 127.0.0.1 or localhost\n");
    if (strcmp(path, "/metrics") == 0)
        return send_metrics(r, c);
    if (strcmp(path, "/report.json") == 0)
        return send_report(r, c, REPORT_JSON);
    if (strcmp(path, "/report") == 0)
        return send_report(r, c, REPORT_HTML);
    if (strcmp(path, "/healthz") == 0)
        return send_text(c, MHD_HTTP_OK, "alive\n");
    if (strcmp(path, "/readyz") == 0)
        return send_ready(r, c);
    if (strcmp(path, "/") == 0)
        return send_kept(r, c, &r->page, page_write, 0, PAGE_MOST, "text/html; charset=utf-8");
    if (strcmp(path, "/stats.json") == 0)
        return send_kept(r, c, &r->stats, page_write_stats, 0, PAGE_DATA_MOST, "application/json");
    if (strcmp(path, "/history.json") == 0)
        return send_kept(r, c, &r->history, page_write_history, 0, PAGE_DATA_MOST, "application/json");
    const struct page_file *f = find_file(path);
    if (f)
        return send_file(c, f);
    return send_text(c, MHD_HTTP_NOT_FOUND, "there is nothing here: see /\n");
}

struct http_replies *http_replies_create(struct proxy *p) {
    struct http_replies *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->proxy = p;
    return r;
}

void http_replies_resume_all(struct http_replies *r) {
    http_replies_resume(r);
    while (r->n_reports)
        MHD_resume_connection(r->reports[--r->n_reports]);
}

void http_replies_free(struct http_replies *r) {
    if (!r)
        return;
    for (int i = 0; i < METRICS_FORMATS; i++)
        kept_drop(&r->metrics[i]);
    for (int i = 0; i < REPORT_FORMATS; i++)
        kept_drop(&r->report[i]);
    report_making_end(&r->making);
    kept_drop(&r->page);
    kept_drop(&r->stats);
    kept_drop(&r->history);
    free(r);
}
