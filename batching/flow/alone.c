// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/alone.h"

#include "batching/flow/check.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/late.h"
#include "batching/session/lookup.h"

bool engine_has_company(const struct group *g) {
    return g->n_waiting + g->in_flight > 1;
}

void engine_run_lookup(struct lookup *l) {
    l->company = engine_has_company(l->group) ? COMPANY_SOME : COMPANY_NONE;
    lookup_detach_waiting(l);
    l->counted = true;
    group_pin(l->group);
    late_list_alone(l);
    session_run_alone(l->session, l);
}

void engine_run_all_uncounted(struct group *g) {
    while (g->first) {
        struct lookup *l = g->first;
        l->company = COMPANY_UNKNOWN;
        lookup_detach_waiting(l);
        session_run_alone(l->session, l);
    }
}
