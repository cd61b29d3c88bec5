// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/own_queries.h"

#include <string.h>

#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/fold/savepoint.h"
#include "batching/fold/verdict.h"
#include "batching/session/bounds.h"
#include "batching/session/changes.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/frame.h"
#include "batching/session/late.h"
#include "batching/session/owed.h"
#include "batching/session/pooler.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/watched.h"
#include "batching/session/wire.h"
#include "batching/trust/facts.h"
#include "batching/trust/identity.h"
#include "batching/trust/own_settings.h"
#include "batching/trust/vet.h"
#include "batching/trust/vet_query.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

// ---- may it be asked?

bool session_vets(const struct session *s, const struct group *g) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        if ((o->kind == OWED_VET || o->kind == OWED_READ_VET) && o->of.group == g)
            return true;
    }
    return false;
}

bool session_lacks_facts(const struct session *s) {
    const struct engine *e = s->engine;
    const struct facts *f = &s->database->facts;
    return f->named && facts_are_due(f, e->now, e->generation, false);
}

// A fixed snapshot shows the catalogue as it was when it was taken: what it says is as old as that.
static bool snapshot_is_young(const struct session *s) {
    const struct engine *e = s->engine;
    const struct transaction *t = &s->transaction;
    return t->generation == e->generation && e->now - t->began < e->limits.vet_max_age / 2;
}

bool session_may_ask(struct session *s) {
    if (s->engine->limits.dry && s->txn != 'I' && !session_is_watched(s))
        return false; // mode observe
    if (s->own.keeps_out && s->txn != 'I')
        return false;
    if (session_txn_reason(s) == REASON_NONE)
        return true;
    if (s->txn == 'T' && !s->definitions_in_txn && !session_meaning_is_pending(s) && session_is_watched(s))
        return true;
    return ahead_may_be_apart(s) && (!session_snapshot_is_fixed(s) || snapshot_is_young(s));
}

// May a query of ours be sent now? Outside a transaction it is a Query message, which drops the server's
// unnamed statement. If the client has one, it is parsed again when it is needed, so its text must be known.
static bool can_query(struct session *s) {
    return session_may_ask(s) && !session_only_forwards(s) && !s->frame.repair_due && !s->terminating &&
           !s->server_gone && !s->in_unit && !s->failed && !s->gives &&
           (s->txn != 'I' || !s->names.unnamed || s->names.unnamed->shape);
}

// ---- sending

// May what takes the question back be sent with it? A unit of ours that is under way may have left its savepoint, if it fails. And
// where the client's own statement in front aborts the transaction, there is none of ours to go back to.
static bool is_undone(const struct session *s) {
    return s->txn != 'I' && !session_is_framed(s) && !s->frame.taken;
}

// Sends a unit of our own and pushes the entry for its reply. NULL: nothing was sent.
static struct owed *send_own(struct session *s, enum owed_kind kind, const struct buf *b) {
    bool undone = is_undone(s);
    struct owed *o = b->failed ? NULL : owed_push(s, kind);
    if (!o)
        return NULL;
    o->framed = s->txn != 'I';
    o->undone = undone;
    if (undone && !owed_push(s, OWED_UNDO))
        session_fail(s, "53200", "out of memory"); // the entry stands, and is released with the session
    else if (o->framed && !undone)
        frame_begin(s);
    late_query_sent(s);
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return o;
}

static struct owed *send_query(struct session *s, enum owed_kind kind, const char *sql, size_t len) {
    struct buf *b = &s->engine->request;
    buf_reset(b);
    write_query(b, sql, len);
    struct owed *o = send_own(s, kind, b);
    if (o)
        session_note_unnamed(s, false, NULL);
    return o;
}

// Milliseconds that a question about a statement may wait for a lock: as long as its client waits for what is ours (flow/patience.h),
// where that is known to wait for locks of its own. 0: no end.
static unsigned lock_timeout(const struct session *s) {
    uint64_t ms = s->engine->limits.patience / 1000;
    if (!s->engine->limits.patience && !is_undone(s))
        return 0;
    if (s->txn != 'I' || !session_identity_waits_for_locks(&s->identity) || ms < VET_LOCK_TIMEOUT)
        return VET_LOCK_TIMEOUT;
    return ms < INT32_MAX ? (unsigned)ms : INT32_MAX;
}

// The same with settings for this query in front of it, inside a transaction, too.
static struct owed *send_question(struct session *s, enum owed_kind kind, struct buf *sql) {
    const char *settings = vet_settings();
    struct slice first = {(const uint8_t *)settings, strlen(settings)};
    struct buf *b = &s->engine->request, both = buf_make(sql->limit);
    struct owed *o = NULL;
    if (s->txn != 'I') {
        buf_reset(b);
        savepoint_write_question(b, first, (struct slice){sql->data, sql->len}, s->frame.prepared,
                                 is_undone(s), lock_timeout(s));
        return send_own(s, kind, b);
    }
    bound_write(&both, true, VET_LOCK_TIMEOUT);
    buf_put_text(&both, "; ");
    buf_put(&both, first.data, first.len);
    buf_put_text(&both, "; ");
    buf_put(&both, sql->data, sql->len);
    if (!both.failed)
        o = send_query(s, kind, (const char *)both.data, both.len);
    buf_free(&both);
    return o;
}

static struct owed *send_unit(struct session *s, enum owed_kind kind, const struct buf *unit) {
    struct buf *b = &s->engine->request;
    if (s->txn == 'I') {
        struct owed *o = send_own(s, kind, unit);
        if (o)
            session_note_unnamed(s, false, NULL); // the unit uses the unnamed statement and closes it
        return o;
    }
    buf_reset(b);
    savepoint_write_unit(b, (struct slice){unit->data, unit->len}, s->frame.prepared, is_undone(s),
                         lock_timeout(s));
    return send_own(s, kind, b);
}

// ---- the queries

void session_start_proof(struct session *s) {
    s->wants_proof &= s->identity.state == IDENTITY_UNPROVEN;
    // Inside a transaction the server would show settings that end with it.
    if (s->identity.state != IDENTITY_UNPROVEN || s->txn != 'I' || s->n_forward || !can_query(s))
        return;
    for (const struct lookup *l = s->order.first; l; l = l->next)
        if (l->state == LOOKUP_ALONE)
            return; // the lookup would run behind the proof, which could not see what it does
    s->wants_proof = false;
    const char *sql = identity_proof_start(&s->identity);
    if (send_query(s, OWED_PROOF, sql, strlen(sql))) {
        s->engine->proving++;
        s->engine->counters.proofs++;
        session_ask_facts(s, true);
    } else {
        session_identity_not_asked(&s->identity);
    }
}

void session_ask_facts(struct session *s, bool again) {
    struct engine *e = s->engine;
    struct facts *f = &s->database->facts;
    if (e->limits.lookahead == LOOKAHEAD_OFF || s->txn != 'I' || s->n_forward || session_is_cancelling(s) ||
        !can_query(s) || !facts_are_due(f, e->now, e->generation, again))
        return;
    struct buf sql = buf_make(1 << 16);
    if (facts_ask(f, e->now, e->generation, e->limits.vet_max_age, &sql) &&
        !send_query(s, OWED_FACTS, (const char *)sql.data, sql.len))
        facts_answered(f, e->now, false);
    buf_free(&sql);
}

static void refuse_group(struct session *s, struct group *g) {
    group_set_state(g, GROUP_REFUSED);
    g->vetted_at = s->engine->now;
    g->generation = s->engine->generation;
}

// Does the statement name a view, or something through which a function of a user's may run? Then what is below
// it is asked for at once.
static bool reaches_users(const struct session *s, const struct parsed *p) {
    const struct facts *f = &s->database->facts;
    return facts_are_known(f, s->engine->generation) && !facts_say_clean(f, s->engine->generation, p);
}

void session_start_vet(struct session *s, struct group *g) {
    if (s->n_forward || session_is_cancelling(s) || !can_query(s)) // a cancel request could hit it
        return;
    if (!late_may_ask(s->engine, g))
        return;
    struct buf sql = buf_make((size_t)1 << 20);
    bool read = group_is_read(g);
    g->shape->wide |= reaches_users(s, g->shape->parsed);
    g->asked_wide = g->shape->wide;
    bool written = read ? vet_read_query(g->shape, g->shape->wide, &sql)
                        : group_write_vet(g, s->txn != 'I', s->txn == 'I' ? lock_timeout(s) : 0, &sql);
    if (!written)
        refuse_group(s, g);
    struct owed *o = !written ? NULL
                     : read   ? send_question(s, OWED_READ_VET, &sql)
                              : send_unit(s, OWED_VET, &sql);
    if (o) {
        o->of.group = g;
        group_set_state(g, GROUP_VETTING);
        g->asked_at = s->engine->now;
        g->generation = s->engine->generation; // definitions may change before the answer comes
        s->engine->counters.vets++;
    }
    if (o && !o->framed)
        session_ask_facts(s, true);
    buf_free(&sql);
}

void session_ask_vet(struct session *s, struct group *g) {
    session_start_vet(s, g);
    if (s->engine->limits.dry && g->state == GROUP_NEW)
        dry_want(s->engine, g);
}
