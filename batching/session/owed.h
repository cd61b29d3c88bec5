// SPDX-License-Identifier: PostgreSQL
//
// The queue of replies that the server owes. Each entry says for whom a reply is and what becomes of it
// (session.h has the kinds). A file that sends a unit pushes its entry; talk/reply_end.c pops it when
// ReadyForQuery has come.
//
// An entry stays where it is in memory until it is popped, whatever is pushed behind it.
#ifndef PGFOLD_BATCHING_SESSION_OWED_H
#define PGFOLD_BATCHING_SESSION_OWED_H

#include "batching/fold/batch.h"
#include "batching/session/session.h"

// ---- what each kind means

enum owed_trait {
    // A statement of the client's: a cancel request of the client's is meant for it. The first run of a CHECK is
    // one, too, although its reply is read here (owed_is_own in session.h).
    OWED_IS_THE_CLIENTS = 1,
    // A question of ours: it is cancelled when it takes long and the client waits (late.h). Nothing of the client's is
    // sent behind it before it is answered, unless it is bounded.
    OWED_IS_QUESTION = 2,
    // Ours, and asked again when it fails: any cancel request may hit it.
    OWED_MAY_BE_HIT = 4,
    // The client that cancels has it ended, too: it may be what the client is stuck behind.
    OWED_ENDS_ON_CANCEL = 8,
    // of.lookup is its lookup. NULL: that is gone.
    OWED_HAS_LOOKUP = 16,
    // A question that ends soon by itself (vet_settings in trust/own_settings.h).
    OWED_IS_BOUNDED = 32,
};

#define OWED_QUERY (OWED_IS_QUESTION | OWED_MAY_BE_HIT)

// What is true of an entry: a set of the above. A new kind is decided here, for all who ask; the compiler names
// this switch when it lacks one.
static inline unsigned owed_traits(const struct owed *o) {
    switch (o->kind) {
    case OWED_FORWARD:
        return OWED_IS_THE_CLIENTS;
    case OWED_LOOKUP:
        return OWED_IS_THE_CLIENTS | OWED_HAS_LOOKUP;
    case OWED_PROOF:
        return OWED_QUERY;
    case OWED_FACTS:
        return OWED_QUERY | OWED_IS_BOUNDED;
    case OWED_BATCH:
        return OWED_QUERY | OWED_ENDS_ON_CANCEL;
    case OWED_VET:
    case OWED_READ_VET:
        if (o->undone) // a request could hit what takes it back
            return OWED_IS_QUESTION | OWED_IS_BOUNDED;
        return OWED_QUERY | OWED_ENDS_ON_CANCEL | (o->framed ? 0 : OWED_IS_BOUNDED);
    case OWED_PARSE:
        return o->framed ? OWED_QUERY | OWED_ENDS_ON_CANCEL : 0;
    case OWED_CHECK:
        if (!o->of.lookup)
            return OWED_HAS_LOOKUP | OWED_MAY_BE_HIT | OWED_ENDS_ON_CANCEL;
        return OWED_HAS_LOOKUP | (o->of.lookup->check == CHECK_ORIGINAL ? OWED_IS_THE_CLIENTS : 0);
    case OWED_SETUP:
    case OWED_REPAIR:
    case OWED_UNDO:
    case OWED_BEGIN:
    case OWED_END:
        return 0;
    }
    return 0;
}

static inline bool owed_is_the_clients(const struct owed *o) {
    return owed_traits(o) & OWED_IS_THE_CLIENTS;
}
static inline bool owed_is_question(const struct owed *o) {
    return owed_traits(o) & OWED_IS_QUESTION;
}
static inline bool owed_is_bounded(const struct owed *o) {
    return owed_traits(o) & OWED_IS_BOUNDED;
}
// A unit of ours, outside transactions, that ends in a block of its own (trust/own_settings.h).
static inline bool owed_is_bound(const struct owed *o) {
    return !o->framed && (o->kind == OWED_VET || (o->kind == OWED_PARSE && !o->named));
}
static inline bool owed_may_be_hit(const struct owed *o) {
    return owed_traits(o) & OWED_MAY_BE_HIT;
}
static inline bool owed_ends_on_cancel(const struct owed *o) {
    return owed_traits(o) & OWED_ENDS_ON_CANCEL;
}
static inline bool owed_has_lookup(const struct owed *o) {
    return owed_traits(o) & OWED_HAS_LOOKUP;
}

// ---- the queue

// Appends an entry, all zero but for its kind. Borrowed until it is popped. NULL: the queue is full, or out
// of memory. Where the server has not got the BEGIN of the client's transaction, that is sent first.
struct owed *owed_push(struct session *s, enum owed_kind kind);

// Appends the entry for the end of a transaction that the server is in, or may be in. NULL as above.
struct owed *owed_push_end(struct session *s);

// The server gets a BEGIN that is due. Out of memory fails the session.
void owed_send_begin(struct session *s);

// The first entry; borrowed. NULL: nothing is owed.
struct owed *owed_head(struct session *s);

// Takes the first entry out; there must be one. It may not be used any more.
void owed_pop(struct session *s);

// Has the server answered all that was sent of the last unit? Then it is known whether the unit has failed,
// and whether COPY wants data.
bool session_unit_is_answered(const struct session *s);

// Does a COPY of the simple protocol wait for data that the client has not ended?
bool session_copy_waits(const struct session *s);

// Bytes that the queue takes.
size_t owed_bytes(const struct session *s);

// Frees the queue, not what its entries refer to.
void owed_finish(struct session *s);

#endif
