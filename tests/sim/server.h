// SPDX-License-Identifier: PostgreSQL
//
// A made-up PostgreSQL session: it reads the frontend's messages as a server does and answers from tables
// that are computed, so that every row says whose it is: the schema, the role, the key, the version of the
// data and of the definitions. Knows the few statements that the clients of the simulation send, pgfold's own
// queries, and the folded forms of the lookups.
//
// Each client also owns a second one, the oracle: it gets the client's bytes at once and without a proxy
// between, and what it answers is what the client must get (see client.c for the few differences that are
// allowed).
#ifndef PGFOLD_TESTS_SIM_SERVER_H
#define PGFOLD_TESTS_SIM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"

enum sim_table { SIM_ITEMS, SIM_BOOKS, SIM_TABLES };

#define SIM_MAX_RUNS  (1u << 17)
#define SIM_MAX_GIVEN (1u << 15)
#define SIM_MAX_TIMES 24 // rows of all lists with one reference

// A loop over the rows of a list, see client.c; one of several clients' is the database's.
struct sim_loop {
    bool on;
    uint64_t framing;        // random numbers that every lookup of it is drawn from
    unsigned list;           // the LIMIT of the list's statement
    int row, step;           // the next one
    unsigned column;         // of the list: its keys
    unsigned statement;      // of the client's lookups
    bool simple, plain;      // plain: no oddities in the framing
    unsigned inner_n, inner; // of a loop inside it: its rows, and the next one
};

#define SIM_KINDS 3

// A page that asks for several kinds of the same keys, one kind after the other, each over all connections at once.
struct sim_burst {
    bool on;
    uint64_t framing; // as above
    unsigned statements[SIM_KINDS];
    unsigned kind, key, n_keys; // the next one
    int first;                  // key
    bool simple;
};

struct sim_database {              // what all sessions share
    unsigned version[SIM_TABLES];  // counts writes
    unsigned told[SIM_TABLES];     // the version that a writer was told of
    unsigned definitions;          // counts changes of definitions
    unsigned announced;            // of those, how many a client was told of
    uint64_t now;                  // microseconds, the world's
    unsigned serial;               // lookups run so far, folded ones as one
    uint64_t ran[SIM_MAX_RUNS];    // when
    uint64_t given[SIM_MAX_GIVEN]; // answers that were run before they were asked for,
    uint8_t times[SIM_MAX_GIVEN]; // and how often they were given: once for each row of a list with their key
    struct sim_loop loop;
    struct sim_burst burst;
    unsigned lookahead; // the proxy's limits: as enum lookahead_mode
    uint64_t ahead_gap, ahead_age;
    bool queued;            // a change of items waits for those who hold it, and all others for the change
    bool books_off;         // never loaded ahead
    unsigned long n_held;   // answers that were run before they were asked for
    unsigned long n_frozen; // of them: in a transaction that sees one snapshot
};

#define SERVER_MAX_STATEMENTS 400 // more than the proxy and a client prepare, and the proxy forgets

struct prepared {
    bool used;
    char name[64];
    char text[1024];
    unsigned definitions; // when it was prepared
    unsigned n_types;
    uint32_t types[8];
};

struct session_state { // what ROLLBACK brings back
    char schema[16], role[16];
    bool temp;
    char level;   // default isolation: c, r, s
    unsigned own; // writes of this transaction
    bool wrote[SIM_TABLES];
};

#define SERVER_MAX_SAVEPOINTS 24

struct savepoint {
    char name[24];
    struct session_state state;
    bool local;
};

struct portal {
    bool used;
    char text[1024];
    int key;               // of a lookup
    bool has_key, is_null; // not a lookup: neither
    unsigned n_keys;       // of a folded one
    int keys[1200];
    uint16_t n_formats, formats[8];
    uint32_t max_rows; // of the Execute at hand
    const char *error; // SQLSTATE of a parameter that cannot be read
};

// What a client could know when it asked.
struct asking {
    unsigned serial; // of what had run
    unsigned floor;  // the same, when it last did more than read
    unsigned told, announced;
    enum sim_table table;
    unsigned kind; // what it asks besides its key
    bool frozen;   // sees one snapshot
    bool serializable;
    bool strict;           // nobody else's answers can have kept its loop going
    uint64_t asked, heard; // when it asked, and when the proxy last told it something
};
#define SIM_ASKINGS 512

struct server {
    struct sim_database *db;
    bool is_oracle; // changes no data
    unsigned id;
    char user[16];
    struct session_state now, saved, login;
    bool local; // `saved` holds what SET LOCAL hid
    char txn;   // I, T or E
    char level; // of the transaction: as session_state's
    bool has_snapshot;
    unsigned snapshot[SIM_TABLES];  // the versions that a transaction of level r or s sees
    unsigned committed[SIM_TABLES]; // the version after its last write
    bool linked;                    // its catalogue says which columns supply keys
    bool all_write;                 // it says that any write may change any answer
    struct savepoint savepoints[SERVER_MAX_SAVEPOINTS];
    unsigned n_savepoints;
    bool failed, skipping, copying, closed;
    bool in_unit;                                    // an extended unit is open: `saved` is from its start
    struct prepared prepared[SERVER_MAX_STATEMENTS]; // [0] is the unnamed one
    struct portal portal;                            // the unnamed one
    struct portal own;                               // pgfold's own: the only one with a name
    struct buf in, out;
    unsigned busy;        // steps until the statement at hand goes on
    unsigned may_stall;   // one in so many lookups takes long; 0: none
    unsigned stall;       // how long
    bool locks;           // every other one as long as it is not cancelled
    bool locked;          // the statement at hand does
    bool stalled;         // the statement at the front has had its pause
    unsigned may_hang;    // one in so many of pgfold's own statements hangs for long; 0: none
    bool holds;           // its transaction has read items
    bool hanging, hung;   // the statement at the front does, or has
    bool hangs_for_us;    // it is pgfold's own
    uint64_t hangs_until; // 0: until nothing is queued
    bool wrong;           // folded statements of several keys give the last one another's rows, or none
    bool cancelled;       // a cancel request came while it was busy
    bool trace;           // tell what runs
    uint64_t random;
    struct asking askings[SIM_ASKINGS]; // an oracle's
    unsigned n_askings;
    unsigned floor;                // an oracle's: see struct asking
    unsigned wrote_at[SIM_TABLES]; // the same, by table: what its own plain writes leave of the others
    unsigned announced;            //
    bool strict;                   //
    uint64_t heard;                //
    unsigned long n_folded, n_own; // folded statements and pgfold's own queries that it ran
};

void server_init(struct server *s, struct sim_database *db, unsigned id, const char *user);
void server_finish(struct server *s);
// Takes in bytes; server_step carries out at most one message. False: none was whole, or it is busy.
void server_receive(struct server *s, const uint8_t *bytes, size_t len);
bool server_step(struct server *s);
void server_cancel(struct server *s);
void server_notify(struct server *s);

// The lists that loops go over: rows of the one with this LIMIT, and the values of a row: its id, and a
// reference, 0 for NULL. Its third column is the id's slug.
int sim_list_id(unsigned list, unsigned row);
int sim_list_reference(unsigned list, unsigned row);
// Rows of a lookup.
unsigned sim_rows(bool books, bool limited, int key);

#endif
