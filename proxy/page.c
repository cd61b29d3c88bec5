// SPDX-License-Identifier: PostgreSQL
#include "proxy/page.h"

#include <stdio.h>
#include <string.h>

#include "batching/session/counters.h"
#include "batching/session/figures.h"
#include "batching/session/session_state.h"
#include "batching/show/human.h"
#include "proxy/census.h"
#include "proxy/page_data.h"
#include "proxy/page_files.h"
#include "proxy/page_loops.h"
#include "proxy/page_tables.h"
#include "proxy/page_time.h"
#include "proxy/proxy.h"

#define RATE_SECONDS 3 // what "a second" is the mean of

// ---- the head

static void put_time(const struct page *g, uint64_t us) {
    char text[40];
    page_time_text(page_time_of(g->time, us), text, sizeof text);
    page_put(g, text);
}

static void put_facts(const struct page *g) {
    bool folds = strcmp(g->outside.mode, "fold") == 0;
    page_put(g, folds ? "<span class=\"mode\">mode " : "<span class=\"mode watch\">mode ");
    page_put(g, g->outside.mode);
    page_put(g, g->proxy->paused ? ", paused</span>" : "</span>");
    page_put(g, "<span>version ");
    page_put(g, g->outside.version);
    page_put(g, "</span><span>up ");
    human_time(g->out, (g->time.now - g->proxy->history.began) / 1000000 * 1000000);
    page_put(g, "</span>");
}

static void put_now(const struct page *g) {
    put_time(g, g->time.now);
}

static void put_since(const struct page *g) {
    put_time(g, page_since(g->proxy));
}

static void put_notice(const struct page *g) {
    bool observes = strcmp(g->outside.mode, "observe") == 0;
    if (g->proxy->draining)
        page_put(g,
                 "<p class=\"notice\"><strong>pgfold is shutting down.</strong> Nobody is let in any more; "
                 "sessions end one by one.</p>");
    if (g->proxy->paused)
        page_put(
            g,
            "<p class=\"notice\"><strong>Folding is paused</strong> from the console: every statement goes "
            "to the server as it comes, until RESUME FOLDING.</p>");
    else if (observes)
        page_put(
            g,
            "<p class=\"notice\"><strong>Mode observe: nothing is changed.</strong> Every statement goes to "
            "the server as it comes. What mode fold would make of them is an estimate, and is called "
            "“would be”.</p>");
    else if (strcmp(g->outside.mode, "verify") == 0)
        page_put(
            g,
            "<p class=\"notice\"><strong>Mode verify: clients get the server’s own answers.</strong> Folded "
            "ones are made beside them and compared.</p>");
}

// ---- rates

static void put_rate(const struct page *g, const char *class, const char *label, uint64_t n, uint64_t us) {
    page_put(g, "<div class=\"");
    page_put(g, class);
    page_put(g, "\"><dt>");
    page_put(g, label);
    page_put(g, "</dt><dd>");
    if (us)
        human_rate(g->out, n, us);
    else
        page_put(g, "–");
    page_put(g, "</dd></div>");
}

static void put_rates(const struct page *g) {
    struct history_second s = history_sum(&g->proxy->history, RATE_SECONDS);
    put_rate(g, "asked", "asked by clients", s.asked, s.took);
    put_rate(g, g->observes ? "plain" : "sent", "sent to PostgreSQL", s.sent, s.took);
    s = history_observed(&g->proxy->history, RATE_SECONDS);
    if (g->observes)
        put_rate(g, "sent", "would be sent <span class=\"estimate\">estimate</span>", s.would, s.took);
}

static void put_minute(const struct page *g, unsigned first, unsigned n) {
    struct history_second sum = {0};
    for (unsigned i = first; i < first + n; i++) {
        const struct history_second *s = history_at(&g->proxy->history, i);
        sum.took += s->took;
        sum.asked += s->asked;
        sum.sent += s->sent;
        sum.ended = s->ended;
    }
    page_put(g, "<tr><th scope=\"row\">until ");
    put_time(g, sum.ended);
    page_put(g, "</th><td class=\"n\">");
    human_rate(g->out, sum.asked, sum.took);
    page_put(g, "</td><td class=\"n\">");
    human_rate(g->out, sum.sent, sum.took);
    page_put(g, "</td></tr>");
}

static void put_minutes(const struct page *g) {
    unsigned n = g->proxy->history.n;
    if (!n)
        page_only_row(g, 3, "No second has passed yet.");
    for (unsigned end = n; end; end -= end < 60 ? end : 60)
        put_minute(g, end < 60 ? 0 : end - 60, end < 60 ? end : 60);
}

// ---- what is said at once

static void begin_tile(const struct page *g, const char *label) {
    page_put(g, "<div><dt>");
    page_put(g, label);
    page_put(g, "</dt><dd class=\"figure\">");
}

static void put_spared(const struct page *g) {
    uint64_t asked = g->totals.asked, sent = g->totals.sent;
    begin_tile(g, "Statements spared the server");
    if (sent < asked)
        human_share(g->out, asked - sent, asked);
    else
        page_put(g, asked ? "0 %" : "–");
    page_put(g, "</dd><dd class=\"how\">");
    human_count(g->out, asked);
    page_put(g, " asked, ");
    human_count(g->out, sent);
    page_put(g, " sent, pgfold’s own among them</dd></div>");
}

static void put_saved(const struct page *g) {
    begin_tile(g, "Server time saved");
    human_time(g->out, figures_saved(g->figures));
    page_put(
        g, " <span class=\"estimate\">estimate</span></dd>"
           "<dd class=\"how\">for each lookup not sent, the time of the fastest statement and a key’s share "
           "of its batch; less what batches took</dd></div>");
}

// Of the seconds that are remembered, since the mode may have been another one before.
static void put_would_be_spared(const struct page *g) {
    struct history_second s = history_observed(&g->proxy->history, HISTORY_SECONDS);
    begin_tile(g, "Statements that would be spared");
    if (s.would < s.asked)
        human_share(g->out, s.asked - s.would, s.asked);
    else
        page_put(g, s.asked ? "0 %" : "–");
    page_put(g, " <span class=\"estimate\">estimate</span></dd><dd class=\"how\">");
    human_count(g->out, s.asked);
    page_put(g, " asked in the last ");
    human_time(g->out, s.took / 1000000 * 1000000ull);
    page_put(g, "; ");
    human_count(g->out, s.would);
    page_put(g, " would have been sent</dd></div>");
}

static void put_tiles(const struct page *g) {
    struct engine_memory_use m = engine_memory_use(g->proxy->engine);
    if (g->observes) {
        put_would_be_spared(g);
    } else {
        put_spared(g);
        put_saved(g);
    }
    begin_tile(g, "Rows held, loaded ahead");
    human_bytes(g->out, m.held);
    page_put(g, "</dd><dd class=\"how\">of ");
    human_bytes(g->out, m.used);
    page_put(g, " in all; limit ");
    if (m.limit)
        human_bytes(g->out, m.limit);
    else
        page_put(g, "none");
    page_put(g, "</dd></div>");
}

// ---- loops

// ---- all

static const struct {
    const char *name;
    void (*put)(const struct page *g);
} places[] = {{"facts", put_facts},        {"now", put_now},
              {"notice", put_notice},      {"rates", put_rates},
              {"minutes", put_minutes},    {"tiles", put_tiles},
              {"since", put_since},        {"bar", page_bar},
              {"answered", page_answered}, {"would", page_would},
              {"loops", page_loops},       {"forwarded", page_forwarded},
              {"alone", page_alone},       {"connections", page_connections},
              {"inside", page_inside},     {"databases", page_databases},
              {"settings", page_settings}};

static void put_place(const struct page *g, const char *name, size_t len) {
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strlen(places[i].name) == len && memcmp(places[i].name, name, len) == 0)
            places[i].put(g);
}

static void fill(const struct page *g, const char *template) {
    const char *open, *close;
    while ((open = strstr(template, "{{")) && (close = strstr(open, "}}"))) {
        buf_put(g->out, template, (size_t)(open - template));
        put_place(g, open + 2, (size_t)(close - open - 2));
        template = close + 2;
    }
    page_put(g, template);
}

void page_write(struct proxy *p, int which, struct buf *out) {
    const struct engine_counters *c = engine_counters(p->engine);
    const struct page g = {.proxy = p,
                           .out = out,
                           .counters = c,
                           .figures = engine_figures(p->engine),
                           .totals = history_totals(c),
                           .outside = census_take(p),
                           .time = page_time_now(),
                           .observes = settings_observe(p->settings) && !p->paused};
    (void)which;
    for (const struct page_file *f = page_files; f->path; f++)
        if (strcmp(f->path, PAGE_TEMPLATE) == 0)
            fill(&g, (const char *)f->data);
}
