// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/source.h"

#include "batching/ahead/values.h"
#include "batching/fold/group.h"

// What the catalogue says of the column. A foreign key of the key's own names the list's rows; else one of the list's names
// the lookup's. 0: nothing; 3: that.
static unsigned rank_of(const struct group *g, unsigned part, const struct trail_column *c) {
    static const unsigned worth[] = {[LINK_OWN] = 1, [LINK_OTHER] = 2, [LINK_REFERENCED] = 3};
    for (unsigned i = 0; c->table && i < g->n_links; i++)
        if (g->links[i].key == g->parts[part].key && g->links[i].table == c->table &&
            g->links[i].attribute == c->attribute)
            return worth[g->links[i].rank];
    return 0;
}

// Looks for the key in one result. Returns false when nothing better than of this rank is in it.
static bool find_in(struct trail *t, const struct group *g, const struct value *values, unsigned lead,
                    struct trail_result *r, unsigned *rank, struct guess *w) {
    bool found = false;
    for (unsigned i = 0; !r->columns.unread && trail_is_whole(t, r) && i < r->columns.n; i++) {
        unsigned worth = rank_of(g, lead, &r->columns.columns[i]);
        struct guess at = {.trail = t, .result = r, .lead = lead, .linked = true};
        bool newer = w->result && worth == *rank && r->serial > w->result->serial;
        if (!worth || (worth <= *rank && !newer) || r->columns.columns[i].kind == TRAIL_NOTHING ||
            !trail_find_row(t, r, i, &values[lead].forms, &at.row) || place_is_echo(g, lead, r, i))
            continue;
        at.columns[lead] = (int)i;
        place_find_row(&at, g, values);
        if (!at.fits)
            continue;
        *w = at;
        *rank = worth;
        found = true;
    }
    return found;
}

bool source_find(struct trail *t, const struct group *g, const struct key *keys, struct guess *w) {
    struct value_texts texts;
    struct value values[KEY_MAX_PARTS];
    unsigned rank = 0;
    bool found = false;
    *w = (struct guess){0};
    if (!t->results || !values_of_key(g, keys, &texts, values))
        return false;
    for (unsigned lead = 0; lead < g->n_parts && !found; lead++)
        for (struct trail_result *r = t->results; r; r = r->next)
            found |= find_in(t, g, values, lead, r, &rank, w);
    return found;
}
