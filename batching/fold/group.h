// SPDX-License-Identifier: PostgreSQL
//
// A group is the set of lookups that may be folded together. They have the same shape, the same identity, the
// same key parameters in the same formats, the same result formats, and byte-equal other values. The group
// holds what was found out about them (vetting, folded text, row description) and the queue of lookups that
// wait.
//
//            +--------------- too old, definitions changed, a batch erred -----------------+
//            v                                                                              |
//   NEW --company--> VETTING --the catalogue agrees--> READY (lookups fold) ----------------+
//                        |                                                                  |
//                        +--it does not--> REFUSED --after vet_max_age----------------------+
//
// Some statements may be run ahead for the session that asks, and their rows are nobody else's: they read a
// view, the time, settings. Vetting finds that (LEVEL_OWN), and their group is REFUSED. The lookups of each
// session go to a group of its own then (group_for_owner), which becomes READY by the same finding.
//
// A group that takes over what was found out about another one like it (finding.h) goes from NEW to READY or
// REFUSED at once. A question that was not answered leads back to NEW. group_set_state has all moves.
//
//   NEW      lookups run alone; when two are there at once (company), the vetting starts
//   VETTING  lookups run alone while the catalogue query is on its way
//   READY    lookups wait for a batch while one is in flight
//   REFUSED  lookups run alone
#ifndef PGFOLD_BATCHING_FOLD_GROUP_H
#define PGFOLD_BATCHING_FOLD_GROUP_H

#include <assert.h>

#include "batching/fold/dry_queue.h"
#include "batching/fold/erring.h"
#include "batching/statement/key.h"
#include "batching/statement/rewrite.h"
#include "batching/trust/finding.h"
#include "batching/trust/identity.h"
#include "batching/trust/seal.h"
#include "batching/trust/stamp.h"
#include "batching/trust/vet.h"

enum group_state { GROUP_NEW, GROUP_VETTING, GROUP_READY, GROUP_REFUSED };

struct dry;
struct lookup;

// One parameter of the key.
struct group_part {
    int key;           // index into shape->parsed->keys
    uint16_t format;   // extended: of its values
    bool quoted;       // simple: the constants are strings, whose type the server deduces
    uint32_t declared; // type of its values as sent; 0: the server deduces it
    uint32_t type;     // READY: type of its values; of their elements where the values are arrays
};

struct group {
    UT_hash_handle hh;
    struct group *newer, *older; // in order of use
    struct account *memory;      // where it is counted, with so many bytes:
    size_t weighs;
    uint64_t id;             // never used twice
    uint64_t owner;          // id of the only session whose lookups it has; 0: any of its identity
    enum vet_level level;    // READY, REFUSED: with whom its rows may be shared
    bool steady;             // READY, for its owner alone: its rows mean the same in the next transaction
    const char *refusal;     // static: REFUSED: why
    const char *own_refusal; // static: why not even for its own session, if only that is in question
    uint8_t *cache_key;      // owned
    size_t cache_key_len;
    struct shape *shape;       // a reference
    struct identity *identity; // a reference
    uint32_t keys;             // the key's parameters, a mask over shape->parsed->keys; 0: see group_for_read
    unsigned n_parts;          // bits in it
    struct group_part parts[KEY_MAX_PARTS]; // in the order of the bits
    uint16_t n_formats;                     // result formats as in Bind
    uint8_t *formats;                       // owned, network order
    struct slice *values; // simple protocol: the constants as written; owned with their bytes
    enum risk risk;       // of what is computed from values without a row, see risk.h
    bool moving;          // a value that is no key may mean the current time: 'now'
    enum group_state state;
    uint64_t vetted_at;      // microseconds
    uint64_t generation;     // of the definitions (engine.h); READY and REFUSED are valid for this one
    bool assumed;            // READY: mode observe: nobody has asked yet
    uint64_t vettings;       // how often it was vetted
    bool aged;               // NEW: only for its age, or since definitions have changed
    unsigned errors;         // batches that failed since one succeeded
    struct vetting *vetting; // VETTING: owned
    enum fold_form form;
    uint32_t column_type;              // FORM_IN: of the key's column
    unsigned n_params;                 // READY: of the folded statement, without those of a seal
    uint32_t params[SHAPE_MAX_VALUES]; // READY: their types
    XXH128_hash_t statement;           // READY: names the prepared statement, see statement_digest
    struct buf text;                   // READY: the folded statement
    struct stamp *stamp;               // READY: what the verdict rests on; a reference
    bool sealed;                       // READY: the folded statement has the parameters of a seal
    struct seal_trust seals;
    XXH128_hash_t types_hash;   // READY: of the ParameterDescription of the original
    struct buf row_description; // READY: the body of the original's RowDescription, format codes 0
    XXH128_hash_t row_hash;     // of row_description, without format codes
    uint64_t source;            // the same digest as in trail.h; 0: not asked for yet
    XXH128_hash_t question;     // of a plain read: digest of what the catalogue is asked about it
    bool has_question;          // `question` is valid,
    bool question_wide;         // and of a wide question,
    bool asked_wide;            // as is the one that was asked last
    bool bare;                  // of a plain read: it runs nothing of a user's
    bool parses;                // of a plain read: the server has accepted a Parse of it
    bool described;             // of a plain read: row_description and parameters are its answer to Describe
    uint64_t parsed_at, described_at; // when it last was certain that this is so: microseconds
    struct buf parameters;            // of a plain read: ParameterDescription's body
    XXH128_hash_t parameters_hash;
    unsigned n_links;            // READY: the columns that supply its keys, as vetting found
    struct vet_link *links;      // owned
    bool key_unique;             // READY: its only key's column is unique
    struct write_set writers;    // READY: whose writes may change its answers
    struct lookup *first, *last; // waiting
    unsigned n_waiting;
    uint64_t waiting_since; // microseconds, of the first
    uint64_t sent_at;       // microseconds: the last batch or lookup, if others were under way
    struct lookup *first_alone, *last_alone; // lookups under way that run as sent
    uint64_t asked_at;                       // VETTING: microseconds
    uint64_t ask_from;      // microseconds: the catalogue is not asked before, since it did not answer
    unsigned asked_in_vain; // so many times in a row
    unsigned in_flight;     // batches and lone lookups under way
    unsigned checking;      // those of them whose answer is for check.h
    unsigned held;          // batches that were loaded ahead, under way or held (ahead.h)
    struct erring erring;
    // Mode observe: what would wait and go together, and the lookups of this turn (session/dry.h).
    struct dry_queue dry;
    uint64_t dry_told; // the last batch of it that the report was told of, and one; 0: of none
    struct dry *first_dry, *last_dry;
    bool urgent; // dispatch without regard to window and max_in_flight
    bool listed; // it is in the engine's list of groups with something to dispatch
    struct group *next_listed;
};

struct group_table {
    struct group *table;
    struct group *newest, *oldest;
    unsigned n, max;
    uint64_t last_id;
    struct buf scratch;
    struct finding_table findings;
    struct account memory; // includes the findings
};

// max: number of groups.
void group_table_init(struct group_table *t, unsigned max);
void group_table_finish(struct group_table *t, struct identity_table *identities);

// Counts the group's memory again, after it has learnt something.
void group_weigh(struct group *g);

// Forgets groups with nothing under way, among the n that were used longest ago.
void group_table_shrink(struct group_table *t, struct identity_table *identities, unsigned n);

// The read group, if there is one. Borrowed from the table. NULL: there is none.
struct group *group_known_read(struct group_table *t, struct shape *s, struct identity *i);

// The group of a lookup of this shape; it is made when it is new. values: the constants in the text, for which a
// Bind may tell the formats of the rows (NULL: it is a Query message); or the Bind message. Borrowed from the table. NULL: out of memory, or all groups that are allowed are busy,
// or they hold as much memory as they may.
struct group *group_for_simple(struct group_table *t, struct identity_table *identities, struct shape *s,
                               struct identity *i, struct slice text, const struct shape_text *values,
                               const struct msg_bind *formats);
struct group *group_for_extended(struct group_table *t, struct identity_table *identities, struct shape *s,
                                 struct identity *i, const struct msg_bind *bind);

// The group of one session's lookups that are like those of `g`, which may not be shared (LEVEL_OWN). What was
// found out about g holds for it. NULL as above.
struct group *group_for_owner(struct group_table *t, struct identity_table *identities, struct group *g,
                              uint64_t owner);

// The group of this id and cache key. Borrowed from the table. NULL: it is not there any more.
struct group *group_of_key(struct group_table *t, uint64_t id, const uint8_t *key, size_t len);

// A pseudo-group that remembers whether a SELECT of this shape is a plain read for this identity. READY means
// that the SELECT cannot change the session that runs it. No lookup ever waits in it. NULL as above.
struct group *group_for_read(struct group_table *t, struct identity_table *identities, struct shape *s,
                             struct identity *i);
static inline bool group_is_read(const struct group *g) {
    return !g->keys;
}

// Reads a lookup's key: raw[i] and keys[i] belong to parts[i]; keys borrow from raw. Returns false when a
// value is not plainly written, is too long, or the like. The lookup runs alone then.
bool group_read_key(const struct group *g, const struct slice *raw, struct key *keys)
    __attribute__((warn_unused_result));

// The one way to change it; a move that there is none of ends the process.
void group_set_state(struct group *g, enum group_state state);

// As long as it is pinned its memory stays. What pins it counts as under way.
static inline void group_pin(struct group *g) {
    g->in_flight++;
}
static inline void group_unpin(struct group *g) {
    assert(g->in_flight);
    g->in_flight--;
}

// Forgets the vetting: the group is NEW.
void group_forget(struct group *g);

// The part of the key that is parameter `param` (from 0) of the folded statement; NULL: it is none.
const struct group_part *group_part_of(const struct group *g, unsigned param);
// The format of a part's array: 1 binary, 0 text.
uint16_t group_array_format(const struct group_part *part);

// A READY group's prepared statement: its name, written to at least GROUP_NAME_SIZE bytes, and its Parse
// message with Describe of the statement behind it.
#define GROUP_NAME_SIZE 48
void group_statement_name(XXH128_hash_t statement, char *name);
bool group_is_statement_name(struct slice name); // it may be one of these
void group_write_parse(const struct group *g, struct buf *out);

// The digest of a RowDescription's body without its format codes. These differ between Describe of a
// statement and of a portal.
XXH128_hash_t row_description_hash(const uint8_t *body, size_t len);
// The digest without table and attribute as well. The server's plan cache compares result types this way
// (src/backend/access/common/tupdesc.c: equalTupleDescs).
XXH128_hash_t row_types_hash(const uint8_t *body, size_t len);

// The type that the server gives a constant: that of a number by its size, none (0) to a string.
uint32_t group_type_of_constant(struct slice constant);

#endif
