// SPDX-License-Identifier: PostgreSQL
//
// Loops in loops, and a server that is far: when the catalogue is asked, when the outer loop is followed, and what counts as a
// pause of the client's.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/ahead/ahead.h"
#include "batching/base/distance.h"
#include "batching/flow/turn.h"
#include "batching/fold/group.h"
#include "batching/session/bounds.h"
#include "batching/talk/client.h"
#include "tests/unit/loops.h"

#define FAR 10000 // microseconds

static const char vetting[] = VETTING;

// The list has been read; nobody has looked anything up.
static struct client *begin_at(struct fixture *f, uint64_t way) {
    setup(f);
    struct client *c = &f->clients[0];
    prove_read_committed(c);
    list(c, false, 'Z');
    f->engine->distance = (struct distance){0};
    distance_note(&f->engine->distance, f->now, way);
    return c;
}

static void answer_read_vet(struct client *c) {
    const char *yes[] = {"t"};
    put_text_row(&c->from_server, yes, 1);
    reply(c, "CZ");
}

static const char *both_asked(struct client *c, const char *lookups) {
    static char text[100];
    const char *got = asked(c);
    cr_assert_eq(strncmp(got, lookups, strlen(lookups)), 0, "%s", got);
    snprintf(text, sizeof text, "%s", got + strlen(lookups));
    return text;
}

// The first lookup behind a list is worth a question where each that is sent while nothing is known takes long.
Test(nested, a_far_server_is_asked_at_the_first_lookup) {
    const struct {
        uint64_t way;
        const char *question;
    } cases[] = {{200, ""}, {1900, ""}, {2000, vetting}, {FAR, vetting}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct client *c = begin_at(&f, cases[i].way);
        lookup(c, 1);
        expect_text(both_asked(c, "QQ"), cases[i].question);
        answer_read_vet(c);
        answer(c, 1, 'Z');
        if (*cases[i].question)
            answer_vetting(c);
        end(&f);
    }
}

Test(nested, a_key_that_the_last_list_lacks_is_worth_none) {
    static const char *const others[] = {"21", "22", "23"};
    struct fixture f;
    struct client *c = begin_at(&f, FAR);
    say_query(c, "SELECT id FROM list WHERE true");
    reply_with(c, "LDDDCZ", others);
    (void)told(c);
    expect_text(asked(c), "Q");
    lookup(c, 1);
    expect_text(asked(c), "QQ");
    answer_read_vet(c);
    answer(c, 1, 'Z');
    end(&f);
}

// The client has gone down from the answer to its first lookup when the catalogue's answer about it comes: the other rows are
// loaded behind what it asks there, so they are there when it comes back.
Test(nested, the_outer_loop_is_followed_while_the_client_is_below) {
    struct fixture f;
    struct client *c = begin_at(&f, FAR);
    lookup(c, 1);
    (void)asked(c);
    answer_read_vet(c);
    answer(c, 1, 'Z');
    expect_text(told(c), "TDCZ");
    say_query(c, "SELECT id FROM u WHERE id = 1");
    turn(&f, f.now);
    expect_text(both_asked(c, "QQ"), vetting);
    answer_vetting(c); // of `t`
    expect_text(asked(c), "CCPDBEPBES");
    cr_assert_eq(counters(&f)->ahead_keys, 8);
    answer_read_vet(c);
    answer(c, 1, 'Z');
    expect_text(told(c), "TDCZ");
    reply(c, "eZ"); // the question about `u`
    answer_batch(c, 2, 9, NEW, false);
    for (int key = 2; key <= 9; key++)
        cr_expect(is_held(c, key), "%d", key);
    expect_text(asked(c), "");
    end(&f);
}

// Of a client that does nothing below, or has stopped, nothing is loaded: one lookup is no loop.
Test(nested, one_lookup_alone_loads_nothing) {
    struct fixture f;
    struct client *c = begin_at(&f, FAR);
    lookup(c, 1);
    (void)asked(c);
    answer_read_vet(c);
    answer(c, 1, 'Z');
    answer_vetting(c);
    turn(&f, f.now + 1000);
    expect_text(asked(c), "");
    lookup(c, 2);
    expect_text(asked(c), "CCPDBEPBES");
    answer_batch(c, 2, 9, NEW, false);
    expect_text(told(c), "TDCZTDCZ");
    end(&f);
}

// A client that sends the beginning of a statement has not asked yet.
Test(nested, a_statement_comes_when_all_of_it_has_come) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    load_and_hold(c);
    static const uint8_t whole[] = "Q\0\0\0\x22SELECT id FROM t WHERE id = 3\0";
    (void)session_from_client(c->session, whole, 20, f.now);
    cr_assert_eq(c->session->front_since, 0);
    end(&f);
}

// Time in which the client waits is no pause: what its lookup has waited before it was looked at again.
Test(nested, a_pause_ends_when_the_clients_unit_comes) {
    struct fixture f;
    setup(&f);
    struct client *c = &f.clients[0];
    load_and_hold(c);
    struct session *s = c->session;
    struct batch *b = s->ahead->held;
    uint64_t answered = f.now;
    s->last_answer = s->ahead->last_answer = b->started = answered;
    turn(&f, answered + 30000);
    cr_assert_not(ahead_is_fresh(s->ahead, s, b), "nothing has come for longer than max_gap");
    s->front_since = answered + 6000;
    cr_assert_not(ahead_is_fresh(s->ahead, s, b), "it came after max_gap");
    s->front_since = answered + 4000;
    cr_assert(ahead_is_fresh(s->ahead, s, b), "it came in time, and waits since");
    turn(&f, answered + 100001);
    cr_assert_not(ahead_is_fresh(s->ahead, s, b), "age counts in any case");
    s->front_since = 0;
    end(&f);
}
