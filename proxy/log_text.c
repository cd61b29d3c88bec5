// SPDX-License-Identifier: PostgreSQL
#include "proxy/log_text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ELLIPSIS "\xe2\x80\xa6"
#define UNIT     16 // bytes of the longest escape, with a zero

// Reads the character at the front and returns its bytes; 0: it is not valid UTF-8 (RFC 3629: no surrogates,
// no overlong forms).
static size_t read_character(const unsigned char *p, size_t len, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > len)
        return 0;
    *code = n == 1 ? p[0] : p[0] & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        *code = *code << 6 | (p[i] & 0x3fU);
    }
    bool valid = *code >= least[n] && *code <= 0x10ffff && (*code < 0xd800 || *code > 0xdfff);
    return valid ? n : 0;
}

// Control characters, ends of lines, marks that change the direction of text, and what has no width. Joiners
// (200C, 200D) are not hidden: they are part of words in some scripts.
static bool is_hidden(uint32_t c) {
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c},   {0x180e, 0x180e},    {0x200b, 0x200b},
        {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},    {0xfff9, 0xfffb},
        {0xfffe, 0xffff}, {0xfdd0, 0xfdef}, {0xe000, 0xf8ff}, {0xe0000, 0x10ffff},
    };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (c >= hidden[i].first && c <= hidden[i].last)
            return true;
    return false;
}

// Most characters are written as they are: long texts would take their time otherwise.
static bool is_plain(unsigned char c) {
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

// Writes the character at *at, and goes to the next. Returns the number of bytes.
static size_t write_unit(char unit[static UNIT], const char *whole, size_t whole_len, size_t *at, bool json) {
    const char *text = whole + *at;
    uint32_t code = 0;
    size_t n = read_character((const unsigned char *)text, whole_len - *at, &code);
    const char *slash = json ? "\\\\" : "\\";
    if (n == 0 || (n == 1 && is_hidden(code)))
        snprintf(unit, UNIT, "%sx%02x", slash, (unsigned char)*text);
    else if (is_hidden(code))
        snprintf(unit, UNIT, "%su%04x", slash, code);
    else
        snprintf(unit, UNIT, "%s%.*s", json && (code == '"' || code == '\\') ? "\\" : "", (int)n, text);
    *at += n ? n : 1;
    return strlen(unit);
}

size_t log_text(char *out, size_t room, const char *text, size_t len, bool json) {
    size_t n = 0, fits = 0, end = strlen(ELLIPSIS);
    for (size_t at = 0; at < len;) {
        char unit[UNIT] = {text[at]};
        size_t more = 1;
        if (is_plain((unsigned char)text[at]))
            at++;
        else
            more = write_unit(unit, text, len, &at, json);
        if (n + more > room) {
            memcpy(out + fits, ELLIPSIS, room < end ? 0 : end);
            return room < end ? 0 : fits + end;
        }
        memcpy(out + n, unit, more);
        n += more;
        if (n + end <= room)
            fits = n;
    }
    return n;
}

size_t log_text_whole(const char *text, size_t len) {
    const unsigned char *p = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = p[len - back];
        size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        if (c >> 6 != 2)
            return n > back ? len - back : len;
    }
    return len;
}
