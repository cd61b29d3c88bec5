// SPDX-License-Identifier: PostgreSQL
#include "batching/show/text.h"

#include <stdio.h>
#include <string.h>

void text_number(struct buf *b, uint64_t n) {
    char digits[24];
    char *at = digits + sizeof digits;
    do
        *--at = (char)('0' + n % 10);
    while (n /= 10);
    buf_put(b, at, (size_t)(digits + sizeof digits - at));
}

void text_seconds(struct buf *b, uint64_t us) {
    char rest[8];
    size_t n = 7;
    text_number(b, us / 1000000);
    if (!(us % 1000000))
        return;
    snprintf(rest, sizeof rest, ".%06u", (unsigned)(us % 1000000));
    while (rest[n - 1] == '0')
        n--;
    buf_put(b, rest, n);
}

size_t text_character(const unsigned char *s) {
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;
    if (s[0] >= 0xf5 || (n > 1 && s[0] < 0xc2))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool long_form = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0, beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return long_form || surrogate || beyond ? 0 : n;
}

bool text_is_control(const unsigned char *s) {
    return *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0);
}

static void put_name(struct buf *b, const char *name, bool escape) {
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        size_t n = text_character(s);
        if (escape && (*s == '"' || *s == '\\'))
            buf_put_u8(b, '\\');
        if (n && !text_is_control(s))
            buf_put(b, s, n);
        else
            buf_put_u8(b, '?');
        s += n ? n : 1;
    }
}

void text_plain(struct buf *b, const char *name) {
    put_name(b, name, false);
}

void text_label(struct buf *b, const char *name) {
    buf_put_u8(b, '"');
    put_name(b, name, true);
    buf_put_u8(b, '"');
}
