// SPDX-License-Identifier: PostgreSQL
//
// SQL that makes settings for the length of one unit of pgfold's own.
#ifndef PGFOLD_BATCHING_TRUST_OWN_SETTINGS_H
#define PGFOLD_BATCHING_TRUST_OWN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"

// A statement that runs in front of vetting's query, in the same unit. Its settings last until the end of the
// unit. They keep the client's own settings from making the query slow (no indexes, no nested loops,
// everything compiled). The lock_timeout among them bounds how long a client's statement that is sent behind such a
// question may wait for it: for a lock that somebody holds on the catalogue or on the tables. What the client has set itself
// stays if it is less. Static.
const char *vet_settings(void);

// The same, with another lock_timeout: milliseconds; 0: as the client has it.
void vet_write_settings(struct buf *out, unsigned lock_timeout);

#endif
