// SPDX-License-Identifier: PostgreSQL
//
// The first folded answer of a statement is compared with the statement's own. In front of a loop's first batch the
// server has just answered a lookup of the loop as it was sent. So that lookup's key goes along in the batch, and its rows are
// compared with those that passed then: equal rows prove as much as a lookup that runs twice, and cost no statement. Rows
// that differ prove nothing, since others may have written meanwhile; the next lookup runs twice then.
#ifndef PGFOLD_BATCHING_FLOW_KNOWN_H
#define PGFOLD_BATCHING_FLOW_KNOWN_H

#include "batching/session/engine.h"

// Adds the key of the session's lookup before to the batch of its coming keys, which has no lookup's key yet. Returns false when the
// answer to that lookup is not known.
bool known_add(struct session *s, struct group *g, struct batch *b) __attribute__((warn_unused_result));
// The batch is not sent, or is lost: the next lookup is compared instead.
void known_drop(const struct batch *b);
// The batch has ended: compares.
void known_compare(struct engine *e, const struct batch *b);

#endif
