// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/ahead.h"

#include <stdlib.h>
#include <string.h>

#include "batching/flow/check.h"
#include "batching/ahead/predict.h"
#include "batching/session/session.h"

// Microseconds until what is kept for a session is given back. Who has read a long list takes some time
// before the loop.
#define IDLE   10000000
#define OTHERS 8 // sessions of the same identity whose trails are looked at

// ---- life

static void list_remove(struct ahead_list *l, struct ahead *a) {
    *(a->newer ? &a->newer->older : &l->newest) = a->older;
    *(a->older ? &a->older->newer : &l->oldest) = a->newer;
}

static void list_push(struct ahead_list *l, struct ahead *a) {
    a->newer = NULL;
    a->older = l->newest;
    *(l->newest ? &l->newest->newer : &l->oldest) = a;
    l->newest = a;
}

static void use(struct ahead *a) {
    a->last_used = a->engine->now;
    if (a->engine->aheads.newest == a || !a->session)
        return;
    list_remove(&a->engine->aheads, a);
    list_push(&a->engine->aheads, a);
}

// One whose session is gone is in no list, and counts no more.
static void charge(struct ahead *a) {
    size_t now = a->session ? sizeof *a + a->trail.bytes + a->held_bytes : 0;
    a->engine->aheads.bytes += now - a->charged;
    account_set(a->memory, &a->charged, now);
}

void ahead_unref(struct ahead *a) {
    if (a && !--a->refs)
        free(a);
}

static struct ahead *ahead_of(struct session *s) {
    if (s->ahead)
        return s->ahead;
    struct ahead *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->refs = 1;
    a->engine = s->engine;
    a->session = s;
    a->memory = &s->memory;
    trail_init(&a->trail, s->engine->limits.ahead_session / 2);
    a->trail.serial = s->lists;
    list_push(&s->engine->aheads, a);
    use(a);
    charge(a);
    s->ahead = a;
    return a;
}

static struct association *association_of(const struct batch *b) {
    struct association *all = b->group->shape->associations;
    return all ? &all[b->ahead.association] : NULL;
}

// A held batch, or one that is not worth holding, is given up; `stale`: it might have been asked for later.
static void give_up(struct ahead *a, struct batch *b, bool stale) {
    struct engine *e = a->engine;
    struct association *association = association_of(b);
    unsigned unused = b->n_keys - b->ahead.n_used;
    *(stale ? &e->counters.ahead_stale : &e->counters.ahead_unused) += unused;
    if (association)
        association_ended(association, e->now, b->n_keys - b->ahead.asked, b->ahead.n_served, b->ahead.late);
    b->group->held--;
    batch_destroy(b);
    ahead_unref(a);
}

static void drop_held(struct ahead *a, struct batch *b, bool stale) {
    struct batch **at = &a->held;
    while (*at != b)
        at = &(*at)->ahead.next;
    *at = b->ahead.next;
    a->held_bytes -= b->ahead.bytes;
    if (b->ahead.n_used < b->n_keys)
        a->barren = 0; // those may be loaded again
    give_up(a, b, stale);
}

static void drop_all(struct ahead *a, bool stale) {
    a->refs++;
    while (a->held)
        drop_held(a, a->held, stale);
    charge(a);
    ahead_unref(a);
}

// Gives back all that is kept for its session. What is on its way finds that it is not wanted any more.
static void forget(struct ahead *a) {
    drop_all(a, false);
    trail_clear(&a->trail);
    list_remove(&a->engine->aheads, a);
    a->session->lists = a->trail.serial;
    a->session->ahead = NULL;
    a->session = NULL;
    charge(a);
    ahead_unref(a);
}

// Those that were used longest ago make room.
static void trim(struct ahead *keep, size_t max) {
    struct ahead_list *l = &keep->engine->aheads;
    while (l->bytes > max && l->oldest != keep)
        forget(l->oldest);
}

void ahead_shrink(struct engine *e) {
    for (unsigned n = 0; e->aheads.oldest && n < 16; n++)
        forget(e->aheads.oldest);
}

void ahead_drop(struct session *s) {
    struct ahead *a = s->ahead;
    s->ahead_since = s->engine->now;
    s->apart = 0;
    s->apart_costs = false;
    if (!a)
        return;
    a->epoch++;
    drop_all(a, true);
}

void ahead_run_unvetted(struct session *s) {
    unsigned apart = s->apart;
    bool costs = s->apart_costs || (s->ahead && (s->ahead->held || s->ahead->loading));
    ahead_drop(s);
    s->apart = apart;
    s->apart_costs = costs;
}

void ahead_session_gone(struct session *s) {
    if (s->ahead)
        forget(s->ahead);
}

// ---- what it may cost

// What the batch's statement and its keys cost the server. In a transaction a SAVEPOINT, its RELEASE and a
// SELECT that makes the process look for changes come with it.
static uint32_t statement_cost(const struct session *s) {
    return (s->txn == 'I' ? 1 : 3) * BUDGET_LOOKUP;
}

static uint32_t key_cost(const struct group *g, const struct association *a) {
    return budget_key_cost(g->shape->guard.lone, a->cost);
}

// A lookup of a loop, however it is answered: `a` is where its key was found.
static void earn(struct ahead *a, struct shape *s, uint32_t value) {
    budget_earn(&s->budget, value);
    budget_earn(&a->engine->aheads.vets, value);
    if (a->session)
        budget_earn(&a->session->ahead_budget, value);
}

static unsigned affordable(const struct session *s, const struct ahead *a, const struct group *g,
                           const struct association *association) {
    uint32_t statement = statement_cost(s), key = key_cost(g, association);
    unsigned shape = budget_keys(&g->shape->budget, BUDGET_SHAPE, statement, key);
    unsigned session = budget_keys(&a->session->ahead_budget, BUDGET_SESSION, statement, key);
    return shape < session ? shape : session;
}

static void spend(const struct session *s, struct ahead *a, struct batch *b,
                  struct association *association) {
    b->ahead.key_cost = key_cost(b->group, association);
    uint64_t cost = statement_cost(s) + (uint64_t)(b->n_keys - b->ahead.asked) * b->ahead.key_cost;
    budget_spend(&b->group->shape->budget, cost);
    budget_spend(&a->session->ahead_budget, cost);
    association_sent(association, s->engine->now);
}

void ahead_served(struct batch *b, uint32_t key) {
    struct association *association = association_of(b);
    if (b->ahead.asked && key == b->n_keys - 1)
        return; // it would have been a statement in any case
    b->ahead.n_served++;
    earn(b->ahead.home, b->group->shape, BUDGET_LOOKUP + b->ahead.key_cost);
    if (association)
        association_served(association);
}

// ---- what may be given

// Are its statements outside transactions SERIALIZABLE? The server must see each of them then.
static bool is_serializable(struct session *s) {
    struct identity *i = session_identity_current(&s->engine->identities, &s->identity);
    if (!i || s->identity.state != IDENTITY_PROVEN)
        return true;
    if (s->serial_of != i->id) {
        enum identity_isolation level = session_identity_isolation(&s->identity);
        s->serial = level == ISOLATION_SERIALIZABLE || level == ISOLATION_UNKNOWN;
        s->serial_of = i->id;
    }
    return s->serial;
}

static bool is_allowed(const struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    if (l->lookahead == LOOKAHEAD_OFF || l->observe || l->verify || l->check_one_in == 1)
        return false;
    return l->lookahead == LOOKAHEAD_BOUNDED || session_snapshot_is_fixed(s);
}

static bool is_on(struct session *s) {
    return is_allowed(s) && (s->txn != 'I' || !is_serializable(s));
}

// Loaded in the same state of the session, by what is known of the statement now.
static bool is_current(const struct ahead *a, const struct batch *b) {
    const struct group *g = b->group;
    return b->ahead.epoch == a->epoch && !b->failed && g->state == GROUP_READY &&
           g->vettings == b->vettings && g->generation == a->engine->generation;
}

// What no write has made stale is not looked at again for those writes.
static bool is_young(const struct ahead *a, const struct session *s, struct batch *b) {
    if (!is_current(a, b))
        return false;
    if (session_snapshot_is_fixed(s))
        return true;
    if (a->engine->now > b->started + a->engine->limits.ahead_age ||
        database_has_changed(s->database, b->ahead.seq, &b->group->writers))
        return false;
    b->ahead.seq = s->database->seq;
    return true;
}

// Has the loop gone on without a pause since what is held for it was loaded?
static bool is_running(const struct ahead *a, const struct session *s, const struct batch *b) {
    uint64_t since = a->last_answer > s->last_answer ? a->last_answer : s->last_answer;
    since = since > b->started ? since : b->started; // no pause before it matters
    return session_snapshot_is_fixed(s) || engine_waited(a->engine, since) <= a->engine->limits.ahead_gap;
}

static bool is_fresh(const struct ahead *a, const struct session *s, struct batch *b) {
    return is_young(a, s, b) && is_running(a, s, b);
}

// `g`, `keys`: what is asked for now.
static void drop_stale(struct ahead *a, const struct session *s, const struct group *g,
                       const struct key *keys) {
    uint32_t key;
    for (struct batch *b = a->held, *next; b; b = next) {
        next = b->ahead.next;
        if (is_fresh(a, s, b))
            continue;
        b->ahead.late = b->group == g && batch_find_key(b, keys, &key) && !b->ahead.used[key];
        drop_held(a, b, true);
    }
}

// What another session has read and loaded: neither is in a transaction, and this one has not done anything
// since that could have changed it.
static bool may_share(const struct session *s, const struct ahead *a) {
    const struct session *other = a->session;
    return other && other != s && other->txn == 'I' && other->identity.current &&
           other->identity.current == s->identity.current && !s->identity.current->is_private;
}

// The session's own, then those of others of its identity; `i` from 0. NULL: no more.
static struct ahead *next_ahead(struct session *s, struct ahead *a, unsigned *i) {
    if (!(*i)++ && s->ahead)
        return s->ahead;
    if (s->txn != 'I')
        return NULL;
    a = !a || a == s->ahead ? s->engine->aheads.newest : a->older;
    for (; a && *i <= 2 * OTHERS; a = a->older, ++*i)
        if (may_share(s, a))
            return a;
    return NULL;
}

// Its reply comes behind another client's: that of a lookup, and as long as that client reads.
static bool may_come_behind(const struct session *s, const struct batch *b) {
    const struct session *lender = b->ahead.ended || b->lender == s ? NULL : b->lender;
    for (unsigned i = 0; lender && i < lender->owed.n; i++) {
        const struct owed *o = owed_at(lender, i);
        if (o->kind < OWED_BATCH && (o->kind != OWED_LOOKUP || lender->backlogged))
            return false;
        if (o->kind == OWED_BATCH && o->of.batch == b)
            return true;
    }
    return true;
}

void ahead_give_back_stalled(struct engine *e) {
    for (struct batch *b = e->batches, *next; b; b = next) {
        next = b->next;
        if (!b->ahead.home || !b->n_left || !b->lender || !b->lender->backlogged)
            continue;
        for (uint32_t i = 0; i < b->n_members; i++) {
            struct lookup *l = b->members[i];
            if (!l || may_come_behind(l->session, b))
                continue;
            lookup_leave_batch(l);
            session_run_alone(l->session, l);
        }
    }
}

// What another session has loaded must have been read under a configuration that this one was proven under,
// too.
static bool is_of_others(struct session *s, const struct ahead *a, const struct batch *b) {
    return a->session != s && (b->started <= s->ahead_since ||
                               !session_identity_may_take(&s->engine->identities, &s->identity,
                                                          b->group->identity, b->news.loaded, false));
}

// Asked for, the key of every batch that has it counts as used, also when it goes to the server this time.
static bool find_in(struct session *s, struct ahead *a, struct batch *list, const struct group *g,
                    const struct key *keys, struct ahead_hit *hit) {
    bool found = false;
    for (struct batch *b = list; b; b = b->ahead.next) {
        uint32_t key;
        if (b->group != g || !batch_find_key(b, keys, &key) || b->ahead.used[key])
            continue;
        b->ahead.n_used++;
        b->ahead.used[key] = true;
        bool over = !b->ahead.ended && late_is_over(s->engine, b);
        if (found || over || is_of_others(s, a, b) || !may_come_behind(s, b) || !is_fresh(a, s, b)) {
            a->engine->counters.ahead_stale++;
            continue;
        }
        *hit = (struct ahead_hit){.ahead = a, .batch = b, .key = key};
        found = true;
    }
    return found;
}

// Who asks again without having read a list with the key since wants to know what has changed. What was
// loaded before that list may be older than the answer that was given before it.
static bool may_again(struct session *s, const struct group *g, const struct ahead_hit *hit, uint32_t lists) {
    const struct association *association = association_of(hit->batch);
    return s->ahead && association &&
           predict_has_read(&s->ahead->trail, g, hit->keys, association, lists, hit->batch->started);
}

bool ahead_may_end(struct batch *b, const struct lookup *l) {
    return !l->joined || is_young(b->ahead.home, l->session, b);
}

bool ahead_find(struct session *s, struct group *g, const struct slice *raw, const uint32_t *asked,
                struct ahead_hit *hit) {
    unsigned i = 0;
    bool found = false;
    if (!g->held || g->state != GROUP_READY || !group_read_key(g, raw, hit->keys))
        return false;
    for (struct ahead *a = next_ahead(s, NULL, &i); a; a = next_ahead(s, a, &i)) {
        struct ahead_hit at = {0};
        drop_stale(a, s, g, hit->keys);
        bool here = find_in(s, a, a->held, g, hit->keys, &at) || find_in(s, a, a->loading, g, hit->keys, &at);
        if (here && !found) {
            hit->ahead = at.ahead;
            hit->batch = at.batch;
            hit->key = at.key;
        }
        s->engine->counters.ahead_stale += here && found;
        found |= here;
    }
    bool may = found && is_on(s) && !s->n_lookups && !engine_is_forgotten(s->engine, s) &&
               (!asked || may_again(s, g, hit, *asked));
    s->engine->counters.ahead_stale += found && !may;
    return found && may;
}

#define APART_WORTH 16 // answers for which the catalogue may be asked

static void note_given(struct session *s) {
    if (s->identity.state != IDENTITY_PROVEN && ++s->apart_given % APART_WORTH == 0 && s->apart_vets)
        s->apart_vets--;
}

void ahead_give(const struct ahead_hit *hit, struct lookup *l) {
    struct ahead *a = hit->ahead;
    struct batch *b = hit->batch;
    struct engine *e = a->engine;
    struct association *association = association_of(b);
    e->counters.ahead_answers++;
    if (b->ahead.recorded)
        trail_note_read(&a->trail, b->ahead.recorded, e->now);
    b->ahead.recorded = 0;
    if (association && !b->ahead.grown && 2 * b->ahead.n_used >= b->n_keys) {
        association_grow(association, e->limits.ahead_keys);
        b->ahead.grown = true;
    }
    use(a);
    note_given(l->session);
    a->last_answer = e->aheads.last_answer = e->now;
    if (!b->ahead.ended) {
        if (!batch_join(b, l, hit->key))
            session_run_alone(l->session, l);
        return;
    }
    engine_answer(e, b, l, hit->key);
}

// ---- loading

// A batch of our own may go out on the session's connection now, behind a lookup of its client's at most.
static bool may_load(const struct session *s) {
    return !s->terminating && !s->server_gone && !s->failed && !s->backlogged && !s->opaque &&
           !session_only_forwards(s) && !s->cancelling && !s->cancel_pending && !s->in_unit &&
           !s->n_forward && !s->repair_due && !s->gives && !s->server_skip &&
           s->owed.n < s->engine->limits.max_owed / 2 &&
           (session_txn_reason(s) == REASON_NONE || session_is_apart(s));
}

bool ahead_may_be_apart(const struct session *s) {
    return is_allowed(s) && session_is_apart(s);
}

bool ahead_has_list(const struct session *s) {
    return s->ahead && s->ahead->trail.results;
}

// Lookups that a session of a state of its own must bring before the catalogue is asked for it alone; twice
// as many each time, until the answers that this brings are worth its costs.
#define APART_VETTED  4
#define APART_DOUBLED 8

#define LOOKUPS_PER_VET 5

// At first on the budget of all. Where that is spent, on what the shape's lookups cost as they are: a text
// that is used once is asked about in vain.
static bool may_pay_vet(struct engine *e, struct shape *s) {
    bool paid = budget_keys(&e->aheads.vets, BUDGET_VETS, 0, BUDGET_VET) > 0;
    uint64_t lookups = s->guard.n_alone + s->guard.n_folded;
    if (!paid && lookups < LOOKUPS_PER_VET * (UINT64_C(1) + s->ahead_vets))
        return false;
    if (paid)
        budget_spend(&e->aheads.vets, BUDGET_VET);
    s->ahead_vets++;
    return true;
}

// It is worth a question whose answer others can use, too, or many lookups.
static bool may_vet(struct session *s, struct shape *shape) {
    unsigned doubled = s->apart_vets < APART_DOUBLED ? s->apart_vets : APART_DOUBLED;
    bool proven = s->identity.state == IDENTITY_PROVEN;
    if (!proven && ++s->apart < (unsigned)APART_VETTED << doubled)
        return false;
    if (!may_pay_vet(s->engine, shape))
        return false;
    s->apart_vets += !proven;
    s->apart_costs &= proven;
    return true;
}

struct holding {
    struct ahead *ahead;
    const struct group *group;
};

static bool is_held(void *arg, const struct key *keys) {
    const struct holding *h = arg;
    uint32_t key;
    for (const struct batch *b = h->ahead->held; b; b = b->ahead.next)
        if (b->group == h->group && batch_find_key(b, keys, &key) && !b->ahead.used[key])
            return true;
    return false;
}

static bool is_loading(const struct ahead *a, const struct group *g) {
    for (const struct batch *b = a->loading; b; b = b->ahead.next)
        if (b->group == g && b->ahead.epoch == a->epoch)
            return true;
    return false;
}

// What would not fit into what the session or all of them may hold is not loaded.
static size_t room(struct ahead *a) {
    struct engine *e = a->engine;
    const struct engine_limits *l = &e->limits;
    trim(a, l->ahead_memory / 2);
    size_t used = a->trail.bytes + a->held_bytes;
    size_t own = l->ahead_session > used ? l->ahead_session - used : 0;
    size_t all = l->ahead_memory > e->aheads.bytes ? l->ahead_memory - e->aheads.bytes : 0;
    size_t least = own < all ? own : all;
    return least < l->max_answer ? least : l->max_answer;
}

static uint64_t age_limit(const struct session *s) {
    return session_snapshot_is_fixed(s) ? 0 : s->engine->limits.ahead_age;
}

// Near the end of a loop every lookup would ask in vain.
static void note_barren(struct ahead *a, const struct group *g, bool both_ways) {
    a->barren = g->id;
    a->barren_since = a->trail.serial;
    a->barren_both_ways = both_ways;
}

static bool is_barren(const struct ahead *a, const struct group *g, bool both_ways) {
    return a->barren == g->id && a->barren_since == a->trail.serial && a->barren_both_ways >= both_ways;
}

// The key of the lookup at hand; false: out of memory.
static bool add_asked(struct batch *b, const struct key *keys, uint32_t *key) {
    uint32_t n = b->n_keys;
    b->max_keys++; // there is room for one more
    if (!batch_add_key(b, keys) || b->n_keys == n)
        return false;
    b->ahead.used[n] = true;
    b->ahead.n_used++;
    b->ahead.asked = true;
    *key = n;
    return true;
}

bool ahead_join_checked(struct lookup *l) {
    uint32_t key;
    const struct ahead *a = l->loop;
    for (struct batch *b = a ? a->loading : NULL; b; b = b->ahead.next)
        if (b->lender == l->session && b->group == l->group && !b->failed && batch_find_key(b, l->keys, &key))
            return batch_join(b, l, key);
    return false;
}

// The coming keys, as a batch that is not sent yet; NULL: there are none, or it is not the time.
static struct batch *gather(struct session *s, struct ahead *a, struct group *g, const struct guess *guess,
                            const struct key *keys) {
    const struct engine *e = s->engine;
    unsigned most = guard_max_keys(&g->shape->guard, e->now, e->limits.ahead_keys);
    unsigned paid = affordable(s, a, g, guess->association);
    unsigned max = association_window(guess->association, e->now, age_limit(s), most < paid ? most : paid);
    size_t bytes = room(a);
    if (!max || bytes < 4096 || guard_is_late(&g->shape->guard, e->now) || is_loading(a, g) ||
        is_barren(a, g, guess->turns) || !engine_may_look_ahead(e, g->shape->parsed))
        return NULL;
    struct batch *b = batch_create_ahead(g, max, bytes);
    struct holding holding = {a, g};
    if (b)
        predict_gather(guess, g, keys, b, is_held, &holding);
    if (!b || b->n_keys)
        return b;
    batch_destroy(b);
    note_barren(a, g, guess->turns);
    return NULL;
}

// `unit`: a lookup of the group as its client sent it, whose values but the keys hold for all.
static void load(struct session *s, struct ahead *a, struct batch *b, struct association *association,
                 const uint8_t *unit, size_t len) {
    struct engine *e = s->engine;
    struct group *g = b->group;
    if (!association->window)
        association->window = b->max_keys;
    b->pattern = unit;
    b->pattern_len = len;
    b->ahead.home = a;
    b->ahead.association = (unsigned)(association - g->shape->associations);
    b->ahead.epoch = a->epoch;
    b->ahead.seq = s->database->seq;
    b->patience = association->latency;
    a->refs++;
    g->held++;
    b->ahead.next = a->loading;
    a->loading = b;
    e->counters.ahead_batches++;
    e->counters.ahead_keys += b->n_keys - b->ahead.asked;
    spend(s, a, b, association);
    use(a);
    engine_start_batch(e, b);
    if (!session_run_batch(s, b))
        engine_batch_ended(e, b);
}

#define UNFOLLOWED   32 // results in a row of which one more is a surprise
#define NOW_AND_THEN 8

// Results of lookups are many, and most are leaves: those of a statement that none has followed for long are
// kept now and then.
static bool is_worth_recording(struct engine *e, struct ahead *a, uint64_t source) {
    uint8_t *n = &e->aheads.unfollowed[source % AHEAD_SOURCES];
    *n = *n == UINT8_MAX ? UNFOLLOWED : (uint8_t)(*n + 1);
    if (*n <= UNFOLLOWED)
        return true;
    if (*n % NOW_AND_THEN)
        return false;
    if (a)
        trail_drop_unfollowed(&a->trail, source); // one of them will do
    return true;
}

static void note_followed(struct engine *e, const struct guess *guess) {
    e->aheads.unfollowed[guess->result->columns.source % AHEAD_SOURCES] = 0;
}

// The one in whose trail the key is found; noted in all of them. `company`: others ask for their keys right
// now, which folds them; only a session that is seen to go through a list of its own is a loop then.
static struct ahead *locate(struct session *s, struct group *g, const struct key *keys, bool company,
                            struct guess *guess) {
    unsigned i = 0;
    struct ahead *found = NULL;
    *guess = (struct guess){0};
    for (struct ahead *a = next_ahead(s, NULL, &i); a; a = next_ahead(s, a, &i))
        if (predict_locate(&a->trail, g, keys, guess))
            found = a;
    bool burst = company && (found != s->ahead || !guess->seconded);
    if (!found || burst || !predict_follow(g, s->engine->now, guess))
        return NULL;
    note_followed(s->engine, guess);
    return found;
}

static bool is_plausible(struct session *s, const struct lookup *l) {
    unsigned i = 0;
    for (struct ahead *a = next_ahead(s, NULL, &i); a; a = next_ahead(s, a, &i))
        if (predict_is_plausible(&a->trail, l->group, l->raw))
            return true;
    return false;
}

// The lookup goes out as it was sent, in front of the batch; false: what has become of it needs none.
static bool run_in_front(struct session *s, struct ahead *a, struct lookup *l, struct batch *b,
                         bool checked) {
    uint32_t key;
    if (checked)
        check_start(s->engine, l);
    else
        engine_run_lookup(l); // stays until its answer has come
    if (s->gives || s->first != l || l->state != (checked ? LOOKUP_CHECKING : LOOKUP_SENT))
        return false;
    l->loop = a;
    a->refs++;
    if (checked)
        (void)add_asked(b, l->keys, &key); // it compares its answer with the batch's
    return true;
}

// A loop that has proved to be one is not worth a statement of its own each time that more is loaded: the
// lookup becomes a member of the batch, whose other answers its client waits for anyway.
static bool take_along(struct lookup *l, struct batch *b) {
    uint32_t key;
    if (!add_asked(b, l->keys, &key) || !batch_join(b, l, key))
        return false;
    lookup_detach_waiting(l);
    return true;
}

void ahead_follow(struct session *s, struct lookup *l, bool apart) {
    struct group *g = l->group;
    struct guess guess;
    if (!s->engine->aheads.newest || !is_on(s) || s->first != l || l->next || l->pipeline || !may_load(s) ||
        (s->identity.state != IDENTITY_PROVEN && !apart))
        return;
    budget_earn(&s->engine->aheads.vets, BUDGET_SHARE);
    if (g->state == GROUP_NEW && (s->apart_costs || is_plausible(s, l)) && may_vet(s, g->shape)) {
        engine_run_lookup(l);
        session_start_vet(s, g);
        return;
    }
    if (g->state != GROUP_READY || !group_read_key(g, l->raw, l->keys))
        return;
    l->has_key = true;
    struct ahead *a = locate(s, g, l->keys, !apart && engine_has_company(g), &guess);
    if (!a)
        return;
    earn(a, g->shape, BUDGET_SHARE);
    struct batch *b = gather(s, a, g, &guess, l->keys);
    if (!b)
        return;
    bool checked = check_draw(s->engine, l);
    if ((guess.association->useful && !checked && take_along(l, b)) || run_in_front(s, a, l, b, checked))
        load(s, a, b, guess.association, l->bytes, l->len);
    else
        batch_destroy(b);
}

static unsigned left_of(const struct ahead *a, const struct group *g) {
    unsigned n = 0;
    for (const struct batch *b = a->held; b; b = b->ahead.next)
        n += b->group == g ? b->n_keys - b->ahead.n_used : 0;
    return n;
}

static void refill(struct session *s, const struct ahead_hit *hit, const uint8_t *unit, size_t len) {
    struct guess guess;
    struct ahead *a = hit->ahead;
    struct group *g = hit->batch->group;
    struct association *association = association_of(hit->batch);
    if (!association)
        return;
    bool found = predict_relocate(&a->trail, g, hit->keys, hit->batch->ahead.association, &guess);
    association_asked(association, s->engine->now);
    bool low = found && association_is_low(association, left_of(a, g)) && may_load(s);
    struct batch *b = low ? gather(s, a, g, &guess, hit->keys) : NULL;
    if (b)
        load(s, a, b, association, unit, len);
}

void ahead_refill(struct session *s, const struct ahead_hit *hit, const uint8_t *unit, size_t len) {
    struct batch *b = hit->batch;
    refill(s, hit, unit, len);
    if (!b->ahead.ended || b->ahead.n_used < b->n_keys)
        return;
    drop_held(hit->ahead, b, false); // there is nothing left in it
    charge(hit->ahead);
}

// ---- what has come

// The rows are a result from which keys may be predicted, as if they had come one after the other. The client
// has read it when it was given some of it.
static void record(struct ahead *a, struct batch *b) {
    const struct group *g = b->group;
    struct trail_columns c;
    if (a->trail.recorder.on || a->trail.recorder.result ||
        !trail_columns_read(&c, g->row_description.data, g->row_description.len) ||
        !is_worth_recording(a->engine, a, c.source))
        return;
    trail_columns_format(&c, g->n_formats, g->formats);
    c.group = g->id;
    c.at = a->engine->now;
    c.unread = !b->ahead.n_served;
    uint64_t before = a->trail.serial;
    trail_begin(&a->trail, &c);
    for (uint32_t key = 0; key < b->n_keys; key++)
        for (uint32_t row = b->key_rows[key].first_row; row; row = b->rows[row - 1].next)
            trail_row(&a->trail, b->data.data + b->rows[row - 1].at + FRAME_HEADER,
                      b->rows[row - 1].len - FRAME_HEADER);
    trail_end(&a->trail);
    b->ahead.recorded = c.unread && a->trail.serial != before ? a->trail.serial : 0;
}

static void unlink_loading(struct ahead *a, struct batch *b) {
    struct batch **at = &a->loading;
    while (*at != b)
        at = &(*at)->ahead.next;
    *at = b->ahead.next;
}

void ahead_ended(struct engine *e, struct batch *b) {
    struct ahead *a = b->ahead.home;
    struct association *association = association_of(b);
    unlink_loading(a, b);
    if (association && b->failed)
        association->useful = false;
    if (association && !b->failed && !b->parse)
        association_loaded(association, e->now - b->started, b->group->shape->guard.lone, b->n_keys);
    if (!a->session || !is_current(a, b)) {
        give_up(a, b, true);
        return;
    }
    if (b->ahead.n_used) // who waited for it was answered now
        a->last_answer = e->aheads.last_answer = e->now;
    b->ahead.ended = true;
    b->ahead.bytes = batch_bytes(b);
    b->ahead.next = a->held;
    a->held = b;
    a->held_bytes += b->ahead.bytes;
    record(a, b);
    charge(a);
    trim(a, e->limits.ahead_memory);
}

void ahead_answered(struct session *s) {
    s->last_answer = s->engine->now;
    if (s->ahead)
        s->ahead->last_answer = s->engine->aheads.last_answer = s->engine->now;
}

// ---- recording what the client is told

static uint64_t source_of(struct group *g) {
    struct trail_columns c;
    if (!g->source && trail_columns_read(&c, g->row_description.data, g->row_description.len))
        g->source = c.source;
    return g->source;
}

bool ahead_may_record(struct session *s, const struct lookup *l) {
    struct group *g = l->counted ? l->group : NULL; // else it may be gone
    if (s->engine->limits.lookahead == LOOKAHEAD_OFF || l->pipeline)
        return false;
    if (!g || g->state != GROUP_READY)
        return true;
    return g->form != FORM_IN && source_of(g) && is_worth_recording(s->engine, s->ahead, g->source);
}

void ahead_note_columns(struct session *s, struct statement *st, const uint8_t *body, size_t len) {
    if (s->engine->limits.lookahead == LOOKAHEAD_OFF || st->columns)
        return;
    struct trail_columns c;
    if (!trail_columns_read(&c, body, len))
        return;
    st->columns = malloc(sizeof c);
    if (st->columns)
        *st->columns = c;
}

static bool is_recorded(const struct session *s, const struct owed *o) {
    return o && o->reads && s->engine->limits.lookahead != LOOKAHEAD_OFF && !s->client_gone;
}

static void begin(struct session *s, const struct owed *o, struct trail_columns *c) {
    struct ahead *a = ahead_of(s);
    c->at = s->engine->now;
    if (o->kind == OWED_LOOKUP && o->of.lookup->counted)
        c->group = o->of.lookup->group->id;
    if (a)
        trail_begin(&a->trail, c);
}

// Rows of a statement that was described before.
static void begin_bound(struct session *s, const struct owed *o) {
    const struct lookup *l = o->kind == OWED_FORWARD ? NULL : o->of.lookup;
    const struct statement *st = l ? l->statement : o->bound;
    struct trail_columns c;
    if (!st || !st->columns || (!l && o->formats_differ))
        return;
    c = *st->columns;
    if (l && l->counted)
        trail_columns_format(&c, l->group->n_formats, l->group->formats);
    else
        trail_columns_format(&c, 1, o->result_format ? (const uint8_t *)"\0\1" : (const uint8_t *)"\0\0");
    begin(s, o, &c);
}

bool ahead_wants(const struct session *s, const struct owed *o, const struct frame *f) {
    bool on = (s->ahead && s->ahead->trail.recorder.on) || (o && o->resumes);
    return on && f->type == B_DATA_ROW && f->size <= 8192 && is_recorded(s, o);
}

void ahead_reply(struct session *s, struct owed *o, const struct frame *f, bool whole) {
    struct trail_columns c;
    if (!is_recorded(s, o))
        return;
    if (f->type == B_DATA_ROW) {
        if (o->resumes)
            begin_bound(s, o);
        o->resumes = false;
        if (whole && s->ahead)
            trail_row(&s->ahead->trail, f->body, f->body_len);
        return;
    }
    if (f->type == B_ROW_DESCRIPTION && whole) {
        if (trail_columns_read(&c, f->body, f->body_len))
            begin(s, o, &c);
    } else if (f->type == B_BIND_COMPLETE) {
        begin_bound(s, o);
    } else if (s->ahead) {
        trail_end(&s->ahead->trail);
        if (f->type == B_READY_FOR_QUERY) {
            use(s->ahead);
            charge(s->ahead);
            trim(s->ahead, s->engine->limits.ahead_memory);
        }
    }
}

// ---- time

void ahead_expire(struct engine *e) {
    while (e->aheads.oldest && e->now > e->aheads.oldest->last_used + IDLE)
        forget(e->aheads.oldest);
}

// At the end of a loop's longest pause there is nothing to do; but only who asks to be woken then can tell
// how late that was.
uint64_t ahead_deadline(const struct engine *e) {
    uint64_t gap = e->aheads.last_answer + e->limits.ahead_gap;
    if (!e->aheads.oldest)
        return UINT64_MAX;
    return gap > e->now ? gap : e->aheads.oldest->last_used + IDLE + 1;
}
