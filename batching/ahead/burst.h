// SPDX-License-Identifier: PostgreSQL
//
// What a page asks for at once, over a pool or in a row, and what it asks for next with the same keys.
//
//   authors 3, 8, 5, 9 …     24 lookups at once: a burst
//   books of 3, 8, 5, 9 …    the next one, as soon as these are answered
//   profiles of 3, 8, 5, 9 … and so on
//
// A page that asks so waits a way there and back for each kind. Where one kind has followed another the last times
// (followers.h has them, as it has what follows a list), its lookups can be sent with the other's (flow/bursts.h).
//
// Who has asked in a burst goes through it as through a list: what was loaded for the burst may answer it once more. All
// that it has been told before must have been told before that was sent.
//
// Who asks for the same again begins anew: that follows nothing.
//
// Keys of one part, integers and uuids. Bounded: BURSTS of BURST_KEYS keys each.
#ifndef PGFOLD_BATCHING_AHEAD_BURST_H
#define PGFOLD_BATCHING_AHEAD_BURST_H

#include "batching/ahead/asked.h"
#include "batching/ahead/association.h"
#include "batching/ahead/followers.h"
#include "batching/base/memory.h"
#include "batching/statement/key.h"

#define BURSTS      32
#define BURST_KEYS  128
#define BURST_KINDS 8 // that may follow one
#define BURST_LEAST 3 // keys of one that is worth while

// A session that has asked in a burst.
struct burst_asker {
    uint64_t session;
    uint64_t idle; // microseconds: when it had its last answer by then; UINT64_MAX: others were to come
    uint32_t at;   // number that it joined at, among those of batches loaded ahead
};

// Lookups of a group that were sent with a burst.
struct burst_sent {
    uint64_t group;        // 0: none
    unsigned keys, served; // those that were sent, and that were asked for
};

struct burst {
    uint64_t number;          // from 1; 0: there is none
    uint64_t group, identity; // ids
    uint64_t source;          // by which it is known to followers.h
    uint64_t run;             // number of the first one of those that follow each other, of which this is one
    uint64_t began, last;     // microseconds: the first and the last lookup
    bool together;            // several of them were there at once
    bool over;                // what follows it has begun
    bool closed;              // it is known what has followed it
    uint8_t came;             // followers that have come
    unsigned n, n_sent;       // keys, and those for which what follows was sent
    unsigned n_askers;
    uint64_t has[BURST_KEYS / 8]; // bits by the keys' hashes: most keys are not there, as these tell
    struct key keys[BURST_KEYS];
    struct burst_asker askers[BURST_KEYS];
    struct {
        uint64_t group;
        unsigned n; // lookups with keys of the burst
    } kinds[BURST_KINDS];
    struct burst_sent sent[FOLLOWERS];
};

struct bursts { // all zero, but for the parent of `memory`: none
    struct burst *ring;
    uint64_t number; // of the last one
    uint64_t used;   // microseconds: when the last lookup was noted
    struct account memory;
    size_t weighs;
};

// A lookup of a READY group that has come.
struct burst_lookup {
    const struct group *group;
    const struct key *key;
    struct burst_asker asker;
    struct slice unit; // as its client sent it
    uint64_t now;      // microseconds
    uint64_t age;      // for so long what is loaded may be held
    uint64_t way;      // to the server and back
    bool together;     // others of its group are there
};

// May lookups of the group be those of a burst?
bool burst_may_have(const struct group *g);

// Notes it in its burst, and in those that it follows.
void burst_note(struct bursts *t, struct followers *f, const struct burst_lookup *l);

// The last burst of the group's lookups, if it is not older than `age`; NULL: there is none.
struct burst *burst_of(const struct bursts *t, const struct group *g, uint64_t now, uint64_t age);

// So many keys of the group's were sent with the burst.
void burst_note_sent(struct burst *b, uint64_t group, unsigned keys);

// A lookup was answered with what was sent with the burst of this number.
void burst_note_served(struct bursts *t, uint64_t number, uint64_t group);

// Was the group's lookup for this key sent with another burst that this one has followed?
bool burst_was_sent(const struct bursts *t, const struct burst *b, uint64_t group, const struct key *key);

// May a session that has asked the same before be given what was loaded for this burst, at `started`? `asked`: what is
// known of the last time.
bool burst_may_again(const struct bursts *t, uint64_t number, uint64_t session, uint64_t started,
                     const struct asked_entry *asked);

// What is known of such lookups of the group, which is made if there is nothing. NULL: out of memory.
struct association *burst_association(const struct group *g);

void bursts_finish(struct bursts *t);

#endif
