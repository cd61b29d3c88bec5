// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/sync_early.h"

#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/owed.h"
#include "batching/session/pooler.h"
#include "batching/session/thrift.h"
#include "batching/session/wire.h"
#include "batching/talk/end_take.h"
#include "batching/talk/server.h"
#include "batching/trust/identity.h"
#include "protocol/frame.h"
#include "protocol/message.h"

// Is nothing under way but the unit, and nothing of that?
static bool is_quiet(const struct session *s) {
    return s->in_unit && s->owed.n == 1 && s->n_forward == 1 && !s->order.n && !s->lazy_unit && !s->no_scan &&
           !s->backlogged && !s->cancel.held && !session_is_cancelling(s) && !s->splits && !s->skips_unit &&
           !s->copying && !s->server_skip && !s->begun.due && !s->giving.error.len &&
           session_unit_is_answered(s);
}

// Did its statements leave everything as it was? What is not known to has brought the session's identity in doubt.
static bool has_only_read(const struct owed *o) {
    const struct forward_effects *e = &o->forward;
    bool plain = !e->setting && !e->changes && !e->clears_names && !e->drops && !e->writes && !e->behind;
    bool inside = !e->begins && !e->ends && !e->more_than_read && !e->level && !e->returns && !e->local &&
                  !e->renames && !e->customs && !e->copies && !e->n_copies;
    return plain && inside && (!o->of.group || o->of.group->state == GROUP_READY);
}

// Nothing is known of the session yet. It is asked when its unit has ended.
static void want_proof(struct session *s) {
    if (s->identity.state == IDENTITY_UNPROVEN && session_identity_wants_proof(&s->identity, thrift_waits(s)))
        s->wants_proof = true;
}

bool sync_is_certain(struct session *s) {
    if (!end_may_be_early(s) || s->client_gone || s->opaque || s->txn != 'I' || !is_quiet(s))
        return false;
    want_proof(s);
    const struct owed *o = owed_last(s);
    enum identity_isolation level = session_identity_isolation(&s->identity); // UNKNOWN in doubt
    return !session_is_careful(s) && o->kind == OWED_FORWARD && o->extended && !o->error && !o->split &&
           !o->poisoned && !o->refused && !o->n_asked && has_only_read(o) && !s->definitions_in_txn &&
           !s->writes.all && !s->writes.n &&
           (level == ISOLATION_READ_COMMITTED || level == ISOLATION_REPEATABLE_READ);
}

void sync_answer(struct session *s) {
    static const uint8_t ready[] = {B_READY_FOR_QUERY, 0, 0, 0, 5, 'I'};
    if (!owed_push_end(s)) {
        session_fail(s, "53200", "out of memory");
        return;
    }
    s->engine->counters.early_ends++;
    (void)session_from_server(s, ready, sizeof ready, s->engine->now);
}
