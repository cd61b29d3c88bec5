// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/canon.h"

#include <string.h>

#include "batching/ahead/bytea.h"
#include "batching/ahead/number.h"
#include "batching/ahead/times.h"
#include "batching/base/hash.h"

enum { OID_OID = 26 };

// ---- integers and uuids

struct key canon_integer(int64_t v) {
    struct key k = {.kind = KEY_PLAIN};
    for (unsigned i = 0; i < 8; i++)
        k.of.bytes[i] = (uint8_t)((uint64_t)v >> (8 * (7 - i)));
    return k;
}

static bool read_oid(uint16_t format, struct slice value, struct key *k) {
    if (format == 1) {
        *k = canon_integer(value.len == 4 ? get_u32(value.data) : 0);
        return value.len == 4;
    }
    return key_read(OID_INT8, format, value, k) && get_u64(k->of.bytes) <= UINT32_MAX;
}

bool canon_read_plain(uint32_t type, uint16_t format, struct slice value, struct key *k) {
    return type == OID_OID ? read_oid(format, value, k) : key_read(type, format, value, k);
}

// In decimal. Written by hand, since each lookup of an integer does it.
static size_t write_integer(int64_t v, uint8_t *out) {
    uint8_t digits[20];
    uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
    size_t n = 0, len = 0;
    do
        digits[n++] = (uint8_t)('0' + left % 10);
    while (left /= 10);
    if (v < 0)
        out[len++] = '-';
    while (n)
        out[len++] = digits[--n];
    return len;
}

size_t canon_write_text(enum trail_kind kind, const struct key *k, uint8_t *out) {
    size_t n = 0;
    if (kind == TRAIL_INTEGER)
        return write_integer((int64_t)get_u64(k->of.bytes), out);
    for (unsigned i = 0; kind == TRAIL_UUID && i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[n++] = '-';
        out[n++] = (uint8_t) "0123456789abcdef"[k->of.bytes[i] >> 4];
        out[n++] = (uint8_t) "0123456789abcdef"[k->of.bytes[i] & 15];
    }
    return n;
}

static bool is_written(enum trail_kind kind, const struct key *k, struct slice text) {
    uint8_t out[CANON_TEXT];
    return canon_write_text(kind, k, out) == text.len && memcmp(out, text.data, text.len) == 0;
}

// An integer that could be read is written in its one form unless it begins with a zero.
static bool begins_with_zero(struct slice text) {
    size_t sign = text.data[0] == '-';
    return text.data[sign] == '0' && text.len > 1;
}

bool canon_text_integer(struct slice text, struct key *k) {
    return text.data && key_read(OID_INT8, 0, text, k) && !begins_with_zero(text);
}

bool canon_text_uuid(struct slice text, struct key *k) {
    return text.data && key_read(OID_UUID, 0, text, k) && is_written(TRAIL_UUID, k, text);
}

// ---- others

static struct key digest_of(const void *bytes, size_t len, uint64_t seed) {
    struct key k = {.kind = KEY_PLAIN};
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, len, seed);
    memcpy(k.of.bytes, &hash, sizeof k.of.bytes);
    return k;
}

// Of bytes that came as text: the same as of those that came in binary.
static struct key digest_of_bytes(struct slice text) {
    uint8_t bytes[KEY_MAX_RAW];
    size_t n = bytea_from_text(text, bytes, sizeof bytes);
    return n ? digest_of(bytes, n, 2) : digest_of(text.data, text.len, 1);
}

struct key canon_of(const struct trail_column *c, const struct key *k) {
    struct slice value = {k->of.raw, k->len};
    uint8_t text[NUMBER_BYTES];
    int64_t v;
    int east;
    if (c->kind != TRAIL_OTHER || k->kind != KEY_RAW)
        return *k;
    if (times_is_type(c->type) && times_read(c->type, c->format, value, &v, &east))
        return canon_integer(v);
    size_t n = c->type == OID_NUMERIC ? number_to_text(c->format, value, text) : 0;
    if (n)
        return digest_of(text, number_strip(text, n), 0);
    if (c->type == BYTEA_TYPE && c->format == 0)
        return digest_of_bytes(value);
    return digest_of(value.data, value.len, 1u + c->format);
}
