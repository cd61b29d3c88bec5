// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/place.h"

#include <string.h>

#include "batching/ahead/kind.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"

// ---- the columns of a row

bool place_is_linked(const struct group *g, unsigned part, const struct trail_column *c) {
    for (unsigned i = 0; c->table && i < g->n_links; i++)
        if (g->links[i].key == g->parts[part].key && g->links[i].table == c->table &&
            g->links[i].attribute == c->attribute)
            return true;
    return false;
}

bool place_is_supplied(const struct group *g, unsigned part, const struct trail_result *r, unsigned column) {
    return place_is_linked(g, part, &r->columns.columns[column]) ||
           association_is_learnt(g->shape, part, trail_origin(r, column));
}

// Finds the column that has the part's value in the same row: one that supplies it; else the lead's, since
// equal values mostly mean the same thing; else any. Returns -1 when there is none.
static int find_column(struct guess *w, const struct group *g, unsigned part, const struct value *value) {
    int found = -1;
    bool supplied = false;
    unsigned n = w->result->columns.n, lead = (unsigned)w->columns[w->lead];
    for (unsigned i = 0; i < n && !supplied; i++) {
        unsigned column = (lead + i) % n;
        if (!value_is_in_cell(&g->parts[part], value, w->result, w->row, column, column != lead,
                              &w->spellings[part]))
            continue;
        supplied = place_is_supplied(g, part, w->result, column);
        if (found < 0 || supplied)
            found = (int)column;
    }
    return found;
}

// Finds the columns that have the values of the other parts in the same row.
static void find_columns(struct guess *w, const struct group *g, const struct value *values) {
    w->fits = value_is_in_cell(&g->parts[w->lead], &values[w->lead], w->result, w->row,
                               (unsigned)w->columns[w->lead], false, &w->spellings[w->lead]);
    for (unsigned part = 0; part < g->n_parts; part++) {
        if (part != w->lead)
            w->columns[part] = find_column(w, g, part, &values[part]);
        w->fits += part != w->lead && w->columns[part] >= 0;
    }
}

#define MAX_EQUAL 64 // rows with the lead's value that are looked at

// Rows with the lead's value are looked at from w->row on.
void place_find_row(struct guess *w, const struct group *g, const struct value *values) {
    struct guess at = *w;
    unsigned n = 0;
    do {
        find_columns(&at, g, values);
        if (!n || at.fits > w->fits)
            *w = at;
    } while (w->fits < g->n_parts && ++n < MAX_EQUAL &&
             trail_next_equal(at.result, (unsigned)at.columns[at.lead], &at.row));
}

void place_origins(const struct guess *w, unsigned n_parts, uint64_t *origins) {
    memset(origins, 0, KEY_MAX_PARTS * sizeof *origins);
    for (unsigned i = 0; i < n_parts; i++)
        if (w->columns[i] >= 0)
            origins[i] = trail_origin(w->result, (unsigned)w->columns[i]);
}

uint64_t place_who(const struct guess *w, const struct group *g, const struct value *values) {
    uint64_t who = g->id * KEY_MAX_PARTS + w->lead;
    for (unsigned part = 0; part < g->n_parts; part++)
        if (w->columns[part] < 0)
            who = key_hash(&values[part].sent, who);
    return who;
}

// ---- what it is worth

bool place_is_own(const struct group *g, const struct trail_result *r) {
    return r->columns.shape == shape_digest(g->shape);
}

// The group's own key column.
static bool is_own_column(const struct group *g, unsigned part, const struct trail_column *c) {
    unsigned own = 0; // of each key its own column comes first
    while (own < g->n_links && g->links[own].key != g->parts[part].key)
        own++;
    return own < g->n_links && g->links[own].table == c->table && g->links[own].attribute == c->attribute;
}

bool place_is_named(const struct group *g, const struct key *asked, const struct trail_columns *c,
                    const struct key *row, bool own) {
    struct value_texts texts;
    struct value values[KEY_MAX_PARTS];
    if (g->n_parts != 1 || !values_of_key(g, asked, &texts, values))
        return false;
    for (unsigned i = 0; i < c->n; i++)
        if (place_is_linked(g, 0, &c->columns[i]) && (own || !is_own_column(g, 0, &c->columns[i])) &&
            trail_cell_has(&c->columns[i], &row[i], &values[0].forms))
            return true;
    return false;
}

// Are there no more values than answers, so that each answer has but one?
static bool is_one_each(struct trail_result *r, unsigned column) {
    return trail_distinct(r, column) <= (r->n_answers ? r->n_answers : 1);
}

bool place_is_echo(const struct group *g, unsigned part, struct trail_result *r, unsigned column) {
    bool only_repeats = place_is_own(g, r) ? !g->shape->leads : is_one_each(r, column);
    return only_repeats && is_own_column(g, part, &r->columns.columns[column]);
}

bool place_is_same_key(const struct guess *w, unsigned n_parts, uint32_t row, uint32_t other) {
    for (unsigned part = 0; part < n_parts; part++) {
        if (w->columns[part] < 0)
            continue;
        struct key a = trail_value(w->result, row, (unsigned)w->columns[part]);
        struct key b = trail_value(w->result, other, (unsigned)w->columns[part]);
        if (a.kind == KEY_NULL || b.kind == KEY_NULL || !key_equal(&a, &b))
            return false;
    }
    return true;
}

// The same statement, whichever way it was sent.
static bool is_kin(const struct group *g, const struct trail_result *r) {
    return place_is_own(g, r) || (r->columns.shape && r->columns.family == g->shape->family);
}

// Tells whether a row of answers to the statement may only repeat what it was asked for, by the key's own column or
// one that is joined with it. Without the own column this is told by there being no more values than answers.
static bool repeats(const struct guess *w, const struct group *g, uint32_t row) {
    struct trail_result *r = w->result;
    unsigned column = (unsigned)w->columns[w->lead];
    const struct trail_column *c = r->columns.columns;
    struct key named = trail_value(r, row, column);
    for (unsigned i = 0; i < r->columns.n; i++) {
        if (c[i].kind == TRAIL_NOTHING || !is_own_column(g, w->lead, &c[i]))
            continue;
        struct key own = trail_value(r, row, i);
        return c[i].kind != c[column].kind || key_equal(&own, &named);
    }
    return is_one_each(r, column);
}

bool place_counts_rows(const struct group *g, const struct trail_result *r) {
    return !place_is_own(g, r);
}

bool place_find_turn(struct guess *w, const struct group *g, const struct trail_target *target) {
    uint32_t row = w->row, first = w->row;
    bool found = false;
    unsigned n = 0;
    bool kin = is_kin(g, w->result), counts = target && place_counts_rows(g, w->result);
    if (!counts && !kin && !w->result->given)
        return !w->result->forgets;
    do {
        if ((counts && trail_was_asked(target, row)) || !trail_was_given(w->result, row) ||
            (kin && repeats(w, g, row)) || !place_is_same_key(w, g->n_parts, row, first))
            continue;
        w->row = row;
        found = true;
        if (!counts || !target->any || row > target->last_row)
            break;
    } while (++n < PLACE_TURNS && trail_next_equal(w->result, (unsigned)w->columns[w->lead], &row));
    return found && (counts ? target->whole : !w->result->forgets);
}

#define MAX_PASSED 64 // rows that a loop passes over at once

// Does a loop pass over the row? It is of another kind than those that are asked for, has no key, or one that was asked for: an
// identity map remembers it.
static bool is_passed(const struct guess *w, const struct trail_target *t, int kind, uint32_t row) {
    unsigned column = (unsigned)w->columns[w->lead];
    uint32_t first;
    if (kind_differs(w, kind, row) || trail_value(w->result, row, column).kind == KEY_NULL)
        return true;
    return trail_find_equal(w->trail, w->result, column, row, &first) && trail_was_asked(t, first);
}

// Does the loop go on in the row, beside the last one but for rows that it passes over?
static bool is_beside(const struct guess *w, const struct trail_target *t) {
    if (trail_goes_on(t, w->row))
        return true;
    if (!t->any || w->row <= t->last_row || w->row - t->last_row > MAX_PASSED + 1)
        return false;
    int kind = kind_known(w);
    bool beside = true;
    for (uint32_t row = t->last_row + 1; beside && row < w->row; row++)
        beside = is_passed(w, t, kind, row);
    return beside;
}

#define MAX_ASIDE 8 // lookups that may be found elsewhere before the loop counts as gone on there

unsigned place_steps(const struct guess *w, const struct trail_target *target) {
    bool over = !target || target->n_asked == w->result->n_rows;
    bool left = target && trail_turn(w->trail, w->who, false) - target->last_turn > MAX_ASIDE;
    return !over && !left && is_beside(w, target) ? 1u + target->run : 0;
}

// Was the client given no row with the lead's value? Then it cannot have the key from there.
static bool is_unread(const struct guess *w) {
    unsigned n = 0;
    uint32_t row;
    if (!w->result->given || trail_was_given(w->result, w->row) ||
        !trail_find_equal(w->trail, w->result, (unsigned)w->columns[w->lead], w->row, &row))
        return false;
    do {
        if (trail_was_given(w->result, row))
            return false;
    } while (++n < MAX_EQUAL && trail_next_equal(w->result, (unsigned)w->columns[w->lead], &row));
    return true;
}

struct guess place_weigh(struct trail *t, const struct group *g, const struct value *values, unsigned lead,
                         const struct trail_place *p) {
    struct guess w = {.trail = t, .result = p->result, .lead = lead, .row = p->row, .turns = true};
    uint64_t origins[KEY_MAX_PARTS];
    w.columns[lead] = (int)p->column;
    place_find_row(&w, g, values);
    place_origins(&w, g->n_parts, origins);
    w.association = association_find(g->shape, origins);
    w.who = place_who(&w, g, values);
    w.distinct = g->n_parts > 1 ? trail_distinct(p->result, p->column) : 0;
    const struct trail_target *target = trail_target(p->result, w.who, p->column, false);
    (void)place_find_turn(&w, g, target);
    w.seconded = target && target->any && !place_is_same_key(&w, g->n_parts, target->last_row, w.row);
    w.backwards = w.seconded && target->last_row > w.row;
    w.far = !w.seconded ? w.row : w.backwards ? target->last_row - w.row : w.row - target->last_row;
    w.goes_on = place_steps(&w, target);
    w.over = target && trail_was_asked(target, w.row);
    w.unread = is_unread(&w);
    w.habit = target ? target->longest : 0;
    w.linked = place_is_linked(g, lead, &p->result->columns.columns[p->column]);
    w.known = w.linked || (w.association && w.association->sure);
    w.own = place_is_own(g, p->result);
    w.named = w.linked && t->naming && p->result->serial == t->naming;
    return w;
}

// ---- which is followed

#define SURE_RUN 2u // so many steps from one row to the next are no chance

bool place_goes_on(const struct guess *w) {
    return w->goes_on >= SURE_RUN;
}

uint64_t place_list(const struct guess *w) {
    return (w->result->columns.source ^ w->result->columns.shape) | 1;
}

bool place_is_usual(const struct guess *w) {
    return w->association && w->association->list == place_list(w);
}

// This is a total order. First comes the row that has most of the key, then the list of the row that has just
// named it, then the list that the loop goes through now, then a row that was not asked for yet, then the list
// that loops have gone through before, then the newest list, and of its columns the one in which fewer rows were passed over.
bool place_is_better(const struct guess *a, const struct guess *b) {
    if (!b->result || a->fits != b->fits)
        return !b->result || a->fits > b->fits;
    if (a->named != b->named)
        return a->named;
    if (place_goes_on(a) != place_goes_on(b))
        return place_goes_on(a);
    if (a->known != b->known)
        return a->known;
    if (a->over != b->over)
        return b->over;
    if (a->own != b->own)
        return b->own;
    if ((a->habit >= SURE_RUN) != (b->habit >= SURE_RUN))
        return a->habit > b->habit;
    if (place_is_usual(a) != place_is_usual(b))
        return place_is_usual(a);
    if (a->seconded != b->seconded)
        return a->seconded;
    if (a->linked != b->linked)
        return a->linked;
    if (a->trail == b->trail && a->result != b->result)
        return a->result->serial > b->result->serial;
    if (a->distinct != b->distinct)
        return a->distinct > b->distinct;
    return a->result == b->result && a->far < b->far;
}

void place_note(const struct guess *w, bool by_chance) {
    unsigned column = (unsigned)w->columns[w->lead];
    struct trail_target *target = trail_target(w->result, w->who, column, true);
    if (target)
        trail_note_asked(w->result, target, w->row, trail_turn(w->trail, w->who, false),
                         !by_chance && is_beside(w, target));
}
