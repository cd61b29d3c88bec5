// SPDX-License-Identifier: PostgreSQL
//
// Accounts count memory in bytes. Each account has a ceiling and a parent. The parent's count includes the
// counts of its children: what a session keeps counts against the session and against all.
//
//   all (max_memory)
//    +-- a session (max_session_memory)
//    |    +-- queue     lookups and answers that wait: shrinks by itself as the server answers
//    |    +-- names     prepared statements: shrinks when the client closes them
//    +-- followers: which lookups follow which lists
//    +-- report: what is told of loops and tags, up to the limits of [report]
//    +-- shapes, groups, identities: caches, which can be made smaller
//
// A session can keep something alive that was counted elsewhere, for example the text of a statement that it
// has prepared. Such bytes stay counted where they were made. The session has a claim on them, which counts
// against the session alone.
//
// Counts are the bytes asked for, plus MEMORY_BLOCK for each block. Memory that is freed must be subtracted
// with the same number that was added. So each owner remembers what it has counted.
#ifndef PGFOLD_BATCHING_BASE_MEMORY_H
#define PGFOLD_BATCHING_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define MEMORY_BLOCK 16 // bytes that an allocation costs besides those asked for

struct account {
    struct account *parent; // NULL: this is the account of all
    size_t used, claimed;   // bytes; claimed ones are not counted in the parent
    size_t limit;           // the ceiling in bytes; 0: none
    size_t most;            // account of all only: above it memory is short, see account_is_short
    // Account of all only, noted at the ends of turns: the highest `used` ever, and the highest since a
    // reader has reset it.
    size_t peak, high;
};

static inline void account_add(struct account *a, size_t bytes) {
    for (; a; a = a->parent)
        a->used += bytes;
}

static inline void account_sub(struct account *a, size_t bytes) {
    for (; a; a = a->parent)
        a->used -= bytes;
}

// Changes what the account counts for one owner from *counted bytes to `now` bytes, and *counted with it. A
// NULL account counts nothing.
static inline void account_set(struct account *a, size_t *counted, size_t now) {
    if (!a || *counted == now)
        return;
    if (now > *counted)
        account_add(a, now - *counted);
    else
        account_sub(a, *counted - now);
    *counted = now;
}

// Tells whether `more` bytes would pass the account's own ceiling. The parent's ceiling is not looked at.
static inline bool account_is_full(const struct account *a, size_t more) {
    size_t used = a->used + a->claimed;
    return a->limit && (more > a->limit || used > a->limit - more);
}

// Tells whether `more` bytes would leave less than an eighth of max_memory. The last eighth is for what
// cannot be turned away. Takes any account of the tree, or NULL.
bool account_is_short(const struct account *a, size_t more);

// Both take the account of all. A limit of 0 means no limit.
void account_set_limit(struct account *all, size_t limit);
void account_note_peak(struct account *all);

// Ends an account. Bytes that are still counted are taken out of its parents and returned. The result is 0
// unless somebody has miscounted.
size_t account_close(struct account *a);

#endif
