// SPDX-License-Identifier: PostgreSQL
//
// Key values. A plain key is an integer or a uuid. Its equality is equality of one canonical form, so a key
// that a client sent can be matched with the key column that the server returns. A raw key is a value of any
// other type: it is sent on as it came, and only the server compares it. Both kinds are told apart by their
// bytes, so a key that comes twice is sent once.
//
// Each part of the key travels as one array parameter. The array is binary for plain keys and for raw keys
// that came in binary, and text for raw keys that came as text.
#ifndef PGFOLD_BATCHING_STATEMENT_KEY_H
#define PGFOLD_BATCHING_STATEMENT_KEY_H

#include "protocol/buf.h"
#include "protocol/message.h"

// Type OIDs of pg_type.dat. They are fixed.
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

bool key_type_is_plain(uint32_t oid); // one of the four types
// Tells whether a type (OID) is not one of the server's own.
bool key_type_is_foreign(uint32_t type);
bool key_type_is_integer(uint32_t oid); // one of the three
// The array type of one of the server's own types, and the reverse. 0: the type is not among those that have
// an equality and whose arrays are written like any other's.
uint32_t key_array_type(uint32_t oid);
uint32_t key_element_type(uint32_t array);

// Reads a value of a plain type: as text (decimal digits with an optional minus sign; a canonical uuid) or in
// binary of the type's own width. NULL (no data) is a key, too. Returns false when the value is out of the
// type's range or not in plain form.
bool key_read(uint32_t oid, uint16_t format, struct slice value, struct key *k)
    __attribute__((warn_unused_result));

// Takes a value as it is and borrows its bytes. `doubled`: it comes from within a string constant. Returns
// false when it is too long.
bool key_read_raw(struct slice value, bool doubled, struct key *k) __attribute__((warn_unused_result));

// Finds the one element of an array parameter: text as in {5} or {"a b"}, or binary with this element type.
// The element is borrowed. Returns false when the array has none or several, or the element is NULL or not
// plainly written.
bool key_array_element(uint16_t format, struct slice array, uint32_t element_type, struct slice *element)
    __attribute__((warn_unused_result));

// Keys are equal when their kind and bytes are. Equal keys have equal hashes.
bool key_equal(const struct key *a, const struct key *b);
uint64_t key_hash(const struct key *k, uint64_t seed);

// Appends an array of the n keys keys[0], keys[step], … as the value of a Bind parameter, with its length.
// oid: the elements' type. format: 1 (binary) when the keys are plain or came in binary, else 0 (text).
void key_write_array(struct buf *b, uint32_t oid, uint16_t format, const struct key *keys, uint32_t n,
                     uint32_t step);

#endif
