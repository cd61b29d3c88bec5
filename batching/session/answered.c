// SPDX-License-Identifier: PostgreSQL
#include "batching/session/answered.h"

#include "batching/fold/batch.h"
#include "batching/session/engine.h"
#include "batching/session/reporting.h"
#include "batching/session/session.h"

static void count(struct engine_counters *c, enum outcome outcome, enum reason reason) {
    c->answered++;
    switch (outcome) {
    case OUTCOME_FOLDED:
        c->folded++;
        c->from_batch++;
        break;
    case OUTCOME_AHEAD:
        c->folded++;
        c->from_ahead++;
        break;
    case OUTCOME_ALONE:
        c->alone++;
        c->not_folded[reason] += reason != REASON_NONE;
        break;
    case OUTCOME_FORWARDED:
        c->forwarded[reason]++;
        break;
    default:
        c->here++;
    }
}

// Statements that would have gone to the server. A batch counts when it would have been sent.
static void count_would(struct engine_counters *c, enum outcome would) {
    c->would_fold += would == OUTCOME_FOLDED;
    c->would_ahead += would == OUTCOME_AHEAD;
    c->would_send += would == OUTCOME_FORWARDED || would == OUTCOME_ALONE;
}

void session_answered(struct session *s, const struct answered *a) {
    struct engine *e = s->engine;
    count(&e->counters, a->outcome, a->reason);
    if (e->limits.dry)
        count_would(&e->counters, a->would);
    figures_note_answered(s, a);
    reporting_answered(s, a);
    if (a->outcome == OUTCOME_FOLDED || a->outcome == OUTCOME_AHEAD)
        s->served++;
    if (e->observer.answered)
        e->observer.answered(e->observer.ctx, s, a);
}

void lookup_answered(struct session *s, const struct lookup *l) {
    if (l->loops && s->engine->now > l->seen)
        s->waited += s->engine->now - l->seen;
    if (l->outcome == OUTCOME_NONE)
        return;
    struct answered a = {.shape = l->shape,
                         .kind = (enum statement_kind)l->kind,
                         .outcome = (enum outcome)l->outcome,
                         .would = (enum outcome)l->outcome,
                         .reason = l->outcome == OUTCOME_ALONE ? (enum reason)l->reason : REASON_NONE,
                         .failed = l->failed,
                         .with_list = l->with_list && l->outcome == OUTCOME_AHEAD,
                         .question = l->question,
                         .tags = l->tags,
                         .asked = l->seen,
                         .answered = s->engine->now};
    session_answered(s, &a);
    s->figures->client_parses += l->has_parse;
    s->figures->binds += l->shape && !l->simple;
}
