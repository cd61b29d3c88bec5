// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/number.h"

#include <string.h>

#include "protocol/buf.h"

#define HEADER   8 // bytes: digits, weight, sign, decimal places
#define NEGATIVE 0x4000
#define GROUP    4 // decimal digits of one digit
#define GROUPS   8 // digits, and the most that may stand before the point
#define PLACES   20

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

// ---- as text

static size_t plain_text(struct slice v, uint8_t *out) {
    size_t at = v.len && v.data[0] == '-', from = at, point = 0;
    if (v.len > NUMBER_BYTES - HEADER)
        return 0;
    for (; at < v.len; at++) {
        if (v.data[at] == '.' && !point && at > from)
            point = at;
        else if (!is_digit(v.data[at]))
            return 0;
    }
    if (at == from || (point && point + 1 == at))
        return 0;
    memcpy(out, v.data, v.len);
    return v.len;
}

// The digit of this weight.
static unsigned digit_of(const uint8_t *v, int weight) {
    int at = (int16_t)get_u16(v + 2) - weight;
    return at >= 0 && at < get_u16(v) ? get_u16(v + HEADER + 2 * (size_t)at) : 0u;
}

// Appends up to `most` decimal digits of a digit, its leading zeros if `zeros`.
static size_t put_digit(unsigned digit, unsigned most, bool zeros, uint8_t *out) {
    size_t n = 0;
    for (unsigned i = 0, unit = 1000; i < most; i++, unit /= 10)
        if (zeros || n || digit / unit % 10 || unit == 1)
            out[n++] = (uint8_t)('0' + digit / unit % 10);
    return n;
}

static size_t binary_text(struct slice v, uint8_t *out) {
    unsigned sign = v.len >= HEADER ? get_u16(v.data + 4) : 1u;
    unsigned n = v.len >= HEADER ? get_u16(v.data) : 0u;
    if ((sign && sign != NEGATIVE) || n > GROUPS || v.len != HEADER + 2 * n)
        return 0;
    int weight = (int16_t)get_u16(v.data + 2);
    unsigned places = get_u16(v.data + 6);
    if (weight >= GROUPS / 2 || places > PLACES)
        return 0;
    size_t len = 0;
    if (sign)
        out[len++] = '-';
    for (int i = weight < 0 ? 0 : weight; i >= 0; i--)
        len += put_digit(digit_of(v.data, i) % 10000, GROUP, i < weight, out + len);
    if (places)
        out[len++] = '.';
    for (int i = -1; places; i--) {
        unsigned most = places < GROUP ? places : GROUP;
        len += put_digit(digit_of(v.data, i) % 10000, most, true, out + len);
        places -= most;
    }
    return len;
}

size_t number_to_text(uint16_t format, struct slice value, uint8_t *out) {
    return !value.data ? 0 : format ? binary_text(value, out) : plain_text(value, out);
}

size_t number_strip(uint8_t *text, size_t len) {
    size_t negative = text[0] == '-', zeros = negative;
    if (memchr(text, '.', len)) {
        while (text[len - 1] == '0')
            len--;
        len -= text[len - 1] == '.';
    }
    while (zeros + 1 < len && text[zeros] == '0' && is_digit(text[zeros + 1]))
        zeros++;
    memmove(text + negative, text + zeros, len - zeros);
    len -= zeros - negative;
    if (len == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        len = 1;
    }
    return len;
}

// ---- in binary

static void put_u16(uint8_t *out, unsigned v) {
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
}

// The decimal digit at a place: 0 is the last one before the point, -1 the first one behind it.
static unsigned decimal_at(struct slice text, size_t first, size_t point, int place) {
    int at = place >= 0 ? (int)point - 1 - place : (int)point - place;
    return at >= (int)first && at < (int)text.len ? text.data[at] - (unsigned)'0' : 0;
}

size_t number_to_binary(struct slice text, uint8_t *out) {
    size_t first = text.data[0] == '-';
    const uint8_t *dot = memchr(text.data, '.', text.len);
    size_t point = dot ? (size_t)(dot - text.data) : text.len, places = dot ? text.len - point - 1 : 0;
    int top = ((int)(point - first) + GROUP - 1) / GROUP - 1, last = -(((int)places + GROUP - 1) / GROUP);
    int weight = 0;
    unsigned n = 0, used = 0;
    for (int i = top; i >= last; i--) {
        unsigned digit = 0;
        for (int at = GROUP - 1; at >= 0; at--)
            digit = digit * 10 + decimal_at(text, first, point, i * GROUP + at);
        if (!n && !digit)
            continue;
        weight = n ? weight : i;
        put_u16(out + HEADER + 2 * n++, digit);
        used = digit ? n : used;
    }
    put_u16(out, used);
    put_u16(out + 2, (uint16_t)(used ? weight : 0));
    put_u16(out + 4, first && used ? NEGATIVE : 0);
    put_u16(out + 6, (unsigned)places);
    return HEADER + 2 * used;
}
