// SPDX-License-Identifier: PostgreSQL
//
// What the page shows, as JSON: of numbers, fixed words and names of databases.
//
//   /stats.json     all figures now, and what was counted in each of the last PAGE_RECENT seconds
//   /history.json   the same of all seconds that are remembered
#ifndef PGFOLD_PROXY_PAGE_DATA_H
#define PGFOLD_PROXY_PAGE_DATA_H

#include "protocol/buf.h"

struct proxy;

#define PAGE_RECENT    12
#define PAGE_DATA_MOST (1u << 20) // bytes
#define PAGE_SAVED_HOW                                                                                       \
    "estimate: for each lookup that was not sent, the time of the fastest statement of all and a key's "     \
    "share of what its batch took beyond that; less what batches took"

// kept_write (http_kept.h); `which` is not used.
void page_write_stats(struct proxy *p, int which, struct buf *out);
void page_write_history(struct proxy *p, int which, struct buf *out);

#endif
