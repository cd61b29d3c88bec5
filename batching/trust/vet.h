// SPDX-License-Identifier: PostgreSQL
//
// Vetting: what the server's catalogue must say before a shape is folded for an identity. One query, run on a
// session of that identity, so that names resolve as they do for its lookups.
#ifndef PGFOLD_BATCHING_TRUST_VET_H
#define PGFOLD_BATCHING_TRUST_VET_H

#include "batching/statement/shape.h"
#include "batching/trust/writes.h"
#include "protocol/frame.h"

// Milliseconds that a statement of our own waits for a lock in front of a client's: the server itself sees to
// that, so the client's can be sent behind it in the same write.
#define VET_LOCK_TIMEOUT 300

#define VET_MAX_TYPES 16
#define VET_MAX_LINKS 64

struct vet_type {
    uint32_t type, array; // OIDs
};

// A column that supplies values of a key candidate: its own, those that its foreign keys reference, those
// that reference it, and those that reference the same column. Table and attribute as in RowDescription.
struct vet_link {
    uint8_t key; // index into parsed->keys
    uint16_t attribute;
    uint32_t table; // OID
};

struct vet_result {
    bool answered;       // a row came
    bool ok;             // may be folded, as far as the table, its columns and its operators go
    bool alone;          // none of its tables has children
    bool key_unique;     // the key column alone is unique: IN form possible
    uint32_t key_type;   // OID of the key column's type, 0: not asked for
    const char *refusal; // static: why not ok; NULL when ok
    unsigned n_types;    // types of the tables' columns that are not the server's own, and may be a key's
    struct vet_type types[VET_MAX_TYPES];
    unsigned n_links; // at most VET_MAX_LINKS; of each candidate first its own column and those it references
    struct vet_link *links;   // owned
    struct write_set writers; // whose writes may change what the statement reads
};

struct stamp;

// What is asked about a group: the catalogue, and what the server makes of the original statement.
struct vetting {
    bool failed; // an error came, or a message that was not expected
    struct vet_result catalogue;
    bool described;
    unsigned n_params;
    uint32_t params[SHAPE_MAX_VALUES]; // OIDs of their types, as the server knows them
    struct buf row_description;        // RowDescription's body, format codes 0
    struct buf stamp;   // the answer to the stamp's question, which comes first: DataRow's body
    struct stamp *made; // of it; a reference, NULL: not yet
};

struct vetting *vetting_create(void);          // NULL: out of memory
void vetting_destroy(struct vetting *v);       // takes NULL
size_t vetting_bytes(const struct vetting *v); // of memory; takes NULL

// Takes one reply to what group_write_vet() has written, ReadyForQuery not among them.
void vetting_feed(struct vetting *v, const struct frame *f);

// A type's array type, of the server's own types or those that vetting has found, and the reverse; 0: not
// known.
uint32_t vet_array_type(const struct vet_result *r, uint32_t type);
uint32_t vet_element_type(const struct vet_result *r, uint32_t array);
bool vet_read_row(struct slice row);
bool vet_read_facts(struct slice row, struct slice *stamp); // its second one: the facts' stamp. False: none

// What the query's one row (DataRow body, text format) means. `r` is zeroed or from an earlier row; free it.
void vet_row(struct slice row, struct vet_result *r);
void vet_result_free(struct vet_result *r); // leaves one that knows nothing

#endif
