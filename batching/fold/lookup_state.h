// SPDX-License-Identifier: PostgreSQL
//
// The one place where a lookup changes its state, and a table of the changes that there are.
#ifndef PGFOLD_BATCHING_FOLD_LOOKUP_STATE_H
#define PGFOLD_BATCHING_FOLD_LOOKUP_STATE_H

#include <assert.h>

#include "batching/fold/batch.h"

#define BIT(state) (1u << (state))

static inline void lookup_set_state(struct lookup *l, enum lookup_state state) {
    static const unsigned allowed[] = {
        [LOOKUP_NEW] = BIT(LOOKUP_WAITING) | BIT(LOOKUP_BATCHED) | BIT(LOOKUP_ALONE) | BIT(LOOKUP_ANSWERED),
        [LOOKUP_WAITING] =
            BIT(LOOKUP_BATCHED) | BIT(LOOKUP_ALONE) | BIT(LOOKUP_CHECKING) | BIT(LOOKUP_ANSWERED),
        [LOOKUP_BATCHED] = BIT(LOOKUP_ALONE) | BIT(LOOKUP_CHECKING) | BIT(LOOKUP_ANSWERED),
        // Of a unit of several it stays what it is when another of them is to run alone, too.
        [LOOKUP_ALONE] = BIT(LOOKUP_ALONE) | BIT(LOOKUP_SENT) | BIT(LOOKUP_ANSWERED),
        // Only of a server that says without reason that the transaction has failed: see pipeline_collapse.
        [LOOKUP_SENT] = BIT(LOOKUP_ANSWERED),
        [LOOKUP_CHECKING] =
            BIT(LOOKUP_WAITING) | BIT(LOOKUP_BATCHED) | BIT(LOOKUP_ALONE) | BIT(LOOKUP_ANSWERED),
        [LOOKUP_ANSWERED] = BIT(LOOKUP_ALONE) | BIT(LOOKUP_ANSWERED),
    };
    assert(allowed[l->state] & BIT(state));
    l->state = state;
}

#undef BIT

#endif
