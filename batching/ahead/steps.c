// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/steps.h"

#include <string.h>

#include "batching/ahead/canon.h"
#include "batching/ahead/values.h"
#include "batching/base/hash.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"
#include "protocol/buf.h"

#define ORIGIN       UINT64_C(0x7374657073) // of the part that varies; no column has it
#define LONGEST_STEP 1000
#define SURE         2     // steps of a run
#define FIRST        4     // keys
#define MOST         16384 // keys that are looked at for one batch

// ---- the last lookup

// Reads an integer whose type may not be known yet: in binary its width tells.
static bool read_integer(uint32_t declared, uint16_t format, struct slice value, int64_t *out) {
    static const uint32_t by_width[] = {[2] = OID_INT2, [4] = OID_INT4, [8] = OID_INT8};
    struct key k;
    if (format == 0) {
        if (!canon_text_integer(value, &k))
            return false;
    } else {
        uint32_t guess = value.len < sizeof by_width / sizeof *by_width ? by_width[value.len] : 0;
        if (!guess || (declared && !key_type_is_integer(declared)) || !key_read(guess, 1, value, &k))
            return false;
    }
    *out = (int64_t)get_u64(k.of.bytes);
    return true;
}

static void read_part(const struct group *g, unsigned i, struct slice raw, struct step *to) {
    const struct group_part *part = &g->parts[i];
    uint32_t declared = part->declared;
    struct slice value = raw;
    if (raw.data && g->shape->parsed->keys[part->key].array) {
        declared = key_element_type(declared);
        if (!key_array_element(part->format, raw, declared, &value))
            value = raw;
    }
    to->integers[i] = value.data && read_integer(declared, part->format, value, &to->last[i]);
    if (!to->integers[i])
        to->last[i] = (int64_t)XXH3_64bits_withSeed(value.data ? value.data : (const uint8_t *)"", value.len,
                                                    value.data != NULL);
}

// Finds the only part that differs, and by how much. Returns false when it is not a step.
static bool find_step(const struct step *from, const struct step *to, unsigned n_parts, unsigned *part,
                      int64_t *by) {
    unsigned n = 0;
    for (unsigned i = 0; i < n_parts; i++) {
        if (from->integers[i] == to->integers[i] && from->last[i] == to->last[i])
            continue;
        if (!from->integers[i] || !to->integers[i] || __builtin_sub_overflow(to->last[i], from->last[i], by))
            return false;
        *part = i;
        n++;
    }
    return n == 1 && *by >= -LONGEST_STEP && *by <= LONGEST_STEP;
}

// The group's entry, which is the first now. That of another group may have made room.
static struct step *entry_of(struct steps *s, uint64_t group) {
    unsigned at = 0;
    while (at < STEPS_GROUPS - 1 && s->of[at].group != group)
        at++;
    struct step entry = s->of[at].group == group ? s->of[at] : (struct step){.group = group};
    memmove(s->of + 1, s->of, at * sizeof *s->of);
    s->of[0] = entry;
    return &s->of[0];
}

void steps_note(struct steps *s, const struct group *g, const struct slice *raw, bool again) {
    struct step *e = entry_of(s, g->id), to = {.group = g->id, .window = FIRST};
    for (unsigned i = 0; i < g->n_parts; i++)
        read_part(g, i, raw[i], &to);
    bool steps = !again && find_step(e, &to, g->n_parts, &to.part, &to.by);
    if (steps && e->held && e->by == to.by && e->part == to.part) {
        to.held = e->held < SURE ? e->held + 1 : e->held;
        to.window = e->window;
    } else if (steps) {
        to.held = 1;
    }
    *e = to;
}

struct step *steps_run(struct steps *s, const struct group *g) {
    struct step *first = &s->of[0]; // that of the lookup at hand
    return first->group == g->id && first->held >= SURE ? first : NULL;
}

void steps_grow(struct step *run) {
    run->window = run->window < MOST ? 2 * run->window : MOST;
}

// ---- what is known of runs

struct association *steps_association(const struct group *g, const struct step *run) {
    uint64_t origins[KEY_MAX_PARTS] = {0};
    origins[run->part] = ORIGIN;
    struct association *a = association_find(g->shape, origins);
    if (a)
        return a;
    a = association_add(g->shape, origins);
    if (a) {
        a->lead = (uint8_t)run->part;
        a->window = FIRST;
    }
    return a;
}

bool steps_supply(const struct association *a) {
    for (unsigned i = 0; i < KEY_MAX_PARTS; i++)
        if (a->origin[i] == ORIGIN)
            return true;
    return false;
}

// ---- the coming keys

void steps_gather(const struct step *run, const struct group *g, const struct key *keys, struct batch *b,
                  bool (*skip)(void *arg, const struct key *keys), void *arg) {
    const struct group_part *part = &g->parts[run->part];
    struct key next[KEY_MAX_PARTS];
    if (!key_type_is_integer(part->type) || keys[run->part].kind != KEY_PLAIN)
        return;
    memcpy(next, keys, g->n_parts * sizeof *next);
    int64_t at = (int64_t)get_u64(keys[run->part].of.bytes);
    for (unsigned i = 0; i < MOST && b->n_keys < b->max_keys; i++) {
        uint32_t n = b->n_keys;
        if (__builtin_add_overflow(at, run->by, &at) || !value_has_integer(part, g->values != NULL, at))
            return;
        next[run->part] = canon_integer(at);
        if (skip(arg, next))
            continue;
        if (!batch_add_key(b, next) || b->n_keys == n)
            return;
        b->ahead.left[n] = 1;
        b->ahead.n_left++;
    }
}
