// SPDX-License-Identifier: PostgreSQL
//
// Numbers in steps that no list supplies: which lookups are a run, and which keys are expected behind it. Plain
// calls with made-up groups.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/ahead/canon.h"
#include "batching/ahead/steps.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"

struct scene {
    struct account memory;
    struct parsed parsed;
    struct parsed_key keys[KEY_MAX_PARTS];
    struct shape shape;
    struct group group;
    struct steps steps;
};

// A group whose key has so many integer parts, sent as text.
static void setup(struct scene *s, unsigned n_parts, uint32_t type) {
    memset(s, 0, sizeof *s);
    s->shape.parsed = &s->parsed;
    s->parsed.keys = s->keys;
    s->shape.memory = &s->memory;
    s->group.shape = &s->shape;
    s->group.id = 1;
    s->group.n_parts = n_parts;
    s->group.memory = &s->memory;
    for (unsigned i = 0; i < n_parts; i++)
        s->group.parts[i] = (struct group_part){.key = (int)i, .declared = type, .type = type};
}

static struct slice slice_of(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static void ask_texts(struct scene *s, const char *a, const char *b, bool again) {
    struct slice raw[KEY_MAX_PARTS] = {slice_of(a), slice_of(b)};
    steps_note(&s->steps, &s->group, raw, again);
}

static void ask(struct scene *s, int64_t key) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)key);
    ask_texts(s, text, "x", false);
}

static struct step *run(struct scene *s) {
    return steps_run(&s->steps, &s->group);
}

Test(steps, three_lookups_are_a_run) {
    static const int64_t by[] = {1, -1, 3, 1000, -1000};
    for (size_t i = 0; i < sizeof by / sizeof *by; i++) {
        struct scene s;
        setup(&s, 1, OID_INT8);
        ask(&s, 7);
        ask(&s, 7 + by[i]);
        cr_assert_null(run(&s));
        ask(&s, 7 + 2 * by[i]);
        cr_assert(run(&s) && run(&s)->by == by[i]);
    }
}

Test(steps, what_is_no_run) {
    static const int64_t keys[][4] = {{1, 2, 4, 5},
                                      {5, 5, 5, 5},
                                      {0, 1001, 2002, 3003},
                                      {1, 2, 1, 2},
                                      {INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX},
                                      {9, 1, 7, 3}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct scene s;
        setup(&s, 1, OID_INT8);
        for (unsigned k = 0; k < 4; k++) {
            ask(&s, keys[i][k]);
            cr_assert_null(run(&s), "%u of %u", k, (unsigned)i);
        }
    }
}

Test(steps, random_keys_seldom_start_one) {
    struct scene s;
    uint32_t state = 7;
    setup(&s, 1, OID_INT8);
    for (unsigned i = 0; i < 10000; i++) {
        state = state * 1103515245 + 12345;
        ask(&s, state >> 8);
        cr_assert_null(run(&s));
    }
}

Test(steps, who_asks_again_polls) {
    struct scene s;
    setup(&s, 1, OID_INT8);
    for (int i = 1; i < 10; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        ask_texts(&s, text, "x", true);
        cr_assert_null(run(&s));
    }
    ask(&s, 10); // what is new begins anew
    ask(&s, 11);
    cr_assert(run(&s));
    ask_texts(&s, "12", "x", true);
    cr_assert_null(run(&s));
}

Test(steps, one_part_varies) {
    struct scene s;
    setup(&s, 2, OID_INT4);
    ask_texts(&s, "4", "1", false);
    ask_texts(&s, "4", "2", false);
    ask_texts(&s, "4", "3", false);
    cr_assert(run(&s) && run(&s)->part == 1);
    ask_texts(&s, "5", "4", false);
    cr_assert_null(run(&s));
    ask_texts(&s, "6", "5", false);
    ask_texts(&s, "7", "6", false);
    cr_assert_null(run(&s));
    ask_texts(&s, "a", "7", false);
    ask_texts(&s, "a", "8", false);
    ask_texts(&s, "a", "9", false);
    cr_assert(run(&s));
    ask_texts(&s, "b", "10", false);
    cr_assert_null(run(&s));
}

Test(steps, four_groups_are_remembered) {
    struct scene s;
    setup(&s, 1, OID_INT8);
    for (int round = 0; round < 3; round++)
        for (s.group.id = 1; s.group.id <= STEPS_GROUPS; s.group.id++)
            ask(&s, round);
    s.group.id = STEPS_GROUPS;
    cr_assert(run(&s));
    s.group.id = 1;
    cr_assert_null(run(&s), "its lookup is not the one at hand");
    ask(&s, 3);
    cr_assert(run(&s));
    s.group.id = 9;
    ask(&s, 3);
    s.group.id = 2; // it was used longest ago
    ask(&s, 3);
    cr_assert_null(run(&s));
}

Test(steps, in_binary_the_width_tells) {
    struct scene s;
    setup(&s, 1, 0);
    s.group.parts[0].format = 1;
    for (uint8_t i = 0; i < 3; i++) {
        uint8_t bytes[4] = {255, 255, 255, i};
        struct slice raw = {bytes, 4};
        steps_note(&s.steps, &s.group, &raw, false);
    }
    cr_assert(run(&s) && run(&s)->by == 1 && run(&s)->last[0] == -254);
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t bytes[3] = {0, 0, i};
        struct slice raw = {bytes, 3};
        steps_note(&s.steps, &s.group, &raw, false);
        cr_assert_null(run(&s));
    }
    struct slice null = {NULL, 0};
    for (uint8_t i = 0; i < 4; i++)
        steps_note(&s.steps, &s.group, &null, false);
    cr_assert_null(run(&s));
}

// ---- the coming keys

static bool skip_even(void *arg, const struct key *keys) {
    (void)arg;
    return keys->of.bytes[7] % 2 == 0;
}

static bool skip_none(void *arg, const struct key *keys) {
    (void)arg, (void)keys;
    return false;
}

static void expect_keys(struct scene *s, int64_t last, int64_t by, bool odd, unsigned n,
                        const int64_t *keys) {
    struct step step = {.group = 1, .by = by};
    struct batch *b = batch_create_ahead(&s->group, 4, 1 << 20);
    struct key asked = canon_integer(last);
    steps_gather(&step, &s->group, &asked, b, odd ? skip_even : skip_none, NULL);
    cr_expect_eq(b->n_keys, n, "%u keys behind %lld", b->n_keys, (long long)last);
    cr_expect_eq(b->ahead.n_left, n);
    for (unsigned i = 0; i < n; i++) {
        uint32_t at;
        struct key key = canon_integer(keys[i]);
        cr_expect(batch_find_key(b, &key, &at) && at == i && b->ahead.left[at] == 1);
    }
    batch_destroy(b);
}

Test(steps, the_keys_behind_it) {
    struct scene s;
    setup(&s, 1, OID_INT4);
    expect_keys(&s, 3, 1, false, 4, (int64_t[]){4, 5, 6, 7});
    expect_keys(&s, 1, -3, false, 4, (int64_t[]){-2, -5, -8, -11});
    expect_keys(&s, 3, 1, true, 4, (int64_t[]){5, 7, 9, 11});
}

Test(steps, none_is_beyond_the_type) {
    struct scene s;
    setup(&s, 1, OID_INT4);
    expect_keys(&s, INT32_MAX - 2, 1, false, 2, (int64_t[]){INT32_MAX - 1, INT32_MAX});
    expect_keys(&s, INT32_MIN, -1, false, 0, NULL);
    setup(&s, 1, OID_INT2);
    expect_keys(&s, INT16_MAX - 1, 1, false, 1, (int64_t[]){INT16_MAX});
    setup(&s, 1, OID_INT8);
    expect_keys(&s, INT64_MAX - 1000, 1000, false, 1, (int64_t[]){INT64_MAX});
    expect_keys(&s, INT64_MIN + 1, -1, false, 1, (int64_t[]){INT64_MIN});
    setup(&s, 1, 25); // text
    expect_keys(&s, 3, 1, false, 0, NULL);
    setup(&s, 1, OID_INT8); // a constant that an int4 can hold belongs to another group
    s.group.values = (struct slice[1]){{0}};
    expect_keys(&s, (int64_t)INT32_MAX + 2, -1, false, 1, (int64_t[]){(int64_t)INT32_MAX + 1});
}
