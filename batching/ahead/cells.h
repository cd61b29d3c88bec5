// SPDX-License-Identifier: PostgreSQL
//
// The values of one column of a result, by row. Integers take eight bytes, uuids sixteen, texts and others
// eight and their own bytes.
#ifndef PGFOLD_BATCHING_AHEAD_CELLS_H
#define PGFOLD_BATCHING_AHEAD_CELLS_H

#include "batching/ahead/columns.h"
#include "batching/statement/key.h"

struct cells {
    uint8_t *values; // owned
    uint64_t *nulls; // owned: a bit for each row that has no value; NULL: all have one
    struct buf texts;
    int64_t least, most; // of the integers
    // Of n_slots slots with row + 1 and bits of the hash (search.h). It is made at the first search.
    uint32_t *index; // owned
    // Made with the index. By row: the next row with the same value, counted from 1.
    uint32_t *equal;   // owned
    uint32_t distinct; // number of values; 0: not counted
};

// max_texts: bytes of all texts.
void cells_init(struct cells *c, size_t max_texts);
void cells_free(struct cells *c); // what is left has no value

// Bytes of a value of this kind, without those of a text.
size_t cells_width(uint8_t kind);
// Bytes that it holds, with room for so many rows.
size_t cells_bytes(const struct cells *c, uint8_t kind, uint32_t rows);
// Makes room for so many rows; before there was some for fewer. Returns false when there is no memory.
bool cells_grow(struct cells *c, uint8_t kind, uint32_t before, uint32_t rows)
    __attribute__((warn_unused_result));
// Puts the value of a row; `rows`: there is room for so many. A value for which there is no memory counts as
// none. Returns the number of bytes that it has allocated.
size_t cells_put(struct cells *c, uint8_t kind, uint32_t row, uint32_t rows, const struct key *k);
// KEY_NULL: none; KEY_PLAIN: an integer or uuid; KEY_RAW: a text or another, borrowed.
struct key cells_get(const struct cells *c, uint8_t kind, uint32_t row);

// Tells whether a value lies between the least and the greatest.
bool cells_may_have(const struct cells *c, uint8_t kind, const struct key *k);

#endif
