// SPDX-License-Identifier: PostgreSQL
#include "batching/session/lazy.h"

#include <stdio.h>
#include <string.h>

#include "batching/fold/savepoint.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/frame.h"
#include "batching/session/late.h"
#include "batching/session/owed.h"
#include "batching/session/pooler.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/wire.h"
#include "batching/statement/shape.h"
#include "batching/trust/vet.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

// ---- what the server lacks

bool session_lacks(const struct session *s, const struct statement *st) {
    if (!st->shape || !st->confirmed)
        return false; // the server has had its Parse
    return st->name[0] ? !st->on_server
                       : !s->names.server_has_unnamed || s->names.server_unnamed != st->shape;
}

static void count_lazy(struct session *s) {
    struct statement *st, *next;
    unsigned n = 0;
    HASH_ITER(hh, s->names.table, st, next) {
        n += session_lacks(s, st);
    }
    names_set_lazy(s, n);
}

bool session_name_is_free(struct session *s, struct slice name) {
    if (!name.len)
        return true;
    if (savepoint_is_own_name(name))
        return false;
    if (s->names.n_lazy >= SESSION_MAX_LAZY)
        count_lazy(s);
    return !s->names.unknown && name.len <= SESSION_MAX_LAZY_NAME && s->names.n_lazy < SESSION_MAX_LAZY &&
           s->names.n < s->engine->limits.max_statements && !session_statement(s, name);
}

// ---- giving it

#define LEAST_LOCK_WAIT 5 // milliseconds

static void write_delayed(struct buf *b, const struct statement *st) {
    const struct shape *shape = st->shape;
    if (st->name[0])
        write_close(b, 'S', statement_name_of(st));
    write_parse_at(b, statement_name_of(st), st->blanks,
                   (struct slice){(uint8_t *)shape->text, shape->text_len}, shape->types, shape->n_types);
    write_describe(b, 'S', statement_name_of(st));
}

bool session_send_delayed(struct session *s, struct statement *st, bool waited) {
    struct buf *b = &s->engine->request;
    buf_reset(b);
    write_delayed(b, st);
    if (b->failed) {
        session_fail(s, "53200", "out of memory");
        return false;
    }
    session_expect_delayed(s, st, waited);
    if (!st->name[0])
        session_note_unnamed(s, true, st->shape);
    if (!s->failed)
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return !s->failed;
}

static bool may_be_given(const struct session *s, const struct statement *st) {
    return session_lacks(s, st) && !st->unfit && !st->ours;
}

void session_send_parses(struct session *s, struct owed *o, const struct buf *unit) {
    struct buf framed = buf_make(unit->len + 4096);
    if (o->framed) {
        savepoint_write_unit(&framed, (struct slice){unit->data, unit->len}, s->frame.prepared, false, 0);
        frame_begin(s);
        late_query_sent(s);
    }
    const struct buf *b = o->framed ? &framed : unit;
    if (b->failed)
        session_fail(s, "53200", "out of memory");
    else
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
    buf_free(&framed);
}

// Inside a transaction: one unit, framed as a whole. False: out of memory.
static bool put_inside(struct session *s, struct buf *unit) {
    struct statement *st, *next;
    struct owed *o = owed_push(s, OWED_PARSE);
    if (!o)
        return false;
    o->framed = !s->own.keeps_out;
    HASH_ITER(hh, s->names.table, st, next) {
        if (!may_be_given(s, st))
            continue;
        write_delayed(unit, st);
        session_expect_delayed(s, st, true);
    }
    if (o->framed)
        o->n_asked = (unsigned)strlen(savepoint_open_replies(s->frame.prepared));
    write_empty(unit, F_SYNC);
    if (!unit->failed)
        session_send_parses(s, o, unit);
    return !unit->failed;
}

// Outside a transaction: each statement in a unit of its own, so that one that waits for a lock takes no
// other along. All together they wait no longer than one would. False: out of memory.
static bool put_each(struct session *s, unsigned n, struct buf *units) {
    struct statement *st, *next;
    struct owed *o = NULL;
    unsigned wait = VET_LOCK_TIMEOUT / n > LEAST_LOCK_WAIT ? VET_LOCK_TIMEOUT / n : LEAST_LOCK_WAIT;
    HASH_ITER(hh, s->names.table, st, next) {
        if (!may_be_given(s, st))
            continue;
        o = owed_push(s, OWED_PARSE);
        if (!o)
            return false;
        savepoint_write_bound(units, wait);
        o->n_asked = savepoint_bound_replies(wait);
        write_delayed(units, st);
        session_expect_delayed(s, st, true);
        savepoint_write_bound_end(units, wait);
    }
    if (!units->failed)
        session_send_parses(s, o, units);
    return !units->failed;
}

static unsigned count_to_give(struct session *s) {
    struct statement *st, *next;
    unsigned n = 0;
    count_lazy(s);
    HASH_ITER(hh, s->names.table, st, next) {
        n += may_be_given(s, st);
    }
    return n;
}

enum giving session_parse_all(struct session *s, bool asks) {
    bool inside = s->txn != 'I';
    bool again = (asks && !inside) || s->engine->now >= s->giving.from;
    unsigned n = !s->names.n_lazy || s->txn == 'E' || s->in_unit || !again ? 0 : count_to_give(s);
    if (!n)
        return GIVING_NOTHING;
    if (!inside && s->n_forward)
        return GIVING_LATER; // the units' ends would end a transaction of the client's (trust/own_settings.h)
    struct buf unit = buf_make((size_t)1 << 30);
    if (!(inside ? put_inside(s, &unit) : put_each(s, n, &unit)))
        session_fail(s, "53200", "out of memory");
    buf_free(&unit);
    return session_is_framed(s) ? GIVING_FIRST : GIVING_IN_FRONT;
}

bool session_give_named(struct session *s, struct slice name) {
    struct statement *st = name.len ? session_statement(s, name) : NULL;
    if (!st || !session_lacks(s, st) || s->txn == 'E' || s->in_unit)
        return false;
    struct buf *b = &s->engine->request;
    struct owed *o = owed_push(s, OWED_PARSE);
    buf_reset(b);
    write_delayed(b, st);
    write_empty(b, F_SYNC);
    if (o) {
        o->named = true;
        session_expect_delayed(s, st, true);
    }
    if (o && !b->failed)
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
    else
        session_fail(s, "53200", "out of memory");
    return true;
}

bool session_give_all(struct session *s) {
    struct statement *st, *next;
    names_set_lazy(s, 0);
    HASH_ITER(hh, s->names.table, st, next) {
        if (st->changed) // the server has it, and what comes waits until the server has said so
            names_more_lazy(s, 1);
        else if (session_lacks(s, st) && !st->ours && !session_send_delayed(s, st, true))
            return false;
    }
    return true;
}

// A pooler may run what comes next elsewhere. Mode observe answers nothing.
bool session_may_close_given(const struct session *s, const struct statement *st) {
    return st && st->name[0] && st->shape && st->confirmed && st->on_server && !st->changed && !st->ours &&
           st->refs == 1 && s->txn == 'I' && !s->engine->limits.observe && !s->in_unit && !s->terminating &&
           !s->gives && !session_is_pooled(s);
}

bool session_close_given(struct session *s, struct slice name) {
    struct buf *b = &s->engine->request;
    buf_reset(b);
    write_close(b, 'S', name);
    write_empty(b, F_SYNC);
    if (b->failed || !owed_push(s, OWED_SETUP)) {
        session_fail(s, "53200", "out of memory");
        return false;
    }
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return true;
}

// Looks for strings, in quotes of either kind. A parameter such as $1 is none.
static bool has_constants(const struct shape *shape) {
    const char *text = shape->text, *end = text + shape->text_len;
    if (memchr(text, '\'', shape->text_len))
        return true;
    for (const char *p = text; (p = memchr(p, '$', (size_t)(end - p))); p++)
        if (p + 1 == end || p[1] < '0' || p[1] > '9')
            return true;
    return false;
}

static void forget(struct session *s, bool constants) {
    struct statement *st, *next;
    session_forget_statements(s, false);
    HASH_ITER(hh, s->names.table, st, next) {
        bool lacks = session_lacks(s, st) && !(constants && has_constants(st->shape));
        if (lacks && !session_expects(s, EXPECT_DELAYED, st))
            continue;
        st->forgotten = lacks;
        names_unlist(s, st);
        statement_unref(st);
    }
}

void session_forget_given(struct session *s) {
    forget(s, false);
}

void session_forget_constants(struct session *s) {
    forget(s, true);
}
