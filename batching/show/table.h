// SPDX-License-Identifier: PostgreSQL
//
// Tables as a server sends them: RowDescription, and rows of typed values in text or binary, with a filter by
// LIKE. Values are put in the order of the columns.
//
//   table_begin(&t, columns, out)       t.formats and t.like may be set
//   table_describe(&t)                  RowDescription
//   table_row(&t); table_text(&t, …); table_int(&t, …); … table_end_row(&t)
#ifndef PGFOLD_BATCHING_SHOW_TABLE_H
#define PGFOLD_BATCHING_SHOW_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buf.h"
#include "protocol/message.h"

#define TABLE_COLUMNS 32

enum table_type { TABLE_TEXT, TABLE_INT4, TABLE_INT8, TABLE_NUMERIC, TABLE_FLOAT8, TABLE_BOOL };

struct table_column {
    const char *name; // NULL: behind the last one
    enum table_type type;
};

struct table {
    const struct table_column *columns;
    unsigned n; // columns
    struct buf *out;
    const char *like;       // only rows of which a text matches are kept; NULL: all
    const uint8_t *formats; // result formats as in a Bind message, network order; borrowed
    unsigned n_formats;     // 0: all text; 1: for all columns
    unsigned long rows;     // kept so far
    size_t begun;           // where the row at hand begins
    unsigned at;            // its next column
    bool matches;
};

void table_begin(struct table *t, const struct table_column *columns, struct buf *out);
void table_describe(const struct table *t);
// Without formats, as the Describe of a statement has it.

void table_row(struct table *t);
void table_text(struct table *t, const char *text);              // NULL: a null value
void table_bytes(struct table *t, const void *text, size_t len); // what is no UTF-8 is written as \xff
void table_int(struct table *t, uint64_t n); // for INT4, INT8 and NUMERIC; what is too large is the largest
void table_seconds(struct table *t, uint64_t us); // for FLOAT8
void table_bool(struct table *t, bool yes);
void table_end_row(struct table *t);

#endif
