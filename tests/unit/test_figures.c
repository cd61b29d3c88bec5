// SPDX-License-Identifier: PostgreSQL
#include "batching/session/figures.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/answered.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/shape.h"
#include "tests/unit/fixture.h"

// ---- histograms

static const struct {
    uint64_t value;
    unsigned at; // the bucket
} times[] = {{0, 0},    {50, 0},        {51, 1},        {100, 1},        {1000, 4},
             {1001, 5}, {10000000, 16}, {10000001, 17}, {UINT32_MAX, 17}};

Test(histogram, notes_a_time_under_the_least_bound_that_is_not_below_it) {
    cr_assert_eq(histogram_bounds(HISTOGRAM_TIME), 17);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct histogram h = {0};
        histogram_note_time(&h, times[i].value);
        cr_expect_eq(h.n[times[i].at], 1, "%lu", (unsigned long)times[i].value);
        cr_expect_eq(h.sum, times[i].value);
        cr_expect_eq(histogram_total(&h), 1);
    }
}

Test(histogram, finds_every_time_as_a_search_does) {
    for (uint64_t us = 0; us < 12000000; us += 1 + us / 97) {
        struct histogram h = {0};
        unsigned at = 0;
        while (at < 17 && us > histogram_times[at])
            at++;
        histogram_note_time(&h, us);
        cr_assert_eq(h.n[at], 1, "%lu", (unsigned long)us);
    }
}

Test(histogram, has_bounds_that_rise) {
    for (unsigned i = 1; i < histogram_bounds(HISTOGRAM_TIME); i++)
        cr_expect_gt(histogram_times[i], histogram_times[i - 1]);
    for (unsigned i = 1; i < histogram_bounds(HISTOGRAM_COUNT); i++)
        cr_expect_gt(histogram_counts[i], histogram_counts[i - 1]);
}

// ---- databases

static struct slice name_of(unsigned i) {
    static char text[32];
    snprintf(text, sizeof text, "db%u", i);
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

Test(figures, keep_a_line_for_each_database_and_one_for_the_rest) {
    static struct figures f;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < FIGURES_DATABASES + 5; i++)
            figures_of(&f, name_of(i))->sessions++;
    cr_expect_eq(figures_lines(&f), FIGURES_DATABASES + 1);
    cr_expect_str_eq(f.databases[7].name, "db7");
    cr_expect_eq(f.databases[7].sessions, 2);
    cr_expect_str_eq(f.databases[FIGURES_DATABASES].name, "(other)");
    cr_expect_eq(f.databases[FIGURES_DATABASES].sessions, 10);
}

Test(figures, cut_a_long_name_as_the_server_does) {
    static struct figures f;
    uint8_t text[200];
    memset(text, 'x', sizeof text);
    struct database_figures *d = figures_of(&f, (struct slice){text, sizeof text});
    cr_expect_eq(strlen(d->name), FIGURES_NAME - 1);
    cr_expect_eq(figures_of(&f, (struct slice){text, FIGURES_NAME - 1}), d);
}

// ---- answered statements

static struct shape *a_shape(struct engine *e) {
    struct shape_text values;
    enum reason why;
    return shape_simple(&e->shapes, text_slice("SELECT a FROM t WHERE id = 1"), &values, &why);
}

static void answer_one(struct session *s, struct shape *shape, enum outcome outcome, uint64_t took) {
    struct answered a = {.shape = shape, .outcome = outcome, .asked = 1000, .answered = 1000 + took};
    session_answered(s, &a);
}

Test(figures, estimate_what_lookups_that_were_not_sent_would_have_taken) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    struct session *s = f.clients[0].session;
    struct shape *shape = a_shape(f.engine);
    cr_assert_not_null(shape);
    answer_one(s, shape, OUTCOME_FOLDED, 100);
    cr_expect_eq(figures_saved(&f.engine->figures), 0, "nothing is known of one alone yet");
    shape->figures.one = 300;
    answer_one(s, shape, OUTCOME_AHEAD, 100);
    answer_one(s, shape, OUTCOME_FOLDED, 200);
    answer_one(s, shape, OUTCOME_ALONE, 300);
    cr_expect_eq(figures_saved(&f.engine->figures), 600);
    cr_expect_eq(shape->figures.answered[OUTCOME_FOLDED], 2);
    cr_expect_eq(shape->figures.answered[OUTCOME_AHEAD], 1);
    cr_expect_eq(shape->figures.took, 700);
    fixture_end(&f);
}

static void end_batch(struct fixture *f, struct group *g, unsigned keys, uint64_t took) {
    struct batch b = {.group = g, .n_keys = keys, .sent = true, .started = f->engine->now - took};
    figures_note_batch(f->engine, &b);
}

Test(figures, estimate_one_lookup_from_a_batch) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    f.engine->now = 1000000;
    struct shape *shape = a_shape(f.engine);
    struct group g = {.shape = shape};
    answer_one(f.clients[0].session, NULL, OUTCOME_FORWARDED, 50);
    answer_one(f.clients[0].session, NULL, OUTCOME_HERE, 1);
    end_batch(&f, &g, 100, 1050);
    cr_expect_eq(shape->figures.one, 60);
    cr_expect_eq(histogram_total(&f.engine->figures.batch_keys), 1);
    shape->figures.one = 0;
    end_batch(&f, &g, 100, 40);
    cr_expect_eq(shape->figures.one, 40, "not more than its batch");
    shape->figures.one = 0;
    shape->guard.lone = 45;
    end_batch(&f, &g, 100, 1040);
    cr_expect_eq(shape->figures.one, 45, "not more than one was seen to take");
    fixture_end(&f);
}

Test(figures, count_a_transaction_from_its_first_statement_to_its_last) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    struct session *s = f.clients[0].session;
    struct database_figures *d = s->figures;
    s->txn = 'T';
    answer_one(s, NULL, OUTCOME_FORWARDED, 100);
    cr_expect_eq(d->transactions, 0);
    s->txn = 'I';
    answer_one(s, NULL, OUTCOME_FORWARDED, 500);
    answer_one(s, NULL, OUTCOME_FORWARDED, 20);
    cr_expect_eq(d->transactions, 2);
    cr_expect_eq(d->transaction_time, 520);
    cr_expect_eq(d->query_time, 620);
    cr_expect_eq(d->answered[OUTCOME_FORWARDED], 3);
    fixture_end(&f);
}

Test(figures, are_zero_behind_a_reset_and_keep_the_lines) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    struct session *s = f.clients[0].session;
    struct shape *shape = a_shape(f.engine);
    shape->figures.one = 300;
    answer_one(s, shape, OUTCOME_FOLDED, 100);
    struct database_figures *d = s->figures;
    char name[FIGURES_NAME];
    snprintf(name, sizeof name, "%s", d->name);
    figures_reset(f.engine);
    cr_expect_eq(s->figures, d);
    cr_expect_str_eq(d->name, name);
    cr_expect_eq(d->answered[OUTCOME_FOLDED], 0);
    cr_expect_eq(shape->figures.took, 0);
    cr_expect_eq(figures_saved(&f.engine->figures), 0);
    cr_expect_eq(f.engine->counters.answered, 0);
    cr_expect_eq(histogram_total(&f.engine->figures.took[OUTCOME_FOLDED]), 0);
    fixture_end(&f);
}
