// SPDX-License-Identifier: PostgreSQL
//
// A proof is what a server says about a session: its users, its role, and every setting that it shows. One
// Query message of two or three statements asks for it, cheap enough to be sent once on each new connection:
//
//   SELECT CURRENT_USER, SESSION_USER, …   The users by OID: a role keeps its sessions when it is renamed,
//                                          and another role may get its old name. The temporary schema, which
//                                          must not exist. Which server this is, and its clock. And
//                                          pg_backend_pid() for pooler.h, which is no part of the proof.
//   SHOW ALL                               Every setting and its value.
//   SELECT name, setting, reset_val, …     Only when asked for: what RESET would restore where that differs
//                                          from the value, and which values come from the session itself.
//                                          Such a value survives when the server reads its configuration.
//
// Proofs are kept whole, and equal ones once: comparing two sessions is comparing two pointers. Some settings
// differ between equal sessions and stay out. transaction_isolation, transaction_read_only and
// transaction_deferrable belong to the transaction. tcp_keepalives_… describe the socket. Those of plpgsql
// appear when one of its functions is first called, and matter to such functions only.
//
// The server does not show custom settings (app.tenant) that no extension has defined (GUC_NO_SHOW_ALL, in
// all versions).
#ifndef PGFOLD_BATCHING_TRUST_PROOF_H
#define PGFOLD_BATCHING_TRUST_PROOF_H

#include "batching/base/hash.h"
#include "batching/base/memory.h"
#include "protocol/buf.h"
#include "protocol/message.h"

#define PROOF_MAX_BYTES 131072

struct proof {
    UT_hash_handle hh;
    uint64_t id; // never used twice
    unsigned refs;
    size_t len;
    uint8_t bytes[]; // the users and the server, then the settings in the server's order
};

struct proof_table {
    struct proof *table;
    uint64_t next_id;
    struct account *memory; // NULL: not counted
};

void proof_table_init(struct proof_table *t);
void proof_table_finish(struct proof_table *t);
struct proof *proof_ref(struct proof *p);
void proof_unref(struct proof_table *t, struct proof *p); // takes NULL

// ---- reading one

// Reads a time as the proof's query writes it, which no setting changes: timestamptz_send() in 16 hexadecimal
// digits, microseconds since 2000. Returns false when the text is none.
bool proof_read_time(struct slice text, uint64_t *time) __attribute__((warn_unused_result));

struct proof_reader {
    struct buf bytes;
    unsigned result;  // index of the result that is being read
    bool refused;     // there is a temporary schema, or the rows are not as asked for
    uint64_t asked;   // the server's clock when the query began: microseconds since 2000
    uint32_t process; // the server process that has answered; 0: not told. No part of the proof
};

// The SQL of the question, static. `with_sources`: with the third statement.
const char *proof_query(bool with_sources);
void proof_reader_start(struct proof_reader *r);
void proof_reader_row(struct proof_reader *r, struct slice row); // takes the body of a DataRow
void proof_reader_next(struct proof_reader *r);                  // takes CommandComplete
// The query has ended; `ok`: without an error. Returns a reference to the proof, or NULL when it was refused
// or memory is out. Frees what the reader holds.
struct proof *proof_reader_end(struct proof_reader *r, struct proof_table *t, bool ok);

// ---- using one

// Finds the value of a setting; the name is in lower case, the value is borrowed from the proof. Returns
// false when the server does not show it.
bool proof_setting(const struct proof *p, const char *name, struct slice *value);
// Tells whether both have the same users on the same start of the same server.
bool proof_same_users(const struct proof *a, const struct proof *b);
// Returns a reference to the proof without the settings for which `leave_out` returns true. NULL: out of
// memory.
struct proof *proof_without(struct proof_table *t, const struct proof *p,
                            bool (*leave_out)(const void *ctx, struct slice name), const void *ctx);

#endif
