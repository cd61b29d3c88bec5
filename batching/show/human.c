// SPDX-License-Identifier: PostgreSQL
#include "batching/show/human.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "batching/show/text.h"

// ---- text

// U+200E, U+200F, U+2028 to U+202E, U+2060 to U+206F, U+061C, U+FEFF: they show nothing, and move what is shown.
static bool is_mark(const unsigned char *s, size_t n) {
    if (n == 2)
        return s[0] == 0xd8 && s[1] == 0x9c;
    if (n == 3 && s[0] == 0xe2)
        return (s[1] == 0x80 && ((s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae))) ||
               (s[1] == 0x81 && s[2] >= 0xa0 && s[2] <= 0xaf);
    return n == 3 && s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf;
}

const char *human_entity(unsigned char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void human_text(struct buf *b, const char *text) {
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = text_character(s);
        const char *written = human_entity(*s);
        if (written)
            buf_put_text(b, written);
        else if (n && !text_is_control(s) && !is_mark(s, n))
            buf_put(b, s, n);
        else
            buf_put_text(b, "\xef\xbf\xbd");
        s += n ? n : 1;
    }
}

// ---- numbers

void human_count(struct buf *b, uint64_t n) {
    char digits[32];
    char *at = digits + sizeof digits;
    for (unsigned i = 0; !i || n; n /= 10, i++) {
        if (i && i % 3 == 0)
            *--at = ',';
        *--at = (char)('0' + n % 10);
    }
    buf_put(b, at, (size_t)(digits + sizeof digits - at));
}

void human_rate(struct buf *b, uint64_t n, uint64_t us) {
    double rate = us ? (double)n * 1e6 / (double)us : 0;
    char text[40];
    if (rate >= 9.95 || rate == 0) {
        human_count(b, (uint64_t)(rate + 0.5));
        return;
    }
    snprintf(text, sizeof text, "%.1f", rate < 0.1 ? 0.1 : rate);
    buf_put_text(b, text);
}

void human_share(struct buf *b, uint64_t part, uint64_t whole) {
    char text[40];
    double share = whole ? 100 * (double)part / (double)whole : 0;
    if (!whole)
        snprintf(text, sizeof text, "–");
    else if (!part || part == whole)
        snprintf(text, sizeof text, "%s", part ? "100 %" : "0 %");
    else if (share < 0.1)
        snprintf(text, sizeof text, "&lt;0.1 %%");
    else if (share > 99.9 && part < whole)
        snprintf(text, sizeof text, "&gt;99.9 %%");
    else
        snprintf(text, sizeof text, "%.1f %%", share);
    buf_put_text(b, text);
}

// Three digits, and no zeros without need.
static void put_three(struct buf *b, double n, const char *unit) {
    char text[40];
    int places = n < 9.995 ? 2 : n < 99.95 ? 1 : 0;
    snprintf(text, sizeof text, "%.*f %s", places, n, unit);
    buf_put_text(b, text);
}

static void put_two(struct buf *b, uint64_t n, uint64_t rest, const char *unit, const char *small) {
    char text[60];
    snprintf(text, sizeof text, "%llu %s %llu %s", (unsigned long long)n, unit, (unsigned long long)rest,
             small);
    buf_put_text(b, text);
}

void human_time(struct buf *b, uint64_t us) {
    uint64_t s = us / 1000000;
    char text[40];
    if (us < 1000) {
        snprintf(text, sizeof text, "%u µs", (unsigned)us);
        buf_put_text(b, us ? text : "0");
    } else if (us < 999500)
        put_three(b, (double)us / 1e3, "ms");
    else if (s < 60)
        put_three(b, (double)us / 1e6, "s");
    else if (s < 3600)
        put_two(b, s / 60, s % 60, "min", "s");
    else if (s < 86400)
        put_two(b, s / 3600, s % 3600 / 60, "h", "min");
    else
        put_two(b, s / 86400, s % 86400 / 3600, "d", "h");
}

void human_bytes(struct buf *b, uint64_t n) {
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    char text[40];
    double size = (double)n / 1000;
    unsigned i = 0;
    if (n < 1000) {
        snprintf(text, sizeof text, "%u B", (unsigned)n);
        buf_put_text(b, text);
        return;
    }
    for (; size >= 999.5 && i + 1 < sizeof units / sizeof *units; i++)
        size /= 1000;
    put_three(b, size, units[i]);
}
