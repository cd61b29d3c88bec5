// SPDX-License-Identifier: PostgreSQL
#include "batching/session/engine.h"

#include <stdlib.h>
#include <string.h>

#include "batching/fold/group.h"
#include "batching/session/held.h"
#include "batching/session/pooler.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/statement/guard.h"
#include "batching/statement/parse.h"
#include "batching/statement/ration.h"
#include "batching/statement/shape.h"
#include "batching/trust/identity.h"
#include "protocol/buf.h"

static void size_scratch(struct engine *e) {
    const struct engine_limits *l = &e->limits;
    e->answer.limit = 2 * l->max_answer + 65536;
    e->request.limit = l->max_text * 4 + (size_t)l->max_keys * 64 + 65536;
}

struct engine *engine_create(const struct engine_limits *limits, const struct engine_effects *effects,
                             void *ctx) {
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->limits = *limits;
    room_fit_limits(&e->limits);
    e->effects = effects;
    e->ctx = ctx;
    e->generation = 1;
    shape_cache_init(&e->shapes, limits->max_shapes, e->limits.max_text);
    e->shapes.rations = &e->rations;
    rations_limit(&e->rations, limits->parse_budget);
    identity_table_init(&e->identities);
    group_table_init(&e->groups, limits->max_groups);
    size_scratch(e);
    room_adopt_limits(e);
    e->scopes.memory = e->followers.memory.parent = e->bursts.memory.parent = &e->memory;
    report_begin(&e->report, &e->memory);
    report_limit(&e->report, e->limits.report_loops, e->limits.report_tags, e->limits.report_loop_tags);
    scopes_expect(&e->scopes, &e->limits.expect);
    return e;
}

void engine_forget(struct engine *e) {
    report_finish(&e->report);
    scopes_finish(&e->scopes);
    followers_finish(&e->followers);
    bursts_finish(&e->bursts);
    group_table_finish(&e->groups, &e->identities);
    shape_cache_finish(&e->shapes);
    identity_table_finish(&e->identities);
}

void engine_destroy(struct engine *e) {
    if (!e)
        return;
    pooler_finish(e);
    engine_forget(e);
    buf_free(&e->answer);
    buf_free(&e->request);
    free(e);
}

// What was held in one mode is not given in the other.
static void engine_change_dry(struct engine *e) {
    engine_definitions_changed(e); // what was taken for granted is not
    ahead_forget_all(e);
    e->n_wanted = 0;
    for (struct group *g = e->groups.table; g; g = g->hh.next) {
        g->dry = (struct dry_queue){0};
        g->dry_told = 0;
    }
}

void engine_set_limits(struct engine *e, const struct engine_limits *limits) {
    // In mode observe without estimates nothing is shared and no session is proven. When that mode ends, all are to be proven.
    bool proves = !limits->observe || limits->dry, proved = !e->limits.observe || e->limits.dry;
    for (struct session *s = e->sessions; s && proves && !proved; s = s->next)
        session_identity_doubt(&e->identities, &s->identity);
    if (e->limits.dry != limits->dry)
        engine_change_dry(e);
    e->limits = *limits;
    room_fit_limits(&e->limits);
    e->shapes.max_text = e->limits.max_text;
    e->shapes.scratch.limit = e->limits.max_text + 4096;
    rations_limit(&e->rations, limits->parse_budget);
    size_scratch(e);
    room_adopt_limits(e);
    report_limit(&e->report, e->limits.report_loops, e->limits.report_tags, e->limits.report_loop_tags);
    scopes_expect(&e->scopes, &e->limits.expect);
}

static bool is_ahead_off(const struct engine_limits *limits, const struct parsed_relation *r) {
    for (unsigned i = 0; i < limits->n_ahead_off; i++) {
        const struct table_name *t = &limits->ahead_off[i];
        if (strcmp(t->name, r->name) == 0 && (!r->schema || strcmp(t->schema, r->schema) == 0))
            return true;
    }
    return false;
}

// What is not known may read any table.
static bool may_reach(const struct write_set *below, const char *table) {
    return below->all ||
           write_set_contains(below, write_table((struct slice){(const uint8_t *)table, strlen(table)}));
}

bool engine_may_look_ahead(const struct engine *e, const struct parsed *p, const struct write_set *below) {
    for (int i = 0; i < p->n_relations; i++)
        if (is_ahead_off(&e->limits, &p->relations[i]))
            return false;
    for (unsigned i = 0; below && i < e->limits.n_ahead_off; i++)
        if (may_reach(below, e->limits.ahead_off[i].name))
            return false;
    return e->limits.lookahead != LOOKAHEAD_OFF;
}

void engine_definitions_changed(struct engine *e) {
    e->generation++;
}

void engine_names_shadowed(struct engine *e) {
    engine_definitions_changed(e);
    e->shadowed = e->generation;
}

// Microseconds that others' connections may answer for a session before its own has a turn.
#define OWN_TURN                30000000
#define OWN_TURN_IN_TRANSACTION 2000000 // because of idle_in_transaction_session_timeout

enum guard_state engine_guard_state(const struct engine *e, struct shape *s) {
    return guard_state_at(&s->guard, e->limits.never_slower, e->now);
}

// The server counts a session as idle while others' connections answer its lookups. Then idle_session_timeout
// ends it, or a firewall forgets the connection. So now and then a lookup runs on the session's own
// connection.
bool engine_is_forgotten(const struct engine *e, const struct session *s) {
    uint64_t turn = s->txn == 'I' ? OWN_TURN : OWN_TURN_IN_TRANSACTION;
    return s->answered_since && e->now > s->answered_since + turn;
}

// ---- time

void engine_sleeps(struct engine *e, uint64_t now, uint64_t due) {
    struct vigil *v = &e->vigil;
    if (!v->asleep && v->woke && now > v->woke)
        histogram_note_time(&e->figures.lag, now - v->woke);
    *v = (struct vigil){.asleep = true, .woke_before = v->woke, .slept = now, .due = due > now ? due : now};
}

uint64_t engine_waited(const struct engine *e, uint64_t since) {
    const struct vigil *v = &e->vigil;
    if (!v->slept)
        return e->now > since ? e->now - since : 0;
    uint64_t before = v->woke_before > since ? v->woke_before - since : 0;
    uint64_t from = v->slept > since ? v->slept : since, until = v->woke < v->due ? v->woke : v->due;
    return before + (until > from ? until - from : 0);
}
