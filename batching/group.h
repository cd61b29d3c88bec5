// SPDX-License-Identifier: PostgreSQL
//
// A group: the lookups that may be folded together. Same shape, same identity, same key candidate, same
// result formats and byte-equal other values. It holds what was found out about them (vetting, folded text,
// row description) and the queue of lookups that wait.
//
//            +--------------- too old, definitions changed, a batch erred -----------------+
//            v                                                                              |
//   NEW --company--> VETTING --the catalogue agrees--> READY (lookups fold) ----------------+
//                        |                                                                  |
//                        +--it does not--> REFUSED --after vet_max_age----------------------+
//
//   NEW      lookups run alone; two at once are company and start the vetting
//   VETTING  lookups run alone while the catalogue query is on its way
//   READY    lookups wait for a batch when one is in flight
//   REFUSED  lookups run alone
#ifndef PGFOLD_BATCHING_GROUP_H
#define PGFOLD_BATCHING_GROUP_H

#include "batching/identity.h"
#include "batching/key.h"
#include "batching/rewrite.h"
#include "batching/vet.h"

enum group_state { GROUP_NEW, GROUP_VETTING, GROUP_READY, GROUP_REFUSED };

struct lookup;

struct group {
    UT_hash_handle hh;
    struct group *newer, *older; // in order of use
    uint8_t *cache_key;          // owned
    size_t cache_key_len;
    struct shape *shape;       // a reference
    struct identity *identity; // a reference
    int key;                   // index into shape->parsed->keys, or GROUP_READ
    uint32_t declared_type;    // of the key parameter as declared or cast, 0: the column's own
    bool key_quoted;           // simple protocol: the constant is a string
    uint16_t n_formats;        // result formats as in Bind
    uint8_t *formats;          // owned, network order
    struct slice *values;      // simple protocol: the constants as written; owned with their bytes
    enum group_state state;
    uint64_t vetted_at;  // microseconds
    uint64_t generation; // of the definitions, see engine; READY and REFUSED hold for this one
    uint64_t vettings;   // how often it was vetted
    unsigned errors;     // batches that failed since one succeeded
    enum fold_form form;
    uint32_t key_type;           // of the array's elements
    uint32_t column_type;        // of the key's column
    XXH128_hash_t statement;     // READY: names the prepared statement, see statement_digest
    struct buf text;             // READY: the folded statement
    struct buf row_description;  // READY, once a batch ran: RowDescription's body without the added column;
                                 // else empty
    XXH128_hash_t row_hash;      // of row_description, without format codes
    struct lookup *first, *last; // waiting
    unsigned n_waiting;
    uint64_t waiting_since; // microseconds, of the first
    unsigned in_flight;     // batches and lone lookups under way
    bool urgent;            // dispatch without regard to window and max_in_flight
    bool listed;            // stands in the engine's list of groups with something to dispatch
    struct group *next_listed;
};

struct group_table {
    struct group *table;
    struct group *newest, *oldest;
    unsigned n, max;
    struct buf scratch;
};

void group_table_init(struct group_table *t, unsigned max);
void group_table_finish(struct group_table *t, struct identity_table *identities);

// The group of a lookup of this shape. values: the constants (simple) or the Bind message (extended).
// NULL: out of memory, or as many groups as allowed are busy.
struct group *group_for_simple(struct group_table *t, struct identity_table *identities, struct shape *s,
                               struct identity *i, struct slice text, const struct shape_text *values);
struct group *group_for_extended(struct group_table *t, struct identity_table *identities, struct shape *s,
                                 struct identity *i, const struct msg_bind *bind);

// The pseudo-group that remembers whether a SELECT of this shape is a plain read for this identity: READY
// means that it cannot change the session that runs it. No lookup ever waits in it.
#define GROUP_READ (-1)
struct group *group_for_read(struct group_table *t, struct identity_table *identities, struct shape *s,
                             struct identity *i);

// Takes the vetting's result. READY with its text, or REFUSED with a reason in words (static), which is
// returned; NULL when READY.
const char *group_vetted(struct group *g, const struct vet_result *r, uint64_t now, uint64_t generation);

// Forgets the vetting: NEW.
void group_forget(struct group *g);

// A READY group's prepared statement: its name (at least GROUP_NAME_SIZE bytes), and its Parse message, with
// Describe of the statement behind it.
#define GROUP_NAME_SIZE 48
void group_statement_name(XXH128_hash_t statement, char *name);
void group_write_parse(const struct group *g, struct buf *out);

// Digest of a RowDescription's body without its format codes, which differ between Describe of a statement
// and of a portal.
XXH128_hash_t row_description_hash(const uint8_t *body, size_t len);

#endif
