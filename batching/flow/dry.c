// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/dry.h"

#include "batching/ahead/ahead.h"
#include "batching/base/outcome.h"
#include "batching/flow/alone.h"
#include "batching/flow/check.h"
#include "batching/flow/find.h"
#include "batching/flow/load.h"
#include "batching/flow/own_queries.h"
#include "batching/fold/group.h"
#include "batching/session/asking.h"
#include "batching/session/held.h"
#include "batching/session/lists.h"
#include "batching/session/reporting.h"
#include "batching/session/statements.h"
#include "batching/statement/guard.h"
#include "batching/statement/shape.h"
#include "batching/trust/identity.h"

// ---- it comes

// What it asks is no longer needed, and it is no company for others.
static void forget_lookup(struct dry *d) {
    dry_unlist(d);
    behind_free(d->lookup);
    d->lookup = NULL;
}

// `noted`: the row of the list that it asks for has been found, and is noted.
static bool take_held(struct session *s, struct dry *d, bool noted) {
    struct behind *l = d->lookup;
    struct group *g = l->group;
    struct ahead_hit hit;
    bool proven = s->identity.state == IDENTITY_PROVEN || d->apart;
    if (!g->held || !proven || s->n_dry != 1 ||
        !ahead_find(s, g, l->raw, l->question, l->again && !noted ? &d->asked : NULL, &hit))
        return false;
    d->would = OUTCOME_AHEAD;
    d->home = hit.ahead;
    d->home->refs++;
    d->association = hit.batch->ahead.association;
    d->list = hit.batch->ahead.number;
    if (!noted) {
        session_note_question(s, l->question,
                              hit.own ? (uint32_t)d->list - 1 : (uint32_t)s->engine->aheads.loads);
        ahead_step(s, g, l->raw, l->again);
    }
    ahead_give_dry(s, &hit, l->question);
    ahead_refill(s, &hit, l->question, l->bytes, l->len);
    return true;
}

void dry_came(struct session *s, struct dry *d) {
    struct engine *e = s->engine;
    struct behind *l = d->lookup;
    d->came = true;
    d->at = s->front_since ? s->front_since : e->now;
    e->counters.lookups++;
    if (take_held(s, d, false)) {
        forget_lookup(d);
        return;
    }
    session_note_question(s, d->question, (uint32_t)e->aheads.loads);
    dry_goes(s);
    ahead_step(s, l->group, l->raw, l->again);
    if (s->identity.state != IDENTITY_PROVEN && l->group->state != GROUP_READY)
        ahead_run_unvetted(s);
    dry_list(d);
    engine_list_group(e, l->group);
}

// ---- the turn ends

// A share of the lookups that have company runs twice, to be compared.
static void draw(struct engine *e, struct dry *d, const struct dry_queue *q) {
    bool company = q->n_waiting + q->n_running > 1;
    if (company && d->session->txn == 'I' && !d->lookup->group->owner && check_draws(e, d->shape))
        e->counters.would_send++;
}

static void queue(struct engine *e, struct dry *d) {
    struct group *g = d->lookup->group;
    struct dry_limits limits = dry_limits_of(e, g);
    d->queued = true;
    d->batch = dry_queue_add(&g->dry, &limits, e->now, &e->counters.would_send);
    draw(e, d, &g->dry);
}

static void run_queue(struct engine *e, struct group *g, unsigned under_way) {
    struct dry_limits limits = dry_limits_of(e, g);
    if (g->state == GROUP_READY)
        e->counters.would_send += dry_queue_turn(&g->dry, &limits, e->now, g->in_flight <= under_way);
    else if (g->state == GROUP_REFUSED)
        g->dry.n_waiting = g->dry.n_old = 0;
}

void dry_dispatch(struct engine *e, struct group *g) {
    bool folds = g->state == GROUP_READY && g->generation == e->generation && !g->shape->wrong;
    while (g->first_dry) {
        struct dry *d = g->first_dry;
        d->company = engine_has_company(g);
        dry_unlist(d);
        if (!folds || ahead_follow_dry(d->session, d))
            continue;
        if (d->extended && take_held(d->session, d, true))
            forget_lookup(d);
        else if (!d->apart)
            queue(e, d);
    }
    run_queue(e, g, 0);
}

// ---- it is answered

// Fold mode would have answered it at once. The time that its client has waited is none in which what is held grows
// older, and none between two lookups of the loop.
static void spare(struct dry *d, uint64_t took, uint64_t now) {
    struct ahead *a = d->home;
    for (struct batch *b = a->held; b; b = b->ahead.next)
        b->ahead.spared += took;
    a->last_answer = a->engine->aheads.last_answer = now;
    dry_waited(d->session, took);
    struct association *association = d->shape->associations ? &d->shape->associations[d->association] : NULL;
    if (association && association->last_asked)
        association->last_asked = association->last_asked + took < now ? association->last_asked + took : now;
}

bool dry_is_late(const struct session *s, const struct dry *d) {
    return d->came && d->lookup && !d->queued && !d->would && s->engine->limits.dry &&
           (s->identity.state == IDENTITY_PROVEN || d->apart);
}

static bool waits_for_verdict(const struct dry *d) {
    enum group_state state = d->lookup->group->state;
    return !d->apart && d->shape->n_lookups > 1 && state != GROUP_REFUSED;
}

void dry_answered(struct session *s, struct dry *d) {
    struct engine *e = s->engine;
    struct group *g = d->lookup ? d->lookup->group : NULL;
    uint64_t took = e->now > d->at ? e->now - d->at : 0;
    if (d->listed && e->limits.dry)
        dry_dispatch(e, g);
    if (d->would == OUTCOME_AHEAD)
        spare(d, took, e->now);
    else if (dry_is_late(s, d) && waits_for_verdict(d))
        queue(e, d);
    if (d->queued)
        d->would = dry_queue_answered(&g->dry, d->batch, took) ? OUTCOME_FOLDED : OUTCOME_ALONE;
    if (d->would == OUTCOME_FOLDED && g->dry_told != d->batch + 1) {
        g->dry_told = d->batch + 1; // the first of its batch is told of the statement
        reporting_sent(s, d->shape);
    }
    if (!d->would)
        d->would = OUTCOME_ALONE;
    if (d->would == OUTCOME_ALONE && d->statement)
        d->statement->would_lack = false; // it would have been given
    if (d->would != OUTCOME_FOLDED && !d->company && d->came)
        guard_note_lone(&d->shape->guard, took);
}

void dry_ended(struct session *s, struct dry *d) {
    struct engine *e = s->engine;
    struct group *g = d->lookup ? d->lookup->group : NULL;
    if (!g || !e->limits.dry)
        return;
    if (d->would == OUTCOME_ALONE && !d->queued && !d->company)
        (void)ahead_follow_dry(s, d);
    if (g->state == GROUP_NEW && (d->company || d->queued) && s->identity.state == IDENTITY_PROVEN)
        session_ask_vet(s, g);
    run_queue(e, g, 1);
}

void dry_ask(struct session *s) {
    struct group *g = s->n_forward || !s->engine->limits.dry ? NULL : dry_wanted(s);
    if (g)
        session_ask_vet(s, g);
}
