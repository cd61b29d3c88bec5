// SPDX-License-Identifier: PostgreSQL
//
// The forms in which drivers write times: each is tried on the pair, and the one that fits is used.
#include "batching/ahead/spelling.h"

#include <string.h>

// The parts of a time as the server writes it, in its default DateStyle.
struct parts {
    struct slice date, time, fraction, zone; // without the signs between them; the zone has its own sign
};

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

// Tells whether the text has the pattern's form: a digit where the pattern has a 0, else the pattern's own
// sign.
static bool has_form(const uint8_t *p, size_t len, const char *form) {
    size_t n = strlen(form);
    if (len < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (form[i] == '0' ? !is_digit(p[i]) : p[i] != (uint8_t)form[i])
            return false;
    return true;
}

static bool read_parts(struct slice v, struct parts *p) {
    static const char form[] = "0000-00-00 00:00:00";
    size_t at = sizeof form - 1, from;
    if (!has_form(v.data, v.len, form))
        return false;
    p->date = (struct slice){v.data, 10};
    p->time = (struct slice){v.data + 11, 8};
    from = at += at < v.len && v.data[at] == '.';
    while (at < v.len && is_digit(v.data[at]))
        at++;
    p->fraction = (struct slice){v.data + from, at - from};
    p->zone = (struct slice){v.data + at, v.len - at};
    return p->fraction.len <= 6 && (!p->zone.len || has_form(p->zone.data + 1, p->zone.len - 1, "00"));
}

// ---- as the server's binary form

static int64_t number(const uint8_t *p, size_t digits) {
    int64_t v = 0;
    for (size_t i = 0; i < digits; i++)
        v = v * 10 + (p[i] - '0');
    return v;
}

// Days since 2000-01-01, by the calendar that PostgreSQL uses for all times.
static int64_t days_of(const uint8_t *date) {
    int64_t y = number(date, 4), m = number(date + 5, 2), d = number(date + 8, 2);
    y -= m <= 2; // years begin in March, so leap days end them
    int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return 365 * y + y / 4 - y / 100 + y / 400 + of_year - 730425;
}

// Seconds east of Greenwich, of a zone such as +05:30.
static int64_t seconds_of(struct slice zone) {
    int64_t v = 0, unit = 3600;
    for (size_t at = 1; at + 2 <= zone.len && unit; at += 3, unit /= 60)
        v += unit * number(zone.data + at, 2);
    return zone.len && zone.data[0] == '-' ? -v : v;
}

static size_t put_big_endian(uint64_t v, size_t bytes, uint8_t *out) {
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    return bytes;
}

// Writes a date as days, a time as microseconds.
static size_t write_binary_time(struct slice read, uint8_t *out) {
    struct parts p;
    if (read.len == 10 && has_form(read.data, read.len, "0000-00-00"))
        return put_big_endian((uint64_t)days_of(read.data), 4, out);
    if (!read_parts(read, &p))
        return 0;
    int64_t s = days_of(p.date.data) * 86400 + number(p.time.data, 2) * 3600 +
                number(p.time.data + 3, 2) * 60 + number(p.time.data + 6, 2) - seconds_of(p.zone);
    int64_t micros = number(p.fraction.data, p.fraction.len);
    for (size_t i = p.fraction.len; i < 6; i++)
        micros *= 10;
    return put_big_endian((uint64_t)(s * 1000000 + micros), 8, out);
}

// ---- as text

struct text {
    uint8_t *out;
    size_t n;
};

static void put_bytes(struct text *t, const void *bytes, size_t len) {
    size_t room = SPELLING_MAX - t->n;
    memcpy(t->out + t->n, bytes, len < room ? len : room);
    t->n += len < room ? len : room;
}

static void put_fraction(const struct spelling *s, struct slice fraction, struct text *t) {
    size_t digits = s->fraction == FRACTION_SIX ? 6 : 3;
    if (s->fraction == FRACTION_SAME || (s->fraction == FRACTION_SIX && !fraction.len))
        digits = fraction.len;
    if (digits)
        put_bytes(t, ".", 1);
    put_bytes(t, fraction.data, fraction.len < digits ? fraction.len : digits);
    for (size_t i = fraction.len; i < digits; i++)
        put_bytes(t, "0", 1);
}

static bool put_zone(const struct spelling *s, struct slice zone, struct text *t) {
    if (s->zone == ZONE_NONE)
        return true;
    if (s->zone == ZONE_Z) {
        put_bytes(t, "Z", 1);
        return zone.len == 3 && memcmp(zone.data, "+00", 3) == 0;
    }
    put_bytes(t, zone.data, zone.len);
    if (s->zone == ZONE_MINUTES && zone.len == 3)
        put_bytes(t, ":00", 3);
    return true;
}

size_t spelling_write(const struct spelling *s, struct slice read, uint8_t *out) {
    struct text t = {.out = out};
    struct parts p;
    if (s->kind == SPELLED_SAME) {
        put_bytes(&t, read.data, read.len);
        return t.n;
    }
    if (s->kind == SPELLED_BINARY)
        return write_binary_time(read, out);
    if (!read_parts(read, &p))
        return 0;
    put_bytes(&t, p.date.data, p.date.len);
    put_bytes(&t, &s->between, 1);
    put_bytes(&t, p.time.data, p.time.len);
    put_fraction(s, p.fraction, &t);
    return put_zone(s, p.zone, &t) ? t.n : 0;
}

static bool writes(const struct spelling *s, struct slice read, struct slice sent) {
    uint8_t out[SPELLING_MAX];
    size_t n = spelling_write(s, read, out);
    return n && n == sent.len && memcmp(out, sent.data, n) == 0;
}

bool spelling_find(struct slice read, struct slice sent, bool binary, struct spelling *s) {
    struct parts p;
    *s = (struct spelling){0};
    if (!read.len || read.len > SPELLING_MAX || sent.len > SPELLING_MAX)
        return false;
    s->kind = binary ? SPELLED_BINARY : SPELLED_SAME;
    if (writes(s, read, sent))
        return true;
    if (binary || sent.len < 11 || !read_parts(read, &p))
        return false;
    *s = (struct spelling){.kind = SPELLED_TIME, .between = (char)sent.data[10]};
    for (int way = 0; way < 12; way++) {
        s->fraction = way % 3 == 0 ? FRACTION_SIX : way % 3 == 1 ? FRACTION_THREE : FRACTION_SAME;
        s->zone = way / 3 == 0 ? ZONE_MINUTES : way / 3 == 1 ? ZONE_Z : way / 3 == 2 ? ZONE_SAME : ZONE_NONE;
        if (writes(s, read, sent))
            return true;
    }
    return false;
}
