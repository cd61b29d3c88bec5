// SPDX-License-Identifier: PostgreSQL
//
// Decides how many keys an association loads, and when. It learns from what lookups of the loop cost, from
// the time between them, and from what became of its batches.
#ifndef PGFOLD_BATCHING_AHEAD_PACE_H
#define PGFOLD_BATCHING_AHEAD_PACE_H

#include "batching/ahead/association.h"

#define PACE_LATENCY 20000 // microseconds that a batch may be expected to take

// The number of keys worth loading now; 0: none for a while. `age`: microseconds that answers may be held; 0:
// without limit. After four batches in a row that served nobody there is one more now and then.
unsigned association_window(const struct association *a, uint64_t now, uint64_t age, unsigned max);
// The same for all keys of a list of which it is certain that they are asked for: what they cost the server is all that counts.
unsigned association_all(const struct association *a, uint64_t now, unsigned max);
// A lookup has followed a list. If nothing was loaded for such loops so far, few keys are loaded at first; more where a loop is
// `sure`, and where the way to the server takes long: `way` microseconds.
void association_begin(struct association *a, bool sure, uint64_t way);
// Tells whether so few keys are left that more should be loaded.
bool association_is_low(const struct association *a, unsigned left);
// A lookup of the loop has come. `asker`: the session that has sent it; `waited`: microseconds that its client has waited so
// far for lookups of loops. That is no pace of the loop's: it will be gone when they are loaded ahead.
void association_asked(struct association *a, uint64_t now, uint64_t asker, uint64_t waited);
// Tells whether enough of a batch was asked for that larger ones are worth while.
bool association_is_used(const struct association *a, unsigned n_keys, unsigned n_used);
// Most of a batch was asked for. `max`: keys of a batch.
void association_grow(struct association *a, unsigned max);
// A batch has gone out.
void association_sent(struct association *a, uint64_t now);
// A lookup was answered from a batch.
void association_served(struct association *a);
// A batch has been answered. It took `took` microseconds; one lookup takes `lone`.
void association_loaded(struct association *a, uint64_t took, uint64_t lone, unsigned n_keys);
// A batch is given up. `n_served`: how many of its keys were of use. `late`: the loop goes on in it, after a
// pause.
void association_ended(struct association *a, uint64_t now, unsigned n_keys, unsigned n_served, bool late);
// One of a batch's keys has raised an error, so nothing was loaded.
void association_erred(struct association *a, uint64_t now, unsigned n_keys);

#endif
