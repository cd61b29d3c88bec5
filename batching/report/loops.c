// SPDX-License-Identifier: PostgreSQL
#include "batching/report/loops.h"

#include <stdlib.h>
#include <string.h>

#include "batching/fold/group.h"
#include "batching/report/tags.h"

static void weigh(struct loops *l) {
    size_t bytes = l->room ? l->room * sizeof *l->of + MEMORY_BLOCK : 0;
    for (unsigned i = 0; i < l->n; i++)
        bytes += loop_bytes(&l->of[i]);
    account_set(l->memory, &l->weighs, bytes);
}

void loops_clear(struct loops *l) {
    for (unsigned i = 0; i < l->n; i++)
        loop_free(&l->of[i]);
    free(l->of);
    *l = (struct loops){.max = l->max, .memory = l->memory, .weighs = l->weighs};
    weigh(l);
}

bool loops_find(const struct loops *l, uint64_t key, struct loop_place *p) {
    for (unsigned i = 0; i < l->n; i++) {
        if (l->of[i].key != key)
            continue;
        *p = (struct loop_place){key, i};
        return true;
    }
    return false;
}

static bool grow(struct loops *l) {
    unsigned room = l->room ? 2 * l->room : 16;
    struct loop *of = realloc(l->of, (room < l->max ? room : l->max) * sizeof *of);
    if (!of)
        return false;
    l->of = of;
    l->room = room < l->max ? room : l->max;
    return true;
}

// A place for a new loop; NULL: there is none.
static struct loop *make_room(struct loops *l, bool proven) {
    struct loop *least = NULL;
    if (l->n < l->room || (l->n < l->max && grow(l)))
        return &l->of[l->n++];
    for (unsigned i = 0; i < l->n; i++)
        if (!l->of[i].proven && (!least || l->of[i].of.asked < least->of.asked))
            least = &l->of[i];
    if (!least || (least->of.asked && !proven))
        return NULL;
    l->not_listed += least->of.asked > 0;
    loop_free(least);
    return least;
}

bool loops_add(struct loops *l, const struct loop_about *about, bool twice, struct loop_place *p) {
    struct loop made;
    if (account_is_short(l->memory, LOOP_STATEMENT * 4) || !loop_make(&made, about))
        return false;
    struct loop *at = make_room(l, made.proven);
    if (at) {
        *at = made;
        *p = (struct loop_place){made.key, (unsigned)(at - l->of)};
    } else {
        loop_free(&made);
        l->not_listed += !twice;
    }
    weigh(l);
    return at;
}

void loops_renew(struct loops *l, const struct loop_place *p, const struct loop_about *about) {
    struct loop *at = loops_at(l, p), made;
    if (!at || at->vetted || !about->group || about->group->assumed || !loop_make(&made, about))
        return;
    made.pages = at->pages;
    made.of = at->of;
    made.last = at->last;
    made.n_tags = at->n_tags;
    made.more_tags = at->more_tags;
    made.last_tags = at->last_tags;
    memcpy(made.tags, at->tags, sizeof made.tags);
    loop_free(at);
    *at = made;
    weigh(l);
}

void loop_tagged(struct loop *l, uint16_t tags, unsigned most) {
    if (!tags || tags == l->last_tags)
        return;
    l->last_tags = tags;
    for (unsigned i = 0; i < l->n_tags; i++)
        if (l->tags[i] == tags)
            return;
    if (tags == TAGS_OTHER || l->n_tags == most || l->n_tags == LOOP_TAGS)
        l->more_tags = true;
    else
        l->tags[l->n_tags++] = tags;
}

static int compare(const void *x, const void *y, void *loops) {
    const struct loop *a = &((const struct loops *)loops)->of[*(const uint32_t *)x];
    const struct loop *b = &((const struct loops *)loops)->of[*(const uint32_t *)y];
    if (a->of.alone != b->of.alone)
        return a->of.alone < b->of.alone ? 1 : -1;
    if (a->of.asked != b->of.asked)
        return a->of.asked < b->of.asked ? 1 : -1;
    return a->id < b->id ? -1 : a->id > b->id;
}

const struct loop *loops_by_cost(const struct loops *l, unsigned i, uint32_t *order) {
    for (unsigned j = 0; !i && j < l->n; j++)
        order[j] = j;
    if (!i)
        qsort_r(order, l->n, sizeof *order, compare, (void *)(uintptr_t)l);
    return i < l->n ? &l->of[order[i]] : NULL;
}
