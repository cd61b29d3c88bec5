// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/association.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/values.h"
#include "batching/base/memory.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"

struct association *association_find(struct shape *s, const uint64_t *origins) {
    for (unsigned i = 0; s->associations && i < ASSOCIATIONS; i++)
        if (memcmp(s->associations[i].origin, origins, sizeof s->associations[i].origin) == 0)
            return &s->associations[i];
    return NULL;
}

// The new one takes the place of the one that was used longest ago.
struct association *association_add(struct shape *s, const uint64_t *origins) {
    size_t bytes = ASSOCIATIONS * sizeof *s->associations;
    if (!s->associations) {
        s->associations = calloc(1, bytes);
        account_set(s->memory, &s->weighs, s->weighs + (s->associations ? bytes + MEMORY_BLOCK : 0));
    }
    if (!s->associations)
        return NULL;
    struct association *oldest = s->associations;
    for (unsigned i = 1; i < ASSOCIATIONS; i++)
        if (s->associations[i].last_asked < oldest->last_asked)
            oldest = &s->associations[i];
    *oldest = (struct association){0};
    memcpy(oldest->origin, origins, sizeof oldest->origin);
    return oldest;
}

bool association_is_learnt(const struct shape *s, unsigned part, uint64_t origin) {
    for (unsigned i = 0; s->associations && i < ASSOCIATIONS; i++)
        if (s->associations[i].sure && s->associations[i].origin[part] == origin)
            return true;
    return false;
}

bool association_is_in(const struct association *a, const struct trail_result *r, unsigned n_parts,
                       int *columns) {
    bool all = true;
    for (unsigned part = 0; part < n_parts; part++) {
        columns[part] = -1;
        for (unsigned i = 0; a->origin[part] && i < r->columns.n; i++)
            if (trail_origin(r, i) == a->origin[part])
                columns[part] = (int)i;
        all &= !a->origin[part] || columns[part] >= 0;
    }
    return all;
}

unsigned association_lead(const struct association *a, const struct group *g) {
    unsigned lead = a->lead;
    if (lead < g->n_parts && a->origin[lead])
        return lead;
    lead = 0;
    while (lead + 1 < g->n_parts && (!a->origin[lead] || value_is_other(&g->parts[lead])))
        lead++;
    return lead;
}

unsigned association_n_columns(const struct association *a) {
    unsigned n = 0;
    for (unsigned part = 0; part < KEY_MAX_PARTS; part++)
        n += a->origin[part] != 0;
    return n;
}
