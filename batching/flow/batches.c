// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/batches.h"

#include "batching/base/memory.h"
#include "batching/flow/check.h"
#include "batching/flow/known.h"
#include "batching/flow/lend.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/fold/lookup_state.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/answered.h"
#include "batching/session/bounds.h"
#include "batching/session/cancel_request.h"
#include "batching/session/engine.h"
#include "batching/session/figures.h"
#include "batching/session/lists.h"
#include "batching/session/learn.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/own_prepared.h"
#include "batching/session/pipeline.h"
#include "batching/session/pump.h"
#include "batching/session/record.h"
#include "batching/session/reporting.h"
#include "batching/session/room.h"
#include "batching/session/portal.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/vouch.h"
#include "batching/statement/guard.h"
#include "batching/statement/shape.h"
#include "batching/trust/identity.h"
#include "batching/trust/seal.h"
#include "protocol/buf.h"

// ---- the start of a batch

// What speaks against a lender, the worst first: its connection has something to do, it is in a transaction,
// it has not prepared the statement.
static unsigned lender_cost(struct session *s, const struct batch *b) {
    bool prepared = s->own.n && session_has_prepared(s, b->statement);
    return s->owed.n * 4 + (s->txn != 'I') * 2u + !prepared;
}

// Chooses the member whose connection runs the batch; it must be free. Among equals it is the one that was
// used last: then few connections prepare many statements, and their caches are warm. NULL: none is free.
static struct session *choose_lender(const struct batch *b) {
    struct session *best = NULL;
    unsigned best_cost = 0;
    for (uint32_t i = 0; i < b->n_members; i++) {
        struct session *s = b->members[i]->session;
        if (!session_can_lend(s))
            continue;
        unsigned cost = lender_cost(s, b);
        if (!best || cost < best_cost || (cost == best_cost && s->last_used > best->last_used)) {
            best = s;
            best_cost = cost;
        }
    }
    return best;
}

void engine_start_batch(struct engine *e, struct batch *b) {
    b->started = e->now;
    b->statement = batch_statement(b);
    b->next = e->batches;
    if (b->next)
        b->next->previous = b;
    e->batches = b;
}

bool engine_run_batch(struct engine *e, struct group *g) {
    struct batch *b =
        batch_create(g, guard_max_keys(&g->shape->guard, e->now, e->limits.max_keys), e->limits.max_answer);
    if (!b)
        return false;
    engine_start_batch(e, b);
    group_pin(g);
    struct session *lender = choose_lender(b);
    if (!lender) {
        b->failed = true;
        b->why = "no member's connection is free";
    }
    if (!lender || !session_run_batch(lender, b))
        engine_batch_ended(e, b);
    return true;
}

// ---- a lookup's answer

// The answer has a RowDescription: the client knows its statement's columns from now on.
static void note_described(const struct batch *b, struct lookup *l) {
    struct statement *st = l->statement;
    if (!st || st->described || !l->has_describe)
        return;
    st->described = true;
    st->row_hash = b->group->row_hash;
    st->types_hash = row_types_hash(b->group->row_description.data, b->group->row_description.len);
}

// Gives the lookup its answer: to the client at once if it is the next in the session's order, else kept
// until it is. If there is no room for it, the lookup runs alone.
static void give_answer(struct engine *e, const struct batch *b, struct lookup *l, uint32_t key) {
    struct session *s = l->session;
    note_described(b, l);
    ahead_answered(s);
    portal_given(s, l);
    if (l->outcome != OUTCOME_AHEAD)
        l->outcome = OUTCOME_FOLDED;
    if (s->order.first != l || l->pipeline) {
        l->answer = buf_make(s->order.kept < e->limits.max_answer ? e->limits.max_answer - s->order.kept : 0);
        batch_answer(b, l, key, s->txn, &l->answer);
        if (l->answer.failed) {
            buf_free(&l->answer);
            session_run_alone(s, l);
            return;
        }
        lookup_set_state(l, LOOKUP_ANSWERED);
        order_keep(s, l->answer.len);
        lookup_weigh(l);
        if (l->pipeline && ++l->pipeline->n_answered == l->pipeline->n)
            session_pump(s);
        return;
    }
    buf_reset(&e->answer);
    batch_answer(b, l, key, s->txn, &e->answer);
    if (e->answer.failed) {
        session_run_alone(s, l);
        return;
    }
    e->effects->to_client(s->owner, e->answer.data, e->answer.len, true);
    lookup_answered(s, l);
    order_shift(s);
    l->session = NULL;
    lookup_free(e, l);
    session_pump(s);
}

// The client may know the columns from an earlier Describe. If the definitions have changed since, the server
// has to tell it.
static bool columns_fit(const struct batch *b, const struct lookup *l) {
    return !l->check_row_hash || XXH128_isEqual(l->row_hash, b->group->row_hash);
}

void engine_answer(struct engine *e, struct batch *b, struct lookup *l, uint32_t key) {
    bool fits = columns_fit(b, l);
    // A client that does not read must not make pgfold keep its answers: alone, they wait in the server. In
    // an aborted transaction the lookup must fail, in the server.
    bool certain = batch_is_certain(b, key), whole = !l->whole || b->key_rows[key].n_rows <= l->max_rows;
    if (fits && certain && whole && !l->session->backlogged && l->session->txn != 'E') {
        if (b->ahead.home)
            ahead_served(b, key);
        if (!l->session->answered_since)
            l->session->answered_since = e->now ? e->now : 1;
        give_answer(e, b, l, key);
        return;
    }
    if (!fits)
        engine_note_not_folded(l, REASON_CHANGED_RESULT);
    else if (!certain)
        engine_note_not_folded(l, REASON_MAY_FAIL);
    else if (!whole)
        engine_note_not_folded(l, REASON_ROW_LIMIT);
    session_run_alone(l->session, l);
}

void engine_note_alone(struct engine *e, const struct lookup *l) {
    uint64_t took = e->now > l->asked ? e->now - l->asked : 0;
    if (l->company == COMPANY_NONE)
        guard_note_lone(&l->shape->guard, took);
    else if (l->company == COMPANY_SOME)
        guard_note_alone(&l->shape->guard, e->now, took);
}

void engine_note_not_folded(struct lookup *l, enum reason why) {
    l->reason = (uint8_t)why;
}

// ---- the end of a batch

static void end_member(struct engine *e, struct batch *b, uint32_t i, bool trusted) {
    struct lookup *l = b->members[i];
    if (!l)
        return;
    l->batch = NULL;
    if (l->check == CHECK_FOLDED)
        check_member(e, b, i);
    else if (b->failed || !trusted || (b->ahead.home && !ahead_may_end(b, l))) {
        if (b->changed) // nobody knows what the statement runs now
            trust_broken(l->session);
        session_run_alone(l->session, l);
    } else
        engine_answer(e, b, l, b->member_key[i]);
}

// The stamp has changed: what the group was vetted by no longer holds. A transaction with a fixed snapshot
// sees an old catalogue, so what it says does not count for others.
static void note_changed(struct engine *e, struct batch *b) {
    if (b->snapshot)
        return;
    if (b->shadowed)
        engine_names_shadowed(e);
    group_forget(b->group);
}

// A batch may have failed rightly: the table is gone, or a right was withdrawn. So the catalogue is asked
// again. A group that fails three times in a row is left alone for a while.
static void note_failure(struct engine *e, struct batch *b) {
    struct group *g = b->group;
    e->counters.failed++;
    e->effects->log(e->ctx, REASON_NONE, b->lender ? b->lender->id : 0, b->why ? b->why : "unknown");
    if (b->unproved) { // a seal without a proof: the next batches are checked
        seal_broken(&g->seals, e->now);
        return;
    }
    if (b->changed) { // not the statement's fault
        note_changed(e, b);
        return;
    }
    if (!b->sent || b->late || b->derived || (b->erred && b->ahead.home))
        return; // that says nothing about the statement
    if (b->oversized) {
        guard_note_oversized(&g->shape->guard, e->now, b->n_keys);
        return;
    }
    // A batch loaded ahead runs behind a lookup in the same write. If that fails or is cancelled, the batch
    // fails with it.
    if (g->state == GROUP_READY && !b->ahead.home && ++g->errors >= 3) {
        g->errors = 0;
        group_set_state(g, GROUP_REFUSED);
        g->vetted_at = e->now;
    } else {
        group_forget(g);
    }
}

static void note_success(struct engine *e, struct batch *b) {
    b->group->errors = 0;
    if (!b->derived)
        seal_batch_right(&b->group->seals, b->n_rows > 0);
    if (!b->snapshot) // that may see an old catalogue
        learn_from_batch(&e->groups, b->group, b->started);
    if (b->ahead.home)
        return;
    uint64_t waited = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_members; i++) {
        if (!b->members[i] || b->members[i]->check == CHECK_FOLDED)
            continue; // gone, or it was checked and has run as sent
        waited += e->now > b->members[i]->asked ? e->now - b->members[i]->asked : 0;
        n++;
    }
    if (b->parse)
        guard_note_first_batch(&b->group->shape->guard, n);
    else
        guard_note_batch(&b->group->shape->guard, e->now, b->n_keys, n, e->now - b->started, waited);
    e->counters.batches++;
    e->counters.batch_keys += b->n_keys;
}

static void unlink_batch(struct engine *e, struct batch *b) {
    *(b->previous ? &b->previous->next : &e->batches) = b->next;
    if (b->next)
        b->next->previous = b->previous;
}

void engine_batch_ended(struct engine *e, struct batch *b) {
    struct group *g = b->group;
    unlink_batch(e, b);
    account_set(b->memory, &b->weighs, 0);
    if (!b->ahead.home)
        group_unpin(g);
    figures_note_batch(e, b);
    reporting_batch(b);
    if (b->failed)
        note_failure(e, b);
    else
        note_success(e, b);
    known_compare(e, b);
    bool trusted = b->failed || !check_batch(e, b);
    for (uint32_t i = 0; i < b->n_members; i++)
        end_member(e, b, i, trusted);
    b->n_members = 0;
    b->failed |= !trusted;
    if (g->n_waiting)
        engine_list_group(e, g);
    if (b->ahead.home)
        ahead_ended(e, b);
    else
        batch_destroy(b);
}

// ---- members that leave early

void engine_abandon_batch(struct batch *b, const char *why) {
    b->why = b->failed ? b->why : why;
    b->failed = b->abandoned = true;
    if (b->lender)
        session_end_batch(b->lender, b);
    for (uint32_t i = 0; i < b->n_members; i++) {
        struct lookup *l = b->members[i];
        b->members[i] = NULL;
        if (!l)
            continue;
        l->batch = NULL;
        session_run_alone(l->session, l);
    }
}

void engine_abandon_shape(struct engine *e, const struct shape *s, const char *why) {
    for (struct batch *b = e->batches, *next; b; b = next) {
        next = b->next;
        if (b->group->shape == s && !b->failed)
            engine_abandon_batch(b, why);
    }
}

// The lender itself heard of the new configuration when its process read it.
void session_check_members(struct session *lender, struct batch *b) {
    struct identity_table *t = &lender->engine->identities;
    const struct identity *of = b->group->identity;
    (void)session_identity_may_take(t, &lender->identity, of, b->news.loaded, true);
    for (uint32_t i = 0; i < b->n_members && !b->failed; i++) {
        struct lookup *l = b->members[i];
        if (!l ||
            session_identity_may_take(t, &l->session->identity, of, b->news.loaded, l->session == lender))
            continue;
        lookup_leave_batch(l);
        session_run_alone(l->session, l);
    }
}
