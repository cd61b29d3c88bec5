// SPDX-License-Identifier: PostgreSQL
//
// The result formats of a Bind, kept in a few bytes until its rows come. Where the statement was described before,
// nothing in the reply tells them: JDBC, Postgrex and Npgsql ask for some columns in binary and for the others as text.
#ifndef PGFOLD_BATCHING_AHEAD_ROW_FORMATS_H
#define PGFOLD_BATCHING_AHEAD_ROW_FORMATS_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/ahead/columns.h"

#define ROW_FORMATS_MAX 256 // columns; of those behind nothing is known

struct row_formats {
    uint16_t n; // as in Bind: none (all are text), one for all, or one for each column
    uint8_t binary[ROW_FORMATS_MAX / 8]; // a bit for each
    bool unknown;                        // the Bind was not read
};

// `formats`: of a Bind message, n of two bytes each.
struct row_formats row_formats_read(uint16_t n, const uint8_t *formats);

// Gives the columns their formats. Those whose format is not known are taken out.
void row_formats_apply(const struct row_formats *f, struct trail_columns *c);

#endif
