// SPDX-License-Identifier: PostgreSQL
#include "batching/session/thrift.h"

#include "batching/session/engine.h"
#include "batching/session/session.h"

#define PROOF 2u          // what it costs, in lookups that are answered from batches
#define MOST  (4 * PROOF) // in vain

static uint8_t *spent_of(const struct session *s) {
    return &s->engine->thrift.spent[s->figures - s->engine->figures.databases];
}

void thrift_ended(const struct session *s) {
    uint8_t *spent = spent_of(s);
    unsigned cost = *spent + (s->identity.n_proofs ? PROOF : 0u);
    cost -= s->served < cost ? s->served : cost;
    *spent = (uint8_t)(cost < MOST ? cost : MOST);
}

bool thrift_waits(const struct session *s) {
    return !s->identity.n_proofs && !s->engine->limits.observe && *spent_of(s) >= MOST;
}
