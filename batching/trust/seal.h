// SPDX-License-Identifier: PostgreSQL
//
// A seal: when the server has read a folded statement's text the last time. A prepared statement is read
// once, and again when something has changed about its table: row-level security, columns, types, rights, all
// that changes a row of pg_class or pg_attribute of that table, or a new search_path. The server sees to that
// before each run, under the lock that the statement takes, and 'now' as a constant becomes the time of the
// transaction in which the text was read. So a statement that compares this with the time at which pgfold had
// it prepared runs as it was checked then, or not at all:
//
//   … = ANY (COALESCE((SELECT $1 WHERE $2 IS NULL OR ('now'::timestamptz = $2 AND …))))
//
// What is no part of the table is compared in the same place: what its name means, the user, when the
// process has read its configuration, which process it is. Without a match no key has a row, so rows are a
// proof, and a batch without any proves nothing: its members run alone.
//
// The check behind a statement (stamp.h) costs a second portal and two scans of the catalogue, in a process
// whose caches are cold. It is run as long as there is no seal: $2 is NULL then.
//
//   1. The statement is parsed in a unit with a check. The server's time of that unit is the seal.
//   2. A later unit with a check has a later time: no other reading can have the same, however coarse the
//   clock.
//   3. The seal is used.
//
// The sub-select also hides the number of keys from the planner, which would else plan small batches anew
// each time.
#ifndef PGFOLD_BATCHING_TRUST_SEAL_H
#define PGFOLD_BATCHING_TRUST_SEAL_H

#include <stdbool.h>
#include <stdint.h>

// The added parameters: the time of reading, that of the configuration, the process.
#define SEAL_PARAMS 3

// Of one statement on one connection.
struct seal {
    uint64_t read; // the server's microseconds, 0: not known
    uint64_t loaded;
    uint64_t since; // pgfold's time
    uint32_t process;
    bool sound; // a check in a later transaction was passed
};

// Of a group. Where keys without rows are usual, a batch without any is no reason to doubt, and seals are of
// little use.
struct seal_trust {
    unsigned run, needed; // batches with rows in a row: so many, and so many are needed
    uint64_t doubted;     // pgfold's time: older seals may be broken
};

// A batch with a check was right. `parsed`: it has prepared the statement. `framed`: its transaction may be
// older than that.
void seal_checked(struct seal *s, const struct seal *of_batch, bool parsed, bool framed);
bool seal_is_usable(const struct seal *s, const struct seal_trust *t);
// The statement has to be prepared anew for a seal.
bool seal_is_worn(const struct seal *s, const struct seal_trust *t);

void seal_batch_right(struct seal_trust *t, bool has_rows);
// A sealed batch has no row.
void seal_broken(struct seal_trust *t, uint64_t now);

#endif
