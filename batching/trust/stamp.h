// SPDX-License-Identifier: PostgreSQL
//
// A stamp records the state of the server's catalogue on which a verdict rests. It is taken while a shape is
// vetted, before everything else. It is asked for again behind each folded statement, in the same implicit
// transaction:
//
//   the user's OID            the names of users can move
//   each relation's OID       as the session's search_path finds the name
//   xmin of its pg_class row  changes with ALTER TABLE, ENABLE ROW LEVEL SECURITY, GRANT …
//   xmin of pg_attribute      of the columns that keys are compared with: their types decide what is equal
//   functions, operators      those of users with names that the statement calls
//   xmin of a pg_index row    where the order of rows rests on the index
//   what is below it          for a verdict of LEVEL_OWN (vet.h): xmin of each relation, of the rules of views,
//                             of policies and of users' functions; the number of domains' checks
//
// Once a row was changed, its old xmin never comes back. So what is still the same behind a statement was the
// same when the statement began to run. If something differs, the folded rows are dropped and the members run
// alone.
//
// There are two queries. The question is asked once for each vetting and finds the OIDs. The check is built
// from these OIDs and asked with each batch. It has one row and costs the server a few microseconds.
#ifndef PGFOLD_BATCHING_TRUST_STAMP_H
#define PGFOLD_BATCHING_TRUST_STAMP_H

#include "batching/base/hash.h"
#include "batching/statement/shape.h"
#include "protocol/message.h"

// What is below a statement (vet_own.h), as lists of "16400:733,…", OID and xmin. CHECKS: how many checks domains
// have, and the greatest OID of them, since values of a domain may come up anywhere.
enum { BELOW_RELATIONS, BELOW_RULES, BELOW_POLICIES, BELOW_FUNCTIONS, BELOW_CHECKS, N_BELOW };

struct stamp_below {
    uint8_t *bytes; // owned; the lists point into it
    size_t len;
    struct slice list[N_BELOW];
};

struct stamp {
    unsigned refs;
    struct buf check;       // SQL
    struct buf check_ahead; // the same with the stamp of the facts as its last column, see facts.h
    struct buf sealed;      // a condition, see seal.h; empty: there is none
    // With what is below: the condition that it is unchanged. The folded statement looks up nothing otherwise,
    // so that what has become volatile is not run for keys that nobody has asked for.
    struct buf guard;
    // the DataRow body that the check must give, in text, without the columns of stamp_news
    struct buf expected;
    bool sorted;          // ORDER BY tells all rows apart, where that matters (sorted.h)
    uint16_t n_relations; // columns 1 to n_relations are their OIDs
    // of `expected` and of either check; they name the prepared statements
    XXH128_hash_t digest, digest_ahead;
};

// What the check tells besides, in columns behind the expected ones.
struct stamp_news {
    uint64_t loaded;    // when the server process has read its configuration, as proof_read_time() reads it
    uint32_t process;   // pg_backend_pid()
    uint64_t now;       // with a seal: when the transaction began, by the server's clock
    struct slice facts; // the stamp of the facts, a slice of the row; NULL data: not asked for
};

enum stamp_verdict {
    STAMP_SAME,
    STAMP_CHANGED,
    // The vetted relations are unchanged, but a name of the statement now means another one. Statements that
    // were prepared earlier may go on with the old one.
    STAMP_SHADOWED,
};

#define STAMP_COLUMNS 8 // of the answer to the question

struct stamp *stamp_ref(struct stamp *st);
void stamp_unref(struct stamp *st);         // takes NULL
size_t stamp_bytes(const struct stamp *st); // bytes of memory; takes NULL

// An expression for what BELOW_CHECKS has now.
const char *stamp_domains_expression(void);

// Appends the question as SQL. keys, fixed: see sorted_question(). Returns false when a name cannot be quoted safely or memory is out.
bool stamp_question(const struct shape *s, uint32_t keys, uint32_t fixed, struct buf *out)
    __attribute__((warn_unused_result));

// Makes the stamp from the answer (DataRow body, text) and returns a reference. `plain`: the statement
// compares only a key of a plain type with =. For such a comparison the server takes no operator or cast of a
// user's unless search_path says so. `alone`: the table has no children. `below`: what is below the statement;
// NULL: its own names are all. NULL: the answer is not valid, or memory is out.
struct stamp *stamp_create(const struct shape *s, struct slice answer, bool plain, bool alone,
                           const struct stamp_below *below);

// Judges the row of a check (DataRow body, text). *news is complete when the verdict is STAMP_SAME.
enum stamp_verdict stamp_judge(const struct stamp *st, struct slice row, struct stamp_news *news);

#endif
