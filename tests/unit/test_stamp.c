// SPDX-License-Identifier: PostgreSQL
//
// Stamps: what the catalogue is asked, what the check behind a folded statement is made of, and what its
// answer says. Answers are made up, value by value.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/trust/stamp.h"
#include "protocol/write.h"
#include "tests/unit/bytes.h"
#include "tests/unit/replies.h"

struct fixture {
    struct shape_cache shapes;
    struct shape *shape;
    struct stamp *stamp;
    struct buf row;
};

static void setup(struct fixture *f, const char *text) {
    enum reason why;
    *f = (struct fixture){.row = buf_make(10000)};
    shape_cache_init(&f->shapes, 10, 10000);
    f->shape = shape_extended(&f->shapes, text_slice(text), 0, NULL, &why);
    cr_assert_not_null(f->shape);
}

static void teardown(struct fixture *f) {
    stamp_unref(f->stamp);
    buf_free(&f->row);
    shape_cache_finish(&f->shapes);
}

static struct slice row(struct fixture *f, const char *const *values, unsigned n) {
    buf_reset(&f->row);
    put_text_row(&f->row, values, n);
    return (struct slice){f->row.data + 5, f->row.len - 5};
}

// An answer to the question, with what stands first in search_path, and the index that tells rows apart.
static struct slice sorted_row(struct fixture *f, const char *const *values, const char *own_first,
                               const char *sorted) {
    const char *all[8];
    memcpy(all, values, 6 * sizeof *all);
    all[6] = own_first;
    all[7] = sorted;
    return row(f, all, 8);
}

static struct slice answer_row(struct fixture *f, const char *const *values, const char *own_first) {
    return sorted_row(f, values, own_first, NULL);
}

static const char *text_of(const struct buf *b) {
    static char text[20000];
    snprintf(text, sizeof text, "%.*s", (int)b->len, (const char *)b->data);
    return text;
}

#define LOOKUP "SELECT a FROM t WHERE id = $1"

Test(stamp, the_question_names_what_the_statement_names) {
    struct fixture f;
    struct buf out = buf_make(100000);
    setup(
        &f,
        "SELECT lower(x.a), count(*) FROM \"S\".\"T\" AS x JOIN u ON u.id = x.u WHERE x.id = $1 GROUP BY 1");
    cr_assert(stamp_question(f.shape, 1, 1, &out));
    static const char *const wanted[] = {
        "'\"S\".\"T\"'", "to_regclass('\"u\"')", "'lower'", "'count'", "'id'", "'='"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        cr_assert(strstr(text_of(&out), wanted[i]), "%s", wanted[i]);
    buf_free(&out);
    teardown(&f);
}

Test(stamp, a_name_that_cannot_be_quoted_is_not_asked_for) {
    struct fixture f;
    struct buf out = buf_make(100000);
    setup(&f, "SELECT a FROM \"a\\b\" WHERE id = $1");
    cr_assert_not(stamp_question(f.shape, 1, 1, &out));
    buf_free(&out);
    teardown(&f);
}

static const struct {
    const char *text;
    const char *answer[6]; // user, relations, attributes, functions, operators
    bool plain;
    const char *expected[8];
    const char *check; // a part of it
} stamps[] = {
    {LOOKUP,
     {"10", "16384:7", "16384:1:6", NULL, "0", "0::"},
     true,
     {"10", "16384", "7", "6"},
     "WHERE c.oid OPERATOR(pg_catalog.=) 16384"},
    {LOOKUP,
     {"10", "16384:7", "16384:1:6", NULL, "3", "0::"},
     false,
     {"10", "16384", "7", "6", "3", "0::"},
     "pg_operator"},
    {"SELECT a FROM t, u WHERE t.id = $1 AND u.t = t.id",
     {"10", "16384:7,16390:9", "16384:1:6,16390:1:9", NULL, "0", "0::"},
     true,
     {"10", "16384", "16390", "2", "2"},
     "r.oid OPERATOR(pg_catalog.=) ANY ('{16384,16390}'::pg_catalog.oid[]) AND r.xmin OPERATOR(pg_catalog.=) "
     "ANY ('{7,9}'::pg_catalog.xid[])"},
    {"SELECT a.x FROM t a, t b WHERE a.id = $1 AND b.y = a.y",
     {"10", "16384:7,16384:7", "16384:1:6", NULL, "0", "0::"},
     true,
     {"10", "16384", "16384", "7", "6"},
     "c.xmin"},
    {"SELECT lower(a) FROM t WHERE id = $1",
     {"10", "16384:7", NULL, "20000:5,20001:6", "0", "0::"},
     true,
     {"10", "16384", "7", "2", "2"},
     "f.oid OPERATOR(pg_catalog.=) ANY ('{20000,20001}'::pg_catalog.oid[])"},
    {"SELECT lower(a) FROM t WHERE id = $1",
     {"10", "16384:7", NULL, NULL, "0", "0::"},
     true,
     {"10", "16384", "7", "0"},
     "'lower'"},
    {"WITH w AS (SELECT a FROM t WHERE id = $1) SELECT a FROM w",
     {"10", ":,16384:7", NULL, NULL, "0", "0::"},
     true,
     {"10", NULL, "16384", "7"},
     "to_regclass"},
};

Test(stamp, the_check_expects_what_was_found) {
    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        struct fixture f;
        struct slice value;
        struct stamp_news news;
        setup(&f, stamps[i].text);
        bool swapped = f.shape->parsed->n_relations == 2 &&
                       strcmp(f.shape->parsed->relations[0].name, "t") == 0 && stamps[i].answer[1][0] == ':';
        const char *answer[6];
        memcpy(answer, stamps[i].answer, sizeof answer);
        if (swapped) // the walk may come to the table first
            answer[1] = "16384:7,:";
        cr_assert_not_null(
            f.stamp = stamp_create(f.shape, answer_row(&f, answer, "t"), stamps[i].plain, false, NULL), "%zu",
            i);
        cr_assert(strstr(text_of(&f.stamp->check), stamps[i].check), "%zu: %s", i, text_of(&f.stamp->check));
        unsigned n = get_u16(f.stamp->expected.data);
        for (unsigned at = 0; at < n && !swapped; at++) {
            const char *wanted = stamps[i].expected[at];
            cr_assert(msg_row_column(f.stamp->expected.data, f.stamp->expected.len, at, &value));
            cr_assert_eq(!value.data, !wanted, "%zu, column %u", i, at);
            cr_assert(!wanted || slice_is(value, wanted, strlen(wanted)), "%zu, column %u", i, at);
        }
        buf_reset(&f.row); // that row fits
        buf_put_u16(&f.row, (uint16_t)(n + 2));
        buf_put(&f.row, f.stamp->expected.data + 2, f.stamp->expected.len - 2);
        buf_put_u32(&f.row, 16);
        buf_put_text(&f.row, "00000000000000ff");
        buf_put_u32(&f.row, 2);
        buf_put_text(&f.row, "77");
        cr_assert_eq(stamp_judge(f.stamp, (struct slice){f.row.data, f.row.len}, &news), STAMP_SAME, "%zu",
                     i);
        cr_assert(news.loaded == 255 && news.process == 77 && !news.facts.data);
        teardown(&f);
    }
}

static const char *const no_stamps[][6] = {
    {NULL, "16384:7", NULL, NULL, "0", "0::"},
    {"10", NULL, NULL, NULL, "0", "0::"},
    {"10", "", NULL, NULL, "0", "0::"},
    {"10", "16384:7,16385:7", NULL, NULL, "0", "0::"},
    {"10", ":", NULL, NULL, "0", "0::"},
    {"10", "x:7", NULL, NULL, "0", "0::"},
    {"10", "16384;7", NULL, NULL, "0", "0::"},
    {"10", "99999999999:7", NULL, NULL, "0", "0::"},
    {"10", "16384:7", "16384:1", NULL, "x", "0::"},
    {"10", "16384:7", "a:b:c", NULL, "0", "0::"},
    {"10", "16384:7", NULL, "1:2:3", "0", "0::"},
    {"10", "16384:7", NULL, NULL, NULL, "0::"},
};

#define SINCE "SELECT a FROM t WHERE id = $1 AND b > $2 ORDER BY c, t.d"

Test(stamp, the_index_that_tells_rows_apart_is_asked_for_where_it_matters) {
    struct fixture f;
    struct buf out = buf_make(100000);
    setup(&f, SINCE);
    cr_assert(stamp_question(f.shape, 1, 1, &out));
    cr_assert_null(strstr(text_of(&out), "pg_index"), "the value beside the key stays the same");
    buf_reset(&out);
    cr_assert(stamp_question(f.shape, 3, 1, &out));
    static const char *const wanted[] = {"pg_index", "'c','d'", "ANY (ARRAY['id']"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        cr_assert(strstr(text_of(&out), wanted[i]), "%s: %s", wanted[i], text_of(&out));
    buf_reset(&out);
    cr_assert(stamp_question(f.shape, 3, 0, &out));
    cr_assert_null(strstr(text_of(&out), "ANY (ARRAY['id']"),
                   "it is not known to be compared as the index does");
    buf_free(&out);
    teardown(&f);
}

Test(stamp, the_index_must_be_there_still) {
    static const char *const answer[6] = {"10", "16384:7", "16384:1:6", NULL, "0", "0::"};
    struct fixture f;
    setup(&f, SINCE);
    cr_assert_not_null(f.stamp = stamp_create(f.shape, answer_row(&f, answer, "t"), false, true, NULL));
    cr_assert_not(f.stamp->sorted);
    stamp_unref(f.stamp);
    cr_assert_not_null(
        f.stamp = stamp_create(f.shape, sorted_row(&f, answer, "t", "16400:733"), false, true, NULL));
    cr_assert(f.stamp->sorted);
    cr_assert(strstr(text_of(&f.stamp->check), "i.indexrelid OPERATOR(pg_catalog.=) 16400"), "%s",
              text_of(&f.stamp->check));
    struct slice value;
    unsigned n = get_u16(f.stamp->expected.data);
    cr_assert(msg_row_column(f.stamp->expected.data, f.stamp->expected.len, n - 1, &value));
    cr_assert(slice_is(value, "733", 3));
    teardown(&f);
}

Test(stamp, without_an_answer_there_is_no_stamp) {
    struct fixture f;
    setup(&f, LOOKUP);
    for (size_t i = 0; i < sizeof no_stamps / sizeof *no_stamps; i++) {
        cr_assert_null(stamp_create(f.shape, answer_row(&f, no_stamps[i], "t"), false, true, NULL), "%zu", i);
    }
    cr_assert_null(stamp_create(f.shape, BYTES(""), false, true, NULL));
    cr_assert_null(stamp_create(f.shape, row(&f, stamps[0].answer, 4), false, true, NULL));
    teardown(&f);
}

// Every cut and every changed byte of the right row is another one.
Test(stamp, anything_else_is_a_change) {
    struct fixture f;
    struct stamp_news news;
    uint8_t bytes[100];
    setup(&f, LOOKUP);
    cr_assert_not_null(f.stamp =
                           stamp_create(f.shape, answer_row(&f, stamps[0].answer, "t"), true, false, NULL));
    size_t len = f.stamp->expected.len;
    memcpy(bytes, f.stamp->expected.data, len);
    bytes[1] += 2;
    memcpy(bytes + len,
           "\0\0\0\x10"
           "0000000000000005"
           "\0\0\0\2"
           "77",
           26);
    for (size_t cut = 0; cut < len + 26; cut++)
        cr_assert_neq(stamp_judge(f.stamp, (struct slice){bytes, cut}, &news), STAMP_SAME, "cut at %zu", cut);
    for (size_t at = 0; at < len; at++) {
        bytes[at] ^= 4; // one that makes no other number of columns right
        cr_assert_neq(stamp_judge(f.stamp, (struct slice){bytes, len + 26}, &news), STAMP_SAME, "byte %zu",
                      at);
        bytes[at] ^= 4;
    }
    cr_assert_eq(stamp_judge(f.stamp, (struct slice){bytes, len + 26}, &news), STAMP_SAME);
    teardown(&f);
}

static const struct {
    const char *text;
    bool plain, alone;
    const char *condition; // a part of it; NULL: there is none
} seals[] = {
    {LOOKUP, true, true, "pg_catalog.to_regclass('\"t\"')::pg_catalog.oid OPERATOR(pg_catalog.=) '16384'"},
    {LOOKUP, true, true, "pg_get_userbyid('10'::pg_catalog.oid) OPERATOR(pg_catalog.=) CURRENT_USER"},
    {LOOKUP, true, false, NULL},
    {LOOKUP, false, true, NULL},
    {"SELECT lower(a) FROM t WHERE id = $1", true, true, NULL},
};

Test(stamp, a_plain_statement_of_one_table_can_be_sealed) {
    for (size_t i = 0; i < sizeof seals / sizeof *seals; i++) {
        struct fixture f;
        setup(&f, seals[i].text);
        f.stamp = stamp_create(f.shape, answer_row(&f, stamps[0].answer, "t"), seals[i].plain, seals[i].alone,
                               NULL);
        cr_assert_not_null(f.stamp, "%zu", i);
        bool asks = strstr(text_of(&f.stamp->check), "transaction_timestamp") != NULL;
        cr_assert_eq(f.stamp->sealed.len > 0, seals[i].condition != NULL, "%zu", i);
        cr_assert_eq(asks, seals[i].condition != NULL, "%zu", i);
        cr_assert(!seals[i].condition || strstr(text_of(&f.stamp->sealed), seals[i].condition), "%zu: %s", i,
                  text_of(&f.stamp->sealed));
        teardown(&f);
    }
}

// A user's operator may stand in front of the server's.
Test(stamp, where_pg_catalog_is_not_first_operators_are_checked) {
    struct fixture f;
    for (int i = 0; i < 2; i++) {
        setup(&f, LOOKUP);
        f.stamp = stamp_create(f.shape, answer_row(&f, stamps[0].answer, i ? "f" : NULL), true, true, NULL);
        cr_assert_not_null(f.stamp);
        cr_assert_eq(f.stamp->sealed.len, 0);
        cr_assert(strstr(text_of(&f.stamp->check), "pg_operator"));
        teardown(&f);
    }
}

Test(stamp, several_tables_are_not_sealed) {
    static const char *const two[6] = {"10", "16384:7,16390:9", "16384:1:6", NULL, "0", "0::"};
    struct fixture f;
    setup(&f, "SELECT a FROM t, u WHERE t.id = $1 AND u.t = t.id");
    cr_assert_not_null(f.stamp = stamp_create(f.shape, answer_row(&f, two, "t"), true, true, NULL));
    cr_assert_eq(f.stamp->sealed.len, 0);
    teardown(&f);
}

// The time of the check's transaction is the third of the news; the facts' stamp may come behind it.
Test(stamp, a_check_tells_the_time_where_there_may_be_a_seal) {
    static const char *const got[] = {"10", "16384", "7", "6", "0000000000000005", "77", "00000000000000ff",
                                      "1,2"};
    struct fixture f;
    struct stamp_news news;
    setup(&f, LOOKUP);
    cr_assert_not_null(f.stamp =
                           stamp_create(f.shape, answer_row(&f, stamps[0].answer, "t"), true, true, NULL));
    cr_assert_eq(stamp_judge(f.stamp, row(&f, got, 6), &news), STAMP_CHANGED);
    cr_assert_eq(stamp_judge(f.stamp, row(&f, got, 7), &news), STAMP_SAME);
    cr_assert(news.loaded == 5 && news.process == 77 && news.now == 255 && !news.facts.data);
    cr_assert_eq(stamp_judge(f.stamp, row(&f, got, 8), &news), STAMP_SAME);
    cr_assert(slice_is(news.facts, "1,2", 3));
    teardown(&f);
}
