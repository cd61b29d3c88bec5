// SPDX-License-Identifier: PostgreSQL
//
// Limits the time that goes into texts that nobody has seen before. All sessions share one event loop, and a
// client that sends a new text each time would take it from the others. A text that gets nothing is forwarded
// as a statement about which nothing is known.
//
// What was spent is forgotten with time, by a factor e in RATION_MEMORY, for each session and for all
// together. A session may spend as much as is left of what all may. So a single session gets half of it for
// good, and the other half at once when it comes. Of n greedy sessions each gets a part in n + 1, and so does
// the next one that comes. Nothing is distributed in advance, and nothing is kept of sessions that spend
// nothing.
//
// The last part of a session's share is for texts that were refused before. A text that a client sends again
// is worth it. It gets its turn beside others that are sent only once.
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
    struct ration *own; // of the session at hand, borrowed; NULL: no limit
    uint64_t refused;   // the text that was refused last,
    uint64_t refused_at;
    uint64_t n_spent; // nanoseconds that were ever spent or noted
    uint32_t seen[RATION_SEEN];
};

// per_second: microseconds of each second, on average.
void rations_limit(struct rations *r, uint64_t per_second);
// From here on, this session's texts are read. own NULL: nobody's, without a limit.
void rations_begin(struct rations *r, struct ration *own, uint64_t now);

// Tells whether anything is left for a text with this hash. If not, the text is remembered, and refused until
// time goes on: all who ask about one unit get the same answer. What is left need not be enough, because a
// dear text would never get its turn then. The rest is paid later.
bool rations_may(struct rations *r, uint64_t hash);
// The same for work that is repeated each time. It is not remembered.
bool rations_may_work(struct rations *r);
void rations_spend(struct rations *r, uint64_t cost); // nanoseconds
void rations_note(struct rations *r, uint64_t cost);  // the same, without charge

#endif
