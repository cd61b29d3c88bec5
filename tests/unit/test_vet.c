// SPDX-License-Identifier: PostgreSQL
//
// The judgement over what the catalogue says of a statement, one fact changed at a time; the functions that
// are plain; and that the queries quote names and qualify operators.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/trust/vet.h"
#include "batching/statement/functions.h"
#include "batching/statement/parse.h"
#include "batching/statement/parsed.h"
#include "batching/trust/vet_query.h"
#include "batching/trust/write_set.h"
#include "batching/trust/writes.h"
#include "tests/unit/bytes.h"
#include "tests/unit/own_sql.h"
#include "tests/unit/replies.h"

#define N_FACTS  12
#define N_VALUES (N_FACTS + 5)

// Facts that none speaks against; then the types that may be keys, the key column's type, whether it is
// unique, the columns that supply keys, and the tables whose writes count.
static void good_row(const char **values) {
    for (int i = 0; i < N_FACTS; i++)
        values[i] = "f";
    values[N_FACTS] = NULL;
    values[N_FACTS + 1] = "23";
    values[N_FACTS + 2] = "t";
    values[N_FACTS + 3] = values[N_FACTS + 4] = NULL;
}

static struct vet_result judged(const char *const *values) {
    struct buf b = buf_make(1000);
    struct vet_result r = {0};
    put_text_row(&b, values, N_VALUES);
    vet_row((struct slice){b.data + 5, b.len - 5}, &r);
    buf_free(&b);
    return r;
}

Test(vet, nothing_speaks_against_it) {
    const char *values[N_VALUES];
    good_row(values);
    struct vet_result r = judged(values);
    cr_assert(r.answered && r.ok && !r.refusal && r.key_unique && r.key_type == 23 && r.n_types == 0);
    values[N_FACTS + 1] = NULL;
    values[N_FACTS + 2] = "f";
    r = judged(values);
    cr_assert(r.ok && r.key_type == 0 && !r.key_unique);
    values[N_FACTS + 1] = "99999999999";
    cr_assert_eq(judged(values).key_type, 0);
}

Test(vet, each_fact_refuses_in_its_own_words) {
    static const char *const bad[] = {"t", NULL, "", "ff"};
    const char *values[N_VALUES], *before = NULL;
    for (int i = 0; i < N_FACTS; i++) {
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            good_row(values);
            values[i] = bad[k];
            struct vet_result r = judged(values);
            cr_assert(r.answered && !r.ok && r.refusal, "fact %d", i);
            cr_assert(k || !before || strcmp(before, r.refusal) != 0, "fact %d: %s", i, r.refusal);
            before = r.refusal;
        }
    }
}

// ---- level own

#define N_WIDE (N_FACTS + 15)

// The answer to a wide question: behind the facts three that speak against level own, and what is below.
static struct vet_result judged_wide(const char **values, int fact, const char *says) {
    struct buf b = buf_make(1000);
    struct vet_result r = {0};
    good_row(values);
    values[N_FACTS + 5] = "t";
    for (int i = N_FACTS + 6; i < N_FACTS + 9; i++)
        values[i] = "f";
    values[N_FACTS + 9] = "16400:7,16401:8";
    values[N_FACTS + 10] = "16402:8";
    values[N_FACTS + 11] = NULL;
    values[N_FACTS + 12] = "16403:9";
    values[N_FACTS + 13] = "2:16404";
    values[N_FACTS + 14] = "t";
    if (fact >= 0)
        values[fact] = says;
    put_text_row(&b, values, N_WIDE);
    vet_row((struct slice){b.data + 5, b.len - 5}, &r);
    buf_free(&b);
    return r;
}

// A view, a temporary table, row-level security and what functions depend on matter to others alone.
Test(vet, only_some_facts_leave_the_level_of_its_own_session) {
    const char *values[N_WIDE];
    for (int i = -1; i < N_FACTS; i++) {
        bool own = i < 0 || i == 1 || i == 2 || i == 3 || i == 8;
        struct vet_result r = judged_wide(values, i, "t");
        cr_assert(r.answered && r.wide && r.ok == (i < 0) && r.may_be_own == own && r.own == own, "fact %d",
                  i);
        cr_assert(!own ||
                  (slice_is(r.below.list[BELOW_RELATIONS], "16400:7,16401:8", 15) &&
                   slice_is(r.below.list[BELOW_RULES], "16402:8", 7) && !r.below.list[BELOW_POLICIES].len &&
                   slice_is(r.below.list[BELOW_FUNCTIONS], "16403:9", 7) &&
                   slice_is(r.below.list[BELOW_CHECKS], "2:16404", 7)));
        vet_result_free(&r);
        r = judged_wide(values, i, NULL);
        cr_assert_eq(r.own, i < 0, "fact %d is not known", i);
        vet_result_free(&r);
    }
}

// Only views may keep it from being shared, and the catalogue must say so.
Test(vet, what_means_the_same_in_the_next_transaction) {
    static const char *const bad[] = {"f", NULL, ""};
    const char *values[N_WIDE];
    for (int i = -1; i < N_FACTS; i++) {
        struct vet_result r = judged_wide(values, i, "t");
        cr_assert_eq(r.steady, i < 0 || i == 1, "fact %d", i);
        vet_result_free(&r);
    }
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct vet_result r = judged_wide(values, N_FACTS + 14, bad[k]);
        cr_assert(r.own && !r.steady);
        vet_result_free(&r);
    }
}

Test(vet, what_is_below_refuses_in_its_own_words) {
    static const char *const bad[] = {"t", NULL, "", "ff"};
    const char *values[N_WIDE], *before = NULL;
    for (int i = N_FACTS + 6; i < N_FACTS + 9; i++) {
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            struct vet_result r = judged_wide(values, i, bad[k]);
            cr_assert(r.ok && !r.own && r.own_refusal, "fact %d", i);
            cr_assert(k || !before || strcmp(before, r.own_refusal) != 0, "fact %d", i);
            before = r.own_refusal;
            vet_result_free(&r);
        }
    }
}

Test(vet, a_narrow_question_allows_nothing_of_its_own) {
    const char *values[N_VALUES];
    good_row(values);
    values[1] = "t";
    struct vet_result r = judged(values);
    cr_assert(!r.ok && r.may_be_own && !r.wide && !r.own);
    values[0] = "t";
    r = judged(values);
    cr_assert(!r.may_be_own && !r.own);
}

static const struct {
    const char *list;
    unsigned n;
} lists[] = {
    {"", 0},
    {"16400:16399", 1},
    {"16400:16399,16500:16505", 2},
    {"16400", 0},
    {"16400:", 1},
    {"x:y", 0},
    {"16400:16399,", 1},
    {"16400:16399,16500", 1},
    {"1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16,17:18,19:20,21:22,23:24,25:26,27:28,29:30,31:32,33:34",
     VET_MAX_TYPES},
};

Test(vet, types_of_users_are_told) {
    const char *values[N_VALUES];
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        good_row(values);
        values[N_FACTS] = lists[i].list;
        cr_assert_eq(judged(values).n_types, lists[i].n, "%s", lists[i].list);
    }
    values[N_FACTS] = "16400:16399,16500:16505";
    struct vet_result r = judged(values);
    cr_assert_eq(vet_array_type(&r, 16500), 16505);
    cr_assert_eq(vet_element_type(&r, 16399), 16400);
    cr_assert_eq(vet_array_type(&r, 25), 1009, "the server's own need not be told");
    cr_assert_eq(vet_element_type(&r, 1009), 25);
    cr_assert_eq(vet_array_type(&r, 17000), 0);
}

Test(vet, a_row_cut_short_allows_nothing) {
    struct buf b = buf_make(1000);
    const char *good[N_VALUES];
    good_row(good);
    put_text_row(&b, good, N_FACTS);
    for (size_t len = 0; len < b.len - 5; len++) {
        uint8_t *copy = exact_copy(b.data + 5, len);
        struct vet_result r = {0};
        vet_row((struct slice){copy, len}, &r);
        cr_assert_not(r.ok, "cut at %zu", len);
        free(copy);
    }
    buf_free(&b);
}

Test(vet, plain_reads_are_told_by_one_t) {
    cr_assert(vet_read_row(BYTES("\0\1\0\0\0\1t")));
    cr_assert_not(vet_read_row(BYTES("\0\1\0\0\0\1"
                                     "f")));
    cr_assert_not(vet_read_row(BYTES("\0\1\xff\xff\xff\xff")));
    cr_assert(vet_read_is_bare(BYTES("\0\2\0\0\0\1t\0\0\0\0")));
    cr_assert(vet_read_is_bare(BYTES("\0\3\0\0\0\1t\0\0\0\0\0\0\0\1t")));
    cr_assert_not(vet_read_is_bare(BYTES("\0\3\0\0\0\1t\0\0\0\0\0\0\0\1f")));
    cr_assert_not(vet_read_is_bare(BYTES("\0\3\0\0\0\1f\0\0\0\0\0\0\0\1t")));
    cr_assert_not(vet_read_row(BYTES("\0\1\0\0\0\2tt")));
    cr_assert_not(vet_read_row(BYTES("\0\0")));
    cr_assert_not(vet_read_row(BYTES("")));
}

static const struct {
    const char *text;
    bool plain;
} functions[] = {
    {"SELECT count(*) FROM t", true},
    {"SELECT abs(a), version(), unnest(b), json_build_array(1), row_to_json(t), trim(c) FROM t", true},
    {"SELECT pg_catalog.lower(a) FROM t", true},
    {"SELECT public.lower(a) FROM t", false},
    {"SELECT nextval('s')", false},
    {"SELECT set_config(a, b, false) FROM t", false},
    {"SELECT pg_advisory_lock(1)", false},
    {"SELECT lo_import('x')", false},
    {"SELECT random()", false},
    {"SELECT upper(f(a)) FROM t", false},
    {"SELECT a FROM t", true},
};

Test(vet, functions_are_plain_when_they_are_on_the_list) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        struct parsed *p = parse_statement(functions[i].text, 1000, 100);
        cr_assert_eq(functions_are_plain(p), functions[i].plain, "%s", functions[i].text);
        parsed_destroy(p);
    }
}

static bool query_of(const char *text, bool read, bool wide, struct buf *out) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 10, 1000);
    struct shape *s = shape_extended(&c, text_slice(text), 0, NULL, &why);
    buf_reset(out);
    bool ok = s && (read ? vet_read_query(s, wide, out) : vet_query(s, 0, wide, out));
    buf_put_u8(out, 0);
    shape_cache_finish(&c);
    return ok;
}

static const struct {
    const char *text, *holds;
} quoted[] = {
    {"SELECT a FROM t WHERE id = $1", "ARRAY['\"t\"']"},
    {"SELECT a FROM \"T\" WHERE id = $1", "ARRAY['\"T\"']"},
    {"SELECT a FROM s.t WHERE id = $1", "ARRAY['\"s\".\"t\"']"},
    {"SELECT a FROM \"t'\"\"x\" WHERE id = $1", "ARRAY['\"t''\"\"x\"']"},
    {"SELECT a FROM t WHERE \"i'd\" = $1", "b.attname OPERATOR(pg_catalog.=) 'i''d'"},
    {"SELECT a FROM t WHERE id = $1 AND b < 3", "'<'"},
};

Test(vet, names_are_quoted) {
    struct buf out = buf_make(1 << 20);
    for (size_t i = 0; i < sizeof quoted / sizeof *quoted; i++) {
        for (int way = 0; way < 4; way++) {
            cr_assert(query_of(quoted[i].text, way & 1, way & 2, &out), "%s", quoted[i].text);
            bool holds = strstr((char *)out.data, quoted[i].holds);
            cr_assert(holds || way & 1, "%s: %s", quoted[i].text, (char *)out.data);
            const char *bare = unqualified_operator((char *)out.data);
            cr_assert_null(bare, "an operator without its schema: %.60s", bare ? bare : "");
        }
    }
    // How a backslash in a string is read depends on a setting.
    cr_assert_not(query_of("SELECT a FROM \"t\\x\" WHERE id = $1", false, false, &out));
    cr_assert_not(query_of("SELECT a FROM \"t\\x\" WHERE id = $1", true, true, &out));
    cr_assert(query_of("SELECT lower(a) FROM \"t'\" JOIN u ON true", true, false, &out));
    cr_assert_not_null(strstr((char *)out.data, "'\"t''\"','\"u\"'"));
    cr_assert_not_null(strstr((char *)out.data, "'lower'"));
    buf_free(&out);
}

// ---- links and writers

static struct vet_result with_links(const char *links) {
    const char *values[N_VALUES];
    good_row(values);
    values[N_FACTS + 3] = links;
    return judged(values);
}

Test(vet, links_are_read_in_their_order) {
    struct vet_result r =
        with_links("0:16400:1:0,7:4294967295:32767:2,0:16410:2:1\npublic.a.id\n\npublic.b.\"x\"");
    cr_assert(r.ok && r.n_links == 3);
    cr_assert(r.links[0].key == 0 && r.links[0].table == 16400 && r.links[0].attribute == 1);
    cr_assert(r.links[1].key == 7 && r.links[1].table == UINT32_MAX && r.links[1].attribute == 32767);
    cr_assert(r.links[2].table == 16410 && r.links[2].attribute == 2);
    cr_assert(r.links[0].rank == LINK_OWN && r.links[1].rank == LINK_OTHER &&
              r.links[2].rank == LINK_REFERENCED);
    cr_assert_str_eq(r.names, "public.a.id\n\npublic.b.\"x\"");
    vet_names_forget(&r);
    cr_assert(!r.names);
    vet_result_free(&r);
    cr_assert(!r.links && !r.n_links && !r.ok);
}

Test(vet, links_that_make_no_sense_are_none) {
    static const char *const bad[] = {"",
                                      ",",
                                      ":",
                                      "0",
                                      "0:1",
                                      "8:1:1:0",
                                      "0:4294967296:1:0",
                                      "0:1:32768:0",
                                      "0:1:1",
                                      "0:1:1:3",
                                      "x:1:1",
                                      "0;1;1",
                                      "-1:1:1",
                                      "99999999999999999999999:1:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vet_result r = with_links(bad[i]);
        cr_assert(r.ok && !r.n_links, "%s", bad[i]);
        vet_result_free(&r);
    }
    struct vet_result r = with_links("0:1:2:0,0:1:x:0");
    cr_assert_eq(r.n_links, 1);
    vet_result_free(&r);
}

Test(vet, no_more_links_are_read_than_there_is_room_for) {
    struct buf b = buf_make(10000);
    for (int i = 0; i < VET_MAX_LINKS + 5; i++)
        buf_put_text(&b, i ? ",1:2:3:1" : "0:2:3:0");
    buf_put_u8(&b, 0);
    struct vet_result r = with_links((const char *)b.data);
    cr_assert(r.n_links == VET_MAX_LINKS && r.links[VET_MAX_LINKS - 1].key == 1);
    vet_result_free(&r);
    buf_free(&b);
}

static struct write_set writers(const char *text) {
    const char *values[N_VALUES];
    good_row(values);
    values[N_FACTS + 4] = text;
    struct vet_result r = judged(values);
    struct write_set set = write_set_copy(&r.writers);
    vet_result_free(&r);
    return set;
}

static bool has_writer(const struct write_set *set, const char *name) {
    struct database d = {0};
    database_note(&d, write_table(text_slice(name)));
    return database_has_changed(&d, 0, set);
}

Test(vet, writers_are_read_by_their_names) {
    struct write_set set = writers("3\nbooks\nOdd, \"one\"\n ");
    cr_assert(!set.all && set.n == 3 && has_writer(&set, "books") && has_writer(&set, "Odd, \"one\"") &&
              has_writer(&set, " ") && !has_writer(&set, "tags"));
    write_set_free(&set);
    set = writers("0\n");
    cr_assert(!set.all && set.n == 0 && !has_writer(&set, "books"));
    write_set_free(&set);
}

Test(vet, writers_that_are_not_said_are_all) {
    static const char *const bad[] = {NULL,      "",     "\n",     "x",     "1\n",
                                      "1\na\nb", "2\na", "513\na", "-1\na", "a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct write_set set = writers(bad[i]);
        cr_assert(set.all && !set.tables && has_writer(&set, "books"), "%s", bad[i]);
        write_set_free(&set);
    }
}

// Two rows are none of the server's that is asked; nothing is lost.
Test(vet, a_second_row_takes_the_place_of_the_first) {
    const char *values[N_VALUES];
    struct vetting *v = vetting_create();
    cr_assert(v->catalogue.writers.all);
    for (int i = 0; i < 2; i++) {
        struct buf b = buf_make(1000);
        struct frame f;
        good_row(values);
        values[N_FACTS + 3] = i ? NULL : "0:1:1:0";
        values[N_FACTS + 4] = i ? NULL : "1\nbooks";
        put_text_row(&b, values, N_VALUES);
        cr_assert_eq(frame_read(b.data, b.len, &f), FRAME_OK);
        vetting_feed(v, &f);
        cr_assert(v->catalogue.n_links == !i && v->catalogue.writers.all == i);
        buf_free(&b);
    }
    vetting_destroy(v);
}
