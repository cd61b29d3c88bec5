// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/second.h"

#include <string.h>

#include "batching/ahead/place.h"
#include "batching/ahead/values.h"
#include "batching/base/hash.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"

static uint32_t name_of(const struct group *g) {
    return (uint32_t)g->shape->digest | 1;
}

static uint32_t digest_of(const struct group *g, const struct slice *raw) {
    uint64_t digest = 0;
    for (unsigned i = 0; i < g->n_parts; i++)
        digest = XXH3_64bits_withSeed(raw[i].data, raw[i].len, digest + (raw[i].data != NULL));
    return (uint32_t)digest;
}

// SECOND_SHAPES, or where it is.
static unsigned place_of(const struct seconds *s, const struct group *g) {
    unsigned i = 0;
    while (i < SECOND_SHAPES && s->of[i].shape != name_of(g))
        i++;
    return i;
}

// Keeps the values if there is room for them and none is NULL.
static void keep(struct second *s, const struct group *g, const struct slice *raw) {
    size_t at = 0;
    for (unsigned i = 0; i < g->n_parts; at += raw[i++].len) {
        if (!raw[i].data || raw[i].len > sizeof s->kept - at)
            return;
        memcpy(s->kept + at, raw[i].data, raw[i].len);
        s->lengths[i] = (uint8_t)raw[i].len;
    }
    s->n_kept = (uint8_t)g->n_parts;
    s->group = (uint32_t)g->id;
}

bool second_take(struct seconds *s, const struct group *g, struct slice *raw) {
    unsigned at = place_of(s, g);
    if (at == SECOND_SHAPES || s->of[at].n_kept != g->n_parts || s->of[at].group != (uint32_t)g->id)
        return false;
    const uint8_t *from = s->of[at].kept;
    for (unsigned i = 0; i < g->n_parts; from += s->of[at].lengths[i++])
        raw[i] = (struct slice){from, s->of[at].lengths[i]};
    s->of[at].n_kept = 0;
    return true;
}

void second_note(struct seconds *s, const struct trail *t, const struct group *g, const struct slice *raw) {
    unsigned at = place_of(s, g), n = at < SECOND_SHAPES ? at : SECOND_SHAPES - 1;
    struct second new = {.shape = name_of(g), .values = digest_of(g, raw), .last = (uint32_t)t->serial};
    if (at < SECOND_SHAPES) {
        new.any = true;
        new.lists = s->of[at].last;
        new.same = s->of[at].values == new.values;
    }
    if (!new.same) // which of a list's rows is meant by the same values again would not be known
        keep(&new, g, raw);
    memmove(s->of + 1, s->of, n * sizeof *s->of);
    s->of[0] = new;
}

// A tree is gone down branch by branch: the answer to the lookup before is the list. Its serial, if nothing else was
// read since; else 0.
static uint64_t answer_before(const struct second *s, const struct trail *t, const struct group *g) {
    for (const struct trail_result *r = t->results; r; r = r->next)
        if (r->serial == t->serial && place_is_own(g, r))
            return (uint32_t)t->serial == s->lists + 1 ? r->serial : 0;
    return 0;
}

bool second_follows(const struct seconds *s, struct trail *t, const struct group *g,
                    const struct slice *raw) {
    unsigned at = place_of(s, g);
    if (at == SECOND_SHAPES || !s->of[at].any)
        return false;
    struct value_lists lists = {
        .until = s->of[at].lists, .and = answer_before(&s->of[at], t, g), .answers_once = s->of[at].same};
    return values_are_in(t, g, raw, &lists);
}
