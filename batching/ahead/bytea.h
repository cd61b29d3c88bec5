// SPDX-License-Identifier: PostgreSQL
//
// Bytes (bytea) as text: \x and two digits for each, as the server writes them by default.
#ifndef PGFOLD_BATCHING_AHEAD_BYTEA_H
#define PGFOLD_BATCHING_AHEAD_BYTEA_H

#include "protocol/message.h"

enum { BYTEA_TYPE = 17 }; // OID

// Each writes to `out`, which has room for `max` bytes. Returns the number of bytes; 0: there is no such form, or no
// room.
size_t bytea_from_text(struct slice text, uint8_t *out, size_t max);
size_t bytea_to_text(struct slice bytes, uint8_t *out, size_t max);

#endif
