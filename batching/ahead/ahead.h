// SPDX-License-Identifier: PostgreSQL
//
// Lookahead answers a loop that asks for one row's relation after the other. It answers from rows that it
// loads in advance, which are called held.
//
//   parent result --recorded--> trail --a lookup's key is found in it--> the keys behind that one
//                                                                             |
//   answers <--asked for, once each-- held rows <--one batch of these keys ---+
//
// The lookup that starts it goes out unchanged. The batch of coming keys goes out behind it on the same
// connection, inside a transaction framed by savepoints. Later, when the loop has proved to be one, a lookup
// that finds nothing held becomes a member of the next batch. A lookup whose key is in a batch that is still
// under way joins that batch. An answer is given once for each row of the list, and only if all of this holds:
// - Since the batch was sent, the session has only read, and written to tables that are known. Anything else
//   drops what is held (ahead_drop). So do the begin and the end of a transaction that is not READ COMMITTED or
//   has done more.
// - No write that could change the answer has passed through this proxy since, also none of the session's own
//   (writes.h).
// - The loop has not paused for longer than limits.ahead_gap, and the batch was sent at most limits.ahead_age
//   ago. In a transaction with a fixed snapshot neither matters, nor do writes of others.
// - The session has not asked for the same before, unless it has read a list that has a row left for it, and
//   the answer was loaded after that list had come (asked.h).
//
// Coming keys are found in two ways. The catalogue says that the column that held the key supplies the
// lookup's key (group->links), or two lookups of the shape have followed the same column. Such a relation is
// an association. It remembers how many keys are worth loading: more while they are asked for, fewer while
// they are not.
//
// Keys that no list has may go in steps: 7, 8, 9 (steps.h). What is loaded for them follows the same rules, and
// nothing of it is given for what the session has asked before.
//
// Outside transactions, a loop's lookups may come over several connections of a pool. There, what another
// session of the same identity has read and loaded can be used, too.
//
// Bounded: limits.ahead_session for a session, limits.ahead_memory for all. What was not used for ten seconds
// is freed.
#ifndef PGFOLD_BATCHING_AHEAD_AHEAD_H
#define PGFOLD_BATCHING_AHEAD_AHEAD_H

#include "batching/ahead/association.h"
#include "batching/ahead/second.h"
#include "batching/ahead/steps.h"
#include "batching/ahead/trail.h"
#include "batching/fold/batch.h"
#include "batching/statement/budget.h"
#include "batching/statement/family.h"

struct first;
struct engine;
struct owed;
struct session;
struct statement;

#define AHEAD_SOURCES 1024
#define FIRSTS        4

// What a session has read and loaded. It outlives the session while a batch is under way for it.
struct ahead {
    unsigned refs;
    struct engine *engine;
    struct session *session;     // NULL: gone
    struct ahead *newer, *older; // engine's list, by last_used
    struct trail trail;
    struct steps steps;
    struct seconds seconds;
    struct first *firsts[FIRSTS]; // the catalogue is asked about their statements (session/first.h); owned
    struct batch *held;           // batches that have ended, the newest first
    struct batch *loading;        // batches under way
    uint64_t epoch;               // counts the events that have dropped the answers
    uint64_t read;                // serial of the list that the reply at hand has brought; 0: none
    uint64_t barren;              // nothing was left to load for the group with this id
    uint64_t barren_list;         // in the result with this serial
    uint64_t barren_since;        // while the trail's last result is this one
    bool barren_both_ways;        // also not among the rows before
    uint64_t last_answer;         // microseconds: of the loop, over any connection
    uint64_t last_used;           // microseconds
    size_t held_bytes, charged;
    struct account *memory; // its session's, to which it is charged
};

struct ahead_list { // by last_used
    struct ahead *newest, *oldest;
    size_t bytes;
    uint64_t last_answer;     // microseconds: of any session for which something may be held
    uint64_t loads;           // number of batches loaded ahead
    struct budget vets;       // questions about statements that may be those of loops, and what they brought
    struct families families; // guesses in vain, by their statements
    // By source (statement): results of lookups since one of them was followed; 255: many.
    uint8_t unfollowed[AHEAD_SOURCES];
};

#endif
