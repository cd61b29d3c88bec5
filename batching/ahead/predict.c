// SPDX-License-Identifier: PostgreSQL
//
// Each place where a key is found is weighed, and the best is followed.
#include "batching/ahead/predict.h"

#include <string.h>

#include "batching/ahead/ahead.h"
#include "batching/ahead/values.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"

// ---- a lookup that may begin a loop

#define MAX_PLACES 48 // places looked at for one lookup
#define MAX_CHANCE 4  // of them in one result, where nothing speaks for them

struct places {
    struct guess all[MAX_PLACES];
    unsigned n, fits; // the most of any
};

// Dates and the like lead to a row if nothing else does.
static bool may_lead(const struct group *g, unsigned part) {
    bool others = true;
    for (unsigned i = 0; i < g->n_parts; i++)
        others &= value_is_other(&g->parts[i]);
    return others || !value_is_other(&g->parts[part]);
}

static void weigh_part(struct trail *t, const struct group *g, const struct value *values, unsigned lead,
                       struct places *s) {
    struct trail_place p = {0};
    const struct trail_result *last = NULL;
    unsigned n = 0;
    if (!may_lead(g, lead))
        return;
    while (s->n < MAX_PLACES && trail_find(t, &values[lead].forms, &p)) {
        n = p.result == last ? n : 0;
        last = p.result;
        bool chance = !place_is_supplied(g, lead, p.result, p.column);
        if (place_is_echo(g, lead, p.result, p.column) || (chance && n++ >= MAX_CHANCE))
            continue;
        struct guess *w = &s->all[s->n];
        *w = place_weigh(t, g, values, lead, &p);
        s->n += w->fits > 0;
        s->fits = w->fits > s->fits ? w->fits : s->fits;
    }
}

static bool is_same_way(const struct guess *a, const struct guess *b) {
    return a->lead == b->lead && trail_is_same_kind(a->result, b->result) &&
           memcmp(a->columns, b->columns, sizeof a->columns) == 0;
}

// Tells whether a later result of the same statement has the key, too. If the loop goes through this one, it
// does not count.
static bool is_outdated(struct places *s, struct guess *w) {
    bool newer = false;
    for (const struct guess *o = s->all; o < s->all + s->n; o++) {
        if (!is_same_way(o, w) || o->unread)
            continue;
        w->habit = o->habit > w->habit ? o->habit : w->habit;
        newer |= o->result->serial > w->result->serial && (place_goes_on(o) || !place_goes_on(w) || w->over);
    }
    return newer && !w->named;
}

// What was loaded for an earlier list is left behind when the client has read a list that has the key, too, unless the loop goes on there.
static bool is_left(const struct places *s, const struct guess *w) {
    bool newer = false;
    for (const struct guess *o = s->all; w->result->columns.loaded && o < s->all + s->n; o++)
        newer |= !o->result->columns.loaded && o->trail == w->trail &&
                 o->result->serial > w->result->serial && o->fits == w->fits && (o->known || !w->known) &&
                 !o->over;
    return newer && !w->named && !place_goes_on(w);
}

// The lookup counts once for each `who` that it may be one of.
static void count_turns(const struct places *s) {
    for (unsigned i = 0; i < s->n; i++) {
        unsigned same = 0;
        while (same < i && s->all[same].who != s->all[i].who)
            same++;
        if (same == i)
            (void)trail_turn(s->all[i].trail, s->all[i].who, true);
    }
}

#define LONG_RUN                                                                                             \
    5 // so many steps are no chance, even where the catalogue says that another column supplies the key

// Small numbers are in many columns. A few steps through one of which nothing is known do not count beside one that the
// catalogue tells of.
static void forget_chance(struct places *s) {
    bool linked = false;
    for (unsigned i = 0; i < s->n; i++)
        linked |= s->all[i].linked;
    for (struct guess *w = s->all; w < s->all + s->n; w++)
        if (linked && !w->known && w->goes_on < LONG_RUN)
            w->goes_on = 0;
}

// Whichever place is followed, the key is noted at all places that have most of its parts. Where a column that the catalogue tells
// of goes on, steps in others are chance: ids of two tables are often the same numbers, and the next list would not be believed.
static void choose(struct places *s, struct guess *best) {
    forget_chance(s);
    for (struct guess *w = s->all; w < s->all + s->n; w++)
        if (!w->unread && !is_outdated(s, w) && !is_left(s, w) && (w->known || w->seconded) &&
            place_is_better(w, best))
            *best = *w;
    count_turns(s);
    bool sure = best->linked && place_goes_on(best);
    for (const struct guess *w = s->all; w < s->all + s->n; w++)
        if (w->fits == s->fits || w->known)
            place_note(w, sure && !w->linked);
}

// Finds the places where the key stands. Returns false when it can stand nowhere.
static bool find_places(struct trail *t, const struct group *g, const struct key *keys,
                        struct places *places) {
    struct value_texts texts;
    struct value values[KEY_MAX_PARTS];
    places->n = places->fits = 0;
    if (!t->results || !values_of_key(g, keys, &texts, values))
        return false;
    for (unsigned lead = 0; lead < g->n_parts; lead++)
        weigh_part(t, g, values, lead, places);
    return true;
}

unsigned predict_lists(struct trail *t, const struct group *g, const struct key *keys,
                       const struct trail_result *lists[PREDICT_LISTS]) {
    struct places places;
    unsigned n = 0;
    if (!find_places(t, g, keys, &places))
        return 0;
    for (const struct guess *w = places.all; w < places.all + places.n && n < PREDICT_LISTS; w++)
        if (w->linked && !w->own && !w->result->columns.loaded && (!n || lists[n - 1] != w->result))
            lists[n++] = w->result;
    return n;
}

bool predict_locate(struct trail *t, struct group *g, const struct key *keys, struct guess *guess) {
    struct places places;
    if (!find_places(t, g, keys, &places))
        return false;
    bool cut = guess->cut || places.n == MAX_PLACES;
    choose(&places, guess);
    guess->cut = cut;
    return guess->trail == t;
}

// The list that the loop goes through is followed from its first row on the next time.
static void note_list(const struct guess *w) {
    if (place_goes_on(w) && !w->over)
        w->association->list = place_list(w);
}

bool predict_follow(struct group *g, struct guess *guess) {
    uint64_t origins[KEY_MAX_PARTS];
    struct association *a = guess->association;
    if (!a) {
        place_origins(guess, g->n_parts, origins);
        a = association_add(g->shape, origins);
    }
    if (!a)
        return false;
    if (!a->sure && guess->linked)
        a->linked = true;
    a->sure = true;
    a->lead = (uint8_t)guess->lead;
    guess->association = a;
    note_list(guess);
    trail_touch(guess->trail, guess->result);
    return true;
}

// ---- a loop that goes on

// Finds the key by a column of a result that may supply it, or has supplied it.
static bool find_again(struct trail *t, const struct group *g, const struct association *a,
                       const struct value *values, struct guess *w, struct trail_result *r, unsigned column) {
    uint64_t origins[KEY_MAX_PARTS];
    unsigned lead = association_lead(a, g);
    *w = (struct guess){.trail = t, .result = r, .lead = lead};
    if (r->columns.columns[column].kind == TRAIL_NOTHING || place_is_echo(g, lead, r, column))
        return false;
    bool same = trail_origin(r, column) == a->origin[lead];
    bool linked = place_is_linked(g, lead, &r->columns.columns[column]);
    if ((!same && !linked && !trail_is_followed(r, column)) ||
        !trail_find_row(t, r, column, &values[lead].forms, &w->row))
        return false;
    w->columns[lead] = (int)column;
    place_find_row(w, g, values);
    place_origins(w, g->n_parts, origins);
    w->who = place_who(w, g, values);
    w->known = memcmp(origins, a->origin, sizeof origins) == 0;
    w->linked = same || linked;
    return w->fits && (w->linked || trail_target(r, w->who, column, false));
}

// Tells whether the list came before the batch was loaded. A batch of another session must have been sent
// after the list was given.
static bool is_before(const struct trail_result *r, const struct batch *b, bool own) {
    return own ? r->columns.loads < b->ahead.number : r->columns.at <= b->started;
}

static bool has_turn(struct guess *w, const struct group *g, const struct asked_entry *asked, bool own) {
    const struct trail_target *target = trail_target(w->result, w->who, (unsigned)w->columns[w->lead], false);
    bool counts = own && place_counts_rows(g, w->result) && asked_is_counted(asked, g->id);
    return w->result->serial > (counts ? asked->base : asked->lists) && place_find_turn(w, g, target);
}

bool predict_has_read(struct trail *t, const struct group *g, const struct key *keys, const struct batch *b,
                      const struct asked_entry *asked, bool own, bool first, bool named) {
    const struct association *a = &g->shape->associations[b->ahead.association];
    struct value_texts texts;
    struct value values[KEY_MAX_PARTS];
    struct guess w;
    bool has = named;
    if (!values_of_key(g, keys, &texts, values) ||
        (own && (int32_t)((uint32_t)b->ahead.number - asked->loads) <= 0))
        return false;
    for (struct trail_result *r = t->results; r; r = r->next) {
        for (unsigned i = 0; !r->columns.unread && trail_is_whole(t, r) && i < r->columns.n; i++) {
            if (!find_again(t, g, a, values, &w, r, i) || w.fits < association_n_columns(a) ||
                (!w.linked && place_is_own(g, r))) // an answer that has the value by chance is no list
                continue;
            if (!first && !is_before(r, b, own) && w.linked && place_counts_rows(g, r))
                return false; // the client has read it anew since
            has |= is_before(r, b, own) && has_turn(&w, g, asked, own);
        }
    }
    return has;
}

// Tells whether more speaks for a place where the key is found again.
static bool is_likelier(const struct guess *a, const struct guess *b) {
    if (!b->result || place_goes_on(a) != place_goes_on(b))
        return !b->result || place_goes_on(a);
    if (place_is_usual(a) != place_is_usual(b))
        return place_is_usual(a);
    return a->result->serial > b->result->serial;
}

// The key is noted in every result that may predict it again.
bool predict_relocate(struct trail *t, struct group *g, const struct key *keys, unsigned association,
                      struct guess *guess) {
    struct association *a = &g->shape->associations[association];
    struct value_texts texts;
    struct value values[KEY_MAX_PARTS];
    struct guess w;
    *guess = (struct guess){.trail = t, .association = a};
    if (!t->results || !values_of_key(g, keys, &texts, values))
        return false;
    uint64_t counted = 0;
    for (struct trail_result *r = t->results; r; r = r->next) {
        for (unsigned i = 0; trail_is_whole(t, r) && i < r->columns.n; i++) {
            if (!find_again(t, g, a, values, &w, r, i))
                continue;
            (void)trail_turn(t, w.who, w.who != counted);
            counted = w.who;
            const struct trail_target *target = trail_target(r, w.who, i, false);
            (void)place_find_turn(&w, g, target);
            w.backwards = target && target->any && target->last_row > w.row;
            w.over = target && trail_was_asked(target, w.row);
            w.goes_on = w.over ? 0 : place_steps(&w, target);
            w.association = a;
            place_note(&w, a->linked && !w.linked);
            if (w.known && w.fits >= association_n_columns(a) && is_likelier(&w, guess))
                *guess = w;
        }
    }
    if (guess->result)
        note_list(guess);
    return guess->result != NULL;
}
