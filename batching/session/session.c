// SPDX-License-Identifier: PostgreSQL
#include "batching/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "batching/flow/check.h"
#include "batching/session/room.h"
#include "batching/fold/savepoint.h"
#include "protocol/write.h"

// ---- life

struct session *session_create(struct engine *e, void *owner, struct slice address,
                               struct slice startup_params, bool opaque, uint64_t now) {
    struct session *s = calloc(1, sizeof *s);
    engine_wakes(e, now);
    if (!s)
        return NULL;
    s->id = ++e->next_session;
    s->engine = e;
    s->owner = owner;
    s->txn = 'I';
    s->opaque = opaque;
    s->database = database_for(&e->databases, startup_params);
    if (!s->database) {
        free(s);
        return NULL;
    }
    session_identity_init(&s->identity, address, startup_params);
    if (e->limits.observe && s->identity.state == IDENTITY_UNPROVEN)
        s->identity.state = IDENTITY_PROVEN; // nothing is shared, so nothing is asked
    s->next = e->sessions;
    if (s->next)
        s->next->previous = s;
    e->sessions = s;
    e->n_sessions++;
    room_open_session(s);
    return s;
}

static void owed_release(struct session *s, struct owed *o) {
    shape_unref(o->effect);
    o->effect = NULL;
    statement_unref(o->bound);
    o->bound = NULL;
    if (o->kind == OWED_BATCH && o->of.batch) {
        struct batch *b = o->of.batch;
        o->of.batch = NULL;
        b->lender = NULL;
        b->failed = true;
        b->why = b->why ? b->why : "the connection that ran it was lost";
        engine_batch_ended(s->engine, b);
    }
    s->engine->proving -= o->kind == OWED_PROOF;
    if (o->kind == OWED_FACTS)
        facts_lost(&s->database->facts, s->engine->now);
    if (o->kind == OWED_VET || o->kind == OWED_READ_VET) {
        o->of.group->state = GROUP_NEW;
        await_verdict_given(s->engine, o->of.group);
    }
    if (o->kind == OWED_FORWARD && o->of.group)
        o->of.group->in_flight--;
}

static void session_drop_lookups(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (o->kind == OWED_LOOKUP || o->kind == OWED_CHECK)
            o->of.lookup = NULL; // it will be freed
    }
    while (s->first) {
        struct lookup *l = s->first;
        s->first = l->next;
        s->n_lookups--;
        l->session = NULL;
        if (l->state == LOOKUP_WAITING)
            lookup_detach_waiting(l);
        struct batch *b = l->state == LOOKUP_BATCHED ? l->batch : NULL;
        if (b)
            lookup_leave_batch(l);
        lookup_free(s->engine, l);
        cancel_batch_if_left(b);
    }
    s->last = NULL;
    s->kept = 0;
}

static void session_lose_server(struct session *s) {
    session_drop_lookups(s);
    while (s->owed.n) {
        struct owed o = *owed_head(s);
        owed_pop(s);
        owed_release(s, &o);
    }
    writes_ended(s->database, &s->writes);
}

void session_destroy(struct session *s, uint64_t now) {
    if (!s)
        return;
    struct engine *e = s->engine;
    engine_wakes(e, now);
    s->server_gone = s->client_gone = true;
    engine_unlist_proof(e, s);
    cancel_unlist(s);
    turns_unlist(s);
    late_session_gone(s);
    await_end(s);
    session_lose_server(s);
    session_end_learning(s);
    session_drop_expected(s);
    ahead_session_gone(s);
    asked_free(&s->asked);
    session_forget_statements(s, true);
    statement_unref(s->unnamed);
    statement_unref(s->portal);
    session_forget_cursors(s, true);
    shape_unref(s->server_unnamed);
    session_identity_finish(&e->identities, &s->identity);
    room_drop_database(e, s->database);
    *(s->previous ? &s->previous->next : &e->sessions) = s->next;
    if (s->next)
        s->next->previous = s->previous;
    e->n_sessions--;
    room_close_session(s);
    free(s->owed.ring);
    free(s->expected);
    buf_free(&s->giving_error);
    free(s->prepared);
    free(s);
}

// What was loaded ahead for its client is of no use to others unless they have asked for it.
bool session_is_lending(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        if (o->kind == OWED_BATCH && (o->of.batch->n_left || !o->of.batch->ahead.home))
            return true;
    }
    return false;
}

bool session_is_wanted(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        if (o->kind == OWED_BATCH && o->of.batch->n_left && !o->of.batch->abandoned)
            return true;
    }
    return false;
}

void session_client_ends(struct session *s) {
    s->ending = s->terminating = true;
    s->partial_since = 0;
}

bool session_end_is_due(struct session *s) {
    if (!session_takes_client(s))
        return false;
    for (const struct lookup *l = s->first; l; l = l->next)
        s->hold |= l->state != LOOKUP_SENT;
    return !s->hold;
}

bool session_client_gone(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    s->client_gone = s->terminating = s->ending = true;
    session_drop_lookups(s);
    bool lending = session_is_lending(s);
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (o->kind == OWED_LOOKUP || o->kind == OWED_CHECK)
            o->unwanted = lending; // others wait behind it
    }
    if (lending && !s->server_gone)
        session_relay_cancel(s);
    session_settle(s);
    return lending;
}

void session_server_gone(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    s->server_gone = true;
    session_lose_server(s);
}

void session_fail(struct session *s, const char *sqlstate, const char *message) {
    struct buf *b = &s->engine->answer;
    buf_reset(b);
    write_error(b, "FATAL", sqlstate, message, NULL, NULL);
    if (!s->server_skip && !b->failed) // not into the middle of a message
        s->engine->effects->to_client(s->owner, b->data, b->len, false);
    s->failed = true;
}

// The replies that are owed will not be told apart any more: what waits for them is let go.
static void release_forwarded(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (o->kind == OWED_FORWARD)
            owed_release(s, o);
        if (o->kind == OWED_FORWARD)
            o->of.group = NULL;
    }
}

static bool awaits_delayed(const struct session *s) {
    unsigned at = s->expected_head;
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        for (unsigned end = at + o->n_expected; s->expected && at != end; at++)
            if (s->expected[at & (s->expected_cap - 1)].kind == EXPECT_DELAYED && o->kind != OWED_PARSE)
                return true;
    }
    return false;
}

void session_go_opaque(struct session *s) {
    s->opaque = true;
    session_note_write(s, NULL);
    release_forwarded(s);
    s->in_unit = false;
    s->cancel_pending = s->cancel_held = false;
    s->cancel_at = 0;
    session_end_learning(s);
    if (awaits_delayed(s)) // its replies would be relayed, too
        session_fail(s, "08P01", "the statements behind this one cannot be told apart any more");
    if (s->hold || s->held_full || s->held_unit)
        s->engine->effects->resume_client(s->owner);
    s->hold = s->held_full = s->held_unit = false;
    await_end(s);
    session_identity_forever(&s->engine->identities, &s->identity);
    session_drop_expected(s);
}

size_t session_largest_message(const struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    size_t largest = l->max_text + 65536;
    return l->max_answer > largest ? l->max_answer : largest;
}

// Encodings in which the second byte of a character may be a quote's or a backslash's
// (src/include/mb/pg_wchar.h).
static bool encoding_hides_quotes(struct slice value) {
    static const char *const encodings[] = {"SJIS",    "BIG5",  "GBK",           "UHC",
                                            "GB18030", "JOHAB", "SHIFT_JIS_2004"};
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (slice_is(value, encodings[i], strlen(encodings[i])))
            return true;
    return false;
}

void session_parameter(struct session *s, struct slice name, struct slice value) {
    if (slice_is(name, "client_encoding", 15))
        s->encoding_hides_quotes = encoding_hides_quotes(value);
    else if (slice_is(name, "standard_conforming_strings", 27))
        s->backslash_escapes = !slice_is(value, "on", 2);
    s->no_scan = s->encoding_hides_quotes || s->backslash_escapes;
}

// ---- owed replies

struct owed *owed_head(struct session *s) {
    return s->owed.n ? &s->owed.ring[s->owed.head] : NULL;
}

static bool owed_grow(struct owed_queue *q) {
    unsigned cap = q->cap ? q->cap * 2 : 4;
    struct owed *ring = calloc(cap, sizeof *ring);
    if (!ring)
        return false;
    for (unsigned i = 0; i < q->n; i++)
        ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
    free(q->ring);
    *q = (struct owed_queue){.ring = ring, .n = q->n, .cap = cap};
    return true;
}

static void note_head(struct session *s) {
    s->head_since = s->engine->now;
    s->late_due = 0;
}

struct owed *owed_push(struct session *s, enum owed_kind kind) {
    struct owed_queue *q = &s->owed;
    // Batches and our own queries find room beyond the limit that holds the client back.
    if (q->n == q->cap && (q->cap >= 4 * SESSION_MAX_OWED || !owed_grow(q)))
        return NULL;
    struct owed *o = &q->ring[(q->head + q->n++) & (q->cap - 1)];
    if (q->n == 1)
        note_head(s);
    *o = (struct owed){.kind = (uint8_t)kind};
    s->answered_since = 0;
    s->n_forward += kind == OWED_FORWARD;
    return o;
}

void owed_pop(struct session *s) {
    struct owed_queue *q = &s->owed;
    s->n_forward -= q->ring[q->head].kind == OWED_FORWARD;
    s->n_replies++;
    s->cancel_at = 0;
    note_head(s);
    q->head = (q->head + 1) & (q->cap - 1);
    q->n--;
    if (!q->n && q->cap > 8) { // an idle session keeps little
        free(q->ring);
        *q = (struct owed_queue){0};
    }
}

bool owed_is_the_clients(const struct owed *o) {
    const struct lookup *l = o->of.lookup;
    return o->kind == OWED_FORWARD || o->kind == OWED_LOOKUP ||
           (o->kind == OWED_CHECK && l && l->check == CHECK_ORIGINAL);
}

// ---- statements

struct statement *statement_create(struct session *s, const char *name, size_t len, struct shape *shape) {
    struct statement *st = calloc(1, sizeof *st + len + 1);
    if (!st)
        return NULL;
    memcpy(st->name, name, len);
    st->refs = 1;
    st->shape = shape ? shape_ref(shape) : NULL;
    st->claims = shape ? shape->weighs : 0;
    st->memory = &s->names;
    st->memory->claimed += st->claims;
    if (len)
        statement_weigh(st);
    return st;
}

void statement_unref(struct statement *st) {
    if (!st || --st->refs)
        return;
    st->memory->claimed -= st->claims;
    account_set(st->memory, &st->weighs, 0);
    shape_unref(st->shape);
    free(st->columns);
    free(st);
}

struct statement *session_statement(struct session *s, struct slice name) {
    struct statement *st;
    if (!name.len)
        return s->unnamed;
    HASH_FIND(hh, s->statements, name.data, name.len, st);
    return st;
}

// Takes over the caller's reference.
void session_put_statement(struct session *s, struct statement *st) {
    st->meaning = s->meaning;
    if (!st->name[0]) {
        session_drop_unnamed(s);
        s->unnamed = st;
        return;
    }
    // What the server has not got must not be lost: there was room for it when the client was told.
    bool lazy = st->confirmed && !st->on_server;
    bool room = s->n_statements < s->engine->limits.max_statements &&
                session_has_room_for(s, true, st->weighs + st->claims);
    if (lazy || room) {
        HASH_ADD_KEYPTR(hh, s->statements, st->name, strlen(st->name), st);
        if (st->hh.tbl) {
            s->n_statements++;
            return;
        }
    }
    s->names_unknown = true;
    statement_unref(st);
}

void session_drop_unnamed(struct session *s) {
    statement_unref(s->unnamed);
    s->unnamed = NULL;
    s->closing = NULL;
}

void session_drop_statement(struct session *s, struct slice name) {
    struct statement *st = session_statement(s, name);
    if (!st)
        return;
    if (st == s->unnamed) {
        s->unnamed = NULL;
    } else {
        HASH_DEL(s->statements, st);
        s->n_statements--;
    }
    statement_unref(st);
}

// Everything that the session has prepared is gone or unknown; names_too: the client's as well as ours.
void session_forget_statements(struct session *s, bool names_too) {
    s->n_prepared = 0;
    s->frame_prepared = false;
    if (!names_too)
        return;
    struct statement *st, *next;
    HASH_ITER(hh, s->statements, st, next) {
        HASH_DEL(s->statements, st);
        statement_unref(st);
    }
    s->n_statements = s->n_lazy = 0;
}

static struct expected shift_expected(struct session *s) {
    struct expected x = s->expected[s->expected_head];
    s->expected_head = (s->expected_head + 1) & (s->expected_cap - 1);
    s->n_expected--;
    if (!s->n_expected && s->expected_cap > 64) { // an idle session keeps little
        free(s->expected);
        s->expected = NULL;
        s->expected_cap = s->expected_head = 0;
    }
    return x;
}

struct statement *session_shift_expected(struct session *s, struct owed *o) {
    o->n_expected--;
    return shift_expected(s).statement;
}

void session_drop_expected(struct session *s) {
    while (s->n_expected)
        statement_unref(shift_expected(s).statement);
}

void session_drop_if_listed(struct session *s, struct statement *st) {
    struct statement *listed = NULL;
    HASH_FIND(hh, s->statements, st->name, strlen(st->name), listed);
    if (listed == st)
        session_drop_statement(s, (struct slice){(const uint8_t *)st->name, strlen(st->name)});
}

static void unnamed_is_unknown(struct session *s) {
    statement_unref(s->unnamed);
    s->unnamed = statement_create(s, "", 0, NULL);
    session_note_unnamed(s, true, NULL);
    if (!s->unnamed)
        session_fail(s, "53200", "out of memory");
}

// Its Parse failed or was never reached: what the server has under its name is not known.
static void statement_not_parsed(struct session *s, struct statement *st) {
    st->confirmed = false;
    if (st == s->unnamed)
        unnamed_is_unknown(s);
    else if (st->name[0])
        session_drop_if_listed(s, st);
    else if (s->server_unnamed == st->shape)
        session_note_unnamed(s, true, NULL);
}

// The same of one that the client does have.
static void statement_not_given(struct session *s, struct statement *st) {
    if (!st->name[0])
        session_note_unnamed(s, true, NULL);
    if (st->forgotten)
        session_list_again(s, st);
    s->n_lazy += st->name[0] != 0;
    st->on_server = false;
}

// The unnamed one is still there; or, when its Parse was not reached either, the one before it.
static void statement_not_closed(struct session *s, struct statement *st) {
    s->closing = NULL;
    s->unnamed = st;
    st->refs++;
    if (st->confirmed)
        session_note_unnamed(s, true, NULL);
    else
        unnamed_is_unknown(s);
}

static void expected_not_said(struct session *s, struct expected x) {
    if (x.statement && x.kind == EXPECT_PARSE)
        statement_not_parsed(s, x.statement);
    if (x.statement && x.kind == EXPECT_DELAYED)
        statement_not_given(s, x.statement);
    if (x.statement && x.kind == EXPECT_CLOSE && s->closing == x.statement)
        statement_not_closed(s, x.statement);
    statement_unref(x.statement);
}

void session_end_expected(struct session *s, struct owed *o) {
    for (; o->n_expected && s->n_expected; o->n_expected--)
        expected_not_said(s, shift_expected(s));
    s->delayed_stage = 0;
}

static bool grow_expected(struct session *s) {
    unsigned cap = s->expected_cap ? s->expected_cap * 2 : 16;
    struct expected *ring = cap <= 4 * SESSION_MAX_EXPECTED ? calloc(cap, sizeof *ring) : NULL;
    if (!ring)
        return false;
    for (unsigned i = 0; i < s->n_expected; i++)
        ring[i] = s->expected[(s->expected_head + i) & (s->expected_cap - 1)];
    free(s->expected);
    s->expected = ring;
    s->expected_head = 0;
    s->expected_cap = cap;
    return true;
}

static void expect(struct session *s, struct expected x) {
    struct owed *o = owed_last(s);
    if (x.statement)
        x.statement->refs++;
    if (o->error) { // "ignores messages until a Sync is reached"
        expected_not_said(s, x);
        return;
    }
    if (s->n_expected == s->expected_cap && !grow_expected(s)) {
        statement_unref(x.statement);
        session_fail(s, "53200", "out of memory");
        return;
    }
    s->expected[(s->expected_head + s->n_expected++) & (s->expected_cap - 1)] = x;
    o->n_expected++;
}

// A reply to come in the last unit will tell about this statement (NULL: about none that is known).
void session_expect(struct session *s, enum expected_kind kind, struct statement *st) {
    expect(s, (struct expected){.kind = kind, .statement = st});
}

bool session_expects(const struct session *s, enum expected_kind kind, const struct statement *st) {
    for (unsigned i = 0; i < s->n_expected; i++) {
        const struct expected *x = &s->expected[(s->expected_head + i) & (s->expected_cap - 1)];
        if (x->kind == kind && x->statement == st)
            return true;
    }
    return false;
}

void session_expect_delayed(struct session *s, struct statement *st, bool waited) {
    expect(s, (struct expected){.kind = EXPECT_DELAYED, .statement = st, .waited = waited});
}

// ---- the unnamed statement

void session_note_unnamed(struct session *s, bool has, struct shape *shape) {
    shape = shape ? shape_ref(shape) : NULL;
    shape_unref(s->server_unnamed);
    s->server_unnamed = shape;
    s->server_has_unnamed = has;
}

bool session_unnamed_fits(const struct session *s) {
    // A Close of the client's that is on the way may yet fail, and the server will know. What an earlier
    // unit's end says of the server's does not count then.
    if (!s->unnamed)
        return !s->server_has_unnamed || (s->closing && session_expects(s, EXPECT_CLOSE, s->closing));
    if (!s->unnamed->confirmed) // its Parse is on the way, and the server will know
        return true;
    return s->server_has_unnamed && s->server_unnamed == s->unnamed->shape;
}

// A unit of its own: its failure must not end that of the client behind it.
bool session_restore_unnamed(struct session *s, struct shape *wanted) {
    struct buf *b = &s->engine->request;
    struct slice unnamed = {0};
    buf_reset(b);
    if (wanted)
        write_parse(b, unnamed, (struct slice){(uint8_t *)wanted->text, wanted->text_len}, wanted->types,
                    wanted->n_types);
    else
        write_close(b, 'S', unnamed);
    write_empty(b, F_SYNC);
    if (b->failed || !owed_push(s, OWED_UNNAMED)) {
        session_fail(s, "53200", "out of memory");
        return false;
    }
    session_note_unnamed(s, wanted, wanted);
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return true;
}

// ---- lookups

void lookup_free(struct engine *e, struct lookup *l) {
    account_set(l->memory, &l->weighs, 0);
    if (l->shape) // else an answer of our own
        l->shape->n_lookups--;
    lookup_uncount(e, l);
    if (l->asked) // it was queued
        guard_note_went(&l->shape->guard, e->now);
    shape_unref(l->shape);
    statement_unref(l->statement);
    pipeline_unref(l->pipeline);
    ahead_unref(l->loop);
    buf_free(&l->answer);
    free(l);
}

void lookup_uncount(struct engine *e, struct lookup *l) {
    if (!l->counted)
        return;
    l->counted = false;
    late_unlist_alone(l);
    l->group->in_flight--;
    l->group->checking -= l->check == CHECK_ORIGINAL || l->check == CHECK_AGAIN;
    if (l->group->n_waiting)
        engine_list_group(e, l->group);
}

void lookup_wait(struct engine *e, struct lookup *l) {
    struct group *g = l->group;
    l->state = LOOKUP_WAITING;
    l->next_waiting = NULL;
    l->previous_waiting = g->last;
    *(g->last ? &g->last->next_waiting : &g->first) = l;
    g->last = l;
    if (!g->n_waiting++)
        g->waiting_since = e->now;
    engine_list_group(e, g);
}

void lookup_detach_waiting(struct lookup *l) {
    struct group *g = l->group;
    *(l->previous_waiting ? &l->previous_waiting->next_waiting : &g->first) = l->next_waiting;
    *(l->next_waiting ? &l->next_waiting->previous_waiting : &g->last) = l->previous_waiting;
    l->next_waiting = l->previous_waiting = NULL;
    g->n_waiting--;
}

void lookup_leave_batch(struct lookup *l) {
    l->batch->members[l->member] = NULL;
    l->batch->n_left--;
    l->batch = NULL;
}

// What the replies to a lookup that runs alone will tell of its statement.
static void expect_of_lookup(struct session *s, struct lookup *l) {
    struct statement *st = l->statement;
    if (l->has_parse) {
        session_expect(s, EXPECT_PARSE, st);
        st->on_server = true;
    }
    if (l->has_describe)
        session_expect(s, EXPECT_DESCRIBE, st->described ? NULL : st);
    for (unsigned i = 0; i < l->n_closes; i++)
        session_expect(s, EXPECT_CLOSE, NULL);
    if (l->has_parse && !st->name[0])
        session_note_unnamed(s, true, l->shape);
}

// Sends a lookup as the client sent it, and in front of it the statement that it counts on.
static bool send_original(struct session *s, struct lookup *l, enum owed_kind kind) {
    bool checked = kind == OWED_CHECK,
         lacks = !l->simple && !l->has_parse && !l->pipeline && session_lacks(s, l->statement);
    if (checked && lacks && !session_restore_unnamed(s, l->shape)) // it was there when the check began
        return false;
    struct owed *o = owed_push(s, kind);
    if (!o) {
        session_fail(s, "53200", "out of memory");
        return false;
    }
    o->extended = !l->simple;
    o->single = true;
    o->of.lookup = l;
    o->reads = l->check != CHECK_AGAIN && ahead_may_record(s, l);
    if (kind == OWED_LOOKUP)
        l->state = LOOKUP_SENT;
    s->engine->counters.alone++;
    trust_note_run(s);
    if (lacks && !checked && !session_send_delayed(s, l->statement, false))
        return false;
    s->gives |= lacks && !checked && s->txn != 'I';
    if (l->pipeline && !pipeline_expect(s, l->pipeline))
        return false;
    if (!l->simple && !checked && !l->pipeline)
        expect_of_lookup(s, l);
    if (l->simple || (checked && l->has_parse))
        session_note_unnamed(s, l->has_parse, l->has_parse ? l->shape : NULL);
    s->engine->effects->to_server(s->owner, l->bytes, l->len, true);
    return !s->failed;
}

void session_send_checked(struct session *s, struct lookup *l) {
    bool sent = send_original(s, l, OWED_CHECK);
    (void)sent; // else the session has failed
}

void session_append(struct session *s, struct lookup *l) {
    l->previous = s->last;
    *(s->last ? &s->last->next : &s->first) = l;
    s->last = l;
    s->n_lookups++;
}

void session_shift(struct session *s) {
    struct lookup *l = s->first;
    s->first = l->next;
    if (s->first)
        s->first->previous = NULL;
    else
        s->last = NULL;
    l->next = NULL;
    s->n_lookups--;
}

// In an aborted transaction every statement fails, also one whose answer a batch has brought already: the
// server shall say so.
static void take_back_answers(struct session *s) {
    for (struct lookup *l = s->first; l; l = l->next) {
        if (l->state != LOOKUP_ANSWERED)
            continue;
        s->kept -= l->answer.len;
        buf_free(&l->answer);
        lookup_weigh(l);
        l->state = LOOKUP_ALONE;
    }
}

// Nothing of the client's may be sent that a cancel request under way could hit, or into a transaction that a
// unit of ours may abort, behind what may have to be cancelled for it, or behind a lookup that may have to be
// refused.
static bool may_send(const struct session *s) {
    return !session_is_cancelling(s) && !session_is_framed(s) && !late_must_wait(s) && !s->gives;
}

// Answers from the front of the queue go out as soon as they are there; lookups that shall run alone are sent
// once nothing before them waits for anything but the own connection.
void session_pump(struct session *s) {
    struct engine *e = s->engine;
    if (s->txn == 'E')
        take_back_answers(s);
    while (s->first && s->first->state == LOOKUP_ANSWERED && pipeline_is_answered(s->first)) {
        struct lookup *l = s->first;
        session_shift(s);
        s->kept -= l->answer.len;
        if (l->answer.len)
            e->effects->to_client(s->owner, l->answer.data, l->answer.len, true);
        l->session = NULL;
        lookup_free(e, l);
    }
    session_repair(s);
    for (struct lookup *l = s->first; l; l = l->next) {
        if (l->state == LOOKUP_ALONE &&
            (!may_send(s) || s->n_expected >= e->limits.max_expected || !send_original(s, l, OWED_LOOKUP)))
            break;
        if (l->state != LOOKUP_SENT)
            break;
        if (s->cancel_first && l == s->first)
            session_cancel_sent(s);
    }
    session_settle(s);
}

void session_run_alone(struct session *s, struct lookup *l) {
    if (l->check == CHECK_FOLDED) {
        check_answer(s->engine, l);
        return;
    }
    if (l->pipeline)
        l = pipeline_collapse(s, l);
    l->state = LOOKUP_ALONE;
    session_pump(s);
}

// Only lookups that run on the own connection are under way: what is sent behind them is answered behind
// them.
bool session_order_is_safe(const struct session *s) {
    if (!may_send(s) || (session_is_careful(s) && session_runs_own(s)))
        return false;
    for (const struct lookup *l = s->first; l; l = l->next)
        if (l->state != LOOKUP_SENT)
            return false;
    return true;
}

// All of them may have to be sent to the own server connection at once.
unsigned session_max_lookups(const struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    return l->max_waiting < l->max_owed ? l->max_waiting : l->max_owed;
}

// Answered, or COPY waits for data.
static bool unit_is_known(const struct session *s) {
    return session_unit_is_answered(s) || session_copy_waits(s);
}

void session_settle(struct session *s) {
    struct engine *e = s->engine;
    bool resume = false;
    if (s->hold && s->await.kind == AWAIT_NOTHING && session_order_is_safe(s) &&
        !session_effect_is_pending(s)) {
        s->hold = false;
        resume = true;
    }
    const struct engine_limits *limits = &e->limits;
    if (s->held_full && s->owed.n < limits->max_owed / 2 && s->n_expected <= limits->max_expected / 2 &&
        s->n_lookups < session_max_lookups(s) / 2 + 1 && session_queue_has_drained(s)) {
        s->held_full = false;
        resume = true;
    }
    if (s->held_unit && unit_is_known(s)) {
        s->held_unit = false;
        resume = true;
    }
    if (resume)
        e->effects->resume_client(s->owner);
    if (s->client_gone && !session_is_lending(s))
        e->effects->finished(s->owner);
}

// ---- lending

bool session_can_lend(const struct session *s) {
    if (s->keeps_out || s->terminating || s->server_gone || s->failed || s->backlogged || s->opaque ||
        session_only_forwards(s) || session_is_cancelling(s) || s->in_unit ||
        session_txn_reason(s) != REASON_NONE || s->repair_due || s->n_forward || s->server_skip ||
        s->owed.n >= s->engine->limits.max_owed)
        return false;
    for (unsigned i = 0; i < s->owed.n; i++)
        if (owed_at(s, i)->kind == OWED_LOOKUP)
            return false; // its client may read slowly
    return true;
}

bool session_vets(const struct session *s, const struct group *g) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        if ((o->kind == OWED_VET || o->kind == OWED_READ_VET) && o->of.group == g)
            return true;
    }
    return false;
}

bool session_server_is_lending(const struct session *s) {
    return s->owed.n && s->owed.ring[s->owed.head].kind >= OWED_BATCH;
}

// The statement becomes the most recently used one.
bool session_has_prepared(struct session *s, XXH128_hash_t statement) {
    for (unsigned i = s->n_prepared; i-- > 0;) {
        if (!XXH128_isEqual(s->prepared[i].name, statement))
            continue;
        struct own_statement found = s->prepared[i];
        memmove(s->prepared + i, s->prepared + i + 1, (s->n_prepared - i - 1) * sizeof *s->prepared);
        s->prepared[s->n_prepared - 1] = found;
        return true;
    }
    return false;
}

static struct seal *seal_of(struct session *s, XXH128_hash_t statement) {
    return session_has_prepared(s, statement) ? &s->prepared[s->n_prepared - 1].seal : NULL;
}

void session_note_seal(struct session *s, const struct batch *b) {
    struct seal *seal = b->sealed || !b->group->sealed ? NULL : seal_of(s, b->statement);
    struct seal of_batch = {
        .read = b->news.now, .loaded = b->news.loaded, .process = b->news.process, .since = s->engine->now};
    if (seal)
        seal_checked(seal, &of_batch, b->parse, b->framed);
}

// What the check tells of writes and of definitions is asked for now and then, for rows that are held always.
static const struct seal *seal_for(struct session *s, const struct batch *b) {
    struct group *g = b->group;
    struct seal *seal = g->sealed && !b->asks_facts ? seal_of(s, g->statement) : NULL;
    if (seal && seal_is_usable(seal, &g->seals))
        return seal;
    if (seal && !b->framed && seal_is_worn(seal, &g->seals))
        session_unprepare(s, g->statement);
    return NULL;
}

void session_unprepare(struct session *s, XXH128_hash_t statement) {
    if (session_has_prepared(s, statement))
        s->n_prepared--; // it has become the last one
}

// Has the connection prepared the statement? If not it is noted as one that is being prepared, and what must
// be closed first is added to p: the name itself, since one left over from a failed batch would make Parse
// fail, and the least recently used one when there are too many.
static bool prepare(struct session *s, XXH128_hash_t statement, struct batch_prepared *p) {
    if (session_has_prepared(s, statement))
        return true;
    p->closes[p->n_closes++] = statement;
    if (!s->prepared)
        s->prepared = malloc(SESSION_MAX_PREPARED * sizeof *s->prepared);
    if (!s->prepared)
        return false; // it will be prepared again each time
    if (s->n_prepared == SESSION_MAX_PREPARED) {
        p->closes[p->n_closes++] = s->prepared[0].name;
        memmove(s->prepared, s->prepared + 1, --s->n_prepared * sizeof *s->prepared);
    }
    s->prepared[s->n_prepared++] = (struct own_statement){.name = statement};
    return false;
}

// Nothing of it has reached the server: those that were to make room are still there.
static void take_back_prepared(struct session *s, const struct batch *b, const struct batch_prepared *p) {
    if (!p->statement)
        session_unprepare(s, b->group->statement);
    if (!p->stamp)
        session_unprepare(s, batch_stamp(b));
    for (unsigned i = 0; s->prepared && i < p->n_closes && s->n_prepared < SESSION_MAX_PREPARED; i++) {
        bool own =
            XXH128_isEqual(p->closes[i], b->group->statement) || XXH128_isEqual(p->closes[i], batch_stamp(b));
        if (!own)
            s->prepared[s->n_prepared++] = (struct own_statement){.name = p->closes[i]};
    }
}

static void batch_not_sent(struct session *s, struct batch *b, const struct batch_prepared *p,
                           const char *why) {
    take_back_prepared(s, b, p);
    b->failed = true;
    b->why = why;
}

// A unit of its own. Inside one of the client's nothing can be given up: then the server says what it says of
// a name that is taken. It says so, too, of one that the client has given in a way that was not noticed:
// `name` is closed only where a batch may have left it.
void session_keep_out(struct session *s, struct slice name) {
    struct buf *b = &s->engine->request;
    char own[GROUP_NAME_SIZE];
    bool left = s->lent && group_is_statement_name(name);
    bool frame = s->frame_prepared || (s->lent && !s->keeps_out);
    s->keeps_out = true;
    if ((!s->n_prepared && !frame && !left) || s->in_unit)
        return;
    buf_reset(b);
    if (frame)
        savepoint_write_forget(b);
    for (unsigned i = 0; i < s->n_prepared; i++) {
        group_statement_name(s->prepared[i].name, own);
        write_close(b, 'S', (struct slice){(const uint8_t *)own, strlen(own)});
    }
    if (left)
        write_close(b, 'S', name);
    write_empty(b, F_SYNC);
    if (b->failed || !owed_push(s, OWED_UNNAMED))
        return;
    session_forget_statements(s, false);
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
}

bool session_run_batch(struct session *s, struct batch *b) {
    struct engine *e = s->engine;
    struct batch_prepared p = {0};
    if (s->keeps_out) {
        p.statement = p.stamp = true;
        batch_not_sent(s, b, &p, "its client uses names that begin with pgfold_");
        return false;
    }
    b->framed = s->txn != 'I';
    b->frame_prepared = s->frame_prepared;
    b->snapshot = session_snapshot_is_fixed(s);
    b->asks_facts = b->ahead.home || trust_is_due(s);
    const struct seal *seal = seal_for(s, b);
    struct seal copy = seal ? *seal : (struct seal){0};
    p.seal = seal ? &copy : NULL;
    p.statement = prepare(s, b->group->statement, &p);
    p.stamp = p.seal || prepare(s, batch_stamp(b), &p);
    buf_reset(&e->request);
    batch_write(b, &p, &e->request);
    struct owed *o = e->request.failed ? NULL : owed_push(s, OWED_BATCH);
    if (!o) {
        batch_not_sent(s, b, &p, "the request is too large, or too many replies are owed");
        return false;
    }
    o->of.batch = b;
    o->framed = b->framed;
    s->n_framed += b->framed;
    s->frame_prepared |= b->framed;
    b->lender = s;
    b->sent = s->lent = true;
    b->memory = &s->queue;
    account_set(b->memory, &b->weighs, batch_bytes(b));
    late_batch_sent(s, b);
    s->last_used = e->now;
    e->effects->to_server(s->owner, e->request.data, e->request.len, false);
    return true;
}

// ---- our own queries

// A fixed snapshot shows the catalogue as it was: what it says is as old as that.
static bool snapshot_is_young(const struct session *s) {
    const struct engine *e = s->engine;
    const struct transaction *t = &s->transaction;
    return t->generation == e->generation && e->now - t->began < e->limits.vet_max_age / 2;
}

bool session_may_ask(const struct session *s) {
    if (s->keeps_out && s->txn != 'I')
        return false;
    if (session_txn_reason(s) == REASON_NONE)
        return true;
    return ahead_may_be_apart(s) && (!session_snapshot_is_fixed(s) || snapshot_is_young(s));
}

// A Query message drops the unnamed statement, which the client may count on: it is parsed again when it is
// needed, for which its text must be known.
static bool can_query(const struct session *s) {
    return session_may_ask(s) && !session_only_forwards(s) && !s->repair_due && !s->terminating &&
           !s->server_gone && !s->in_unit && !s->failed && !s->gives &&
           (s->txn != 'I' || !s->unnamed || s->unnamed->shape);
}

static struct owed *send_own(struct session *s, enum owed_kind kind, const struct buf *b) {
    struct owed *o = b->failed ? NULL : owed_push(s, kind);
    if (!o)
        return NULL;
    o->framed = s->txn != 'I';
    s->n_framed += o->framed;
    late_query_sent(s);
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return o;
}

static struct owed *send_query(struct session *s, enum owed_kind kind, const char *sql, size_t len) {
    struct buf *b = &s->engine->request;
    buf_reset(b);
    write_query(b, sql, len);
    struct owed *o = send_own(s, kind, b);
    if (o)
        session_note_unnamed(s, false, NULL);
    return o;
}

// The same with settings of its own in front, inside a transaction, too.
static struct owed *send_question(struct session *s, enum owed_kind kind, struct buf *sql) {
    const char *settings = vet_question_settings();
    struct slice first = {(const uint8_t *)settings, strlen(settings)};
    struct buf *b = &s->engine->request, both = buf_make(sql->limit);
    struct owed *o = NULL;
    if (s->txn != 'I') {
        buf_reset(b);
        savepoint_write_question(b, first, (struct slice){sql->data, sql->len}, s->frame_prepared);
        return send_own(s, kind, b);
    }
    buf_put(&both, first.data, first.len);
    buf_put_text(&both, "; ");
    buf_put(&both, sql->data, sql->len);
    if (!both.failed)
        o = send_query(s, kind, (const char *)both.data, both.len);
    buf_free(&both);
    return o;
}

static struct owed *send_unit(struct session *s, enum owed_kind kind, const struct buf *unit) {
    struct buf *b = &s->engine->request;
    if (s->txn == 'I') {
        struct owed *o = send_own(s, kind, unit);
        if (o)
            session_note_unnamed(s, false, NULL); // which it uses, and closes
        return o;
    }
    buf_reset(b);
    savepoint_write_unit(b, (struct slice){unit->data, unit->len}, s->frame_prepared);
    return send_own(s, kind, b);
}

void session_send_parses(struct session *s, struct owed *o, const struct buf *unit) {
    struct buf framed = buf_make(unit->len + 4096);
    if (o->framed) {
        savepoint_write_unit(&framed, (struct slice){unit->data, unit->len}, s->frame_prepared);
        s->n_framed++;
        late_query_sent(s);
    }
    const struct buf *b = o->framed ? &framed : unit;
    if (b->failed)
        session_fail(s, "53200", "out of memory");
    else
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
    buf_free(&framed);
}

void session_start_proof(struct session *s) {
    s->wants_proof &= s->identity.state == IDENTITY_UNPROVEN;
    // Inside a transaction the server would show settings that end with it.
    if (s->identity.state != IDENTITY_UNPROVEN || s->txn != 'I' || s->n_forward || !can_query(s))
        return;
    for (const struct lookup *l = s->first; l; l = l->next)
        if (l->state == LOOKUP_ALONE)
            return; // it would run behind the proof, which could not tell what it has done
    s->wants_proof = false;
    const char *sql = identity_proof_start(&s->identity);
    if (send_query(s, OWED_PROOF, sql, strlen(sql))) {
        s->engine->proving++;
        s->engine->counters.proofs++;
        session_ask_facts(s, true);
    } else {
        s->identity.state = IDENTITY_UNPROVEN;
    }
}

bool session_lacks_facts(const struct session *s) {
    const struct engine *e = s->engine;
    const struct facts *f = &s->database->facts;
    return f->named && facts_are_due(f, e->now, e->generation, false);
}

void session_ask_facts(struct session *s, bool again) {
    struct engine *e = s->engine;
    struct facts *f = &s->database->facts;
    if (e->limits.lookahead == LOOKAHEAD_OFF || e->limits.observe || s->txn != 'I' || s->n_forward ||
        session_is_cancelling(s) || !can_query(s) || !facts_are_due(f, e->now, e->generation, again))
        return;
    struct buf sql = buf_make(1 << 16);
    if (facts_ask(f, e->now, e->generation, e->limits.vet_max_age, &sql) &&
        !send_query(s, OWED_FACTS, (const char *)sql.data, sql.len))
        facts_answered(f, e->now, false);
    buf_free(&sql);
}

static void refuse_group(struct session *s, struct group *g) {
    g->state = GROUP_REFUSED;
    g->vetted_at = s->engine->now;
    g->generation = s->engine->generation;
}

void session_start_vet(struct session *s, struct group *g) {
    if (s->n_forward || session_is_cancelling(s) || !can_query(s)) // a cancel request could hit it
        return;
    if (!late_may_ask(s->engine, g))
        return;
    struct buf sql = buf_make((size_t)1 << 20);
    bool read = group_is_read(g);
    bool written = read ? vet_read_query(g->shape, &sql) : group_write_vet(g, s->txn != 'I', &sql);
    if (!written)
        refuse_group(s, g);
    struct owed *o = !written ? NULL
                     : read   ? send_question(s, OWED_READ_VET, &sql)
                              : send_unit(s, OWED_VET, &sql);
    if (o) {
        o->of.group = g;
        g->state = GROUP_VETTING;
        g->asked_at = s->engine->now;
        g->generation = s->engine->generation; // definitions may change before the answer comes
        s->engine->counters.vets++;
    }
    if (o && !o->framed)
        session_ask_facts(s, true);
    buf_free(&sql);
}

bool session_partial_expired(struct session *s, uint64_t now) {
    engine_wakes(s->engine, now);
    if (!s->partial_since || s->hold || now < s->partial_since + 5000)
        return false;
    s->partial_since = 0;
    s->force_forward = true;
    return true;
}
