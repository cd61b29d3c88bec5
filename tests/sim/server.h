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

struct sim_database {     // what all sessions share
    unsigned version;     // counts writes
    unsigned definitions; // counts changes of definitions
    unsigned announced;   // of those, how many a client was told of
};

#define SERVER_MAX_STATEMENTS 96

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
    unsigned snapshot; // the version that a transaction of level r or s sees
    struct savepoint savepoints[SERVER_MAX_SAVEPOINTS];
    unsigned n_savepoints;
    bool failed, skipping, copying, closed;
    bool in_unit;                                    // an extended unit is open: `saved` is from its start
    struct prepared prepared[SERVER_MAX_STATEMENTS]; // [0] is the unnamed one
    struct portal portal;                            // the unnamed one
    struct buf in, out;
    unsigned busy;      // steps until the statement at hand goes on
    unsigned may_stall; // one in so many lookups takes long; 0: none
    unsigned stall;     // how long
    bool locks;         // every other one as long as it is not cancelled
    bool locked;        // the statement at hand does
    bool stalled;       // the statement at the front has had its pause
    bool wrong;         // folded statements of several keys give the last one another's rows, or none
    bool cancelled;     // a cancel request came while it was busy
    bool trace;         // tell what runs
    uint64_t random;
    unsigned long n_folded, n_own; // folded statements and pgfold's own queries that it ran
};

void server_init(struct server *s, struct sim_database *db, unsigned id, const char *user);
void server_finish(struct server *s);
// Takes in bytes; server_step carries out at most one message. False: none was whole, or it is busy.
void server_receive(struct server *s, const uint8_t *bytes, size_t len);
bool server_step(struct server *s);
void server_cancel(struct server *s);
void server_notify(struct server *s, unsigned n);

#endif
