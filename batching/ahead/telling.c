// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/telling.h"

#include "batching/ahead/kind.h"
#include "batching/fold/group.h"

#define LOOKED_AT 64 // rows before the one at hand
#define LEAST     4  // of them, with the one at hand, tell anything
#define MISTAKES  2  // columns that were forgotten: no other is looked for then

struct passed { // the rows behind which the loop has passed
    const struct trail_target *target;
    uint32_t from, n_asked, n_over;
};

static struct passed look_back(const struct guess *w) {
    struct passed p = {.target = trail_target(w->result, w->who, (unsigned)w->columns[w->lead], false)};
    p.from = w->row > LOOKED_AT ? w->row - LOOKED_AT : 0;
    while (p.target && p.from < w->row && !trail_was_asked(p.target, p.from))
        p.from++; // the loop began behind it
    for (uint32_t row = p.from; p.target && row < w->row; row++)
        *(trail_was_asked(p.target, row) ? &p.n_asked : &p.n_over) += 1;
    return p;
}

// Have the rows that were asked for the value of the one at hand, and those that were passed over others?
static bool tells_apart(const struct guess *w, const struct passed *p, int column) {
    bool tells = trail_value(w->result, w->row, (unsigned)column).kind != KEY_NULL;
    for (uint32_t row = p->from; row < w->row && tells; row++)
        tells = kind_differs(w, column, row) != trail_was_asked(p->target, row);
    return tells;
}

static bool has_asked_for_others(const struct guess *w, const struct passed *p, int column) {
    for (uint32_t row = p->from; row < w->row; row++)
        if (trail_was_asked(p->target, row) && kind_differs(w, column, row))
            return true;
    return false;
}

// A column that may supply keys says which row it is, and not of which kind.
static bool is_of_key(const struct guess *w, const struct group *g, unsigned column) {
    for (unsigned part = 0; part < g->n_parts; part++)
        if (w->columns[part] == (int)column || place_is_linked(g, part, &w->result->columns.columns[column]))
            return true;
    return false;
}

static int find_kind(const struct guess *w, const struct group *g, const struct passed *p) {
    const struct trail_columns *c = &w->result->columns;
    for (unsigned i = 0; i < c->n; i++)
        if (c->columns[i].kind != TRAIL_NOTHING && !is_of_key(w, g, i) && tells_apart(w, p, (int)i))
            return (int)i;
    return -1;
}

int telling_column(const struct guess *w, const struct group *g) {
    struct association *a = w->association;
    struct passed p = look_back(w);
    int known = kind_known(w);
    if (known >= 0 && has_asked_for_others(w, &p, known)) {
        a->kind = 0;
        a->mistaken++;
        return -1;
    }
    if (a->kind || a->mistaken >= MISTAKES || w->backwards || !p.n_asked || !p.n_over ||
        p.n_asked + p.n_over + 1 < LEAST)
        return known;
    known = find_kind(w, g, &p);
    a->kind = known < 0 ? 0 : trail_origin(w->result, (unsigned)known);
    return known;
}
