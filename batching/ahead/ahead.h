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

#include "batching/fold/batch.h"
#include "batching/statement/budget.h"
#include "batching/ahead/trail.h"

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

// An answer that was found: yours to give.
struct ahead_hit {
    struct ahead *ahead;
    struct batch *batch;
    uint32_t key;
    struct key keys[KEY_MAX_PARTS]; // the lookup's; texts are borrowed from it
};

// Is the lookup with these key values (as sent, by the group's parts) loaded, or being loaded? The answer
// counts as used then. `asked`: it was asked for before, when the session had read so many lists (see
// asked.h); NULL: it was not.
bool ahead_find(struct session *s, struct group *g, const struct slice *raw, const uint32_t *asked,
                struct ahead_hit *hit) __attribute__((warn_unused_result));
// The lookup is answered by it, now or when its batch ends. The lookup is in its session's order, and in no
// queue.
void ahead_give(const struct ahead_hit *hit, struct lookup *l);
// Behind it: if what is left will be used up soon, more is loaded.
// `unit`: the lookup as its client sent it.
void ahead_refill(struct session *s, const struct ahead_hit *hit, const uint8_t *unit, size_t len);

// Are lookups of the transaction at hand accepted although they can be shared with none (session_is_apart)?
bool ahead_may_be_apart(const struct session *s);
// Has it read a list that lookups may follow? Without one there is nothing to gain, and each doubt would
// leave groups behind that nobody uses again.
bool ahead_has_list(const struct session *s);

// A lookup that was accepted and waits in its group: if its key is found in a trail, it goes out, and the
// coming keys behind it.
// `apart`: its transaction shares nothing with others'.
void ahead_follow(struct session *s, struct lookup *l, bool apart); // may free it

// A lookup whose original was answered, to be compared with the batch behind it: it becomes a member. False:
// there is none.
bool ahead_join_checked(struct lookup *l) __attribute__((warn_unused_result));

// The batch has ended: may its member be answered with it? One that joined it while it was under way may only
// with what is fresh now.
bool ahead_may_end(struct batch *b, const struct lookup *l);
// A lookup was answered with what a batch has loaded for this key.
void ahead_served(struct batch *b, uint32_t key);

// A batch that was loaded ahead has ended and its members are answered; takes it.
void ahead_ended(struct engine *e, struct batch *b);

// The client has been answered, whatever it had asked: what it waited for is no pause of its own.
void ahead_answered(struct session *s);
void ahead_unref(struct ahead *a); // takes NULL

// The session has sent something that is no plain read, or one of its transactions has begun or ended.
void ahead_drop(struct session *s);
// A lookup of its own will run of which nobody has vetted whether it only reads.
void ahead_run_unvetted(struct session *s);
void ahead_session_gone(struct session *s);

bool ahead_may_record(struct session *s, const struct lookup *l); // its answer may have several rows
// A reply of the client's that is worth recording: one of its messages. `whole`: all of it is there.
void ahead_reply(struct session *s, struct owed *o, const struct frame *f, bool whole);
// A row of it is wanted whole.
bool ahead_wants(const struct session *s, const struct owed *o, const struct frame *f);
// The statement's columns, for replies that do not describe them.
void ahead_note_columns(struct session *s, struct statement *st, const uint8_t *body, size_t len);

// Whose client does not read delays no others: those whose answers come behind its own run alone.
void ahead_give_back_stalled(struct engine *e);

void ahead_expire(struct engine *e);
void ahead_shrink(struct engine *e); // gives back what is kept for some of those who used it longest ago
uint64_t ahead_deadline(const struct engine *e);
void ahead_finish(struct engine *e);

#endif
