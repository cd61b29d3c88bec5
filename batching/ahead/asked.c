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

static struct asked_entry *entry_of(const struct asked *a, uint64_t hash) {
    uint32_t tag = tag_of(hash);
    struct asked_entry *set = a->n_sets ? set_of(a, tag) : NULL;
    unsigned at = set ? place_in(set, tag) : ASKED_WAYS;
    return at == ASKED_WAYS ? NULL : &set[at];
}

// The entry as it may be believed. What was asked for without being noted in the lists may have been in any of
// them.
static struct asked_entry settled(const struct asked_entry *e) {
    struct asked_entry s = *e;
    s.base = s.open ? s.lists : s.base;
    return s;
}

static uint32_t later(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) > 0 ? a : b;
}

// What was asked without being known may have been this lookup.
static struct asked_entry with_unread(struct asked_entry e, const struct asked_entry *unread) {
    e.lists = later(e.lists, unread->lists);
    e.base = later(e.base, unread->lists);
    e.loads = later(e.loads, unread->loads);
    return e;
}

bool asked_find(const struct asked *a, uint64_t hash, struct asked_entry *found) {
    const struct asked_entry *e = a->lost ? NULL : entry_of(a, hash);
    *found = (struct asked_entry){.lists = UINT32_MAX, .base = UINT32_MAX}; // no list has come since
    if (e)
        *found = settled(e);
    else if (a->unread.tag && !a->lost)
        *found = settled(&a->unread);
    if (a->unread.tag && !a->lost)
        *found = with_unread(*found, &a->unread);
    return e || a->lost || a->unread.tag;
}

void asked_note_unread(struct asked *a, uint32_t lists, uint32_t loads) {
    a->unread = (struct asked_entry){.tag = 1, .lists = lists, .loads = loads, .open = true};
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

void asked_note(struct asked *a, uint64_t hash, uint32_t lists, uint32_t loads) {
    uint32_t tag = tag_of(hash);
    if (!a->n_sets && !grow_sets(a)) {
        a->lost = true;
        return;
    }
    const struct asked_entry *before = entry_of(a, hash);
    struct asked_entry e = before ? settled(before) : (struct asked_entry){.tag = tag};
    if (!before && set_of(a, tag)[ASKED_WAYS - 1].tag && a->n_sets < ASKED_MAX / ASKED_WAYS)
        (void)grow_sets(a); // without memory the oldest is forgotten
    e.lists = lists;
    e.loads = loads;
    e.open = true;
    put_entry(set_of(a, tag), e);
}

// As wide as the field, and never 0.
static uint32_t mark_of(uint64_t who) {
    return ((uint32_t)who << 1 | 1) & INT32_MAX;
}

bool asked_is_counted(const struct asked_entry *e, uint64_t who) {
    return e->who == mark_of(who);
}

void asked_mark(struct asked *a, uint64_t hash, uint64_t who) {
    struct asked_entry *e = entry_of(a, hash);
    uint32_t mark = mark_of(who);
    if (!e)
        return;
    e->base = e->who && e->who != mark ? e->lists : e->base;
    e->who = mark & INT32_MAX; // as wide as the field
    e->open = false;
}

void asked_runs(struct asked *a, uint64_t hash, uint32_t loads) {
    struct asked_entry *e = entry_of(a, hash);
    if (e)
        e->loads = loads;
}

void asked_free(struct asked *a) {
    free(a->sets);
    *a = (struct asked){0};
}
