// SPDX-License-Identifier: PostgreSQL
//
// Accounts of memory in bytes. Each has a ceiling and a parent, whose count holds that of its children: what
// a session keeps counts against the session and against all.
//
//   all (max_memory)
//    +-- a session (max_session_memory)
//    |    +-- queue     lookups and answers that wait: goes by itself as the server answers
//    |    +-- names     prepared statements: goes when the client closes them
//    +-- shapes, groups, identities: caches, which shrink
//
// What a session merely keeps alive (the text of a statement that it has prepared) is counted where it was
// made; the session has a claim on it, which counts against the session alone.
//
// Counts are of bytes asked for, plus MEMORY_BLOCK for each block; what is freed must be taken out again as
// it was put in, which is why whoever counts remembers what it has counted.
#ifndef PGFOLD_BATCHING_BASE_MEMORY_H
#define PGFOLD_BATCHING_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define MEMORY_BLOCK 16 // bytes that an allocation costs beside those asked for

struct account {
    struct account *parent; // NULL: that of all
    size_t used, claimed;   // bytes; claimed ones are in no parent
    size_t limit;           // 0: none
    size_t most;            // of that of all: beyond it memory is short, see account_is_short
    size_t peak, high; // of that of all: ever, and since whoever looks at it has set it back; at turns' ends
};

static inline void account_add(struct account *a, size_t bytes) {
    for (; a; a = a->parent)
        a->used += bytes;
}

static inline void account_sub(struct account *a, size_t bytes) {
    for (; a; a = a->parent)
        a->used -= bytes;
}

// *counted bytes are in it; from now on they are `now`. Takes NULL, which counts nothing.
static inline void account_set(struct account *a, size_t *counted, size_t now) {
    if (!a || *counted == now)
        return;
    if (now > *counted)
        account_add(a, now - *counted);
    else
        account_sub(a, *counted - now);
    *counted = now;
}

// Would so many bytes more pass the ceiling? Its own alone.
static inline bool account_is_full(const struct account *a, size_t more) {
    size_t used = a->used + a->claimed;
    return a->limit && (more > a->limit || used > a->limit - more);
}

// Would they leave less than an eighth of what all may hold? That is for what cannot be turned away.
bool account_is_short(const struct account *a, size_t more);

// Of that of all.
void account_set_limit(struct account *all, size_t limit);
void account_note_peak(struct account *all);

// It has ended. What is still counted is taken out of its parents and returned: 0, or somebody has
// miscounted.
size_t account_close(struct account *a);

#endif
