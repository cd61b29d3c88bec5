// SPDX-License-Identifier: PostgreSQL
#include "batching/session/lists.h"

#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"

#define MAX_PROVING 16 // identity queries under way at once

void engine_list_group(struct engine *e, struct group *g) {
    if (g->listed)
        return;
    g->listed = true;
    g->next_listed = e->listed;
    e->listed = g;
}

void engine_list_proof(struct engine *e, struct session *s) {
    if (s->proof_listed)
        return;
    s->proof_listed = true;
    s->next_proof = e->to_prove;
    e->to_prove = s;
}

void engine_unlist_proof(struct engine *e, struct session *s) {
    for (struct session **at = &e->to_prove; s->proof_listed && *at; at = &(*at)->next_proof) {
        if (*at == s) {
            *at = s->next_proof;
            s->proof_listed = false;
            return;
        }
    }
}

bool engine_may_prove(const struct engine *e) {
    return e->proving < MAX_PROVING;
}
