// SPDX-License-Identifier: PostgreSQL
#include "batching/session/thrift.h"

#include "batching/session/engine.h"
#include "batching/session/session.h"

#define PROOF 2           // what it costs, in lookups that are answered from batches
#define MOST  (4 * PROOF) // in vain
#define LEAST (-32 * PROOF)

static int8_t *spent_of(const struct session *s) {
    return &s->engine->thrift.spent[s->figures - s->engine->figures.databases];
}

void thrift_ended(const struct session *s) {
    int8_t *spent = spent_of(s);
    int worth = s->served < MOST - LEAST ? (int)s->served : MOST - LEAST;
    int cost = *spent + (s->identity.n_proofs ? PROOF : 0) - worth;
    *spent = (int8_t)(cost > MOST ? MOST : cost < LEAST ? LEAST : cost);
}

bool thrift_waits(const struct session *s) {
    return !s->identity.n_proofs && !s->engine->limits.observe && *spent_of(s) >= MOST;
}
