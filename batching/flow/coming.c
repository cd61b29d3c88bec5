// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/coming.h"

#include <stdlib.h>

#include "batching/ahead/ahead.h"
#include "batching/ahead/asked.h"
#include "batching/ahead/gather.h"
#include "batching/ahead/pace.h"
#include "batching/ahead/place.h"
#include "batching/ahead/reach.h"
#include "batching/ahead/steps.h"
#include "batching/flow/batches.h"
#include "batching/flow/lend.h"
#include "batching/fold/batch.h"
#include "batching/fold/erring.h"
#include "batching/fold/group.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/bounds.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/reporting.h"
#include "batching/session/session.h"
#include "batching/session/txn.h"
#include "batching/statement/family.h"
#include "batching/statement/guard.h"
#include "batching/statement/key.h"
#include "batching/statement/shape.h"

// ---- may it be guessed?

bool coming_may_guess(const struct engine *e, const struct group *g, bool settled) {
    return settled || family_may_guess(&e->aheads.families, g->shape->family);
}

// ---- the batch of coming keys

// The batch whose rows are this list. NULL: it is none, or is not held.
static const struct batch *batch_of_list(const struct ahead *a, const struct trail_result *list) {
    const struct batch *b = list->columns.loaded ? a->held : NULL;
    while (b && b->ahead.list != list->serial)
        b = b->ahead.next;
    return b;
}

// Notes how often each row of a key may still be given. The rows begin at *row of the list.
static void note_turns(const struct batch *b, uint32_t key, const struct trail_result *list, uint16_t *turns,
                       uint32_t *row) {
    for (uint32_t i = 0; i < b->key_rows[key].n_rows && *row < list->n_rows; i++)
        turns[(*row)++] = b->ahead.left[key];
}

// How often each row of this list may still be given, in the order in which ahead_record() has recorded them. NULL: none
// may again, or out of memory. To be freed.
static uint16_t *turns_of_list(const struct ahead *a, const struct trail_result *list) {
    const struct batch *b = batch_of_list(a, list);
    uint16_t *turns = b && b->ahead.n_left && list->n_rows ? calloc(list->n_rows, sizeof *turns) : NULL;
    uint32_t loaded = turns ? b->n_keys - b->ahead.asked : 0, row = 0;
    if (turns && b->ahead.asked)
        note_turns(b, loaded, list, turns, &row);
    for (uint32_t key = 0; key < loaded; key++)
        note_turns(b, key, list, turns, &row);
    return turns;
}

bool ahead_is_held(void *arg, const struct trail_result *list, const struct key *keys, unsigned turns) {
    const struct ahead_holding *h = arg;
    if (erring_has(h->group, keys))
        return true; // as good as held
    const struct batch *from = batch_of_list(h->ahead, list);
    uint64_t since = from ? from->ahead.number - 1 : place_is_own(h->group, list) ? 0 : list->columns.loads;
    uint32_t key;
    for (struct batch *b = h->ahead->held; b; b = b->ahead.next) {
        if (b->group != h->group || !batch_find_key(b, keys, &key) || !b->ahead.left[key])
            continue;
        if (b->ahead.number > since)
            batch_hold_for(b, key, turns);
        if (b->ahead.left[key] >= turns && (!b->ahead.used[key] || b->ahead.number > since))
            return true;
    }
    return false;
}

// Tells whether the key of a run is held, used or not. A callback of steps_gather().
static bool has_step(void *arg, const struct key *keys) {
    const struct ahead_holding *h = arg;
    uint32_t key;
    for (struct batch *b = h->ahead->held; b; b = b->ahead.next)
        if (b->group == h->group && batch_find_key(b, keys, &key))
            return true;
    return erring_has(h->group, keys);
}

bool ahead_is_loading(const struct ahead *a, const struct group *g) {
    for (const struct batch *b = a->loading; b; b = b->ahead.next)
        if (b->group == g && b->ahead.epoch == a->epoch)
            return true;
    return false;
}

void coming_drop_used(struct ahead *a) {
    if (a->held_bytes <= a->engine->limits.ahead_session / 4)
        return;
    for (struct batch *b = a->held, *next; b; b = next) {
        next = b->ahead.next;
        if (b->ahead.n_used == b->n_keys)
            ahead_drop_batch(a, b, false);
    }
    ahead_charge(a);
}

size_t ahead_room(struct ahead *a) {
    struct engine *e = a->engine;
    const struct engine_limits *l = &e->limits;
    ahead_trim(a, l->ahead_memory / 2);
    size_t used = a->trail.bytes + a->held_bytes;
    size_t own = l->ahead_session > used ? l->ahead_session - used : 0;
    size_t all = l->ahead_memory > e->aheads.bytes ? l->ahead_memory - e->aheads.bytes : 0;
    size_t least = own < all ? own : all;
    return least < l->max_answer ? least : l->max_answer;
}

uint64_t ahead_age_limit(const struct session *s) {
    return session_snapshot_is_fixed(s) ? 0 : s->engine->limits.ahead_age;
}

// Nothing is left to load for this group. It is noted, since near the end of a loop each lookup would look in
// vain.
static void note_barren(struct ahead *a, const struct group *g, const struct guess *guess) {
    if (!guess->result || guess->association->kind) // which may prove to be no kind
        return;
    a->barren = g->id;
    a->barren_list = guess->result->serial;
    a->barren_since = a->trail.serial;
    a->barren_both_ways = guess->turns;
}

static bool is_barren(const struct ahead *a, const struct group *g, const struct guess *guess) {
    return guess->result && a->barren == g->id && a->barren_list == guess->result->serial &&
           a->barren_since == a->trail.serial && a->barren_both_ways >= guess->turns;
}

// Does the lookup say that a loop goes through the list? The first one does, unless nobody was served by the last
// batch. Where nothing was ever loaded for such loops, a few keys are tried.
static bool is_likely(const struct engine *e, const struct guess *guess) {
    struct association *a = guess->association;
    bool sure = guess->run || guess->seconded || guess->named || a->useful;
    if (!guess->run)
        association_begin(a, sure, guess->linked ? distance_to(&e->distance) : 0);
    return sure || !a->unserved;
}

// Will the batch save as many statements as it takes? A list's last rows may be too few. Where the statement's own answers are
// the list, as on the way down a tree, there are more to come in what is loaded.
static bool is_worth_it(const struct session *s, const struct guess *guess, const struct batch *b) {
    unsigned again = b->ahead.again ? b->ahead.again - 1 : 0;
    bool some = b->n_keys || again, down = guess->own && guess->association->useful && b->n_keys > 1;
    bool has_more = guess->run || b->n_keys == b->max_keys || down;
    return some && (has_more || b->ahead.n_left + again + guess->association->useful >= ahead_statements(s));
}

// ---- mode observe: lists that come row by row

// Is the list made of answers of lookups for which a batch is held, some of them to come? In mode fold all rows of the batch
// would be there.
static bool is_to_come(const struct ahead *a, const struct guess *guess) {
    const struct trail_result *list = guess->result;
    for (const struct batch *b = a->held; list && list->columns.shape && b; b = b->ahead.next)
        if (b->ahead.dry && b->ahead.n_left && shape_digest(b->group->shape) == list->columns.shape)
            return true;
    return false;
}

// The batch that would have had the key, had its list been there. NULL: there is none.
static struct batch *open_batch(struct session *s, struct ahead *a, const struct group *g,
                                const struct guess *guess) {
    const struct trail_columns *list = guess->result ? &guess->result->columns : NULL;
    for (struct batch *b = a->held; list && list->batch && b; b = b->ahead.next)
        if (b->group == g && b->ahead.list_of == list->shape && b->ahead.number > list->batch &&
            b->n_keys < b->max_keys && ahead_is_fresh(a, s, b))
            return b;
    return NULL;
}

bool coming_is_growing(struct session *s, struct ahead *a, const struct group *g) {
    for (struct batch *b = a->held; b; b = b->ahead.next)
        if (b->group == g && b->ahead.list_of && b->n_keys < b->max_keys && ahead_is_fresh(a, s, b))
            return true;
    return false;
}

bool coming_extend(struct session *s, struct ahead *a, struct group *g, const struct guess *guess,
                   const struct key *keys) {
    struct ahead_holding holding = {a, g};
    struct batch *b = open_batch(s, a, g, guess);
    uint32_t n = b ? b->n_keys : 0;
    if (!b || !batch_add_key(b, keys) || b->n_keys == n)
        return false;
    predict_gather(guess, g, keys, b, ahead_is_held, &holding, NULL);
    b->ahead.left[n] = (uint16_t)(1 + b->ahead.again);
    b->ahead.n_left += b->ahead.left[n];
    ahead_count(a->engine, b, AHEAD_LOADED, b->n_keys - n);
    a->engine->counters.ahead_batches--; // it is one already
    return true;
}

// ---- the batch is made, and sent

// So many keys, or a few more where the list ends behind them: for these no batch of their own would be worth it.
static unsigned to_its_end(const struct session *s, const struct guess *guess, unsigned keys, unsigned most) {
    const struct trail_result *list = guess->result;
    unsigned few = ahead_statements(s) < keys / 4 ? ahead_statements(s) : keys / 4;
    unsigned left = !list ? 0 : guess->backwards ? guess->row : list->n_rows - 1 - guess->row;
    return left > keys && left <= keys + few && left <= most ? left : keys;
}

// Do such loops get far enough? On the way down a tree there are more to come in what is loaded.
static bool gets_far(const struct session *s, const struct guess *guess) {
    unsigned steps = guess->run ? guess->run->held : guess->goes_on;
    bool down = guess->own && guess->association->useful;
    return down || reach_is_enough(guess->association, steps, ahead_statements(s));
}

struct batch *coming_gather(struct session *s, struct ahead *a, struct group *g, const struct guess *guess,
                            const struct key *keys) {
    const struct engine *e = s->engine;
    unsigned most = guard_max_keys(&g->shape->guard, e->now, e->limits.ahead_keys);
    unsigned paid = ahead_affordable(s, a, g, guess->association);
    most = most < paid ? most : paid;
    unsigned max = guess->run && guess->run->window < most ? guess->run->window : most;
    if (!is_likely(e, guess))
        return NULL;
    max = association_window(guess->association, e->now, ahead_age_limit(s), max);
    max = to_its_end(s, guess, max, most);
    size_t bytes = ahead_room(a);
    if (!max || bytes < 4096 || guard_is_late(&g->shape->guard, e->now) || ahead_is_loading(a, g) ||
        is_barren(a, g, guess) || !gets_far(s, guess) ||
        !engine_may_look_ahead(e, g->shape->parsed, g->owner ? &g->writers : NULL))
        return NULL;
    struct batch *b = batch_create_ahead(g, max, bytes);
    struct ahead_holding holding = {a, g};
    uint16_t *turns = b && !guess->run ? turns_of_list(a, guess->result) : NULL;
    if (b && guess->run)
        steps_gather(guess->run, g, keys, b, has_step, &holding);
    else if (b)
        predict_gather(guess, g, keys, b, ahead_is_held, &holding, turns);
    free(turns);
    if (b && e->limits.dry && is_to_come(a, guess))
        b->ahead.list_of = guess->result->columns.shape;
    if (!b || b->ahead.list_of || is_worth_it(s, guess, b))
        return b;
    batch_destroy(b);
    note_barren(a, g, guess);
    return NULL;
}

// Mode observe. What a lookup takes beyond the way to the server is mostly what any statement takes. Where it is much, half of it
// is thought to be the key's own.
#define HEAVY 5000 // microseconds
#define CHEAP 2

// The batch counts as sent, and held.
static void hold_dry(struct ahead *a, struct batch *b, struct association *association) {
    struct engine *e = a->engine;
    uint64_t lone = b->group->shape->guard.lone, way = distance_to(&e->distance);
    uint64_t work = lone > way ? lone - way : 0, key = work > HEAVY ? work / 2 : CHEAP;
    association_loaded(association, lone + b->n_keys * key, lone, b->n_keys);
    ahead_hold_dry(a, b);
    e->counters.would_send++;
}

void ahead_load(struct session *s, struct ahead *a, struct batch *b, struct association *association,
                const uint8_t *unit, size_t len) {
    struct engine *e = s->engine;
    struct group *g = b->group;
    if (!association->window)
        association->window = b->max_keys - b->ahead.asked;
    b->pattern = unit;
    b->pattern_len = len;
    b->ahead.home = a;
    b->ahead.association = (unsigned)(association - g->shape->associations);
    b->ahead.number = ++e->aheads.loads;
    b->ahead.own = s == a->session;
    b->ahead.epoch = a->epoch;
    b->ahead.began = s->txn == 'I' ? 0 : s->transaction.began;
    b->ahead.seq = s->database->seq;
    b->patience = association->latency;
    a->refs++;
    g->held++;
    ahead_count(e, b, AHEAD_LOADED, b->n_keys - b->ahead.n_used);
    reporting_sent(s, g->shape);
    ahead_spend(s, a, b, association);
    family_guessed(&e->aheads.families, g->shape->family);
    ahead_use(a);
    if (e->limits.dry) {
        hold_dry(a, b, association);
        return;
    }
    b->ahead.next = a->loading;
    a->loading = b;
    engine_start_batch(e, b);
    if (!session_run_batch(s, b))
        engine_batch_ended(e, b);
}
