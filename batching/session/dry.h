// SPDX-License-Identifier: PostgreSQL
//
// A lookup in mode observe. It is forwarded as it came, and the engine goes through what mode fold would have done with
// it: a dry run. flow/dry.c decides; here is what is kept of one until it is answered.
//
//   lookup_take  makes one for the unit at hand           dry_hold
//   forwarded    the unit's entry in `owed` has it        dry_attach
//   answered     it is reported with what would have      dry_free
//                become of it
//
// Bounded: its unit is counted in the session's queue. Without memory a lookup is not looked at.
#ifndef PGFOLD_BATCHING_SESSION_DRY_H
#define PGFOLD_BATCHING_SESSION_DRY_H

#include "batching/ahead/asked.h"
#include "batching/session/behind.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"

struct dry {
    struct session *session;
    struct behind *lookup;       // owned; its group is pinned
    struct shape *shape;         // a reference
    struct dry *next, *previous; // in its group's list of those that came in this turn,
    bool listed;                 // if it is in that
    bool attached;               // to an entry of the session's `owed`
    bool simple;                 // it came as a Query message
    bool apart;                  // its transaction shares nothing with others
    bool extended;               // what is held has its key now
    bool came;                   // its unit has been sent as a whole
    bool company;                // others of its group were there
    bool queued;                 // it waits for, or is in, the dry queue's batch of this number:
    uint64_t batch;
    uint8_t would;               // enum outcome, as far as it is decided
    uint64_t question;           // its hash (ahead/asked.h)
    struct asked_entry asked;    // if the session had asked for the same before: lookup->again
    struct ahead *home;          // AHEAD: in which its key was held; a reference
    unsigned association;        // the same: index into the shape's
    uint64_t at;                 // microseconds: when it came
    struct statement *statement; // what it runs, if it was prepared before; a reference
    uint64_t list;               // number of the batch to whose rows its answer belongs; 0: to none
};

// Makes one for the unit at hand, in place of the last. Takes the lookup over, which may be NULL: there is none.
void dry_hold(struct session *s, struct behind *lookup, struct shape *shape);
// The unit was not forwarded, or all of it was.
void dry_drop(struct session *s);

// The unit's entry takes the one at hand over, if there is one.
void dry_attach(struct session *s, struct owed *o);
// Takes NULL.
void dry_free(struct dry *d);

// The lookup that is the unit at hand, or the open one. NULL: it is none.
const struct dry *dry_at_hand(const struct session *s);

// The group whose lookup it is proves to be another one: its session was not proven when it came.
void dry_regroup(struct dry *d, struct behind *lookup);

// ---- what is answered without the server (session/begun.h, talk/prepare.h)

// The unit at hand would have been: BEGIN or else the end of a transaction of which the server has not got the BEGIN,
void dry_takes_boundary(struct session *s, bool begins);
// DEALLOCATE of a statement that it lacks,
void dry_takes_deallocate(struct session *s);
// several lookups with one Sync, of which nothing more is known; and: which so many batches would have answered,
void dry_takes_lookups(struct session *s);
void dry_takes_pipeline(struct session *s, unsigned lookups, unsigned batches);
// a Parse.
void dry_knows(struct session *s);
// DRY_LOOKUPS or DRY_PIPELINE, if the unit at hand or the open one is that, else DRY_NOTHING.
unsigned dry_piped(const struct session *s);
// The unit is opened: this is its entry.
void dry_open(struct session *s, struct owed *o);
// The unit at hand is another one.
void dry_next(struct session *s);
// Its client has waited for what it would have had at once: that is no time of the transaction.
void dry_waited(struct session *s, uint64_t took);
// A statement would have gone to the server, and in front of it the BEGIN that it has not got.
void dry_goes(struct session *s);

// ---- those that came in this turn

void dry_list(struct dry *d);
void dry_unlist(struct dry *d);

// ---- statements about which the catalogue could not be asked

// Inside a transaction nothing is asked in mode observe. The group is asked about when a session of its identity is in none.
void dry_want(struct engine *e, const struct group *g);
// A group that the session can ask about now, taken from the list. NULL: there is none.
struct group *dry_wanted(struct session *s);

// ---- the queue of a group

struct dry_limits dry_limits_of(const struct engine *e, const struct group *g);

#endif
