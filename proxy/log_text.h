// SPDX-License-Identifier: PostgreSQL
//
// Text that anybody may have written, as a part of a log line: valid UTF-8, one line, and nothing in it that
// a terminal or an editor obeys instead of showing it.
#ifndef PGFOLD_PROXY_LOG_TEXT_H
#define PGFOLD_PROXY_LOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

// Copies `len` bytes of text to `out`, at most `room` bytes, and returns how many. Bytes that are no UTF-8
// and ASCII's control characters become \x1b, other characters that are not to be seen \u200e; the same
// letters in JSON, where quotes and backslashes are escaped besides. What does not fit is cut off between two
// characters, and an ellipsis says so.
size_t log_text(char *out, size_t room, const char *text, size_t len, bool json);

// How many of the bytes are left when a character that was cut at the end is taken off.
size_t log_text_whole(const char *text, size_t len);

#endif
