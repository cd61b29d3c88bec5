// SPDX-License-Identifier: PostgreSQL
//
// A cache of what vetting has found. Other groups use it when they differ only in values that vetting does
// not depend on. Example: the lookups of a page often share a constant, which is another one on the next
// page. So do the identities of an application's tenants, which differ in a custom setting (identity.h, base). For a
// plain read only the verdict is kept; it serves all texts about which the catalogue would be asked the same.
//
// Bounded: when the cache is full, in number or in bytes, the oldest finding makes room.
#ifndef PGFOLD_BATCHING_TRUST_FINDING_H
#define PGFOLD_BATCHING_TRUST_FINDING_H

#include "batching/base/hash.h"
#include "batching/trust/vet.h"

struct finding {
    UT_hash_handle hh;
    uint64_t vetted_at;      // microseconds
    uint64_t generation;     // of the definitions, when the question was asked
    struct vetting *vetting; // owned; NULL: the finding is about a plain read
    bool plain, bare;        // of a plain read: the answer; it runs nothing of a user's
    struct shape *shape;     // a reference, since its address is in the key; NULL: of a plain read
    size_t weighs;           // bytes that are counted for it
    size_t key_len;
    uint8_t key[];
};

struct finding_table {
    struct finding *table; // in the order in which they were put
    unsigned n, max;
    struct account *memory; // NULL: not counted
};

// max: number of findings.
void finding_table_init(struct finding_table *t, unsigned max);
void finding_table_finish(struct finding_table *t);

// The finding with this key, borrowed; NULL: there is none.
const struct finding *finding_get(const struct finding_table *t, struct slice key);

// Keeps a finding. It takes over the vetting and replaces an older finding with the same key. Without memory
// the vetting is dropped.
void finding_put(struct finding_table *t, struct slice key, struct shape *shape, struct vetting *v,
                 uint64_t vetted_at, uint64_t generation);
// Keeps the answer about a plain read.
void finding_put_read(struct finding_table *t, struct slice key, bool plain, bool bare, uint64_t vetted_at,
                      uint64_t generation);

#endif
