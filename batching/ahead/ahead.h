// SPDX-License-Identifier: PostgreSQL
//
// Lookahead answers a loop that asks for one row's relation after the other. It answers from rows that it
// loads in advance, which are called held.
//
//   parent result --recorded--> trail --a lookup's key is found in it--> the keys behind that one
//                                                                             |
//   answers <--asked for, once each-- held rows <--one batch of these keys ---+
//
// The lookup that starts it goes out untouched, and the batch of coming keys behind it on the same connection
// (framed, inside a transaction). Once the loop has proved to be one, the lookup that finds nothing held any
// more is a member of the next batch. A lookup whose key is in a batch that is still under way joins it. An
// answer is given once for each row of the list, and only if all of this holds:
//   - since the batch was sent, the session has only read, and written to tables that are known: anything else
//     drops what is held (ahead_drop), and so do the begin and the end of a transaction that is not READ
//     COMMITTED or has done more;
//   - no write that could change it has passed through this proxy since, none of the session's own either
//     (writes.h);
//   - the loop has not paused for longer than limits.ahead_gap, and the batch was sent at most
//   limits.ahead_age ago.
//     In a transaction whose snapshot stays the same, neither matters, nor do others' writes;
//   - its session has a row left for it in a list that it has read, which came before the answer was loaded
//     (asked.h).
//
// Coming keys are found in two ways. The catalogue says that the column that held the key supplies the
// lookup's key (group->links), or two lookups of the shape have followed the same column. Such a relation is
// an association. It remembers how many keys are worth loading: more while they are asked for, fewer while
// they are not.
//
// Outside transactions, a loop's lookups may come over several connections of a pool. There, what another
// session of the same identity has read and loaded can be used, too.
//
// Bounded: limits.ahead_session for a session, limits.ahead_memory for all. What was not used for ten seconds
// is freed.
#ifndef PGFOLD_BATCHING_AHEAD_AHEAD_H
#define PGFOLD_BATCHING_AHEAD_AHEAD_H

#include "batching/ahead/trail.h"
#include "batching/fold/batch.h"
#include "batching/statement/budget.h"

struct engine;
struct owed;
struct session;
struct statement;

#define AHEAD_ASSOCIATIONS 4 // of one shape
#define AHEAD_SOURCES      1024

// Columns of other statements' results that supply a shape's keys.
struct association {
    uint64_t origin[KEY_MAX_PARTS]; // digest of the column; 0: the part has the same value in all lookups
    bool sure;                      // the catalogue says so (linked), or lookups have shown it
    bool linked;
    uint8_t lead;              // the part by which it is found: the one of most values
    bool useful;               // most of a batch was asked for, and none has been in vain since
    uint32_t window;           // keys to load at a time; 0: not begun
    uint32_t gap;              // microseconds between two lookups, moving average
    uint32_t latency;          // microseconds that a batch takes, moving average
    uint32_t cost;             // nanoseconds for one key, moving average
    uint64_t last_asked;       // microseconds
    unsigned failures;         // successive batches of which hardly any key was asked for
    unsigned unserved;         // batches that were sent since one of them answered a lookup
    uint64_t last_sent;        // microseconds: when a batch was last sent
    uint64_t last_ended;       // microseconds: when a batch was last given up
    uint64_t off_until, pause; // microseconds: nothing is loaded before; the next pause
};

// What a session has read and loaded. It outlives the session while a batch is under way for it.
struct ahead {
    unsigned refs;
    struct engine *engine;
    struct session *session;     // NULL: gone
    struct ahead *newer, *older; // engine's list, by last_used
    struct trail trail;
    struct batch *held;    // batches that have ended, the newest first
    struct batch *loading; // batches under way
    uint64_t epoch;        // counts the events that have dropped the answers
    // Barren: there was nothing left to load for the group with this id,
    uint64_t barren;
    uint64_t barren_since; // while the trail's last result is this one
    bool barren_both_ways; // also not among the rows before
    uint64_t last_answer;  // microseconds: of the loop, over any connection
    uint64_t last_used;    // microseconds
    size_t held_bytes, charged;
    struct account *memory; // its session's, to which it is charged
};

struct ahead_list { // by last_used
    struct ahead *newest, *oldest;
    size_t bytes;
    uint64_t last_answer; // microseconds: of any session that something may be held for
    uint64_t loads;       // batches loaded ahead
    struct budget vets;   // questions about statements that may be loops', and what they brought
    uint8_t
        unfollowed[AHEAD_SOURCES]; // results of lookups since one was followed, by their source; 255: many
};

#endif
