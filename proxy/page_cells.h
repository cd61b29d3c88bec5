// SPDX-License-Identifier: PostgreSQL
//
// What the parts of the page are written with: its figures, and the cells of its tables.
#ifndef PGFOLD_PROXY_PAGE_CELLS_H
#define PGFOLD_PROXY_PAGE_CELLS_H

#include "batching/show/history.h"
#include "batching/show/outside.h"
#include "protocol/buf.h"
#include "proxy/page_time.h"

struct engine_counters;
struct figures;
struct proxy;

struct page {
    struct proxy *proxy;
    struct buf *out;
    const struct engine_counters *counters;
    const struct figures *figures;
    struct history_totals totals;
    struct show_outside outside;
    struct page_time time;
    bool observes; // what mode fold would do is estimated
};

// The ways to answer that are shown, in their order.
#define PAGE_OUTCOMES 5

extern const struct page_outcome {
    enum outcome outcome;
    const char *name, *how;
} page_outcomes[PAGE_OUTCOMES];

void page_put(const struct page *g, const char *html); // as it is

// A cell of digits. `label` is what the column is called, shown where the columns do not stand side by side; it and
// `text` are HTML.
void page_cell(const struct page *g, const char *label, bool grey);
void page_end_cell(const struct page *g);
void page_count_cell(const struct page *g, const char *label, uint64_t n);
void page_share_cell(const struct page *g, const char *label, uint64_t part, uint64_t whole);

// A row's name, whatever bytes it has, and below it what it means (NULL: nothing is said).
void page_begin_row(const struct page *g, const char *name, const char *about);
void page_end_row(const struct page *g);
// A row of one cell.
void page_only_row(const struct page *g, unsigned columns, const char *text);

#endif
