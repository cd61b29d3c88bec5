// SPDX-License-Identifier: PostgreSQL
//
// What a held-back lookup of a client waits for: the proof of its session, or the catalogue's verdict on its
// group. flow/await.c alone changes these structs.
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
    struct shape *shape;             // of the lookup that is held: a reference
    struct group *group;             // VERDICT
    uint64_t until;                  // VERDICT: microseconds
    struct session *next, *previous; // VERDICT: in the engine's list
    // The lookup at hand has waited in vain for its group's verdict, or for its read's. It waits once for
    // each.
    bool waited, waited_for_read;
};

struct await_list {
    struct session *first, *last; // in the order of `until`
};

#endif
