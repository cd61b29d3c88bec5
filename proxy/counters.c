// SPDX-License-Identifier: PostgreSQL
#include "proxy/counters.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "batching/base/reason.h"
#include "batching/session/counters.h"
#include "batching/session/session_state.h"
#include "batching/statement/guard.h"
#include "batching/statement/redact.h"
#include "batching/statement/shape.h"
#include "proxy/cancel.h"
#include "proxy/proxy.h"

#define REPORTED_SHAPES 50 // statements: those used last

static void log_shapes(const struct proxy *p) {
    unsigned left = REPORTED_SHAPES;
    for (const struct shape *s = engine_newest_shape(p->engine); s && left; s = s->older) {
        const struct guard *g = &s->guard;
        if (!g->n_folded)
            continue;
        struct buf text = buf_make(1024);
        redact_text(s->text, s->text_len, 400, &text);
        log_event(
            &p->log, LOG_LEVEL_INFO, 0,
            "shape %016llx: %llu folded, %llu as sent; microseconds until the answer: %u folded, %u as sent "
            "in company, %u alone; %s: %.*s",
            (unsigned long long)shape_digest(s), (unsigned long long)g->n_folded,
            (unsigned long long)g->n_alone, g->folded, g->alone, g->lone, guard_state_name(g), (int)text.len,
            text.data ? (const char *)text.data : "");
        buf_free(&text);
        left--;
    }
}

// Those of the table that stand in this line, in its order.
static void put_line(struct buf *b, const struct proxy *p, enum counter_line line) {
    const struct engine_counters *c = engine_counters(p->engine);
    const struct counter *k;
    for (unsigned i = 0; (k = counter_at(i)); i++) {
        char number[24];
        const char *at = strchr(k->phrase, '%');
        if (k->line != line || !at)
            continue;
        snprintf(number, sizeof number, "%llu", (unsigned long long)counter_value(c, k, REASON_NONE));
        buf_put(b, k->phrase, (size_t)(at - k->phrase));
        buf_put_text(b, number);
        buf_put_text(b, at + 1);
    }
}

static void log_folding(const struct proxy *p) {
    struct buf b = buf_make(2048);
    put_line(&b, p, COUNTER_LINE_FOLDING);
    log_event(&p->log, LOG_LEVEL_INFO, 0, "clients %u, accepted %llu, refused %llu%.*s", p->n_sessions,
              (unsigned long long)p->accepted, (unsigned long long)p->refused, (int)b.len,
              b.data ? (const char *)b.data : "");
    buf_free(&b);
}

// What was loaded ahead, in keys: how many were of use, and how many were loaded for nothing.
static void log_lookahead(const struct proxy *p) {
    struct buf b = buf_make(2048);
    put_line(&b, p, COUNTER_LINE_AHEAD);
    log_event(&p->log, LOG_LEVEL_INFO, 0, "%.*s", (int)b.len, b.data ? (const char *)b.data : "");
    buf_free(&b);
}

// In bytes, as the engine's accounts count them.
static void log_memory(const struct proxy *p) {
    const struct engine_counters *c = engine_counters(p->engine);
    struct engine_memory_use m = engine_memory_use(p->engine);
    log_event(&p->log, LOG_LEVEL_INFO, 0,
              "memory: %zu bytes of at most %zu, peak %zu; statements %zu, groups %zu, identities %zu, "
              "report %zu, sessions %zu; held back %llu times, forwarded for it %llu, miscounted %llu",
              m.used, m.limit, m.peak, m.shapes, m.groups, m.identities, m.report,
              m.used - (m.shapes + m.groups + m.identities + m.report), (unsigned long long)c->held_back,
              (unsigned long long)c->forwarded[REASON_MEMORY], (unsigned long long)c->miscounted);
}

static void log_own(const struct proxy *p) {
    log_event(&p->log, LOG_LEVEL_INFO, 0, "log lines lost %llu, not repeated %llu",
              (unsigned long long)log_writer_lost(p->log.writer),
              (unsigned long long)(p->log.limit ? p->log.limit->total : 0));
    log_event(&p->log, LOG_LEVEL_INFO, 0, "cancel requests relayed %llu, joined %llu, with a wrong key %llu",
              (unsigned long long)p->cancels->relayed, (unsigned long long)p->cancels->joined,
              (unsigned long long)p->cancels->guesses.total);
}

void counters_log(const struct proxy *p) {
    const struct engine_counters *c = engine_counters(p->engine);
    log_folding(p);
    log_own(p);
    log_lookahead(p);
    log_memory(p);
    for (int r = 0; r < REASON_COUNT; r++)
        if (c->forwarded[r])
            log_event(&p->log, LOG_LEVEL_INFO, 0, "forwarded %llu: %s (%s)",
                      (unsigned long long)c->forwarded[r], reason_name((enum reason)r),
                      reason_text((enum reason)r));
    for (int r = 0; r < REASON_COUNT; r++)
        if (c->not_folded[r])
            log_event(&p->log, LOG_LEVEL_INFO, 0, "lookups as sent %llu: %s (%s)",
                      (unsigned long long)c->not_folded[r], reason_name((enum reason)r),
                      reason_text((enum reason)r));
    log_shapes(p);
}
