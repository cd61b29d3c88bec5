// SPDX-License-Identifier: PostgreSQL
//
// The bounds of lookahead: when answers that are held may be given, and when more may be loaded.
// ahead/ahead.h has the whole story. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_BOUNDS_H
#define PGFOLD_BATCHING_SESSION_BOUNDS_H

#include "batching/session/session.h"

// ---- what may be given

// May the session's lookups be answered with what was loaded ahead, as far as settings, snapshot and
// isolation go? Statements outside transactions may not if they are SERIALIZABLE: the server must see each of
// them.
bool ahead_is_on(struct session *s);

// May the batch's answers be given to the session now? They must be current, young enough, and no write may
// have made them stale; the loop must have gone on without a pause. In a fixed snapshot only the first
// matters.
bool ahead_is_fresh(const struct ahead *a, const struct session *s, struct batch *b);

// Was the batch sent in the session's present state, and is all that was known of its statement still so?
bool ahead_is_current(const struct ahead *a, const struct batch *b);

// The batch has ended: may its member be answered with it? One that joined while the batch was under way may
// only get what is fresh now.
bool ahead_may_end(struct batch *b, const struct lookup *l);

// ---- what may be loaded

// May a batch of our own go out on the session's connection now, behind at most one lookup of its client's?
bool ahead_may_load(const struct session *s);
// The same, behind one forwarded unit and nothing else.
bool ahead_may_load_behind(const struct session *s);

// Are lookups of the transaction at hand accepted although they can be shared with none (session_is_apart)?
bool ahead_may_be_apart(const struct session *s);

// Has the session read a list that lookups may follow? Without one there is nothing to gain, and each doubt
// about its identity would leave groups behind that are never used again.
bool ahead_has_list(const struct session *s);

#endif
