// SPDX-License-Identifier: PostgreSQL
//
// The forms of key values: reading, comparing, and writing them as arrays.
#include "batching/statement/key.h"

#include <string.h>

#include "batching/base/hash.h"

// Types with an equality whose arrays have a comma between their elements.
static const struct {
    uint32_t oid, array;
    uint16_t width; // bytes of the binary form of a plain key; 0: a raw one
} types[] = {
    {OID_INT4, OID_INT4_ARRAY, 4},
    {OID_INT8, OID_INT8_ARRAY, 8},
    {OID_UUID, OID_UUID_ARRAY, 16},
    {OID_INT2, OID_INT2_ARRAY, 2},
    {25, 1009, 0},   // text
    {1043, 1015, 0}, // varchar
    {1042, 1014, 0}, // char(n)
    {16, 1000, 0},   // bool
    {1700, 1231, 0}, // numeric
    {1082, 1182, 0}, // date
    {1114, 1115, 0}, // timestamp
    {1184, 1185, 0}, // timestamp with time zone
    {700, 1021, 0},  // float4
    {701, 1022, 0},  // float8
    {17, 1001, 0},   // bytea
    {18, 1002, 0},   // "char"
    {19, 1003, 0},   // name
    {26, 1028, 0},   // oid
    {650, 651, 0},   // cidr
    {869, 1041, 0},  // inet
    {829, 1040, 0},  // macaddr
    {774, 775, 0},   // macaddr8
    {790, 791, 0},   // money
    {1083, 1183, 0}, // time
    {1266, 1270, 0}, // time with time zone
    {1186, 1187, 0}, // interval
    {1560, 1561, 0}, // bit
    {1562, 1563, 0}, // varbit
    {3802, 3807, 0}, // jsonb
};
#define N_TYPES (sizeof types / sizeof types[0])

static size_t type_index(uint32_t oid) {
    size_t i = 0;
    while (i < N_TYPES && types[i].oid != oid)
        i++;
    return i;
}

bool key_type_is_plain(uint32_t oid) {
    size_t i = type_index(oid);
    return i < N_TYPES && types[i].width;
}

#define FIRST_FOREIGN 16384 // FirstNormalObjectId of src/include/access/transam.h

bool key_type_is_foreign(uint32_t type) {
    return type >= FIRST_FOREIGN;
}

bool key_type_is_integer(uint32_t oid) {
    return key_type_is_plain(oid) && oid != OID_UUID;
}

uint32_t key_array_type(uint32_t oid) {
    size_t i = type_index(oid);
    return i < N_TYPES ? types[i].array : 0;
}

uint32_t key_element_type(uint32_t array) {
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].array == array)
            return types[i].oid;
    return 0;
}

static void store_integer(struct key *k, int64_t v) {
    uint64_t u = (uint64_t)v;
    *k = (struct key){.kind = KEY_PLAIN};
    for (int i = 7; i >= 0; i--, u >>= 8)
        k->of.bytes[i] = (uint8_t)u;
}

static int64_t load_integer(const struct key *k) {
    return (int64_t)get_u64(k->of.bytes);
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

// Takes only 8-4-4-4-12, the form in which the server and every driver write it.
// With its hyphens, or with none, as some mappers write it.
static bool read_uuid_text(struct slice s, struct key *k) {
    if (s.len != 36 && s.len != 32)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        if (s.len == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (s.data[i++] != '-')
                return false;
            continue;
        }
        int hi = hex_digit(s.data[i]), lo = hex_digit(s.data[i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        k->of.bytes[n++] = (uint8_t)(hi << 4 | lo);
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
    if (i == N_TYPES || !types[i].width || format > 1)
        return false;
    *k = (struct key){.kind = value.data ? KEY_PLAIN : KEY_NULL};
    if (!value.data)
        return true;
    if (format == 1 && value.len != types[i].width)
        return false;
    if (oid == OID_UUID) {
        if (format == 0)
            return read_uuid_text(value, k);
        memcpy(k->of.bytes, value.data, 16);
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

bool key_read_raw(struct slice value, bool doubled, struct key *k) {
    *k = (struct key){.kind = KEY_NULL};
    if (!value.data)
        return true;
    if (value.len > KEY_MAX_RAW)
        return false;
    *k = (struct key){
        .kind = doubled ? KEY_DOUBLED : KEY_RAW, .len = (uint32_t)value.len, .of.raw = value.data};
    return true;
}

// ---- arrays of one element

static bool is_null_word(struct slice s) {
    return s.len == 4 && (s.data[0] | 0x20) == 'n' && (s.data[1] | 0x20) == 'u' &&
           (s.data[2] | 0x20) == 'l' && (s.data[3] | 0x20) == 'l';
}

// Takes what array_in reads as one element without ambiguity: "…" without a quote or backslash inside, or a
// run of bytes that have no meaning for it.
static bool read_text_array(struct slice s, struct slice *element) {
    if (s.len < 3 || s.data[0] != '{' || s.data[s.len - 1] != '}')
        return false;
    struct slice e = {s.data + 1, s.len - 2};
    bool quoted = e.len >= 2 && e.data[0] == '"' && e.data[e.len - 1] == '"';
    if (quoted)
        e = (struct slice){e.data + 1, e.len - 2};
    for (size_t i = 0; i < e.len; i++) {
        uint8_t c = e.data[i];
        bool special = c == '"' || c == '\\';
        if (special || (!quoted && (c == '{' || c == '}' || c == ',' || c <= ' ')))
            return false;
    }
    *element = e;
    return quoted || !is_null_word(e);
}

// array_recv reads: the number of dimensions, the has-nulls flag, the element type, then the size and lower
// bound of the one dimension.
#define ARRAY_HEADER 20

static bool read_binary_array(struct slice s, uint32_t type, struct slice *element) {
    if (s.len < ARRAY_HEADER + 4 || get_u32(s.data) != 1 || get_u32(s.data + 4) > 1 ||
        get_u32(s.data + 8) != type || get_u32(s.data + 12) != 1)
        return false;
    *element = (struct slice){s.data + ARRAY_HEADER + 4, s.len - ARRAY_HEADER - 4};
    return get_u32(s.data + ARRAY_HEADER) == element->len;
}

bool key_array_element(uint16_t format, struct slice array, uint32_t element_type, struct slice *element) {
    if (!array.data || format > 1)
        return false;
    return format ? read_binary_array(array, element_type, element) : read_text_array(array, element);
}

// ---- comparing

bool key_equal(const struct key *a, const struct key *b) {
    if (a->kind != b->kind || a->len != b->len)
        return false;
    if (a->kind == KEY_NULL)
        return true;
    if (a->kind == KEY_PLAIN)
        return memcmp(a->of.bytes, b->of.bytes, sizeof a->of.bytes) == 0;
    return memcmp(a->of.raw, b->of.raw, a->len) == 0;
}

uint64_t key_hash(const struct key *k, uint64_t seed) {
    if (k->kind == KEY_NULL)
        return seed + 1;
    if (k->kind == KEY_PLAIN)
        return XXH3_64bits_withSeed(k->of.bytes, sizeof k->of.bytes, seed);
    return XXH3_64bits_withSeed(k->of.raw, k->len, seed);
}

// ---- writing

static void put_plain(struct buf *b, uint16_t width, const struct key *k) {
    buf_put_u32(b, width);
    if (width == 16) {
        buf_put(b, k->of.bytes, 16);
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

static void write_binary(struct buf *b, uint32_t oid, uint16_t width, const struct key *keys, uint32_t n,
                         uint32_t step) {
    bool nulls = false;
    for (uint32_t i = 0; i < n; i++)
        nulls |= keys[(size_t)i * step].kind == KEY_NULL;
    buf_put_u32(b, 1);
    buf_put_u32(b, nulls);
    buf_put_u32(b, oid);
    buf_put_u32(b, n);
    buf_put_u32(b, 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct key *k = &keys[(size_t)i * step];
        if (k->kind == KEY_NULL) {
            buf_put_u32(b, UINT32_MAX);
        } else if (k->kind == KEY_PLAIN) {
            put_plain(b, width, k);
        } else {
            buf_put_u32(b, k->len);
            buf_put(b, k->of.raw, k->len);
        }
    }
}

// The element is put in quotes. Inside, only quotes and backslashes have a meaning, and both get a backslash.
static void put_text_element(struct buf *b, const struct key *k) {
    if (k->kind == KEY_NULL) {
        buf_put_text(b, "NULL");
        return;
    }
    buf_put_u8(b, '"');
    for (uint32_t i = 0; i < k->len; i++) {
        uint8_t c = k->of.raw[i];
        if (c == '"' || c == '\\')
            buf_put_u8(b, '\\');
        buf_put_u8(b, c);
        i += k->kind == KEY_DOUBLED && c == '\'';
    }
    buf_put_u8(b, '"');
}

void key_write_array(struct buf *b, uint32_t oid, uint16_t format, const struct key *keys, uint32_t n,
                     uint32_t step) {
    size_t at = b->len, type = type_index(oid);
    buf_put_u32(b, 0);
    if (format == 1) {
        write_binary(b, oid, type < N_TYPES ? types[type].width : 0, keys, n, step);
    } else {
        buf_put_u8(b, '{');
        for (uint32_t i = 0; i < n; i++) {
            if (i)
                buf_put_u8(b, ',');
            put_text_element(b, &keys[(size_t)i * step]);
        }
        buf_put_u8(b, '}');
    }
    if (!b->failed)
        buf_set_u32(b, at, (uint32_t)(b->len - at - 4));
}
