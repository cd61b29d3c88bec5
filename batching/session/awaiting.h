// SPDX-License-Identifier: PostgreSQL
//
// What a lookup of a client that is held back waits for; flow/await.c is the one who changes it.
#ifndef PGFOLD_BATCHING_SESSION_AWAITING_H
#define PGFOLD_BATCHING_SESSION_AWAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct group;
struct session;
struct shape;

enum await_kind { AWAIT_NOTHING, AWAIT_PROOF, AWAIT_VERDICT };

struct await { // of a session
    enum await_kind kind;
    struct shape *shape;             // a reference: of the lookup that is held
    struct group *group;             // VERDICT
    uint64_t until;                  // VERDICT: microseconds
    struct session *next, *previous; // VERDICT: in the engine's list
    bool spent, spent_read; // the lookup at hand has waited in vain for its group's verdict, or its read's
};

struct await_list {
    struct session *first, *last; // in the order of `until`
};

#endif
