// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/burst.h"

#include <stdlib.h>
#include <string.h>

#include "batching/base/hash.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"

#define ORIGIN UINT64_C(0x62757273742e2e2e) // of its keys; a column's digest is another one
#define FIRST  25                           // keys to load at first

// ---- the ring

static struct burst *slot_of(const struct bursts *t, uint64_t number) {
    return &t->ring[number % BURSTS];
}

static bool make_ring(struct bursts *t) {
    size_t bytes = BURSTS * sizeof *t->ring;
    if (t->ring)
        return true;
    if (account_is_short(&t->memory, bytes))
        return false;
    t->ring = calloc(1, bytes);
    account_set(&t->memory, &t->weighs, t->ring ? bytes + MEMORY_BLOCK : 0);
    return t->ring;
}

void bursts_finish(struct bursts *t) {
    free(t->ring);
    t->ring = NULL;
    account_set(&t->memory, &t->weighs, 0);
}

static bool is_young(const struct burst *b, uint64_t now, uint64_t age) {
    return b->number && now <= b->began + age;
}

// Is what follows it worth remembering?
static bool is_one(const struct burst *b) {
    return b->together && b->n >= BURST_LEAST;
}

static unsigned bit_of(const struct key *key) {
    return (unsigned)(key_hash(key, 0) % (BURST_KEYS * 8));
}

// Is the key among the first n?
static bool find_key(const struct burst *b, unsigned n, const struct key *key) {
    unsigned bit = bit_of(key);
    if (!(b->has[bit / 64] >> bit % 64 & 1))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (memcmp(b->keys[i].of.bytes, key->of.bytes, sizeof key->of.bytes) == 0)
            return true;
    return false;
}

static void put_key(struct burst *b, const struct key *key) {
    unsigned bit = bit_of(key);
    b->has[bit / 64] |= UINT64_C(1) << bit % 64;
    b->keys[b->n++] = *key;
}

// The last one of the group, however old; `key`: that has it. NULL: none is remembered.
static struct burst *last_of(const struct bursts *t, uint64_t group, const struct key *key) {
    struct burst *last = NULL;
    for (unsigned i = 0; t->ring && i < BURSTS; i++) {
        struct burst *b = &t->ring[i];
        if (b->number && b->group == group && (!last || b->number > last->number) &&
            (!key || find_key(b, b->n, key)))
            last = b;
    }
    return last;
}

struct burst *burst_of(const struct bursts *t, const struct group *g, uint64_t now, uint64_t age) {
    struct burst *b = last_of(t, g->id, NULL);
    return b && is_young(b, now, age) ? b : NULL;
}

// ---- a burst's own lookups

// Were most of its keys asked for by lookups of this group?
static bool was_followed(const struct burst *b, uint64_t group) {
    for (unsigned i = 0; i < BURST_KINDS; i++)
        if (b->kinds[i].group == group)
            return 4 * b->kinds[i].n >= 3 * b->n;
    return false;
}

// What came, and was not given what had been sent, has found it too old.
static void end_sent(struct followers *f, const struct burst *b, const struct burst_sent *sent) {
    bool late = was_followed(b, sent->group) && 4 * sent->served < sent->keys;
    followers_ended(f, b->source, sent->group, sent->keys, sent->served, late);
}

static void close_burst(struct followers *f, struct burst *b) {
    bool open = b->number && !b->closed;
    b->closed = true;
    if (open && is_one(b))
        followers_missed(f, b->source, b->came);
    for (unsigned i = 0; open && i < FOLLOWERS; i++)
        if (b->sent[i].group)
            end_sent(f, b, &b->sent[i]);
}

static struct burst *begin(struct bursts *t, struct followers *f, const struct burst_lookup *l,
                           uint64_t run) {
    const struct group *g = l->group;
    struct burst *b = slot_of(t, ++t->number);
    close_burst(f, b);
    *b = (struct burst){.number = t->number, .group = g->id, .identity = g->identity->id, .began = l->now};
    b->run = run ? run : b->number;
    b->source = XXH3_64bits_withSeed(g->cache_key, g->cache_key_len, ORIGIN);
    return b;
}

#define LONGEST 4 // ways there and back from one wave of a pool's lookups to the next

// Is the burst over for which the lookup would be one more? A key that comes again while the others still come is no new one.
static bool is_over(const struct burst *b, const struct burst_lookup *l) {
    bool later = l->now > b->last + l->way, again = (b->over || later) && find_key(b, b->n, l->key);
    bool long_ago = l->now > b->last + LONGEST * l->way;
    return !is_young(b, l->now, l->age) || again || long_ago || (b->over && later) || b->n == BURST_KEYS;
}

static void join(struct burst *b, const struct burst_lookup *l) {
    unsigned i = 0;
    while (i < b->n_askers && b->askers[i].session != l->asker.session)
        i++;
    if (i < BURST_KEYS)
        b->askers[i] = l->asker;
    b->n_askers += i == b->n_askers && i < BURST_KEYS;
}

static void add(struct burst *b, const struct burst_lookup *l) {
    b->last = l->now;
    b->together |= l->together;
    join(b, l);
    if (b->n < BURST_KEYS && !find_key(b, b->n, l->key))
        put_key(b, l->key);
}

// ---- what follows it

// One more lookup of the group has come with a key of the burst. Most of its keys were asked for: they follow.
static void follow(struct followers *f, struct burst *b, const struct burst_lookup *l) {
    unsigned i = 0;
    while (i < BURST_KINDS && b->kinds[i].group && b->kinds[i].group != l->group->id)
        i++;
    b->over = true;
    if (i == BURST_KINDS)
        return;
    b->kinds[i].group = l->group->id;
    b->kinds[i].n++;
    if (was_followed(b, l->group->id))
        followers_asked(f, b->source, l->group, l->unit, b->n, &b->came);
}

bool burst_may_have(const struct group *g) {
    return g->n_parts == 1 && !g->owner && key_type_is_plain(g->parts[0].type);
}

// Does the lookup follow this burst? Not if its own group has asked for the same since, or in the same run.
static bool does_follow(const struct bursts *t, const struct burst *b, const struct burst_lookup *l) {
    if (b->group == l->group->id || b->identity != l->group->identity->id || !is_one(b) ||
        !is_young(b, l->now, l->age) || !find_key(b, b->n, l->key))
        return false;
    const struct burst *before = last_of(t, l->group->id, l->key);
    return !before || (before->number < b->number && before->run != b->run);
}

void burst_note(struct bursts *t, struct followers *f, const struct burst_lookup *l) {
    if (l->key->kind != KEY_PLAIN || !make_ring(t))
        return;
    t->used = l->now;
    struct burst *own = last_of(t, l->group->id, NULL);
    uint64_t run = 0;
    for (unsigned i = 0; i < BURSTS; i++) {
        struct burst *b = &t->ring[i];
        if (!does_follow(t, b, l))
            continue;
        follow(f, b, l);
        run = b->run > run ? b->run : run;
    }
    if (!own || is_over(own, l)) {
        if (own)
            close_burst(f, own);
        own = begin(t, f, l, run);
    }
    add(own, l);
}

static struct burst_sent *sent_of(struct burst *b, uint64_t group) {
    for (unsigned i = 0; i < FOLLOWERS; i++)
        if (b->sent[i].group == group || !b->sent[i].group)
            return &b->sent[i];
    return NULL;
}

void burst_note_sent(struct burst *b, uint64_t group, unsigned keys) {
    struct burst_sent *sent = sent_of(b, group);
    if (!sent)
        return;
    sent->group = group;
    sent->keys += keys;
}

void burst_note_served(struct bursts *t, uint64_t number, uint64_t group) {
    struct burst *b = t->ring ? slot_of(t, number) : NULL;
    struct burst_sent *sent = b && b->number == number ? sent_of(b, group) : NULL;
    if (sent)
        sent->served++;
}

bool burst_was_sent(const struct bursts *t, const struct burst *b, uint64_t group, const struct key *key) {
    for (unsigned i = 0; i < BURSTS; i++) {
        const struct burst *o = &t->ring[i];
        bool sent = false;
        for (unsigned k = 0; k < FOLLOWERS; k++)
            sent |= o->sent[k].group == group;
        if (o != b && sent && o->run == b->run && find_key(o, o->n_sent, key))
            return true;
    }
    return false;
}

bool burst_may_again(const struct bursts *t, uint64_t number, uint64_t session, uint64_t started,
                     const struct asked_entry *asked) {
    const struct burst *b = t->ring ? slot_of(t, number) : NULL;
    if (!b || b->number != number || asked->lists == UINT32_MAX)
        return false;
    for (unsigned i = 0; i < b->n_askers; i++) {
        const struct burst_asker *who = &b->askers[i];
        if (who->session == session)
            return (int32_t)(who->at - asked->loads) > 0 && started > who->idle;
    }
    return false;
}

// ---- what is known of them

struct association *burst_association(const struct group *g) {
    const uint64_t origins[KEY_MAX_PARTS] = {ORIGIN};
    struct association *a = association_find(g->shape, origins);
    if (a)
        return a;
    a = association_add(g->shape, origins);
    if (a)
        a->window = FIRST;
    return a;
}
