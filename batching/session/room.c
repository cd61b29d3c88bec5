// SPDX-License-Identifier: PostgreSQL
#include "batching/session/room.h"

#include <string.h>

#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/held.h"
#include "batching/session/hold.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/trust/writes.h"

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static unsigned between(size_t n, unsigned least, unsigned most) {
    return n < least ? least : n > most ? most : (unsigned)n;
}

// ---- limits

// Of a session's memory, its queue may hold a quarter and its names a half. What is loaded ahead may hold a
// quarter, and an answer that is put together an eighth.
void room_fit_limits(struct engine_limits *l) {
    if (l->max_memory) {
        size_t quarter = l->max_memory / 4;
        l->max_session = l->max_session ? smaller(l->max_session, quarter) : quarter;
        l->ahead_memory = smaller(l->ahead_memory, quarter);
    }
    l->max_owed = SESSION_MAX_OWED;
    l->max_expected = SESSION_MAX_EXPECTED;
    if (!l->max_session)
        return;
    l->max_text = smaller(l->max_text, l->max_session / 4);
    l->max_answer = smaller(l->max_answer, l->max_session / 8);
    l->ahead_session = smaller(l->ahead_session, l->max_session / 4);
    l->max_owed = between(l->max_session / 8 / (sizeof(struct owed) + UNNAMED_BYTES), 8, SESSION_MAX_OWED);
    l->max_expected = between(l->max_session / 32 / sizeof(struct expected), 64, SESSION_MAX_EXPECTED);
}

static void limit_session(struct session *s) {
    size_t limit = s->engine->limits.max_session;
    s->memory.limit = limit;
    s->queue_memory.limit = limit / 4;
    s->names_memory.limit = limit / 2;
}

void room_adopt_limits(struct engine *e) {
    size_t limit = e->limits.max_memory;
    account_set_limit(&e->memory, limit);
    e->shapes.memory.limit = limit / 2;
    e->groups.memory.limit = limit / 4;
    e->identities.memory.limit = limit / 8;
    e->shapes.memory.parent = e->groups.memory.parent = e->identities.memory.parent = &e->memory;
    e->identities.proofs.memory = &e->identities.memory;
    e->groups.findings.memory = &e->groups.memory;
    for (struct session *s = e->sessions; s; s = s->next)
        limit_session(s);
}

// ---- sessions

void room_open_session(struct session *s) {
    s->memory.parent = &s->engine->memory;
    s->queue_memory.parent = s->names_memory.parent = &s->memory;
    limit_session(s);
    room_weigh_session(s);
    room_weigh_database(s->engine, s->database);
}

void room_weigh_session(struct session *s) {
    const struct session_identity *i = &s->identity;
    size_t bytes = sizeof *s + i->settings_bytes + i->login.cap + i->proof_reader.bytes.cap + owed_bytes(s) +
                   s->owed.n * UNNAMED_BYTES + s->sent.cap * sizeof *s->sent.ring +
                   s->expect.cap * sizeof *s->expect.ring +
                   (s->own.ring ? SESSION_MAX_PREPARED * sizeof *s->own.ring : 0) +
                   s->asked.n_sets * sizeof *s->asked.sets + 7 * MEMORY_BLOCK;
    account_set(&s->memory, &s->weighs, bytes);
}

void room_close_session(struct session *s) {
    account_set(&s->memory, &s->weighs, 0);
    if (account_close(&s->memory))
        s->engine->counters.miscounted++;
}

void room_weigh_database(struct engine *e, struct database *d) {
    account_set(&e->memory, &d->weighs,
                sizeof *d + d->len + (d->facts.set.room + d->facts.asking.set.room) * sizeof(uint64_t) +
                    3 * MEMORY_BLOCK);
}

void room_drop_database(struct engine *e, struct database *d) {
    if (d->refs == 1)
        account_set(&e->memory, &d->weighs, 0);
    database_unref(&e->databases, d);
}

// A session has a queue and three buffers. Each may have this share: together 4/32 of all, an eighth.
size_t room_share_now(const struct engine *e) {
    size_t share = e->memory.limit / 32 / (e->n_sessions ? e->n_sessions : 1);
    return share < 4096 ? 4096 : share;
}

bool session_queue_is_larger(const struct session *s, size_t bytes) {
    size_t share = room_share(s->engine);
    return s->queue_memory.limit && (bytes > s->queue_memory.limit || bytes > share);
}

bool session_queue_has_drained(const struct session *s) {
    return !s->order.n || !session_queue_is_larger(s, 2 * s->queue_memory.used);
}

void session_hold_back(struct session *s) {
    s->engine->counters.held_back += !s->hold.full;
    hold_until_room(s);
}

void statement_weigh(struct statement *st) {
    account_set(st->memory, &st->weighs,
                sizeof *st + strlen(st->name) + sizeof *st->columns + 2 * MEMORY_BLOCK);
}

// ---- caches

// Microseconds between giving up one eighth of what is remembered and the next. What is used every second
// stays, whatever another client does.
#define SHRINK 100000

void room_shrink(struct engine *e) {
    bool is_short = account_is_short(&e->memory, 0);
    if ((!is_short && !e->shapes.wanting && !e->identities.wanting) || e->now < e->shrunk + SHRINK)
        return;
    e->shrunk = e->now;
    group_table_shrink(&e->groups, &e->identities, e->groups.n / 8 + 1);
    if (is_short) {
        shape_cache_shrink(&e->shapes, e->shapes.n / 8 + 1);
        ahead_shrink(e);
    }
    e->shapes.wanting = e->identities.wanting = false;
}

#define AGE 1024 // about so many seconds until all is forgotten that is not used

void room_age(struct engine *e) {
    shape_cache_tidy(&e->shapes);
    if (!e->memory.limit || e->shapes.memory.used + e->groups.memory.used <= e->memory.limit / 16)
        return;
    group_table_shrink(&e->groups, &e->identities, e->groups.n / AGE + 1);
    shape_cache_shrink(&e->shapes, e->shapes.n / AGE + 1);
}

#define KEEP 65536 // bytes of a scratch buffer that are kept

static void rest(struct buf *b) {
    if (b->cap > KEEP)
        buf_free(b);
}

void room_rest(struct engine *e) {
    rest(&e->answer);
    rest(&e->request);
    rest(&e->shapes.scratch);
    rest(&e->groups.scratch);
}
