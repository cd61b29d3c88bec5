// SPDX-License-Identifier: PostgreSQL
#include "batching/report/evidence.h"

#include <string.h>
#include <strings.h>

#include "batching/ahead/trail.h"
#include "batching/fold/group.h"
#include "batching/report/naming.h"
#include "batching/report/wording.h"
#include "batching/statement/shape.h"
#include "batching/trust/vet.h"
#include "protocol/buf.h"

bool evidence_is_due(const struct guess *w, const struct group *g) {
    if (!w->result || w->goes_on < EVIDENCE_STEPS || w->columns[w->lead] < 0)
        return false;
    for (unsigned i = 0; i < g->n_links; i++)
        if (g->links[i].key == g->parts[w->lead].key && g->links[i].rank == LINK_REFERENCED)
            return false;
    return true;
}

// ---- names

// Does the table have the name that the column's says, "author" of author_id?
static bool names_table(const char *column, const char *table) {
    char relation[WORDING_LONGEST], one[WORDING_LONGEST];
    if (!column || !table || !wording_relation(column, relation))
        return false;
    wording_singular(table, one);
    return strcasecmp(relation, one) == 0;
}

bool evidence_in_names(const struct guess *w, const struct group *g, const struct shape *list,
                       const struct naming *names, uint64_t database) {
    const char *label = naming_label(names, database, &w->result->columns, (unsigned)w->columns[w->lead]);
    const struct parsed *p = g->shape->parsed;
    const struct parsed_key *key = &p->keys[g->parts[w->lead].key];
    const char *table = key->relation >= 0 ? p->relations[key->relation].name : NULL;
    char relation[WORDING_LONGEST];
    if (!label || !key->column)
        return false;
    if (names_table(label, table))
        return true; // to-one: the list has author_id, the lookups are of author
    if (strcasecmp(label, key->column) == 0 && wording_relation(label, relation))
        return true; // both are author_id
    for (int i = 0; list && i < list->parsed->n_relations; i++)
        if (names_table(key->column, list->parsed->relations[i].name))
            return true;
    return false;
}

// ---- values

static bool number_at(const struct guess *w, uint32_t row, int64_t *n) {
    struct key k = trail_value(w->result, row, (unsigned)w->columns[w->lead]);
    *n = k.kind == KEY_PLAIN ? (int64_t)get_u64(k.of.bytes) : 0;
    return k.kind == KEY_PLAIN;
}

// Do the numbers of the last rows go in steps? Then they are in other lists, too. Other values are not.
static bool goes_in_steps(const struct guess *w) {
    int64_t here, before, by = 0;
    if (w->result->columns.columns[w->columns[w->lead]].kind != TRAIL_INTEGER)
        return false;
    for (uint32_t i = 0; i < EVIDENCE_STEPS; i++) {
        uint32_t row = w->backwards ? w->row + i : w->row - i, next = w->backwards ? row + 1 : row - 1;
        if (next >= w->result->n_rows || !number_at(w, row, &here) || !number_at(w, next, &before))
            return true;
        if (i && here - before != by)
            return false;
        by = here - before;
    }
    return true;
}

bool evidence_in_values(const struct guess *w) {
    return 2 * (w->goes_on + 1) >= w->result->n_rows && !goes_in_steps(w);
}
