// SPDX-License-Identifier: PostgreSQL
//
// Keys whose equality is byte equality: integers and uuids. A key is brought into one form, so that the key
// that a client sent and the key column that the server returns can be matched; everything that is not
// plainly written is refused and its statement forwarded.
#ifndef PGFOLD_BATCHING_KEY_H
#define PGFOLD_BATCHING_KEY_H

#include "protocol/buf.h"
#include "protocol/message.h"

// Type OIDs of pg_type.dat; they are fixed.
enum {
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_UUID = 2950,
    OID_INT8_ARRAY = 1016,
    OID_INT2_ARRAY = 1005,
    OID_INT4_ARRAY = 1007,
    OID_UUID_ARRAY = 2951,
};

struct key {
    uint8_t bytes[16]; // an integer as 64 bits in network order and eight zeros, or a uuid
};

bool key_type_known(uint32_t oid); // one of the four types
bool key_type_is_integer(uint32_t oid);
uint32_t key_array_type(uint32_t oid);       // its array type, 0 when not known
const char *key_type_name(uint32_t oid);     // "int4"; NULL when not known
uint32_t key_type_by_name(const char *name); // the reverse; 0 when not known

// Reads a value of type oid: text (plain decimal digits with an optional minus sign; canonical uuid) or
// binary of the type's own width. False: null, out of the type's range or not in plain form.
bool key_read(uint32_t oid, uint16_t format, struct slice value, struct key *k)
    __attribute__((warn_unused_result));

// Appends the binary form of a one-dimensional array of n keys of type oid: a Bind parameter's value with its
// length.
void key_write_array(struct buf *b, uint32_t oid, const struct key *keys, uint32_t n);

#endif
