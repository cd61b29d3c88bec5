// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/row_formats.h"

#include "protocol/buf.h"

struct row_formats row_formats_read(uint16_t n, const uint8_t *formats) {
    struct row_formats f = {.n = n};
    for (unsigned i = 0; i < n && i < ROW_FORMATS_MAX; i++)
        f.binary[i / 8] |= (uint8_t)((get_u16(formats + 2 * (size_t)i) == 1) << i % 8);
    return f;
}

// Gives these columns their formats, and returns how many are left.
static unsigned apply(const struct row_formats *f, struct trail_column *columns, unsigned n) {
    unsigned left = 0;
    for (unsigned i = 0; i < n; i++) {
        struct trail_column column = columns[i];
        unsigned at = f->n == 1 ? 0 : column.at;
        if (f->unknown || (f->n > 1 && at >= ROW_FORMATS_MAX))
            continue;
        column.format = at < f->n && f->binary[at / 8] >> at % 8 & 1;
        columns[left++] = column;
    }
    return left;
}

void row_formats_apply(const struct row_formats *f, struct trail_columns *c) {
    c->n = apply(f, c->columns, c->n);
    c->n_arrays = apply(f, c->arrays, c->n_arrays);
}
