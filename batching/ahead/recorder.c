// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/recorder.h"

#include <stdlib.h>
#include <string.h>

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

void trail_begin(struct trail *t, const struct trail_columns *c) {
    drop_first(t);
    memcpy(&t->recorder.columns, c, trail_columns_size(c));
    t->recorder.on = c->n > 0;
    t->recorder.n_rows = 0;
    t->recorder.result = NULL;
}

static void read_value(const struct trail_column *c, struct slice value, struct key *k) {
    *k = (struct key){.kind = KEY_NULL};
    if (value.data && !(c->kind == TRAIL_INTEGER || c->kind == TRAIL_UUID)) {
        if (value.len && value.len <= TRAIL_MAX_TEXT)
            *k = (struct key){.kind = KEY_RAW, .len = (uint32_t)value.len, .of.raw = value.data};
    } else if (value.data && !canon_read_plain(c->type, c->format, value, k)) {
        k->kind = KEY_NULL;
    }
}

// Reads the kept columns of a row, which come in the order in which they are kept. Returns false when it is no
// such row.
static bool read_row(const struct trail_columns *c, const uint8_t *body, size_t len, struct key *keys) {
    if (len < 2 || get_u16(body) != c->n_row)
        return false;
    size_t at = 2;
    for (unsigned i = 0, kept = 0; kept < c->n; i++) {
        uint32_t size = len - at >= 4 ? get_u32(body + at) : UINT32_MAX - 1;
        bool null = size == UINT32_MAX;
        at += 4;
        if (at > len || (!null && size > len - at))
            return false;
        struct slice value = {null ? NULL : body + at, null ? 0 : size};
        if (c->columns[kept].at == i)
            read_value(&c->columns[kept], value, &keys[kept]), kept++;
        at += value.len;
    }
    return true;
}

// Records a row in the result.
static bool record(struct trail *t, const uint8_t *body, size_t len) {
    struct trail_recorder *r = &t->recorder;
    struct key keys[TRAIL_MAX_COLUMNS];
    if (!read_row(&r->columns, body, len, keys))
        return false;
    if (!r->result)
        r->result = trail_add(t, &r->columns);
    if (r->result)
        trail_add_row(t, r->result, keys);
    return r->result && !r->result->full;
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
        r->on = record(t, r->first, r->first_len);
    drop_first(t);
    r->on = r->on && record(t, body, len);
}

void trail_end(struct trail *t) {
    drop_first(t);
    t->recorder.on = false;
    t->recorder.result = NULL;
}
