// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/cells.h"

#include <stdlib.h>
#include <string.h>

#define INTEGER_BYTES 8

void cells_init(struct cells *c, size_t max_texts) {
    // The least is above the most: there is none yet.
    *c = (struct cells){.least = 1, .texts = buf_make(max_texts)};
}

void cells_free(struct cells *c) {
    free(c->values);
    free(c->nulls);
    free(c->index);
    free(c->equal);
    buf_free(&c->texts);
    cells_init(c, 0);
}

size_t cells_width(uint8_t kind) {
    return kind == TRAIL_UUID ? 16 : kind == TRAIL_INTEGER ? INTEGER_BYTES : 2 * sizeof(uint32_t);
}

static size_t words(uint32_t rows) {
    return ((size_t)rows + 63) / 64;
}

size_t cells_bytes(const struct cells *c, uint8_t kind, uint32_t rows) {
    return rows * cells_width(kind) + (c->nulls ? words(rows) * sizeof *c->nulls : 0) + c->texts.cap;
}

bool cells_grow(struct cells *c, uint8_t kind, uint32_t before, uint32_t rows) {
    uint8_t *values = realloc(c->values, rows * cells_width(kind));
    if (!values)
        return false;
    c->values = values;
    if (!c->nulls)
        return true;
    uint64_t *nulls = realloc(c->nulls, words(rows) * sizeof *nulls);
    if (!nulls)
        return false;
    memset(nulls + words(before), 0, (words(rows) - words(before)) * sizeof *nulls);
    c->nulls = nulls;
    return true;
}

static size_t put_null(struct cells *c, uint8_t kind, uint32_t row, uint32_t rows) {
    size_t more = c->nulls ? 0 : words(rows) * sizeof *c->nulls;
    memset(c->values + row * cells_width(kind), 0, cells_width(kind));
    if (!c->nulls)
        c->nulls = calloc(words(rows), sizeof *c->nulls);
    if (!c->nulls)
        return 0;
    c->nulls[row / 64] |= UINT64_C(1) << (row % 64);
    return more;
}

static int64_t integer_of(const struct key *k) {
    return (int64_t)get_u64(k->of.bytes);
}

static void note_range(struct cells *c, int64_t v) {
    bool first = c->least > c->most;
    c->least = first || v < c->least ? v : c->least;
    c->most = first || v > c->most ? v : c->most;
}

bool cells_may_have(const struct cells *c, uint8_t kind, const struct key *k) {
    return kind != TRAIL_INTEGER || (integer_of(k) >= c->least && integer_of(k) <= c->most);
}

static size_t put_text(struct cells *c, uint8_t kind, uint32_t row, uint32_t rows, const struct key *k) {
    uint32_t place[2] = {(uint32_t)c->texts.len, k->len};
    size_t before = c->texts.cap;
    buf_put(&c->texts, k->of.raw, k->len);
    if (c->texts.failed)
        return put_null(c, kind, row, rows);
    memcpy(c->values + row * cells_width(kind), place, sizeof place);
    return c->texts.cap - before;
}

size_t cells_put(struct cells *c, uint8_t kind, uint32_t row, uint32_t rows, const struct key *k) {
    if (k->kind == KEY_NULL)
        return put_null(c, kind, row, rows);
    if (k->kind != KEY_PLAIN)
        return put_text(c, kind, row, rows, k);
    memcpy(c->values + row * cells_width(kind), k->of.bytes, cells_width(kind));
    if (kind == TRAIL_INTEGER)
        note_range(c, integer_of(k));
    return 0;
}

struct key cells_get(const struct cells *c, uint8_t kind, uint32_t row) {
    struct key k = {.kind = KEY_NULL};
    if (!c->values || (c->nulls && c->nulls[row / 64] >> (row % 64) & 1))
        return k;
    const uint8_t *cell = c->values + row * cells_width(kind);
    if (kind == TRAIL_INTEGER || kind == TRAIL_UUID) {
        k.kind = KEY_PLAIN;
        memcpy(k.of.bytes, cell, cells_width(kind));
        return k;
    }
    uint32_t place[2];
    memcpy(place, cell, sizeof place);
    if (!place[1]) // there was no memory to note that it has none
        return k;
    return (struct key){.kind = KEY_RAW, .len = place[1], .of.raw = c->texts.data + place[0]};
}
