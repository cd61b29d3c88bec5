// SPDX-License-Identifier: PostgreSQL
//
// The groups of a session's last lookups, a few of each statement. A loop asks for one key after the other with
// the same constants beside them. If these come from the list's row, too, and cannot be part of the key, then
// each lookup is of another group, and what is loaded for it serves nobody.
#ifndef PGFOLD_BATCHING_AHEAD_RECENT_H
#define PGFOLD_BATCHING_AHEAD_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#define RECENT_FAMILIES 8
#define RECENT_GROUPS   4

struct recent { // all zero: empty
    struct recent_groups {
        uint32_t groups[RECENT_GROUPS]; // their ids, the last one in front; 0: none
        uint16_t family;                // of their statement (statement/family.h)
    } of[RECENT_FAMILIES];              // the last one in front
};

bool recent_has(const struct recent *r, uint16_t family, uint64_t group);
void recent_note(struct recent *r, uint16_t family, uint64_t group);

#endif
