// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/cancel.h"

#include "batching/flow/await.h"
#include "batching/flow/batches.h"
#include "batching/flow/check.h"
#include "batching/fold/batch.h"
#include "batching/fold/lookup_state.h"
#include "batching/session/answered.h"
#include "batching/session/cancel_request.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/owed.h"
#include "batching/session/pump.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/whole_unit.h"
#include "batching/session/wire.h"
#include "protocol/buf.h"
#include "protocol/write.h"

// ---- what is no longer wanted

// Ends what is ours on the client's own connection. It may be stuck behind a lock, and the client is stuck
// with it.
static void clear_the_way(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (!owed_ends_on_cancel(o))
            continue;
        if (o->kind != OWED_BATCH)
            o->unwanted = true;
        else if (!o->of.batch->abandoned)
            engine_abandon_batch(o->of.batch, "its lender's client has cancelled");
    }
    session_relay_cancel(s);
}

void cancel_batch_if_left(struct batch *b) {
    if (b && !b->abandoned && !b->n_left)
        engine_abandon_batch(b, "nobody waits for it any more");
}

// ---- what the client waits for

// Takes the lookup out of its queue or batch. Returns the batch; NULL: there was none.
static struct batch *take_from_queue(struct lookup *l) {
    struct batch *b = l->state == LOOKUP_BATCHED ? l->batch : NULL;
    if (l->state == LOOKUP_WAITING)
        lookup_detach_waiting(l);
    if (b)
        lookup_leave_batch(l);
    return b;
}

// The client's statement has been run, so it is too late to cancel it. What is left is the comparison.
void session_end_check(struct session *s, struct lookup *l) {
    struct batch *b = take_from_queue(l);
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (o->kind == OWED_CHECK && o->of.lookup == l)
            o->of.lookup = NULL;
    }
    check_answer(s->engine, l);
    cancel_batch_if_left(b);
    clear_the_way(s); // who cancels wants to go on
}

// Answers a lookup that has not been sent as PostgreSQL answers a cancelled statement.
static void cancel_lookup(struct session *s, struct lookup *l) {
    struct buf answer = buf_make(4096);
    write_error(&answer, "ERROR", "57014", "canceling statement due to user request", NULL, NULL);
    write_ready(&answer, s->txn);
    if (answer.failed) { // without the answer it must not run either: it may not be vetted
        buf_free(&answer);
        session_fail(s, "53200", "out of memory");
        return;
    }
    struct batch *b = take_from_queue(l);
    if (l->has_parse && l->statement->name[0] && l->statement->refs == 2) // its Parse does not succeed
        session_drop_if_listed(s, l->statement);
    lookup_set_state(l, LOOKUP_ANSWERED);
    l->outcome = OUTCOME_HERE;
    l->failed = true;
    l->answer = answer;
    order_keep(s, answer.len);
    lookup_weigh(l);
    session_pump(s);
    cancel_batch_if_left(b);
    clear_the_way(s); // who cancels wants to go on
}

// Inside a transaction the cancelled statement must abort it. So it runs on the client's own connection, for
// the server to cancel.
static void cancel_in_transaction(struct session *s, struct lookup *l) {
    struct batch *b = take_from_queue(l);
    cancel_first_when_sent(s);
    session_run_alone(s, l);
    cancel_batch_if_left(b);
    clear_the_way(s);
}

// The statement is held in the client's input. It is taken up soon, and waits for nothing more.
static void cancel_held(struct session *s) {
    cancel_when_taken(s);
    await_give_up(s);
    clear_the_way(s);
}

// ---- requests

static bool waits(const struct lookup *l) {
    return l->state == LOOKUP_WAITING || l->state == LOOKUP_BATCHED || l->state == LOOKUP_ALONE;
}

bool session_cancel(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    struct lookup *l = s->order.first;
    const struct owed *o = owed_head(s);
    if (s->opaque)
        return true;
    if (s->hold.lookups && !l && !s->n_forward) {
        cancel_held(s);
        return false;
    }
    if (l && (l->check == CHECK_FOLDED || l->check == CHECK_AGAIN)) {
        session_end_check(s, l);
        return false;
    }
    bool several = l && l->pipeline && l->state != LOOKUP_SENT;
    if (several)
        pipeline_cancel(s, l);
    if (several || (l && waits(l))) {
        if (s->txn == 'I')
            cancel_lookup(s, l);
        else
            cancel_in_transaction(s, l);
        return false;
    }
    if (s->txn == 'I' && (!o || o->kind == OWED_FORWARD))
        return true; // without a statement the request is too late: the server ignores it
    if (l && l->check == CHECK_ORIGINAL)
        l->cancelled = true;
    // The end of the request is awaited, so that it cannot hit what is sent next, of ours.
    cancel_when_it_runs(s, s->n_forward || l);
    if (s->cancel.pending)
        clear_the_way(s);
    return false;
}

void session_cancel_taken(struct session *s) {
    if (cancel_take_held(s) && s->order.first)
        (void)session_cancel(s, s->engine->now); // the lookup only waits, so there is nothing to relay
}

// The server signals the backend twice for one request (src/backend/postmaster: signal_child). So a statement
// that is sent before the request has ended may be cancelled in place of the one in front of it; what waited
// for that may be sent now.
void session_cancel_done(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    cancel_request_done(s);
    session_pump(s);
}
