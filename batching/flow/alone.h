// SPDX-License-Identifier: PostgreSQL
//
// A lookup that runs as its client sent it.
#ifndef PGFOLD_BATCHING_FLOW_ALONE_H
#define PGFOLD_BATCHING_FLOW_ALONE_H

#include "batching/session/session.h"

bool engine_has_company(const struct group *g); // several lookups of it wait or are under way
void engine_run_lookup(struct lookup *l);       // as it was sent, now; may free it

void engine_run_all_uncounted(struct group *g);

#endif
