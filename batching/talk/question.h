// SPDX-License-Identifier: PostgreSQL
//
// Two lookups ask the same if these hashes are equal: who asks again polls.
#ifndef PGFOLD_BATCHING_TALK_QUESTION_H
#define PGFOLD_BATCHING_TALK_QUESTION_H

#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// The client asks with these values for what may be a lookup's statement, in a unit that is forwarded: what
// was loaded ahead for the same question may be older than what it will be told. `shape` may be NULL.
void question_note_bind(struct session *s, const struct shape *shape, const struct msg_bind *m);

// A lookup on its way to being accepted.
struct candidate {
    struct feed *f;
    struct session *s;
    const uint8_t *bytes;
    const struct unit *unit;
    size_t whole; // bytes to keep, when more than the unit's: of the first part of several
    bool simple;
    struct shape *shape;
    const struct shape_text *values; // simple
    struct statement *statement;     // extended, parsed in an earlier unit, or part of this one
    struct group *group;
    bool again;     // the session has asked for it before,
    uint32_t lists; // when it had read so many lists; see asked.h
    bool apart; // of a transaction that shares nothing: it runs on its own connection, or was loaded ahead
                // there
};

uint64_t question_hash(const struct candidate *c);
void question_note(struct session *s, uint64_t hash);

#endif
