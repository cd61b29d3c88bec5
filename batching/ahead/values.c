// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/values.h"

#include "batching/fold/group.h"
#include "batching/statement/shape.h"

bool value_of_key(const struct key *k, uint8_t *scratch, struct key *out) {
    *out = *k;
    if (k->kind == KEY_PLAIN || k->kind == KEY_RAW)
        return true;
    if (k->kind != KEY_DOUBLED || k->len > 2 * TRAIL_MAX_TEXT)
        return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->len; i++, n++) {
        scratch[n] = k->of.raw[i];
        i += k->of.raw[i] == '\'';
    }
    *out = (struct key){.kind = KEY_RAW, .len = n, .of.raw = scratch};
    return true;
}

bool value_to_key(const struct group_part *part, bool literal, const struct key *value, uint8_t *scratch,
                  struct key *out) {
    *out = *value;
    if (value->kind == KEY_PLAIN && part->type != OID_UUID) {
        int64_t v = (int64_t)get_u64(value->of.bytes);
        bool int4 = v >= INT32_MIN && v <= INT32_MAX;
        // A constant of the simple protocol has the first type that holds it.
        if (literal && part->declared == OID_INT8)
            return !int4;
        return part->type == OID_INT8 || (part->type == OID_INT4 && int4) ||
               (part->type == OID_INT2 && v >= INT16_MIN && v <= INT16_MAX);
    }
    if (value->kind != KEY_RAW || !part->quoted)
        return value->kind != KEY_NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < value->len; i++) {
        if (value->of.raw[i] == '\'')
            scratch[n++] = '\'';
        scratch[n++] = value->of.raw[i];
    }
    *out = (struct key){.kind = KEY_DOUBLED, .len = n, .of.raw = scratch};
    return true;
}

bool values_of_key(const struct group *g, const struct key *keys, struct value_texts *texts,
                   struct key *values) {
    for (unsigned i = 0; i < g->n_parts; i++)
        if (!value_of_key(&keys[i], texts->of[i], &values[i]))
            return false;
    return true;
}

bool value_is_other(const struct group_part *part) {
    return trail_kind_of(part->type) == TRAIL_OTHER;
}

static bool is_in(struct trail *t, enum trail_kind kind, const struct key *k) {
    struct trail_place place = {0};
    return kind != TRAIL_NOTHING && trail_find(t, kind, k, &place);
}

static bool text_is_in(struct trail *t, struct slice value, bool quoted) {
    uint8_t scratch[2 * TRAIL_MAX_TEXT];
    struct key k, text;
    return value.len <= sizeof scratch && key_read_raw(value, quoted, &k) &&
           value_of_key(&k, scratch, &text) && is_in(t, TRAIL_TEXT, &text);
}

// Tells whether a value is in the trail. Its type may not be known, so it is tried as whatever it can be. In
// binary its width tells.
static bool value_is_in(struct trail *t, const struct group_part *part, uint32_t declared,
                        struct slice value) {
    static const uint32_t types[] = {OID_INT8, OID_UUID, OID_INT4, OID_INT2};
    unsigned n = part->format == 1 ? 4 : 2; // any integer's text can be read as int8
    struct key k;
    if (!value.data)
        return false;
    for (unsigned i = 0; i < n; i++)
        if ((part->format == 0 || !declared || declared == types[i]) &&
            key_read(types[i], part->format, value, &k) && is_in(t, trail_kind_of(types[i]), &k))
            return true;
    return (!declared || trail_kind_of(declared) == TRAIL_TEXT) && text_is_in(t, value, part->quoted);
}

bool values_are_plausible(struct trail *t, const struct group *g, const struct slice *raw) {
    for (unsigned i = 0; i < g->n_parts && t->results; i++) {
        const struct group_part *part = &g->parts[i];
        struct slice value = raw[i];
        uint32_t declared = part->declared;
        if (g->shape->parsed->keys[part->key].array) {
            declared = key_element_type(declared);
            if (!key_array_element(part->format, raw[i], declared, &value))
                continue;
        }
        if (value_is_in(t, part, declared, value))
            return true;
    }
    return false;
}
