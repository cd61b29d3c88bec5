// SPDX-License-Identifier: PostgreSQL
//
// Sets of tables. A table is known by the digest of its bare name.
#ifndef PGFOLD_BATCHING_TRUST_WRITE_SET_H
#define PGFOLD_BATCHING_TRUST_WRITE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/message.h"

// The tables whose writes can change what a statement reads; sorted. `all`: any write can.
struct write_set {
    bool all;
    unsigned n;
    uint64_t *tables; // owned
};

// The digest of a table's bare name as PostgreSQL knows it; never WRITES_ALL. A long name counts only
// with the part that no truncation to 63 bytes can take away.
uint64_t write_table(struct slice name);

// Makes a set of n digests and takes them over. NULL: the set is empty.
struct write_set write_set_make(uint64_t *tables, unsigned n);
struct write_set write_set_copy(const struct write_set *set); // `all` when memory is out
void write_set_free(struct write_set *set);                   // leaves `all`

// Tells whether a write to the table can change what the statement reads. WRITES_ALL is any table.
bool write_set_contains(const struct write_set *set, uint64_t table);

#endif
