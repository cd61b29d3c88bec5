// SPDX-License-Identifier: PostgreSQL
//
// Numbers and names as text at the end of a buffer. What does not fit is noted there (protocol/buf.h).
#ifndef PGFOLD_BATCHING_SHOW_TEXT_H
#define PGFOLD_BATCHING_SHOW_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buf.h"

void text_number(struct buf *b, uint64_t n);

// Microseconds as seconds, without zeros at the end: 1500 is 0.0015.
void text_seconds(struct buf *b, uint64_t us);

// A label's value, in quotes: UTF-8 without control characters, whatever bytes the name has.
void text_label(struct buf *b, const char *name);

// The same without quotes, and with nothing escaped.
void text_plain(struct buf *b, const char *name);

// ---- characters

// Bytes of the UTF-8 character at `s`, which ends with a zero somewhere; 0: it is none.
size_t text_character(const unsigned char *s);

// Is it one of the control characters?
bool text_is_control(const unsigned char *s);

#endif
