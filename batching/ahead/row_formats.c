// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/row_formats.h"

#include "protocol/buf.h"

struct row_formats row_formats_read(uint16_t n, const uint8_t *formats) {
    struct row_formats f = {.n = n};
    for (unsigned i = 0; i < n && i < ROW_FORMATS_MAX; i++)
        f.binary[i / 8] |= (uint8_t)((get_u16(formats + 2 * (size_t)i) == 1) << i % 8);
    return f;
}

void row_formats_apply(const struct row_formats *f, struct trail_columns *c) {
    unsigned n = 0;
    for (unsigned i = 0; i < c->n; i++) {
        struct trail_column column = c->columns[i];
        unsigned at = f->n == 1 ? 0 : column.at;
        if (f->unknown || (f->n > 1 && at >= ROW_FORMATS_MAX)) {
            c->n_other -= column.kind == TRAIL_OTHER;
            continue;
        }
        column.format = at < f->n && f->binary[at / 8] >> at % 8 & 1;
        c->columns[n++] = column;
    }
    c->n = n;
}
