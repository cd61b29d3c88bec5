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

void session_answered(struct session *s, const struct answered *a) {
    struct engine *e = s->engine;
    count(&e->counters, a->outcome, a->reason);
    figures_note_answered(s, a);
    reporting_answered(s, a);
    if (a->outcome == OUTCOME_FOLDED || a->outcome == OUTCOME_AHEAD)
        s->served++;
    if (e->observer.answered)
        e->observer.answered(e->observer.ctx, s, a);
}

void lookup_answered(struct session *s, const struct lookup *l) {
    if (l->outcome == OUTCOME_NONE)
        return;
    struct answered a = {.shape = l->shape,
                         .kind = (enum statement_kind)l->kind,
                         .outcome = (enum outcome)l->outcome,
                         .reason = l->outcome == OUTCOME_ALONE ? (enum reason)l->reason : REASON_NONE,
                         .failed = l->failed,
                         .question = l->question,
                         .tags = l->tags,
                         .asked = l->seen,
                         .answered = s->engine->now};
    session_answered(s, &a);
    s->figures->client_parses += l->has_parse;
    s->figures->binds += l->shape && !l->simple;
}
