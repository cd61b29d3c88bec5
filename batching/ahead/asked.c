// SPDX-License-Identifier: PostgreSQL
//
// A set-associative cache of hashes that doubles until it has ASKED_MAX entries.
#include "batching/ahead/asked.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SETS 4u

static uint32_t tag_of(uint64_t hash) {
    uint32_t tag = (uint32_t)(hash >> 32) ^ (uint32_t)hash;
    return tag ? tag : 1;
}

static struct asked_entry *set_of(const struct asked *a, uint32_t tag) {
    return a->sets[tag & (a->n_sets - 1)];
}

static unsigned place_in(const struct asked_entry *set, uint32_t tag) {
    unsigned at = 0;
    while (at < ASKED_WAYS && set[at].tag != tag)
        at++;
    return at;
}

bool asked_find(const struct asked *a, uint64_t hash, uint32_t *lists) {
    uint32_t tag = tag_of(hash);
    *lists = UINT32_MAX; // no list has come since
    if (a->lost || !a->n_sets)
        return a->lost;
    const struct asked_entry *set = set_of(a, tag);
    unsigned at = place_in(set, tag);
    if (at == ASKED_WAYS)
        return false;
    *lists = set[at].lists;
    return true;
}

// The oldest entry of the set makes room.
static void put_entry(struct asked_entry *set, struct asked_entry entry) {
    unsigned at = place_in(set, entry.tag);
    memmove(set + 1, set, (at < ASKED_WAYS ? at : ASKED_WAYS - 1) * sizeof *set);
    set[0] = entry;
}

static bool grow_sets(struct asked *a) {
    struct asked old = *a;
    uint32_t n = old.n_sets ? 2 * old.n_sets : FIRST_SETS;
    struct asked_entry(*sets)[ASKED_WAYS] = calloc(n, sizeof *sets);
    if (!sets)
        return false;
    a->sets = sets;
    a->n_sets = n;
    for (uint32_t i = 0; i < old.n_sets; i++)
        for (unsigned way = ASKED_WAYS; way-- > 0;)
            if (old.sets[i][way].tag)
                put_entry(set_of(a, old.sets[i][way].tag), old.sets[i][way]);
    free(old.sets);
    return true;
}

void asked_note(struct asked *a, uint64_t hash, uint32_t lists) {
    uint32_t tag = tag_of(hash);
    if (!a->n_sets && !grow_sets(a)) {
        a->lost = true;
        return;
    }
    const struct asked_entry *set = set_of(a, tag);
    bool full = set[ASKED_WAYS - 1].tag && place_in(set, tag) == ASKED_WAYS;
    if (full && a->n_sets < ASKED_MAX / ASKED_WAYS)
        (void)grow_sets(a); // without memory the oldest is forgotten
    put_entry(set_of(a, tag), (struct asked_entry){tag, lists});
}

void asked_free(struct asked *a) {
    free(a->sets);
    *a = (struct asked){0};
}
