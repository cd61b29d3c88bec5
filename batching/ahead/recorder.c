// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/arrays.h"
#include "batching/ahead/canon.h"

// The first row is kept as it came until there is a second.
static void drop_first(struct trail *t) {
    struct trail_recorder *r = &t->recorder;
    t->bytes -= r->first ? r->first_len : 0;
    free(r->first);
    r->first = NULL;
}

static bool keep_first(struct trail *t, const uint8_t *body, size_t len) {
    struct trail_recorder *r = &t->recorder;
    r->first = len <= t->max_bytes ? malloc(len + 1) : NULL;
    if (!r->first)
        return false;
    memcpy(r->first, body, len);
    r->first_len = len;
    t->bytes += len;
    return true;
}

static void begin(struct trail *t, bool on) {
    t->recorder.on = on;
    t->recorder.n_rows = 0;
    t->recorder.serial = 0;
    t->recorder.result = NULL;
    t->recorder.before = 0;
    t->recorder.keeps_one = false;
    memset(t->recorder.lists, 0, sizeof t->recorder.lists);
}

void trail_begin(struct trail *t, const struct trail_columns *c) {
    trail_end(t);
    memcpy(&t->recorder.columns, c, trail_columns_size(c));
    begin(t, true);
}

void trail_begin_again(struct trail *t, const struct trail_columns *c) {
    struct trail_recorder *r = &t->recorder;
    trail_begin(t, c);
    r->n_rows = 1; // no first one is kept until there is a second
    r->result = trail_open_again(t, c);
    r->before = r->result ? r->result->n_rows : 0;
    r->serial = r->result ? r->result->serial : 0;
}

// ---- a row

static void read_value(const struct trail_column *c, struct slice value, struct key *k) {
    *k = (struct key){.kind = KEY_NULL};
    if (value.data && !(c->kind == TRAIL_INTEGER || c->kind == TRAIL_UUID)) {
        if (value.len && value.len <= TRAIL_MAX_TEXT)
            *k = (struct key){.kind = KEY_RAW, .len = (uint32_t)value.len, .of.raw = value.data};
    } else if (value.data && !canon_read_plain(c->type, c->format, value, k)) {
        k->kind = KEY_NULL;
    }
}

struct row {
    struct key keys[TRAIL_MAX_COLUMNS];
    struct slice arrays[TRAIL_MAX_ARRAYS];
};

// Reads the kept columns of a row, which come in the order in which they are kept. Returns false when it is no
// such row.
static bool read_row(const struct trail_columns *c, const uint8_t *body, size_t len, struct row *row) {
    if (len < 2 || get_u16(body) != c->n_row)
        return false;
    size_t at = 2;
    for (unsigned i = 0, kept = 0, array = 0; kept < c->n || array < c->n_arrays; i++) {
        uint32_t size = len - at >= 4 ? get_u32(body + at) : UINT32_MAX - 1;
        bool null = size == UINT32_MAX;
        at += 4;
        if (at > len || (!null && size > len - at))
            return false;
        struct slice value = {null ? NULL : body + at, null ? 0 : size};
        if (kept < c->n && c->columns[kept].at == i)
            read_value(&c->columns[kept], value, &row->keys[kept]), kept++;
        if (array < c->n_arrays && c->arrays[array].at == i)
            row->arrays[array++] = value;
        at += value.len;
    }
    return true;
}

// ---- arrays

// What a list of the elements of an array column has of its own.
static struct trail_result *add_list(struct trail *t, unsigned array) {
    struct trail_columns c;
    const struct trail_column *from = &t->recorder.columns.arrays[array];
    uint32_t type = arrays_element_type(from->type);
    memcpy(&c, &t->recorder.columns, offsetof(struct trail_columns, columns));
    c.source = c.source * 31 + from->at + 1;
    c.n_row = c.n = 1;
    c.n_arrays = 0;
    c.columns[0] = (struct trail_column){
        .format = type == key_element_type(from->type) ? from->format : 0, .kind = from->kind, .type = type};
    return trail_add(t, &c);
}

// The elements go behind those of the rows before: a loop over all rows goes through them all.
static void record_array(struct trail *t, unsigned array, struct slice value) {
    struct trail_recorder *r = &t->recorder;
    const struct trail_column *c = &r->columns.arrays[array];
    struct arrays_walk walk;
    struct slice element;
    uint8_t scratch[KEY_MAX_RAW];
    if (!arrays_begin(&walk, c->type, c->format, value))
        return;
    while (arrays_next(&walk, scratch, &element)) {
        struct key k;
        if (!r->lists[array])
            r->lists[array] = add_list(t, array);
        if (!r->lists[array] || r->lists[array]->full)
            return;
        read_value(&r->lists[array]->columns.columns[0], element, &k);
        trail_add_row(t, r->lists[array], &k);
    }
}

// ---- recording

static bool record(struct trail *t, const uint8_t *body, size_t len, bool scalars) {
    struct trail_recorder *r = &t->recorder;
    struct row row;
    if (!read_row(&r->columns, body, len, &row))
        return false;
    scalars &= r->columns.n > 0;
    if (scalars && !r->result)
        r->result = trail_add(t, &r->columns);
    if (scalars && r->result)
        trail_add_row(t, r->result, row.keys);
    for (unsigned i = 0; i < r->columns.n_arrays; i++)
        record_array(t, i, row.arrays[i]);
    return !scalars || (r->result && !r->result->full);
}

bool trail_read_row(const struct trail_columns *c, const uint8_t *body, size_t len, struct key *keys) {
    struct row row;
    if (!read_row(c, body, len, &row))
        return false;
    memcpy(keys, row.keys, c->n * sizeof *keys);
    return true;
}

void trail_row(struct trail *t, const uint8_t *body, size_t len) {
    struct trail_recorder *r = &t->recorder;
    if (!r->on)
        return;
    if (!r->n_rows++) {
        r->on = keep_first(t, body, len);
        return;
    }
    if (r->first)
        r->on = record(t, r->first, r->first_len, true);
    drop_first(t);
    r->on = r->on && record(t, body, len, true);
}

void trail_keep_one(struct trail *t) {
    t->recorder.keeps_one = t->recorder.on;
}

struct trail_result *trail_take_one(struct trail *t) {
    struct trail_recorder *r = &t->recorder;
    if (r->on && r->first && r->keeps_one) {
        (void)record(t, r->first, r->first_len, true);
        drop_first(t);
    }
    return r->result;
}

void trail_end(struct trail *t) {
    struct trail_recorder *r = &t->recorder;
    if (r->on && r->first && r->columns.n_arrays)
        (void)record(t, r->first, r->first_len, false);
    drop_first(t);
    if (r->result && r->before)
        trail_close_again(t, r->result, r->before);
    for (unsigned i = 0; i < TRAIL_MAX_ARRAYS; i++)
        if (r->lists[i] && r->lists[i]->n_rows < 2) // it predicts nothing
            trail_remove(t, r->lists[i]);
    begin(t, false);
}
