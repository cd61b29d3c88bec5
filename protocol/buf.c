// SPDX-License-Identifier: PostgreSQL
#include "protocol/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void wipe(const struct buf *b, size_t from, size_t len) {
    if (b->secret && len)
        explicit_bzero(b->data + from, len);
}

void buf_free(struct buf *b) {
    wipe(b, 0, b->cap);
    free(b->data);
    *b = (struct buf){.limit = b->limit, .secret = b->secret};
}

void buf_reset(struct buf *b) {
    wipe(b, 0, b->len);
    b->len = 0;
    b->failed = false;
}

// realloc() would leave a copy behind.
static uint8_t *move_secret(const struct buf *b, size_t cap) {
    uint8_t *data = malloc(cap);
    if (!data || !b->data)
        return data;
    memcpy(data, b->data, b->len);
    wipe(b, 0, b->cap);
    free(b->data);
    return data;
}

bool buf_reserve(struct buf *b, size_t extra) {
    if (b->failed)
        return false;
    if (extra > b->limit || b->len > b->limit - extra) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + extra;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    uint8_t *data = b->secret ? move_secret(b, cap) : realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_put(struct buf *b, const void *data, size_t len) {
    if (!len || !buf_reserve(b, len))
        return;
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void buf_put_u8(struct buf *b, uint8_t v) {
    buf_put(b, &v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v) {
    uint8_t p[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    buf_put(b, p, sizeof p);
}

void buf_put_u32(struct buf *b, uint32_t v) {
    uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    buf_put(b, p, sizeof p);
}

void buf_put_u64(struct buf *b, uint64_t v) {
    buf_put_u32(b, (uint32_t)(v >> 32));
    buf_put_u32(b, (uint32_t)v);
}

void buf_put_str(struct buf *b, const char *s) {
    buf_put(b, s, strlen(s) + 1);
}

void buf_put_text(struct buf *b, const char *s) {
    buf_put(b, s, strlen(s));
}

void buf_put_format(struct buf *b, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_put_text(b, text);
}

void buf_set_u32(struct buf *b, size_t at, uint32_t v) {
    if (b->failed || at + 4 > b->len)
        return;
    b->data[at] = (uint8_t)(v >> 24);
    b->data[at + 1] = (uint8_t)(v >> 16);
    b->data[at + 2] = (uint8_t)(v >> 8);
    b->data[at + 3] = (uint8_t)v;
}

void buf_consume(struct buf *b, size_t len) {
    if (len < b->len)
        memmove(b->data, b->data + len, b->len - len);
    else
        len = b->len;
    b->len -= len;
    wipe(b, b->len, len);
}
