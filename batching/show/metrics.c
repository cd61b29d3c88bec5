// SPDX-License-Identifier: PostgreSQL
#include "batching/show/metrics.h"

#include <string.h>

#include "batching/session/engine.h"
#include "batching/show/text.h"

struct sink {
    struct buf *out;
    bool open; // OpenMetrics
};

// ---- families and samples

// In OpenMetrics a counter's family is named without the _total of its samples.
static void put_family(const struct sink *m, const char *name, const char *type, const char *help) {
    size_t n = strlen(name);
    if (m->open && strcmp(type, "counter") == 0)
        n -= strlen("_total");
    for (int i = 0; i < 2; i++) {
        buf_put_text(m->out, i ? "# TYPE pgfold_" : "# HELP pgfold_");
        buf_put(m->out, name, n);
        buf_put_text(m->out, " ");
        buf_put_text(m->out, i ? type : help);
        buf_put_text(m->out, "\n");
    }
}

// `label` and `value`: one more label behind `labels`; NULL: none.
static void put_name(const struct sink *m, const char *name, const char *suffix, const char *labels,
                     const char *label, const char *value) {
    buf_put_text(m->out, "pgfold_");
    buf_put_text(m->out, name);
    buf_put_text(m->out, suffix);
    if (labels[0] || label)
        buf_put_text(m->out, "{");
    buf_put_text(m->out, labels);
    if (label) {
        buf_put_text(m->out, labels[0] ? "," : "");
        buf_put_text(m->out, label);
        buf_put_text(m->out, "=");
        text_label(m->out, value);
    }
    buf_put_text(m->out, labels[0] || label ? "} " : " ");
}

static void put_sample(const struct sink *m, const char *name, const char *labels, const char *label,
                       const char *value, uint64_t n) {
    put_name(m, name, "", labels, label, value);
    text_number(m->out, n);
    buf_put_text(m->out, "\n");
}

// ---- counters

static void put_by_reason(const struct sink *m, const struct engine_counters *c, const struct counter *k) {
    for (int r = 0; r < REASON_COUNT; r++) {
        uint64_t n = counter_value(c, k, (enum reason)r);
        if (r != REASON_NONE || n)
            put_sample(m, k->name, k->labels, "reason", reason_name((enum reason)r), n);
    }
}

static bool is_first_of_its_name(unsigned i) {
    for (unsigned j = 0; j < i; j++)
        if (strcmp(counter_at(i)->name, counter_at(j)->name) == 0)
            return false;
    return counter_at(i)->name[0];
}

static void put_counters(const struct sink *m, const struct engine_counters *c) {
    const struct counter *k, *same;
    for (unsigned i = 0; (k = counter_at(i)); i++) {
        if (!is_first_of_its_name(i))
            continue;
        put_family(m, k->name, k->kind == COUNTER_COUNTER ? "counter" : "gauge", k->help);
        for (unsigned j = i; (same = counter_at(j)); j++) {
            if (strcmp(same->name, k->name) != 0)
                continue;
            if (same->by_reason)
                put_by_reason(m, c, same);
            else
                put_sample(m, same->name, same->labels, NULL, NULL, counter_value(c, same, REASON_NONE));
        }
    }
}

// ---- histograms

static void put_value(const struct sink *m, enum histogram_kind kind, uint64_t n) {
    if (kind == HISTOGRAM_TIME)
        text_seconds(m->out, n);
    else
        text_number(m->out, n);
}

// OpenMetrics writes bounds with a point.
static void put_bound(const struct sink *m, enum histogram_kind kind, uint64_t n) {
    put_value(m, kind, n);
    if (m->open && (kind == HISTOGRAM_COUNT || n % 1000000 == 0))
        buf_put_text(m->out, ".0");
}

static void put_bucket(const struct sink *m, const char *name, const char *labels) {
    buf_put_text(m->out, "pgfold_");
    buf_put_text(m->out, name);
    buf_put_text(m->out, "_bucket{");
    buf_put_text(m->out, labels);
    buf_put_text(m->out, labels[0] ? ",le=\"" : "le=\"");
}

static void put_histogram(const struct sink *m, const char *name, const char *labels,
                          enum histogram_kind kind, const struct histogram *h) {
    const uint64_t *bounds = kind == HISTOGRAM_TIME ? histogram_times : histogram_counts;
    uint64_t below = 0;
    for (unsigned i = 0; i <= histogram_bounds(kind); i++) {
        below += h->n[i];
        put_bucket(m, name, labels);
        if (i < histogram_bounds(kind))
            put_bound(m, kind, bounds[i]);
        else
            buf_put_text(m->out, "+Inf");
        buf_put_text(m->out, "\"} ");
        text_number(m->out, below);
        buf_put_text(m->out, "\n");
    }
    put_name(m, name, "_sum", labels, NULL, NULL);
    put_value(m, kind, h->sum);
    buf_put_text(m->out, "\n");
    put_name(m, name, "_count", labels, NULL, NULL);
    text_number(m->out, below);
    buf_put_text(m->out, "\n");
}

static void put_histograms(const struct sink *m, const struct figures *f) {
    put_family(m, "lookup_duration_seconds", "histogram",
               "From a lookup's coming to its answer, by how it was answered");
    put_histogram(m, "lookup_duration_seconds", "outcome=\"folded\"", HISTOGRAM_TIME,
                  &f->took[OUTCOME_FOLDED]);
    put_histogram(m, "lookup_duration_seconds", "outcome=\"ahead\"", HISTOGRAM_TIME, &f->took[OUTCOME_AHEAD]);
    put_histogram(m, "lookup_duration_seconds", "outcome=\"alone\"", HISTOGRAM_TIME, &f->took[OUTCOME_ALONE]);
    put_family(m, "forwarded_duration_seconds", "histogram",
               "From a forwarded statement's coming to its answer");
    put_histogram(m, "forwarded_duration_seconds", "", HISTOGRAM_TIME, &f->took[OUTCOME_FORWARDED]);
    put_family(m, "batch_keys", "histogram",
               "Keys in a batch, of concurrent lookups or of rows loaded ahead");
    put_histogram(m, "batch_keys", "", HISTOGRAM_COUNT, &f->batch_keys);
    put_family(m, "batch_duration_seconds", "histogram", "From a batch's sending to its answer");
    put_histogram(m, "batch_duration_seconds", "", HISTOGRAM_TIME, &f->batch_took);
    put_family(m, "loop_lag_seconds", "histogram",
               "How long a turn of the event loop took: what came meanwhile waited for so long");
    put_histogram(m, "loop_lag_seconds", "", HISTOGRAM_TIME, &f->lag);
}

// ---- databases

static const struct {
    enum outcome outcome;
    const char *labels;
} outcomes[] = {{OUTCOME_FOLDED, "outcome=\"folded\""},
                {OUTCOME_AHEAD, "outcome=\"ahead\""},
                {OUTCOME_ALONE, "outcome=\"alone\""},
                {OUTCOME_FORWARDED, "outcome=\"forwarded\""},
                {OUTCOME_HERE, "outcome=\"here\""}};

static void put_databases(const struct sink *m, const struct figures *f) {
    put_family(m, "database_statements_total", "counter",
               "Statements of clients, when they are answered, by database and by how they were answered");
    for (unsigned i = 0; i <= FIGURES_DATABASES; i++)
        for (size_t j = 0; f->databases[i].name[0] && j < sizeof outcomes / sizeof *outcomes; j++)
            put_sample(m, "database_statements_total", outcomes[j].labels, "database", f->databases[i].name,
                       f->databases[i].answered[outcomes[j].outcome]);
}

// ---- what there is now

#define X(name, label) label,
static const char *const client_states[] = {SHOW_CLIENT_STATES(X)};
static const char *const server_states[] = {SHOW_SERVER_STATES(X)};
#undef X

static void put_one(const struct sink *m, const char *name, const char *type, const char *help, uint64_t n) {
    put_family(m, name, type, help);
    put_sample(m, name, "", NULL, NULL, n);
}

static void put_connections(const struct sink *m, const struct show_outside *o) {
    put_family(m, "clients", "gauge", "Connections of clients, by what they are at");
    for (unsigned i = 0; i < CLIENT_STATES; i++)
        put_sample(m, "clients", "", "state", client_states[i], o->clients[i]);
    put_family(m, "server_connections", "gauge",
               "Connections to the server, by what they are at; lending: its client has gone");
    for (unsigned i = 0; i < SERVER_STATES; i++)
        put_sample(m, "server_connections", "", "state", server_states[i], o->servers[i]);
    put_one(m, "client_connections_total", "counter", "Connections of clients that were accepted",
            o->accepted);
    put_one(m, "client_connections_refused_total", "counter", "Connections that pgfold turned away",
            o->refused);
}

static void put_state(const struct sink *m, const struct engine *e, const struct show_outside *o) {
    put_one(m, "held_bytes", "gauge", "Bytes of what was read and loaded ahead", e->aheads.bytes);
    put_one(m, "memory_bytes", "gauge", "Bytes that sessions, and what is remembered of statements, hold",
            e->memory.used);
    put_one(m, "memory_limit_bytes", "gauge", "The most that they may hold (max_memory); 0: no limit",
            e->memory.limit);
    put_family(
        m, "server_seconds_saved_total", "counter",
        "ESTIMATE of the time that the server and the way to it were spared: for each lookup that was not "
        "sent, the time of the fastest statement of late and a key's share of its batch, less what batches "
        "took");
    put_name(m, "server_seconds_saved_total", "", "", NULL, NULL);
    text_seconds(m->out, figures_saved(&e->figures));
    buf_put_text(m->out, "\n");
    put_one(m, "draining", "gauge", "1: pgfold is stopping", o->draining);
    put_family(m, "build_info", "gauge", "1; its labels say what runs");
    put_name(m, "build_info", "", "", "version", o->version);
    buf_put_text(m->out, "1\n");
    put_family(m, "mode_info", "gauge", "1; its label is the mode in force");
    put_name(m, "mode_info", "", "", "mode", o->mode);
    buf_put_text(m->out, "1\n");
}

// ---- all

void metrics_write(struct buf *out, const struct engine *e, const struct show_outside *o,
                   enum metrics_format format) {
    const struct sink m = {out, format == METRICS_OPEN};
    put_counters(&m, &e->counters);
    put_histograms(&m, &e->figures);
    put_databases(&m, &e->figures);
    put_connections(&m, o);
    put_state(&m, e, o);
    if (m.open)
        buf_put_text(out, "# EOF\n");
}

enum metrics_format metrics_format_for(const char *accept) {
    return accept && strstr(accept, "application/openmetrics-text") ? METRICS_OPEN : METRICS_TEXT;
}

const char *metrics_content_type(enum metrics_format format) {
    return format == METRICS_OPEN ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                  : "text/plain; version=0.0.4; charset=utf-8";
}
