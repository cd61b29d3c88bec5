// SPDX-License-Identifier: PostgreSQL
//
// Vetting: the judgement over made-up rows, the functions that are plain, and the names that the queries
// quote.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/vet.h"
#include "tests/unit/bytes.h"

#define N_FACTS  12
#define N_VALUES (N_FACTS + 3)

// Facts that none speaks against; then the types that may be keys, the key column's type, and whether it is
// unique.
static void good_row(const char **values) {
    for (int i = 0; i < N_FACTS; i++)
        values[i] = "f";
    values[N_FACTS] = NULL;
    values[N_FACTS + 1] = "23";
    values[N_FACTS + 2] = "t";
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
        cr_assert_eq(vet_functions_plain(p), functions[i].plain, "%s", functions[i].text);
        parsed_destroy(p);
    }
}

static bool query_of(const char *text, bool read, struct buf *out) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 10, 1000);
    struct shape *s = shape_extended(&c, text_slice(text), 0, NULL, &why);
    buf_reset(out);
    bool ok = s && (read ? vet_read_query(s, out) : vet_query(s, 0, out));
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
    {"SELECT a FROM t WHERE \"i'd\" = $1", "b.attname = 'i''d'"},
    {"SELECT a FROM t WHERE id = $1 AND b < 3", "'<'"},
};

Test(vet, names_are_quoted) {
    struct buf out = buf_make(1 << 20);
    for (size_t i = 0; i < sizeof quoted / sizeof *quoted; i++) {
        cr_assert(query_of(quoted[i].text, false, &out), "%s", quoted[i].text);
        cr_assert_not_null(strstr((char *)out.data, quoted[i].holds), "%s: %s", quoted[i].text,
                           (char *)out.data);
    }
    // How a backslash in a string is read depends on a setting.
    cr_assert_not(query_of("SELECT a FROM \"t\\x\" WHERE id = $1", false, &out));
    cr_assert_not(query_of("SELECT a FROM \"t\\x\" WHERE id = $1", true, &out));
    cr_assert(query_of("SELECT lower(a) FROM \"t'\" JOIN u ON true", true, &out));
    cr_assert_not_null(strstr((char *)out.data, "'\"t''\"','\"u\"'"));
    cr_assert_not_null(strstr((char *)out.data, "'lower'"));
    buf_free(&out);
}
