// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/bytea.h"

#include <string.h>

static int hex_digit(uint8_t c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t bytea_from_text(struct slice v, uint8_t *out, size_t max) {
    if (v.len < 2 || v.len % 2 || v.data[0] != '\\' || v.data[1] != 'x' || v.len / 2 > max)
        return 0;
    for (size_t i = 2; i < v.len; i += 2) {
        int high = hex_digit(v.data[i]), low = hex_digit(v.data[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        out[i / 2 - 1] = (uint8_t)(high << 4 | low);
    }
    return v.len / 2 - 1;
}

size_t bytea_to_text(struct slice v, uint8_t *out, size_t max) {
    if (2 * v.len + 2 > max)
        return 0;
    memcpy(out, "\\x", 2);
    for (size_t i = 0; i < v.len; i++) {
        out[2 * i + 2] = (uint8_t) "0123456789abcdef"[v.data[i] >> 4];
        out[2 * i + 3] = (uint8_t) "0123456789abcdef"[v.data[i] & 15];
    }
    return 2 * v.len + 2;
}
