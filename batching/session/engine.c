// SPDX-License-Identifier: PostgreSQL
//
// When lookups go out, and how. Lookups queue in their groups while a turn of the event loop lasts; at its
// end every group with a queue is looked at once: one lookup with nothing of its group under way goes out as
// it was sent, several become a batch, and while as many batches as allowed are under way, the rest waits. So
// batches form by themselves, and nobody waits for company.
//
// What fails is run alone: a batch that ends badly in any way hands its members back, each to its own
// connection.
#include "batching/session/engine.h"

#include <stdlib.h>
#include <string.h>

#include "batching/flow/check.h"
#include "batching/session/room.h"
#include "batching/session/session.h"

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
    return e;
}

void engine_forget(struct engine *e) {
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

void engine_set_limits(struct engine *e, const struct engine_limits *limits) {
    // In mode observe nothing is shared, and no session was proven.
    for (struct session *s = e->sessions; s && e->limits.observe && !limits->observe; s = s->next)
        session_identity_doubt(&e->identities, &s->identity);
    e->limits = *limits;
    room_fit_limits(&e->limits);
    e->shapes.max_text = e->limits.max_text;
    e->shapes.scratch.limit = e->limits.max_text + 4096;
    rations_limit(&e->rations, limits->parse_budget);
    size_scratch(e);
    room_adopt_limits(e);
}

static bool is_ahead_off(const struct engine_limits *limits, const struct parsed_relation *r) {
    for (unsigned i = 0; i < limits->n_ahead_off; i++) {
        const struct table_name *t = &limits->ahead_off[i];
        if (strcmp(t->name, r->name) == 0 && (!r->schema || strcmp(t->schema, r->schema) == 0))
            return true;
    }
    return false;
}

bool engine_may_look_ahead(const struct engine *e, const struct parsed *p) {
    for (int i = 0; i < p->n_relations; i++)
        if (is_ahead_off(&e->limits, &p->relations[i]))
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

// ---- running lookups

#define OWN_TURN                                                                                             \
    30000000 // microseconds that others' connections may answer for a session before its own has a turn
#define OWN_TURN_IN_TRANSACTION 2000000 // the same, for idle_in_transaction_session_timeout
#define MAX_PROVING             16      // identity queries under way at once
#define STALL                                                                                                \
    10000 // microseconds that lookups wait for what is under way before more of their group is started

bool engine_has_company(const struct group *g) {
    return g->n_waiting + g->in_flight > 1;
}

void engine_run_lookup(struct lookup *l) {
    l->company = engine_has_company(l->group) ? COMPANY_SOME : COMPANY_NONE;
    lookup_detach_waiting(l);
    l->counted = true;
    l->group->in_flight++;
    late_list_alone(l);
    session_run_alone(l->session, l);
}

// While a group's queue is gone through: what to look at next. Others of its unit may have left the queue
// with it.
static struct lookup *run_alone_of(struct group *g, struct lookup *l, struct lookup *next) {
    bool several = l->pipeline;
    engine_run_lookup(l);
    return several ? g->first : next;
}

static void run_all_alone(struct group *g) {
    while (g->first)
        engine_run_lookup(g->first);
}

// Its batches are late, for whatever reason: nothing of it waits for another.
static void run_apart(struct group *g) {
    while (g->first) {
        struct lookup *l = g->first;
        l->company = COMPANY_UNKNOWN;
        lookup_detach_waiting(l);
        session_run_alone(l->session, l);
    }
}

enum guard_state engine_guard_state(const struct engine *e, struct shape *s) {
    return guard_state_at(&s->guard, e->limits.never_slower, e->now);
}

void engine_note_alone(struct engine *e, const struct lookup *l) {
    uint64_t took = e->now > l->asked ? e->now - l->asked : 0;
    if (l->company == COMPANY_NONE)
        guard_note_lone(&l->shape->guard, took);
    else if (l->company == COMPANY_SOME)
        guard_note_alone(&l->shape->guard, e->now, took);
}

// The catalogue is asked on the connection of a lookup that has just been sent, behind it.
static void start_vet(struct group *g, struct session *s) {
    if (s && g->state == GROUP_NEW)
        session_start_vet(s, g);
}

// The server counts a session as idle while others' connections answer its lookups (idle_session_timeout, and
// firewalls that forget). Now and then one runs on its own.
bool engine_is_forgotten(const struct engine *e, const struct session *s) {
    uint64_t turn = s->txn == 'I' ? OWN_TURN : OWN_TURN_IN_TRANSACTION;
    return s->answered_since && e->now > s->answered_since + turn;
}

// Lookups that came before their group was vetted still carry their keys as text. Those without a plain key
// run alone.
static void read_keys(struct engine *e, struct group *g) {
    for (struct lookup *l = g->first, *next; l; l = next) {
        next = l->next_waiting;
        if (!l->has_key)
            l->has_key = group_read_key(g, l->raw, l->keys);
        if (!l->has_key)
            e->counters.forwarded[REASON_KEY_VALUE]++;
        if (!l->has_key || engine_is_forgotten(e, l->session))
            next = run_alone_of(g, l, next);
    }
}

// What speaks against a lender, the worst first: its connection has something to do, it is inside a
// transaction, it has not prepared the statement.
static unsigned lender_cost(struct session *s, const struct batch *b) {
    bool prepared = s->n_prepared && session_has_prepared(s, b->statement);
    return s->owed.n * 4 + (s->txn != 'I') * 2u + !prepared;
}

// The member that runs the batch: its connection must be free for it; among equals the one that was used
// last, so that few connections prepare much, and their caches are warm.
static struct session *choose_lender(const struct batch *b) {
    struct session *best = NULL;
    unsigned best_cost = 0;
    for (uint32_t i = 0; i < b->n_members; i++) {
        struct session *s = b->members[i]->session;
        if (!session_can_lend(s))
            continue;
        unsigned cost = lender_cost(s, b);
        if (!best || cost < best_cost || (cost == best_cost && s->last_used > best->last_used)) {
            best = s;
            best_cost = cost;
        }
    }
    return best;
}

void engine_start_batch(struct engine *e, struct batch *b) {
    b->started = e->now;
    b->statement = b->group->statement;
    b->next = e->batches;
    if (b->next)
        b->next->previous = b;
    e->batches = b;
}

static void unlink_batch(struct engine *e, struct batch *b) {
    *(b->previous ? &b->previous->next : &e->batches) = b->next;
    if (b->next)
        b->next->previous = b->previous;
}

static bool run_batch(struct engine *e, struct group *g) {
    struct batch *b =
        batch_create(g, guard_max_keys(&g->shape->guard, e->now, e->limits.max_keys), e->limits.max_answer);
    if (!b)
        return false;
    engine_start_batch(e, b);
    g->in_flight++;
    struct session *lender = choose_lender(b);
    if (!lender) {
        b->failed = true;
        b->why = "no member's connection is free";
    }
    if (!lender || !session_run_batch(lender, b))
        engine_batch_ended(e, b);
    return true;
}

// What is under way takes too long to wait for: it may be stuck behind a lock, or its connection may be.
static bool is_stalled(const struct engine *e, const struct group *g) {
    return e->now >= g->waiting_since + STALL;
}

// Nothing is folded that is not checked.
static bool checks_all(const struct engine *e) {
    return e->limits.verify || e->limits.check_one_in == 1;
}

// Lookups that are to be checked run as they were sent before they join a batch. Where all are, no other way
// leads into one.
static void start_checks(struct engine *e, struct group *g) {
    bool company = engine_has_company(g);
    for (struct lookup *l = g->first, *next; l; l = next) {
        next = l->next_waiting;
        if (company && check_draw(e, l))
            check_start(e, l);
        else if (checks_all(e) && l->check != CHECK_FOLDED)
            next = run_alone_of(g, l, next);
    }
}

// In mode verify those that have their original's answer wait for those that do not, so that batches are as
// large as in mode fold.
static bool has_room(const struct engine *e, const struct group *g) {
    return g->in_flight - g->checking < guard_max_in_flight(&g->shape->guard, e->limits.max_in_flight) &&
           !(e->limits.verify && g->checking);
}

// The only one that waits runs as it was sent, if it need not wait for the answers to its session's own
// before.
static bool runs_alone(const struct group *g) {
    const struct lookup *l = g->first;
    return g->n_waiting == 1 && l->check != CHECK_FOLDED && (l->session->first == l || l->pipeline);
}

static void dispatch_ready(struct engine *e, struct group *g) {
    read_keys(e, g);
    start_checks(e, g);
    late_uncount(e, g);
    bool always = g->urgent || is_stalled(e, g);
    while (g->n_waiting && (always || has_room(e, g))) {
        if (runs_alone(g) || !run_batch(e, g))
            engine_run_lookup(g->first);
        g->waiting_since = e->now;
    }
}

static bool window_is_open(const struct engine *e, const struct group *g) {
    return e->limits.window && !g->urgent && g->n_waiting < e->limits.max_keys &&
           e->now < g->waiting_since + e->limits.window;
}

// Once for each lookup, when all that came in this turn is there: those of a burst fold instead.
static void follow_loops(struct group *g) {
    for (struct lookup *l = g->first, *next; l; l = next) {
        next = l->next_waiting;
        if (l->followed)
            continue;
        l->followed = true;
        ahead_follow(l->session, l, false);
    }
}

void engine_dispatch_group(struct engine *e, struct group *g) {
    if (g->state == GROUP_READY && g->generation != e->generation)
        group_forget(g);
    bool off = g->shape->wrong && !e->limits.verify;
    if (g->state == GROUP_READY && !off)
        follow_loops(g);
    if (guard_is_late(&g->shape->guard, e->now)) {
        run_apart(g);
    } else if (g->state == GROUP_READY && !off && engine_guard_state(e, g->shape) == GUARD_FOLDING) {
        if (!window_is_open(e, g))
            dispatch_ready(e, g);
    } else if (g->n_waiting) {
        bool company = engine_has_company(g);
        struct session *s = g->last->session;
        run_all_alone(g);
        if (company)
            start_vet(g, s); // unless it is READY
    }
    g->urgent = false;
    if (g->n_waiting)
        engine_list_group(e, g); // until its window ends, something under way ends, or that takes too long
}

// ---- the end of a batch

// The client knows its statement's columns from now on.
static void note_described(const struct batch *b, struct lookup *l) {
    struct statement *st = l->statement;
    if (!st || st->described || !l->has_describe)
        return;
    st->described = true;
    st->row_hash = b->group->row_hash;
    st->types_hash = row_types_hash(b->group->row_description.data, b->group->row_description.len);
}

static void answer(struct engine *e, const struct batch *b, struct lookup *l, uint32_t key) {
    struct session *s = l->session;
    note_described(b, l);
    ahead_answered(s);
    if (s->first != l || l->pipeline) {
        l->answer = buf_make(s->kept < e->limits.max_answer ? e->limits.max_answer - s->kept : 0);
        batch_answer(b, l, key, s->txn, &l->answer);
        if (l->answer.failed) {
            buf_free(&l->answer);
            session_run_alone(s, l);
            return;
        }
        l->state = LOOKUP_ANSWERED;
        s->kept += l->answer.len;
        lookup_weigh(l);
        if (l->pipeline && ++l->pipeline->n_answered == l->pipeline->n)
            session_pump(s);
        return;
    }
    buf_reset(&e->answer);
    batch_answer(b, l, key, s->txn, &e->answer);
    if (e->answer.failed) {
        session_run_alone(s, l);
        return;
    }
    e->effects->to_client(s->owner, e->answer.data, e->answer.len, true);
    session_shift(s);
    l->session = NULL;
    lookup_free(e, l);
    session_pump(s);
}

// The client knows its columns from an earlier Describe; after a change of definitions the server would tell
// it so.
static bool columns_fit(const struct batch *b, const struct lookup *l) {
    return !l->check_row_hash || XXH128_isEqual(l->row_hash, b->group->row_hash);
}

void engine_answer(struct engine *e, struct batch *b, struct lookup *l, uint32_t key) {
    bool fits = columns_fit(b, l);
    // A client that does not read must not make us keep its answers: alone, they wait in the server.
    // In an aborted transaction it fails.
    bool certain = batch_is_certain(b, key);
    if (fits && certain && !l->session->backlogged && l->session->txn != 'E') {
        e->counters.folded++;
        if (b->ahead.home)
            ahead_served(b, key);
        if (!l->session->answered_since)
            l->session->answered_since = e->now ? e->now : 1;
        answer(e, b, l, key);
        return;
    }
    if (!fits)
        e->counters.forwarded[REASON_CHANGED_RESULT]++;
    else if (!certain)
        e->counters.forwarded[REASON_MAY_FAIL]++;
    session_run_alone(l->session, l);
}

static void end_member(struct engine *e, struct batch *b, uint32_t i, bool trusted) {
    struct lookup *l = b->members[i];
    if (!l)
        return;
    l->batch = NULL;
    if (l->check == CHECK_FOLDED)
        check_member(e, b, i);
    else if (b->failed || !trusted || (b->ahead.home && !ahead_may_end(b, l))) {
        if (b->changed) // nobody knows what it runs now
            trust_broken(l->session);
        session_run_alone(l->session, l);
    } else
        engine_answer(e, b, l, b->member_key[i]);
}

// What it was vetted by is no longer so. A transaction that sees one snapshot sees the catalogue as it was:
// it says nothing about what others may believe.
static void note_changed(struct engine *e, struct batch *b) {
    if (b->snapshot)
        return;
    if (b->shadowed)
        engine_names_shadowed(e);
    group_forget(b->group);
}

// A batch that failed may have been right to (a table that is gone, a right withdrawn): the catalogue is
// asked again, and a group that fails again and again is left alone for a while.
static void note_failure(struct engine *e, struct batch *b) {
    struct group *g = b->group;
    e->counters.failed++;
    e->effects->log(e->ctx, REASON_NONE, b->lender ? b->lender->id : 0, b->why ? b->why : "unknown");
    if (b->unproved) { // nor is this: the next ones are checked
        seal_broken(&g->seals, e->now);
        return;
    }
    if (b->changed) { // it is no fault of the statement's
        note_changed(e, b);
        return;
    }
    if (!b->sent || b->late)
        return; // it says nothing about the statement
    if (b->oversized) {
        guard_note_oversized(&g->shape->guard, e->now, b->n_keys);
        return;
    }
    // One that was loaded ahead runs behind a lookup that may have failed, or been cancelled, and taken it
    // along.
    if (g->state == GROUP_READY && !b->ahead.home && ++g->errors >= 3) {
        g->errors = 0;
        g->state = GROUP_REFUSED;
        g->vetted_at = e->now;
    } else {
        group_forget(g);
    }
}

static void note_success(struct engine *e, struct batch *b) {
    b->group->errors = 0;
    seal_batch_right(&b->group->seals, b->n_rows > 0);
    if (b->ahead.home)
        return;
    uint64_t waited = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_members; i++) {
        if (!b->members[i] || b->members[i]->check == CHECK_FOLDED)
            continue; // gone, or it has run before
        waited += e->now > b->members[i]->asked ? e->now - b->members[i]->asked : 0;
        n++;
    }
    if (b->parse)
        guard_note_first_batch(&b->group->shape->guard, n);
    else
        guard_note_batch(&b->group->shape->guard, e->now, b->n_keys, n, e->now - b->started, waited);
    e->counters.batches++;
    e->counters.batch_keys += b->n_keys;
}

void engine_batch_ended(struct engine *e, struct batch *b) {
    struct group *g = b->group;
    unlink_batch(e, b);
    account_set(b->memory, &b->weighs, 0);
    g->in_flight -= !b->ahead.home;
    if (b->failed)
        note_failure(e, b);
    else
        note_success(e, b);
    bool trusted = b->failed || !check_batch(e, b);
    for (uint32_t i = 0; i < b->n_members; i++)
        end_member(e, b, i, trusted);
    b->n_members = 0;
    b->failed |= !trusted;
    if (g->n_waiting)
        engine_list_group(e, g);
    if (b->ahead.home)
        ahead_ended(e, b);
    else
        batch_destroy(b);
}

// ---- turns and time

// A batch that takes too long gives its members back; what it still says is dropped, and the server is asked
// to end it.
void engine_abandon_batch(struct batch *b, const char *why) {
    b->why = b->failed ? b->why : why;
    b->failed = b->abandoned = true;
    if (b->lender)
        session_end_batch(b->lender, b);
    for (uint32_t i = 0; i < b->n_members; i++) {
        struct lookup *l = b->members[i];
        b->members[i] = NULL;
        if (!l)
            continue;
        l->batch = NULL;
        session_run_alone(l->session, l);
    }
}

void engine_abandon_shape(struct engine *e, const struct shape *s, const char *why) {
    for (struct batch *b = e->batches, *next; b; b = next) {
        next = b->next;
        if (b->group->shape == s && !b->failed)
            engine_abandon_batch(b, why);
    }
}

static void expire_batches(struct engine *e) {
    for (struct batch *b = e->batches, *next; b; b = next) {
        next = b->next;
        if (b->abandoned)
            continue;
        if (e->limits.timeout && e->now >= b->started + e->limits.timeout)
            engine_abandon_batch(b, "the batch took longer than batching.timeout");
        else if (b->lender && session_only_forwards(b->lender))
            engine_abandon_batch(b, "the server connection is shared by a pooler");
    }
}

bool engine_may_prove(const struct engine *e) {
    return e->proving < MAX_PROVING;
}

// A pool that opens many connections at once must not make the server prove them all at once: those that wait
// for their turn fold within themselves meanwhile.
static void start_proofs(struct engine *e) {
    while (e->to_prove && engine_may_prove(e)) {
        struct session *s = e->to_prove;
        e->to_prove = s->next_proof;
        s->proof_listed = false;
        session_start_proof(s);
    }
}

void engine_sleeps(struct engine *e, uint64_t now, uint64_t due) {
    struct vigil *v = &e->vigil;
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

void engine_turn(struct engine *e, uint64_t now) {
    engine_wakes(e, now);
    expire_batches(e);
    late_expire(e);
    ahead_give_back_stalled(e);
    await_expire(e);
    cancel_repeat(e);
    ahead_expire(e);
    struct group *listed = e->listed;
    e->listed = NULL;
    while (listed) {
        struct group *g = listed;
        listed = g->next_listed;
        g->listed = false;
        engine_dispatch_group(e, g);
    }
    start_proofs(e);
    turns_go_on(e);
    account_note_peak(&e->memory);
    room_shrink(e);
}

uint64_t engine_deadline(const struct engine *e) {
    uint64_t at = await_deadline(e), cancel = cancel_deadline(e), ahead = ahead_deadline(e);
    at = cancel < at ? cancel : at;
    at = ahead < at ? ahead : at;
    uint64_t late = late_deadline(e), turn = turns_deadline(e);
    at = turn < at ? turn : at;
    at = late < at ? late : at;
    for (const struct group *g = e->listed; g; g = g->next_listed) {
        uint64_t until = g->waiting_since + (window_is_open(e, g) ? e->limits.window : STALL);
        at = until < at ? until : at;
    }
    for (const struct batch *b = e->batches; e->limits.timeout && b; b = b->next)
        if (!b->abandoned && b->started + e->limits.timeout < at)
            at = b->started + e->limits.timeout;
    return at;
}
