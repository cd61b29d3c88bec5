// SPDX-License-Identifier: PostgreSQL
//
// A transaction that the server does not know of yet. Where rows are held for a loop, each turn of which is a
// transaction of its own, BEGIN is answered without the server, and so is the COMMIT of a transaction of which
// nothing has gone out. The server gets the BEGIN in front of whatever is sent to it (owed.c), or after a short
// while by itself, since now() is the time at which it gets there.
//
//   begun_here     the client was told of BEGIN
//   begun_goes     something is sent: BEGIN goes first
//   begun_is_over  the client was told of the transaction's end, or the session ends
//
// Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_BEGUN_H
#define PGFOLD_BATCHING_SESSION_BEGUN_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct session;

struct begun {
    bool due;           // the server has not got the BEGIN
    const char *access; // the words behind BEGIN; static
    uint64_t until;     // engine time at which it gets it by itself
    struct session *next, *previous;
};

struct begun_list {
    struct session *first, *last; // sessions whose BEGIN is due, the oldest first
};

// `access`: what BEGIN says besides, static.
void begun_here(struct session *s, const char *access);
void begun_is_over(struct session *s);

// Sends the BEGIN, if it is due. The caller has pushed an entry for its answer.
void begun_goes(struct session *s);

// A session whose BEGIN has waited long enough. NULL: there is none.
struct session *begun_late(const struct engine *e);

// Engine time at which the next one has; UINT64_MAX: none is due.
uint64_t begun_deadline(const struct engine *e);

#endif
