// SPDX-License-Identifier: PostgreSQL
//
// The elements of an array, one after the other: of one of the server's own types, in either format, or of JSON
// that is a flat list of numbers or texts.
#ifndef PGFOLD_BATCHING_AHEAD_ARRAYS_H
#define PGFOLD_BATCHING_AHEAD_ARRAYS_H

#include "batching/statement/key.h"

struct arrays_walk {
    struct slice rest; // borrowed
    uint16_t format;
    bool json;
    uint32_t left; // binary: elements
};

// The type of the elements of a type (OID); 0: they are none that this reads. Those of JSON are texts.
uint32_t arrays_element_type(uint32_t type);

// Begins with a value of the type. Returns false when it has no elements, or more than one dimension.
bool arrays_begin(struct arrays_walk *w, uint32_t type, uint16_t format, struct slice value)
    __attribute__((warn_unused_result));
// The next element. It may borrow from `scratch`, KEY_MAX_RAW bytes; NULL and what does not fit there has no data.
// Returns false at the end, and where there is no such array any more.
bool arrays_next(struct arrays_walk *w, uint8_t *scratch, struct slice *element)
    __attribute__((warn_unused_result));

#endif
