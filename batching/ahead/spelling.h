// SPDX-License-Identifier: PostgreSQL
//
// How a client writes back a value that it has read. The server writes a time as 2024-01-01 00:17:00+00, a
// driver reads it and sends 2024-01-01T00:17:00+00:00. From the one that was read and the one that was sent
// follows how the others will be sent. A spelling that is guessed wrong costs time, never truth: rows are
// found by the bytes that come.
#ifndef PGFOLD_BATCHING_AHEAD_SPELLING_H
#define PGFOLD_BATCHING_AHEAD_SPELLING_H

#include <stdbool.h>

#include "protocol/message.h"

#define SPELLING_MAX 64 // bytes of a value

struct spelling {
    enum { SPELLED_SAME, SPELLED_TIME, SPELLED_BINARY } kind;      // BINARY: what was read was text
    char between;                                                  // date and time
    enum { FRACTION_SAME, FRACTION_SIX, FRACTION_THREE } fraction; // SIX: if there is one
    enum { ZONE_SAME, ZONE_MINUTES, ZONE_Z, ZONE_NONE } zone;
};

// From what was read (as the server wrote it) to what was sent; `binary`: which is no text any more. False:
// no way is known.
bool spelling_find(struct slice read, struct slice sent, bool binary, struct spelling *s)
    __attribute__((warn_unused_result));

// The same way with another value: its bytes in `out`, which holds SPELLING_MAX, and how many they are; 0: it
// cannot be written so.
size_t spelling_write(const struct spelling *s, struct slice read, uint8_t *out);

#endif
