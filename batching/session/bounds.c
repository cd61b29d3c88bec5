// SPDX-License-Identifier: PostgreSQL
#include "batching/session/bounds.h"

#include "batching/ahead/ahead.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/apart.h"
#include "batching/session/engine.h"
#include "batching/session/pooler.h"
#include "batching/session/session.h"
#include "batching/session/txn.h"
#include "batching/trust/identity.h"
#include "batching/trust/writes.h"

// ---- what may be given

// Are the session's statements outside transactions SERIALIZABLE, or may they be?
static bool is_serializable(struct session *s) {
    struct identity *i = session_identity_current(&s->engine->identities, &s->identity);
    if (!i || s->identity.state != IDENTITY_PROVEN)
        return true;
    if (s->apart.serial_of != i->id) {
        enum identity_isolation level = session_identity_isolation(&s->identity);
        apart_note_serial(s, i->id, level == ISOLATION_SERIALIZABLE || level == ISOLATION_UNKNOWN);
    }
    return s->apart.serial;
}

static bool is_allowed(const struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    if (l->lookahead == LOOKAHEAD_OFF || (l->observe && !l->dry) || l->verify || l->check_one_in == 1)
        return false;
    return l->lookahead == LOOKAHEAD_BOUNDED || session_snapshot_is_fixed(s);
}

bool ahead_is_on(struct session *s) {
    return is_allowed(s) && (s->txn != 'I' || !is_serializable(s));
}

bool ahead_is_current(const struct ahead *a, const struct batch *b) {
    const struct group *g = b->group;
    return b->ahead.epoch == a->epoch && !b->failed && g->state == GROUP_READY &&
           g->vettings == b->vettings && g->generation == a->engine->generation;
}

// In a transaction now() is the time at which it began. What was read so may be as old as that, and is true
// until the transaction ends.
static bool is_of_its_transaction(const struct session *s, const struct batch *b) {
    return !b->group->owner || b->group->steady || !b->ahead.began ||
           (s->txn != 'I' && s->transaction.began == b->ahead.began);
}

// Remembers up to which write the batch is not stale, so that these writes are not looked at again.
static bool is_young(const struct ahead *a, const struct session *s, struct batch *b) {
    if (!ahead_is_current(a, b) || !is_of_its_transaction(s, b))
        return false;
    if (session_snapshot_is_fixed(s))
        return true;
    if (a->engine->now > b->started + b->ahead.spared + a->engine->limits.ahead_age ||
        database_has_changed(s->database, b->ahead.seq, &b->group->writers))
        return false;
    b->ahead.seq = s->database->seq;
    return true;
}

// How long has the client done something else since then? It has not since its unit at hand came, which may have been held.
static uint64_t paused(const struct session *s, uint64_t since) {
    uint64_t waited = engine_waited(s->engine, since), came = s->front_since;
    uint64_t until_it_came = came > since ? came - since : 0;
    return came && until_it_came < waited ? until_it_came : waited;
}

// Has the loop gone on without a pause since what is held for it was loaded?
static bool is_running(const struct ahead *a, const struct session *s, const struct batch *b) {
    uint64_t since = a->last_answer > s->last_answer ? a->last_answer : s->last_answer;
    since = since > b->started ? since : b->started; // no pause before it matters
    return session_snapshot_is_fixed(s) || paused(s, since) <= a->engine->limits.ahead_gap;
}

bool ahead_is_fresh(const struct ahead *a, const struct session *s, struct batch *b) {
    return is_young(a, s, b) && is_running(a, s, b);
}

bool ahead_may_end(struct batch *b, const struct lookup *l) {
    return !l->joined || is_young(b->ahead.home, l->session, b);
}

// ---- what may be loaded

static bool may_load(const struct session *s, unsigned forwarded) {
    return !s->terminating && !s->server_gone && !s->failed && !s->backlogged && !s->opaque &&
           !session_only_forwards(s) && !s->cancel.under_way && !s->cancel.pending && !s->in_unit &&
           session_n_others(s) == forwarded && !s->frame.repair_due && !s->gives && !s->server_skip &&
           s->owed.n < s->engine->limits.max_owed / 2 &&
           (session_txn_reason(s) == REASON_NONE || session_is_apart(s));
}

bool ahead_may_load(const struct session *s) {
    return may_load(s, 0);
}

bool ahead_may_load_behind(const struct session *s) {
    return may_load(s, 1) && !s->order.n;
}

bool ahead_may_be_apart(const struct session *s) {
    return is_allowed(s) && session_is_apart(s);
}

bool ahead_has_list(const struct session *s) {
    return s->ahead && s->ahead->trail.results;
}
