// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/columns.h"

#include <string.h>

#include "batching/ahead/arrays.h"
#include "batching/base/hash.h"
#include "batching/statement/key.h"

// Type OIDs of pg_type.dat.
enum { OID_NAME = 19, OID_TEXT = 25, OID_OID = 26, OID_BPCHAR = 1042, OID_VARCHAR = 1043 };

enum trail_kind trail_kind_of(uint32_t type) {
    switch (type) {
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
        return TRAIL_INTEGER;
    case OID_UUID:
        return TRAIL_UUID;
    case OID_TEXT:
    case OID_BPCHAR:
    case OID_VARCHAR:
    case OID_NAME:
        return TRAIL_TEXT;
    case OID_NUMERIC:
    case 17:   // bytea
    case 1082: // date
    case 1083: // time
    case 1114: // timestamp
    case 1184: // timestamptz
    case 1266: // timetz
    case 869:  // inet
    case 650:  // cidr
    case 829:  // macaddr
    case 774:  // macaddr8
        return TRAIL_OTHER;
    default:
        return key_type_is_foreign(type) ? TRAIL_TEXT : TRAIL_NOTHING;
    }
}

// ---- which are kept

#define FIELD 18 // bytes of a field's description behind its name
#define RANKS 4

// What a column's name and type say of its worth; the least is kept first.
static unsigned rank_of(const struct trail_column *c, const uint8_t *name, size_t len) {
    bool id = len >= 2 && (name[len - 2] | 0x20) == 'i' && (name[len - 1] | 0x20) == 'd';
    if (id && (len == 2 || name[len - 3] == '_' || name[len - 2] == 'I'))
        return 0;
    if (c->kind == TRAIL_INTEGER || c->kind == TRAIL_UUID)
        return 1;
    return c->kind == TRAIL_TEXT && !key_type_is_foreign(c->type) ? 2 : 3;
}

#define FIRST_NORMAL_OID 16384

// Mappers read the catalogue when they connect. Its numbers are keys of no table of a user's.
static bool is_of_catalogue(const struct trail_column *c) {
    return c->table && c->table < FIRST_NORMAL_OID;
}

static struct trail_column column_of(unsigned at, const uint8_t *field) {
    struct trail_column column = {
        .at = (uint16_t)at,
        .table = get_u32(field),
        .attribute = get_u16(field + 4),
        .type = get_u32(field + 6),
        .format = get_u16(field + 16),
    };
    column.kind = (uint8_t)(is_of_catalogue(&column) ? TRAIL_NOTHING : trail_kind_of(column.type));
    return column;
}

// The length of the field's name at `at`, its end included. 0: it is cut.
static size_t name_length(const uint8_t *body, size_t len, size_t at) {
    const uint8_t *zero = at < len ? memchr(body + at, 0, len - at) : NULL;
    size_t n = zero ? (size_t)(zero - body) + 1 - at : 0;
    return n && len - at - n >= FIELD ? n : 0;
}

// Keeps columns of these ranks, of the last one no more than `most`.
static void keep_ranks(struct trail_columns *c, const uint8_t *body, size_t len, unsigned last,
                       unsigned most) {
    size_t at = 2;
    c->n = 0;
    for (unsigned i = 0; i < c->n_row && c->n < TRAIL_MAX_COLUMNS; i++) {
        size_t name = name_length(body, len, at);
        struct trail_column column = column_of(i, body + at + name);
        unsigned rank = rank_of(&column, body + at, name - 1);
        at += name + FIELD;
        if (column.kind == TRAIL_NOTHING || rank > last || (rank == last && !most))
            continue;
        most -= rank == last;
        c->columns[c->n++] = column;
    }
}

// There are more than have room: those of the lowest ranks are kept.
static void choose_columns(struct trail_columns *c, const uint8_t *body, size_t len) {
    unsigned n_of[RANKS] = {0}, last = 0, most = TRAIL_MAX_COLUMNS;
    size_t at = 2;
    for (unsigned i = 0; i < c->n_row; i++) {
        size_t name = name_length(body, len, at);
        struct trail_column column = column_of(i, body + at + name);
        n_of[rank_of(&column, body + at, name - 1)] += column.kind != TRAIL_NOTHING;
        at += name + FIELD;
    }
    for (; last + 1 < RANKS && n_of[last] <= most; last++)
        most -= n_of[last];
    keep_ranks(c, body, len, last, most);
}

static void keep_array(struct trail_columns *c, struct trail_column column) {
    enum trail_kind kind =
        is_of_catalogue(&column) ? TRAIL_NOTHING : trail_kind_of(arrays_element_type(column.type));
    column.kind = (uint8_t)kind;
    if (kind != TRAIL_NOTHING && c->n_arrays < TRAIL_MAX_ARRAYS)
        c->arrays[c->n_arrays++] = column;
}

bool trail_columns_read(struct trail_columns *c, const uint8_t *body, size_t len) {
    size_t at = 2;
    bool over = false;
    memset(c, 0, offsetof(struct trail_columns, columns));
    c->n_row = len >= 2 ? get_u16(body) : 0;
    for (unsigned i = 0; i < c->n_row; i++) {
        size_t name = name_length(body, len, at);
        if (!name)
            return false;
        struct trail_column column = column_of(i, body + at + name);
        if (column.kind == TRAIL_NOTHING)
            keep_array(c, column);
        else if (c->n < TRAIL_MAX_COLUMNS)
            c->columns[c->n++] = column;
        else
            over = true;
        // without the format
        c->source = XXH3_64bits_withSeed(body + at, name + FIELD - 2, c->source);
        at += name + FIELD;
    }
    if (over)
        choose_columns(c, body, len);
    return c->n > 0 || c->n_arrays > 0;
}

size_t trail_columns_size(const struct trail_columns *c) {
    return offsetof(struct trail_columns, columns) + c->n * sizeof c->columns[0];
}

static void set_format(struct trail_column *c, unsigned n_formats, const uint8_t *formats) {
    unsigned at = n_formats == 1 ? 0 : c->at;
    c->format = at < n_formats ? get_u16(formats + 2 * (size_t)at) : 0;
}

void trail_columns_format(struct trail_columns *c, unsigned n_formats, const uint8_t *formats) {
    for (unsigned i = 0; i < c->n; i++)
        set_format(&c->columns[i], n_formats, formats);
    for (unsigned i = 0; i < c->n_arrays; i++)
        set_format(&c->arrays[i], n_formats, formats);
}
