// SPDX-License-Identifier: PostgreSQL
#include "batching/session/bursting.h"

#include "batching/session/pipeline.h"
#include "batching/session/txn.h"

bool bursting_is_on(const struct engine *e) {
    const struct engine_limits *l = &e->limits;
    return l->with_list && l->lookahead == LOOKAHEAD_BOUNDED && !l->observe && !l->verify &&
           distance_is_far(&e->distance);
}

// When had its client been answered all that it had asked before?
static uint64_t idle_since(const struct lookup *l) {
    const struct session *s = l->session;
    return s->order.n == (l->pipeline ? l->pipeline->n : 1) && !session_n_others(s) ? s->last_answer
                                                                                    : UINT64_MAX;
}

void bursting_note(const struct lookup *l, const struct key *key, bool together) {
    struct session *s = l->session;
    struct engine *e = s->engine;
    if (s->txn != 'I')
        return;
    struct burst_asker asker = {s->id, idle_since(l), (uint32_t)++e->aheads.loads};
    burst_note(&e->bursts, &e->followers,
               &(struct burst_lookup){.group = l->group,
                                      .key = key,
                                      .asker = asker,
                                      .unit = {l->bytes, l->len},
                                      .now = e->now,
                                      .age = e->limits.ahead_age,
                                      .way = distance_to(&e->distance),
                                      .together = together});
}

void bursting_served(const struct lookup *l, const struct key *key, uint64_t burst) {
    burst_note_served(&l->session->engine->bursts, burst, l->group->id);
    bursting_note(l, key, true);
}
