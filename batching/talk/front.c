// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/front.h"

#include <string.h>

#include "batching/base/reason.h"
#include "batching/flow/await.h"
#include "batching/flow/lend.h"
#include "batching/flow/own_queries.h"
#include "batching/fold/group.h"
#include "batching/fold/savepoint.h"
#include "batching/session/changes.h"
#include "batching/session/cursors.h"
#include "batching/session/engine.h"
#include "batching/session/lazy.h"
#include "batching/session/lists.h"
#include "batching/session/owed.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/statement/cursor.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "batching/talk/classify.h"
#include "batching/talk/effects.h"
#include "batching/talk/feed.h"
#include "batching/talk/inside.h"
#include "batching/talk/reads.h"
#include "batching/trust/identity.h"
#include "protocol/frame.h"
#include "protocol/message.h"

// EXECUTE, a function, a trigger: what it counts on is not known. A setting would change what is parsed
// later.
bool front_may_see_prepared(enum statement_kind kind, enum read_effect effect) {
    switch (kind) {
    case STATEMENT_READ:
        return effect != READ_PLAIN;
    case STATEMENT_OTHER:
    case STATEMENT_WRITE:
    case STATEMENT_LOAD:
    case STATEMENT_SET:
    case STATEMENT_SET_LOCAL:
    case STATEMENT_RESET_ALL:
        return true;
    default:
        return false;
    }
}

// Nothing of ours runs in front of the first statement of a transaction that takes a snapshot: it would take
// it too early where the statement waits for a lock first, and too early for one that says which isolation
// the transaction is to have. A SELECT takes one by itself, at once.
static bool has_snapshot(const struct session *s) {
    return s->txn == 'I' || s->transaction.snapshot;
}

// Gives the server what it lacks, in front of a unit. Inside of one that is waited for: false.
bool front_give_all(struct feed *f, bool asks) {
    struct session *s = f->s;
    if (!s->names.n_lazy || s->txn == 'E' || !has_snapshot(s))
        return true;
    feed_to_server(f, true);
    if (s->in_unit)
        return session_give_all(s) && (session_unit_is_answered(s) || inside_wait(f));
    bool first = session_parse_all(s, asks) == GIVING_FIRST;
    s->hold.lookups |= first;
    return !first;
}

// EXECUTE of a statement that the server lacks: of no other one it asks.
bool front_give_executed(struct feed *f, const char *name) {
    if (!*name || !f->s->names.n_lazy || f->s->in_unit)
        return false;
    feed_to_server(f, true);
    return session_give_named(f->s, (struct slice){(const uint8_t *)name, strlen(name)});
}

#define PROOFS_AHEAD 3

// A proof runs between transactions only. Of a session that was never proven, or not often, it runs in front
// of BEGIN, so that the lookups in the transaction find the session proven, and of a DECLARE WITH HOLD, whose
// pages would leave it in doubt. `hold`: it may be one. So does the question about the database, where it has
// been asked before.
void front_prove(struct feed *f, enum statement_kind kind, bool hold) {
    struct session *s = f->s;
    bool begins = kind == STATEMENT_BEGIN || hold;
    bool wanted = begins && s->identity.state == IDENTITY_UNPROVEN && s->identity.n_proofs < PROOFS_AHEAD;
    bool proves = wanted && engine_may_prove(s->engine);
    bool asks = begins && session_lacks_facts(s);
    if (!proves && !asks)
        return;
    feed_to_server(f, true);
    if (proves)
        session_start_proof(s);
    if (asks)
        session_ask_facts(s, false);
}

static bool asks_for_snapshot(enum statement_kind kind, const struct shape *shape, enum reason why) {
    if (kind == STATEMENT_OTHER)
        return effect_may_set_isolation(shape, why);
    return session_txn_asks(kind, shape ? shape->parsed : NULL);
}

void front_snapshot_for_query(struct feed *f, const struct statement_class *c) {
    if (!session_lacks_snapshot(f->s) || !asks_for_snapshot(c->kind, c->shape, c->reason))
        return;
    feed_to_server(f, true);
    session_take_snapshot(f->s);
}

// The statement that a message names; NULL: none that is known.
static struct shape *shape_of(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    enum reason why;
    struct msg_parse p;
    struct msg_bind b;
    struct slice text;
    if (fr->type == F_QUERY && msg_query_read(fr->body, fr->body_len, &text))
        return feed_classify(f, text)->shape;
    if (fr->type == F_PARSE && !s->no_scan && !session_text_is_pending(s) &&
        msg_parse_read(fr->body, fr->body_len, &p) && session_may_remember(s, p.name.len))
        return shape_extended(&s->engine->shapes, p.text, p.n_types, p.types, &why);
    struct msg_execute e;
    struct statement *st = NULL;
    if (fr->type == F_BIND && msg_bind_read(fr->body, fr->body_len, &b))
        st = session_statement(s, b.statement);
    else if (fr->type == F_EXECUTE && msg_execute_read(fr->body, fr->body_len, &e) && e.portal.len)
        st = session_portal(s, e.portal);
    return st ? st->shape : NULL;
}

// The same, but of a cursor's statement its SELECT, where it is known. `unknown`: it is not.
static struct shape *read_of(struct feed *f, const struct frame *fr, bool *unknown) {
    struct cursor_statement c = {0};
    struct shape *shape = shape_of(f, fr);
    if (fr->type == F_QUERY)
        c = f->query.cursor;
    else if (shape && shape->parsed->kind == STATEMENT_OTHER)
        cursor_read(shape->text, shape->text_len, &c);
    if (c.verb != CURSOR_NONE)
        shape = session_cursor_select(f->s, &c, fr->type != F_QUERY);
    bool runs =
        fr->type == F_PARSE || fr->type == F_BIND; // what is not read or remembered, too: EXECUTE, say
    *unknown = !shape && (runs || (c.verb != CURSOR_NONE && c.verb != CURSOR_CLOSE));
    return shape;
}

// Inside a transaction the verdict that another session has asked for is waited for, too: without it the
// transaction would count as one that may have done more than read.
static bool may_await(struct session *s, struct shape *shape, struct group *g) {
    return s->txn != 'I' && await_read(s, shape, g);
}

static bool binds(const struct frame *fr, struct slice name) {
    struct msg_bind b;
    return name.data && msg_bind_read(fr->body, fr->body_len, &b) && b.statement.len == name.len &&
           memcmp(b.statement.data, name.data, name.len) == 0;
}

// Of the unit that begins here, as far as it has come: what has not may hold anything. A statement that takes
// a snapshot itself comes first, or none that asks.
static bool unit_asks_for_snapshot(struct feed *f) {
    struct frame fr;
    struct slice parsed = {0};
    for (size_t at = f->at; frame_read(f->bytes + at, f->len - at, &fr) == FRAME_OK; at += fr.size) {
        if (fr.type == F_SYNC)
            return false;
        bool names = fr.type == F_PARSE || fr.type == F_QUERY || (fr.type == F_BIND && !binds(&fr, parsed));
        struct shape *shape = fr.type == F_QUERY || !names ? NULL : shape_of(f, &fr);
        struct msg_parse p;
        if (fr.type == F_PARSE && msg_parse_read(fr.body, fr.body_len, &p))
            parsed = p.name;
        if (names && (!shape || asks_for_snapshot(shape->parsed->kind, shape, shape->reason)))
            return true;
        if (shape && (shape->parsed->kind == STATEMENT_READ || shape->parsed->kind == STATEMENT_WRITE))
            return false;
    }
    return true;
}

void front_snapshot_for_unit(struct feed *f) {
    if (!session_lacks_snapshot(f->s) || !unit_asks_for_snapshot(f))
        return;
    feed_to_server(f, true);
    session_take_snapshot(f->s);
}

#define ASK_AHEAD 12 // messages of a unit that are looked at before it is opened: BEGIN and a SELECT, say

// Names like ours, in the protocol or in what no SELECT is: a statement that is prepared, a cursor.
static bool names_ours(struct feed *f, const struct frame *fr) {
    struct msg_parse p;
    struct msg_bind b;
    if (fr->type == F_QUERY)
        return f->query.kind == STATEMENT_OTHER && memmem(fr->body, fr->body_len, SAVEPOINT_OWN, 7);
    if (fr->type == F_PARSE && msg_parse_read(fr->body, fr->body_len, &p))
        return savepoint_is_own_name(p.name) || memmem(p.text.data, p.text.len, SAVEPOINT_OWN, 7);
    return fr->type == F_BIND && msg_bind_read(fr->body, fr->body_len, &b) && savepoint_is_own_name(b.portal);
}

// At the first message of a unit: if it names SELECTs that are not known to be plain reads, ask now. True:
// one of them is being vetted on this connection, or `waits` for the verdict.
static bool ask_ahead(struct feed *f, bool waits, bool *sees_prepared) {
    struct session *s = f->s;
    struct frame fr;
    bool asked = false, taken = has_snapshot(s);
    size_t at = f->at;
    for (int i = 0; i < ASK_AHEAD; i++, at += fr.size) {
        if (frame_read(f->bytes + at, f->len - at, &fr) != FRAME_OK || fr.type == F_SYNC)
            return asked;
        if (fr.type == F_QUERY && i)
            return asked;
        struct group *g = NULL;
        bool unknown;
        struct shape *shape = read_of(f, &fr, &unknown);
        enum read_effect effect = READ_PLAIN;
        bool reads = shape && shape->parsed->kind == STATEMENT_READ;
        if (!reads && !taken)
            return asked;
        taken = true; // by itself, if not before
        if (reads && reads_can_judge(s))
            effect = reads_effect(f, shape, &g);
        *sees_prepared |= !i && (shape ? front_may_see_prepared(shape->parsed->kind, effect) : unknown);
        asked |= g && g->state == GROUP_VETTING && (session_vets(s, g) || (waits && may_await(s, shape, g)));
        if (fr.type == F_QUERY)
            return asked;
    }
    return asked;
}

void front_keep_out(struct feed *f, const struct frame *fr) {
    if (!names_ours(f, fr))
        return;
    struct msg_parse p = {0};
    bool names = fr->type == F_PARSE && msg_parse_read(fr->body, fr->body_len, &p) &&
                 savepoint_is_own_name(p.name) && !session_statement(f->s, p.name);
    feed_to_server(f, true);
    session_keep_out(f->s, names ? p.name : (struct slice){0});
}

// False: what it may need is given first.
bool front_before_unit(struct feed *f, const struct frame *fr) {
    bool sees_prepared = false;
    struct cursor_statement c = {0};
    struct shape *first = shape_of(f, fr);
    if (first && first->parsed->kind == STATEMENT_OTHER)
        cursor_read(first->text, first->text_len, &c);
    char executed[CURSOR_MAX_NAME + 1] = "";
    if (first)
        cursor_executed(first->text, first->text_len, executed);
    bool asks = !first || first->parsed->kind == STATEMENT_READ || first->parsed->kind == STATEMENT_OTHER;
    if (first)
        front_prove(f, first->parsed->kind, c.hold);
    (void)ask_ahead(f, false, &sees_prepared);
    if (sees_prepared && !front_give_executed(f, executed) &&
        !front_give_all(f, asks)) // the unit is not open
        return false;
    // In the middle of a unit, which is a transaction, it would take its snapshot. Once: what is refused
    // stays.
    bool late = f->s->txn == 'I' && !f->single && !f->prepares && !f->s->gave;
    if (!late || !f->s->names.n_lazy)
        return true;
    f->s->gave = true;
    (void)front_give_all(f, false);
    return session_unit_is_answered(f->s) || inside_wait(f); // there may have been none
}

// In front of it in the same write the query could fail, and the client's statement with it.
bool front_vet_first(struct feed *f) {
    struct session *s = f->s;
    bool sees_prepared = false;
    bool asked = s->txn != 'I' && !s->n_forward && session_may_ask(s) && ask_ahead(f, true, &sees_prepared);
    s->hold.await.spent_read &= asked;
    return asked;
}
