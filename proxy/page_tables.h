// SPDX-License-Identifier: PostgreSQL
//
// The parts of the page below its head. Each appends HTML for the place of its name in page.html.
#ifndef PGFOLD_PROXY_PAGE_TABLES_H
#define PGFOLD_PROXY_PAGE_TABLES_H

#include "proxy/page_cells.h"

void page_bar(const struct page *g);
void page_answered(const struct page *g);
void page_would(const struct page *g);
void page_forwarded(const struct page *g);
void page_alone(const struct page *g);
void page_connections(const struct page *g);
void page_inside(const struct page *g);
void page_databases(const struct page *g);
void page_settings(const struct page *g);

#endif
