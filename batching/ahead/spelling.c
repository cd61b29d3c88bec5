// SPDX-License-Identifier: PostgreSQL
//
// The forms in which drivers write times: each is tried on the pair, and the one that fits is used.
#include "batching/ahead/spelling.h"

#include <string.h>

#include "batching/ahead/bytea.h"
#include "batching/ahead/number.h"
#include "batching/ahead/times.h"

#define TIME_MAX 64 // bytes of a time as text

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

// ---- as text

struct text {
    uint8_t *out;
    size_t n;
};

static void put_bytes(struct text *t, const void *bytes, size_t len) {
    size_t room = TIME_MAX - t->n;
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

static size_t write_time(const struct spelling *s, struct slice read, uint8_t *out) {
    struct text t = {.out = out};
    struct parts p;
    if (!read_parts(read, &p))
        return 0;
    put_bytes(&t, p.date.data, p.date.len);
    put_bytes(&t, &s->between, 1);
    put_bytes(&t, p.time.data, p.time.len);
    put_fraction(s, p.fraction, &t);
    return put_zone(s, p.zone, &t) ? t.n : 0;
}

// ---- in binary

// Writes a value in the other format: as text as the server would.
static size_t convert(const struct spelling *s, struct slice read, uint8_t *out) {
    uint8_t text[NUMBER_BYTES];
    int64_t v;
    int east;
    if (times_is_type(s->type))
        return times_read(s->type, s->from_binary, read, &v, &east)
                   ? times_write(s->type, s->to_binary, v, s->east, out)
                   : 0;
    if (s->type == BYTEA_TYPE)
        return s->from_binary ? bytea_to_text(read, out, SPELLING_MAX)
                              : bytea_from_text(read, out, SPELLING_MAX);
    size_t n = s->type == OID_NUMERIC ? number_to_text(s->from_binary, read, text) : 0;
    if (n && s->to_binary)
        return number_to_binary((struct slice){text, n}, out);
    memcpy(out, text, n);
    return n;
}

// ---- both

bool spelling_write(const struct spelling *s, struct slice read, uint8_t *out, struct slice *sent) {
    uint8_t text[NUMBER_BYTES];
    size_t n = 0;
    *sent = read;
    if (s->from_binary != s->to_binary) {
        *sent = (struct slice){out, convert(s, read, out)};
        if (s->kind == SPELLED_SAME)
            return sent->len > 0;
    }
    if (s->kind == SPELLED_SAME)
        return true;
    if (s->kind == SPELLED_STRIPPED) {
        n = number_to_text(0, *sent, text);
        n = n ? number_strip(text, n) : 0;
        memcpy(out, text, n);
    } else {
        uint8_t time[TIME_MAX];
        n = write_time(s, *sent, time);
        memcpy(out, time, n);
    }
    *sent = (struct slice){out, n};
    return n > 0;
}

static bool writes(const struct spelling *s, struct slice read, struct slice sent) {
    uint8_t out[SPELLING_MAX];
    struct slice written;
    return spelling_write(s, read, out, &written) && written.len == sent.len &&
           memcmp(written.data, sent.data, sent.len) == 0;
}

static bool find_time(struct slice read, struct slice sent, struct spelling *s) {
    int64_t v;
    if (sent.len < 11 || !times_read(s->type, 0, sent, &v, &s->east))
        return false;
    s->kind = SPELLED_TIME;
    s->between = (char)sent.data[10];
    for (int way = 0; way < 12; way++) {
        s->fraction = way % 3 == 0 ? FRACTION_SIX : way % 3 == 1 ? FRACTION_THREE : FRACTION_SAME;
        s->zone = way / 3 == 0 ? ZONE_MINUTES : way / 3 == 1 ? ZONE_Z : way / 3 == 2 ? ZONE_SAME : ZONE_NONE;
        if (writes(s, read, sent))
            return true;
    }
    return false;
}

bool spelling_find(uint32_t type, uint16_t format_read, struct slice read, uint16_t format_sent,
                   struct slice sent, struct spelling *s) {
    *s = (struct spelling){.type = type, .from_binary = format_read == 1, .to_binary = format_sent == 1};
    if (!read.len || !sent.len || read.len > SPELLING_MAX || sent.len > SPELLING_MAX)
        return false;
    if (writes(s, read, sent))
        return true;
    if (format_sent == 1)
        return false;
    if (times_is_type(type) && type != TIMES_DATE)
        return find_time(read, sent, s);
    s->kind = SPELLED_STRIPPED;
    return type == OID_NUMERIC && writes(s, read, sent);
}
