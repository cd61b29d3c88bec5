// SPDX-License-Identifier: PostgreSQL
//
// Frames: every cut of a message is incomplete, lengths that no message has are malformed, and nothing past
// the input is read.
#include <criterion/criterion.h>

#include "protocol/frame.h"
#include "tests/unit/bytes.h"

static enum frame_result header_of(struct slice s, size_t cut, struct frame *f) {
    uint8_t *copy = exact_copy(s.data, cut);
    enum frame_result r = frame_header(copy, cut, f);
    free(copy);
    return r;
}

static enum frame_result read_of(struct slice s, size_t cut, struct frame *f) {
    uint8_t *copy = exact_copy(s.data, cut);
    enum frame_result r = frame_read(copy, cut, f);
    free(copy);
    return r;
}

Test(frame, is_whole_only_when_all_of_it_is_there) {
    struct slice s = BYTES("Q\0\0\0\x0dSELECT 1\0");
    struct frame f;
    for (size_t cut = 0; cut < s.len; cut++) {
        cr_assert_eq(read_of(s, cut, &f), FRAME_INCOMPLETE, "cut at %zu", cut);
        cr_assert_eq(header_of(s, cut, &f), cut < 5 ? FRAME_INCOMPLETE : FRAME_OK, "cut at %zu", cut);
    }
    cr_assert_eq(read_of(s, s.len, &f), FRAME_OK);
    cr_assert_eq(f.type, 'Q');
    cr_assert_eq(f.size, s.len);
    cr_assert_eq(f.body_len, s.len - 5);
}

Test(frame, leaves_what_follows_it) {
    struct slice s = BYTES("S\0\0\0\4S\0\0\0\4");
    struct frame f;
    cr_assert_eq(frame_read(s.data, s.len, &f), FRAME_OK);
    cr_assert_eq(f.size, 5);
    cr_assert_eq(f.body_len, 0);
}

static const struct {
    uint32_t length;
    enum frame_result result;
} lengths[] = {
    {0, FRAME_MALFORMED},
    {3, FRAME_MALFORMED},
    {4, FRAME_OK},
    {5, FRAME_OK},
    {0x3fffffff, FRAME_OK},
    {0x40000000, FRAME_MALFORMED},
    {0x7fffffff, FRAME_MALFORMED},
    {0x80000000u, FRAME_MALFORMED},
    {0xffffffffu, FRAME_MALFORMED},
};

Test(frame, refuses_lengths_that_no_message_has) {
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint32_t n = lengths[i].length;
        uint8_t bytes[5] = {'D', (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
        struct frame f;
        cr_assert_eq(frame_header(bytes, 5, &f), lengths[i].result, "length %u", n);
        if (lengths[i].result == FRAME_OK)
            cr_assert_eq(f.size, (size_t)n + 1);
    }
}

static enum frame_result startup_of(struct slice s, size_t cut, size_t max, struct frame *f) {
    uint8_t *copy = exact_copy(s.data, cut);
    enum frame_result r = frame_startup(copy, cut, max, f);
    free(copy);
    return r;
}

Test(frame, reads_startup_packets_up_to_their_limit) {
    struct slice s = BYTES("\0\0\0\x0c\0\3\0\0"
                           "user");
    struct frame f;
    for (size_t cut = 0; cut < s.len; cut++)
        cr_assert_eq(startup_of(s, cut, 12, &f), FRAME_INCOMPLETE, "cut at %zu", cut);
    cr_assert_eq(startup_of(s, s.len, 12, &f), FRAME_OK);
    cr_assert_eq(f.type, 0);
    cr_assert_eq(f.size, 12);
    cr_assert_eq(f.body_len, 8);
    cr_assert_eq(startup_of(s, 4, 11, &f), FRAME_MALFORMED);
    cr_assert_eq(frame_startup(BYTES("\0\0\0\7").data, 4, 100, &f), FRAME_MALFORMED);
    cr_assert_eq(frame_startup(BYTES("\xff\xff\xff\xff").data, 4, 100, &f), FRAME_MALFORMED);
}
