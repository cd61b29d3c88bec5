// SPDX-License-Identifier: PostgreSQL
//
// The same question in other ways of sending it (alike.h). Plain calls.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/statement/alike.h"

static struct slice text(const char *s) {
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

// The question of a text, with the values of its parameters as text.
static uint64_t question(const char *sql, const char *const *values) {
    struct alike a;
    alike_of_text(sql, strlen(sql), &a);
    uint64_t hash = a.hash;
    for (unsigned i = 0; values && values[i]; i++)
        hash += a.uses[i] * alike_value(0, text(values[i]));
    return hash;
}

static const struct {
    const char *a, *with[4], *b, *and_with[4];
} same[] =
    {
        {"SELECT a FROM t WHERE id = 5", {NULL}, "SELECT a FROM t WHERE id = $1", {"5"}},
        {"SELECT a FROM t WHERE id = $1", {"5"}, "select A from T /* x */ where\n id=$1", {"5"}},
        {"SELECT a FROM t WHERE id = '5'", {NULL}, "SELECT a FROM t WHERE id = 5", {NULL}},
        {"SELECT a FROM t WHERE x = 3 AND id = $1",
         {"5"},
         "SELECT a FROM t WHERE x = $1 AND id = $2",
         {"3", "5"}},
        {"SELECT a FROM t WHERE x = $2 AND id = $1",
         {"5", "3"},
         "SELECT a FROM t WHERE x = $1 AND id = $2",
         {"3", "5"}},
        {"SELECT a FROM t WHERE x = $1 OR y = $1",
         {"5"},
         "SELECT a FROM t WHERE x = $1 OR y = $2",
         {"5", "5"}},
        {"SELECT a FROM t WHERE s = 'it''s'", {NULL}, "SELECT a FROM t WHERE s = $1", {"it''s"}},
},
  different[] = {
      {"SELECT a FROM t WHERE id = $1", {"5"}, "SELECT a FROM t WHERE id = $1", {"6"}},
      {"SELECT a FROM t WHERE id = $1", {"5"}, "SELECT a FROM t WHERE ik = $1", {"5"}},
      {"SELECT a FROM t WHERE id = $1", {"5"}, "SELECT \"A\" FROM t WHERE id = $1", {"5"}},
      {"SELECT a FROM t WHERE x = 3 AND id = $1", {"5"}, "SELECT a FROM t WHERE x = 4 AND id = $1", {"5"}},
      {"SELECT a FROM t WHERE x = $1 AND id = $2",
       {"5", "5"},
       "SELECT a FROM t WHERE x = $1 AND id = $2",
       {"5", "3"}},
};

Test(alike, a_question_is_the_same_in_each_way_of_sending_it) {
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        cr_assert_eq(question(same[i].a, same[i].with), question(same[i].b, same[i].and_with), "%s",
                     same[i].b);
}

Test(alike, other_values_and_texts_are_other_questions) {
    for (size_t i = 0; i < sizeof different / sizeof *different; i++)
        cr_assert_neq(question(different[i].a, different[i].with),
                      question(different[i].b, different[i].and_with), "%s", different[i].b);
}

static const struct {
    const char *text;
    uint8_t bytes[16];
    size_t len;
} values[] = {
    {"5", {0, 5}, 2},
    {"5", {0, 0, 0, 5}, 4},
    {"-1", {255, 255, 255, 255}, 4},
    {"5", {0, 0, 0, 0, 0, 0, 0, 5}, 8},
    {"12345678901", {0, 0, 0, 2, 0xdf, 0xdc, 0x1c, 0x35}, 8},
    {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
     {0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11},
     16},
    {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
     {0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11},
     16},
    {"abcd", {'a', 'b', 'c', 'd'}, 4},
    {"abcde", {'a', 'b', 'c', 'd', 'e'}, 5},
    {"12345", {'1', '2', '3', '4', '5'}, 5},
};

Test(alike, values_in_text_and_binary) {
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        cr_assert_eq(alike_value(0, text(values[i].text)),
                     alike_value(1, (struct slice){values[i].bytes, values[i].len}), "%s", values[i].text);
    cr_assert_neq(alike_value(0, text("")), alike_value(0, (struct slice){0}), "NULL is no empty text");
    cr_assert_neq(alike_value(0, text("5")), alike_value(0, text("6")));
}

// An OID is sent in four bytes without a sign.
Test(alike, large_oids) {
    static const uint8_t binary[] = {0xB2, 0xD0, 0x5E, 0x00}; // 3,000,000,000
    cr_expect_eq(alike_value(1, (struct slice){binary, sizeof binary}), alike_value(0, text("3000000000")));
    cr_expect_neq(alike_value(0, text("3000000000")), alike_value(0, text("3000000001")));
}
