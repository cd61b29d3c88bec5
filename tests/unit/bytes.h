// SPDX-License-Identifier: PostgreSQL
//
// Bytes for tests: literals as slices, blocks of exactly their size (a read past them is seen by the
// sanitizer), and rows.
#ifndef PGFOLD_TESTS_BYTES_H
#define PGFOLD_TESTS_BYTES_H

#include <stdlib.h>
#include <string.h>

#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

// A literal with its inner zeros, without the last one; LIT for the tables.
#define LIT(text)                                                                                            \
    { (const uint8_t *)(text), sizeof(text) - 1 }
#define BYTES(text) ((struct slice)LIT(text))

static inline struct slice text_slice(const char *s) {
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

// A copy in a block of exactly its size; free() it.
static inline uint8_t *exact_copy(const void *bytes, size_t len) {
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        abort();
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

// Appends a DataRow of text values; NULL is NULL.
static inline void put_text_row(struct buf *b, const char *const *values, unsigned n) {
    size_t at = write_begin(b, B_DATA_ROW);
    buf_put_u16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_put_u32(b, values[i] ? (uint32_t)strlen(values[i]) : UINT32_MAX);
        if (values[i])
            buf_put_text(b, values[i]);
    }
    write_end(b, at);
}

// The first row of a proof's answer: who the session is. `at`: the server's clock, 16 hexadecimal digits.
static inline void put_proof_users_at(struct buf *b, const char *role, const char *user, const char *temp,
                                      const char *oid, const char *at) {
    const char *row[] = {role, user, temp, oid, "10", "0002f00000000000", at, role, user};
    put_text_row(b, row, 9);
}

static inline void put_proof_users(struct buf *b) {
    put_proof_users_at(b, "alice", "alice", "0", "10", "0003000000000000");
}

#endif
