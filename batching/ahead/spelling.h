// SPDX-License-Identifier: PostgreSQL
//
// How a client writes back a value that it has read. The server writes a time as 2024-01-01 00:17:00+00; a
// driver reads it and sends 2024-01-01T00:17:00+00:00, or the same in binary. One pair of a value read and a
// value sent shows how the client will write the others. A wrong guess costs time but cannot give a wrong
// answer: rows are found by the bytes that come.
#ifndef PGFOLD_BATCHING_AHEAD_SPELLING_H
#define PGFOLD_BATCHING_AHEAD_SPELLING_H

#include <stdbool.h>

#include "batching/statement/key.h"

#define SPELLING_MAX KEY_MAX_RAW // bytes of a value

struct spelling {
    uint32_t type;
    bool from_binary, to_binary; // it is read in binary, and sent so
    int east;                    // read in binary, sent as text: the zone, seconds
    enum { SPELLED_SAME, SPELLED_TIME, SPELLED_STRIPPED } kind; // STRIPPED: a number without zeros at its end
    char between;                                               // the sign between date and time
    enum { FRACTION_SAME, FRACTION_SIX, FRACTION_THREE } fraction; // SIX: if there is one
    enum { ZONE_SAME, ZONE_MINUTES, ZONE_Z, ZONE_NONE } zone;
};

// Finds the way from a value of the type as the server wrote it to the value as it was sent, each in its format.
// Returns false when no way is known.
bool spelling_find(uint32_t type, uint16_t format_read, struct slice read, uint16_t format_sent,
                   struct slice sent, struct spelling *s) __attribute__((warn_unused_result));

// Writes another value in the same way. *sent is borrowed from `read`, or from `out`, which has room for
// SPELLING_MAX bytes. Returns false when the value cannot be written this way.
bool spelling_write(const struct spelling *s, struct slice read, uint8_t *out, struct slice *sent)
    __attribute__((warn_unused_result));

#endif
