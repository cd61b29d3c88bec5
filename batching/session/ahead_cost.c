// SPDX-License-Identifier: PostgreSQL
#include "batching/session/ahead_cost.h"

#include "batching/ahead/ahead.h"
#include "batching/ahead/pace.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/budget.h"
#include "batching/statement/shape.h"

struct association *ahead_association(const struct batch *b) {
    struct association *all = b->group->shape->associations;
    return all ? &all[b->ahead.association] : NULL;
}

unsigned ahead_statements(const struct session *s) {
    return s->txn == 'I' ? 2 : 5;
}

// The cost of a batch's statement, without its keys. What only frames or checks it costs less than a lookup.
static uint32_t statement_cost(const struct session *s) {
    return (s->txn == 'I' ? 1 : 3) * BUDGET_LOOKUP;
}

static uint32_t key_cost(const struct group *g, const struct association *a) {
    return budget_key_cost(g->shape->guard.lone, a->cost);
}

// A lookup of a loop, however it is answered: `a` is where its key was found.
void ahead_earn(struct ahead *a, struct shape *s, uint32_t value) {
    budget_earn(&s->budget, value);
    budget_earn(&a->engine->aheads.vets, value);
    if (a->session)
        budget_earn(&a->session->ahead_budget, value);
}

unsigned ahead_affordable(const struct session *s, const struct ahead *a, const struct group *g,
                          const struct association *association) {
    uint32_t statement = statement_cost(s), key = key_cost(g, association);
    unsigned shape = budget_keys(&g->shape->budget, BUDGET_SHAPE, statement, key);
    unsigned session = budget_keys(&a->session->ahead_budget, BUDGET_SESSION, statement, key);
    return shape < session ? shape : session;
}

void ahead_spend(const struct session *s, struct ahead *a, struct batch *b, struct association *association) {
    b->ahead.key_cost = key_cost(b->group, association);
    uint64_t cost = statement_cost(s) + (uint64_t)(b->n_keys - b->ahead.asked) * b->ahead.key_cost;
    budget_spend(&b->group->shape->budget, cost);
    budget_spend(&a->session->ahead_budget, cost);
    association_sent(association, s->engine->now);
}

void ahead_fill(struct ahead *a, struct batch *b) {
    struct association *association = ahead_association(b);
    uint64_t cost = (uint64_t)b->n_keys * b->ahead.key_cost;
    budget_spend(&b->group->shape->budget, cost);
    if (a->session)
        budget_spend(&a->session->ahead_budget, cost);
    a->engine->counters.ahead_keys += b->n_keys;
    if (association)
        association->figures.loaded += b->n_keys;
}

void ahead_served(struct batch *b, uint32_t key) {
    struct association *association = ahead_association(b);
    bool asked = b->ahead.asked && !b->ahead.told && key == b->n_keys - 1;
    b->ahead.told |= asked;
    if (asked)
        return; // it would have been a statement in any case
    b->ahead.n_served++;
    family_served(&b->ahead.home->engine->aheads.families, b->group->shape->family);
    ahead_earn(b->ahead.home, b->group->shape, BUDGET_LOOKUP + b->ahead.key_cost);
    if (association)
        association_served(association);
}

static void count_for_association(struct association_figures *f, enum ahead_fate fate, unsigned n) {
    f->batches += fate == AHEAD_LOADED;
    f->loaded += fate == AHEAD_LOADED ? n : 0;
    f->answered += fate == AHEAD_ANSWERED ? n : 0;
    f->unused += fate == AHEAD_UNUSED ? n : 0;
    f->stale += fate == AHEAD_STALE ? n : 0;
}

void ahead_count(struct engine *e, const struct batch *b, enum ahead_fate fate, unsigned n) {
    struct association *association = ahead_association(b);
    struct engine_counters *c = &e->counters;
    c->ahead_batches += fate == AHEAD_LOADED;
    c->ahead_keys += fate == AHEAD_LOADED ? n : 0;
    c->ahead_first += fate == AHEAD_ANSWERED ? n : 0;
    c->ahead_unused += fate == AHEAD_UNUSED ? n : 0;
    c->ahead_stale += fate == AHEAD_STALE ? n : 0;
    c->ahead_with_list += fate == AHEAD_LOADED && b->derived;
    c->ahead_with_burst += fate == AHEAD_LOADED && b->ahead.burst;
    if (association)
        count_for_association(&association->figures, fate, n);
    if (association && fate == AHEAD_LOADED)
        association->figures.with_list += b->derived != NULL;
}
