// SPDX-License-Identifier: PostgreSQL
//
// A stamp: what a verdict rests on, as the server's catalogue had it. It is taken while a shape is vetted, in
// front of all else, and asked for again behind each folded statement, in the same implicit transaction:
//
//   the user's OID            the names of users move
//   each relation's OID       as the session's search_path finds the name
//   xmin of its pg_class row  another one after ALTER TABLE, ENABLE ROW LEVEL SECURITY, GRANT …
//   xmin of pg_attribute      of the columns that keys are compared with: their types decide what is equal
//   functions, operators      those of users' that bear the names which the statement calls
//
// A row's xmin never comes back once the row was changed, so what is still the same behind a statement was
// the same when the statement began to run. If something differs, the folded rows are dropped and the members
// run alone.
//
// Two queries: the question is asked once for each vetting and finds OIDs; the check is asked with each
// batch, is made of these OIDs, and costs the server some microseconds: it has one row.
#ifndef PGFOLD_BATCHING_TRUST_STAMP_H
#define PGFOLD_BATCHING_TRUST_STAMP_H

#include "batching/base/hash.h"
#include "batching/statement/shape.h"
#include "protocol/message.h"

struct stamp {
    unsigned refs;
    struct buf check;       // SQL
    struct buf check_ahead; // the same with the facts about the database as the last column, see facts.h
    struct buf sealed;      // a condition, see seal.h; empty: there is none
    struct buf expected;    // DataRow body of its one row, in text, without the columns of stamp_news
    uint16_t n_relations;   // columns 1 to n_relations are their OIDs
    XXH128_hash_t digest, digest_ahead; // of `expected` and either check; name the prepared statements
};

// What the check tells besides, in columns behind those that are expected.
struct stamp_news {
    uint64_t loaded;    // when the server process has read its configuration, as proof_read_time() has it
    uint32_t process;   // pg_backend_pid()
    uint64_t now;       // where there is a seal: when the transaction began, as the server has it
    struct slice facts; // the facts' stamp, a slice of the row; NULL data: not asked for
};

enum stamp_verdict {
    STAMP_SAME,
    STAMP_CHANGED,
    // The relations that were vetted are as they were, but a name of the statement's means another one now.
    // Statements that were prepared before may go on with the old one.
    STAMP_SHADOWED,
};

#define STAMP_COLUMNS 7 // of the answer to the question

struct stamp *stamp_ref(struct stamp *st);
void stamp_unref(struct stamp *st);         // takes NULL
size_t stamp_bytes(const struct stamp *st); // of memory; takes NULL

// Appends the question. False: a name cannot be quoted safely, or no memory.
bool stamp_question(const struct shape *s, struct buf *out) __attribute__((warn_unused_result));

// Makes the stamp of the answer (DataRow body, text). `plain`: the statement compares nothing but a key of a
// plain type with =, which no operator or cast of a user's can be taken for unless search_path says so.
// `alone`: its table has no children. NULL: the answer is none, or no memory.
struct stamp *stamp_create(const struct shape *s, struct slice answer, bool plain, bool alone);

// What the check's row (DataRow body, text) says. *news is whole where the verdict is STAMP_SAME.
enum stamp_verdict stamp_judge(const struct stamp *st, struct slice row, struct stamp_news *news);

#endif
