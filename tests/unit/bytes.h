// SPDX-License-Identifier: PostgreSQL
//
// Bytes for tests: literals as slices, blocks of exactly their size, and the types of the messages in a
// buffer, which is how most tests look at what was sent.
#ifndef PGFOLD_TESTS_BYTES_H
#define PGFOLD_TESTS_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"
#include "protocol/message.h"

// A literal with its inner zeros, without the last one; LIT for the tables.
#define LIT(text)                                                                                            \
    { (const uint8_t *)(text), sizeof(text) - 1 }
#define BYTES(text) ((struct slice)LIT(text))

struct slice text_slice(const char *s);

// A copy in a block of exactly its size, so that the sanitizer sees a read past its end; free() it.
uint8_t *exact_copy(const void *bytes, size_t len);

// The types of the messages in a buffer, "TDCZ", all of which must be whole. The text is good until the next
// call of either.
const char *types_of(const struct buf *b);
const char *take_types(struct buf *b); // and empties the buffer

// Fails the test unless both texts are equal. What makes `actual` runs once, which Criterion's own macros do
// not promise, so it may be a call that takes something out of a buffer.
#define expect_text(actual, expected) expect_text_at(actual, expected, __FILE__, __LINE__)
void expect_text_at(const char *actual, const char *expected, const char *file, int line);

#endif
