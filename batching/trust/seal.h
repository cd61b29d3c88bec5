// SPDX-License-Identifier: PostgreSQL
//
// A seal is the moment when the server last analysed a folded statement's text. The server analyses a
// prepared statement once, and again when something about its table has changed: row-level security, columns,
// types, rights (all that changes the table's rows in pg_class or pg_attribute), or search_path. The server
// checks this before each run, under the lock that the statement takes. The constant 'now' becomes the time
// of the transaction in which the text was analysed. So a statement can compare it with the time at which
// pgfold had it prepared. It then runs exactly as it was checked, or it finds nothing:
//
//   … = ANY (COALESCE((SELECT $1 WHERE $2 IS NULL OR ('now'::timestamptz = $2 AND …))))
//
// The same place compares what is not part of the table: what its name means, the user, the time when the
// process read its configuration, and which process it is. If something differs, no key has a row. So rows
// are a proof, and a batch without any row proves nothing: its members run alone.
//
// While there is no seal, $2 is NULL and the check runs behind the statement (stamp.h). That check costs a
// second portal and two scans of the catalogue, in a process whose caches are cold.
//
//   1. The statement is parsed in a unit with a check. The server's time of that unit is the seal.
//   2. A later unit with a check has a later time. From then on no other analysis can have the same time,
//      however coarse the clock is.
//   3. The seal is used.
//
// The sub-select has another use: it hides the number of keys from the planner, which otherwise would plan
// small batches again each time.
#ifndef PGFOLD_BATCHING_TRUST_SEAL_H
#define PGFOLD_BATCHING_TRUST_SEAL_H

#include <stdbool.h>
#include <stdint.h>

// The added parameters: the time of the analysis, the time of the configuration, the process.
#define SEAL_PARAMS 3

// The seal of one statement on one connection.
struct seal {
    uint64_t read; // the server's microseconds; 0: not known
    uint64_t loaded;
    uint64_t since; // pgfold's time
    uint32_t process;
    bool sound; // a check in a later transaction has passed
};

// Tells whether seals pay off for a group. A batch without any row raises a doubt under a seal. Where keys
// without rows are usual, that happens often, and seals are of little use.
struct seal_trust {
    unsigned run, needed; // successive batches with rows: how many there were, and how many it takes
    uint64_t doubted;     // pgfold's time: seals that are older may be broken
};

// A batch with a check was right. `parsed`: the batch has prepared the statement. `framed`: it ran inside a
// transaction, which may have begun before that.
void seal_checked(struct seal *s, const struct seal *of_batch, bool parsed, bool framed);
// The next batch may go out under the seal, without a check.
bool seal_is_usable(const struct seal *s, const struct seal_trust *t);
// The statement must be prepared again to get a seal.
bool seal_is_worn(const struct seal *s, const struct seal_trust *t);

// A batch was right. One without rows starts the count of successive batches again.
void seal_batch_right(struct seal_trust *t, bool has_rows);
// A sealed batch had no row. It now takes twice as many batches with rows before a seal is used again.
void seal_broken(struct seal_trust *t, uint64_t now);

#endif
