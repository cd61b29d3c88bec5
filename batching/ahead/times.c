// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/times.h"

#include <stdio.h>
#include <string.h>

#include "protocol/buf.h"

#define MICROS   1000000
#define DAY      INT64_C(86400)
#define YEAR_1   (-730119) // days
#define LAST_DAY 2921939   // 9999-12-31
#define LIMIT    (INT64_C(1) << 60)

bool times_is_type(uint32_t type) {
    return type == TIMES_DATE || type == TIMES_TIMESTAMP || type == TIMES_TIMESTAMPTZ;
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

// Tells whether the text begins with the pattern's form: a digit where it has a 0, else its own sign.
static bool has_form(struct slice s, const char *form) {
    size_t n = strlen(form);
    if (s.len < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (form[i] == '0' ? !is_digit(s.data[i]) : s.data[i] != (uint8_t)form[i])
            return false;
    return true;
}

static int number(const uint8_t *p, size_t digits) {
    int v = 0;
    for (size_t i = 0; i < digits; i++)
        v = v * 10 + (p[i] - '0');
    return v;
}

static struct slice behind(struct slice s, size_t n) {
    return (struct slice){s.data + n, s.len - n};
}

// ---- days

// Days since 2000-01-01, by the calendar that PostgreSQL uses for all times.
static int64_t days_of(int64_t y, int m, int d) {
    y -= m <= 2; // years begin in March, so leap days end them
    int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return 365 * y + y / 4 - y / 100 + y / 400 + of_year - 730425;
}

// The reverse, for days of the years 1 to 9999.
static void date_of(int64_t days, int *y, int *m, int *d) {
    int64_t n = days + 730425, era = n / 146097, day = n % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    *d = (int)(of_year - (153 * month + 2) / 5 + 1);
    *m = (int)(month < 10 ? month + 3 : month - 9);
    *y = (int)(year + era * 400 + (*m <= 2));
}

// ---- reading

// Reads a zone: Z, +05, +05:30 or +0530, and seconds; nothing is UTC.
static bool read_zone(struct slice s, int *east) {
    int v = 0, unit = 3600;
    *east = 0;
    if (!s.len || (s.len == 1 && s.data[0] == 'Z'))
        return true;
    if (s.data[0] != '+' && s.data[0] != '-')
        return false;
    bool west = s.data[0] == '-';
    for (s = behind(s, 1); s.len && unit; unit /= 60) {
        if (unit < 3600 && s.data[0] == ':')
            s = behind(s, 1);
        if (!has_form(s, "00"))
            return false;
        v += unit * number(s.data, 2);
        s = behind(s, 2);
    }
    *east = west ? -v : v;
    return !s.len;
}

// Reads a time of day with its zone, as microseconds.
static bool read_time(struct slice s, int64_t *v, int *east) {
    if (!has_form(s, "00:00:00"))
        return false;
    int64_t seconds = number(s.data, 2) * 3600 + number(s.data + 3, 2) * 60 + number(s.data + 6, 2);
    int micros = 0, unit = MICROS / 10;
    s = behind(s, 8);
    if (s.len && s.data[0] == '.')
        for (s = behind(s, 1); s.len && is_digit(s.data[0]); s = behind(s, 1), unit /= 10)
            micros += unit * (s.data[0] - '0');
    if (!read_zone(s, east))
        return false;
    *v = (seconds - *east) * MICROS + micros;
    return true;
}

static bool read_text(uint32_t type, struct slice s, int64_t *v, int *east) {
    *east = 0;
    if (!has_form(s, "0000-00-00") || !number(s.data, 4))
        return false;
    int64_t days = days_of(number(s.data, 4), number(s.data + 5, 2), number(s.data + 8, 2)), time;
    *v = days;
    if (type == TIMES_DATE)
        return s.len == 10;
    s = behind(s, 10);
    if (!s.len || (s.data[0] != ' ' && s.data[0] != 'T') || !read_time(behind(s, 1), &time, east))
        return false;
    *v = days * DAY * MICROS + time;
    return true;
}

static bool read_binary(uint32_t type, struct slice s, int64_t *v) {
    if (s.len != (type == TIMES_DATE ? 4u : 8u))
        return false;
    *v = type == TIMES_DATE ? (int32_t)get_u32(s.data) : (int64_t)get_u64(s.data);
    return true;
}

bool times_read(uint32_t type, uint16_t format, struct slice value, int64_t *v, int *east) {
    *east = 0;
    return value.data && (format ? read_binary(type, value, v) : read_text(type, value, v, east));
}

// ---- writing

static size_t write_binary(uint32_t type, int64_t v, uint8_t *out) {
    size_t bytes = type == TIMES_DATE ? 4 : 8;
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)((uint64_t)v >> (8 * (bytes - 1 - i)));
    return bytes;
}

static int put_zone(char *out, size_t room, int east) {
    unsigned v = (unsigned)(east < 0 ? -east : east), minutes = v / 60 % 60;
    int n = snprintf(out, room, "%c%02u", east < 0 ? '-' : '+', v / 3600 % 100);
    return n + (minutes ? snprintf(out + n, room - (size_t)n, ":%02u", minutes) : 0);
}

// The server writes a fraction without zeros at its end.
static int put_fraction(char *out, size_t room, unsigned micros) {
    int n = micros ? snprintf(out, room, ".%06u", micros % MICROS) : 0;
    while (n && out[n - 1] == '0')
        n--;
    return n;
}

size_t times_write(uint32_t type, uint16_t format, int64_t v, int east, uint8_t *out) {
    char text[2 * TIMES_BYTES];
    int y, m, d, n;
    if (format)
        return write_binary(type, v, out);
    if (v < -LIMIT || v > LIMIT || (type == TIMES_DATE && (v < YEAR_1 || v > LAST_DAY)))
        return 0;
    int64_t local = type == TIMES_DATE ? v * DAY * MICROS : v + (int64_t)east * MICROS;
    int64_t days = local / (DAY * MICROS), micros = local % (DAY * MICROS);
    days -= micros < 0;
    micros += micros < 0 ? DAY * MICROS : 0;
    if (days < YEAR_1 || days > LAST_DAY)
        return 0;
    date_of(days, &y, &m, &d);
    n = snprintf(text, sizeof text, "%04d-%02d-%02d", y, m, d);
    if (type != TIMES_DATE) {
        unsigned s = (unsigned)(micros / MICROS);
        n += snprintf(text + n, sizeof text - (size_t)n, " %02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
        n += put_fraction(text + n, sizeof text - (size_t)n, (unsigned)(micros % MICROS));
    }
    if (type == TIMES_TIMESTAMPTZ)
        n += put_zone(text + n, sizeof text - (size_t)n, east);
    if (n > TIMES_BYTES)
        return 0;
    memcpy(out, text, (size_t)n);
    return (size_t)n;
}
