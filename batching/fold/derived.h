// SPDX-License-Identifier: PostgreSQL
//
// A batch whose keys the server finds itself, in the rows of a list whose statement has just been sent, or in those of
// another such batch (statement/rewrite.h, rewrite_behind). It is sent before anybody knows its keys. They are filled in
// when the list's rows have come, which is before its own: then lookups can join it, and its rows find their keys.
//
//   sent --the list has come: batch_add_key()…, batch_filled()--> its rows come: derived_read_row()
//
// Each of its rows begins with its key, and with true; a key without rows comes once, with NULL. A key of the list's
// that does not come at all was not looked up: the server has read the list a second time, and may have seen other rows.
// No answer is given for it.
#ifndef PGFOLD_BATCHING_FOLD_DERIVED_H
#define PGFOLD_BATCHING_FOLD_DERIVED_H

#include "batching/base/hash.h"
#include "batching/statement/key.h"
#include "protocol/buf.h"
#include "protocol/message.h"

#define DERIVED_LEAD 2 // columns in front of the lookups' own

struct derived {
    struct buf text;    // the statement
    XXH128_hash_t name; // its name, see group_statement_name
    bool once;          // the text is not likely to come again: it is prepared each time under the same name
    struct buf types;   // of its parameters, OIDs in network order,
    struct buf formats; // their formats,
    struct buf values;  // and their values, as in Bind
    unsigned n_params;
    uint64_t source; // digest of the list (ahead/followers.h)
    uint64_t parent; // number of the batch whose rows the list is; 0: it is the client's
    bool filled;     // no more keys come
};

// Makes an empty one. NULL: out of memory.
struct derived *derived_create(void);
void derived_free(struct derived *d); // takes NULL
size_t derived_bytes(const struct derived *d);

// Adds the parameters of a Bind message: their declared types come from `types`, OIDs; those behind the n_types-th have
// none. `skip`: the key's parameter, from 0, whose value is not needed; -1: there is none.
void derived_add_params(struct derived *d, const struct msg_bind *m, const uint32_t *types, unsigned n_types,
                        int skip);
// The statement is complete: gives it its name. `lookups`: the name of the statement that asks for the same lookups with keys
// that are sent. It tells settings and definitions apart, under which the same text means something else.
void derived_named(struct derived *d, XXH128_hash_t lookups);
// Tells whether anything of it did not fit.
bool derived_failed(const struct derived *d);

// Writes its Parse, and the values of its Bind with their formats in front.
void derived_write_parse(const struct derived *d, struct buf *out);
void derived_write_values(const struct derived *d, struct buf *out);

// What a row says.
enum derived_row { DERIVED_ROW, DERIVED_NO_ROW, DERIVED_WRONG };
// Reads the columns in front: the value of the key, of this type (OID) and format, into *k, which borrows. NO_ROW: the key's
// lookup has none; WRONG: it is no such row. *rest: what follows them.
enum derived_row derived_read_row(const struct msg_row *row, uint32_t type, uint16_t format, struct key *k,
                                  struct slice *rest);

#endif
