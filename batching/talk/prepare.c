// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/prepare.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/ahead.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/hold.h"
#include "batching/session/lazy.h"
#include "batching/session/learn.h"
#include "batching/session/portal.h"
#include "batching/session/record.h"
#include "batching/session/reporting.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/thrift.h"
#include "batching/session/txn.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "batching/talk/answer.h"
#include "batching/talk/classify.h"
#include "batching/talk/client.h"
#include "batching/talk/feed.h"
#include "batching/talk/reads.h"
#include "protocol/write.h"

// Behind a write nothing that a statement means is another than before. In a fixed snapshot a Parse would take it.
static bool means_the_same(const struct session *s) {
    return session_is_apart(s) && session_reads_committed(s) && s->identity.state == IDENTITY_PROVEN &&
           !s->definitions_in_txn;
}

// Can the session answer something itself now? No reply is awaited that would have to come before the answer,
// and no reply may still change what the answer is.
static bool may_answer(const struct session *s) {
    bool observes = s->engine->limits.observe && s->txn != 'I';
    bool may = session_txn_reason(s) == REASON_NONE || means_the_same(s);
    return may && !observes && !s->n_forward && !s->no_scan && !s->backlogged;
}

// ---- Parse

// Is the server's answer known, and not older than what is loaded ahead may be? Definitions may have changed
// past this proxy.
static bool is_known(const struct engine *e, const struct group *g, const struct unit *u) {
    uint64_t oldest = e->now > e->limits.ahead_age ? e->now - e->limits.ahead_age : 0;
    return g->state == GROUP_READY && g->parses && g->parsed_at >= oldest &&
           (!u->has_describe || (g->described && g->described_at >= oldest));
}

static void write_prepared(struct buf *b, const struct group *g, const struct unit *u, char status) {
    buf_reset(b);
    write_empty(b, B_PARSE_COMPLETE);
    if (u->has_describe) {
        size_t at = write_begin(b, B_PARAMETER_DESCRIPTION);
        buf_put(b, g->parameters.data, g->parameters.len);
        write_end(b, at);
        at = write_begin(b, B_ROW_DESCRIPTION);
        buf_put(b, g->row_description.data, g->row_description.len);
        write_end(b, at);
    }
    if (u->sync)
        write_ready(b, status);
}

// The client's statement as if the server had prepared and described it. NULL: out of memory.
static struct statement *prepared(struct session *s, const struct group *g, const struct unit *u) {
    reporting_text(s, g->shape, u->parse.text);
    struct statement *st = statement_create(s, (const char *)u->parse.name.data, u->parse.name.len, g->shape);
    if (!st)
        return NULL;
    st->confirmed = true;
    st->blanks = (uint16_t)shape_skipped(u->parse.text);
    st->generation = g->generation;
    st->described = st->parameters_described = u->has_describe;
    st->row_hash = g->row_hash;
    st->types_hash = row_types_hash(g->row_description.data, g->row_description.len);
    st->parameters_hash = g->parameters_hash;
    if (u->has_describe)
        ahead_note_columns(s, st, g->row_description.data, g->row_description.len);
    return st;
}

static bool answer_prepare(struct session *s, const struct group *g, const struct unit *u) {
    struct buf *b = &s->engine->answer;
    struct statement *st = prepared(s, g, u);
    write_prepared(b, g, u, s->txn);
    if (!st || !session_answer(s, b, NULL)) {
        statement_unref(st);
        return false;
    }
    if (s->txn == 'T')
        session_note_snapshot(s); // the server, too, would have taken one
    names_more_lazy(s, u->parse.name.len > 0);
    if (!u->parse.name.len)
        session_note_unnamed(s, s->names.server_has_unnamed, NULL); // that one was parsed earlier
    s->lazy_unit = !u->sync;
    s->engine->counters.lazy++;
    s->figures->client_parses++;
    session_put_statement(s, st);
    return true;
}

// Does a question about it wait until the server has a Parse of it? One is enough.
static bool must_be_told(const struct session *s, struct shape *shape) {
    bool must = shape->untold && s->txn != 'I';
    shape->untold &= !must;
    return must;
}

// Rows of this statement are on their way, sent behind a list. With them comes word that its Parse is as good as it was, sooner than
// the Parse's own answer, which would stand behind them.
static bool is_soon_known(struct session *s, const struct group *g, const struct unit *u) {
    bool fits = g->state == GROUP_READY && g->parses && (!u->has_describe || g->described);
    if (!fits || s->cancel.held || s->txn != 'I' || !s->ahead || !session_name_is_free(s, u->parse.name))
        return false;
    for (const struct batch *b = s->ahead->loading; b; b = b->ahead.next)
        if (b->lender == s && b->derived && b->group->shape == g->shape && !b->failed)
            return true;
    return false;
}

enum take prepare_take(struct feed *f, const struct unit *u, enum reason *why) {
    struct session *s = f->s;
    struct engine *e = s->engine;
    bool dry = e->limits.dry && session_txn_reason(s) == REASON_NONE && !s->n_forward && !s->no_scan;
    if (!dry && (!may_answer(s) || e->limits.observe))
        return TAKE_FORWARD;
    if (!session_may_remember(s, u->parse.name.len)) {
        *why = REASON_MEMORY;
        return TAKE_FORWARD;
    }
    enum reason miss = REASON_NONE;
    struct shape *shape = shape_of_parse(&e->shapes, &u->parse, &miss);
    if (!shape || shape->reason != REASON_NONE) {
        *why = shape ? shape->reason : miss;
        return TAKE_FORWARD;
    }
    if (shape->protocol == SHAPE_SIMPLE)
        return TAKE_FORWARD; // its description is not learnt
    if (s->identity.state == IDENTITY_UNPROVEN && session_identity_wants_proof(&s->identity, thrift_waits(s)))
        s->wants_proof = true;
    if (s->identity.state != IDENTITY_PROVEN)
        return TAKE_FORWARD;
    struct group *g = session_read_group(s, shape);
    if (!g)
        return TAKE_FORWARD;
    reads_refresh_group(e, g);
    bool known = !must_be_told(s, shape) && is_known(e, g, u) && session_name_is_free(s, u->parse.name);
    if (dry && known)
        dry_knows(s);
    if (!dry && known && answer_prepare(s, g, u))
        return TAKE_TAKEN;
    if (!dry && !known && is_soon_known(s, g, u)) {
        hold_for_lookups(s);
        return TAKE_WAIT;
    }
    f->learns = true;
    f->describes = u->has_describe;
    return TAKE_FORWARD;
}

// ---- Close, DEALLOCATE, Sync

// The server lacks the statement of this name, and it was never sent there. So it is closed by forgetting it.
static bool is_lazy(struct session *s, struct slice name) {
    struct statement *st = name.len ? session_statement(s, name) : NULL;
    return st && session_lacks(s, st) && !st->tried && st->confirmed && st->refs == 1;
}

// The server has it, and nothing needs it any more: it closes it behind the answer.
static bool is_given(struct session *s, struct slice name) {
    return name.len && session_may_close_given(s, session_statement(s, name));
}

static bool answer_and_drop(struct session *s, struct slice name, const enum statement_kind *kind) {
    bool given = is_given(s, name);
    if (!session_answer(s, &s->engine->answer, kind))
        return false;
    if (s->txn == 'T' && kind)
        session_note_snapshot(s);
    if (!given)
        names_less_lazy(s);
    else if (!session_close_given(s, name))
        return true;
    session_drop_statement(s, name);
    s->lazy_unit = false;
    return true;
}

enum take close_take(struct feed *f, const struct unit *u) {
    struct session *s = f->s;
    struct buf *b = &s->engine->answer;
    if (!may_answer(s) || !(is_lazy(s, u->closing.name) || is_given(s, u->closing.name)))
        return TAKE_FORWARD;
    buf_reset(b);
    write_empty(b, B_CLOSE_COMPLETE);
    write_ready(b, s->txn);
    return answer_and_drop(s, u->closing.name, NULL) ? TAKE_TAKEN : TAKE_FORWARD;
}

// Mode observe: no lookup of this statement would have gone to the server.
static bool would_lack(struct feed *f, const struct unit *u) {
    struct session *s = f->s;
    if (!s->engine->limits.dry || s->n_forward || session_txn_reason(s) != REASON_NONE)
        return false;
    const struct statement_class *c = feed_classify(f, u->query);
    const struct statement *st =
        c->kind == STATEMENT_DEALLOCATE && class_name(c).len ? session_statement(s, class_name(c)) : NULL;
    return st && st->would_lack;
}

enum take deallocate_take(struct feed *f, const struct unit *u) {
    struct session *s = f->s;
    if (would_lack(f, u))
        dry_takes_deallocate(s);
    if ((!s->names.n_lazy && !s->names.n) || !may_answer(s))
        return TAKE_FORWARD;
    const struct statement_class *c = feed_classify(f, u->query);
    if (c->kind != STATEMENT_DEALLOCATE || !(is_lazy(s, class_name(c)) || is_given(s, class_name(c))))
        return TAKE_FORWARD;
    struct buf *b = &s->engine->answer;
    buf_reset(b);
    write_complete(b, "DEALLOCATE");
    write_ready(b, s->txn);
    if (!answer_and_drop(s, class_name(c), &c->kind))
        return TAKE_FORWARD;
    session_drop_unnamed(s); // any Query message does that
    portal_closed(s);
    return TAKE_TAKEN;
}

// The portal of an answer that was given here has no row left.
enum take execute_take(struct feed *f, const struct unit *u) {
    static const enum statement_kind kind = STATEMENT_READ;
    struct session *s = f->s;
    struct buf *b = &s->engine->answer;
    if (s->order.first && s->answered_portal.asked) {
        hold_for_lookups(s);
        return TAKE_WAIT;
    }
    if (!s->answered_portal.given || s->txn != 'T' || s->n_forward || s->backlogged)
        return TAKE_FORWARD;
    buf_reset(b);
    write_select_complete(b, 0);
    if (u->sync)
        write_ready(b, s->txn);
    if (!session_answer(s, b, &kind))
        return TAKE_FORWARD;
    s->lazy_unit = !u->sync;
    return TAKE_TAKEN;
}

enum take sync_take(struct feed *f) {
    struct session *s = f->s;
    struct buf *b = &s->engine->answer;
    if (!s->lazy_unit || !may_answer(s))
        return TAKE_FORWARD;
    buf_reset(b);
    write_ready(b, s->txn);
    if (!session_answer(s, b, NULL))
        return TAKE_FORWARD;
    s->lazy_unit = false;
    return TAKE_TAKEN;
}
