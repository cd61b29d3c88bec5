// SPDX-License-Identifier: PostgreSQL
//
// Numbers and texts as people read them, in HTML. What is not ours to write (names) goes through human_text().
// proxy/page/page.js writes numbers in the same way.
#ifndef PGFOLD_BATCHING_SHOW_HUMAN_H
#define PGFOLD_BATCHING_SHOW_HUMAN_H

#include <stdint.h>

#include "protocol/buf.h"

// What stands for the character in HTML; static. NULL: the character itself.
const char *human_entity(unsigned char c);

// Any bytes as text of an element or of a quoted attribute: what means something to HTML is escaped; what is no
// character, controls nothing visible or turns the direction of writing becomes U+FFFD.
void human_text(struct buf *b, const char *text);

void human_count(struct buf *b, uint64_t n);             // 1,234,567
void human_rate(struct buf *b, uint64_t n, uint64_t us); // n in so many microseconds: 0.4, 12, 1,234
void human_share(struct buf *b, uint64_t part,
                 uint64_t whole);            // 0 %, <0.1 %, 12.5 %, >99.9 %, 100 %; whole 0: –
void human_time(struct buf *b, uint64_t us); // 0, 740 µs, 12.3 ms, 4.56 s, 12 min 3 s, 3 d 4 h
void human_bytes(struct buf *b, uint64_t n); // 512 B, 12.3 kB, 4.56 MB

#endif
