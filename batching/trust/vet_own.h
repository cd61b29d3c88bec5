// SPDX-License-Identifier: PostgreSQL
//
// What is below a statement: the relations and functions that it reaches through views, the policies of
// row-level security, functions and operators. It must all be known before the statement may be run for its
// own session a moment earlier than it was asked for: nothing volatile, no lock, nothing of another server.
//
// Both catalogue queries (vet_query.c) ask for it. Their WITH clause has r, the relations that the statement
// names. Two parts are added to it:
//
//   p  the functions that the statement names, as far as they have to be looked into
//   o  one row: `rels` and `procs`, all that is below r and p, as arrays of OIDs, and `bad`: something was
//      found that may do more than read, or too much was found
#ifndef PGFOLD_BATCHING_TRUST_VET_OWN_H
#define PGFOLD_BATCHING_TRUST_VET_OWN_H

#include <stdbool.h>

struct buf;
struct parsed;

// Appends p and o to a WITH clause. Returns false when a name cannot be quoted safely.
bool vet_own_put_below(struct buf *out, const struct parsed *p) __attribute__((warn_unused_result));

// Appends the expression that tells whether all that is below only reads.
void vet_own_put_verdict(struct buf *out);

// Appends the same as columns: "t" in either of the first two speaks against it. They are about relations and
// about functions. Behind them is what the verdict rests on, as "16400:733,…", OID and xmin: relations, rules,
// policies, functions of users.
void vet_own_put_facts(struct buf *out);

// Appends the expression that tells whether a function is below whose reads are not known.
void vet_own_put_unknown(struct buf *out);

#endif
