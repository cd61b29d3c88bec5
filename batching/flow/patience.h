// SPDX-License-Identifier: PostgreSQL
//
// Who waits too long for what is not his own is let go. session/late.h says what is noted for it.
#ifndef PGFOLD_BATCHING_FLOW_PATIENCE_H
#define PGFOLD_BATCHING_FLOW_PATIENCE_H

#include "batching/session/engine.h"
#include "batching/session/session.h"

void late_uncount(struct engine *e, struct group *g);
void late_expire(struct engine *e);
uint64_t late_deadline(const struct engine *e); // UINT64_MAX: none

#endif
