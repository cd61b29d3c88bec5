// SPDX-License-Identifier: PostgreSQL
//
// Canonical forms: values whose forms are equal are equal for PostgreSQL. Integers, uuids, times and plain numerics
// are compared by what they mean, everything else by its bytes.
#ifndef PGFOLD_BATCHING_AHEAD_CANON_H
#define PGFOLD_BATCHING_AHEAD_CANON_H

#include "batching/ahead/columns.h"
#include "batching/statement/key.h"

// Reads an integer (of oid, too) or uuid. Returns false when it is not in plain form.
bool canon_read_plain(uint32_t type, uint16_t format, struct slice value, struct key *k)
    __attribute__((warn_unused_result));
// The form of a value of the column, as a trail has it. Of an OTHER it is KEY_PLAIN, a digest at times; else it is
// the value itself, borrowed.
struct key canon_of(const struct trail_column *c, const struct key *k);

// Makes an integer.
struct key canon_integer(int64_t v);
// Reads a text that is the canonical form of an integer (no leading zero or plus) or uuid (lower case), and no
// other. Returns false when it is none.
bool canon_text_integer(struct slice text, struct key *k) __attribute__((warn_unused_result));
bool canon_text_uuid(struct slice text, struct key *k) __attribute__((warn_unused_result));

#define CANON_TEXT 40 // bytes of the text of an integer or uuid

// Writes that text of an integer or uuid. Returns the number of bytes.
size_t canon_write_text(enum trail_kind kind, const struct key *k, uint8_t *out);

#endif
