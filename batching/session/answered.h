// SPDX-License-Identifier: PostgreSQL
//
// The one place that each answered statement of a client passes. What is counted or reported of statements
// hangs here: session_answered() counts, and calls the engine's observer.
//
// A statement is a Query message, whatever is in it, or an Execute message. Parse, Bind, Describe, Close,
// Sync and a function call alone are none. An error in a unit of the extended protocol answers the first
// Execute that was not answered before it, even if the error came for the Parse or Bind in front of it. The
// server skips the Execute messages behind it, so they get no answer. An error behind the last Execute makes
// that one fail: what it did is undone.
//
// Each statement is reported once, in the order of the answers, when its answer goes out. That is usually
// when ReadyForQuery goes out. If other Execute messages follow in its unit, or the unit has no Sync yet, it
// is when the last message of its own answer goes out.
//
// Not reported: statements of a client that is gone, those under way when a connection ends, and those of a
// session that is relayed unread (opaque).
#ifndef PGFOLD_BATCHING_SESSION_ANSWERED_H
#define PGFOLD_BATCHING_SESSION_ANSWERED_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/base/outcome.h"
#include "batching/base/reason.h"
#include "batching/statement/parse.h"

struct engine;
struct lookup;
struct session;
struct shape;

struct answered {
    struct shape *shape; // borrowed for the call; NULL: its text is not known
    enum statement_kind kind;
    enum outcome outcome;
    // What would have become of it in mode fold. Mode observe: an estimate (flow/dry.h). Else the same as `outcome`.
    enum outcome would;
    enum reason reason; // FORWARDED: why; ALONE: why it was not folded, if the lookup itself was the cause
    bool failed;        // an error went to the client
    bool with_list;     // AHEAD: of what was sent in its list's own write
    uint64_t question;  // of a read (ahead/asked.h); 0: not known
    uint16_t tags;      // report/tags.h
    uint64_t asked, answered; // engine time: when its unit was first looked at, and now
};

// Is told of each answered statement, besides the counters. It may not call back into the engine.
struct answered_observer {
    void (*answered)(void *ctx, const struct session *s, const struct answered *a); // NULL: there is none
    void *ctx;
};

// A statement of the session's client is answered now.
void session_answered(struct session *s, const struct answered *a);

// The same for a lookup, or for an answer of our own in its place, by what is noted in it.
void lookup_answered(struct session *s, const struct lookup *l);

#endif
