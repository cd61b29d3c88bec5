// SPDX-License-Identifier: PostgreSQL
//
// The cache of shapes: one shape for one text and its types, at most so many, the least recently used go
// first, and those that are referred to stay alive.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/shape.h"
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
    cr_assert_eq(s->key, 1);
    shape_watch(s, SHAPE_MAX_KEYS, text_slice("7")); // more than are watched: no harm
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
