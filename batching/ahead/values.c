// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/values.h"

#include <string.h>

#include "batching/ahead/number.h"
#include "batching/fold/group.h"
#include "batching/statement/risk.h"
#include "batching/statement/shape.h"

static struct slice bytes_of(const struct key *k) {
    return (struct slice){k->of.raw, k->len};
}

static struct key raw_key(const uint8_t *bytes, size_t len) {
    return (struct key){.kind = KEY_RAW, .len = (uint32_t)len, .of.raw = bytes};
}

// ---- what a value may be in a list

// Takes away the doubling of quotes, if there are any.
static bool plain_key(const struct key *k, uint8_t *scratch, struct key *out) {
    *out = *k;
    if (k->kind != KEY_DOUBLED)
        return k->kind != KEY_NULL;
    out->kind = KEY_RAW;
    if (!k->len || !memchr(k->of.raw, '\'', k->len))
        return true;
    if (k->len > KEY_MAX_RAW)
        return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->len; i++, n++) {
        scratch[n] = k->of.raw[i];
        i += k->of.raw[i] == '\'';
    }
    *out = raw_key(scratch, n);
    return true;
}

// An integer or uuid is a text, too, and an integer a numeric.
static void add_plain(struct value *v, enum trail_kind kind, const struct key *k) {
    struct key text = raw_key(v->text, canon_write_text(kind, k, v->text));
    v->forms.of[kind] = *k;
    v->forms.of[TRAIL_TEXT] = text;
    if (kind == TRAIL_INTEGER) {
        struct trail_column numeric = {.type = OID_NUMERIC, .kind = TRAIL_OTHER};
        v->forms.of[TRAIL_OTHER] = canon_of(&numeric, &text);
        v->forms.other_type = OID_NUMERIC;
    }
}

static void add_text(struct value *v, uint32_t type, const struct key *k) {
    struct key plain;
    v->forms.of[TRAIL_TEXT] = *k;
    if (key_type_is_foreign(type))
        v->forms.text_type = type;
    else if (canon_text_integer(bytes_of(k), &plain))
        v->forms.of[TRAIL_INTEGER] = plain;
    else if (canon_text_uuid(bytes_of(k), &plain))
        v->forms.of[TRAIL_UUID] = plain;
}

// A numeric without decimal places is an integer, too.
static void add_other(struct value *v, uint32_t type, uint16_t format, const struct key *k) {
    struct trail_column column = {.type = type, .format = format, .kind = TRAIL_OTHER};
    uint8_t text[NUMBER_BYTES];
    struct key plain;
    v->forms.of[TRAIL_OTHER] = canon_of(&column, k);
    v->forms.other_type = type;
    size_t n = type == OID_NUMERIC ? number_to_text(format, bytes_of(k), text) : 0;
    if (n && canon_text_integer((struct slice){text, n}, &plain))
        v->forms.of[TRAIL_INTEGER] = plain;
}

// Adds the forms of a value of this type.
static void add_forms(struct value *v, uint32_t type, uint16_t format, const struct key *k) {
    enum trail_kind kind = trail_kind_of(type);
    struct key plain = *k;
    if (kind == TRAIL_INTEGER || kind == TRAIL_UUID) {
        if (k->kind == KEY_PLAIN || canon_read_plain(type, format, bytes_of(k), &plain))
            add_plain(v, kind, &plain);
    } else if (kind == TRAIL_TEXT && k->len) {
        add_text(v, type, k);
    } else if (kind == TRAIL_OTHER && k->len) {
        add_other(v, type, format, k);
    }
}

bool values_of_key(const struct group *g, const struct key *keys, struct value_texts *texts,
                   struct value *values) {
    for (unsigned i = 0; i < g->n_parts; i++) {
        struct value *v = &values[i];
        memset(&v->forms, 0, sizeof v->forms);
        if (!plain_key(&keys[i], texts->of[i], &v->sent))
            return false;
        add_forms(v, g->parts[i].type, g->parts[i].format, &v->sent);
    }
    return true;
}

bool value_is_other(const struct group_part *part) {
    return trail_kind_of(part->type) == TRAIL_OTHER;
}

// Tells whether a numeric is written without decimal places, as ids are.
static bool is_whole(const struct trail_result *r, uint32_t row, unsigned column) {
    const struct trail_column *c = &r->columns.columns[column];
    struct key k = trail_value(r, row, column);
    uint8_t text[NUMBER_BYTES];
    size_t n = number_to_text(c->format, bytes_of(&k), text);
    return n && !memchr(text, '.', n);
}

bool value_is_in_cell(const struct group_part *part, const struct value *v, const struct trail_result *r,
                      uint32_t row, unsigned column, bool same, struct spelling *s) {
    const struct trail_column *c = &r->columns.columns[column];
    enum trail_kind kind = trail_kind_of(part->type);
    if (c->kind != kind || (kind == TRAIL_OTHER && c->type != part->type))
        return !same && trail_row_has(r, row, column, &v->forms) &&
               (c->kind != TRAIL_OTHER || is_whole(r, row, column));
    if (kind != TRAIL_OTHER)
        return trail_row_has(r, row, column, &v->forms);
    struct key k = trail_value(r, row, column);
    return k.kind == KEY_RAW && v->sent.kind == KEY_RAW &&
           spelling_find(c->type, c->format, bytes_of(&k), part->format, bytes_of(&v->sent), s);
}

// ---- back

// The integer or uuid of a cell.
static bool plain_of_cell(const struct trail_column *c, enum trail_kind kind, const struct key *cell,
                          struct key *k) {
    uint8_t text[NUMBER_BYTES];
    *k = *cell;
    if (c->kind == kind)
        return true;
    if (c->kind == TRAIL_TEXT)
        return kind == TRAIL_INTEGER ? canon_text_integer(bytes_of(cell), k)
                                     : canon_text_uuid(bytes_of(cell), k);
    size_t n = c->type == OID_NUMERIC ? number_to_text(c->format, bytes_of(cell), text) : 0;
    return kind == TRAIL_INTEGER && n && canon_text_integer((struct slice){text, number_strip(text, n)}, k);
}

bool value_has_integer(const struct group_part *part, bool literal, int64_t v) {
    bool int4 = v >= INT32_MIN && v <= INT32_MAX;
    // A constant of the simple protocol has the first type that holds it.
    if (literal && part->declared == OID_INT8)
        return !int4;
    if (part->type == OID_INT2)
        return v >= INT16_MIN && v <= INT16_MAX;
    if (part->type == OID_INT4)
        return int4;
    return part->type == OID_INT8 || (v >= 0 && v <= UINT32_MAX); // oid
}

static bool integer_to_key(const struct group_part *part, bool literal, const struct key *k, uint8_t *scratch,
                           struct key *out) {
    *out = *k;
    if (!value_has_integer(part, literal, (int64_t)get_u64(k->of.bytes)))
        return false;
    if (key_type_is_integer(part->type))
        return true;
    if (part->format == 0) {
        *out = raw_key(scratch, canon_write_text(TRAIL_INTEGER, k, scratch));
        return true;
    }
    memcpy(scratch, k->of.bytes + 4, 4);
    *out = raw_key(scratch, 4);
    return true;
}

// A text or another value.
static bool raw_of_cell(const struct group_part *part, const struct trail_column *c, const struct key *cell,
                        const struct spelling *s, uint8_t *scratch, struct key *out) {
    enum trail_kind kind = trail_kind_of(part->type);
    struct slice sent;
    *out = *cell;
    if (c->kind == TRAIL_INTEGER || c->kind == TRAIL_UUID) {
        uint8_t text[CANON_TEXT];
        size_t n = canon_write_text((enum trail_kind)c->kind, cell, text);
        bool binary = kind == TRAIL_OTHER && part->format == 1;
        n = binary ? number_to_binary((struct slice){text, n}, scratch) : (memcpy(scratch, text, n), n);
        *out = raw_key(scratch, n);
        return kind == TRAIL_TEXT || (part->type == OID_NUMERIC && c->kind == TRAIL_INTEGER);
    }
    if (kind != TRAIL_OTHER)
        return c->kind == TRAIL_TEXT && (!key_type_is_foreign(part->type) || part->type == c->type);
    bool known = c->type == part->type && s->type == c->type && s->from_binary == (c->format == 1);
    if (!known || !spelling_write(s, bytes_of(cell), scratch, &sent))
        return false;
    *out = raw_key(sent.data, sent.len);
    return true;
}

// Doubles the quotes of a text that is written as a constant.
static bool double_quotes(uint8_t *scratch, struct key *k) {
    const uint8_t *from = k->of.raw;
    k->kind = KEY_DOUBLED;
    if (!k->len || !memchr(from, '\'', k->len))
        return true;
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->len; i++) {
        if (n + 2 > KEY_MAX_RAW)
            return false;
        if (from[i] == '\'')
            scratch[n++] = '\'';
        scratch[n++] = from[i];
    }
    k->of.raw = scratch;
    k->len = n;
    return true;
}

bool value_to_key(const struct group_part *part, bool literal, const struct trail_result *r, uint32_t row,
                  unsigned column, const struct spelling *s, uint8_t *scratch, struct key *out) {
    const struct trail_column *c = &r->columns.columns[column];
    enum trail_kind kind = trail_kind_of(part->type);
    struct key cell = trail_value(r, row, column), k;
    if (cell.kind == KEY_NULL)
        return false;
    if (kind == TRAIL_INTEGER || kind == TRAIL_UUID) {
        if (!plain_of_cell(c, kind, &cell, &k))
            return false;
        *out = k;
        return kind == TRAIL_UUID || integer_to_key(part, literal, &k, scratch, out);
    }
    return raw_of_cell(part, c, &cell, s, scratch, out) &&
           !risk_of_value(part->type, part->format, bytes_of(out)) &&
           (!part->quoted || double_quotes(scratch, out));
}

// ---- before anything is known of the types

// Is it one of the lists? Lookups with other values are no reading again.
static bool is_among(const struct trail *t, const struct trail_result *r, const struct value_lists *lists) {
    if (!lists)
        return true;
    bool once = lists->answers_once || !r->columns.shape;
    return r->serial == lists->and || (r->serial <= lists->until && !(once && trail_is_older(t, r)));
}

static bool has_place(struct trail *t, const struct value *v, const struct value_lists *lists) {
    struct trail_place p = {0};
    bool integer = v->forms.of[TRAIL_INTEGER].kind != KEY_NULL;
    while (trail_find(t, &v->forms, &p))
        if ((!integer || p.result->columns.columns[p.column].kind != TRAIL_OTHER ||
             is_whole(p.result, p.row, p.column)) &&
            is_among(t, p.result, lists))
            return true;
    return false;
}

// Tells whether the value, as whatever type a column has, is in one of the others.
static bool is_other_in(struct trail *t, const struct value *v, uint16_t format,
                        const struct value_lists *lists) {
    uint32_t row;
    for (struct trail_result *r = t->results; r; r = r->next) {
        bool looks = trail_is_whole(t, r) && is_among(t, r, lists);
        for (unsigned i = 0; looks && i < r->columns.n; i++) {
            const struct trail_column *c = &r->columns.columns[i];
            struct value as = {0};
            if (c->kind != TRAIL_OTHER)
                continue;
            add_forms(&as, c->type, format, &v->sent);
            if (trail_find_row(t, r, i, &as.forms, &row))
                return true;
        }
    }
    return false;
}

// Tells whether a value is in the trail. If its type is not known it is tried as whatever it can be; in binary its
// width tells.
static bool value_is_in(struct trail *t, const struct group_part *part, uint32_t declared, struct slice value,
                        const struct value_lists *lists) {
    static const uint32_t types[] = {OID_INT8, OID_INT4, OID_INT2,   OID_UUID,
                                     26,       25,       OID_NUMERIC}; // oid, text
    struct value_texts texts;
    struct value v = {0};
    struct key k;
    if (!value.data || !key_read_raw(value, part->quoted, &k) || !plain_key(&k, texts.of[0], &v.sent))
        return false;
    if (declared) {
        add_forms(&v, declared, part->format, &v.sent);
        v.forms.text_type = 0;
        return has_place(t, &v, lists);
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        memset(&v.forms, 0, sizeof v.forms);
        add_forms(&v, types[i], part->format, &v.sent);
        if (has_place(t, &v, lists))
            return true;
    }
    return is_other_in(t, &v, part->format, lists);
}

bool values_are_in(struct trail *t, const struct group *g, const struct slice *raw,
                   const struct value_lists *lists) {
    for (unsigned i = 0; i < g->n_parts && t->results; i++) {
        const struct group_part *part = &g->parts[i];
        struct slice value = raw[i];
        uint32_t declared = part->declared;
        if (g->shape->parsed->keys[part->key].array) {
            declared = key_element_type(declared);
            if (!key_array_element(part->format, raw[i], declared, &value))
                continue;
        }
        if (value_is_in(t, part, declared, value, lists))
            return true;
    }
    return false;
}
