// SPDX-License-Identifier: PostgreSQL
//
// How a client writes back a value that it has read. The server writes a time as 2024-01-01 00:17:00+00; a
// driver reads it and sends 2024-01-01T00:17:00+00:00. One pair of a value read and a value sent shows how
// the client will write the others. A wrong guess costs time but cannot give a wrong answer: rows are found
// by the bytes that come.
#ifndef PGFOLD_BATCHING_AHEAD_SPELLING_H
#define PGFOLD_BATCHING_AHEAD_SPELLING_H

#include <stdbool.h>

#include "protocol/message.h"

#define SPELLING_MAX 64 // bytes of a value

struct spelling {
    enum { SPELLED_SAME, SPELLED_TIME, SPELLED_BINARY } kind;      // BINARY: it was read as text
    char between;                                                  // the sign between date and time
    enum { FRACTION_SAME, FRACTION_SIX, FRACTION_THREE } fraction; // SIX: if there is one
    enum { ZONE_SAME, ZONE_MINUTES, ZONE_Z, ZONE_NONE } zone;
};

// Finds the way from a value as the server wrote it to the value as it was sent. `binary`: it was sent in
// binary. Returns false when no way is known.
bool spelling_find(struct slice read, struct slice sent, bool binary, struct spelling *s)
    __attribute__((warn_unused_result));

// Writes another value in the same way to `out`, which has room for SPELLING_MAX bytes. Returns the number of
// bytes; 0: the value cannot be written this way.
size_t spelling_write(const struct spelling *s, struct slice read, uint8_t *out);

#endif
