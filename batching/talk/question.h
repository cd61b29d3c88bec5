// SPDX-License-Identifier: PostgreSQL
//
// What a client asks, as a hash: two lookups of a session ask the same if their hashes are equal, in whichever way
// they are sent (statement/alike.h). A client
// that asks the same again, without having read a list meanwhile, polls for a change, and must not get an
// answer that was loaded ahead (ahead/asked.h).
//
// Also the candidate: a lookup on its way to being accepted.
#ifndef PGFOLD_BATCHING_TALK_QUESTION_H
#define PGFOLD_BATCHING_TALK_QUESTION_H

#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

// Borrows all that it points to.
struct candidate {
    struct feed *f;
    struct session *s;
    const uint8_t *bytes;            // the unit's first byte
    const struct unit *unit;         // as it was read
    size_t whole;                    // first part of a unit of several: bytes of the whole unit; else 0
    bool simple;                     // a Query message
    struct shape *shape;             // NULL: not found yet
    struct slice text;               // values: of the Query, or of the Parse
    const struct shape_text *values; // its values are constants in the text; NULL: they are in the Bind
    struct statement *statement;     // extended: it was parsed before; NULL: the unit has a Parse
    struct group *group;             // NULL: not found yet
    uint64_t group_id;               // it may be gone when this is still wanted
    uint64_t question;               // its hash, of a read
    bool again;                      // the session has asked the same before
    struct asked_entry asked;        // what is known of that
    uint32_t loads;                  // number of the last batch loaded ahead that is older than its answer
    bool noted;                      // it is in the session's `asked`
    bool plain;                      // it is certainly a plain read
    bool apart; // its transaction shares nothing with others: it runs on its own connection, or is answered
                // with what was loaded ahead there
};

// The hash of the candidate's shape and all its values.
uint64_t question_hash(const struct candidate *c);

// Notes what a Bind that is forwarded asks, if its shape may be a lookup's: what was loaded ahead for that
// question may be older than the answer that it gets now. `shape` may be NULL.
void question_note_bind(struct session *s, const struct shape *shape, const struct msg_bind *m);

// The session asks something that is not known, since its text was not read.
void question_note_unread(struct session *s);

#endif
