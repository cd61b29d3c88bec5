// SPDX-License-Identifier: PostgreSQL
#include "batching/session/whole_unit.h"

#include "batching/fold/batch.h"
#include "batching/fold/lookup_state.h"
#include "batching/session/answered.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/lazy.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/pipeline.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "protocol/buf.h"

static void take_out_with_answer(struct session *s, struct lookup *l) {
    if (l->state == LOOKUP_WAITING)
        lookup_detach_waiting(l);
    else if (l->state == LOOKUP_BATCHED)
        lookup_leave_batch(l);
    order_release(s, l->answer.len);
    buf_free(&l->answer);
    l->answer.len = 0;
    lookup_weigh(l);
}

struct lookup *pipeline_collapse(struct session *s, struct lookup *l) {
    struct pipeline *p = l->pipeline;
    if (p->whole)
        return p->first;
    p->whole = true;
    for (struct lookup *x = p->first; x && x->pipeline == p; x = x->next) {
        if (x != l)
            take_out_with_answer(s, x);
        lookup_set_state(x, LOOKUP_ANSWERED); // with nothing
        x->outcome = OUTCOME_NONE;            // unless the server answers it
        x->company = COMPANY_UNKNOWN;
        if (x != p->first)
            lookup_uncount(s->engine, x);
    }
    return p->first;
}

void pipeline_ended(struct lookup *first, const struct owed *o) {
    struct pipeline *p = first->pipeline;
    unsigned last = p->n - 1, failed = o->n_complete < last ? o->n_complete : last, i = 0;
    for (struct lookup *x = first; x && x->pipeline == p; x = x->next, i++) {
        x->failed = o->error && i == failed;
        x->outcome = o->error && i > failed ? OUTCOME_NONE : OUTCOME_ALONE;
    }
}

void pipeline_cancel(struct session *s, struct lookup *first) {
    if (first->pipeline->whole)
        return;
    take_out_with_answer(s, first);
    (void)pipeline_collapse(s, first);
    lookup_set_state(first, LOOKUP_ALONE);
}

static bool is_given_before(const struct pipeline *p, unsigned i) {
    for (unsigned j = 0; j < i; j++)
        if (p->parts[j].statement == p->parts[i].statement)
            return true;
    return false;
}

// Gives the server the statements that it lacks, in front of the unit. Those that the unit itself prepares
// are left out.
static bool give_all(struct session *s, const struct pipeline *p) {
    for (unsigned i = 0; i < p->n; i++) {
        struct statement *st = p->parts[i].statement;
        bool own = p->parts[i].has_parse || is_given_before(p, i);
        if (!own && session_lacks(s, st) && !session_send_delayed(s, st, false))
            return false;
    }
    return true;
}

bool pipeline_expect(struct session *s, const struct pipeline *p) {
    if (!give_all(s, p))
        return false;
    for (unsigned i = 0; i < p->n && !s->failed; i++) {
        const struct pipeline_part *part = &p->parts[i];
        if (part->has_parse) // all of them prepare the same statement
            session_expect(s, EXPECT_PARSE, i ? NULL : part->statement);
        if (part->has_parse)
            session_note_unnamed(s, true, part->statement->shape);
        if (part->has_describe)
            session_expect(s, EXPECT_DESCRIBE, part->statement->described ? NULL : part->statement);
        for (unsigned c = 0; c < part->n_closes; c++)
            session_expect(s, EXPECT_CLOSE, NULL);
    }
    return !s->failed;
}
