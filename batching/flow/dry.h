// SPDX-License-Identifier: PostgreSQL
//
// Mode observe: what mode fold would have done with a lookup that is forwarded (session/dry.h). It goes the way of
// fold mode as far as nothing is sent. Coming keys are predicted, and a batch of them is held without rows; who asks
// for one of them later would have been answered from it. All others of a group go through its dry queue.
//
// What fold mode would hold back until the catalogue has answered is judged when it is answered: by then the
// catalogue mostly has.
//
// Nothing here sends anything but questions to the catalogue (flow/own_queries.h), and those only between the
// client's statements, outside transactions. Nothing fails.
#ifndef PGFOLD_BATCHING_FLOW_DRY_H
#define PGFOLD_BATCHING_FLOW_DRY_H

#include "batching/session/dry.h"

// The lookup's unit has been sent.
void dry_came(struct session *s, struct dry *d);

// The turn ends: those that came in it go together.
void dry_dispatch(struct engine *e, struct group *g);

// Is it to be judged only now, by what is known now?
bool dry_is_late(const struct session *s, const struct dry *d);

// It is answered now, and is about to be reported: what would have become of it is decided.
void dry_answered(struct session *s, struct dry *d);

// It was answered, and the session goes on. It may have begun a loop, or the catalogue is to be asked about it.
void dry_ended(struct session *s, struct dry *d);

// The session may ask, and nothing of its client's is under way: asks what could not be asked before.
void dry_ask(struct session *s);

#endif
