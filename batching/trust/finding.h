// SPDX-License-Identifier: PostgreSQL
//
// What vetting has found, kept for other groups that differ in nothing but values that it does not depend on:
// a page's lookups often share a constant that is another one on the next page. Of a plain read it is the
// verdict alone, kept for all texts about which the same is asked.
//
// Bounded: when full, in number or in bytes, the oldest makes room.
#ifndef PGFOLD_BATCHING_TRUST_FINDING_H
#define PGFOLD_BATCHING_TRUST_FINDING_H

#include "batching/base/hash.h"
#include "batching/trust/vet.h"

struct finding {
    UT_hash_handle hh;
    uint64_t vetted_at;      // microseconds
    uint64_t generation;     // of the definitions when it was asked
    struct vetting *vetting; // NULL: of a plain read
    bool plain;              // of a plain read: what was answered
    struct shape *shape;     // a reference: its address is in the key; NULL: of a plain read
    size_t weighs;           // bytes that it is counted with
    size_t key_len;
    uint8_t key[];
};

struct finding_table {
    struct finding *table; // in the order in which they were put
    unsigned n, max;
    struct account *memory; // NULL: not counted
};

void finding_table_init(struct finding_table *t, unsigned max);
void finding_table_finish(struct finding_table *t);

// NULL: none.
const struct finding *finding_get(const struct finding_table *t, struct slice key);

// Takes the vetting over and takes the place of an older finding of this key. Out of memory: it is dropped.
void finding_put(struct finding_table *t, struct slice key, struct shape *shape, struct vetting *v,
                 uint64_t vetted_at, uint64_t generation);
// The same for a plain read.
void finding_put_read(struct finding_table *t, struct slice key, bool plain, uint64_t vetted_at,
                      uint64_t generation);

#endif
