// SPDX-License-Identifier: PostgreSQL
#include "proxy/page_data.h"

#include <jansson.h>
#include <string.h>

#include "batching/session/counters.h"
#include "batching/session/figures.h"
#include "batching/session/session_state.h"
#include "batching/show/text.h"
#include "proxy/census.h"
#include "proxy/page_cells.h"
#include "proxy/page_time.h"
#include "proxy/proxy.h"

// Every function below makes NULL when memory is out; jansson's _new functions take that and fail in turn.

static void put(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value);
}

static void put_number(json_t *object, const char *key, uint64_t n) {
    put(object, key, json_integer(n < INT64_MAX ? (json_int_t)n : INT64_MAX));
}

static void put_seconds(json_t *object, const char *key, uint64_t us) {
    put(object, key, json_real((double)us / 1e6));
}

// Whatever bytes a name has.
static void put_name(json_t *object, const char *key, const char *name) {
    struct buf b = buf_make(1000);
    text_plain(&b, name);
    put(object, key, json_stringn((const char *)b.data, b.len));
    buf_free(&b);
}

// ---- figures

static json_t *statements(const struct engine_counters *c) {
    struct history_totals t = history_totals(c);
    json_t *o = json_object();
    put_number(o, "asked", t.asked);
    put_number(o, "sent", t.sent);
    for (size_t i = 0; i < PAGE_OUTCOMES; i++)
        put_number(o, page_outcomes[i].name, t.by[page_outcomes[i].outcome]);
    return o;
}

// In mode observe.
static json_t *would_be(const struct engine_counters *c) {
    json_t *o = json_object();
    put_number(o, "folded_estimate", c->would_fold);
    put_number(o, "ahead_estimate", c->would_ahead);
    put_number(o, "sent_estimate", c->would_send);
    return o;
}

static json_t *by_reason(const uint64_t n[REASON_COUNT]) {
    json_t *o = json_object();
    for (int r = 0; r < REASON_COUNT; r++)
        if (n[r])
            put_number(o, reason_name((enum reason)r), n[r]);
    return o;
}

// Quantiles are estimates: where in its bucket a value lies is not known. NULL: above the last bound.
static void put_quantile(json_t *o, const char *key, const struct histogram *h, unsigned per_mille) {
    uint64_t us = histogram_quantile(h, per_mille);
    put(o, key, us == UINT64_MAX ? json_null() : json_real((double)us / 1e6));
}

static json_t *latency(const struct histogram *h) {
    uint64_t n = histogram_total(h);
    json_t *o = json_object();
    put_number(o, "count", n);
    put_seconds(o, "sum_seconds", h->sum);
    put_quantile(o, "p50_estimate", h, 500);
    put_quantile(o, "p95_estimate", h, 950);
    put_quantile(o, "p99_estimate", h, 990);
    return o;
}

static json_t *latencies(const struct figures *f) {
    json_t *o = json_object();
    for (size_t i = 0; i < PAGE_OUTCOMES; i++)
        put(o, page_outcomes[i].name, latency(&f->took[page_outcomes[i].outcome]));
    put(o, "loop_lag", latency(&f->lag));
    return o;
}

static json_t *databases(const struct figures *f) {
    json_t *all = json_array();
    for (unsigned i = 0; i <= FIGURES_DATABASES; i++) {
        const struct database_figures *d = &f->databases[i];
        if (!d->name[0])
            continue;
        json_t *o = json_object();
        put_name(o, "name", d->name);
        for (size_t j = 0; j < PAGE_OUTCOMES; j++)
            put_number(o, page_outcomes[j].name, d->answered[page_outcomes[j].outcome]);
        put_number(o, "failed", d->failed);
        json_array_append_new(all, o);
    }
    return all;
}

// ---- what there is now

#define X(name, label) label,
static const char *const client_states[] = {SHOW_CLIENT_STATES(X)};
static const char *const server_states[] = {SHOW_SERVER_STATES(X)};
#undef X

static json_t *by_state(const char *const *names, const uint64_t *n, unsigned states) {
    json_t *o = json_object();
    for (unsigned i = 0; i < states; i++)
        put_number(o, names[i], n[i]);
    return o;
}

static json_t *memory(const struct proxy *p) {
    struct engine_memory_use m = engine_memory_use(p->engine);
    json_t *o = json_object();
    put_number(o, "held_bytes", m.held);
    put_number(o, "used_bytes", m.used);
    put_number(o, "limit_bytes", m.limit);
    return o;
}

// ---- seconds

static json_t *second(const struct history_second *s, struct page_time t) {
    json_t *row = json_array();
    json_array_append_new(row, json_integer((json_int_t)page_time_of(t, s->ended)));
    json_array_append_new(row, json_integer(s->took / 1000));
    json_array_append_new(row, json_integer(s->asked));
    json_array_append_new(row, json_integer(s->sent));
    for (size_t i = 0; i < PAGE_OUTCOMES; i++)
        json_array_append_new(row, json_integer(s->by[page_outcomes[i].outcome]));
    json_array_append_new(row, s->would == HISTORY_UNKNOWN ? json_null() : json_integer(s->would));
    return row;
}

static json_t *seconds(const struct history *h, unsigned most, struct page_time t) {
    json_t *all = json_array();
    for (unsigned i = h->n > most ? h->n - most : 0; i < h->n; i++)
        json_array_append_new(all, second(history_at(h, i), t));
    return all;
}

static json_t *second_columns(void) {
    json_t *all = json_array();
    static const char *const first[] = {"ended_ms", "took_ms", "asked", "sent"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        json_array_append_new(all, json_string(first[i]));
    for (size_t i = 0; i < PAGE_OUTCOMES; i++)
        json_array_append_new(all, json_string(page_outcomes[i].name));
    json_array_append_new(all, json_string("would_be_sent_estimate"));
    return all;
}

static void put_history(json_t *o, const struct proxy *p, unsigned most, struct page_time t) {
    put(o, "second_columns", second_columns());
    put(o, "seconds", seconds(&p->history, most, t));
}

// ---- all

static int add_bytes(const char *bytes, size_t n, void *out) {
    buf_put(out, bytes, n);
    return 0;
}

static void put_json(json_t *o, struct buf *out) {
    out->failed |= !o || json_dump_callback(o, add_bytes, out, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0;
    buf_put_text(out, "\n");
    json_decref(o);
}

static void put_state(json_t *o, const struct proxy *p, const struct show_outside *outside,
                      struct page_time t) {
    put(o, "pgfold", json_string(outside->version));
    put(o, "mode", json_string(outside->mode));
    put(o, "paused", json_boolean(p->paused));
    put(o, "draining", json_boolean(p->draining));
    put_number(o, "now_ms", page_time_of(t, t.now));
    put_number(o, "started_ms", page_time_of(t, p->history.began));
    put_number(o, "since_ms", page_time_of(t, page_since(p)));
}

void page_write_stats(struct proxy *p, int which, struct buf *out) {
    const struct engine_counters *c = engine_counters(p->engine);
    const struct figures *f = engine_figures(p->engine);
    struct show_outside outside = census_take(p);
    struct page_time t = page_time_now();
    json_t *o = json_object();
    (void)which;
    put_state(o, p, &outside, t);
    put(o, "statements", statements(c));
    put(o, "would_be", would_be(c));
    put_seconds(o, "saved_seconds_estimate", figures_saved(f));
    put(o, "saved_how", json_string(PAGE_SAVED_HOW));
    put(o, "forwarded_by_reason", by_reason(c->forwarded));
    put(o, "alone_by_reason", by_reason(c->not_folded));
    put(o, "latency", latencies(f));
    put(o, "memory", memory(p));
    put(o, "clients", by_state(client_states, outside.clients, CLIENT_STATES));
    put(o, "server_connections", by_state(server_states, outside.servers, SERVER_STATES));
    put(o, "databases", databases(f));
    put_history(o, p, PAGE_RECENT, t);
    put_json(o, out);
}

void page_write_history(struct proxy *p, int which, struct buf *out) {
    struct page_time t = page_time_now();
    json_t *o = json_object();
    (void)which;
    put_number(o, "now_ms", page_time_of(t, t.now));
    put_history(o, p, HISTORY_SECONDS, t);
    put_json(o, out);
}
