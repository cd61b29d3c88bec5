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
#include "batching/session/frame.h"
#include "batching/session/hold.h"
#include "batching/session/lazy.h"
#include "batching/session/lists.h"
#include "batching/session/owed.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/settle.h"
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

// ---- statements that the server lacks

// An EXECUTE, a function or a trigger may use any prepared statement. A new setting would change how a
// statement is parsed later.
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

// Nothing of ours runs in front of a transaction's first statement that takes a snapshot. Ours would take the
// snapshot: too early if the client's statement waits for a lock first, and too early for a statement that
// sets the isolation level. A SELECT of the client's takes one at once, by itself.
static bool has_snapshot(const struct session *s) {
    return s->txn == 'I' || s->transaction.snapshot;
}

bool front_give_all(struct feed *f, bool asks) {
    struct session *s = f->s;
    if (!s->names.n_lazy || s->txn == 'E' || !has_snapshot(s))
        return true;
    feed_to_server(f, true);
    if (s->in_unit)
        return session_give_all(s) && (session_unit_is_answered(s) || inside_wait(f));
    enum giving giving = session_parse_all(s, asks);
    if (giving == GIVING_LATER)
        session_note_uncertain(s);
    bool waits = giving == GIVING_LATER || giving == GIVING_FIRST;
    if (waits)
        hold_for_lookups(s);
    return !waits;
}

bool front_give_executed(struct feed *f, const char *name) {
    if (!*name || !f->s->names.n_lazy || f->s->in_unit)
        return false;
    feed_to_server(f, true);
    return session_give_named(f->s, (struct slice){(const uint8_t *)name, strlen(name)});
}

// ---- the proof

#define PROOFS_AHEAD 3
#define PROOF_WORTH  32 // lookups of the last transaction

// Nothing is answered ahead in a transaction whose session was in doubt when it began.
static bool is_worth_a_proof(const struct session *s) {
    return s->identity.state == IDENTITY_UNPROVEN &&
           (s->identity.n_proofs < PROOFS_AHEAD || s->apart.inside_last >= PROOF_WORTH);
}

// A proof can run only between transactions. A session that was proven seldom or never, or that asked for
// much in its last transaction, is proved in front of BEGIN, so that the lookups in the transaction find it
// proven. It is also proved in front of DECLARE WITH HOLD, whose pages would leave it in doubt if they were
// read without a proof.
void front_prove(struct feed *f, enum statement_kind kind, bool hold) {
    struct session *s = f->s;
    bool begins = kind == STATEMENT_BEGIN || hold;
    bool proves = begins && is_worth_a_proof(s) && engine_may_prove(s->engine);
    bool asks = begins && session_lacks_facts(s);
    if (!proves && !asks)
        return;
    feed_to_server(f, true);
    if (proves)
        session_start_proof(s);
    if (asks)
        session_ask_facts(s, false);
}

// ---- what a message is about

// The shape of the statement that a message names; borrowed. NULL: it names none, or an unknown one.
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
        return shape_of_parse(&s->engine->shapes, &p, &why);
    struct msg_execute e;
    struct statement *st = NULL;
    if (fr->type == F_BIND && msg_bind_read(fr->body, fr->body_len, &b))
        st = session_statement(s, b.statement);
    else if (fr->type == F_EXECUTE && msg_execute_read(fr->body, fr->body_len, &e) && e.portal.len)
        st = session_portal(s, e.portal);
    return st ? shape_meaning(st->shape) : NULL;
}

// The same, but for a statement about a cursor the cursor's SELECT. *unknown: the message may run something
// that is not known.
static struct shape *read_of(struct feed *f, const struct frame *fr, bool *unknown) {
    struct cursor_statement c = {0};
    struct shape *shape = shape_of(f, fr);
    if (fr->type == F_QUERY)
        c = f->query.cursor;
    else if (shape && shape->parsed->kind == STATEMENT_OTHER)
        cursor_read(shape->text, shape->text_len, &c);
    if (c.verb != CURSOR_NONE)
        shape = session_cursor_select(f->s, &c, fr->type != F_QUERY);
    // A text that was not read or not remembered may be an EXECUTE.
    bool runs = fr->type == F_PARSE || fr->type == F_BIND;
    *unknown = !shape && (runs || (c.verb != CURSOR_NONE && c.verb != CURSOR_CLOSE));
    return shape;
}

// ---- the transaction's snapshot

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

// Is it a Bind of the statement of this name?
static bool binds(const struct frame *fr, struct slice name) {
    struct msg_bind b;
    return name.data && msg_bind_read(fr->body, fr->body_len, &b) && b.statement.len == name.len &&
           memcmp(b.statement.data, name.data, name.len) == 0;
}

// Does the unit at f->at have a statement that asks whether there is a snapshot, before one that takes one
// itself? Only what has come is looked at; what has not may be anything, so the answer is yes then.
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

// ---- names like ours

// Does the message use names like ours: for a prepared statement, a portal, or in the text of anything but a
// SELECT?
static bool names_ours(struct feed *f, const struct frame *fr) {
    struct msg_parse p;
    struct msg_bind b;
    if (fr->type == F_QUERY)
        return f->query.kind == STATEMENT_OTHER && savepoint_in_text((struct slice){fr->body, fr->body_len});
    if (fr->type == F_PARSE && msg_parse_read(fr->body, fr->body_len, &p))
        return savepoint_is_own_name(p.name) || savepoint_in_text(p.text);
    return fr->type == F_BIND && msg_bind_read(fr->body, fr->body_len, &b) && savepoint_is_own_name(b.portal);
}

// Does it make a savepoint that may have the name of ours? One name is enough for both, but where ours may be missing.
static bool saves_as_ours(struct feed *f, const struct frame *fr) {
    return fr->type == F_QUERY && f->query.kind == STATEMENT_SAVEPOINT &&
           savepoint_in_text((struct slice){fr->body, fr->body_len});
}

void front_keep_out(struct feed *f, const struct frame *fr) {
    if (saves_as_ours(f, fr))
        frame_name_taken(f->s);
    if (!names_ours(f, fr))
        return;
    frame_name_taken(f->s);
    struct msg_parse p = {0};
    bool names = fr->type == F_PARSE && msg_parse_read(fr->body, fr->body_len, &p) &&
                 savepoint_is_own_name(p.name) && !session_statement(f->s, p.name);
    feed_to_server(f, true);
    session_keep_out(f->s, names ? p.name : (struct slice){0});
}

// ---- questions about reads

// Messages of a unit that are looked at before it is opened: enough for BEGIN and a SELECT.
#define ASK_AHEAD 12

// Inside a transaction also a verdict that another session has asked for is waited for. Without it the
// transaction would count as one that may have done more than read.
static bool may_await(struct session *s, struct shape *shape, struct group *g) {
    return s->txn != 'I' && await_read(s, shape, g);
}

// At the first message of a unit: asks about the SELECTs that it names and that are not known to be plain
// reads. True: a question is under way on this connection; with `waits` also on another session's.
// *sees_prepared: the first statement may use prepared statements by name.
static bool ask_ahead(struct feed *f, bool waits, bool *sees_prepared) {
    struct session *s = f->s;
    struct frame fr;
    bool asked = false, taken = has_snapshot(s);
    size_t at = f->at;
    if (s->dry && reads_take_for_plain(s)) // mode observe
        return false;
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
        taken = true; // the SELECT takes it by itself
        if (reads && reads_can_judge(s))
            effect = reads_effect(f, shape, &g);
        *sees_prepared |= !i && (shape ? front_may_see_prepared(shape->parsed->kind, effect) : unknown);
        asked |= g && g->state == GROUP_VETTING && (session_vets(s, g) || (waits && may_await(s, shape, g)));
        if (fr.type == F_QUERY)
            return asked;
    }
    return asked;
}

void front_ask_behind_begin(struct feed *f, size_t size) {
    struct session *s = f->s;
    struct frame fr;
    size_t at = f->at + size;
    for (int i = 0; i < ASK_AHEAD && reads_can_judge(s) && s->txn == 'I'; i++, at += fr.size) {
        struct slice text;
        struct group *g = NULL;
        if (frame_read(f->bytes + at, f->len - at, &fr) != FRAME_OK || fr.type == F_SYNC)
            return;
        bool query = fr.type == F_QUERY && msg_query_read(fr.body, fr.body_len, &text);
        struct shape *shape = query ? classify_query(s, text).shape : shape_of(f, &fr);
        if (shape && shape->parsed->kind == STATEMENT_READ)
            (void)reads_effect(f, shape, &g);
        if (fr.type == F_QUERY)
            return;
    }
}

bool front_vet_first(struct feed *f) {
    struct session *s = f->s;
    bool sees_prepared = false;
    bool asked = s->txn != 'I' && !s->n_forward && session_may_ask(s) && ask_ahead(f, true, &sees_prepared);
    if (!asked)
        await_asks_anew(s);
    // What was asked on this connection may be what the client's goes out behind.
    return asked && (s->hold.await.kind != AWAIT_NOTHING || !session_may_send(s));
}

// ---- before an extended unit

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
    if (sees_prepared && !front_give_executed(f, executed) && !front_give_all(f, asks))
        return false;
    // Later in a unit a Parse of ours would take the unit's snapshot, since a unit is a transaction. So what
    // is lacking is given now, once: what was refused stays refused.
    bool late = f->s->txn == 'I' && !f->single && !f->prepares && !f->s->gave;
    if (!late || !f->s->names.n_lazy)
        return true;
    if (!front_give_all(f, false))
        return false;
    f->s->gave = true;
    return session_unit_is_answered(f->s) || inside_wait(f); // there may have been nothing to give
}
