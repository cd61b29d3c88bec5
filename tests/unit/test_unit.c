// SPDX-License-Identifier: PostgreSQL
//
// Units: the framings in which a lookup may come, each cut at every byte, and those that are something else.
#include <criterion/criterion.h>

#include "batching/unit.h"
#include "tests/unit/bytes.h"

#define MAX 1000

// Messages, one letter each: Q, P arse, B ind, D escribe portal, E xecute, S ync; small letters are
// variations.
static void put_message(struct buf *b, char what) {
    size_t at;
    switch (what) {
    case 'Q':
        write_query(b, "SELECT 1", 8);
        return;
    case 'P':
    case 'p': // named
        write_parse(b, text_slice(what == 'P' ? "" : "s"), text_slice("SELECT 1"), NULL, 0);
        return;
    case 'B':
    case 'b': // of a named statement
    case 'c': // to a named portal
        at = write_begin(b, F_BIND);
        buf_put_str(b, what == 'c' ? "p" : "");
        buf_put_str(b, what == 'b' ? "s" : "");
        buf_put(b, "\0\0\0\0\0\0", 6);
        write_end(b, at);
        return;
    case 'D':
    case 'd': // of the statement
        write_describe(b, what == 'D' ? 'P' : 'S', text_slice(""));
        return;
    case 'E':
        write_execute_all(b, text_slice(""));
        return;
    case 'e': // with a limit
        write_execute_all(b, text_slice(""));
        b->data[b->len - 1] = 1;
        return;
    case 'H':
        write_empty(b, F_FLUSH);
        return;
    case 'x': // Sync with a body
        at = write_begin(b, F_SYNC);
        buf_put_u8(b, 0);
        write_end(b, at);
        return;
    default:
        write_empty(b, what);
        return;
    }
}

static struct buf messages(const char *letters) {
    struct buf b = buf_make(10000);
    for (; *letters; letters++)
        put_message(&b, *letters);
    return b;
}

static enum unit_result read_cut(const struct buf *b, size_t cut, size_t max, struct unit *u) {
    uint8_t *copy = exact_copy(b->data, cut);
    enum unit_result r = unit_read(copy, cut, max, u);
    free(copy);
    return r;
}

static const struct {
    const char *letters;
    enum unit_result result;
    enum reason why; // of UNIT_OTHER
} table[] = {
    {"Q", UNIT_SIMPLE, 0},
    {"PBDES", UNIT_EXTENDED, 0},
    {"PBES", UNIT_EXTENDED, 0},
    {"BDES", UNIT_EXTENDED, 0},
    {"BES", UNIT_EXTENDED, 0},
    {"bES", UNIT_EXTENDED, 0},
    {"bDES", UNIT_EXTENDED, 0},
    {"pBES", UNIT_OTHER, REASON_FRAMING},
    {"PbES", UNIT_OTHER, REASON_FRAMING},
    {"PcES", UNIT_OTHER, REASON_FRAMING},
    {"PdS", UNIT_OTHER, REASON_FRAMING},
    {"PdBES", UNIT_OTHER, REASON_FRAMING},
    {"PBdES", UNIT_OTHER, REASON_FRAMING},
    {"PBeS", UNIT_OTHER, REASON_ROW_LIMIT},
    {"PBEES", UNIT_OTHER, REASON_FRAMING},
    {"PBEH", UNIT_OTHER, REASON_FRAMING},
    {"PBEx", UNIT_OTHER, REASON_FRAMING},
    {"PPBES", UNIT_OTHER, REASON_FRAMING},
    {"PS", UNIT_OTHER, REASON_FRAMING},
    {"BS", UNIT_OTHER, REASON_FRAMING},
    {"S", UNIT_OTHER, REASON_FRAMING},
    {"X", UNIT_OTHER, REASON_FRAMING},
    {"", UNIT_PARTIAL, 0},
    {"P", UNIT_PARTIAL, 0},
    {"PB", UNIT_PARTIAL, 0},
    {"PBD", UNIT_PARTIAL, 0},
    {"PBDE", UNIT_PARTIAL, 0},
};

Test(unit, framings_are_told_apart) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct unit u;
        struct buf b = messages(table[i].letters);
        cr_assert_eq(read_cut(&b, b.len, MAX, &u), table[i].result, "%s", table[i].letters);
        if (table[i].result == UNIT_OTHER)
            cr_assert_eq(u.why, table[i].why, "%s", table[i].letters);
        buf_free(&b);
    }
}

Test(unit, every_cut_is_partial_and_what_follows_is_left) {
    for (size_t i = 0; i < 7; i++) {
        struct unit u;
        struct buf b = messages(table[i].letters);
        size_t size = b.len;
        for (size_t cut = 0; cut < size; cut++)
            cr_assert_eq(read_cut(&b, cut, MAX, &u), UNIT_PARTIAL, "%s cut at %zu", table[i].letters, cut);
        put_message(&b, 'Q');
        cr_assert_eq(read_cut(&b, b.len, MAX, &u), table[i].result);
        cr_assert_eq(u.size, size, "%s", table[i].letters);
        buf_free(&b);
    }
}

Test(unit, tells_what_it_holds) {
    struct unit u;
    struct buf b = messages("PBDES");
    cr_assert_eq(unit_read(b.data, b.len, MAX, &u), UNIT_EXTENDED);
    cr_assert(u.has_parse && u.has_describe);
    cr_assert(slice_is(u.parse.text, "SELECT 1", 8));
    buf_free(&b);
    b = messages("BES");
    cr_assert_eq(unit_read(b.data, b.len, MAX, &u), UNIT_EXTENDED);
    cr_assert_not(u.has_parse || u.has_describe);
    buf_free(&b);
}

// Neither waits for the rest of a unit that may not be one.
Test(unit, too_long_a_unit_is_forwarded_at_once) {
    for (size_t i = 0; i < 7; i++) {
        struct unit u;
        struct buf b = messages(table[i].letters);
        cr_assert_eq(read_cut(&b, b.len, b.len, &u), table[i].result, "%s", table[i].letters);
        cr_assert_eq(read_cut(&b, b.len, b.len - 1, &u), UNIT_OTHER, "%s", table[i].letters);
        buf_free(&b);
    }
    struct unit u;
    cr_assert_eq(unit_read(BYTES("Q\0\1\0\0").data, 5, MAX, &u), UNIT_OTHER);
    cr_assert_eq(u.why, REASON_TEXT_TOO_LONG);
    cr_assert_eq(unit_read(BYTES("P\0\1\0\0").data, 5, MAX, &u), UNIT_OTHER);
    cr_assert_eq(unit_read(BYTES("Q\0\0\0\3").data, 5, MAX, &u), UNIT_OTHER, "a length that no message has");
    cr_assert_eq(unit_read(BYTES("B\xff\xff\xff\xff").data, 5, MAX, &u), UNIT_OTHER);
}
