// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/turn.h"

#include "batching/base/memory.h"
#include "batching/flow/await.h"
#include "batching/flow/batches.h"
#include "batching/flow/dispatch.h"
#include "batching/flow/find.h"
#include "batching/flow/own_queries.h"
#include "batching/flow/patience.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/begun.h"
#include "batching/session/cancel_request.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/lists.h"
#include "batching/session/owed.h"
#include "batching/session/pooler.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/turns.h"

static void expire_batches(struct engine *e) {
    for (struct batch *b = e->batches, *next; b; b = next) {
        next = b->next;
        if (b->abandoned)
            continue;
        if (e->limits.timeout && e->now >= b->started + e->limits.timeout)
            engine_abandon_batch(b, "the batch took longer than batching.timeout");
        else if (b->lender && session_only_forwards(b->lender))
            engine_abandon_batch(b, "the server connection is shared by a pooler");
    }
}

// A pool may open many connections at once: the server does not prove them all at once. Sessions that wait
// for their turn fold within themselves meanwhile.
static void start_proofs(struct engine *e) {
    while (e->to_prove && engine_may_prove(e)) {
        struct session *s = e->to_prove;
        e->to_prove = s->next_proof;
        s->proof_listed = false;
        session_start_proof(s);
    }
}

// The time of a transaction is that of its BEGIN, so it does not wait for long.
static void send_begins(struct engine *e) {
    for (struct session *s = begun_late(e); s; s = begun_late(e)) {
        owed_send_begin(s);
        begun_is_over(s);
    }
}

void engine_turn(struct engine *e, uint64_t now) {
    engine_wakes(e, now);
    expire_batches(e);
    late_expire(e);
    ahead_give_back_stalled(e);
    await_expire(e);
    cancel_repeat(e);
    ahead_expire(e);
    struct group *listed = e->listed;
    e->listed = NULL;
    while (listed) {
        struct group *g = listed;
        listed = g->next_listed;
        g->listed = false;
        engine_dispatch_group(e, g);
    }
    send_begins(e);
    start_proofs(e);
    turns_go_on(e);
    account_note_peak(&e->memory);
    room_shrink(e);
}

uint64_t engine_deadline(const struct engine *e) {
    uint64_t at = await_deadline(e), cancel = cancel_deadline(e), ahead = ahead_deadline(e);
    at = cancel < at ? cancel : at;
    at = ahead < at ? ahead : at;
    at = begun_deadline(e) < at ? begun_deadline(e) : at;
    uint64_t late = late_deadline(e), turn = turns_deadline(e);
    at = turn < at ? turn : at;
    at = late < at ? late : at;
    for (const struct group *g = e->listed; g; g = g->next_listed) {
        uint64_t until = g->waiting_since + (engine_window_is_open(e, g) ? e->limits.window : STALL);
        uint64_t next = engine_window_is_open(e, g) ? UINT64_MAX : engine_next_batch(e, g);
        until = next < until ? next : until;
        at = until < at ? until : at;
    }
    for (const struct batch *b = e->batches; e->limits.timeout && b; b = b->next)
        if (!b->abandoned && b->started + e->limits.timeout < at)
            at = b->started + e->limits.timeout;
    return at;
}
