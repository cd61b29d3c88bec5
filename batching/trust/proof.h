// SPDX-License-Identifier: PostgreSQL
//
// What a server says about a session: its users, its role, and every setting that it shows. One Query message
// of two or three statements, cheap enough to be asked once on each new connection:
//
//   SELECT CURRENT_USER, SESSION_USER, …   who it is, by OID: a role keeps its sessions when it gets another
//                                          name, and another role may get its name; it must have no temporary
//                                          schema; which server this is, and what its clock says;
//                                          pg_backend_pid() for pooler.h, which is no part of the proof
//   SHOW ALL                               every setting and its value
//   SELECT name, setting, reset_val, …     only when asked for: what RESET would make of those that differ
//   from
//                                          it, and which have their value from the session itself: such a
//                                          value survives when the server reads its configuration anew
//
// Kept whole, and byte-equal ones once, so that comparing two sessions is comparing two pointers. What
// differs between equal sessions stays out: transaction_isolation, transaction_read_only and
// transaction_deferrable are the transaction's; tcp_keepalives_… tell of the socket; plpgsql's appear when a
// function of its is first called, and hold for such functions only.
//
// Custom settings (app.tenant) that no extension has defined are not shown (GUC_NO_SHOW_ALL, in all
// versions).
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

// A time that the server has written so that no setting changes how: timestamptz_send() in 16 hexadecimal
// digits, microseconds since 2000. False: it is none.
bool proof_read_time(struct slice text, uint64_t *time) __attribute__((warn_unused_result));

struct proof_reader {
    struct buf bytes;
    unsigned result;  // of the statements' results, the one under way
    bool refused;     // a temporary schema, or rows that are not as asked for
    uint64_t asked;   // the server's clock when it began: microseconds since 2000
    uint32_t process; // of the server's that has answered; 0: it does not say. No part of the proof
};

const char *proof_query(bool with_sources);
void proof_reader_start(struct proof_reader *r);
void proof_reader_row(struct proof_reader *r, struct slice row); // DataRow's body
void proof_reader_next(struct proof_reader *r);                  // CommandComplete
// The query has ended, well or not: what it said, or NULL. Frees what the reader holds.
struct proof *proof_reader_end(struct proof_reader *r, struct proof_table *t, bool ok);

// ---- using one

// The value of a setting, its name in lower case. False: the server does not show it.
bool proof_setting(const struct proof *p, const char *name, struct slice *value);
bool proof_same_users(const struct proof *a, const struct proof *b);
// The same without the settings that `leave_out` names. NULL: out of memory.
struct proof *proof_without(struct proof_table *t, const struct proof *p,
                            bool (*leave_out)(const void *ctx, struct slice name), const void *ctx);

#endif
