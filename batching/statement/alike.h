// SPDX-License-Identifier: PostgreSQL
//
// Is it the same question, asked in another way? A client may send a statement with its values as constants or as
// parameters, as text or in binary, with a comment or in capitals. Two questions with the same hash are taken for
// one. That may be wrong for some that differ; it costs them an answer from what was loaded ahead.
//
// Integers and uuids are recognised in all their formats, other values by their bytes.
#ifndef PGFOLD_BATCHING_STATEMENT_ALIKE_H
#define PGFOLD_BATCHING_STATEMENT_ALIKE_H

#include "batching/statement/lexer.h"
#include "protocol/message.h"

struct alike {
    uint64_t hash;                  // of the text, whose constants count as values
    uint8_t uses[SHAPE_MAX_VALUES]; // how often $1, $2, … stand in it
};

void alike_of_text(const char *text, size_t len, struct alike *a);

// The hash of a value. Data NULL: an SQL NULL. The hash of a question is that of its text, plus that of each value
// for each of its uses: their order does not matter.
uint64_t alike_value(uint16_t format, struct slice value);

#endif
