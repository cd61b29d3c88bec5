// SPDX-License-Identifier: PostgreSQL
#include "batching/key.h"

#include <string.h>

static const struct {
    uint32_t oid, array;
    uint16_t width; // bytes of the binary form
    const char *name;
} types[] = {
    {OID_INT2, OID_INT2_ARRAY, 2, "int2"},
    {OID_INT4, OID_INT4_ARRAY, 4, "int4"},
    {OID_INT8, OID_INT8_ARRAY, 8, "int8"},
    {OID_UUID, OID_UUID_ARRAY, 16, "uuid"},
};
#define N_TYPES (sizeof types / sizeof types[0])

static size_t type_index(uint32_t oid) {
    size_t i = 0;
    while (i < N_TYPES && types[i].oid != oid)
        i++;
    return i;
}

bool key_type_known(uint32_t oid) {
    return type_index(oid) < N_TYPES;
}

bool key_type_is_integer(uint32_t oid) {
    return key_type_known(oid) && oid != OID_UUID;
}

uint32_t key_array_type(uint32_t oid) {
    size_t i = type_index(oid);
    return i < N_TYPES ? types[i].array : 0;
}

const char *key_type_name(uint32_t oid) {
    size_t i = type_index(oid);
    return i < N_TYPES ? types[i].name : NULL;
}

uint32_t key_type_by_name(const char *name) {
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].oid;
    return 0;
}

static void store_integer(struct key *k, int64_t v) {
    uint64_t u = (uint64_t)v;
    memset(k->bytes, 0, sizeof k->bytes);
    for (int i = 7; i >= 0; i--, u >>= 8)
        k->bytes[i] = (uint8_t)u;
}

static int64_t load_integer(const struct key *k) {
    return (int64_t)get_u64(k->bytes);
}

static bool read_decimal(struct slice s, uint16_t width, int64_t *out) {
    bool negative = s.len && s.data[0] == '-';
    size_t i = negative;
    if (i == s.len || s.len - i > 19)
        return false;
    uint64_t v = 0; // 19 digits fit
    for (; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.data[i] - '0');
    }
    uint64_t max = (UINT64_C(1) << (8 * width - 1)) - 1;
    if (v > max + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Only 8-4-4-4-12: the form in which the server and every driver write it.
static bool read_uuid_text(struct slice s, struct key *k) {
    if (s.len != 36)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s.data[i++] != '-')
                return false;
            continue;
        }
        int hi = hex_digit(s.data[i]), lo = hex_digit(s.data[i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        k->bytes[n++] = (uint8_t)(hi << 4 | lo);
        i += 2;
    }
    return true;
}

static int64_t read_binary_integer(struct slice s) {
    if (s.len == 2)
        return (int16_t)get_u16(s.data);
    return s.len == 4 ? (int32_t)get_u32(s.data) : (int64_t)get_u64(s.data);
}

bool key_read(uint32_t oid, uint16_t format, struct slice value, struct key *k) {
    size_t i = type_index(oid);
    if (i == N_TYPES || !value.data || format > 1)
        return false;
    if (format == 1 && value.len != types[i].width)
        return false;
    if (oid == OID_UUID) {
        if (format == 0)
            return read_uuid_text(value, k);
        memcpy(k->bytes, value.data, 16);
        return true;
    }
    int64_t v;
    if (format == 1)
        v = read_binary_integer(value);
    else if (!read_decimal(value, types[i].width, &v))
        return false;
    store_integer(k, v);
    return true;
}

static void put_element(struct buf *b, uint16_t width, const struct key *k) {
    buf_put_u32(b, width);
    if (width == 16) {
        buf_put(b, k->bytes, 16);
        return;
    }
    uint64_t v = (uint64_t)load_integer(k);
    if (width == 8)
        buf_put_u64(b, v);
    else if (width == 4)
        buf_put_u32(b, (uint32_t)v);
    else
        buf_put_u16(b, (uint16_t)v);
}

void key_write_array(struct buf *b, uint32_t oid, const struct key *keys, uint32_t n) {
    size_t i = type_index(oid);
    if (i == N_TYPES) {
        b->failed = true;
        return;
    }
    // array_recv: dimensions, has-nulls flag, element type, then size and lower bound of the one dimension
    buf_put_u32(b, 20 + n * (4u + types[i].width));
    buf_put_u32(b, 1);
    buf_put_u32(b, 0);
    buf_put_u32(b, oid);
    buf_put_u32(b, n);
    buf_put_u32(b, 1);
    for (uint32_t at = 0; at < n; at++)
        put_element(b, types[i].width, &keys[at]);
}
