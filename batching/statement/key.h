// SPDX-License-Identifier: PostgreSQL
//
// Key values. A plain key is an integer or a uuid, whose equality is equality of one canonical form: then the
// key that a client sent and the key column that the server returns can be matched. A raw key is a value of
// any other type: it is sent on as it came, and only the server ever compares it. Both are told apart by
// their bytes, so that what is sent twice is sent once.
//
// Keys travel as one array parameter for each part of the key: binary for plain ones and for raw ones that
// came in binary, a text array for raw ones that came as text.
#ifndef PGFOLD_BATCHING_STATEMENT_KEY_H
#define PGFOLD_BATCHING_STATEMENT_KEY_H

#include "protocol/buf.h"
#include "protocol/message.h"

// Type OIDs of pg_type.dat; they are fixed.
enum {
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_NUMERIC = 1700,
    OID_UUID = 2950,
    OID_INT8_ARRAY = 1016,
    OID_INT2_ARRAY = 1005,
    OID_INT4_ARRAY = 1007,
    OID_UUID_ARRAY = 2951,
};

#define KEY_MAX_PARTS 4    // parameters of a composite key
#define KEY_MAX_RAW   1024 // bytes of a raw value; a longer one is no key

enum key_kind {
    KEY_NULL,
    KEY_PLAIN,   // an integer as 64 bits in network order and eight zeros, or a uuid
    KEY_RAW,     // the value's bytes
    KEY_DOUBLED, // the same, of a string constant: every quote in it stands twice
};

struct key {
    uint8_t kind;
    uint32_t len; // KEY_RAW, KEY_DOUBLED
    union {
        uint8_t bytes[16];  // KEY_PLAIN
        const uint8_t *raw; // borrowed from the lookup
    } of;
};

bool key_type_is_plain(uint32_t oid);   // one of the four types
bool key_type_is_integer(uint32_t oid); // one of the three
// The array type of one of the server's own types and the reverse; 0 when it is not among those that have an
// equality and whose arrays are written like any other's.
uint32_t key_array_type(uint32_t oid);
uint32_t key_element_type(uint32_t array);

// Reads a value of a plain type: text (plain decimal digits with an optional minus sign; canonical uuid) or
// binary of the type's own width. NULL (no data) is a key, too. False: out of the type's range or not in
// plain form.
bool key_read(uint32_t oid, uint16_t format, struct slice value, struct key *k)
    __attribute__((warn_unused_result));

// Takes a value as it is; `doubled`: from within a string constant. False: too long.
bool key_read_raw(struct slice value, bool doubled, struct key *k) __attribute__((warn_unused_result));

// The one element of an array parameter: text as in {5} or {"a b"}, or binary with this element type. False:
// it has none or several, it is NULL, or is not plainly written.
bool key_array_element(uint16_t format, struct slice array, uint32_t element_type, struct slice *element)
    __attribute__((warn_unused_result));

bool key_equal(const struct key *a, const struct key *b);
uint64_t key_hash(const struct key *k, uint64_t seed);

// Appends an array of the n keys keys[0], keys[step], … as a Bind parameter's value with its length. oid: the
// elements' type. format: 1 when the keys are plain or came in binary, else 0.
void key_write_array(struct buf *b, uint32_t oid, uint16_t format, const struct key *keys, uint32_t n,
                     uint32_t step);

#endif
