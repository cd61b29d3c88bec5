// SPDX-License-Identifier: PostgreSQL
//
// Messages that are written: byte for byte, whole or not at all.
#include <criterion/criterion.h>

#include "protocol/frame.h"
#include "protocol/write.h"
#include "tests/unit/bytes.h"

static void expect(struct buf *b, struct slice wanted, const char *name) {
    cr_assert_not(b->failed, "%s", name);
    cr_assert_eq(b->len, wanted.len, "%s: %zu bytes, not %zu", name, b->len, wanted.len);
    cr_assert(memcmp(b->data, wanted.data, wanted.len) == 0, "%s", name);
    buf_reset(b);
}

Test(write, messages_of_the_client) {
    struct buf b = buf_make(1000);
    uint32_t types[] = {23, 25};
    write_query(&b, "SELECT 1", 8);
    expect(&b, BYTES("Q\0\0\0\x0dSELECT 1\0"), "Query");
    write_parse(&b, text_slice("s"), text_slice("x"), types, 2);
    expect(&b, BYTES("P\0\0\0\x12s\0x\0\0\2\0\0\0\x17\0\0\0\x19"), "Parse");
    write_describe(&b, 'P', text_slice(""));
    expect(&b, BYTES("D\0\0\0\6P\0"), "Describe");
    write_close(&b, 'S', text_slice("s"));
    expect(&b, BYTES("C\0\0\0\7Ss\0"), "Close");
    write_execute_all(&b, text_slice(""));
    expect(&b, BYTES("E\0\0\0\x09\0\0\0\0\0"), "Execute");
    write_empty(&b, F_SYNC);
    expect(&b, BYTES("S\0\0\0\4"), "Sync");
    write_cancel_request(&b, 1, BYTES("\1\2\3\4"));
    expect(&b, BYTES("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\1\2\3\4"), "CancelRequest");
    buf_free(&b);
}

Test(write, messages_of_the_server) {
    struct buf b = buf_make(1000);
    write_ready(&b, 'T');
    expect(&b, BYTES("Z\0\0\0\5T"), "ReadyForQuery");
    write_select_complete(&b, 12);
    expect(&b, BYTES("C\0\0\0\x0eSELECT 12\0"), "CommandComplete");
    write_error(&b, "ERROR", "42601", "no", NULL, "try");
    expect(&b, BYTES("E\0\0\0\x23SERROR\0VERROR\0C42601\0Mno\0Htry\0\0"), "ErrorResponse");
    buf_free(&b);
}

// However little room there is, what is written fails as a whole and is seen to have failed.
Test(write, a_message_too_large_for_its_buffer_fails) {
    for (size_t room = 0; room < 36; room++) {
        struct buf b = buf_make(room);
        write_error(&b, "ERROR", "42601", "no", NULL, "try");
        cr_assert(b.failed, "in %zu bytes", room);
        cr_assert_leq(b.len, room);
        write_ready(&b, 'I');
        cr_assert(b.failed, "failure is remembered");
        buf_free(&b);
    }
}

Test(write, a_buffer_that_was_reset_can_be_used_again) {
    struct buf b = buf_make(6);
    write_error(&b, "ERROR", "42601", "no", NULL, NULL);
    cr_assert(b.failed);
    buf_reset(&b);
    write_ready(&b, 'I');
    expect(&b, BYTES("Z\0\0\0\5I"), "ReadyForQuery");
    buf_free(&b);
}
