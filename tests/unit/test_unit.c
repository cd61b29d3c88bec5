// SPDX-License-Identifier: PostgreSQL
//
// Units: the framings in which a lookup may come, each cut at every byte, and those that are something else.
#include <criterion/criterion.h>

#include "batching/statement/unit.h"
#include "protocol/write.h"
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
    case 'x': // of the named one
        write_describe(b, what == 'D' ? 'P' : 'S', text_slice(what == 'x' ? "s" : ""));
        return;
    case 'K': // Close of the portal
    case 'k': // of the statement
    case 'z': // of the named one
        write_close(b, what == 'K' ? 'P' : 'S', text_slice(what == 'z' ? "s" : ""));
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
    case 'y': // Sync with a body
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
    {"pbES", UNIT_EXTENDED, 0},
    {"pbDES", UNIT_EXTENDED, 0},
    {"PBeS", UNIT_EXTENDED, 0},
    {"BEKS", UNIT_EXTENDED, 0},
    {"PBDEKKS", UNIT_EXTENDED, 0},
    {"BEHS", UNIT_EXTENDED, 0},
    {"PBHDHEHKHS", UNIT_EXTENDED, 0},
    {"BEBES", UNIT_PIPELINE, 0},
    {"PBDEPBDES", UNIT_PIPELINE, 0},
    {"PBEHbEKBDEHS", UNIT_PIPELINE, 0},
    {"PdS", UNIT_PREPARE, 0},
    {"PdH", UNIT_PREPARE, 0},
    {"PS", UNIT_PREPARE, 0},
    {"PH", UNIT_PREPARE, 0},
    {"pxS", UNIT_PREPARE, 0},
    {"zS", UNIT_CLOSE, 0},
    {"kS", UNIT_CLOSE, 0},
    {"S", UNIT_SYNC, 0},
    {"ES", UNIT_EXECUTE, 0},
    {"PBEkS", UNIT_OTHER, REASON_FRAMING},
    {"KS", UNIT_OTHER, REASON_FRAMING},
    {"zPBES", UNIT_OTHER, REASON_FRAMING},
    {"BEzS", UNIT_OTHER, REASON_FRAMING},
    {"BKES", UNIT_OTHER, REASON_FRAMING},
    {"pBES", UNIT_OTHER, REASON_FRAMING},
    {"PbES", UNIT_OTHER, REASON_FRAMING},
    {"PcES", UNIT_OTHER, REASON_FRAMING},
    {"PBEpbES", UNIT_OTHER, REASON_FRAMING},
    {"pbEBES", UNIT_OTHER, REASON_FRAMING},
    {"BEPdBES", UNIT_OTHER, REASON_FRAMING},
    {"BEPS", UNIT_OTHER, REASON_FRAMING},
    {"BEPHBES", UNIT_OTHER, REASON_FRAMING},
    {"BEBS", UNIT_OTHER, REASON_FRAMING},
    {"BEKKKKKS", UNIT_OTHER, REASON_FRAMING},
    {"pdS", UNIT_OTHER, REASON_FRAMING},
    {"PDS", UNIT_OTHER, REASON_FRAMING},
    {"PBdES", UNIT_OTHER, REASON_FRAMING},
    {"PBDDES", UNIT_OTHER, REASON_FRAMING},
    {"BEDS", UNIT_OTHER, REASON_FRAMING},
    {"HS", UNIT_OTHER, REASON_FRAMING},
    {"PBEES", UNIT_OTHER, REASON_FRAMING},
    {"PBEH", UNIT_OTHER, REASON_FRAMING},
    {"PBEy", UNIT_OTHER, REASON_FRAMING},
    {"y", UNIT_OTHER, REASON_FRAMING},
    {"zy", UNIT_OTHER, REASON_FRAMING},
    {"PPBES", UNIT_OTHER, REASON_FRAMING},
    {"BS", UNIT_OTHER, REASON_FRAMING},
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

#define WHOLE 25 // of the table: the framings that are known

// What stands behind a Flush may not have been sent yet, so a cut behind one is no reason to wait.
static bool ends_with_flush(const struct buf *b, size_t cut) {
    return cut >= 5 && memcmp(b->data + cut - 5, "H\0\0\0\4", 5) == 0;
}

Test(unit, every_cut_is_partial_and_what_follows_is_left) {
    for (size_t i = 0; i < WHOLE; i++) {
        struct unit u;
        struct buf b = messages(table[i].letters);
        size_t size = b.len;
        for (size_t cut = 0; cut < size; cut++)
            cr_assert_eq(read_cut(&b, cut, MAX, &u), ends_with_flush(&b, cut) ? UNIT_OTHER : UNIT_PARTIAL,
                         "%s cut at %zu", table[i].letters, cut);
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
    cr_assert_not(u.has_parse || u.has_describe || u.max_rows || u.n_closes);
    buf_free(&b);
    b = messages("PBeKKS");
    cr_assert_eq(unit_read(b.data, b.len, MAX, &u), UNIT_EXTENDED);
    cr_assert(u.max_rows == 1 && u.n_closes == 2 && u.bind_at > 0);
    buf_free(&b);
}

Test(unit, a_pipeline_has_parts) {
    struct unit u;
    struct buf b = messages("PBeHbDEKBES"), first = messages("PBeH"), second = messages("bDEK");
    size_t at = 0;
    cr_assert(unit_part(b.data, b.len, &at, &u));
    cr_assert(u.has_parse && u.max_rows == 1 && !u.n_closes && at == first.len && u.size == at && u.bind_at);
    cr_assert(unit_part(b.data, b.len, &at, &u));
    cr_assert(!u.has_parse && u.has_describe && u.n_closes == 1 && !u.max_rows && u.size == second.len);
    cr_assert(slice_is(u.bind.statement, "s", 1));
    cr_assert(unit_part(b.data, b.len, &at, &u));
    cr_assert(!u.has_describe && !u.bind.statement.len);
    cr_assert_not(unit_part(b.data, b.len, &at, &u));
    buf_free(&b);
    buf_free(&first);
    buf_free(&second);
}

Test(unit, a_statement_is_prepared_up_to_what_the_client_waits_for) {
    static const struct {
        const char *letters, *rest;
        bool describe, sync;
    } rows[] = {{"PdS", "BES", true, true},  {"PdH", "BES", true, false}, {"PS", "Q", false, true},
                {"PH", "BES", false, false}, {"Pd", "BES", true, false},  {"Pd", "Q", true, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct unit u;
        struct buf b = messages(rows[i].letters);
        size_t size = b.len;
        for (const char *c = rows[i].rest; *c; c++)
            put_message(&b, *c);
        cr_assert_eq(read_cut(&b, b.len, MAX, &u), UNIT_PREPARE, "%s", rows[i].letters);
        cr_assert(u.size == size && u.has_describe == rows[i].describe && u.sync == rows[i].sync);
        buf_free(&b);
    }
}

// Neither waits for the rest of a unit that may not be one.
Test(unit, too_long_a_unit_is_forwarded_at_once) {
    for (size_t i = 0; i < WHOLE; i++) {
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
