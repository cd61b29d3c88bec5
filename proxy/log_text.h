// SPDX-License-Identifier: PostgreSQL
//
// Makes text that anybody may have written fit for a log line: valid UTF-8, one line, and nothing that a
// terminal or an editor obeys instead of showing it.
#ifndef PGFOLD_PROXY_LOG_TEXT_H
#define PGFOLD_PROXY_LOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

// Copies `len` bytes of text to `out`, at most `room` bytes, and returns how many. Bytes that are not UTF-8,
// and ASCII's control characters, are written like \x1b; other invisible characters like \u200e. JSON gets
// the same letters, and its quotes and backslashes are escaped. Text that does not fit is cut off between two
// characters, and an ellipsis says so.
size_t log_text(char *out, size_t room, const char *text, size_t len, bool json);

// How many bytes are left without a character that was cut off at the end.
size_t log_text_whole(const char *text, size_t len);

#endif
