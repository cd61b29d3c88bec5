// SPDX-License-Identifier: PostgreSQL
#include "batching/show/table.h"

#include <stdio.h>
#include <string.h>

#include "batching/show/command.h"
#include "batching/show/text.h"
#include "protocol/write.h"

static const struct {
    uint32_t oid;
    uint16_t size; // 65535: varies
} types[] = {
    [TABLE_TEXT] = {25, 65535},      [TABLE_INT4] = {23, 4},    [TABLE_INT8] = {20, 8},
    [TABLE_NUMERIC] = {1700, 65535}, [TABLE_FLOAT8] = {701, 8}, [TABLE_BOOL] = {16, 1},
};

void table_begin(struct table *t, const struct table_column *columns, struct buf *out) {
    *t = (struct table){.columns = columns, .out = out};
    while (columns[t->n].name)
        t->n++;
}

static bool is_binary(const struct table *t, unsigned column) {
    if (!t->n_formats)
        return false;
    unsigned i = t->n_formats == 1 ? 0 : column;
    return i < t->n_formats && get_u16(t->formats + (size_t)2 * i) == 1;
}

void table_describe(const struct table *t) {
    size_t at = write_begin(t->out, 'T');
    buf_put_u16(t->out, (uint16_t)t->n);
    for (unsigned i = 0; i < t->n; i++) {
        buf_put_str(t->out, t->columns[i].name);
        buf_put_u32(t->out, 0); // no table's column
        buf_put_u16(t->out, 0);
        buf_put_u32(t->out, types[t->columns[i].type].oid);
        buf_put_u16(t->out, types[t->columns[i].type].size);
        buf_put_u32(t->out, UINT32_MAX); // no type modifier
        buf_put_u16(t->out, is_binary(t, i));
    }
    write_end(t->out, at);
}

void table_row(struct table *t) {
    t->begun = t->out->len;
    t->at = 0;
    t->matches = !t->like;
    (void)write_begin(t->out, 'D');
    buf_put_u16(t->out, (uint16_t)t->n);
}

void table_end_row(struct table *t) {
    if (t->out->failed)
        return;
    if (!t->matches) {
        t->out->len = t->begun;
        return;
    }
    write_end(t->out, t->begun + 1);
    t->rows++;
}

// Bytes of the character at the front; 0: it is none, or a zero.
static size_t character(const uint8_t *text, size_t len) {
    uint8_t last[5] = {0};
    if (len < 4)
        memcpy(last, text, len);
    return *text ? text_character(len < 4 ? last : text) : 0;
}

// Names and tags come in any encoding, and the console's clients are promised UTF-8: what is none is written as in the log.
static void put_characters(struct buf *b, const uint8_t *text, size_t len) {
    size_t from = 0, at = 0;
    while (at < len) {
        size_t n = character(text + at, len - at);
        if (n) {
            at += n;
            continue;
        }
        char as[8];
        snprintf(as, sizeof as, "\\x%02x", text[at]);
        buf_put(b, text + from, at - from);
        buf_put_text(b, as);
        from = ++at;
    }
    buf_put(b, text + from, at - from);
}

void table_bytes(struct table *t, const void *text, size_t len) {
    t->matches |= t->like && like_matches(t->like, text, len);
    size_t at = t->out->len;
    buf_put_u32(t->out, 0);
    put_characters(t->out, text, len);
    buf_set_u32(t->out, at, (uint32_t)(t->out->len - at - 4));
    t->at++;
}

void table_text(struct table *t, const char *text) {
    if (text) {
        table_bytes(t, text, strlen(text));
        return;
    }
    buf_put_u32(t->out, UINT32_MAX);
    t->at++;
}

// numeric's binary form: digits to the base of 10,000, the first one's weight, sign and scale.
static void put_numeric(struct buf *b, uint64_t n) {
    uint16_t digits[6];
    unsigned count = 0, zeros = 0;
    for (; n; n /= 10000)
        digits[count++] = (uint16_t)(n % 10000);
    while (zeros < count && !digits[zeros])
        zeros++;
    buf_put_u32(b, 8 + 2 * (count - zeros));
    buf_put_u16(b, (uint16_t)(count - zeros));
    buf_put_u16(b, (uint16_t)(count ? count - 1 : 0));
    buf_put_u32(b, 0);
    for (unsigned i = count; i > zeros; i--)
        buf_put_u16(b, digits[i - 1]);
}

void table_int(struct table *t, uint64_t n) {
    enum table_type type = t->columns[t->at].type;
    uint64_t most = type == TABLE_INT4 ? INT32_MAX : type == TABLE_INT8 ? INT64_MAX : UINT64_MAX;
    char text[24];
    n = n < most ? n : most;
    if (!is_binary(t, t->at)) {
        int len = snprintf(text, sizeof text, "%llu", (unsigned long long)n);
        buf_put_u32(t->out, (uint32_t)len);
        buf_put(t->out, text, (size_t)len);
    } else if (type == TABLE_NUMERIC) {
        put_numeric(t->out, n);
    } else {
        buf_put_u32(t->out, type == TABLE_INT4 ? 4 : 8);
        if (type == TABLE_INT4)
            buf_put_u32(t->out, (uint32_t)n);
        else
            buf_put_u64(t->out, n);
    }
    t->at++;
}

void table_seconds(struct table *t, uint64_t us) {
    char text[40];
    double seconds = (double)us / 1e6;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    if (is_binary(t, t->at)) {
        buf_put_u32(t->out, 8);
        buf_put_u64(t->out, bits);
    } else {
        int len = snprintf(text, sizeof text, "%.6g", seconds);
        buf_put_u32(t->out, (uint32_t)len);
        buf_put(t->out, text, (size_t)len);
    }
    t->at++;
}

void table_bool(struct table *t, bool yes) {
    uint8_t value = is_binary(t, t->at) ? yes : yes ? 't' : 'f';
    buf_put_u32(t->out, 1);
    buf_put_u8(t->out, value);
    t->at++;
}
