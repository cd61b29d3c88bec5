// SPDX-License-Identifier: PostgreSQL
//
// Lookahead in mode observe: what would be loaded and answered is counted, and nothing of it runs.
#include <criterion/criterion.h>

#include "tests/unit/loops.h"

// The same loop is forwarded as it comes. The first two lookups would have gone to the server, with a batch behind the second.
static void begin_dry(struct fixture *f) {
    const char *yes[] = {"t"};
    struct client *c = &f->clients[0];
    init(f);
    f->limits.observe = f->limits.dry = true;
    start(f);
    prove_read_committed(c);
    list(c, false, 'Z');
    lookup(c, 1);
    expect_text(asked(c), "QQ"); // whether it is a plain read
    put_text_row(&c->from_server, yes, 1);
    reply(c, "CZ");
    answer(c, 1, 'Z');
    lookup(c, 1);
    expect_text(asked(c), "Q");
    answer(c, 1, 'Z');
    expect_text(asked(c), VETTING); // behind its answer
    answer_vetting(c);
    lookup(c, 2);
    answer(c, 2, 'Z');
    expect_text(asked(c), "Q");
    expect_text(told(c), "TDCZTDCZTDCZ");
}

static void count_would(void *ctx, const struct session *s, const struct answered *a) {
    (void)s;
    ((unsigned *)ctx)[a->would]++;
}

Test(ahead_observe, in_mode_observe_what_would_be_answered_is_counted) {
    struct fixture f;
    struct client *a = &f.clients[0];
    unsigned n[OUTCOME_COUNT] = {0};
    begin_dry(&f);
    f.engine->observer = (struct answered_observer){count_would, n};
    uint64_t sent = counters(&f)->would_send;
    cr_assert_eq(counters(&f)->ahead_keys, 7);
    for (int key = 3; key <= 9; key++) {
        lookup(a, key);
        expect_text(asked(a), "Q");
        answer(a, key, 'Z');
        expect_text(told(a), "TDCZ");
    }
    cr_expect_eq(n[OUTCOME_AHEAD], 7);
    cr_expect_eq(counters(&f)->would_ahead, 7);
    cr_expect_eq(counters(&f)->would_send, sent);
    cr_expect_eq(counters(&f)->from_ahead, 0);
    end(&f);
}

// A write to the table, a pause, and age drop it as in mode fold.
Test(ahead_observe, in_mode_observe_it_is_dropped_as_in_mode_fold) {
    struct fixture f;
    struct client *a = &f.clients[0];
    begin_dry(&f);
    lookup(a, 3);
    answer(a, 3, 'Z');
    cr_expect_eq(counters(&f)->would_ahead, 1);
    say_query(a, "DELETE FROM t WHERE id = 4");
    reply(a, "CZ");
    lookup(a, 4);
    answer(a, 4, 'Z');
    cr_expect_eq(counters(&f)->would_ahead, 1);
    f.now += f.limits.ahead_gap + 1;
    lookup(a, 5);
    answer(a, 5, 'Z');
    cr_expect_eq(counters(&f)->would_ahead, 1);
    (void)asked(a);
    (void)told(a);
    end(&f);
}

// What was held without rows in mode observe is given to nobody behind a change to mode fold.
Test(ahead_observe, what_mode_observe_holds_is_never_given) {
    const char *yes[] = {"t"};
    struct fixture f;
    struct client *a = &f.clients[0];
    begin_dry(&f);
    f.limits.observe = f.limits.dry = false;
    engine_set_limits(f.engine, &f.limits);
    cr_assert_not(is_held(a, 3));
    expect_text(asked(a), "QQ"); // what was found out is asked again
    put_text_row(&a->from_server, yes, 1);
    reply(a, "CZ");
    answer(a, 3, 'Z');
    expect_text(told(a), "TDCZ");
    (void)asked(a);
    end(&f);
}

static const struct group *find_assumed(const struct engine *e) {
    const struct group *g = e->groups.newest;
    while (g && !g->assumed)
        g = g->older;
    return g;
}

// Inside a transaction nothing is asked. The question comes when it is over: then nothing is taken for granted.
Test(ahead_observe, in_mode_observe_a_transaction_is_not_touched) {
    const char *yes[] = {"t"};
    struct fixture f;
    struct client *a = &f.clients[0];
    init(&f);
    f.limits.observe = f.limits.dry = true;
    start(&f);
    prove_read_committed(a);
    list(a, false, 'Z');
    say_query(a, "BEGIN");
    reply(a, "Cz");
    for (int key = 1; key <= 3; key++) {
        lookup(a, key);
        answer(a, key, 'z');
    }
    expect_text(asked(a), "QQQQ");
    const struct group *assumed = find_assumed(f.engine);
    cr_assert(assumed);
    say_query(a, "COMMIT");
    expect_text(asked(a), "Q");
    reply(a, "CZ");
    expect_text(asked(a), "Q"); // whether the lookup is a plain read
    put_text_row(&a->from_server, yes, 1);
    reply(a, "CZ");
    expect_text(asked(a), VETTING);
    cr_expect_not(assumed->assumed);
    answer_vetting(a);
    (void)told(a);
    end(&f);
}
