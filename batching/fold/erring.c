// SPDX-License-Identifier: PostgreSQL
#include "batching/fold/erring.h"

#include "batching/fold/group.h"

// The place of the key; ERRING_KEYS: it has none.
static unsigned find(const struct group *g, const struct key *keys, uint64_t *digest) {
    *digest = 0;
    for (unsigned i = 0; i < g->n_parts; i++)
        *digest = key_hash(&keys[i], *digest);
    *digest |= 1;
    unsigned at = 0;
    while (at < ERRING_KEYS && g->erring.keys[at] != *digest)
        at++;
    return at;
}

void erring_note(struct group *g, const struct key *keys, bool failed) {
    uint64_t digest;
    if (!failed && !g->erring.n)
        return;
    unsigned at = find(g, keys, &digest);
    if (!failed && at < ERRING_KEYS)
        g->erring.keys[at] = 0;
    else if (failed && at == ERRING_KEYS)
        g->erring.keys[g->erring.n++ % ERRING_KEYS] = digest;
}

bool erring_has(const struct group *g, const struct key *keys) {
    uint64_t digest;
    return g->erring.n && find(g, keys, &digest) < ERRING_KEYS;
}
