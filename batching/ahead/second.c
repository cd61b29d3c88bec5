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
    s->kept_any = true;
    s->group = (uint32_t)g->id;
}

// The group's, with the values kept. NULL: there is none.
static struct second *find_kept(struct seconds *s, const struct group *g) {
    unsigned at = place_of(s, g);
    bool found = at < SECOND_SHAPES && s->of[at].kept_any && s->of[at].group == (uint32_t)g->id;
    return found ? &s->of[at] : NULL;
}

static void read_kept(const struct second *s, unsigned n_parts, struct slice *raw) {
    const uint8_t *from = s->kept;
    for (unsigned i = 0; i < n_parts; from += s->lengths[i++])
        raw[i] = (struct slice){from, s->lengths[i]};
}

bool second_take(struct seconds *s, const struct group *g, struct slice *raw) {
    struct second *of = find_kept(s, g);
    if (!of || of->n_kept != g->n_parts)
        return false;
    read_kept(of, g->n_parts, raw);
    of->n_kept = 0;
    return true;
}

uint64_t second_digest(uint64_t rows, const uint8_t *row, size_t len) {
    return XXH3_64bits_withSeed(row, len, rows);
}

void second_note_row(struct seconds *s, const struct group *g, const uint8_t *row, size_t len) {
    struct second *of = find_kept(s, g);
    if (!of)
        return;
    of->rows = second_digest(of->rows, row, len);
    of->n_rows += of->n_rows < UINT32_MAX;
}

void second_note_end(struct seconds *s, const struct group *g) {
    struct second *of = find_kept(s, g);
    if (of)
        of->whole = true;
    s->open = false;
}

const struct second *second_answered(struct seconds *s, const struct group *g, struct slice *raw) {
    const struct second *of = find_kept(s, g);
    if (!of || !of->whole || !of->n_rows)
        return NULL;
    read_kept(of, g->n_parts, raw);
    return of;
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
    s->open = true;
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
