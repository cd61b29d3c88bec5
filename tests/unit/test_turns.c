// SPDX-License-Identifier: PostgreSQL
//
// How much of one client's input is looked at in a turn of the event loop, and when it goes on.
//
// Three clients of the fixture send floods and a fourth speaks now and then; the test says how long each
// turn took.
#include <criterion/criterion.h>

#include "batching/flow/turn.h"
#include "batching/talk/client.h"
#include "protocol/write.h"
#include "tests/unit/fixture.h"

// Three clients that send more than can be looked at in a turn, and one that does not.
enum { GREEDY = 3, OTHER = 3 };

static void setup(struct fixture *f) {
    fixture_init(f);
    f->now = 1000000;
    fixture_start(f, GREEDY + 1);
    sleep_until(f, UINT64_MAX);
}

static void wake_after(struct fixture *f, uint64_t microseconds) {
    wake(f, f->now + microseconds);
}

// The turn has lasted so long. Who is resumed goes on in a later one.
static void end_turn(struct fixture *f, uint64_t lasted) {
    f->now += lasted;
    engine_turn(f->engine, f->now);
    sleep_until(f, UINT64_MAX);
}

// 10,000 messages of no consequence. Returns how many are looked at.
static size_t flood(struct client *c) {
    wake_after(c->fixture, 0);
    while (c->from_client.len < 50000)
        write_empty(&c->from_client, F_FLUSH);
    return session_takes_client(c->session) ? offer(c) / 5 : 0;
}

static void speak(struct fixture *f) {
    struct client *c = &f->clients[OTHER];
    write_empty(&c->from_client, F_FLUSH);
    say(c);
}

Test(turns, a_flood_is_looked_at_in_slices) {
    struct fixture f;
    setup(&f);
    wake_after(&f, 1000);
    size_t n = flood(&f.clients[0]);
    cr_assert(n > 1000 && n < 9000, "%zu", n);
    cr_assert(f.clients[0].session->hold.turn);
    cr_assert_eq(flood(&f.clients[0]), 0);
    speak(&f);
    end_turn(&f, 1000);
    cr_assert_eq(f.clients[0].n_resumed, 0, "not in the same turn");
    fixture_end(&f);
}

Test(turns, alone_it_goes_on_when_the_loop_has_looked_for_others) {
    struct fixture f;
    setup(&f);
    for (unsigned i = 1; i < 10; i++) {
        wake_after(&f, 1);
        cr_assert(flood(&f.clients[0]) > 1000);
        end_turn(&f, 2000);
        cr_assert(engine_deadline(f.engine) <= f.now);
        wake_after(&f, 1);
        end_turn(&f, 0);
        cr_assert_eq(f.clients[0].n_resumed, i);
        cr_assert_not(f.clients[0].session->hold.turn);
    }
    fixture_end(&f);
}

Test(turns, beside_others_it_waits_for_twice_as_long_as_it_took) {
    struct fixture f;
    setup(&f);
    wake_after(&f, 1000);
    speak(&f);
    (void)flood(&f.clients[0]);
    end_turn(&f, 3000);
    cr_assert_eq(engine_deadline(f.engine), f.now + 6000);
    for (int i = 0; i < 59; i++) {
        wake_after(&f, 100);
        speak(&f);
        end_turn(&f, 0);
        cr_assert_eq(f.clients[0].n_resumed, 0);
    }
    wake_after(&f, 100);
    end_turn(&f, 0);
    cr_assert_eq(f.clients[0].n_resumed, 1);
    fixture_end(&f);
}

// Several that flood take turns, one at a time.
Test(turns, of_several_one_is_read_at_a_time) {
    struct fixture f;
    setup(&f);
    wake_after(&f, 1000);
    speak(&f);
    for (int i = 0; i < GREEDY; i++)
        cr_assert(flood(&f.clients[i]) > 1000);
    end_turn(&f, 3000);
    unsigned busy = 0, turns = 0;
    for (; turns < 300; turns++) {
        wake_after(&f, 100);
        speak(&f);
        uint64_t lasted = 0;
        for (int i = 0; i < GREEDY; i++)
            lasted += flood(&f.clients[i]) ? 1000 : 0;
        busy += (unsigned)(lasted / 1000);
        cr_assert(lasted <= 1000);
        end_turn(&f, lasted);
    }
    // Of 300 turns that begin 100 microseconds after the last one, each of a millisecond waits for twenty.
    cr_assert(busy >= 12 && busy <= 17, "%u", busy);
    for (int i = 0; i < GREEDY; i++)
        cr_assert(f.clients[i].n_resumed >= busy / 3 - 1, "%d: %u", i, f.clients[i].n_resumed);
    fixture_end(&f);
}

Test(turns, who_leaves_while_waiting_is_not_waited_for) {
    for (int gone = 0; gone < GREEDY; gone++) {
        struct fixture f;
        setup(&f);
        wake_after(&f, 1000);
        for (int i = 0; i < GREEDY; i++)
            (void)flood(&f.clients[i]);
        end_turn(&f, 1000);
        log_out(&f.clients[gone]);
        for (int i = 0; i < GREEDY; i++) {
            wake_after(&f, 100000);
            end_turn(&f, 0);
        }
        for (int i = 0; i < GREEDY; i++)
            cr_assert_eq(f.clients[i].n_resumed, i != gone);
        cr_assert_eq(engine_deadline(f.engine), UINT64_MAX);
        fixture_end(&f);
    }
}

// A client that waits for its answers never sends too much.
Test(turns, a_steady_client_is_not_held) {
    struct fixture f;
    setup(&f);
    for (int i = 0; i < 100000; i++) {
        wake_after(&f, 30);
        speak(&f);
    }
    cr_assert_not(f.clients[OTHER].session->hold.turn);
    fixture_end(&f);
}

// Without the loop's reports of its waits, a session goes on in the next turn.
Test(turns, without_a_vigil_the_next_turn_goes_on) {
    struct fixture f;
    setup(&f);
    f.engine->vigil = (struct vigil){0};
    (void)flood(&f.clients[0]);
    engine_turn(f.engine, f.now);
    cr_assert_eq(f.clients[0].n_resumed, 1);
    fixture_end(&f);
}
