// SPDX-License-Identifier: PostgreSQL
//
// Facts about a whole database, asked once and kept: the names through which a write may run code of a
// user's. The set contains the names of
// - functions of users that are not written in C, and trigger functions;
// - operators, types and aggregates that use such a function: by themselves, in a domain's CHECK or DEFAULT,
//   or in a type that they are made of;
// - tables where a write runs such a function: by triggers, rules, defaults, generated columns, checks,
//   indexes, policies, partition keys, or the types of columns; and tables whose writes are passed on to such
//   a table by inheritance or by a foreign key;
// - views and foreign tables.
// A statement that mentions none of these names writes to the tables that it names and to no others
// (writes.h). Names are compared without their schema: a name that is in the set in one schema counts in all.
//
// The facts are believed while two things are unchanged: the definitions, as far as changes passed through
// this proxy (the engine's generation), and the server's stamp. The stamp tells of new objects, since a new
// object gets a larger OID than all before it. A change that bypassed this proxy and made nothing new is seen
// only when all is asked again, after vet_max_age.
//
// Bounded: with more than FACTS_MAX_NAMES names, every name counts.
#ifndef PGFOLD_BATCHING_TRUST_FACTS_H
#define PGFOLD_BATCHING_TRUST_FACTS_H

#include "batching/statement/parse.h"
#include "protocol/buf.h"
#include "protocol/message.h"

#define FACTS_MAX_NAMES 16384
#define FACTS_MAX_STAMP 256

struct name_set {
    bool all;     // every name counts
    bool foreign; // every name that is not plain ASCII counts
    unsigned n, room;
    uint64_t *names; // digests, sorted; owned
};

struct facts {
    bool known;
    uint64_t generation; // of the definitions, when the facts were asked for
    char stamp[FACTS_MAX_STAMP];
    struct name_set set;
    uint64_t editions;       // counts how often the set has become another one
    uint64_t checked, named; // microseconds: when the stamp and when the names were last asked for
    uint64_t next;           // microseconds: no question before
    struct {
        bool on, whole; // whole: ask for the names even when the stamp is the same
        uint64_t since, generation;
        unsigned result; // index of the result that is being read
        bool bad;
        char stamp[FACTS_MAX_STAMP];
        struct name_set set;
    } asking;
};

void facts_free(struct facts *f);

// Tells whether it is time to ask. Times are in microseconds. `again`: ask also when the facts are believed
// but their stamp is older than a second.
bool facts_are_due(const struct facts *f, uint64_t now, uint64_t generation, bool again);

// Starts a question and appends the text of its Query message. The names are asked for when the stamp has
// changed, and in any case `max_age` microseconds after the last time. Returns false when memory is out.
bool facts_ask(struct facts *f, uint64_t now, uint64_t generation, uint64_t max_age, struct buf *out)
    __attribute__((warn_unused_result));
void facts_row(struct facts *f, struct slice row); // takes the body of a DataRow
void facts_next(struct facts *f);                  // takes CommandComplete
void facts_lost(struct facts *f, uint64_t now);    // the connection was lost; what was known before stays
// takes ReadyForQuery (`ok`: no error came), or a lost connection
void facts_answered(struct facts *f, uint64_t now, bool ok);

// Tells whether the facts are known for this generation of the definitions.
static inline bool facts_are_known(const struct facts *f, uint64_t generation) {
    return f->known && f->generation == generation;
}
// Tells whether the statement mentions no name of the set. Returns false when the facts are not known.
bool facts_say_clean(const struct facts *f, uint64_t generation, const struct parsed *p);

// The stamp for queries that are sent anyway: an SQL expression of type text to select, and the function that
// takes its value. Facts with another stamp are no longer believed.
const char *facts_stamp_expression(void);
void facts_check_stamp(struct facts *f, struct slice stamp);

#endif
