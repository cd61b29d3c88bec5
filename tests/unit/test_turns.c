// SPDX-License-Identifier: PostgreSQL
//
// How much of one client's input is looked at in a turn of the loop, and when it goes on.
#include <criterion/criterion.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/flow/turn.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "protocol/frame.h"
#include "protocol/write.h"
#include "tests/unit/bytes.h"
#include "tests/unit/effects.h"

struct side {
    struct session *session;
    struct buf in; // what is still to be taken
    unsigned resumed;
};

struct fixture {
    struct engine *engine;
    struct side greedy[3], other;
    uint64_t now;
};

static void drop(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)owner, (void)bytes, (void)len, (void)more;
}

static void resume(void *owner) {
    ((struct side *)owner)->resumed++;
}

static const struct engine_effects effects = {drop, drop, resume, cancel_is_sent, nothing, no_log};

static void open_side(struct fixture *f, struct side *s) {
    *s = (struct side){.in = buf_make(1 << 22)};
    s->session =
        session_create(f->engine, s, text_slice("server"), BYTES("user\0alice\0"), false, f->engine->now);
}

static void setup(struct fixture *f) {
    struct engine_limits limits = {.max_keys = 100,
                                   .max_in_flight = 2,
                                   .max_waiting = 100,
                                   .max_shapes = 100,
                                   .max_groups = 100,
                                   .max_statements = 100,
                                   .max_answer = 100000,
                                   .max_text = 10000,
                                   .vet_max_age = 1000000};
    *f = (struct fixture){.engine = engine_create(&limits, &effects, NULL), .now = 1000000};
    for (int i = 0; i < 3; i++)
        open_side(f, &f->greedy[i]);
    open_side(f, &f->other);
    engine_sleeps(f->engine, f->now, UINT64_MAX);
}

static void teardown(struct fixture *f) {
    for (int i = 0; i < 3; i++) {
        session_destroy(f->greedy[i].session, f->engine->now);
        buf_free(&f->greedy[i].in);
    }
    session_destroy(f->other.session, f->engine->now);
    buf_free(&f->other.in);
    engine_destroy(f->engine);
}

static void wake(struct fixture *f, uint64_t after) {
    f->now += after;
    engine_wakes(f->engine, f->now);
}

// The turn has lasted so long.
static void end_turn(struct fixture *f, uint64_t lasted) {
    f->now += lasted;
    engine_turn(f->engine, f->now);
    engine_sleeps(f->engine, f->now, UINT64_MAX);
}

// 10,000 messages of no consequence. Returns how many are looked at.
static size_t flood(struct fixture *f, struct side *s) {
    engine_wakes(f->engine, f->now);
    while (s->in.len < 50000)
        write_empty(&s->in, F_FLUSH);
    size_t taken = session_takes_client(s->session)
                       ? session_from_client(s->session, s->in.data, s->in.len, s->session->engine->now)
                       : 0;
    buf_consume(&s->in, taken);
    return taken / 5;
}

static void speak(struct fixture *f) {
    write_empty(&f->other.in, F_FLUSH);
    cr_assert_eq(session_from_client(f->other.session, f->other.in.data, f->other.in.len,
                                     f->other.session->engine->now),
                 5);
    buf_reset(&f->other.in);
}

Test(turns, a_flood_is_looked_at_in_slices) {
    struct fixture f;
    setup(&f);
    wake(&f, 1000);
    size_t n = flood(&f, &f.greedy[0]);
    cr_assert(n > 1000 && n < 9000, "%zu", n);
    cr_assert(f.greedy[0].session->hold.turn);
    cr_assert_eq(flood(&f, &f.greedy[0]), 0);
    speak(&f);
    end_turn(&f, 1000);
    cr_assert_eq(f.greedy[0].resumed, 0, "not in the same turn");
    teardown(&f);
}

Test(turns, alone_it_goes_on_when_the_loop_has_looked_for_others) {
    struct fixture f;
    setup(&f);
    for (unsigned i = 1; i < 10; i++) {
        wake(&f, 1);
        cr_assert(flood(&f, &f.greedy[0]) > 1000);
        end_turn(&f, 2000);
        cr_assert(engine_deadline(f.engine) <= f.now);
        wake(&f, 1);
        end_turn(&f, 0);
        cr_assert_eq(f.greedy[0].resumed, i);
        cr_assert_not(f.greedy[0].session->hold.turn);
    }
    teardown(&f);
}

Test(turns, beside_others_it_waits_for_twice_as_long_as_it_took) {
    struct fixture f;
    setup(&f);
    wake(&f, 1000);
    speak(&f);
    (void)flood(&f, &f.greedy[0]);
    end_turn(&f, 3000);
    cr_assert_eq(engine_deadline(f.engine), f.now + 6000);
    for (int i = 0; i < 59; i++) {
        wake(&f, 100);
        speak(&f);
        end_turn(&f, 0);
        cr_assert_eq(f.greedy[0].resumed, 0);
    }
    wake(&f, 100);
    end_turn(&f, 0);
    cr_assert_eq(f.greedy[0].resumed, 1);
    teardown(&f);
}

// However many they are: one after the other.
Test(turns, of_several_one_is_read_at_a_time) {
    struct fixture f;
    setup(&f);
    wake(&f, 1000);
    speak(&f);
    for (int i = 0; i < 3; i++)
        cr_assert(flood(&f, &f.greedy[i]) > 1000);
    end_turn(&f, 3000);
    unsigned busy = 0, turns = 0;
    for (; turns < 300; turns++) {
        wake(&f, 100);
        speak(&f);
        uint64_t lasted = 0;
        for (int i = 0; i < 3; i++)
            lasted += flood(&f, &f.greedy[i]) ? 1000 : 0;
        busy += (unsigned)(lasted / 1000);
        cr_assert(lasted <= 1000);
        end_turn(&f, lasted);
    }
    // Of 300 turns that begin 100 microseconds after the last one, each of a millisecond waits for twenty.
    cr_assert(busy >= 12 && busy <= 17, "%u", busy);
    for (int i = 0; i < 3; i++)
        cr_assert(f.greedy[i].resumed >= busy / 3 - 1, "%d: %u", i, f.greedy[i].resumed);
    teardown(&f);
}

Test(turns, who_leaves_while_waiting_is_not_waited_for) {
    for (int gone = 0; gone < 3; gone++) {
        struct fixture f;
        setup(&f);
        wake(&f, 1000);
        for (int i = 0; i < 3; i++)
            (void)flood(&f, &f.greedy[i]);
        end_turn(&f, 1000);
        session_destroy(f.greedy[gone].session, f.greedy[gone].session->engine->now);
        f.greedy[gone].session = NULL;
        for (int i = 0; i < 3; i++) {
            wake(&f, 100000);
            end_turn(&f, 0);
        }
        for (int i = 0; i < 3; i++)
            cr_assert_eq(f.greedy[i].resumed, i != gone);
        cr_assert_eq(engine_deadline(f.engine), UINT64_MAX);
        teardown(&f);
    }
}

// What a client sends at the pace of its answers never is too much.
Test(turns, a_steady_client_is_not_held) {
    struct fixture f;
    setup(&f);
    for (int i = 0; i < 100000; i++) {
        wake(&f, 30);
        speak(&f);
    }
    cr_assert_not(f.other.session->hold.turn);
    teardown(&f);
}

// Where nobody says when the loop waits, the next turn is one that comes later.
Test(turns, without_a_vigil_the_next_turn_goes_on) {
    struct fixture f;
    setup(&f);
    f.engine->vigil = (struct vigil){0};
    (void)flood(&f, &f.greedy[0]);
    engine_turn(f.engine, f.now);
    cr_assert_eq(f.greedy[0].resumed, 1);
    teardown(&f);
}
