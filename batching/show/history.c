// SPDX-License-Identifier: PostgreSQL
#include "batching/show/history.h"

#include "batching/session/counters.h"

struct history_totals history_totals(const struct engine_counters *c) {
    struct history_totals t = {.asked = c->answered, .sent = c->sent, .would = c->would_send};
    t.by[OUTCOME_FOLDED] = c->from_batch;
    t.by[OUTCOME_AHEAD] = c->from_ahead;
    t.by[OUTCOME_ALONE] = c->alone;
    t.by[OUTCOME_HERE] = c->here;
    for (int r = 0; r < REASON_COUNT; r++)
        t.by[OUTCOME_FORWARDED] += c->forwarded[r];
    return t;
}

static uint32_t grown(uint64_t now, uint64_t before) {
    uint64_t n = now > before ? now - before : 0;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static void add(struct history *h, const struct history_totals *t, bool observes, uint64_t now) {
    struct history_second *s = &h->ring[h->next];
    *s = (struct history_second){.ended = now,
                                 .took = grown(now, h->ticked),
                                 .asked = grown(t->asked, h->before.asked),
                                 .sent = grown(t->sent, h->before.sent),
                                 .would = observes ? grown(t->would, h->before.would) : HISTORY_UNKNOWN};
    for (int i = 0; i < OUTCOME_COUNT; i++)
        s->by[i] = grown(t->by[i], h->before.by[i]);
    h->next = (h->next + 1) % HISTORY_SECONDS;
    h->n += h->n < HISTORY_SECONDS;
}

void history_tick(struct history *h, const struct engine_counters *c, uint64_t since, bool observes,
                  uint64_t now) {
    struct history_totals t = history_totals(c);
    bool first = !h->began;
    if (first)
        h->began = h->ticked = now;
    if (since != h->since) // they began anew
        h->before = (struct history_totals){0};
    h->since = since;
    if (!first && now > h->ticked)
        add(h, &t, observes, now);
    h->ticked = now;
    h->before = t;
}

const struct history_second *history_at(const struct history *h, unsigned i) {
    return &h->ring[(h->next + HISTORY_SECONDS - h->n + i) % HISTORY_SECONDS];
}

static struct history_second sum(const struct history *h, unsigned most, bool observed) {
    struct history_second sum = {.would = observed ? 0 : HISTORY_UNKNOWN};
    for (unsigned i = h->n > most ? h->n - most : 0; i < h->n; i++) {
        const struct history_second *s = history_at(h, i);
        if (observed && s->would == HISTORY_UNKNOWN)
            continue;
        sum.ended = s->ended;
        sum.took += s->took;
        sum.asked += s->asked;
        sum.sent += s->sent;
        sum.would += observed ? s->would : 0;
        for (int o = 0; o < OUTCOME_COUNT; o++)
            sum.by[o] += s->by[o];
    }
    return sum;
}

struct history_second history_sum(const struct history *h, unsigned most) {
    return sum(h, most, false);
}

struct history_second history_observed(const struct history *h, unsigned most) {
    return sum(h, most, true);
}
