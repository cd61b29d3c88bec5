// SPDX-License-Identifier: PostgreSQL
//
// Buffers: the ceiling, failure that is remembered, and secrets of which nothing stays behind.
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "protocol/buf.h"

Test(buf, the_ceiling_is_remembered) {
    struct buf b = buf_make(10);
    buf_put(&b, "0123456789", 10);
    cr_assert(!b.failed && b.len == 10);
    buf_put(&b, "x", 1);
    buf_consume(&b, 10);
    buf_put(&b, "x", 1);
    cr_assert(b.failed && b.len == 0);
    buf_reset(&b);
    buf_put(&b, "x", 1);
    cr_assert(!b.failed && b.len == 1);
    buf_free(&b);
    cr_assert(!b.data && b.limit == 10);
}

static bool is_wiped(const struct buf *b, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        if (b->data[i])
            return false;
    return true;
}

Test(buf, what_is_taken_out_of_a_secret_one_is_wiped) {
    for (size_t taken = 0; taken <= 41; taken++) {
        struct buf b = buf_make(100);
        b.secret = true;
        buf_put(&b, "0123456789012345678901234567890123456789", 40);
        buf_consume(&b, taken);
        cr_assert_eq(b.len, taken < 40 ? 40 - taken : 0);
        cr_assert(memcmp(b.data, &"0123456789012345678901234567890123456789"[40 - b.len], b.len) == 0);
        cr_assert(is_wiped(&b, b.len, 40), "%zu taken", taken);
        buf_reset(&b);
        cr_assert(is_wiped(&b, 0, 40));
        buf_free(&b);
        cr_assert(b.secret && b.limit == 100);
    }
}

Test(buf, a_secret_one_grows_like_any_other) {
    struct buf b = buf_make(100000), plain = buf_make(100000);
    b.secret = true;
    for (int i = 0; i < 99999; i++) {
        buf_put_u8(&b, (uint8_t)i);
        buf_put_u8(&plain, (uint8_t)i);
    }
    cr_assert(b.len == plain.len && memcmp(b.data, plain.data, b.len) == 0);
    buf_free(&b);
    buf_free(&plain);
}
