// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/recent.h"

#include <string.h>

// RECENT_FAMILIES, or where it is.
static unsigned place_of(const struct recent *r, uint16_t family) {
    unsigned i = 0;
    while (i < RECENT_FAMILIES && !(r->of[i].family == family && r->of[i].groups[0]))
        i++;
    return i;
}

static unsigned place_in(const struct recent_groups *g, uint32_t group) {
    unsigned i = 0;
    while (i < RECENT_GROUPS && g->groups[i] != group)
        i++;
    return i;
}

bool recent_has(const struct recent *r, uint16_t family, uint64_t group) {
    unsigned i = place_of(r, family);
    return i < RECENT_FAMILIES && place_in(&r->of[i], (uint32_t)group) < RECENT_GROUPS;
}

void recent_note(struct recent *r, uint16_t family, uint64_t group) {
    struct recent_groups *first = &r->of[0], new = {.family = family};
    unsigned i = place_of(r, family);
    if (i < RECENT_FAMILIES)
        new = r->of[i];
    memmove(first + 1, first, (i < RECENT_FAMILIES ? i : RECENT_FAMILIES - 1) * sizeof *first);
    unsigned at = place_in(&new, (uint32_t)group);
    memmove(new.groups + 1, new.groups, (at < RECENT_GROUPS ? at : RECENT_GROUPS - 1) * sizeof *new.groups);
    new.groups[0] = (uint32_t)group;
    *first = new;
}
