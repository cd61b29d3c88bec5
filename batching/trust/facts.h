// SPDX-License-Identifier: PostgreSQL
//
// What is the same for a whole database, asked once and kept: the names by which a write may run anything of
// a user's. A name is in the set when it is that of
//   - a function of a user's that is not in C, or a trigger's
//   - an operator, type or aggregate that one of these is a part of: of its own, of a domain's CHECK or
//     DEFAULT, of what it is made of
//   - a table where one of these runs by a write: its triggers, rules, defaults, generated columns, checks,
//     indexes, policies, partition keys, the types of its columns; and one whose writes pass on to such a
//     table by inheritance or by a foreign key
//   - a view or a foreign table
// A statement that names none of them writes to the tables that it names, and to no others, see writes.h.
// Names are bare: what one means in any schema, it may mean here.
//
// Believed as long as the definitions have not changed (the engine's generation, for what passed through this
// proxy) and the server's stamp is the same: whatever is made anew gets a larger OID than what there was.
// What was altered past this proxy without anything new is seen when all is asked again, after vet_max_age.
//
// Bounded: of more than FACTS_MAX_NAMES names all count.
#ifndef PGFOLD_BATCHING_TRUST_FACTS_H
#define PGFOLD_BATCHING_TRUST_FACTS_H

#include "batching/statement/parse.h"
#include "protocol/buf.h"
#include "protocol/message.h"

#define FACTS_MAX_NAMES 16384
#define FACTS_MAX_STAMP 256

struct name_set {
    bool all;     // every name counts
    bool foreign; // so does every one that is not plain ASCII
    unsigned n, room;
    uint64_t *names; // digests, sorted; owned
};

struct facts {
    bool known;
    uint64_t generation; // of the definitions when they were asked for
    char stamp[FACTS_MAX_STAMP];
    struct name_set set;
    uint64_t checked, named; // microseconds: when the stamp, when the names were last asked for
    uint64_t next;           // not before this
    struct {
        bool on, whole; // whole: the names come, whatever the stamp is
        uint64_t since, generation;
        unsigned result; // of the question's results, the one under way
        bool bad;
        char stamp[FACTS_MAX_STAMP];
        struct name_set set;
    } asking;
};

void facts_free(struct facts *f);

// Is it time to ask? `now`: microseconds. `again`: also when they are believed, but the stamp is not fresh.
bool facts_are_due(const struct facts *f, uint64_t now, uint64_t generation, bool again);

// Starts a question: appends the text of a Query message. `max_age` microseconds after the names were last
// asked for they are, whatever the stamp says. False: no memory.
bool facts_ask(struct facts *f, uint64_t now, uint64_t generation, uint64_t max_age, struct buf *out)
    __attribute__((warn_unused_result));
void facts_row(struct facts *f, struct slice row);           // DataRow's body
void facts_next(struct facts *f);                            // CommandComplete
void facts_lost(struct facts *f, uint64_t now);              // the connection was lost
void facts_answered(struct facts *f, uint64_t now, bool ok); // ReadyForQuery, or the connection was lost

// May be believed now?
static inline bool facts_are_known(const struct facts *f, uint64_t generation) {
    return f->known && f->generation == generation;
}
// Is none of the names in the statement in the set? False when nothing is known.
bool facts_say_clean(const struct facts *f, uint64_t generation, const struct parsed *p);

// For whoever asks the server something anyway: an SQL expression (text) to select with it, and what it said.
// Where it is another than when the facts were asked for, they are no longer believed.
const char *facts_stamp_expression(void);
void facts_check_stamp(struct facts *f, struct slice stamp);

#endif
