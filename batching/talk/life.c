// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/life.h"

#include <stdlib.h>

#include "batching/ahead/asked.h"
#include "batching/flow/await.h"
#include "batching/flow/batches.h"
#include "batching/flow/cancel.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/begun.h"
#include "batching/session/behind.h"
#include "batching/session/cancel_request.h"
#include "batching/session/cursors.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/held.h"
#include "batching/session/late.h"
#include "batching/session/learn.h"
#include "batching/session/lists.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/owed.h"
#include "batching/session/reporting.h"
#include "batching/session/own_prepared.h"
#include "batching/session/room.h"
#include "batching/session/sent.h"
#include "batching/session/session.h"
#include "batching/session/settle.h"
#include "batching/session/statements.h"
#include "batching/session/thrift.h"
#include "batching/session/turns.h"
#include "batching/session/txn.h"
#include "batching/session/watched.h"
#include "batching/statement/shape.h"
#include "batching/talk/given.h"
#include "batching/talk/reads.h"
#include "batching/trust/facts.h"
#include "batching/trust/identity.h"
#include "protocol/buf.h"
#include "protocol/message.h"

struct session *session_create(struct engine *e, void *owner, struct slice address,
                               struct slice startup_params, bool opaque, uint64_t now) {
    engine_wakes(e, now);
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->id = ++e->next_session;
    s->engine = e;
    s->owner = owner;
    s->txn = 'I';
    s->opaque = opaque;
    s->database = database_for(&e->databases, startup_params);
    if (!s->database) {
        free(s);
        return NULL;
    }
    s->figures = figures_of(&e->figures, (struct slice){s->database->name, s->database->len});
    s->figures->sessions++;
    session_identity_init(&s->identity, address, startup_params);
    watched_begin(s, startup_params);
    reporting_begin(s, startup_params);
    if (e->limits.observe && !e->limits.dry) // nothing is shared, so no proof is needed
        session_identity_take_for_proven(&s->identity);
    s->next = e->sessions;
    if (s->next)
        s->next->previous = s;
    e->sessions = s;
    e->n_sessions++;
    room_open_session(s);
    return s;
}

// ---- losing a side

static void release_batch(struct session *s, struct owed *o) {
    struct batch *b = o->of.batch;
    if (!b)
        return;
    o->of.batch = NULL;
    b->lender = NULL;
    b->failed = true;
    b->why = b->why ? b->why : "the connection that ran it was lost";
    engine_batch_ended(s->engine, b);
}

void owed_release(struct session *s, struct owed *o) {
    shape_unref(o->forward.setting);
    o->forward.setting = NULL;
    statement_unref(o->forward.bound);
    o->forward.bound = NULL;
    behind_free(o->forward.behind);
    o->forward.behind = NULL;
    dry_free(o->dry);
    o->dry = NULL;
    sent_forget(s, o);
    switch (o->kind) {
    case OWED_FORWARD:
        if (o->of.group)
            group_unpin(o->of.group);
        break;
    case OWED_BATCH:
        release_batch(s, o);
        break;
    case OWED_PROOF:
        s->engine->proving--;
        break;
    case OWED_FACTS:
        facts_lost(&s->database->facts, s->engine->now);
        break;
    case OWED_VET:
    case OWED_READ_VET:
        group_set_state(o->of.group, GROUP_NEW);
        await_verdict_given(s->engine, o->of.group);
        break;
    case OWED_LOOKUP: // its lookup is the session's
    case OWED_CHECK:
    case OWED_SETUP:
    case OWED_PARSE:
    case OWED_REPAIR:
    case OWED_UNDO:
    case OWED_BEGIN:
    case OWED_END:
        break;
    }
}

// Drops all lookups of the session: its client will not get their answers.
static void session_drop_lookups(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (owed_has_lookup(o))
            o->of.lookup = NULL; // the lookup will be freed
    }
    while (s->order.first) {
        struct lookup *l = s->order.first;
        order_shift(s);
        l->session = NULL;
        if (l->state == LOOKUP_WAITING)
            lookup_detach_waiting(l);
        struct batch *b = l->state == LOOKUP_BATCHED ? l->batch : NULL;
        if (b)
            lookup_leave_batch(l);
        lookup_free(s->engine, l);
        cancel_batch_if_left(b);
    }
    order_clear(s);
}

// Releases all that the server connection owes.
static void session_lose_server(struct session *s) {
    begun_is_over(s);
    session_drop_lookups(s);
    while (s->owed.n) {
        struct owed o = *owed_head(s);
        owed_pop(s);
        owed_release(s, &o);
    }
    session_end_writes(s);
}

void session_client_ends(struct session *s) {
    s->ending = s->terminating = true;
    s->partial_since = 0;
}

bool session_client_gone(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    s->client_gone = s->terminating = s->ending = true;
    session_drop_lookups(s);
    bool lending = session_is_lending(s);
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (owed_has_lookup(o))
            o->unwanted = lending; // others wait behind the reply: the server is asked to end it
    }
    if (lending && !s->server_gone)
        session_relay_cancel(s);
    session_settle(s);
    return lending;
}

void session_server_gone(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    s->server_gone = true;
    session_lose_server(s);
}

void session_destroy(struct session *s, uint64_t now) {
    if (!s)
        return;
    struct engine *e = s->engine;
    engine_wakes(e, now);
    s->server_gone = s->client_gone = true;
    engine_unlist_proof(e, s);
    cancel_unlist(s);
    turns_unlist(s);
    late_session_gone(s);
    await_end(s);
    watched_finish(s);
    thrift_ended(s);
    session_lose_server(s);
    reporting_finish(s);
    session_end_learning(s);
    reads_end_observed(s);
    session_drop_expected(s);
    ahead_session_gone(s);
    asked_free(&s->asked);
    session_forget_statements(s, true);
    names_finish(s);
    statement_unref(s->portal);
    session_forget_cursors(s, true);
    session_identity_finish(&e->identities, &s->identity);
    room_drop_database(e, s->database);
    *(s->previous ? &s->previous->next : &e->sessions) = s->next;
    if (s->next)
        s->next->previous = s->previous;
    e->n_sessions--;
    room_close_session(s);
    owed_finish(s);
    expected_finish(s);
    given_forget_error(s);
    own_prepared_finish(s);
    sent_finish(s);
    free(s);
}

// ---- asked by the proxy

bool session_server_is_lending(const struct session *s) {
    return s->owed.n && owed_is_own(owed_at(s, 0));
}

bool session_partial_expired(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    if (!s->partial_since || s->hold.lookups || now < s->partial_since + SESSION_PARTIAL_WAIT)
        return false;
    s->partial_since = 0;
    s->force_forward = true;
    return true;
}
