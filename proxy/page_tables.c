// SPDX-License-Identifier: PostgreSQL
#include "proxy/page_tables.h"

#include <stdio.h>
#include <string.h>

#include "batching/session/counters.h"
#include "batching/session/figures.h"
#include "batching/show/human.h"
#include "proxy/proxy.h"

// ---- outcomes

static void put_segment(const struct page *g, const char *name, double from, double width) {
    char rect[200];
    snprintf(rect, sizeof rect,
             "<rect class=\"c-%s\" x=\"%.2f\" width=\"%.2f\" height=\"18\"><title>%s</title></rect>", name,
             from, width > 3 ? width - 2 : width, name);
    page_put(g, rect);
}

void page_bar(const struct page *g) {
    double from = 0, all = (double)g->totals.asked;
    if (!g->totals.asked)
        return;
    page_put(g,
             "<svg class=\"bar\" viewBox=\"0 0 1000 18\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    for (size_t i = 0; i < PAGE_OUTCOMES; i++) {
        double width = 1000 * (double)g->totals.by[page_outcomes[i].outcome] / all;
        if (width > 0)
            put_segment(g, page_outcomes[i].name, from, width);
        from += width;
    }
    page_put(g, "</svg>");
}

static void put_quantile(const struct page *g, const char *label, const struct histogram *h,
                         unsigned per_mille) {
    uint64_t us = histogram_quantile(h, per_mille);
    page_cell(g, label, false);
    if (us == UINT64_MAX || us <= histogram_times[0]) {
        page_put(g, us == UINT64_MAX ? "&gt; 10 s" : "&lt; 50 µs");
    } else {
        page_put(g, "≈ ");
        human_time(g->out, us);
    }
    page_end_cell(g);
}

static void put_nothing(const struct page *g, const char *label) {
    page_cell(g, label, true);
    page_put(g, "–");
    page_end_cell(g);
}

static const struct {
    const char *label;
    unsigned per_mille;
} quantiles[] = {{"p50", 500}, {"p95", 950}, {"p99", 990}};

static void put_latencies(const struct page *g, const struct histogram *h) {
    uint64_t n = histogram_total(h);
    if (n) {
        page_cell(g, "mean", false);
        if (h->sum < n)
            page_put(g, "&lt; 1 µs");
        else
            human_time(g->out, h->sum / n);
        page_end_cell(g);
    } else {
        put_nothing(g, "mean");
    }
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        if (n)
            put_quantile(g, quantiles[i].label, h, quantiles[i].per_mille);
        else
            put_nothing(g, quantiles[i].label);
}

void page_answered(const struct page *g) {
    for (size_t i = 0; i < PAGE_OUTCOMES; i++) {
        uint64_t n = g->totals.by[page_outcomes[i].outcome];
        page_put(g, "<tr><th scope=\"row\"><svg class=\"swatch\" viewBox=\"0 0 11 11\" aria-hidden=\"true\">"
                    "<rect width=\"11\" height=\"11\" class=\"c-");
        page_put(g, page_outcomes[i].name);
        page_put(g, "\"/></svg>");
        page_put(g, page_outcomes[i].name);
        page_put(g, "<span class=\"small\">");
        page_put(g, page_outcomes[i].how);
        page_put(g, "</span></th>");
        page_count_cell(g, "statements", n);
        page_share_cell(g, "share", n, g->totals.asked);
        put_latencies(g, &g->figures->took[page_outcomes[i].outcome]);
        page_end_row(g);
    }
}

// Mode observe: the same, as an estimate.
void page_would(const struct page *g) {
    const struct engine_counters *c = g->counters;
    const struct {
        const char *name, *about;
        uint64_t n;
    } rows[] = {
        {"would be folded", "lookups, from batches of concurrent ones", c->would_fold},
        {"would be answered ahead", "lookups, from rows loaded ahead for loops", c->would_ahead},
        {"would be sent", "statements that would reach the server, batches among them", c->would_send}};
    if (!g->observes)
        return;
    page_put(
        g, "<table><thead><tr><th scope=\"col\">In mode fold</th><th scope=\"col\" class=\"n\">Estimate</th>"
           "</tr></thead><tbody>");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        page_begin_row(g, rows[i].name, rows[i].about);
        page_cell(g, "", !rows[i].n);
        page_put(g, "≈ ");
        human_count(g->out, rows[i].n);
        page_end_cell(g);
        page_end_row(g);
    }
    page_put(g, "</tbody></table>");
}

// ---- reasons

// The most frequent one that is not below `below`, or comes behind `behind` with as many; REASON_COUNT: none.
static int next_reason(const uint64_t n[REASON_COUNT], uint64_t below, int behind) {
    int best = REASON_COUNT;
    for (int r = 0; r < REASON_COUNT; r++)
        if (n[r] && (n[r] < below || (n[r] == below && r > behind)) &&
            (best == REASON_COUNT || n[r] > n[best]))
            best = r;
    return best;
}

static void put_reasons(const struct page *g, const uint64_t n[REASON_COUNT], uint64_t whole,
                        const char *none) {
    uint64_t below = UINT64_MAX;
    int r = -1;
    bool any = false;
    while ((r = next_reason(n, below, r)) != REASON_COUNT) {
        page_begin_row(g, reason_name((enum reason)r), reason_text((enum reason)r));
        page_count_cell(g, "", n[r]);
        page_share_cell(g, "", n[r], whole);
        page_end_row(g);
        below = n[r];
        any = true;
    }
    if (!any)
        page_only_row(g, 3, none);
}

void page_forwarded(const struct page *g) {
    put_reasons(g, g->counters->forwarded, g->totals.by[OUTCOME_FORWARDED], "Nothing was forwarded yet.");
}

void page_alone(const struct page *g) {
    put_reasons(g, g->counters->not_folded, g->totals.by[OUTCOME_ALONE],
                "None: those that ran alone had no company.");
}

// ---- connections

void page_connections(const struct page *g) {
    static const struct {
        const char *name, *about;
        int client, server;
    } rows[] = {{"active", "a statement is under way", CLIENT_ACTIVE, SERVER_ACTIVE},
                {"idle in transaction", NULL, CLIENT_IDLE_IN_TRANSACTION, SERVER_IDLE_IN_TRANSACTION},
                {"idle", NULL, CLIENT_IDLE, SERVER_IDLE},
                {"logging in", NULL, CLIENT_LOGIN, SERVER_LOGIN},
                {"closing", NULL, CLIENT_CLOSING, -1},
                {"lending", "the client has gone, its connection still runs something", -1, SERVER_LENDING}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        page_begin_row(g, rows[i].name, rows[i].about);
        if (rows[i].client < 0)
            page_put(g, "<td></td>");
        else
            page_count_cell(g, "", g->outside.clients[rows[i].client]);
        if (rows[i].server < 0)
            page_put(g, "<td></td>");
        else
            page_count_cell(g, "", g->outside.servers[rows[i].server]);
        page_end_row(g);
    }
}

static void put_figure(const struct page *g, const char *name, const char *about, uint64_t n) {
    page_begin_row(g, name, about);
    page_count_cell(g, "", n);
    page_end_row(g);
}

void page_inside(const struct page *g) {
    const struct engine_counters *c = g->counters;
    put_figure(g, "batches", "of concurrent lookups and of rows loaded ahead, that succeeded",
               c->in_ok + c->lateral_ok);
    put_figure(g, "batches that failed", "their lookups ran as sent", c->in_failed + c->lateral_failed);
    put_figure(
        g, g->observes ? "keys that would be loaded ahead and asked for" : "keys loaded ahead and asked for",
        g->observes ? "an estimate" : NULL, c->ahead_first);
    put_figure(g, g->observes ? "keys that would be loaded ahead in vain" : "keys loaded ahead in vain",
               g->observes ? "an estimate" : "never asked for, or dropped for a write, a pause or their age",
               c->ahead_unused + c->ahead_stale);
    put_figure(g, "connections accepted", NULL, g->outside.accepted);
    put_figure(g, "connections refused", NULL, g->outside.refused);
    page_begin_row(g, "event loop’s turn", "p99; what comes meanwhile waits for so long");
    if (histogram_total(&g->figures->lag))
        put_quantile(g, "", &g->figures->lag, 990);
    else
        put_nothing(g, "");
    page_end_row(g);
}

void page_databases(const struct page *g) {
    bool any = false;
    for (unsigned i = 0; i <= FIGURES_DATABASES; i++) {
        const struct database_figures *d = &g->figures->databases[i];
        if (!d->name[0])
            continue;
        any = true;
        page_begin_row(g, d->name, NULL);
        for (size_t j = 0; j < PAGE_OUTCOMES; j++)
            page_count_cell(g, page_outcomes[j].name, d->answered[page_outcomes[j].outcome]);
        page_count_cell(g, "errors", d->failed);
        page_end_row(g);
    }
    if (!any)
        page_only_row(g, 7, "Nobody has logged in yet.");
}

// ---- settings

// It may be broken behind a dot and a line, and nowhere else.
static void put_key(const struct page *g, const char *key) {
    for (; *key; key++) {
        buf_put_u8(g->out, (uint8_t)*key);
        if (*key == '.' || *key == '_')
            page_put(g, "<wbr>");
    }
}

void page_settings(const struct page *g) {
    const struct settings *s = g->proxy->settings;
    const char *key, *initial, *description;
    for (size_t i = 0; config_describe(i, &key, &initial, &description); i++) {
        char value[1024];
        settings_shown(s, i, value, sizeof value);
        page_put(g, "<tr><th scope=\"row\"><code>");
        put_key(g, key);
        page_put(g, s->config->places[i].name ? "</code></th><td><code class=\"set\">"
                                              : "</code></th><td><code>");
        human_text(g->out, value[0] ? value : "–");
        page_put(g, "</code></td><td class=\"wide\"><span class=\"small\">");
        human_text(g->out, description);
        page_put(g, "</span></td></tr>");
    }
}
