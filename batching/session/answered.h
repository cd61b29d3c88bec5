// SPDX-License-Identifier: PostgreSQL
//
// The one place through which every statement passes that a client was given an answer to. What is counted or
// told of statements hangs here.
//
// A statement is a Query message, whatever is in it, or an Execute message. Parse, Bind, Describe, Close, Sync
// and a function call alone are none. An error in a unit of the extended protocol answers the first Execute
// that was not answered before it, also when it came for the Parse or Bind in front of it; the server skips
// those behind it, and they get no answer. An error behind the last Execute makes that one fail: what it did
// is undone.
//
// Each is told of once, in the order of the answers, when its answer goes out. That is when ReadyForQuery
// does; of an Execute that others follow in its unit, or whose unit has no Sync yet, when its last message
// does. Who is gone gets no answer; a connection that ends does not answer what was under way; and of a
// session that is relayed unread (opaque) nothing is known.
#ifndef PGFOLD_BATCHING_SESSION_ANSWERED_H
#define PGFOLD_BATCHING_SESSION_ANSWERED_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/base/reason.h"
#include "batching/statement/parse.h"

struct engine;
struct lookup;
struct session;
struct shape;

enum outcome {
    OUTCOME_NONE,      // no statement, or one that the server has skipped
    OUTCOME_FORWARDED, // no lookup, or none that could be accepted
    OUTCOME_ALONE,     // a lookup that ran as it was sent
    OUTCOME_FOLDED,    // a lookup, from a batch
    OUTCOME_AHEAD,     // a lookup, from rows that were loaded ahead
    OUTCOME_HERE,      // without the server: DEALLOCATE of what it never had, a cancelled lookup's error
    OUTCOME_COUNT
};

struct answered {
    const struct shape *shape; // for the time of the call; NULL: its text is not known
    enum statement_kind kind;
    enum outcome outcome;
    enum reason reason;       // FORWARDED: why; ALONE: why it was not folded, where that is its own affair
    bool failed;              // an error went to the client
    uint64_t asked, answered; // engine time: when its unit was first looked at, and now
};

// Who wants to know, beside the counters. It may not call back into the engine.
struct answered_observer {
    void (*answered)(void *ctx, const struct session *s, const struct answered *a); // NULL: nobody
    void *ctx;
};

void session_answered(struct session *s, const struct answered *a);
// The same for a lookup, or an answer of our own in its place, by what is noted in it.
void lookup_answered(struct session *s, const struct lookup *l);

#endif
