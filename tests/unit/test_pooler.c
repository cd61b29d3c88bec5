// SPDX-License-Identifier: PostgreSQL
//
// What the server's process ids say of poolers.
#include <criterion/criterion.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/talk/life.h"
#include "tests/unit/bytes.h"
#include "tests/unit/effects.h"

static unsigned seen, shared;

static void count(void *ctx, enum reason reason, uint64_t session, const char *message) {
    (void)ctx;
    (void)session;
    cr_assert_str_eq(message, "here");
    seen += reason == REASON_POOLER_SEEN;
    shared += reason == REASON_POOLER;
}

static void to_side(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)owner;
    (void)bytes;
    (void)len;
    (void)more;
}

static const struct engine_effects effects = {to_side, to_side, nothing, cancel_is_sent, nothing, count};
static const struct engine_limits limits = {.max_keys = 100,
                                            .max_in_flight = 2,
                                            .max_waiting = 100,
                                            .max_shapes = 100,
                                            .max_groups = 100,
                                            .max_statements = 100,
                                            .max_answer = 100000,
                                            .max_text = 10000,
                                            .vet_max_age = 1000000};

static struct session *log_in(struct engine *e, const char *address, uint32_t pid) {
    struct session *s = session_create(e, e, text_slice(address), BYTES("user\0alice\0"), false, e->now);
    session_server(s, text_slice(address), pid);
    return s;
}

static struct engine *begin(void) {
    seen = shared = 0;
    return engine_create(&limits, &effects, NULL);
}

Test(pooler, the_server_itself) {
    struct engine *e = begin();
    struct session *s = log_in(e, "here", 7);
    cr_assert(session_is_careful(s));
    pooler_note(s, 7);
    cr_assert_not(session_is_careful(s));
    cr_assert_not(session_only_forwards(s));
    cr_assert_eq(seen + shared, 0);
    session_destroy(s, s->engine->now);
    engine_destroy(e);
}

Test(pooler, one_that_shares_nothing) {
    struct engine *e = begin();
    struct session *a = log_in(e, "here", 7), *b = log_in(e, "here", 8);
    for (int i = 0; i < 3; i++) {
        pooler_note(a, 70);
        pooler_note(b, 80);
        pooler_note(b, 0); // its proof failed
    }
    cr_assert(session_is_careful(a) && session_is_careful(b));
    cr_assert_not(session_only_forwards(a));
    session_destroy(a, a->engine->now);
    struct session *c = log_in(e, "here", 9);
    cr_assert(c->wants_proof);
    pooler_note(c, 70); // the one that it has left
    cr_assert_not(session_only_forwards(c));
    cr_assert_eq(seen, 1);
    cr_assert_eq(shared, 0);
    session_destroy(b, b->engine->now);
    session_destroy(c, c->engine->now);
    engine_destroy(e);
}

Test(pooler, another_process_than_before) {
    struct engine *e = begin();
    struct session *a = log_in(e, "here", 7), *b = log_in(e, "there", 8);
    pooler_note(a, 70);
    pooler_note(a, 71);
    cr_assert(session_only_forwards(a));
    cr_assert_not(session_only_forwards(b));
    pooler_note(a, 7); // for good
    struct session *c = log_in(e, "here", 9);
    cr_assert(session_only_forwards(a) && session_only_forwards(c));
    cr_assert_eq(shared, 1);
    session_destroy(a, a->engine->now);
    session_destroy(b, b->engine->now);
    session_destroy(c, c->engine->now);
    engine_destroy(e);
}

Test(pooler, two_sessions_of_one_process) {
    struct engine *e = begin();
    struct session *a = log_in(e, "here", 7), *b = log_in(e, "here", 8);
    pooler_note(a, 70);
    cr_assert(b->wants_proof);
    pooler_note(b, 70);
    cr_assert(session_only_forwards(a) && session_only_forwards(b));
    cr_assert_eq(seen, 1);
    cr_assert_eq(shared, 1);
    session_destroy(a, a->engine->now);
    session_destroy(b, b->engine->now);
    engine_destroy(e);
}

// A session that nobody has told of its server, as in other tests, is taken for one without a pooler.
Test(pooler, not_told) {
    struct engine *e = begin();
    struct session *s = session_create(e, e, text_slice("here"), BYTES("user\0alice\0"), false, e->now);
    pooler_note(s, 5);
    pooler_note(s, 6);
    cr_assert_not(session_is_careful(s) || session_only_forwards(s));
    session_destroy(s, s->engine->now);
    engine_destroy(e);
}
