// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/kind.h"

int kind_known(const struct guess *w) {
    uint64_t kind = w->association ? w->association->kind : 0;
    for (unsigned i = 0; kind && i < w->result->columns.n; i++)
        if (w->result->columns.columns[i].kind != TRAIL_NOTHING && trail_origin(w->result, i) == kind)
            return (int)i;
    return -1;
}

bool kind_differs(const struct guess *w, int column, uint32_t row) {
    if (column < 0)
        return false;
    struct key a = trail_value(w->result, w->row, (unsigned)column);
    struct key b = trail_value(w->result, row, (unsigned)column);
    return a.kind == KEY_NULL || b.kind == KEY_NULL ? a.kind != b.kind : !key_equal(&a, &b);
}
