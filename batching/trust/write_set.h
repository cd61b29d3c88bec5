// SPDX-License-Identifier: PostgreSQL
//
// Sets of tables, by the digests of their bare names.
#ifndef PGFOLD_BATCHING_TRUST_WRITE_SET_H
#define PGFOLD_BATCHING_TRUST_WRITE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/message.h"

// The writes that can change what a statement reads; sorted.
struct write_set {
    bool all;
    unsigned n;
    uint64_t *tables; // owned
};

// Digest of a table's bare name as PostgreSQL knows it; never WRITES_ALL. Of a long name only as much counts
// as no truncation to 63 bytes takes away.
uint64_t write_table(struct slice name);

// Makes a set of n digests, which it takes over (NULL: none).
struct write_set write_set_make(uint64_t *tables, unsigned n);
struct write_set write_set_copy(const struct write_set *set); // `all` when there is no memory
void write_set_free(struct write_set *set);                   // leaves `all`

bool write_set_has(const struct write_set *set, uint64_t table);

#endif
