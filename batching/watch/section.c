// SPDX-License-Identifier: PostgreSQL
#include "batching/watch/section.h"

#include <stdio.h>
#include <stdlib.h>

#include "batching/statement/shape.h"

void section_clear(struct section *s) {
    for (unsigned i = 0; s->shapes && i < SECTION_SHAPES; i++) {
        shape_unref(s->shapes[i].shape);
        shape_unref(s->shapes[i].list);
    }
    free(s->shapes);
    *s = (struct section){0};
}

bool section_counts(enum statement_kind kind, const struct parsed *p) {
    switch (kind) {
    case STATEMENT_READ:
        return !p || p->reason != REASON_SYSTEM_SCHEMA;
    case STATEMENT_WRITE:
    case STATEMENT_OTHER:
    case STATEMENT_LOAD:
        return true;
    default:
        return false;
    }
}

void section_note(struct section *s, enum statement_kind kind, const struct parsed *p) {
    s->n[METRIC_STATEMENTS] += section_counts(kind, p);
}

static struct section_shape *find(struct section *s, const struct shape *shape) {
    for (unsigned i = 0; i < SECTION_SHAPES; i++) {
        struct section_shape *of = &s->shapes[(shape->digest + i) % SECTION_SHAPES];
        if (!of->shape || of->shape->digest == shape->digest)
            return of;
    }
    return NULL;
}

static void note_key(struct section *s, struct section_shape *of, uint32_t key) {
    of->fresh = false;
    for (uint32_t i = 0; i < of->n_keys; i++)
        if (of->keys[i] == key)
            return;
    of->fresh = true;
    if (of->n_keys < SECTION_KEYS) {
        of->by[of->n_keys] = of->asker;
        of->keys[of->n_keys++] = key;
    }
    if (of->n_keys > of->most_keys)
        of->most_keys = of->n_keys;
    if (!of->excused && of->n_keys > s->n[METRIC_REPEATS])
        s->n[METRIC_REPEATS] = of->n_keys;
}

struct section_shape *section_lookup(struct section *s, struct shape *shape, uint32_t key, uint64_t by,
                                     bool excused) {
    s->n[METRIC_LOOKUPS]++;
    if (!s->shapes)
        s->shapes = calloc(SECTION_SHAPES, sizeof *s->shapes);
    struct section_shape *of = s->shapes ? find(s, shape) : NULL;
    if (!of)
        return NULL;
    if (!of->shape)
        of->shape = shape_ref(shape);
    of->excused = excused;
    of->asker = by;
    of->n++;
    note_key(s, of, key);
    return of;
}

bool section_from_list(struct section_shape *of, uint64_t list, uint32_t key) {
    for (unsigned i = 0; i < SECTION_LISTS; i++)
        if (of->from[i].list == list)
            return of->from[i].key != key;
    of->from[of->n_from % SECTION_LISTS].list = list;
    of->from[of->n_from % SECTION_LISTS].by = of->asker;
    of->from[of->n_from++ % SECTION_LISTS].key = key;
    return false;
}

void section_looped(struct section *s, struct section_shape *of, struct shape *list) {
    of->loop_by = of->asker;
    if (of->looped)
        return;
    of->looped = true;
    of->list = list ? shape_ref(list) : NULL;
    s->n[METRIC_LOOPS] += !of->excused;
}

static void part_shape(struct section_shape *of, uint64_t by) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < of->n_keys; i++) {
        if (!by || of->by[i] == by)
            continue;
        of->by[n] = of->by[i];
        of->keys[n++] = of->keys[i];
    }
    of->n_keys = n;
    for (unsigned i = 0; i < SECTION_LISTS; i++)
        if (!by || of->from[i].by == by)
            of->from[i].list = 0;
    if (!by || of->loop_by == by)
        of->loop_by = 0;
}

void section_part(struct section *s, uint64_t by) {
    for (unsigned i = 0; s->shapes && i < SECTION_SHAPES; i++)
        if (s->shapes[i].n_keys || s->shapes[i].loop_by)
            part_shape(&s->shapes[i], by);
}

enum metric section_exceeds(struct section *s, bool more) {
    for (unsigned m = METRIC_COUNT; m-- > 0;) {
        uint64_t n = s->n[m] + (more && m == METRIC_STATEMENTS);
        if (!s->expect.of[m].set || n <= s->expect.of[m].most)
            continue;
        s->broken[m] = true;
        return (enum metric)m;
    }
    return METRIC_COUNT;
}

enum metric section_fails(const struct section *s) {
    for (unsigned m = METRIC_COUNT; m-- > 0;) {
        bool less = s->expect.of[m].exact && s->n[m] < s->expect.of[m].most;
        if (s->expect.of[m].set && (s->broken[m] || less || s->n[m] > s->expect.of[m].most))
            return (enum metric)m;
    }
    return METRIC_COUNT;
}

bool section_is_broken(const struct section *s) {
    for (unsigned m = 0; m < METRIC_COUNT; m++)
        if (s->broken[m])
            return true;
    return false;
}

void section_write_counts(const struct section *s, struct buf *out) {
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        char text[64];
        snprintf(text, sizeof text, "%s\"%s\":%llu", m ? "," : "{", metric_name((enum metric)m),
                 (unsigned long long)s->n[m]);
        buf_put_text(out, text);
    }
    buf_put_text(out, "}");
}
