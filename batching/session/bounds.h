// SPDX-License-Identifier: PostgreSQL
//
// The bounds within which what is loaded ahead may be given, and loaded.
#ifndef PGFOLD_BATCHING_SESSION_BOUNDS_H
#define PGFOLD_BATCHING_SESSION_BOUNDS_H

#include "batching/session/session.h"

// Are lookups of the transaction at hand accepted although they can be shared with none (session_is_apart)?
bool ahead_may_be_apart(const struct session *s);

// Has it read a list that lookups may follow? Without one there is nothing to gain, and each doubt would
// leave groups behind that nobody uses again.
bool ahead_has_list(const struct session *s);

// The batch has ended: may its member be answered with it? One that joined it while it was under way may only
// with what is fresh now.
bool ahead_may_end(struct batch *b, const struct lookup *l);

bool ahead_is_on(struct session *s);
bool ahead_is_current(const struct ahead *a, const struct batch *b);
bool ahead_is_fresh(const struct ahead *a, const struct session *s, struct batch *b);
bool ahead_may_load(const struct session *s);

#endif
