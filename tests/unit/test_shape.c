// SPDX-License-Identifier: PostgreSQL
//
// The cache of shapes: one shape for one text and its types, at most so many, the least recently used go
// first, and those that are referred to stay alive.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/statement/shape.h"
#include "batching/statement/parse.h"
#include "tests/unit/bytes.h"

static struct shape *simple(struct shape_cache *c, const char *text) {
    struct shape_text values;
    enum reason why = REASON_NONE;
    return shape_simple(c, text_slice(text), &values, &why);
}

static struct shape *extended(struct shape_cache *c, const char *text, struct slice types) {
    enum reason why = REASON_NONE;
    return shape_extended(c, text_slice(text), (unsigned)(types.len / 4), types.data, &why);
}

static struct shape *number(struct shape_cache *c, int i) {
    char text[64];
    snprintf(text, sizeof text, "SELECT c%d FROM t WHERE id = $1", i);
    return extended(c, text, BYTES(""));
}

Test(shape, constants_do_not_make_another_shape) {
    struct shape_cache c;
    shape_cache_init(&c, 10, 1000);
    struct shape *s = simple(&c, "SELECT a FROM t WHERE id = 5");
    cr_assert_not_null(s);
    cr_assert_eq(s->reason, REASON_NONE);
    cr_assert_eq(simple(&c, "SELECT a  FROM t WHERE id = 77;"), s);
    cr_assert_neq(simple(&c, "SELECT b FROM t WHERE id = 5"), s);
    cr_assert_eq(c.n, 2);
    shape_cache_finish(&c);
}

Test(shape, types_and_protocol_make_another_shape) {
    struct shape_cache c;
    shape_cache_init(&c, 10, 1000);
    const char *text = "SELECT a FROM t WHERE id = $1";
    struct shape *none = extended(&c, text, BYTES(""));
    struct shape *int4 = extended(&c, text, BYTES("\0\0\0\x17"));
    struct shape *int8 = extended(&c, text, BYTES("\0\0\0\x14"));
    cr_assert(none && int4 && int8);
    cr_assert(none != int4 && int4 != int8);
    cr_assert_eq(int4->types[0], 23);
    cr_assert_eq(extended(&c, text, BYTES("\0\0\0\x17")), int4);
    cr_assert_neq(simple(&c, "SELECT a FROM t WHERE id = 5"), none);
    cr_assert_eq(extended(&c, "SELECT a FROM t WHERE id = $1 /* trace 17 */", BYTES("")), none);
    shape_cache_finish(&c);
}

static struct msg_parse parse_of(const char *name, const char *text, unsigned n_types) {
    static const uint8_t types[] = {0, 0, 0, 23};
    return (struct msg_parse){
        .name = text_slice(name), .text = text_slice(text), .n_types = (uint16_t)n_types, .types = types};
}

Test(shape, constants_of_a_parse_are_those_of_a_query) {
    static const struct {
        const char *name, *text;
        unsigned n_types;
        bool literal;
    } cases[] = {
        {"", "SELECT a FROM t WHERE id = 7", 0, true},
        {"", "/* x */ SELECT a FROM t WHERE id = 8; -- y", 0, true},
        {"n", "SELECT a FROM t WHERE id = 7", 0, false},
        {"", "SELECT a FROM t WHERE id = 7", 1, false},
        {"", "SELECT a FROM t WHERE id = $1", 0, false},
        {"", "SELECT a FROM t WHERE id = 7 AND b = $1", 0, false},
        {"", "SELECT a FROM t WHERE id = 7; SELECT 1", 0, false},
        {"", "SELECT a FROM t", 0, false},
        {"", "UPDATE t SET a = 1 WHERE id = 7", 0, false},
    };
    struct shape_cache c;
    shape_cache_init(&c, 100, 10000);
    struct shape *query = simple(&c, "SELECT a FROM t WHERE id = 5");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct msg_parse m = parse_of(cases[i].name, cases[i].text, cases[i].n_types);
        struct shape_text values;
        enum reason why;
        struct shape *literal = shape_literal(&c, &m, &values), *found = shape_of_parse(&c, &m, &why);
        cr_expect_eq(literal, cases[i].literal ? query : NULL, "%s", cases[i].text);
        cr_expect_eq(found && found->protocol == SHAPE_SIMPLE, cases[i].literal, "%s", cases[i].text);
    }
    shape_cache_finish(&c);
}

Test(shape, a_literal_one_keeps_its_text_and_means_the_other) {
    struct shape_cache c;
    shape_cache_init(&c, 100, 10000);
    size_t used = c.memory.used;
    struct shape *of = shape_ref(simple(&c, "SELECT a FROM t WHERE id = 5"));
    struct shape *s = shape_with_constants(&c, of, text_slice("SELECT a FROM t WHERE id = 7;"));
    cr_assert_not_null(s);
    cr_expect_str_eq(s->text, "SELECT a FROM t WHERE id = 7;");
    cr_expect_eq(shape_meaning(s), of);
    cr_expect_eq(shape_meaning(of), of);
    cr_expect_null(shape_meaning(NULL));
    cr_expect_neq(s->reason, REASON_NONE);
    shape_cache_finish(&c); // what it means stays alive
    cr_expect_eq(s->of->parsed->kind, STATEMENT_READ);
    shape_unref(of);
    shape_unref(s);
    cr_expect_eq(c.memory.used, used);
}

// Texts that are one shape in the extended protocol, with what is left out in front.
static const struct {
    const char *text;
    size_t skipped;
} commented[] = {
    {"SELECT a FROM t WHERE id = $1", 0},
    {"/* trace 1 */ SELECT a FROM t WHERE id = $1", 14},
    {"/*trace=1*/SELECT a FROM t WHERE id = $1 /* 2 */", 11},
    {"  -- trace 1\n /* 2 */ /* 3 /* 4 */ */ SELECT a FROM t WHERE id = $1 -- 5\n-- 6", 38},
    {"SELECT a FROM t WHERE id = $1 -- trace 1", 0},
    {"SELECT a FROM t WHERE id = $1 /* 1 */ ; /* 2 */;", 0},
    {"SELECT a FROM t WHERE id = $1 /* 1 */ -- 2\n \t", 0},
};

Test(shape, comments_at_the_ends_are_no_part_of_it) {
    struct shape_cache c;
    shape_cache_init(&c, 100, 10000);
    struct shape *one = extended(&c, commented[0].text, BYTES(""));
    for (size_t i = 0; i < sizeof commented / sizeof *commented; i++) {
        cr_expect_eq(extended(&c, commented[i].text, BYTES("")), one, "%s", commented[i].text);
        cr_expect_eq(shape_skipped(text_slice(commented[i].text)), commented[i].skipped, "%s",
                     commented[i].text);
    }
    shape_cache_finish(&c);
}

Test(shape, some_comments_stay) {
    static const char *const texts[] = {
        "/*+ SeqScan(t) */ SELECT a FROM t WHERE id = $1",
        "/* pgfold: x */ SELECT a FROM t WHERE id = $1",
        "/* \xc3\xa9 */ SELECT a FROM t WHERE id = $1",
        "SELECT /* x */ a FROM t WHERE id = $1",
        "/* not closed SELECT a FROM t WHERE id = $1",
        "-- nothing else",
        "",
    };
    struct shape_cache c;
    shape_cache_init(&c, 100, 10000);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct shape *s = extended(&c, texts[i], BYTES(""));
        cr_assert_not_null(s);
        cr_expect_str_eq(s->text, texts[i]);
        cr_expect_eq(shape_skipped(text_slice(texts[i])), 0);
    }
    shape_cache_finish(&c);
}

// @ is replaced with the key.
static const struct {
    const char *text;
    enum reason reason;
} skips[] = {
    {"/* pgfold:skip */ SELECT a FROM t WHERE id = @", REASON_SKIP},
    {"SELECT a FROM t WHERE id = @ /* pgfold:skip */", REASON_SKIP},
    {"SELECT a FROM t WHERE id = @ /*pgfold:skip*/;", REASON_SKIP},
    {"SELECT a /* why: pgfold:skip until May */ FROM t WHERE id = @", REASON_SKIP},
    {"SELECT a/* x *//* pgfold:skip */FROM t WHERE id = @ /* trace 17 */", REASON_SKIP},
    {"SELECT a /* b /* pgfold:skip */ c */ FROM t WHERE id = @", REASON_SKIP},
    {"SELECT a /*+ pgfold:skip */ FROM t WHERE id = @", REASON_SKIP},
    {"SELECT a -- pgfold:skip\nFROM t WHERE id = @", REASON_SKIP},
    {"SELECT a FROM t WHERE id = @ --pgfold:skip", REASON_SKIP},
    {"SELECT a, '/* ' FROM t WHERE id = @ /* pgfold:skip */", REASON_SKIP},
    {"SELECT a FROM t WHERE id = @ AND b > '/* pgfold:skip */' /* pgfold:skip */", REASON_SKIP},
    // Before all other reasons that a SELECT may have.
    {"SELECT a FROM t /* pgfold:skip */", REASON_SKIP},
    {"SELECT a FROM t WHERE id = @ FOR UPDATE /* pgfold:skip */", REASON_SKIP},
    {"UPDATE t SET a = 1 WHERE id = @ /* pgfold:skip */", REASON_NOT_SELECT},
    // No comment.
    {"SELECT a, '/* pgfold:skip */' FROM t WHERE id = @", REASON_NONE},
    {"SELECT a FROM t WHERE id = @ AND b = '/* pgfold:skip */'", REASON_NONE},
    {"SELECT a FROM t WHERE id = @ AND b > ' -- pgfold:skip '", REASON_NONE},
    {"SELECT a, 'it''s /* pgfold:skip */' FROM t WHERE id = @", REASON_NONE},
    {"SELECT a, E'\\' /* pgfold:skip */' FROM t WHERE id = @", REASON_NONE},
    {"SELECT a, $x$ /* pgfold:skip */ $x$ FROM t WHERE id = @", REASON_NONE},
    {"SELECT a AS \" /* pgfold:skip */ \" FROM t WHERE id = @", REASON_NONE},
    // Another comment.
    {"SELECT a FROM t WHERE id = @ /* pgfold: skip */", REASON_NONE},
    {"SELECT a FROM t WHERE id = @ /* pgfold:skipped */", REASON_NONE},
    {"SELECT a FROM t WHERE id = @ /* pgfold:skip-all */", REASON_NONE},
    {"SELECT a FROM t WHERE id = @ /* pgfold:on */", REASON_NONE},
    {"SELECT a FROM t WHERE id = @ /* PGFOLD:SKIP */", REASON_NONE},
    {"SELECT a FROM t WHERE id = @ /* route='pgfold:skip' */", REASON_NONE},
    {"SELECT a FROM t WHERE id = @ /* xpgfold:skip */", REASON_NONE},
};

static void put_key(char *out, const char *text, const char *key) {
    const char *at = strchr(text, '@');
    if (at)
        sprintf(out, "%.*s%s%s", (int)(at - text), text, key, at + 1);
    else
        strcpy(out, text);
}

Test(shape, a_comment_keeps_a_statement_out) {
    for (size_t i = 0; i < sizeof skips / sizeof *skips; i++) {
        struct shape_cache c;
        char text[200];
        shape_cache_init(&c, 10, 1000);
        put_key(text, skips[i].text, "$1");
        struct shape *s = extended(&c, text, BYTES(""));
        cr_assert(s, "%s", text);
        cr_expect_eq(s->reason, skips[i].reason, "%s: %s", text, reason_name(s->reason));
        put_key(text, skips[i].text, "5");
        s = simple(&c, text);
        cr_assert(s, "%s", text);
        cr_expect_eq(s->reason, skips[i].reason, "%s: %s", text, reason_name(s->reason));
        shape_cache_finish(&c);
    }
}

// One that is looked up with the comment and without is two statements.
Test(shape, the_comment_makes_another_shape) {
    struct shape_cache c;
    shape_cache_init(&c, 10, 1000);
    struct shape *with = extended(&c, "SELECT a FROM t WHERE id = $1 /* pgfold:skip */", BYTES(""));
    struct shape *without = extended(&c, "SELECT a FROM t WHERE id = $1", BYTES(""));
    cr_expect(with != without && without->reason == REASON_NONE);
    with = simple(&c, "/* pgfold:skip */ SELECT a FROM t WHERE id = 5");
    without = simple(&c, "/* pgfold-skip */ SELECT a FROM t WHERE id = 6");
    cr_expect(with != without && with->reason == REASON_SKIP && without->reason == REASON_NONE);
    shape_cache_finish(&c);
}

Test(shape, the_least_recently_used_goes_first) {
    struct shape_cache c;
    shape_cache_init(&c, 3, 1000);
    struct shape *first = shape_ref(number(&c, 0));
    number(&c, 1);
    number(&c, 2);
    cr_assert_eq(number(&c, 0), first, "used again");
    number(&c, 3); // takes the place of 1
    cr_assert_eq(c.n, 3);
    cr_assert_eq(number(&c, 0), first);
    shape_unref(first);
    shape_cache_finish(&c);
}

Test(shape, the_cache_never_holds_more_than_it_may) {
    struct shape_cache c;
    struct shape *held[40];
    shape_cache_init(&c, 8, 1000);
    for (int i = 0; i < 40; i++) {
        held[i] = shape_ref(number(&c, i));
        cr_assert_leq(c.n, 8);
    }
    shape_cache_finish(&c);
    for (int i = 0; i < 40; i++) { // alive although they left the cache, and the cache has gone
        cr_assert_eq(held[i]->parsed->n_keys, 1);
        shape_unref(held[i]);
    }
}

static const struct {
    const char *text;
    enum reason why;
} without[] = {
    {"SELECT 1; SELECT 2", REASON_MULTI_STATEMENT},
    {"SELECT 'a", REASON_UNPARSABLE},
    {"SELECT a FROM t WHERE id = $1", REASON_UNPARSABLE},
};

Test(shape, texts_without_one_say_why) {
    struct shape_cache c;
    shape_cache_init(&c, 8, 100);
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        struct shape_text values;
        enum reason why = REASON_NONE;
        cr_assert_null(shape_simple(&c, text_slice(without[i].text), &values, &why), "%s", without[i].text);
        cr_assert_eq(why, without[i].why, "%s", without[i].text);
    }
    char text[200] = "SELECT a FROM t WHERE id = 5 OR ";
    memset(text + strlen(text), 'x', 150);
    struct shape_text values;
    enum reason why = REASON_NONE;
    cr_assert_null(shape_simple(&c, (struct slice){(uint8_t *)text, 150}, &values, &why));
    cr_assert_eq(why, REASON_TEXT_TOO_LONG);
    cr_assert_null(shape_extended(&c, (struct slice){(uint8_t *)text, 150}, 0, NULL, &why));
    cr_assert_eq(why, REASON_TEXT_TOO_LONG);
    cr_assert_eq(c.n, 0);
    shape_cache_finish(&c);
}

// Of two candidates the one that varies becomes the key.
static struct shape *listed(struct shape_cache *c, int n) {
    char text[1000] = "SELECT a FROM t WHERE id IN (1";
    struct shape_text values;
    enum reason why;
    for (int i = 1; i < n; i++)
        strcat(text, ", 17");
    strcat(text, ")");
    struct shape *s = shape_simple(c, text_slice(text), &values, &why);
    cr_assert_not_null(s);
    return s;
}

// Long lists of ids are no lookups; of whatever length, they are one shape that tells what is read.
Test(shape, long_lists_have_one_shape) {
    struct shape_cache c;
    shape_cache_init(&c, 8, 1000);
    struct shape *s = listed(&c, 40);
    cr_expect_eq(s->parsed->kind, STATEMENT_READ);
    cr_expect_eq(s->reason, REASON_PARAMETERS);
    cr_expect_eq(s->parsed->n_relations, 1);
    cr_expect_eq(listed(&c, 100), s);
    cr_expect_neq(listed(&c, 1), s);
    cr_expect_eq(listed(&c, 1)->reason, REASON_NONE);
    cr_expect_neq(listed(&c, SHAPE_MAX_VALUES), s);
    shape_cache_finish(&c);
}

Test(shape, learns_which_candidate_varies) {
    struct shape_cache c;
    shape_cache_init(&c, 8, 1000);
    struct shape *s = extended(&c, "SELECT a FROM t WHERE tenant = $1 AND id = $2", BYTES(""));
    cr_assert_eq(s->parsed->n_keys, 2);
    for (int i = 0; i < 5; i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        shape_watch(s, 0, text_slice("7"));
        shape_watch(s, 1, text_slice(id));
    }
    shape_watch(s, SHAPE_MAX_KEYS, text_slice("7")); // more than are watched: no harm
    shape_cache_finish(&c);
}

// Looks up n times; the i-th candidate changes its value every period[i]-th time, never when 0.
static uint32_t look_up(struct shape *s, int n, const int *period, int candidates) {
    uint32_t keys = 0;
    for (int at = 1; at <= n; at++) {
        for (int i = 0; i < candidates; i++) {
            char value[16];
            snprintf(value, sizeof value, "%d", period[i] ? at / period[i] : 0);
            shape_watch(s, i, text_slice(value));
        }
        keys = shape_keys(s);
    }
    return keys;
}

static const struct {
    const char *name;
    int period[3];
    uint32_t keys;
} varying[] = {
    {"nothing varies", {0, 0, 0}, 4},     {"the first", {1, 0, 0}, 1},    {"two together", {1, 1, 0}, 3},
    {"one now and then", {1, 10, 0}, 3},  {"one hardly", {1, 0, 100}, 1}, {"all", {1, 1, 1}, 7},
    {"one seldom, alone", {0, 12, 0}, 2},
};

Test(shape, keys_are_the_candidates_that_vary) {
    for (size_t i = 0; i < sizeof varying / sizeof *varying; i++) {
        struct shape_cache c;
        shape_cache_init(&c, 8, 1000);
        struct shape *s = extended(&c, "SELECT a FROM t WHERE a = $1 AND b = $2 AND c = $3", BYTES(""));
        uint32_t keys = look_up(s, 300, varying[i].period, 3);
        cr_assert_eq(keys, varying[i].keys, "%s: %x", varying[i].name, keys);
        shape_cache_finish(&c);
    }
}

// What varies changes, the key follows; and while nothing varies it stays what it was.
Test(shape, keys_follow_what_varies) {
    static const int first[] = {1, 0}, second[] = {0, 1}, none[] = {0, 0};
    struct shape_cache c;
    shape_cache_init(&c, 8, 1000);
    struct shape *s = extended(&c, "SELECT a FROM t WHERE a = $1 AND b = $2", BYTES(""));
    cr_assert_eq(look_up(s, 200, first, 2), 1);
    cr_assert_eq(look_up(s, 1000, second, 2), 2);
    cr_assert_eq(look_up(s, 2000, none, 2), 2);
    shape_cache_finish(&c);
}

Test(shape, a_key_has_no_more_parts_than_it_may) {
    static const int all[] = {1, 3, 1, 1, 2, 1};
    struct shape_cache c;
    shape_cache_init(&c, 8, 1000);
    struct shape *s = extended(
        &c, "SELECT a FROM t WHERE a = $1 AND b = $2 AND c = $3 AND d = $4 AND e = $5 AND f = $6", BYTES(""));
    cr_assert_eq(look_up(s, 200, all, 6), 1 | 4 | 8 | 32, "those that vary most");
    shape_cache_finish(&c);
}

static const struct {
    const char *text;
    bool changes;
} definitions[] = {
    {"CREATE TABLE t (id int)", true},
    {"alter table t add x int", true},
    {" /* x */ DROP VIEW v", true},
    {"GRANT ALL ON t TO a", true},
    {"DO $$ $$", true},
    {"CALL p()", true},
    {"SELECT 1", false},
    {"SET x = 1", false},
    {"created", false},
};

Test(shape, definitions_are_told_by_the_first_word) {
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++)
        cr_assert_eq(shape_text_changes_definitions(text_slice(definitions[i].text)), definitions[i].changes,
                     "%s", definitions[i].text);
}
