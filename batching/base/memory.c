// SPDX-License-Identifier: PostgreSQL
//
// The sums of memory.h, and the ceiling of all.
#include "batching/base/memory.h"

#include <stdint.h>

bool account_is_short(const struct account *a, size_t more) {
    while (a && a->parent)
        a = a->parent;
    return a && a->limit && (more > a->most || a->used > a->most - more);
}

void account_set_limit(struct account *all, size_t limit) {
    all->limit = limit;
    all->most = limit ? limit - limit / 8 : SIZE_MAX;
}

void account_note_peak(struct account *all) {
    all->high = all->used > all->high ? all->used : all->high;
    all->peak = all->high > all->peak ? all->high : all->peak;
}

size_t account_close(struct account *a) {
    size_t left = a->used;
    account_sub(a, left);
    a->claimed = 0;
    return left;
}
