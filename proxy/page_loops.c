// SPDX-License-Identifier: PostgreSQL
#include "proxy/page_loops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/report/tag_text.h"
#include "batching/report/tags.h"
#include "batching/session/engine.h"
#include "batching/show/human.h"
#include "proxy/proxy.h"

#define PAGE_LOOP_TAGS 3 // sets of one loop

// The list, and what is asked for its rows.
static void put_name(const struct page *g, const struct loop *l) {
    const char *parent = loop_text(l, LOOP_PARENT_TABLE), *child = loop_text(l, LOOP_CHILD_TABLE);
    char link[80];
    snprintf(link, sizeof link, "<a href=\"/report#%016" PRIx64 "\"><bdi>", l->id);
    page_put(g, link);
    if (*parent) {
        human_text(g->out, parent);
        page_put(g, " → ");
    }
    human_text(g->out, *child ? child : "lookups of one statement");
    page_put(g, "</bdi></a>");
}

static void put_about(const struct page *g, const struct loop *l) {
    const char *application = loop_text(l, LOOP_APPLICATION);
    page_put(g, l->proven ? "<span class=\"small\">proven: the keys come from a list · "
                          : "<span class=\"small\">candidate: its list is not known · ");
    human_text(g->out, loop_text(l, LOOP_DATABASE));
    if (*application) {
        page_put(g, " · <bdi>");
        human_text(g->out, application);
        page_put(g, "</bdi>");
    }
    page_put(g, "</span><code class=\"statement\">");
    human_text(g->out, loop_text(l, LOOP_CHILD_STATEMENT));
    page_put(g, "</code>");
}

// Names and values but those of the place in the code, and that place behind them.
static void put_set(const struct page *g, const struct tag_set *set) {
    char site[2 * TAGS_LONGEST];
    const char *at = NULL, *name, *value;
    bool any = false;
    page_put(g, "<bdi class=\"tags\">");
    while (tags_next(set, &at, &name, &value)) {
        enum tag_role role = tag_text_role(name);
        if (role == TAG_FILE || role == TAG_LINE || strcmp(name, "application_name") == 0)
            continue;
        page_put(g, any ? " " : "");
        human_text(g->out, name);
        page_put(g, "=");
        human_text(g->out, value);
        any = true;
    }
    if (tags_call_site(set, site, sizeof site)) {
        page_put(g, any ? " · " : "");
        human_text(g->out, site);
    }
    page_put(g, "</bdi>");
}

// The application's name stands with the loop's.
static bool tells_more(const struct tag_set *set) {
    const char *at = NULL, *name, *value;
    while (tags_next(set, &at, &name, &value))
        if (strcmp(name, "application_name") != 0)
            return true;
    return false;
}

// The newest sets, which a loop that goes on has; the report has all.
static void put_tags_cell(const struct page *g, const struct loop *l) {
    const struct tags *t = &g->proxy->engine->report.tags;
    unsigned n = 0;
    page_put(g, "<td class=\"who\" data-label=\"asked by\">");
    for (unsigned i = l->n_tags; i-- && n < PAGE_LOOP_TAGS;) {
        const struct tag_set *set = tags_at(t, l->tags[i]);
        bool more = set && tells_more(set);
        if (more)
            put_set(g, set);
        n += more;
    }
    if (!n)
        page_put(g, l->more_tags ? "(other)" : "–");
    if (n && (l->n_tags > n || l->more_tags))
        page_put(g, "<span class=\"small\">and others</span>");
    page_end_cell(g);
}

static void put_time_cell(const struct page *g, const char *label, uint64_t us, bool estimate) {
    page_cell(g, label, !us);
    if (estimate)
        page_put(g, "≈ ");
    human_time(g->out, us);
    page_end_cell(g);
}

static void put_loop(const struct page *g, const struct loop *l, bool observes) {
    page_put(g, "<tr><th scope=\"row\">");
    put_name(g, l);
    put_about(g, l);
    page_put(g, "</th>");
    put_tags_cell(g, l);
    page_count_cell(g, "pages", l->pages);
    page_count_cell(g, "asked", l->of.asked);
    page_cell(g, observes ? "would be sent" : "sent", !l->of.sent);
    page_put(g, observes ? "≈ " : "");
    human_count(g->out, l->of.sent);
    page_end_cell(g);
    put_time_cell(g, "waited", l->of.waited, false);
    put_time_cell(g, "one by one", l->of.alone, !observes);
    page_end_row(g);
}

static void put_head(const struct page *g, bool observes) {
    page_put(g, observes
                    ? "<p class=\"about\">What mode fold would have sent (≈) is an estimate."
                    : "<p class=\"about\">What the lookups would have taken one by one (≈) is an estimate.");
    page_put(
        g, " The <a href=\"/report\">report</a> says what to write instead.</p><table class=\"stack loops\">"
           "<thead><tr><th scope=\"col\">Loop</th><th scope=\"col\" class=\"who\">Asked by</th>"
           "<th scope=\"col\" class=\"n\">Pages</th>"
           "<th scope=\"col\" class=\"n\">Asked</th><th scope=\"col\" class=\"n\">");
    page_put(g, observes ? "Would be sent" : "Sent");
    page_put(
        g, "</th><th scope=\"col\" class=\"n\">Waited</th><th scope=\"col\" class=\"n\">One by one</th></tr>"
           "</thead><tbody>");
}

static void put_rest(const struct page *g, unsigned n) {
    if (!n)
        return;
    page_put(g, "<p class=\"about\">");
    human_count(g->out, n);
    page_put(g, n == 1 ? " more is in the <a href=\"/report\">report</a>.</p>"
                       : " more are in the <a href=\"/report\">report</a>.</p>");
}

void page_loops(const struct page *g) {
    const struct loops *all = &g->proxy->engine->report.loops;
    bool observes = g->proxy->engine->limits.observe;
    uint32_t *order = malloc((all->n + 1) * sizeof *order);
    const struct loop *l = order ? loops_by_cost(all, 0, order) : NULL;
    unsigned n = 0;
    for (unsigned i = 0; l; l = loops_by_cost(all, ++i, order)) {
        if (!l->of.asked)
            continue;
        if (!n)
            put_head(g, observes);
        if (n++ < PAGE_LOOPS)
            put_loop(g, l, observes);
    }
    free(order);
    page_put(g, n ? "</tbody></table>" : "<p class=\"about\">No loop was seen yet.</p>");
    put_rest(g, n > PAGE_LOOPS ? n - PAGE_LOOPS : 0);
}
