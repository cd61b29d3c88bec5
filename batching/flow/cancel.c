// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests. PostgreSQL cancels what the connection runs at the moment. Here that may be a batch for
// others, or nothing of this client's, so that a request is
//   answered at once   for a lookup that waits outside a transaction: as a cancelled statement is
//   kept               until the client's own statement runs: inside a transaction, which must be aborted by
//                      the server, and where the statement is still held
//   relayed            else
//
// "If we're reading a command from the client, just ignore the cancel request" (ProcessInterrupts): one that
// overtakes its statement is lost. Without a proxy the client sees to that. Here the statement may be sent
// only now that it shall be cancelled, and a batch that nobody wants any more may hold up its lender. So what
// is cancelled is remembered in its entry in `owed`, and the request is sent again, at growing intervals,
// until the reply is there; nothing is sent behind it before. A statement that was forwarded when the client
// sent it gets one request for one, as it would without a proxy.
#include "batching/flow/check.h"
#include "batching/session/session.h"

#include "protocol/write.h"

#define AGAIN         10000 // microseconds from the end of the first request to the second one
#define MAX_DOUBLINGS 8     // of that, from one to the next

// ---- requests

// Ours, and asked again when it fails.
static bool may_be_hit(const struct owed *o) {
    return o->kind == OWED_BATCH || o->kind == OWED_VET || o->kind == OWED_READ_VET ||
           o->kind == OWED_PROOF || o->kind == OWED_FACTS || (o->kind == OWED_CHECK && !o->of.lookup) ||
           (o->kind == OWED_PARSE && o->framed);
}

// Nothing of the client's comes behind what the server runs now.
static bool hits_nothing_else(const struct session *s) {
    for (unsigned i = 1; i < s->owed.n; i++)
        if (!may_be_hit(owed_at(s, i)))
            return false;
    return true;
}

static void repeat_later(struct session *s) {
    struct engine *e = s->engine;
    const struct owed *o = owed_head(s);
    if (!o || !o->cancels || s->cancelling || s->opaque || !hits_nothing_else(s))
        return;
    s->cancel_at = e->now + ((uint64_t)AGAIN << (o->cancels - 1));
    if (s->cancel_listed)
        return;
    s->cancel_listed = true;
    s->next_cancel = e->cancelled;
    e->cancelled = s;
}

static void request(struct session *s) {
    struct owed *o = owed_head(s);
    bool sent = s->engine->effects->relay_cancel(s->owner);
    s->cancelling += sent;
    if (o->kind == OWED_FORWARD && !o->cancels)
        return;
    if (o->cancels < MAX_DOUBLINGS)
        o->cancels++;
    repeat_later(s); // when it could not even be sent
}

void session_relay_cancel(struct session *s) {
    const struct owed *o = owed_head(s);
    if (!o)
        return;
    if (s->cancel_pending && owed_is_the_clients(o)) {
        s->cancel_pending = false;
        request(s);
    } else if (o->unwanted && !o->cancels && (s->cancel_pending || hits_nothing_else(s))) {
        request(s);
    }
}

// The server signals the backend twice for one request (src/backend/postmaster: signal_child), so a statement
// sent before the request has ended may be cancelled in place of the one in front of it.
void session_cancel_done(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    s->cancelling--;
    repeat_later(s);
    session_pump(s);
}

void cancel_unlist(struct session *s) {
    for (struct session **at = &s->engine->cancelled; s->cancel_listed && *at; at = &(*at)->next_cancel) {
        if (*at != s)
            continue;
        *at = s->next_cancel;
        s->cancel_listed = false;
        return;
    }
}

void cancel_repeat(struct engine *e) {
    for (struct session *s = e->cancelled, *next; s; s = next) {
        next = s->next_cancel;
        if (s->cancel_at && e->now < s->cancel_at)
            continue;
        cancel_unlist(s);
        if (!s->cancel_at)
            continue; // the reply has come
        s->cancel_at = 0;
        request(s);
    }
}

uint64_t cancel_deadline(const struct engine *e) {
    uint64_t at = UINT64_MAX;
    for (const struct session *s = e->cancelled; s; s = s->next_cancel)
        at = s->cancel_at && s->cancel_at < at ? s->cancel_at : at;
    return at;
}

// ---- what is not wanted any more

void session_end_batch(struct session *s, const struct batch *b) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (o->kind == OWED_BATCH && o->of.batch == b)
            o->unwanted = true;
    }
    if (!s->server_gone)
        session_relay_cancel(s);
}

// What of ours runs on the client's own connection. It may be stuck behind a lock, and the client with it.
static void clear_the_way(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        bool left = o->kind == OWED_CHECK && !o->of.lookup;
        bool parse = o->kind == OWED_PARSE && o->framed;
        if (left || parse || o->kind == OWED_VET || o->kind == OWED_READ_VET)
            o->unwanted = true;
        else if (o->kind == OWED_BATCH && !o->of.batch->abandoned)
            engine_abandon_batch(o->of.batch, "its lender's client has cancelled");
    }
    session_relay_cancel(s);
}

// A batch that nobody waits for is of no use.
void cancel_batch_if_left(struct batch *b) {
    if (b && !b->abandoned && !b->n_left)
        engine_abandon_batch(b, "nobody waits for it any more");
}

// ---- the client's request

// Out of its queue, or of its batch, which is returned.
static struct batch *take_out(struct lookup *l) {
    struct batch *b = l->state == LOOKUP_BATCHED ? l->batch : NULL;
    if (l->state == LOOKUP_WAITING)
        lookup_detach_waiting(l);
    if (b)
        lookup_leave_batch(l);
    return b;
}

// The client's statement has been run: it is too late to cancel it, and what is left is to be compared with.
void session_end_check(struct session *s, struct lookup *l) {
    struct batch *b = take_out(l);
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (o->kind == OWED_CHECK && o->of.lookup == l)
            o->of.lookup = NULL;
    }
    check_answer(s->engine, l);
    cancel_batch_if_left(b);
    clear_the_way(s); // who cancels wants to go on
}

static void cancel_lookup(struct session *s, struct lookup *l) {
    struct buf answer = buf_make(4096);
    write_error(&answer, "ERROR", "57014", "canceling statement due to user request", NULL, NULL);
    write_ready(&answer, s->txn);
    if (answer.failed) { // it must not run: nobody may have vetted it
        buf_free(&answer);
        session_fail(s, "53200", "out of memory");
        return;
    }
    struct batch *b = take_out(l);
    if (l->has_parse && l->statement->name[0] && l->statement->refs == 2) // nobody is told of its Parse
        session_drop_if_listed(s, l->statement);
    l->state = LOOKUP_ANSWERED;
    l->answer = answer;
    s->kept += answer.len;
    lookup_weigh(l);
    session_pump(s);
    cancel_batch_if_left(b);
    clear_the_way(s); // who cancels wants to go on
}

// Inside a transaction the cancelled statement aborts it: it runs on its own connection, for the server to
// cancel.
static void cancel_in_transaction(struct session *s, struct lookup *l) {
    struct batch *b = take_out(l);
    s->cancel_first = true;
    session_run_alone(s, l);
    cancel_batch_if_left(b);
    clear_the_way(s);
}

void session_cancel_sent(struct session *s) {
    s->cancel_first = false;
    s->cancel_pending = true;
    session_relay_cancel(s);
}

// The statement is in the client's input; it is taken up soon, and waits for nothing more.
static void cancel_held(struct session *s) {
    s->cancel_held = true;
    await_give_up(s);
    clear_the_way(s);
}

void session_cancel_taken(struct session *s) {
    bool held = s->cancel_held;
    s->cancel_held = false;
    if (held && s->first)
        (void)session_cancel(s, s->engine->now); // it only waits, so there is nothing to be relayed now
}

void session_cancel_forwarded(struct session *s) {
    struct owed *o = s->owed.n ? owed_last(s) : NULL;
    s->cancel_held = false;
    if (s->opaque || !o || o->kind != OWED_FORWARD)
        return;
    o->cancels = 1;
    s->cancel_pending = true;
    session_relay_cancel(s);
}

static bool waits(const struct lookup *l) {
    return l->state == LOOKUP_WAITING || l->state == LOOKUP_BATCHED || l->state == LOOKUP_ALONE;
}

bool session_cancel(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    struct lookup *l = s->first;
    const struct owed *o = owed_head(s);
    if (s->opaque)
        return true;
    if (s->hold && !l && !s->n_forward) {
        cancel_held(s);
        return false;
    }
    if (l && (l->check == CHECK_FOLDED || l->check == CHECK_AGAIN)) {
        session_end_check(s, l);
        return false;
    }
    if (l && l->pipeline && l->state != LOOKUP_SENT) {
        pipeline_cancel(s, l);
        cancel_lookup(s, l);
        return false;
    }
    if (l && waits(l)) {
        if (s->txn == 'I')
            cancel_lookup(s, l);
        else
            cancel_in_transaction(s, l);
        return false;
    }
    if (s->txn == 'I' && (!o || o->kind == OWED_FORWARD))
        return true; // without a statement it is late: the server ignores it
    if (l && l->check == CHECK_ORIGINAL)
        l->cancelled = true;
    // The end of the request is awaited: it must not hit what comes next, of ours.
    s->cancel_pending = s->n_forward || l;
    if (s->cancel_pending)
        clear_the_way(s);
    return false;
}
