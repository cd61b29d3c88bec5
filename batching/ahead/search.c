// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/search.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/canon.h"

// The canonical form of a cell.
static struct key form_of(const struct trail_result *r, uint32_t row, unsigned column) {
    const struct trail_column *c = &r->columns.columns[column];
    struct key k = cells_get(&r->cells[column], c->kind, row);
    return canon_of(c, &k);
}

// The form of the value that columns like this may have. NULL: they cannot have it.
static const struct key *form_of_column(const struct trail_column *c, const struct trail_forms *value) {
    const struct key *form = &value->of[c->kind];
    uint32_t type = c->kind == TRAIL_TEXT ? value->text_type : c->kind == TRAIL_OTHER ? value->other_type : 0;
    bool may = c->kind != TRAIL_NOTHING && form->kind != KEY_NULL && (!type || type == c->type);
    return may ? form : NULL;
}

// The same for a column of a result.
static const struct key *form_for(const struct trail_result *r, unsigned column,
                                  const struct trail_forms *value) {
    const struct trail_column *c = &r->columns.columns[column];
    const struct key *form = form_of_column(c, value);
    return form && cells_may_have(&r->cells[column], c->kind, form) ? form : NULL;
}

bool trail_cell_has(const struct trail_column *c, const struct key *cell, const struct trail_forms *value) {
    const struct key *form = form_of_column(c, value);
    struct key k = canon_of(c, cell);
    return form && cell->kind != KEY_NULL && key_equal(&k, form);
}

static bool row_has(const struct trail_result *r, uint32_t row, unsigned column, const struct key *form) {
    struct key k = form_of(r, row, column);
    return k.kind != KEY_NULL && key_equal(&k, form);
}

bool trail_row_has(const struct trail_result *r, uint32_t row, unsigned column,
                   const struct trail_forms *value) {
    const struct key *form = form_for(r, column, value);
    return form && row_has(r, row, column, form);
}

// ---- the index

// A slot holds the row, counted from 1, and some bits of the hash that its place does not need.
#define ROW_BITS 17
_Static_assert(TRAIL_MAX_ROWS < 1 << ROW_BITS, "a slot has room for each row");

static uint32_t slot_tag(uint64_t hash) {
    return (uint32_t)(hash >> (32 + ROW_BITS)) << ROW_BITS;
}

static bool slot_has(const struct trail_result *r, uint32_t slot, uint32_t tag, unsigned column,
                     const struct key *form, uint32_t *row) {
    *row = (slot & ((1u << ROW_BITS) - 1)) - 1;
    return (slot ^ tag) >> ROW_BITS == 0 && row_has(r, *row, column, form);
}

static uint32_t *slot_of(const struct trail_result *r, uint32_t *slots, uint32_t n, unsigned column,
                         const struct key *form) {
    uint64_t hash = key_hash(form, 0);
    uint32_t at = (uint32_t)hash & (n - 1), row;
    while (slots[at] && !slot_has(r, slots[at], slot_tag(hash), column, form, &row))
        at = (at + 1) & (n - 1);
    return &slots[at];
}

// From the last row to the first, which stands for those that have the same value.
static void fill_index(struct trail_result *r, unsigned column, uint32_t *slots, uint32_t n,
                       uint32_t *equal) {
    for (uint32_t row = r->n_rows; row-- > 0;) {
        struct key k = form_of(r, row, column);
        if (k.kind == KEY_NULL)
            continue;
        uint32_t *slot = slot_of(r, slots, n, column, &k);
        equal[row] = *slot & ((1u << ROW_BITS) - 1);
        r->cells[column].distinct += !*slot;
        *slot = (row + 1) | slot_tag(key_hash(&k, 0));
    }
}

static bool make_index(struct trail *t, struct trail_result *r, unsigned column) {
    uint32_t n = 8;
    while (n < 2 * r->n_rows)
        n *= 2;
    uint32_t *slots = calloc(n, sizeof *slots), *equal = calloc(r->n_rows, sizeof *equal);
    if (!slots || !equal) {
        free(slots);
        free(equal);
        return false;
    }
    fill_index(r, column, slots, n, equal);
    r->cells[column].index = slots;
    r->cells[column].equal = equal;
    r->n_slots = n;
    trail_charge(t, r, n * sizeof *slots + r->n_rows * sizeof *equal);
    return true;
}

// ---- one column

// From *row on.
static bool scan_column(const struct trail_result *r, unsigned column, const struct key *form,
                        uint32_t *row) {
    while (*row < r->n_rows && !row_has(r, *row, column, form))
        ++*row;
    return *row < r->n_rows;
}

uint32_t trail_distinct(struct trail_result *r, unsigned column) {
    struct cells *c = &r->cells[column];
    uint32_t n = 0, row;
    if (c->distinct || r->n_rows > TRAIL_SMALL)
        return c->distinct;
    for (uint32_t i = 0; i < r->n_rows; i++) {
        struct key k = form_of(r, i, column);
        row = 0;
        n += k.kind != KEY_NULL && scan_column(r, column, &k, &row) && row == i;
    }
    c->distinct = n;
    return n;
}

static bool find_form(struct trail *t, struct trail_result *r, unsigned column, const struct key *form,
                      uint32_t *row) {
    *row = 0;
    if (r->n_rows <= TRAIL_SMALL)
        return scan_column(r, column, form, row);
    if (!r->cells[column].index && !make_index(t, r, column))
        return false;
    uint32_t slot = *slot_of(r, r->cells[column].index, r->n_slots, column, form);
    *row = (slot & ((1u << ROW_BITS) - 1)) - 1;
    return slot != 0;
}

bool trail_find_row(struct trail *t, struct trail_result *r, unsigned column, const struct trail_forms *value,
                    uint32_t *row) {
    const struct key *form = form_for(r, column, value);
    return form && find_form(t, r, column, form, row);
}

bool trail_find_equal(struct trail *t, struct trail_result *r, unsigned column, uint32_t row,
                      uint32_t *first) {
    struct key k = form_of(r, row, column);
    return k.kind != KEY_NULL && find_form(t, r, column, &k, first);
}

bool trail_next_equal(const struct trail_result *r, unsigned column, uint32_t *row) {
    if (r->n_rows <= TRAIL_SMALL) {
        struct key k = form_of(r, *row, column);
        ++*row;
        return k.kind != KEY_NULL && scan_column(r, column, &k, row);
    }
    uint32_t next = r->cells[column].equal ? r->cells[column].equal[*row] : 0;
    *row = next - 1;
    return next != 0;
}

// ---- all columns

// Of which kinds a small result may have the value, a bit for each.
static unsigned kinds_of(const struct trail_result *r, const struct trail_forms *value,
                         const uint64_t *hashes) {
    unsigned kinds = 0;
    for (unsigned kind = TRAIL_NOTHING + 1; kind < TRAIL_KINDS; kind++) {
        uint64_t word = r->filter[kind][hashes[kind] >> 6 & 1];
        bool may = r->n_rows > TRAIL_SMALL || (word >> (hashes[kind] & 63) & 1);
        kinds |= (unsigned)(may && value->of[kind].kind != KEY_NULL) << kind;
    }
    return kinds;
}

static bool find_in_result(struct trail *t, const struct trail_forms *value, const uint64_t *hashes,
                           struct trail_place *p) {
    const struct trail_columns *c = &p->result->columns;
    unsigned kinds = kinds_of(p->result, value, hashes);
    for (; kinds && p->column < c->n; p->column++)
        if (kinds >> c->columns[p->column].kind & 1 &&
            trail_find_row(t, p->result, p->column, value, &p->row))
            return true;
    return false;
}

bool trail_find(struct trail *t, const struct trail_forms *value, struct trail_place *p) {
    uint64_t hashes[TRAIL_KINDS];
    for (unsigned kind = 0; kind < TRAIL_KINDS; kind++)
        hashes[kind] = key_hash(&value->of[kind], 0);
    if (p->result) {
        p->column++;
    } else {
        p->result = t->results;
        p->column = 0;
    }
    for (; p->result; p->result = p->result->next, p->column = 0)
        if (trail_is_whole(t, p->result) && find_in_result(t, value, hashes, p))
            return true;
    return false;
}
