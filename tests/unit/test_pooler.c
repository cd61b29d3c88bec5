// SPDX-License-Identifier: PostgreSQL
//
// Is there a pooler in front of the server, and does it share connections? Told by the process ids that
// proofs report: sessions of the fixture are given some, and the log says what was concluded.
#include <criterion/criterion.h>

#include "tests/unit/fixture.h"

static unsigned seen, shared; // what was logged

static void count(enum reason reason, const char *message) {
    cr_assert_str_eq(message, "here");
    seen += reason == REASON_POOLER_SEEN;
    shared += reason == REASON_POOLER;
}

static void begin(struct fixture *f) {
    seen = shared = 0;
    fixture_init(f);
    f->log = count;
    fixture_start(f, 0);
}

// The server at the address has told the client that this process serves it.
static struct session *log_in_to(struct fixture *f, const char *address, uint32_t pid) {
    struct session *s = add_client(f, address, BYTES("user\0alice\0"))->session;
    session_server(s, text_slice(address), pid);
    return s;
}

Test(pooler, the_server_itself) {
    struct fixture f;
    begin(&f);
    struct session *s = log_in_to(&f, "here", 7);
    cr_assert(session_is_careful(s));
    pooler_note(s, 7);
    cr_assert_not(session_is_careful(s));
    cr_assert_not(session_only_forwards(s));
    cr_assert_eq(seen + shared, 0);
    fixture_end(&f);
}

Test(pooler, one_that_shares_nothing) {
    struct fixture f;
    begin(&f);
    struct session *a = log_in_to(&f, "here", 7), *b = log_in_to(&f, "here", 8);
    for (int i = 0; i < 3; i++) {
        pooler_note(a, 70);
        pooler_note(b, 80);
        pooler_note(b, 0); // its proof failed
    }
    cr_assert(session_is_careful(a) && session_is_careful(b));
    cr_assert_not(session_only_forwards(a));
    log_out(&f.clients[0]);
    struct session *c = log_in_to(&f, "here", 9);
    cr_assert(c->wants_proof);
    pooler_note(c, 70); // the one that it has left
    cr_assert_not(session_only_forwards(c));
    cr_assert_eq(seen, 1);
    cr_assert_eq(shared, 0);
    fixture_end(&f);
}

Test(pooler, another_process_than_before) {
    struct fixture f;
    begin(&f);
    struct session *a = log_in_to(&f, "here", 7), *b = log_in_to(&f, "there", 8);
    pooler_note(a, 70);
    pooler_note(a, 71);
    cr_assert(session_only_forwards(a));
    cr_assert_not(session_only_forwards(b));
    pooler_note(a, 7); // for good
    struct session *c = log_in_to(&f, "here", 9);
    cr_assert(session_only_forwards(a) && session_only_forwards(c));
    cr_assert_eq(shared, 1);
    fixture_end(&f);
}

Test(pooler, two_sessions_of_one_process) {
    struct fixture f;
    begin(&f);
    struct session *a = log_in_to(&f, "here", 7), *b = log_in_to(&f, "here", 8);
    pooler_note(a, 70);
    cr_assert(b->wants_proof);
    pooler_note(b, 70);
    cr_assert(session_only_forwards(a) && session_only_forwards(b));
    cr_assert_eq(seen, 1);
    cr_assert_eq(shared, 1);
    fixture_end(&f);
}

// A session that nobody has told of its server, as in other tests, is taken for one without a pooler.
Test(pooler, not_told) {
    struct fixture f;
    begin(&f);
    struct session *s = add_client(&f, "here", BYTES("user\0alice\0"))->session;
    pooler_note(s, 5);
    pooler_note(s, 6);
    cr_assert_not(session_is_careful(s) || session_only_forwards(s));
    fixture_end(&f);
}
