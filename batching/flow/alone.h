// SPDX-License-Identifier: PostgreSQL
//
// A lookup leaves its group's queue and runs as its client sent it, on the client's own server connection.
#ifndef PGFOLD_BATCHING_FLOW_ALONE_H
#define PGFOLD_BATCHING_FLOW_ALONE_H

#include "batching/session/session.h"

// Are several lookups of the group waiting or under way? Then folding them would have been possible
// ("company").
bool engine_has_company(const struct group *g);

// Runs a waiting lookup as sent, now or as soon as its connection is free. It counts as under way in its
// group until its answer has come. May free the lookup.
void engine_run_lookup(struct lookup *l);

// Runs all that wait in a group whose batches are late. They do not count as under way, and their times tell
// nothing: no other lookup waits for them.
void engine_run_all_uncounted(struct group *g);

#endif
