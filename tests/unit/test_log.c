// SPDX-License-Identifier: PostgreSQL
//
// Log lines: whatever a client has written, a line is one line of UTF-8, and of JSON where it shall be. And
// the same message is written only so often.
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/log_line.h"
#include "proxy/log_text.h"

#define SECOND 1000000ULL

// ---- text

static const struct {
    const char *text, *wanted, *json; // json: NULL, the same
} texts[] = {
    {"plain, \xc3\xbc, \xe2\x82\xac and \xf0\x9f\x98\x80",
     "plain, \xc3\xbc, \xe2\x82\xac and \xf0\x9f\x98\x80", NULL},
    {"a \"b\" \\", "a \"b\" \\", "a \\\"b\\\" \\\\"},
    {"one\ntwo\r\t\x1b[31m\x7f", "one\\x0atwo\\x0d\\x09\\x1b[31m\\x7f",
     "one\\\\x0atwo\\\\x0d\\\\x09\\\\x1b[31m\\\\x7f"},
    {"\xc2\x85\xc2\x9b!", "\\u0085\\u009b!", "\\\\u0085\\\\u009b!"},
    {"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029", "\\\\u2028\\\\u2029"},
    {"\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f", "\\u202e\\u2066\\u200f", "\\\\u202e\\\\u2066\\\\u200f"},
    {"\xef\xbb\xbf\xef\xbf\xbf", "\\ufeff\\uffff", "\\\\ufeff\\\\uffff"},
    {"\xf3\xa0\x81\x81", "\\ue0041", "\\\\ue0041"},
    {"latin \xfc", "latin \\xfc", "latin \\\\xfc"},
    {"overlong \xc0\xaf\xe0\x80\x8a", "overlong \\xc0\\xaf\\xe0\\x80\\x8a",
     "overlong \\\\xc0\\\\xaf\\\\xe0\\\\x80\\\\x8a"},
    {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80", "surrogate \\\\xed\\\\xa0\\\\x80"},
    {"beyond \xf4\x90\x80\x80\xff", "beyond \\xf4\\x90\\x80\\x80\\xff",
     "beyond \\\\xf4\\\\x90\\\\x80\\\\x80\\\\xff"},
    {"cut \xe2\x82", "cut \\xe2\\x82", "cut \\\\xe2\\\\x82"},
};

Test(log, text_is_shown_and_not_obeyed) {
    char out[200];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (int json = 0; json < 2; json++) {
            const char *wanted = json && texts[i].json ? texts[i].json : texts[i].wanted;
            out[log_text(out, sizeof out - 1, texts[i].text, strlen(texts[i].text), json)] = 0;
            cr_assert_str_eq(out, wanted);
        }
    }
}

Test(log, a_cut_is_made_between_characters) {
    static const char text[] = "a\xc3\xbc\xe2\x82\xac\nz";
    char out[64];
    size_t whole = log_text(out, sizeof out, text, sizeof text - 1, false);
    for (size_t room = 0; room < whole; room++) {
        memset(out, '#', sizeof out);
        size_t n = log_text(out, room, text, sizeof text - 1, false);
        cr_assert(n <= room && out[room] == '#');
        if (room >= 3)
            cr_assert(memcmp(out + n - 3, "\xe2\x80\xa6", 3) == 0, "an ellipsis in %zu bytes", room);
    }
    for (size_t len = 0; len < sizeof text; len++) {
        size_t kept = log_text_whole(text, len);
        cr_assert_eq(kept, len == 2 ? 1 : len == 4 || len == 5 ? 3 : len, "%zu bytes", len);
    }
}

// Not the same way as in the code under test: by the table of the Unicode standard (3-7).
static bool is_utf8(const unsigned char *p, size_t len) {
    static const struct {
        unsigned char first, last, low, high;
        int more;
    } rows[] = {{0x20, 0x7e, 0, 0, 0},       {0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2},
                {0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2}, {0xee, 0xef, 0x80, 0xbf, 2},
                {0xf0, 0xf0, 0x90, 0xbf, 3}, {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3}};
    for (size_t at = 0; at < len;) {
        size_t r = 0, n = sizeof rows / sizeof *rows;
        while (r < n && (p[at] < rows[r].first || p[at] > rows[r].last))
            r++;
        if (r == n || at + (size_t)rows[r].more >= len)
            return false;
        for (int i = 1; i <= rows[r].more; i++)
            if (p[at + (size_t)i] < (i == 1 ? rows[r].low : 0x80) ||
                p[at + (size_t)i] > (i == 1 ? rows[r].high : 0xbf))
                return false;
        if (p[at] == 0xc2 && p[at + 1] < 0xa0)
            return false; // a C1 control
        at += (size_t)rows[r].more + 1;
    }
    return true;
}

// Is the message a string of JSON to its very end?
static bool is_json(const char *line, size_t len) {
    static const char begin[] = ",\"message\":\"";
    const char *p = strstr(line, begin), *end = line + len;
    if (!p || line[0] != '{')
        return false;
    for (p += sizeof begin - 1; p < end && *p != '"'; p++)
        if (*p == '\\' && *++p != '"' && *p != '\\')
            return false;
    return end - p == 2 && memcmp(p, "\"}", 2) == 0;
}

static uint32_t dice(uint32_t *seed) {
    return *seed = *seed * 1664525 + 1013904223;
}

// What is likely to be mistaken, in front of and behind anything.
static size_t any_text(char *text, size_t room, uint32_t *seed) {
    static const char *const pieces[] = {"\xe2\x82", "\xc2\x85", "\xe2\x80\xa8", "\xed\xbf\xbf", "\"",
                                         "\\",       "\n",       "\xf0\x9f",     "%s",           "\xc3\xbc"};
    size_t n = 0, len = dice(seed) % room;
    while (n < len) {
        const char *piece = pieces[(dice(seed) >> 16) % 10];
        char byte[2] = {(char)(1 + (dice(seed) >> 16) % 255), 0};
        const char *put = dice(seed) >> 30 ? piece : byte;
        for (; *put && n < len; put++)
            text[n++] = *put;
    }
    text[n] = 0;
    return n;
}

Test(log, a_line_is_one_line_of_utf8_and_of_json) {
    uint32_t seed = 1;
    char text[1400], line[LOG_LINE + 1];
    for (int i = 0; i < 20000; i++) {
        struct log log = {.json = i & 1};
        any_text(text, sizeof text, &seed);
        line[LOG_LINE] = '#';
        size_t n =
            log_line(log.json, LOG_LEVEL_INFO, 7, line, i & 2 ? "%s" : "user \"%s\" is not \xc3\xbc", text);
        cr_assert(n <= LOG_LINE && line[LOG_LINE] == '#' && line[n - 1] == '\n');
        line[n - 1] = 0;
        cr_assert_eq(strlen(line), n - 1);
        cr_assert(is_utf8((const unsigned char *)line, n - 1), "%s", line);
        cr_assert(!log.json || is_json(line, n - 1), "%s", line);
    }
}

// ---- at most so often

static bool takes(struct log_limit *l, const char *message, uint64_t now) {
    bool first;
    struct log_kind *k = log_limit_kind(l, message, now);
    if (log_kind_is_over(k, now))
        log_kind_begin(k, now);
    return log_limit_take(l, k, 2, &first);
}

Test(log, a_kind_is_written_so_often_within_its_time) {
    struct log_limit l = {0};
    for (uint64_t now = SECOND; now < 100 * SECOND; now += LOG_PERIOD)
        for (int i = 0; i < 5; i++)
            cr_assert_eq(takes(&l, "no room", now + (uint64_t)i), i < 2);
    cr_assert_eq(l.total, 30);
}

Test(log, kinds_are_told_apart_by_what_stands_in_front_of_their_data) {
    struct log_limit l = {0};
    cr_assert(takes(&l, "could not connect: a", 1) && takes(&l, "could not connect: b", 2));
    cr_assert_not(takes(&l, "could not connect: c", 3));
    cr_assert(takes(&l, "protocol 4.0 is unknown", 3) && takes(&l, "protocol 17 is unknown", 3));
    cr_assert_not(takes(&l, "protocol 99 is unknown", 3));
    cr_assert(takes(&l, "user \"a\"", 3) && takes(&l, "user \"b\"", 3) && !takes(&l, "user \"c\"", 3));
    cr_assert(takes(&l, "could not listen", 3));
}

Test(log, more_kinds_than_there_is_room_for_share_one) {
    struct log_limit l = {0};
    char name[] = "aaa";
    int taken = 0;
    for (int i = 0; i < 26 * 26; i++) {
        name[0] = (char)('a' + i / 26);
        name[1] = (char)('a' + i % 26);
        taken += takes(&l, name, SECOND);
    }
    cr_assert_eq(taken, LOG_KINDS - 1 + 2);
    cr_assert(takes(&l, "another", SECOND + LOG_PERIOD) && takes(&l, "zzz", SECOND + LOG_PERIOD));
}

Test(log, what_was_held_is_told_once) {
    struct log_limit l = {0};
    bool first;
    struct log_kind *k = log_limit_kind(&l, "x", SECOND);
    cr_assert(log_limit_take(&l, k, 1, &first) && !first);
    cr_assert(!log_limit_take(&l, k, 1, &first) && first);
    cr_assert(!log_limit_take(&l, k, 1, &first) && !first);
    cr_assert_eq(k->held, 2);
    cr_assert_eq(log_limit_kind(&l, "x", SECOND + LOG_PERIOD), k, "it has something to tell yet");
    cr_assert(log_kind_is_over(k, SECOND + LOG_PERIOD) && !log_kind_is_over(k, SECOND + LOG_PERIOD - 1));
}
