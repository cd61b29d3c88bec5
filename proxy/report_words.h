// SPDX-License-Identifier: PostgreSQL
//
// The report of loops (report_json.h) in words: as text for a terminal, as Markdown, and as a page of HTML, which needs no
// script.
#ifndef PGFOLD_PROXY_REPORT_WORDS_H
#define PGFOLD_PROXY_REPORT_WORDS_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol/buf.h"

enum report_format { REPORT_TEXT, REPORT_JSON, REPORT_HTML, REPORT_MARKDOWN, REPORT_FORMATS };

// "text", "json", "html", "markdown". Returns false when it is none.
bool report_format_read(const char *name, enum report_format *f);

// Appends the report, as a file of its own. `only_new`: it says that these are the loops that are new.
void report_write_words(const json_t *report, enum report_format f, bool only_new, struct buf *out);

// The same in pieces, for HTTP: what stands in front of so many loops, made of the report without them; one loop, with so many before
// it; and what stands behind them.
void report_begin_words(const json_t *head, enum report_format f, size_t loops, struct buf *out);
void report_put_loop(const json_t *loop, enum report_format f, bool observed, size_t before, struct buf *out);
void report_end_words(enum report_format f, struct buf *out);

#endif
