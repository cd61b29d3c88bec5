// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/load.h"

#include "batching/ahead/ahead.h"
#include "batching/ahead/asked.h"
#include "batching/ahead/followers.h"
#include "batching/ahead/pace.h"
#include "batching/ahead/place.h"
#include "batching/ahead/predict.h"
#include "batching/ahead/steps.h"
#include "batching/ahead/values.h"
#include "batching/flow/alone.h"
#include "batching/flow/check.h"
#include "batching/flow/coming.h"
#include "batching/flow/find.h"
#include "batching/flow/known.h"
#include "batching/flow/loop_vet.h"
#include "batching/flow/named.h"
#include "batching/flow/own_queries.h"
#include "batching/fold/batch.h"
#include "batching/fold/erring.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/behind.h"
#include "batching/session/bounds.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/first.h"
#include "batching/session/held.h"
#include "batching/session/lookup.h"
#include "batching/session/pump.h"
#include "batching/session/reporting.h"
#include "batching/session/session.h"
#include "batching/statement/budget.h"
#include "batching/statement/guard.h"
#include "batching/statement/key.h"
#include "batching/statement/shape.h"
#include "batching/trust/identity.h"

// ---- a lookup that may begin a loop

static void note_asked(const struct session *s, struct association *a) {
    association_asked(a, s->engine->now, s->id, s->waited);
}

static void note_followed(struct engine *e, const struct guess *guess) {
    e->aheads.unfollowed[guess->result->columns.source % AHEAD_SOURCES] = 0;
}

// Finds the key in the trails that may serve the session, and notes in each that it was asked for. `company`:
// other sessions ask for their keys right now, so folding serves them; then only a session that goes through
// a list of its own is a loop. NULL: in none.
static struct ahead *locate(struct session *s, struct group *g, const struct key *keys, uint64_t question,
                            bool company, struct guess *guess) {
    unsigned i = 0;
    struct ahead *found = NULL;
    *guess = (struct guess){0};
    if (s->ahead)
        trail_note_naming(&s->ahead->trail, ahead_naming_list(s, g, keys));
    for (struct ahead *a = ahead_next(s, g, NULL, &i); a; a = ahead_next(s, g, a, &i))
        if (a->trail.results && predict_locate(&a->trail, g, keys, guess))
            found = a;
    if (s->ahead)
        trail_note_naming(&s->ahead->trail, 0);
    if (s->ahead && !guess->cut)
        asked_mark(&s->asked, question, g->id);
    if (found)
        reporting_found(s, g, keys, question, guess);
    bool burst = company && (found != s->ahead || !guess->seconded);
    if (!found || burst || !predict_follow(g, guess))
        return NULL;
    note_asked(s, guess->association);
    note_followed(s->engine, guess);
    if (guess->own && guess->result->columns.loaded)
        association_served(guess->association); // its rows have served as a list
    return found;
}

// The lookup before, which came when nothing was known of the statement, has followed its list, too.
static void follow_first(struct session *s, struct group *g) {
    struct slice raw[KEY_MAX_PARTS];
    struct key keys[KEY_MAX_PARTS];
    struct guess guess = {0};
    struct ahead *a = s->ahead;
    bool found = a && second_take(&a->seconds, g, raw) && group_read_key(g, raw, keys) &&
                 predict_locate(&a->trail, g, keys, &guess) && predict_follow(g, &guess);
    if (!found)
        return;
    note_asked(s, guess.association);
    note_followed(s->engine, &guess);
}

// Finds what the lookup is part of: a loop through a list, or numbers in steps that no list has.
static struct ahead *find_loop(struct session *s, struct group *g, const struct key *keys, uint64_t question,
                               bool company, struct guess *guess) {
    follow_first(s, g);
    struct ahead *found = locate(s, g, keys, question, company, guess);
    if (found || guess->result || company || !s->ahead)
        return found;
    struct step *run = steps_run(&s->ahead->steps, g);
    struct association *association = run ? steps_association(g, run) : NULL;
    if (!association)
        return NULL;
    *guess = (struct guess){.run = run, .association = association};
    note_asked(s, association);
    return s->ahead;
}

// At the second row of its list a loop is one, and is noted as one that follows the list: the last that its statement has
// given, although one before may have rows left.
static void note_follower(struct session *s, const struct ahead *a, const struct group *g,
                          const struct guess *guess, const uint8_t *unit, size_t len) {
    struct trail_result *r = a == s->ahead ? guess->result : NULL;
    if (!r || guess->columns[guess->lead] < 0)
        return;
    for (struct trail_result *o = a->trail.results; o; o = o->next)
        r = trail_is_same_kind(o, r) && o->serial > r->serial ? o : r;
    const struct trail_target *target =
        trail_target(r, guess->who, (unsigned)guess->columns[guess->lead], false);
    struct guess newest = *guess;
    newest.result = r;
    if (target && target->n_asked == 2)
        followers_came(&s->engine->followers, g, &newest, unit, len);
}

// Nothing may be asked behind a lookup whose statement must be given first. So the next Parse of it goes to the server.
static bool may_ask_behind(struct session *s, const struct lookup *l) {
    bool lacks = session_gives_first(s, l);
    l->shape->untold |= lacks;
    return !lacks && loop_may_pay(s, l->shape);
}

// Adds the key of the lookup at hand, for its other rows. False: out of memory.
static bool add_again(struct batch *b, const struct key *keys, uint32_t *key) {
    uint32_t n = b->n_keys;
    b->max_keys++; // one more than planned; there is room for it
    if (!batch_add_key(b, keys) || b->n_keys == n)
        return false;
    b->ahead.used[n] = true;
    b->ahead.n_used++;
    b->ahead.left[n] = (uint16_t)b->ahead.again;
    b->ahead.n_left += b->ahead.again;
    *key = n;
    return true;
}

// The same, and the batch answers the lookup at hand, too.
static bool add_asked(struct batch *b, const struct key *keys, uint32_t *key) {
    b->ahead.asked = add_again(b, keys, key);
    return b->ahead.asked;
}

// Sends the lookup as it is, in front of the batch. False: the batch is not needed, since the lookup was not
// sent, or is gone.
static bool run_in_front(struct session *s, struct ahead *a, struct lookup *l, struct batch *b,
                         bool checked) {
    uint32_t key;
    if (checked)
        check_start(s->engine, l);
    else
        engine_run_lookup(l); // it stays until its answer has come
    if (s->gives || s->order.first != l || l->state != (checked ? LOOKUP_CHECKING : LOOKUP_SENT))
        return false;
    l->loop = a;
    a->refs++;
    if (checked)
        (void)add_asked(b, l->keys, &key); // its answer is compared with the batch's
    else if (b->ahead.again)
        (void)add_again(b, l->keys, &key);
    return true;
}

// Makes the lookup a member of the batch. In a loop that has proved to be one, a statement of its own each
// time would not be worth its cost: the client waits for the batch's other answers anyway.
static bool take_along(struct lookup *l, struct batch *b) {
    uint32_t key;
    if (b->n_keys >= l->session->engine->limits.ahead_keys || !add_asked(b, l->keys, &key) ||
        !batch_join(b, l, key))
        return false;
    lookup_detach_waiting(l);
    return true;
}

// Is it worth a batch before a batch has been of use? Where the catalogue says that the list has such keys, unless such lists
// were loaded in vain; and while one lookup is answered soon, or the others would keep its client waiting.
static bool goes_along(const struct guess *guess, const struct group *g, bool list) {
    const struct association *a = guess->association;
    uint32_t lone = g->shape->guard.lone;
    return a->useful ||
           (guess->linked && !list && !a->unserved && !a->failures && lone && lone <= PACE_LATENCY);
}

// ---- a loop that is not known yet

// Asks the catalogue about the statement of a lookup that was sent.
static void ask_behind(struct session *s, struct lookup *l) {
    session_start_vet(s, l->group);
    if (l->loops && l->group->state == GROUP_VETTING)
        first_note(s, l);
}

// Nothing is known of the lookup's statement. The catalogue is asked behind it, if it may be one of a loop. False: it is not, and
// the lookup was not sent.
static bool begin_loop(struct session *s, struct lookup *l) {
    struct group *g = l->group;
    l->loops = loop_is_in_trail(s, g, l->raw, true);
    if (!loop_is_worth_asking(s, g, l->raw) || !may_ask_behind(s, l))
        return false;
    engine_run_lookup(l);
    ask_behind(s, l);
    return true;
}

void ahead_begin_behind(struct session *s, struct lookup *l) {
    if (l->group->state != GROUP_NEW || !ahead_may_load(s))
        return;
    l->loops = loop_is_in_trail(s, l->group, l->raw, true);
    if (loop_is_worth_asking(s, l->group, l->raw) && loop_may_pay(s, l->shape))
        ask_behind(s, l);
}

// Follows the loop that a lookup has begun. It was sent when its statement was not known yet.
static void follow_from(struct session *s, struct group *g, const struct first *l) {
    struct ahead *a = s->ahead;
    struct slice raw[KEY_MAX_PARTS];
    struct key keys[KEY_MAX_PARTS];
    struct guess guess = {0};
    if (!second_take(&a->seconds, g, raw) || !group_read_key(g, l->raw, keys) ||
        !predict_locate(&a->trail, g, keys, &guess) || !predict_follow(g, &guess))
        return;
    note_asked(s, guess.association);
    note_followed(s->engine, &guess);
    struct batch *b = coming_gather(s, a, g, &guess, keys);
    if (b)
        ahead_load(s, a, b, guess.association, l->bytes, l->len);
}

// Has the client gone down from the answer, and waits for another one?
static bool is_below(const struct session *s, const struct group *g) {
    return s->order.first && s->order.first->state == LOOKUP_SENT && s->order.first->group != g;
}

void ahead_vetted(struct session *s, struct group *g) {
    struct first *l = s->ahead ? first_take(s->ahead, g) : NULL;
    if (l && g->state == GROUP_READY && g->generation == s->engine->generation && is_below(s, g) &&
        ahead_is_on(s) && ahead_may_load(s) && s->identity.state == IDENTITY_PROVEN &&
        coming_may_guess(s->engine, g, false))
        follow_from(s, g, l);
    first_free(l);
}

// Has the client paused so long that nothing that was loaded for it would have been given?
static bool has_paused(const struct session *s) {
    return s->engine->now - s->last_answer > s->engine->limits.ahead_gap;
}

// The lookup's rows are a list themselves. Is it no chance that another list has its key? Numbers of pages are often ids, too, and
// go in steps; but who asks for one page after the other makes pauses.
static bool is_sure(const struct session *s, const struct guess *guess) {
    const struct association *a = guess->association;
    bool in_vain = a && (a->unserved || a->failures);
    return guess->result &&
           ((a && a->useful) || (guess->linked && !in_vain) || (place_goes_on(guess) && !has_paused(s)));
}

bool ahead_follow(struct session *s, struct lookup *l, bool apart, bool list) {
    struct group *g = l->group;
    struct guess guess;
    if (!s->engine->aheads.newest || !ahead_is_on(s) || s->order.first != l || l->next || l->pipeline ||
        !ahead_may_load(s) || (s->identity.state != IDENTITY_PROVEN && !apart))
        return false;
    budget_earn(&s->engine->aheads.vets, BUDGET_SHARE);
    if (!coming_may_guess(s->engine, g, l->settled))
        return false;
    if (g->state == GROUP_NEW)
        return !list && begin_loop(s, l);
    if (g->state != GROUP_READY || !group_read_key(g, l->raw, l->keys))
        return false;
    l->has_key = true;
    struct ahead *a = find_loop(s, g, l->keys, l->question, !apart && engine_has_company(g), &guess);
    l->loops = a != NULL; // also where it is sent by itself: how long it takes is no pace of the loop's
    if (!a || (list && !is_sure(s, &guess)))
        return false;
    note_follower(s, a, g, &guess, l->bytes, l->len);
    ahead_earn(a, g->shape, BUDGET_SHARE);
    coming_drop_used(a);
    struct batch *b = coming_gather(s, a, g, &guess, l->keys);
    if (!b)
        return true;
    bool checked = check_draw(s->engine, l) && !known_add(s, g, b);
    bool along = goes_along(&guess, g, list) && !checked && !erring_has(g, l->keys) && take_along(l, b);
    if (!along && !run_in_front(s, a, l, b, checked)) {
        known_drop(b);
        batch_destroy(b);
        return true;
    }
    if (along && a == s->ahead)
        climb_step(&s->climb, l->question, false, s->engine->aheads.loads + 1, b->n_keys - 1);
    ahead_load(s, a, b, guess.association, l->bytes, l->len);
    return true;
}

bool ahead_follow_dry(struct session *s, struct dry *d) {
    struct behind *l = d->lookup;
    struct group *g = l->group;
    struct key keys[KEY_MAX_PARTS];
    struct guess guess;
    uint32_t key;
    if (!s->engine->aheads.newest || !ahead_is_on(s) || s->n_dry != 1 || !ahead_may_load(s) ||
        (s->identity.state != IDENTITY_PROVEN && !d->apart))
        return false;
    budget_earn(&s->engine->aheads.vets, BUDGET_SHARE);
    if (!coming_may_guess(s->engine, g, l->settled))
        return false;
    if (g->state == GROUP_NEW && loop_is_worth_asking(s, g, l->raw) && loop_may_pay(s, g->shape)) {
        session_ask_vet(s, g);
        if (s->txn != 'I')
            group_assume(g, l->raw, s->engine->now, s->engine->generation);
        return false;
    }
    if (g->state != GROUP_READY || !group_read_key(g, l->raw, keys))
        return false;
    struct ahead *a = find_loop(s, g, keys, l->question, !d->apart && engine_has_company(g), &guess);
    if (!a)
        return false;
    ahead_earn(a, g->shape, BUDGET_SHARE);
    coming_drop_used(a);
    if (!(l->again && guess.over) && coming_extend(s, a, g, &guess, keys)) {
        d->extended = true;
        return false;
    }
    struct batch *b = coming_gather(s, a, g, &guess, keys);
    if (!b)
        return false;
    bool checked = s->txn == 'I' && !g->owner && check_draws(s->engine, g->shape);
    bool along = guess.association->useful && !checked && add_asked(b, keys, &key);
    b->ahead.told = along; // it would have been a statement in any case
    if (!along && b->ahead.again)
        (void)add_again(b, keys, &key);
    if (along && a == s->ahead)
        climb_step(&s->climb, l->question, false, s->engine->aheads.loads + 1, b->n_keys - 1);
    d->would = along ? OUTCOME_FOLDED : OUTCOME_ALONE;
    ahead_load(s, a, b, guess.association, l->bytes, l->len);
    d->list = along ? s->engine->aheads.loads : 0;
    return true;
}

void ahead_follow_behind(struct session *s, const struct behind *l) {
    struct group *g = l->group;
    struct key keys[KEY_MAX_PARTS];
    struct guess guess;
    ahead_step(s, g, l->raw, l->again);
    if (!s->engine->aheads.newest || !ahead_is_on(s) || !ahead_may_load(s) ||
        s->identity.state != IDENTITY_PROVEN)
        return;
    budget_earn(&s->engine->aheads.vets, BUDGET_SHARE);
    if (!coming_may_guess(s->engine, g, l->settled))
        return;
    if (g->state == GROUP_NEW && loop_is_worth_asking(s, g, l->raw) && loop_may_pay(s, g->shape)) {
        session_start_vet(s, g);
        return;
    }
    if (g->state != GROUP_READY || !group_read_key(g, l->raw, keys))
        return;
    struct ahead *a = find_loop(s, g, keys, l->question, engine_has_company(g), &guess);
    if (!a)
        return;
    note_follower(s, a, g, &guess, l->bytes, l->len);
    ahead_earn(a, g->shape, BUDGET_SHARE);
    coming_drop_used(a);
    struct batch *b = coming_gather(s, a, g, &guess, keys);
    if (b)
        ahead_load(s, a, b, guess.association, l->bytes, l->len);
}

// ---- a loop that goes on

static unsigned left_of(const struct ahead *a, const struct group *g) {
    unsigned n = 0;
    for (const struct batch *b = a->held; b; b = b->ahead.next)
        n += b->group == g ? b->n_keys - b->ahead.n_used : 0;
    return n;
}

static void refill_steps(struct session *s, const struct ahead_hit *hit, struct association *association,
                         const uint8_t *unit, size_t len) {
    struct ahead *a = hit->ahead;
    struct group *g = hit->batch->group;
    struct step *run = a == s->ahead ? steps_run(&a->steps, g) : NULL;
    unsigned left = left_of(a, g);
    note_asked(s, association);
    if (!run || left > run->window / 2 || !association_is_low(association, left) || ahead_is_loading(a, g) ||
        !ahead_may_load(s))
        return;
    steps_grow(run);
    struct guess guess = {.run = run, .association = association};
    struct batch *b = coming_gather(s, a, g, &guess, hit->keys);
    if (b)
        ahead_load(s, a, b, association, unit, len);
}

static void refill(struct session *s, const struct ahead_hit *hit, uint64_t question, const uint8_t *unit,
                   size_t len) {
    struct guess guess;
    struct ahead *a = hit->ahead;
    struct group *g = hit->batch->group;
    struct association *association = ahead_association(hit->batch);
    if (!association || hit->batch->ahead.burst)
        return;
    if (steps_supply(association)) {
        refill_steps(s, hit, association, unit, len);
        return;
    }
    bool found = predict_relocate(&a->trail, g, hit->keys, hit->batch->ahead.association, &guess);
    if (a == s->ahead)
        asked_mark(&s->asked, question, g->id);
    note_asked(s, association);
    if (found) {
        guess.seconded =
            true; // that which is answered now goes on from the one for which the batch was loaded
        trail_touch(&a->trail, guess.result);
        note_followed(s->engine, &guess);
        reporting_found(s, g, hit->keys, question, &guess);
        note_follower(s, a, g, &guess, unit, len);
    }
    bool low = found && association_is_low(association, left_of(a, g)) && ahead_may_load(s) &&
               !coming_is_growing(s, a, g);
    struct batch *b = low ? coming_gather(s, a, g, &guess, hit->keys) : NULL;
    if (b)
        ahead_load(s, a, b, association, unit, len);
}

void ahead_refill(struct session *s, const struct ahead_hit *hit, uint64_t question, const uint8_t *unit,
                  size_t len) {
    struct batch *b = hit->batch;
    refill(s, hit, question, unit, len);
    bool grows = b->ahead.list_of && b->n_keys < b->max_keys; // mode observe
    if (!b->ahead.n_left && b->ahead.ended && !grows)
        ahead_drop_batch(hit->ahead, b, false); // nothing is left in it
    coming_drop_used(hit->ahead);
    ahead_charge(hit->ahead);
}
