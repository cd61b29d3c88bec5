// SPDX-License-Identifier: PostgreSQL
//
// Vetting asks the server's catalogue whether a shape may be folded for an identity. One query does it. It
// runs on a session of that identity, so names mean what they mean for the lookups.
#ifndef PGFOLD_BATCHING_TRUST_VET_H
#define PGFOLD_BATCHING_TRUST_VET_H

#include "batching/statement/shape.h"
#include "batching/trust/stamp.h"
#include "batching/trust/writes.h"
#include "protocol/frame.h"

// Milliseconds that a statement of pgfold's own waits for a lock in front of a client's statement. The server
// ends the wait, so the client's statement can be sent behind it in the same write.
#define VET_LOCK_TIMEOUT 300

#define VET_MAX_TYPES 16
#define VET_MAX_LINKS 64

struct vet_type {
    uint32_t type, array; // OIDs
};

// A column that can supply values of a key candidate: the key's own column, those that its foreign keys
// reference, those that reference it, and those that reference the same column as it does. Table and
// attribute are as in RowDescription.
enum {
    LINK_OWN,
    LINK_REFERENCED,
    LINK_OTHER
}; // its own column, one that this references, one that references either
struct vet_link {
    uint8_t key; // index into parsed->keys
    uint8_t rank;
    uint16_t attribute;
    uint32_t table; // OID
};

// With whom the rows of a lookup may be shared.
enum vet_level {
    LEVEL_NONE,   // with nobody: it runs as it was sent
    LEVEL_OWN,    // with the session's own loop and pipeline: it may run now instead of a moment later
    LEVEL_SHARED, // with every session of the same identity: it depends on nothing of the session's
};

struct vet_result {
    bool answered; // a row came
    bool ok;       // it may be folded, as far as the table, its columns and its operators go
    // Only things speak against it that do not matter to the session's own lookups. `own`: it is also known
    // that all that is below only reads. `wide`: that was asked for.
    bool may_be_own, own, wide;
    const char *own_refusal;  // static, of a wide question: why not `own`, or NULL
    bool steady;              // own: nothing of it depends on time, settings or the transaction
    struct stamp_below below; // own: what the verdict rests on besides the statement's own names
    bool alone;               // none of its tables has children
    bool key_unique;          // the key column alone is unique: the form = ANY is possible
    uint32_t key_type;        // OID of the key column's type; 0: not asked for
    const char *refusal;      // static: why it is not ok; NULL: ok
    unsigned n_types;         // types of the tables' columns that are not the server's own and may be a key's
    struct vet_type types[VET_MAX_TYPES];
    // at most VET_MAX_LINKS; each candidate's own column and those that it references come first
    unsigned n_links;
    struct vet_link *links; // owned
    char *names; // owned: of each link's column, "public.author.id" in lines; NULL: not there any more
    struct write_set writers; // whose writes may change what the statement reads
};

// The answers to one vetting: the catalogue's, and what the server tells of the original statement.
struct vetting {
    bool failed; // an error came, or a message that was not expected
    struct vet_result catalogue;
    bool described;
    unsigned n_params;
    uint32_t params[SHAPE_MAX_VALUES]; // OIDs of their types, as the server knows them
    struct buf row_description;        // the body of RowDescription, format codes 0
    struct buf stamp;   // the answer to the stamp's question, which comes first: the body of a DataRow
    struct stamp *made; // made from that answer; a reference; NULL: not yet
};

struct vetting *vetting_create(void);          // NULL: out of memory
void vetting_destroy(struct vetting *v);       // takes NULL
size_t vetting_bytes(const struct vetting *v); // bytes of memory; takes NULL

// Takes one message of the reply to what group_write_vet() has written. ReadyForQuery is not passed here.
void vetting_feed(struct vetting *v, const struct frame *f);

// The array type of a type, and the reverse. They know the server's own types and those that vetting has
// found. 0: not known.
uint32_t vet_array_type(const struct vet_result *r, uint32_t type);
uint32_t vet_element_type(const struct vet_result *r, uint32_t array);
// Tells whether the row (DataRow body) that answers vet_read_query() says: a plain read.
bool vet_read_row(struct slice row);
// The same, and that it runs nothing of a user's: no view, policy or function.
bool vet_read_is_bare(struct slice row);
// The second column of that row: the stamp of the facts, borrowed from it. Returns false when there is none.
bool vet_read_facts(struct slice row, struct slice *stamp);

// Fills in what the query's one row means (DataRow body, text format). `r` is zeroed or from an earlier row.
// The caller frees it.
void vet_row(struct slice row, struct vet_result *r);
void vet_result_free(struct vet_result *r); // leaves a result that knows nothing
// Frees the names, which nothing is decided by.
void vet_names_forget(struct vet_result *r);

#endif
