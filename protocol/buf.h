// SPDX-License-Identifier: PostgreSQL
//
// A growable byte buffer with a ceiling that remembers failure.
//
// A put that would pass the ceiling, or finds no memory, sets `failed` and changes nothing. Every later put
// does nothing. So the caller writes a whole message and checks `failed` once. A zeroed struct with a limit
// is an empty buffer. After buf_free() a buffer owns no memory.
#ifndef PGFOLD_PROTOCOL_BUF_H
#define PGFOLD_PROTOCOL_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; // owned; NULL when nothing was ever put
    size_t len;    // bytes in use
    size_t cap;    // bytes allocated
    size_t limit;  // len never passes this
    bool failed;   // a put was refused since the last reset
    bool secret;   // bytes that are taken out, and memory that is given back, are wiped; set while empty
};

// Empty buffer that will hold at most `limit` bytes.
static inline struct buf buf_make(size_t limit) {
    return (struct buf){.limit = limit};
}
void buf_free(struct buf *b);                  // gives the memory back, keeps the limit
void buf_reset(struct buf *b);                 // empties, keeps the memory
bool buf_reserve(struct buf *b, size_t extra); // room for extra bytes more; false and failed if not
void buf_put(struct buf *b, const void *data, size_t len); // data is copied
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v); // network byte order, as all that follow
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_str(struct buf *b, const char *s);  // with its terminating zero
void buf_put_text(struct buf *b, const char *s); // without it
// As snprintf writes it, cut at 399 bytes; for short text and numbers.
void buf_put_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_set_u32(struct buf *b, size_t at, uint32_t v); // overwrites 4 bytes that were put before
void buf_consume(struct buf *b, size_t len);            // drops len bytes at the front (len <= b->len)

static inline uint16_t get_u16(const uint8_t *p) {
    return (uint16_t)((uint16_t)p[0] << 8 | p[1]);
}
static inline uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t get_u64(const uint8_t *p) {
    return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

#endif
