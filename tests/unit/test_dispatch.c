// SPDX-License-Identifier: PostgreSQL
//
// When a group's lookups go out: a few at once to a near server, one after the other to a far one.
#include "tests/unit/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/base/distance.h"
#include "batching/flow/turn.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/statement/guard.h"
#include "tests/unit/vetted.h"

#define N 3

static void lookup(struct client *c, int key) {
    char text[64];
    snprintf(text, sizeof text, "SELECT a FROM t WHERE id = %d", key);
    say_query(c, text);
}

static struct group *group_of(struct fixture *f) {
    for (struct group *g = f->engine->groups.newest; g; g = g->older)
        if (!group_is_read(g))
            return g;
    return NULL;
}

static void make_ready(struct fixture *f) {
    static const uint32_t type = OID_INT4;
    struct vet_result r = {.answered = true, .ok = true, .key_unique = true, .key_type = type};
    put_vetting(group_of(f), &r, 1, &type, 1);
    cr_assert_null(group_vetted(&f->engine->groups, group_of(f), f->engine->now, f->engine->generation));
}

// Sessions of one identity whose lookups fold; one more made the statement known, and has left. A lookup alone
// takes so many microseconds, of which so many are the way.
static void setup(struct fixture *f, uint64_t takes, uint64_t way) {
    fixture_init(f);
    f->now = 1000;
    f->limits.vet_max_age = 60000000;
    fixture_start(f, N + 1);
    struct client *first = &f->clients[N];
    first->session->identity.state = IDENTITY_PROVEN;
    struct identity *one = session_identity_current(&f->engine->identities, &first->session->identity);
    for (unsigned i = 0; i < N; i++) {
        f->clients[i].session->identity.state = IDENTITY_PROVEN;
        f->clients[i].session->identity.current = one;
        one->refs++;
    }
    lookup(first, 1);
    turn(f, 1000);
    make_ready(f);
    lose_server(first); // whatever was asked
    log_out(first);
    group_of(f)->shape->guard = (struct guard){0};
    guard_note_lone(&group_of(f)->shape->guard, takes);
    f->engine->distance = (struct distance){0};
    distance_note(&f->engine->distance, f->now, way);
}

static void end(struct fixture *f) {
    for (unsigned i = 0; i < N; i++)
        log_out(&f->clients[i]);
    fixture_end(f);
}

static bool has_gone_out(struct fixture *f, unsigned i) {
    return f->clients[i].to_server.len > 0;
}

// All sessions ask: two places are free.
static void all_ask(struct fixture *f) {
    for (unsigned i = 0; i < N; i++) {
        lookup(&f->clients[i], (int)i + 10);
        turn(f, f->now + 1);
        cr_assert_eq(has_gone_out(f, i), i < 2, "%u", i);
    }
}

Test(dispatch, a_near_servers_answers_are_waited_for) {
    struct fixture f;
    setup(&f, 300, 100);
    all_ask(&f);
    cr_assert_geq(engine_deadline(f.engine), f.now + 5000);
    turn(&f, f.now + 5000);
    cr_assert(!has_gone_out(&f, 2));
    end(&f);
}

Test(dispatch, a_far_servers_are_not) {
    struct fixture f;
    setup(&f, 5100, 5000);
    all_ask(&f);
    uint64_t due = engine_deadline(f.engine);
    cr_assert_leq(due, f.now + 50, "it is what the server needs for one, shared among two");
    turn(&f, due - 1);
    cr_assert(!has_gone_out(&f, 2));
    turn(&f, due);
    cr_assert(has_gone_out(&f, 2));
    end(&f);
}

Test(dispatch, the_way_is_the_least_time_of_late) {
    struct distance d = {0};
    cr_assert_eq(distance_to(&d), 0);
    distance_note(&d, 1000, 700);
    distance_note(&d, 2000, 500);
    distance_note(&d, 3000, 900);
    distance_note(&d, 4000, 0);
    cr_assert_eq(distance_to(&d), 500);
    distance_note(&d, 1000 + DISTANCE_SPAN, 600);
    cr_assert_eq(distance_to(&d), 500, "that was a moment ago");
    distance_note(&d, 1000 + 2 * DISTANCE_SPAN, 800);
    cr_assert_eq(distance_to(&d), 600);
    distance_note(&d, 1000 + 9 * DISTANCE_SPAN, 800);
    cr_assert_eq(distance_to(&d), 800, "nothing was asked for long");
}
