// SPDX-License-Identifier: PostgreSQL
//
// How much time may go into texts that nobody has seen before: all sessions share one event loop, and a
// client that sends a new text each time would take it from the others. What is not granted is forwarded as
// a statement of which nothing is known.
//
// What was spent is forgotten with time, by a factor e in RATION_MEMORY: of each session, and of all
// together. A session may spend as much as is left of what all may. So one alone gets half of it for good,
// and has another half at once when it comes; of n greedy ones each gets a part in n + 1, and so does whoever
// comes next. Nothing is shared out beforehand, and nothing is kept of sessions that spend nothing.
//
// The last part of a session's is for texts that were refused before: those that a client sends again are
// worth it, and come through beside others that it never sends again.
#ifndef PGFOLD_BATCHING_STATEMENT_RATION_H
#define PGFOLD_BATCHING_STATEMENT_RATION_H

#include <stdbool.h>
#include <stdint.h>

#define RATION_MEMORY 2000000 // microseconds
#define RATION_SEEN   16384   // texts that were refused and are remembered

struct ration {
    uint32_t spent; // nanoseconds, as of `tick`
    uint32_t tick;
};

struct rations {
    uint32_t most; // nanoseconds of all sessions together; 0: no limit
    uint64_t now;  // microseconds
    struct ration all;
    struct ration *own; // of the session at hand; NULL: no limit
    uint64_t refused;   // the text refused last,
    uint64_t refused_at;
    uint64_t n_spent; // nanoseconds ever spent or noted
    uint32_t seen[RATION_SEEN];
};

// per_second: microseconds of each second, on average.
void rations_limit(struct rations *r, uint64_t per_second);
// From here on the session's texts are read. own: NULL: nobody's.
void rations_begin(struct rations *r, struct ration *own, uint64_t now);

// Is there anything left for a text with this hash? No: it is remembered, and refused until time goes on, so
// that all who ask about a unit are told the same. What there is need not be enough, or a dear text would
// never come through; the rest is paid later.
bool rations_may(struct rations *r, uint64_t hash);
// The same for what is done anew each time, without a memory.
bool rations_may_work(struct rations *r);
void rations_spend(struct rations *r, uint64_t cost); // nanoseconds
void rations_note(struct rations *r, uint64_t cost);  // at no charge

#endif
