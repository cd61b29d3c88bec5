// SPDX-License-Identifier: PostgreSQL
//
// The writes that have passed through this proxy, for each database, and the tables that they may have
// changed. A write is noted when it is sent, and again when its transaction has ended or its connection was
// lost. Tables are known by the digest of their bare names: a write to a table of that name in any schema may
// be a write to this one.
//
// Bounded: a database remembers its last WRITES_LOG writes. What was read before the oldest of them counts as
// changed.
#ifndef PGFOLD_BATCHING_TRUST_WRITES_H
#define PGFOLD_BATCHING_TRUST_WRITES_H

#include "batching/base/hash.h"
#include "batching/statement/parse.h"
#include "batching/trust/facts.h"
#include "batching/trust/write_set.h"
#include "protocol/message.h"

#define WRITES_LOG     1024
#define WRITES_ALL     0   // in place of a table: any
#define WRITE_SET_MAX  512 // a longer set is `all`
#define WRITES_PENDING 16  // of one transaction; more are `all`

#define TRUST_MAX_STAMP 96

// Whether new objects were made in a database that could give a vetted text another meaning
// (session/vouch.h).
struct trust {
    char stamp[TRUST_MAX_STAMP];       // of what a read may run; "": not told yet
    char write_stamp[TRUST_MAX_STAMP]; // of what only writes run
    uint64_t told;                     // microseconds: when the question was asked that they answer
};

// One database.
struct database {
    UT_hash_handle hh;
    unsigned refs;
    size_t weighs;             // bytes that are counted for it
    uint64_t seq;              // writes noted so far
    uint64_t last[WRITES_LOG]; // tables of the last ones, at seq modulo WRITES_LOG
    struct facts facts;        // by which names a write may run more than it says
    struct trust trust;        // whether what sessions run is still what was vetted
    size_t len;
    uint8_t name[];
};

// The writes of a session whose transaction has not ended.
struct pending_writes {
    bool all;
    unsigned n;
    uint64_t tables[WRITES_PENDING];
};

// The database that a session logs in to, by its name alone: the servers of one connection string hold the
// same data. startup_params: pairs of zero-terminated strings, as sent. Returns a reference for the caller.
// NULL: out of memory.
struct database *database_for(struct database **table, struct slice startup_params);
void database_unref(struct database **table, struct database *d); // takes NULL

// Notes a write to the table (WRITES_ALL: to any).
void database_note(struct database *d, uint64_t table);
// Tells whether a write after `seq` (an earlier d->seq) may have changed what the set stands for.
bool database_has_changed(const struct database *d, uint64_t seq, const struct write_set *set);

// Tells whether the statement writes only to tables that it names, judged by the names of its functions.
bool writes_named_tables_only(const struct parsed *p);

// Tells whether a write says which tables it writes to.
bool writes_tell_tables(const struct parsed *p);

// A statement was sent: what it may write to is added to `w` and noted in `d`. p NULL: nothing is known of
// it.
void writes_sent(struct database *d, struct pending_writes *w, const struct parsed *p);
// The transaction has ended, well or not, or the connection was lost. All of `w` is noted once more and
// forgotten.
void writes_ended(struct database *d, struct pending_writes *w);
// Some of them have gone back: noted once more, and kept.
void writes_returned(struct database *d, const struct pending_writes *w);

#endif
