// SPDX-License-Identifier: PostgreSQL
//
// The page at "/": page/page.html with the figures of now in the places that it names {{so}}. So it tells all
// without a script; page.js asks for it again and again, takes the parts that change, and draws what was counted
// in each second. What is not pgfold's own text goes through human_text().
#ifndef PGFOLD_PROXY_PAGE_H
#define PGFOLD_PROXY_PAGE_H

#include "protocol/buf.h"

struct proxy;

#define PAGE_MOST (2u << 20) // bytes

// kept_write (http_kept.h); `which` is not used.
void page_write(struct proxy *p, int which, struct buf *out);

#endif
