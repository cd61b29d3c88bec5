// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/second.h"

#include <string.h>

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

void second_note(struct seconds *s, const struct trail *t, const struct group *g, const struct slice *raw) {
    unsigned at = place_of(s, g), n = at < SECOND_SHAPES ? at : SECOND_SHAPES - 1;
    struct second new = {.shape = name_of(g), .values = digest_of(g, raw), .last = (uint32_t)t->serial};
    if (at < SECOND_SHAPES) {
        new.any = true;
        new.lists = s->of[at].last;
        new.same = s->of[at].values == new.values;
    }
    memmove(s->of + 1, s->of, n * sizeof *s->of);
    s->of[0] = new;
}

bool second_follows(const struct seconds *s, struct trail *t, const struct group *g, const struct slice *raw) {
    unsigned at = place_of(s, g);
    if (at == SECOND_SHAPES || !s->of[at].any)
        return false;
    // The answer to the lookup before it may name the values, too.
    struct value_lists lists = {.until = s->of[at].lists, .answers_once = s->of[at].same};
    return values_are_in(t, g, raw, &lists);
}
