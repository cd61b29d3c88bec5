// SPDX-License-Identifier: PostgreSQL
//
// Sorted arrays of digests.
#include "batching/trust/write_set.h"

#include <stdlib.h>
#include <string.h>

#include "batching/trust/writes.h"
#include "protocol/message.h"

// PostgreSQL cuts a name of more than 63 bytes between characters. The longest character has four bytes.
#define NAME_BYTES 60

uint64_t write_table(struct slice name) {
    uint64_t h = XXH3_64bits(name.data, name.len < NAME_BYTES ? name.len : NAME_BYTES);
    return h == WRITES_ALL ? 1 : h;
}

static int compare_tables(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

bool write_set_contains(const struct write_set *set, uint64_t table) {
    return table == WRITES_ALL ||
           (set->n && bsearch(&table, set->tables, set->n, sizeof *set->tables, compare_tables));
}

struct write_set write_set_make(uint64_t *tables, unsigned n) {
    unsigned kept = 0;
    if (n)
        qsort(tables, n, sizeof *tables, compare_tables);
    for (unsigned i = 0; i < n; i++)
        if (!kept || tables[kept - 1] != tables[i])
            tables[kept++] = tables[i];
    return (struct write_set){.n = kept, .tables = tables};
}

struct write_set write_set_copy(const struct write_set *set) {
    struct write_set copy = {.all = set->all};
    if (set->all || !set->n)
        return copy;
    copy.tables = malloc(set->n * sizeof *copy.tables);
    copy.all = !copy.tables;
    if (copy.tables)
        memcpy(copy.tables, set->tables, set->n * sizeof *copy.tables);
    copy.n = copy.tables ? set->n : 0;
    return copy;
}

void write_set_free(struct write_set *set) {
    free(set->tables);
    *set = (struct write_set){.all = true};
}
