// SPDX-License-Identifier: PostgreSQL
//
// Keys whose lookups have raised an error. One of them makes a whole batch fail, so none is loaded ahead until its lookup, which
// runs as it was sent, succeeds.
//
// Bounded: the last ERRING_KEYS of a group, by a digest. Another key with the same one is not loaded, either.
#ifndef PGFOLD_BATCHING_FOLD_ERRING_H
#define PGFOLD_BATCHING_FOLD_ERRING_H

#include <stdbool.h>
#include <stdint.h>

#define ERRING_KEYS 4

struct group;
struct key;

struct erring {
    uint64_t keys[ERRING_KEYS]; // digests; 0: none
    unsigned n;                 // number of keys that were noted
};

// A lookup of the group has run as it was sent; `failed`: with an error.
void erring_note(struct group *g, const struct key *keys, bool failed);
// Has its last lookup raised an error?
bool erring_has(const struct group *g, const struct key *keys);

#endif
