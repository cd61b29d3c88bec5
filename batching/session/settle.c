// SPDX-License-Identifier: PostgreSQL
#include "batching/session/settle.h"

#include "batching/fold/batch.h"
#include "batching/session/awaiting.h"
#include "batching/session/changes.h"
#include "batching/session/engine.h"
#include "batching/session/frame.h"
#include "batching/session/hold.h"
#include "batching/session/late.h"
#include "batching/session/lookup.h"
#include "batching/session/owed.h"
#include "batching/session/pooler.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/txn.h"

bool session_is_lending(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        if (o->kind == OWED_BATCH && (o->of.batch->n_left || !o->of.batch->ahead.home))
            return true;
    }
    return false;
}

bool session_is_wanted(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        if (o->kind == OWED_BATCH && o->of.batch->n_left && !o->of.batch->abandoned)
            return true;
    }
    return false;
}

bool session_end_is_due(struct session *s) {
    if (!session_takes_client(s))
        return false;
    for (const struct lookup *l = s->order.first; l; l = l->next)
        if (l->state != LOOKUP_SENT)
            hold_for_lookups(s);
    return !s->hold.lookups;
}

bool session_may_send(const struct session *s) {
    return !session_is_cancelling(s) && !session_is_framed(s) && !late_must_wait(s) && !s->gives;
}

bool session_order_is_safe(const struct session *s) {
    if (!session_may_send(s) || (session_is_careful(s) && session_runs_own(s)))
        return false;
    for (const struct lookup *l = s->order.first; l; l = l->next)
        if (l->state != LOOKUP_SENT)
            return false;
    return true;
}

// The unit at hand is answered, or its COPY waits for data.
static bool unit_is_known(const struct session *s) {
    return session_unit_is_answered(s) || session_copy_waits(s);
}

void session_settle(struct session *s) {
    struct engine *e = s->engine;
    bool resume = false;
    if (s->hold.lookups && s->hold.await.kind == AWAIT_NOTHING && session_order_is_safe(s) &&
        !session_effect_is_pending(s)) {
        hold_end_lookups(s);
        resume = true;
    }
    const struct engine_limits *limits = &e->limits;
    if (s->hold.full && s->owed.n < limits->max_owed / 2 && s->expect.n <= limits->max_expected / 2 &&
        s->order.n < session_max_lookups(s) / 2 + 1 && session_queue_has_drained(s)) {
        hold_end_room(s);
        resume = true;
    }
    if (s->hold.unit && unit_is_known(s)) {
        hold_end_unit(s);
        resume = true;
    }
    if (resume)
        e->effects->resume_client(s->owner);
    if (s->client_gone && !session_is_lending(s))
        e->effects->finished(s->owner);
}
