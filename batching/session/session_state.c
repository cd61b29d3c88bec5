// SPDX-License-Identifier: PostgreSQL
#include "batching/session/session_state.h"

#include <stdlib.h>
#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/watch/report.h"
#include "protocol/buf.h"

// ---- a session

bool session_is_opaque(const struct session *s) {
    return s->opaque;
}

bool session_has_failed(const struct session *s) {
    return s->failed;
}

bool session_is_ending(const struct session *s) {
    return s->ending;
}

bool session_has_said_goodbye(const struct session *s) {
    return s->goodbye;
}

bool session_server_owes(const struct session *s) {
    return s->owed.n;
}

bool session_is_writing(const struct session *s) {
    return s->owed.n == 1 && !s->in_unit && !s->client_skip && (s->writes.all || s->writes.n);
}

bool session_owes_client(const struct session *s) {
    return s->order.n;
}

bool session_client_waits(const struct session *s) {
    return s->order.n || s->n_forward;
}

bool session_is_in_transaction(const struct session *s) {
    return s->txn != 'I';
}

bool session_is_copying(const struct session *s) {
    return s->copying;
}

bool session_is_idle(const struct session *s) {
    return !s->owed.n && !s->order.n && !s->in_unit && !s->opaque && !session_is_held(s);
}

bool session_has_partial_unit(const struct session *s) {
    return s->partial_since;
}

bool session_is_inside_message(const struct session *s) {
    return s->server_skip;
}

uint64_t session_replies(const struct session *s) {
    return s->n_replies;
}

void session_set_backlogged(struct session *s, bool backlogged) {
    s->backlogged = backlogged;
}

const char *session_database(const struct session *s) {
    return s->figures->name;
}

uint64_t session_last_answer(const struct session *s) {
    return s->last_answer;
}

struct account *session_memory(struct session *s) {
    return &s->memory;
}

// ---- the engine

struct account *engine_memory(struct engine *e) {
    return &e->memory;
}

size_t engine_max_session(const struct engine *e) {
    return e->limits.max_session;
}

const struct engine_counters *engine_counters(const struct engine *e) {
    return &e->counters;
}

const struct figures *engine_figures(const struct engine *e) {
    return &e->figures;
}

const struct shape *engine_newest_shape(const struct engine *e) {
    return e->shapes.newest;
}

struct engine_memory_use engine_memory_use(const struct engine *e) {
    return (struct engine_memory_use){.used = e->memory.used,
                                      .limit = e->memory.limit,
                                      .peak = e->memory.peak,
                                      .shapes = e->shapes.memory.used,
                                      .groups = e->groups.memory.used + e->followers.memory.used +
                                                e->bursts.memory.used,
                                      .identities = e->identities.memory.used,
                                      .report = e->report.memory.used,
                                      .held = e->aheads.bytes};
}

size_t engine_take_memory_high(struct engine *e) {
    account_note_peak(&e->memory);
    size_t high = e->memory.high;
    e->memory.high = e->memory.used;
    return high;
}

// ---- a test run

struct test_result engine_test_result(const struct engine *e) {
    const struct scopes *s = &e->scopes;
    bool fails = !s->run.expect.warns && section_fails(&s->run) != METRIC_COUNT;
    return (struct test_result){.n_statements = s->n_seen, .failed = fails || s->n_refused};
}

bool engine_allow_loop(struct engine *e, const char *text) {
    return scopes_add_allowance(&e->scopes, text);
}

#define LONGEST_REPORT ((size_t)4 << 20)

char *engine_test_report(const struct engine *e) {
    struct buf text = buf_make(LONGEST_REPORT);
    report_write(&e->scopes, &text);
    buf_put_u8(&text, 0);
    char *out = text.failed ? NULL : strdup((const char *)text.data);
    buf_free(&text);
    return out;
}
