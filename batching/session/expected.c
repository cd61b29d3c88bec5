// SPDX-License-Identifier: PostgreSQL
#include "batching/session/expected.h"

#include <stdlib.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/wire.h"
#include "protocol/message.h"

static struct expected shift_expected(struct session *s) {
    struct expected x = s->expect.ring[s->expect.head];
    s->expect.head = (s->expect.head + 1) & (s->expect.cap - 1);
    s->expect.n--;
    if (!s->expect.n && s->expect.cap > 64) { // an idle session keeps little
        free(s->expect.ring);
        s->expect.ring = NULL;
        s->expect.cap = s->expect.head = 0;
    }
    return x;
}

struct statement *session_shift_expected(struct session *s, struct owed *o) {
    o->n_expected--;
    return shift_expected(s).statement;
}

void session_drop_expected(struct session *s) {
    while (s->expect.n)
        statement_unref(shift_expected(s).statement);
}

static void unnamed_is_unknown(struct session *s) {
    statement_unref(s->names.unnamed);
    names_put_unnamed(s, statement_create(s, "", 0, NULL));
    session_note_unnamed(s, true, NULL);
    if (!s->names.unnamed)
        session_fail(s, "53200", "out of memory");
}

// The Parse failed or was never reached: what the server has under the name is not known.
static void statement_not_parsed(struct session *s, struct statement *st) {
    st->confirmed = false;
    if (st == s->names.unnamed)
        unnamed_is_unknown(s);
    else if (st->name[0])
        session_drop_if_listed(s, st);
    else if (s->names.server_unnamed == st->shape)
        session_note_unnamed(s, true, NULL);
}

// The same for a Parse of our own: the client has the statement, and the server lacks it still.
static void statement_not_given(struct session *s, struct statement *st) {
    if (!st->name[0])
        session_note_unnamed(s, true, NULL);
    if (st->forgotten)
        session_list_again(s, st);
    names_more_lazy(s, st->name[0] != 0);
    st->on_server = false;
}

// The Close of the unnamed statement failed: the statement is still there. If its Parse was not reached
// either, the one before it is.
static void statement_not_closed(struct session *s, struct statement *st) {
    names_reopen_unnamed(s, st);
    if (st->confirmed)
        session_note_unnamed(s, true, NULL);
    else
        unnamed_is_unknown(s);
}

static void expected_not_said(struct session *s, struct expected x) {
    if (x.statement && x.kind == EXPECT_PARSE)
        statement_not_parsed(s, x.statement);
    if (x.statement && x.kind == EXPECT_DELAYED)
        statement_not_given(s, x.statement);
    if (x.statement && x.kind == EXPECT_CLOSE && s->names.closing == x.statement)
        statement_not_closed(s, x.statement);
    statement_unref(x.statement);
}

void session_end_expected(struct session *s, struct owed *o) {
    for (; o->n_expected && s->expect.n; o->n_expected--)
        expected_not_said(s, shift_expected(s));
    s->expect.stage = 0;
}

void expected_finish(struct session *s) {
    free(s->expect.ring);
    s->expect = (struct expected_queue){0};
}

static bool grow_expected(struct session *s) {
    unsigned cap = s->expect.cap ? s->expect.cap * 2 : 16;
    struct expected *ring = cap <= 4 * SESSION_MAX_EXPECTED ? calloc(cap, sizeof *ring) : NULL;
    if (!ring)
        return false;
    for (unsigned i = 0; i < s->expect.n; i++)
        ring[i] = s->expect.ring[(s->expect.head + i) & (s->expect.cap - 1)];
    free(s->expect.ring);
    s->expect.ring = ring;
    s->expect.head = 0;
    s->expect.cap = cap;
    return true;
}

static void expect(struct session *s, struct expected x) {
    struct owed *o = owed_last(s);
    if (x.statement)
        x.statement->refs++;
    if (o->error) { // the server "ignores messages until a Sync is reached"
        expected_not_said(s, x);
        return;
    }
    if (s->expect.n == s->expect.cap && !grow_expected(s)) {
        statement_unref(x.statement);
        session_fail(s, "53200", "out of memory");
        return;
    }
    s->expect.ring[(s->expect.head + s->expect.n++) & (s->expect.cap - 1)] = x;
    o->n_expected++;
}

void session_expect(struct session *s, enum expected_kind kind, struct statement *st) {
    expect(s, (struct expected){.kind = kind, .statement = st});
    s->figures->server_parses += kind == EXPECT_PARSE;
}

bool session_expects(const struct session *s, enum expected_kind kind, const struct statement *st) {
    for (unsigned i = 0; i < s->expect.n; i++) {
        const struct expected *x = &s->expect.ring[(s->expect.head + i) & (s->expect.cap - 1)];
        if (x->kind == kind && x->statement == st)
            return true;
    }
    return false;
}

void session_expect_delayed(struct session *s, struct statement *st, bool waited) {
    st->tried = true;
    expect(s, (struct expected){
                  .kind = EXPECT_DELAYED, .statement = st, .waited = waited, .sent = s->engine->now});
    s->figures->server_parses++;
}

void session_list_again(struct session *s, struct statement *st) {
    struct slice name = statement_name_of(st);
    st->forgotten = false;
    if (session_statement(s, name) || s->names.n >= s->engine->limits.max_statements)
        return;
    if (names_list(s, st))
        st->refs++;
}
