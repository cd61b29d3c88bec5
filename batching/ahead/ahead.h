// SPDX-License-Identifier: PostgreSQL
//
// Lookahead: a loop that asks for one row's relation after the other is answered from rows loaded ahead.
//
//   parent result --recorded--> trail --a lookup's key is found there--> the keys behind it --one batch-->
//   held answers
//
// The lookup that starts it goes out untouched, and the batch of coming keys behind it on the same connection
// (framed, inside a transaction). Once the loop has proved to be one, the lookup that finds nothing held any
// more is a member of the next batch. A lookup whose key is in a batch that is still under way joins it. An
// answer is given once, and only if all of this holds:
//   - the session has sent nothing but plain reads since the batch was sent: anything else, any transaction
//     boundary among it, drops what is held (ahead_drop);
//   - no write that could change it has passed through this proxy since (writes.h);
//   - the loop has not paused for longer than limits.ahead_gap, and the batch was sent at most
//   limits.ahead_age ago.
//     In a transaction whose snapshot stays the same, neither matters, nor do others' writes;
//   - its session has not asked for it since it has read a list with its key (asked.h).
//
// Two ways lead from a lookup to its coming keys: the catalogue says that the column that held the key is one
// that supplies it (group->links), or two lookups of the shape have followed the same column. Each such
// association keeps how many keys are worth loading: more while they are asked for, fewer while they are not.
//
// Outside transactions, where a loop's lookups come over several connections of a pool, what another session
// of the same identity has read and loaded serves as well.
//
// Bounded: limits.ahead_session for a session, limits.ahead_memory for all; what has not been used for ten
// seconds is given back.
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
    uint64_t origin[KEY_MAX_PARTS]; // digest of the column; 0: the part has the same value for all
    bool sure;                      // the catalogue says so (linked), or lookups have
    bool linked;
    bool useful;               // most of a batch was asked for, and none has been in vain since
    uint32_t window;           // keys to load at a time; 0: not begun
    uint32_t gap;              // microseconds between two lookups, moving average
    uint32_t latency;          // microseconds that a batch takes, moving average
    uint32_t cost;             // nanoseconds for one key, moving average
    uint64_t last_asked;       // microseconds
    unsigned failures;         // batches in a row of which hardly any key was asked for
    unsigned unserved;         // batches sent since one of them has answered a lookup
    uint64_t last_sent;        // microseconds: of the last batch
    uint64_t last_ended;       // microseconds: of the last of them
    uint64_t off_until, pause; // nothing is loaded before; the next pause
};

// What a session has read and loaded. Outlives the session as long as a batch is under way for it.
struct ahead {
    unsigned refs;
    struct engine *engine;
    struct session *session;     // NULL: gone
    struct ahead *newer, *older; // engine's list, by last_used
    struct trail trail;
    struct batch *held;    // that have ended, the newest first
    struct batch *loading; // under way
    uint64_t epoch;        // counts what has dropped the answers
    uint64_t barren;       // id of the group for which nothing was left to load,
    uint64_t barren_since; // as long as the trail's last result is this one
    bool barren_both_ways; // also among the rows before
    uint64_t last_answer;  // microseconds: of the loop's, over whatever connection
    uint64_t last_used;    // microseconds
    size_t held_bytes, charged;
    struct account *memory; // its session's, that it is charged to
};

struct ahead_list { // by last_used
    struct ahead *newest, *oldest;
    size_t bytes;
    uint64_t last_answer; // microseconds: of any session that something may be held for
    struct budget vets;   // questions about statements that may be loops', and what they brought
    uint8_t
        unfollowed[AHEAD_SOURCES]; // results of lookups since one was followed, by their source; 255: many
};

#endif
