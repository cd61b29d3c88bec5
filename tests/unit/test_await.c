// SPDX-License-Identifier: PostgreSQL
//
// A burst on new connections: which lookups wait until their session is proven or their statement is vetted,
// and for how long.
//
// Three clients of the fixture ask the same at once. What went to the server is read as L for a lookup, P
// for a proof and V for the catalogue's question.
#include <criterion/criterion.h>

#include "batching/flow/await.h"
#include "batching/flow/turn.h"
#include "batching/session/awaiting.h"
#include "batching/session/session_state.h"
#include "batching/talk/client.h"
#include "protocol/frame.h"
#include "tests/unit/fixture.h"

#define N 3

static void setup(struct fixture *f) {
    fixture_init(f);
    fixture_start(f, N);
}

static void end(struct fixture *f) {
    for (int i = 0; i < N; i++)
        log_out(&f->clients[i]);
    cr_assert_null(f->engine->awaiting.first);
    fixture_end(f);
}

static void look_up(struct client *c) {
    ask(c, "SELECT a FROM t WHERE id = 1");
}

// What went to the server since the last call: L lookup, P proof, V anything else, which asks for a verdict.
static const char *sent(struct client *c) {
    static char text[32];
    struct frame fr;
    size_t n = 0;
    for (size_t at = 0; frame_read(c->to_server.data + at, c->to_server.len - at, &fr) == FRAME_OK && n < 31;
         at += fr.size) {
        const char *sql = (const char *)fr.body;
        bool lookup = strncmp(sql, "SELECT a FROM t", 15) == 0 && fr.type == F_QUERY;
        char what = lookup ? 'L' : strncmp(sql, "SELECT CURRENT_USER", 19) == 0 ? 'P' : 'V';
        if (!n || text[n - 1] != what)
            text[n++] = what;
    }
    text[n] = 0;
    buf_reset(&c->to_server);
    return text;
}

Test(await, one_on_its_own_does_not_wait) {
    struct fixture f;
    setup(&f);
    look_up(&f.clients[0]);
    turn(&f, 1);
    cr_assert_str_eq(sent(&f.clients[0]), "LP", "and is proven behind");
    end(&f);
}

Test(await, one_in_company_is_proven_first) {
    struct fixture f;
    setup(&f);
    look_up(&f.clients[0]);
    look_up(&f.clients[1]);
    turn(&f, 1);
    cr_assert_str_eq(sent(&f.clients[0]), "LP");
    cr_assert_str_eq(sent(&f.clients[1]), "P");
    cr_assert_eq(f.clients[1].session->hold.await.kind, AWAIT_PROOF);
    cr_assert_not(session_takes_client(f.clients[1].session));
    end(&f);
}

// Two that are proven and come together: one asks for the verdict, both wait for it.
static void both_await_the_verdict(struct fixture *f) {
    static const char *const settings[] = {"search_path", "public", NULL};
    setup(f);
    look_up(&f->clients[0]);
    look_up(&f->clients[1]);
    look_up(&f->clients[2]);
    turn(f, 1);
    for (int i = 1; i < N; i++) {
        answer_proof(&f->clients[i], settings);
        cr_assert_eq(f->clients[i].session->hold.await.kind, AWAIT_VERDICT);
        cr_assert_not(session_is_idle(f->clients[i].session), "its lookup is unread, and may not be lost");
    }
    turn(f, 2);
    cr_assert_str_eq(sent(&f->clients[1]), "PV");
    cr_assert_str_eq(sent(&f->clients[2]), "P");
}

Test(await, a_verdict_is_asked_for_once_and_awaited) {
    struct fixture f;
    both_await_the_verdict(&f);
    reply(&f.clients[1], "EZ");
    turn(&f, 3);
    cr_assert_eq(f.clients[2].session->hold.await.kind, AWAIT_NOTHING);
    cr_assert_not_null(strchr(sent(&f.clients[1]), 'L'), "it is not to be folded, so it runs as sent");
    cr_assert_not_null(strchr(sent(&f.clients[2]), 'L'));
    end(&f);
}

Test(await, a_verdict_that_is_lost_is_not_awaited) {
    struct fixture f;
    both_await_the_verdict(&f);
    lose_server(&f.clients[1]);
    cr_assert(f.clients[2].resumed);
    turn(&f, 3);
    cr_assert_not_null(strchr(sent(&f.clients[2]), 'V'), "it asks itself");
    end(&f);
}

// Each answer is outdated when it comes. The lookup waits for one about folding, and for one about what it reads; then it goes out.
Test(await, a_verdict_that_is_old_is_not_awaited_again) {
    struct fixture f;
    bool gone = false;
    both_await_the_verdict(&f);
    for (unsigned turns = 3; turns < 6; turns++) {
        engine_definitions_changed(f.engine);
        reply(&f.clients[1], "EZ");
        turn(&f, turns);
        gone |= strchr(sent(&f.clients[1]), 'L') != NULL;
    }
    cr_assert(gone);
    end(&f);
}

Test(await, patience_ends) {
    struct fixture f;
    both_await_the_verdict(&f);
    uint64_t until = engine_deadline(f.engine);
    cr_assert_leq(until, AWAIT_PATIENCE + 2);
    turn(&f, until);
    cr_assert_eq(f.clients[2].session->hold.await.kind, AWAIT_NOTHING);
    cr_assert_not_null(strchr(sent(&f.clients[2]), 'L'), "and it does not begin anew");
    end(&f);
}

// A session that has waited in vain for a verdict does not wait for it again.
Test(await, a_verdict_that_takes_long_is_not_awaited_again) {
    struct fixture f;
    both_await_the_verdict(&f);
    uint64_t until = engine_deadline(f.engine);
    turn(&f, until);
    (void)sent(&f.clients[2]);
    reply(&f.clients[2], "CZ");
    look_up(&f.clients[2]);
    turn(&f, until + 1);
    cr_assert_eq(f.clients[2].session->hold.await.kind, AWAIT_NOTHING);
    cr_assert_not_null(strchr(sent(&f.clients[2]), 'L'));
    end(&f);
}

Test(await, what_waits_can_be_cancelled) {
    struct fixture f;
    setup(&f);
    look_up(&f.clients[0]);
    look_up(&f.clients[1]);
    turn(&f, 1);
    cr_assert_not(request_cancel(&f.clients[1]), "no request to the server, which is at the proof");
    sent(&f.clients[1]);
    reply(&f.clients[1], "EZ");
    turn(&f, 2);
    cr_assert(f.clients[1].to_client.len && f.clients[1].to_client.data[0] == B_ERROR);
    cr_assert_str_eq(sent(&f.clients[1]), "", "it was not run");
    end(&f);
}

Test(await, what_is_cancelled_waits_for_no_verdict_of_anothers) {
    struct fixture f;
    both_await_the_verdict(&f);
    cr_assert_not(request_cancel(&f.clients[2]));
    sent(&f.clients[2]);
    buf_reset(&f.clients[2].to_client);
    turn(&f, 3);
    cr_assert(f.clients[2].to_client.len && f.clients[2].to_client.data[0] == B_ERROR);
    cr_assert_str_eq(sent(&f.clients[2]), "", "it was not run");
    cr_assert_eq(f.clients[1].session->hold.await.kind, AWAIT_VERDICT);
    end(&f);
}
