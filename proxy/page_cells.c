// SPDX-License-Identifier: PostgreSQL
#include "proxy/page_cells.h"

#include <stdio.h>

#include "batching/show/human.h"

const struct page_outcome page_outcomes[PAGE_OUTCOMES] = {
    {OUTCOME_FOLDED, "folded", "lookups, from a batch of concurrent ones"},
    {OUTCOME_AHEAD, "ahead", "lookups, from rows loaded ahead for a loop"},
    {OUTCOME_ALONE, "alone", "lookups that ran as they were sent"},
    {OUTCOME_FORWARDED, "forwarded", "no lookups, or not to be folded: passed on as they came"},
    {OUTCOME_HERE, "here", "by pgfold itself, without the server"}};

void page_put(const struct page *g, const char *html) {
    buf_put_text(g->out, html);
}

void page_cell(const struct page *g, const char *label, bool grey) {
    page_put(g, grey ? "<td class=\"n zero\" data-label=\"" : "<td class=\"n\" data-label=\"");
    page_put(g, label);
    page_put(g, "\">");
}

void page_end_cell(const struct page *g) {
    page_put(g, "</td>");
}

void page_count_cell(const struct page *g, const char *label, uint64_t n) {
    page_cell(g, label, !n);
    human_count(g->out, n);
    page_end_cell(g);
}

void page_share_cell(const struct page *g, const char *label, uint64_t part, uint64_t whole) {
    page_cell(g, label, !part);
    human_share(g->out, part, whole);
    page_end_cell(g);
}

void page_begin_row(const struct page *g, const char *name, const char *about) {
    page_put(g, "<tr><th scope=\"row\"><bdi>");
    human_text(g->out, name);
    page_put(g, "</bdi>");
    if (about) {
        page_put(g, "<span class=\"small\">");
        human_text(g->out, about);
        page_put(g, "</span>");
    }
    page_put(g, "</th>");
}

void page_end_row(const struct page *g) {
    page_put(g, "</tr>");
}

void page_only_row(const struct page *g, unsigned columns, const char *text) {
    char cell[80];
    snprintf(cell, sizeof cell, "<tr><td class=\"none\" colspan=\"%u\">", columns);
    page_put(g, cell);
    page_put(g, text);
    page_put(g, "</td></tr>");
}
