// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/followers.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/place.h"
#include "batching/ahead/search.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"

#define LONGEST_UNIT 16384 // bytes of a lookup that is kept
#define ENOUGH       2     // loops after which one is likely
#define MANY         16    // times that were of use, which make up for one that was not
#define LEAST_ROWS   2     // of a list whose loop can be seen
#define MOST_WAITS   10    // doublings of the wait
#define PROVEN       3     // loops after which all its keys are sent
#define LATES        2     // times that it may be late

uint64_t followers_source(const struct trail_columns *c) {
    return c->shape ? c->shape : c->list;
}

#define FIRST_TAGS 2 // lower numbers are no tags that tell anything

uint64_t followers_tagged(uint64_t source, uint16_t tags) {
    return source && tags >= FIRST_TAGS ? source ^ (tags * UINT64_C(0x9E3779B97F4A7C15)) : 0;
}

// ---- the table

static void list_remove(struct followers *t, struct followed *l) {
    *(l->newer ? &l->newer->older : &t->newest) = l->older;
    *(l->older ? &l->older->newer : &t->oldest) = l->newer;
}

static void list_push(struct followers *t, struct followed *l) {
    l->newer = NULL;
    l->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = l;
    t->newest = l;
}

static void weigh(struct followers *t, struct followed *l) {
    size_t bytes = sizeof *l + MEMORY_BLOCK;
    for (unsigned i = 0; i < FOLLOWERS; i++)
        bytes += l->all[i].group ? l->all[i].group_key_len + l->all[i].unit_len + 2 * MEMORY_BLOCK : 0;
    account_set(&t->memory, &l->weighs, bytes);
}

static void forget_follower(struct follower *f) {
    free(f->group_key);
    free(f->unit);
    *f = (struct follower){0};
}

static void forget(struct followers *t, struct followed *l) {
    HASH_DEL(t->table, l);
    list_remove(t, l);
    t->n--;
    for (unsigned i = 0; i < FOLLOWERS; i++)
        forget_follower(&l->all[i]);
    account_set(&t->memory, &l->weighs, 0);
    free(l);
}

void followers_finish(struct followers *t) {
    while (t->newest)
        forget(t, t->newest);
}

struct followed *followers_of(struct followers *t, uint64_t source) {
    struct followed *l = NULL;
    if (!t->n || !source)
        return NULL;
    HASH_FIND(hh, t->table, &source, sizeof source, l);
    if (l && l != t->newest) {
        list_remove(t, l);
        list_push(t, l);
    }
    return l;
}

struct followed *followers_with(struct followers *t, uint64_t source, uint16_t tags) {
    struct followed *l = followers_of(t, followers_tagged(source, tags));
    return l ? l : followers_of(t, source);
}

static struct followed *add(struct followers *t, uint64_t source) {
    if (account_is_short(&t->memory, sizeof(struct followed)))
        return NULL;
    if (t->n == FOLLOWED_MAX)
        forget(t, t->oldest);
    struct followed *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->source = source;
    HASH_ADD(hh, t->table, source, sizeof l->source, l);
    if (!l->hh.tbl) {
        free(l);
        return NULL;
    }
    list_push(t, l);
    t->n++;
    weigh(t, l);
    return l;
}

// ---- what is noted

// The bit of a follower in a result's mark of those that have come.
static uint8_t bit_of(const struct followed *l, const struct follower *f) {
    return (uint8_t)(1u << (f - l->all));
}

// The result of the same list that came before this one; `tagged`: with the same tags.
static const struct trail_result *before(const struct trail *t, const struct trail_result *r, bool tagged) {
    uint64_t source = followers_source(&r->columns);
    const struct trail_result *last = NULL;
    for (const struct trail_result *o = t->results; o; o = o->next)
        if (o->n_rows >= LEAST_ROWS && o->serial < r->serial && followers_source(&o->columns) == source &&
            (!tagged || o->columns.tags == r->columns.tags) && (!last || o->serial > last->serial))
            last = o;
    return last;
}

static uint64_t source_of(const struct trail_result *r, bool tagged) {
    uint64_t source = followers_source(&r->columns);
    return tagged ? followers_tagged(source, r->columns.tags) : source;
}

void followers_read(struct followers *t, const struct trail *trail, const struct trail_result *r) {
    for (int tagged = 0; tagged < 2; tagged++) {
        struct followed *l = followers_of(t, source_of(r, tagged));
        const struct trail_result *last = l ? before(trail, r, tagged) : NULL;
        if (last)
            followers_missed(t, l->source, last->came[tagged]);
    }
}

void followers_took(struct followers *t, uint64_t source, uint64_t took) {
    struct followed *l = followers_of(t, source);
    if (l) // what the machine does besides makes it look dear
        l->took = !l->took || took < l->took ? took : l->took + (took - l->took) / 16;
}

struct follower *follower_find(struct followed *l, uint64_t group) {
    for (unsigned i = 0; i < FOLLOWERS; i++)
        if (l->all[i].group == group)
            return &l->all[i];
    return NULL;
}

// A free place, or that of the follower that has come fewest times in a row.
static struct follower *place_for(struct followed *l) {
    struct follower *least = &l->all[0];
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        if (!l->all[i].group)
            return &l->all[i];
        if (l->all[i].streak < least->streak)
            least = &l->all[i];
    }
    forget_follower(least);
    return least;
}

static bool replace(uint8_t **bytes, size_t *n, const uint8_t *with, size_t len) {
    uint8_t *copy = *n == len && *bytes ? *bytes : realloc(*bytes, len ? len : 1);
    if (!copy)
        return false;
    memcpy(copy, with, len);
    *bytes = copy;
    *n = len;
    return true;
}

static bool is_of_columns(const struct group *g, const struct guess *w) {
    for (unsigned i = 0; i < g->n_parts; i++)
        if (w->columns[i] < 0)
            return false;
    return true;
}

// Two columns may have the same values by chance. One of which the catalogue tells stays.
static void describe(struct follower *f, const struct group *g, const struct guess *w) {
    if (f->linked && !w->linked)
        return;
    const struct trail_column *c = &w->result->columns.columns[w->columns[0]];
    f->association = (unsigned)(w->association - g->shape->associations);
    f->column = c->at;
    f->type = c->type;
    f->linked = w->linked;
    f->keys = trail_distinct(w->result, (unsigned)w->columns[w->lead]);
    f->keys = f->keys ? f->keys : w->result->n_rows;
    memcpy(f->spellings, w->spellings, sizeof f->spellings);
}

// The group's lookups have come behind the list, of which `unit` is one. *came: a bit for each follower that has come since it
// was read. NULL: they had come before, or out of memory.
static struct follower *keep(struct followers *t, uint64_t source, const struct group *g, struct slice unit,
                             uint8_t *came) {
    struct followed *l = followers_of(t, source);
    l = l || !source ? l : add(t, source);
    struct follower *f = l ? follower_find(l, g->id) : NULL;
    if (!l || (f && *came & bit_of(l, f)))
        return NULL;
    if (!f && account_is_short(&t->memory, unit.len + g->cache_key_len))
        return NULL;
    f = f ? f : place_for(l);
    if (!replace(&f->unit, &f->unit_len, unit.data, unit.len) ||
        !replace(&f->group_key, &f->group_key_len, g->cache_key, g->cache_key_len)) {
        forget_follower(f);
        return NULL;
    }
    f->group = g->id;
    *came |= bit_of(l, f);
    f->streak += f->streak < MANY;
    f->wait -= f->wait > 0;
    weigh(t, l);
    return f;
}

void followers_came(struct followers *t, const struct group *g, const struct guess *guess,
                    const uint8_t *unit, size_t len) {
    if (len > LONGEST_UNIT || !is_of_columns(g, guess) ||
        guess->result->columns.columns[0].kind == TRAIL_NOTHING)
        return;
    for (int tagged = 0; tagged < 2; tagged++) {
        struct trail_result *r = guess->result;
        struct follower *f = keep(t, source_of(r, tagged), g, (struct slice){unit, len}, &r->came[tagged]);
        if (f)
            describe(f, g, guess);
    }
}

void followers_asked(struct followers *t, uint64_t source, const struct group *g, struct slice unit,
                     unsigned keys, uint8_t *came) {
    struct follower *f = unit.len <= LONGEST_UNIT ? keep(t, source, g, unit, came) : NULL;
    if (f)
        f->keys = keys;
}

void followers_missed(struct followers *t, uint64_t source, uint8_t came) {
    struct followed *l = followers_of(t, source);
    for (unsigned i = 0; l && i < FOLLOWERS; i++)
        if (!(came & bit_of(l, &l->all[i])))
            l->all[i].streak = 0;
}

bool follower_is_likely(const struct follower *f) {
    return f->group && !f->wait && f->streak >= ENOUGH;
}

bool follower_is_proven(const struct follower *f) {
    return follower_is_likely(f) && f->streak >= PROVEN;
}

bool follower_was_left(const struct followed *list, const struct follower *f, const struct trail *trail) {
    const struct trail_result *last = NULL;
    bool came = true;
    for (const struct trail_result *r = trail->results; r; r = r->next)
        for (int tagged = 0; tagged < 2; tagged++)
            if (source_of(r, tagged) == list->source && r->n_rows >= LEAST_ROWS &&
                (!last || r->serial > last->serial)) {
                last = r;
                came = r->came[tagged] & bit_of(list, f);
            }
    return !came;
}

void followers_ended(struct followers *t, uint64_t source, uint64_t group, unsigned n_keys, unsigned n_served,
                     bool late) {
    struct followed *l = followers_of(t, source);
    struct follower *f = l ? follower_find(l, group) : NULL;
    if (!f)
        return;
    if ((late || !n_keys) && f->late < LATES) { // of a list without rows nothing can be asked for
        f->late++;
        return;
    }
    if (n_keys && 4 * n_served >= n_keys) {
        f->late = 0;
        f->served = f->failures ? f->served + 1 : 0;
        f->failures -= f->failures && f->served % MANY == 0;
        return;
    }
    f->failures += f->failures < MOST_WAITS;
    f->served = 0;
    f->wait = 2u << f->failures;
}
