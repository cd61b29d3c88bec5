// SPDX-License-Identifier: PostgreSQL
//
// The loops that cost most, with a link to the report's entry for each.
#ifndef PGFOLD_PROXY_PAGE_LOOPS_H
#define PGFOLD_PROXY_PAGE_LOOPS_H

#include "proxy/page_cells.h"

#define PAGE_LOOPS 12

void page_loops(const struct page *g);

#endif
