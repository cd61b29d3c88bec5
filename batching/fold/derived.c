// SPDX-License-Identifier: PostgreSQL
#include "batching/fold/derived.h"

#include <stdlib.h>
#include <string.h>

#include "batching/fold/group.h"
#include "batching/statement/key.h"
#include "protocol/write.h"

#define MAX_TEXT   ((size_t)1 << 17)
#define MAX_VALUES ((size_t)1 << 16)
#define MAX_PARAMS 64

struct derived *derived_create(void) {
    struct derived *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->text = buf_make(MAX_TEXT);
    d->types = buf_make(MAX_PARAMS * 4);
    d->formats = buf_make(MAX_PARAMS * 2);
    d->values = buf_make(MAX_VALUES);
    return d;
}

void derived_free(struct derived *d) {
    if (!d)
        return;
    buf_free(&d->text);
    buf_free(&d->types);
    buf_free(&d->formats);
    buf_free(&d->values);
    free(d);
}

size_t derived_bytes(const struct derived *d) {
    return d ? sizeof *d + d->text.cap + d->types.cap + d->formats.cap + d->values.cap : 0;
}

// ---- the statement

void derived_add_params(struct derived *d, const struct msg_bind *m, const uint32_t *types, unsigned n_types,
                        int skip) {
    struct slice value;
    size_t walk = 0;
    for (unsigned i = 0; msg_bind_next_param(m, &walk, &value); i++) {
        bool none = (int)i == skip || !value.data;
        buf_put_u32(&d->types, i < n_types ? types[i] : 0);
        buf_put_u16(&d->formats, msg_bind_param_format(m, i));
        buf_put_u32(&d->values, none ? UINT32_MAX : (uint32_t)value.len);
        buf_put(&d->values, value.data, none ? 0 : value.len);
        d->n_params++;
    }
}

void derived_named(struct derived *d, XXH128_hash_t lookups) {
    static const char once[] = "pgfold behind a list";
    if (d->once) {
        d->name = XXH3_128bits(once, sizeof once);
        return;
    }
    XXH128_hash_t parts[] = {XXH3_128bits(d->text.data, d->text.len),
                             XXH3_128bits(d->types.data, d->types.len), lookups};
    d->name = XXH3_128bits(parts, sizeof parts);
}

bool derived_failed(const struct derived *d) {
    return d->text.failed || d->types.failed || d->formats.failed || d->values.failed;
}

void derived_write_parse(const struct derived *d, struct buf *out) {
    char name[GROUP_NAME_SIZE];
    group_statement_name(d->name, name);
    size_t at = write_begin(out, F_PARSE);
    buf_put_str(out, name);
    buf_put(out, d->text.data, d->text.len);
    buf_put_u8(out, 0);
    buf_put_u16(out, (uint16_t)d->n_params);
    buf_put(out, d->types.data, d->types.len);
    write_end(out, at);
}

void derived_write_values(const struct derived *d, struct buf *out) {
    buf_put_u16(out, (uint16_t)d->n_params);
    buf_put(out, d->formats.data, d->formats.len);
    buf_put_u16(out, (uint16_t)d->n_params);
    buf_put(out, d->values.data, d->values.len);
}

// ---- its rows

// The second column, and what follows it. False: there is none.
static bool split(struct slice rest, bool *is_null, struct slice *behind) {
    if (rest.len < 4)
        return false;
    uint32_t len = get_u32(rest.data);
    *is_null = len == UINT32_MAX;
    size_t size = 4 + (*is_null ? 0 : (size_t)len);
    if (size > rest.len)
        return false;
    *behind = (struct slice){rest.data + size, rest.len - size};
    return true;
}

enum derived_row derived_read_row(const struct msg_row *row, uint32_t type, uint16_t format, struct key *k,
                                  struct slice *rest) {
    bool none;
    if (row->n_columns < DERIVED_LEAD || !row->first.data || !split(row->rest, &none, rest))
        return DERIVED_WRONG;
    bool read =
        key_type_is_plain(type) ? key_read(type, format, row->first, k) : key_read_raw(row->first, false, k);
    if (!read)
        *k = (struct key){.kind = KEY_NULL}; // too long to be a key
    return none ? DERIVED_NO_ROW : DERIVED_ROW;
}
