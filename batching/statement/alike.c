// SPDX-License-Identifier: PostgreSQL
#include "batching/statement/alike.h"

#include "batching/base/hash.h"
#include "batching/statement/key.h"

#define LONGEST_INTEGER 20
#define UUID_TEXT       36

// ---- values

static bool is_readable(struct slice v) {
    for (size_t i = 0; i < v.len; i++)
        if (v.data[i] < ' ' || v.data[i] > '~')
            return false;
    return true;
}

// Bytes in binary may also be those of a text.
static uint32_t binary_type(struct slice v) {
    switch (v.len) {
    case 2:
        return OID_INT2;
    case 4:
        return is_readable(v) ? 0 : OID_INT4;
    case 8:
        return is_readable(v) ? 0 : OID_INT8;
    case 16:
        return is_readable(v) ? 0 : OID_UUID;
    default:
        return 0;
    }
}

static uint32_t text_type(struct slice v) {
    return v.len == UUID_TEXT ? OID_UUID : v.len <= LONGEST_INTEGER ? OID_INT8 : 0;
}

// An OID above 2^31 looks in binary like a negative integer of four bytes.
static uint64_t hash_integer(int64_t v) {
    v -= v > INT32_MAX && v <= UINT32_MAX ? INT64_C(1) << 32 : 0;
    return XXH3_64bits_withSeed(&v, sizeof v, 1);
}

#define PLAIN_DIGITS 18 // of any such number the value fits

// The most frequent value: an integer as text.
static bool read_plain(struct slice v, int64_t *out) {
    int64_t n = 0;
    if (!v.len || v.len > PLAIN_DIGITS)
        return false;
    for (size_t i = 0; i < v.len; i++) {
        if (v.data[i] < '0' || v.data[i] > '9')
            return false;
        n = n * 10 + (v.data[i] - '0');
    }
    *out = n;
    return true;
}

uint64_t alike_value(uint16_t format, struct slice value) {
    struct key k;
    int64_t plain;
    if (!value.data)
        return 1;
    if (format == 0 && read_plain(value, &plain))
        return hash_integer(plain);
    uint32_t binary = format == 1 ? binary_type(value) : 0, type = binary ? binary : text_type(value);
    if (type && key_read(type, binary ? 1 : 0, value, &k))
        return type == OID_UUID ? XXH3_64bits_withSeed(k.of.bytes, 16, 1)
                                : hash_integer((int64_t)get_u64(k.of.bytes));
    return XXH3_64bits(value.data, value.len);
}

// ---- texts

static bool is_constant(enum token_type type) {
    return type == TOKEN_STRING || type == TOKEN_STRING_OTHER || type == TOKEN_INTEGER ||
           type == TOKEN_NUMBER || type == TOKEN_PARAM;
}

static uint64_t constant_value(const char *text, struct token t) {
    size_t quote = t.type == TOKEN_STRING;
    return alike_value(0, (struct slice){(const uint8_t *)text + t.at + quote, t.len - 2 * quote});
}

static void note_parameter(struct alike *a, const char *text, struct token t) {
    size_t n = 0;
    for (size_t i = 1; i < t.len && n <= SHAPE_MAX_VALUES; i++)
        n = n * 10 + (size_t)(text[t.at + i] - '0');
    if (n && n <= SHAPE_MAX_VALUES && a->uses[n - 1] < UINT8_MAX)
        a->uses[n - 1]++;
}

static uint64_t hash_word(const char *word, size_t len, uint64_t seed) {
    uint8_t low[64];
    if (len > sizeof low)
        return XXH3_64bits_withSeed(word, len, seed);
    for (size_t i = 0; i < len; i++)
        low[i] = (uint8_t)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] | 0x20 : word[i]);
    return XXH3_64bits_withSeed(low, len, seed);
}

void alike_of_text(const char *text, size_t len, struct alike *a) {
    struct lexer lx = {text, len, 0};
    uint64_t hash = 0, values = 0;
    *a = (struct alike){0};
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END && t.type != TOKEN_ERROR;
         t = lexer_next(&lx)) {
        if (t.type == TOKEN_PARAM)
            note_parameter(a, text, t);
        else if (is_constant(t.type))
            values += constant_value(text, t);
        if (t.type == TOKEN_IDENT)
            hash = hash_word(text + t.at, t.len, hash);
        else if (t.type != TOKEN_SEMICOLON)
            hash = is_constant(t.type) ? XXH3_64bits_withSeed("$", 1, hash)
                                       : XXH3_64bits_withSeed(text + t.at, t.len, hash);
    }
    a->hash = hash + values;
}
