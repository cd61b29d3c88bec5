// SPDX-License-Identifier: PostgreSQL
//
// Dates and times in both of the server's forms: as text, in its default DateStyle and in the ways in which drivers
// write them (2024-01-01T00:17:00.000Z), and in binary, as days or microseconds since 2000.
#ifndef PGFOLD_BATCHING_AHEAD_TIMES_H
#define PGFOLD_BATCHING_AHEAD_TIMES_H

#include "protocol/message.h"

#define TIMES_BYTES 40

enum { TIMES_DATE = 1082, TIMES_TIMESTAMP = 1114, TIMES_TIMESTAMPTZ = 1184 }; // OIDs

// Tells whether the type is one of these.
bool times_is_type(uint32_t type);
// Reads a value; a text without a zone is taken for one in UTC. *east: seconds east of Greenwich, of a text's zone;
// 0: none. Returns false when it has no such form: infinity, a year before 1 or above 9999.
bool times_read(uint32_t type, uint16_t format, struct slice value, int64_t *v, int *east)
    __attribute__((warn_unused_result));
// Writes a value to `out`, which has room for TIMES_BYTES: as text as the server would, in this zone; or in binary.
// Returns the number of bytes; 0: it has no such form.
size_t times_write(uint32_t type, uint16_t format, int64_t v, int east, uint8_t *out);

#endif
