// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/loop_vet.h"

#include "batching/ahead/ahead.h"
#include "batching/ahead/values.h"
#include "batching/flow/find.h"
#include "batching/fold/group.h"
#include "batching/session/apart.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/budget.h"
#include "batching/statement/family.h"
#include "batching/statement/shape.h"
#include "batching/trust/identity.h"

// ---- may it be paid for?

// Lookups of a shape that pay for one question, when the common budget is spent.
#define LOOKUPS_PER_VET 5

// Lookups of a shape that pay for a question although it is not known that they are part of a loop.
#define LOOKUPS_UNTOLD 32

static uint64_t lookups_of(const struct shape *s) {
    return s->guard.n_alone + s->guard.n_folded;
}

// May the question be paid for? First by the common budget. When that is spent, by what the shape's own
// lookups have cost: asking about a text that is used once is in vain.
static bool may_pay_vet(struct engine *e, struct shape *s) {
    bool paid = budget_keys(&e->aheads.vets, BUDGET_VETS, 0, BUDGET_VET) > 0;
    if (!paid && lookups_of(s) < LOOKUPS_PER_VET * (UINT64_C(1) + s->ahead_vets))
        return false;
    if (paid)
        budget_spend(&e->aheads.vets, BUDGET_VET);
    s->ahead_vets++;
    return true;
}

// The answer about a proven session's group can be used by others; for any other session it takes many
// lookups to be worth asking.
bool loop_may_pay(struct session *s, struct shape *shape) {
    bool proven = s->identity.state == IDENTITY_PROVEN;
    if (!proven && !apart_is_worth_asking(s))
        return false;
    if (!may_pay_vet(s->engine, shape))
        return false;
    apart_asked(s, !proven);
    family_guessed(&s->engine->aheads.families, shape->family);
    return true;
}

// ---- is it worth it?

bool loop_is_in_trail(struct session *s, const struct group *g, const struct slice *raw, bool own) {
    unsigned i = 0;
    for (struct ahead *a = ahead_next(s, g, NULL, &i); a; a = ahead_next(s, g, a, &i))
        if ((own || a != s->ahead) && values_are_in(&a->trail, g, raw, NULL))
            return true;
    return false;
}

static bool has_been_loop(const struct shape *s) {
    for (unsigned i = 0; s->associations && i < ASSOCIATIONS; i++)
        if (s->associations[i].useful)
            return true;
    return false;
}

// Might the lookup be part of a loop? Asked before anything is known of its values' types. One lookup behind each list
// is no loop; two behind one are. Where that cannot be told, many lookups are worth a question.
static bool is_plausible(struct session *s, const struct group *g, const struct slice *raw) {
    struct ahead *a = s->ahead;
    uint64_t lookups = lookups_of(g->shape), many = LOOKUPS_UNTOLD * (UINT64_C(1) + g->shape->ahead_vets);
    if (a && (steps_run(&a->steps, g) || second_follows(&a->seconds, &a->trail, g, raw)))
        return true;
    if (lookups >= many || has_been_loop(g->shape))
        return loop_is_in_trail(s, g, raw, true);
    return lookups && loop_is_in_trail(s, g, raw, false); // of a loop over several connections
}

#define FAR 2000 // microseconds

// A far server is asked at the first lookup that may come from the list that was read last: each lookup that goes there while
// nothing is known costs the client more than the question costs the server.
static bool is_worth_it_at_once(const struct session *s, const struct group *g, const struct slice *raw) {
    if (!s->ahead || distance_to(&s->engine->distance) < FAR)
        return false;
    struct value_lists last = {.and = s->ahead->trail.serial};
    return values_are_in(&s->ahead->trail, g, raw, &last);
}

bool loop_is_worth_asking(struct session *s, const struct group *g, const struct slice *raw) {
    return s->apart.costs || is_plausible(s, g, raw) || is_worth_it_at_once(s, g, raw);
}
