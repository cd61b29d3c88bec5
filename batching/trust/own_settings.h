// SPDX-License-Identifier: PostgreSQL
//
// SQL that makes settings for the length of one unit of pgfold's own.
//
// What bounds how long the unit waits for locks comes first, and is a SET: PostgreSQL reads nothing of the catalogue for it, which may
// be what somebody has locked. A call of set_config() would wait there itself.
#ifndef PGFOLD_BATCHING_TRUST_OWN_SETTINGS_H
#define PGFOLD_BATCHING_TRUST_OWN_SETTINGS_H

#include <stdbool.h>

#include "protocol/buf.h"

// A statement that runs in front of vetting's query, in the same unit. Its settings last until the end of the
// unit. They keep the client's own settings from making the query slow (no indexes, no nested loops,
// everything compiled). Static.
const char *vet_settings(void);

// Appends the statement that bounds how long each lock may be waited for: one that somebody holds on the catalogue, or on tables.
// `milliseconds`: not 0. `local`: for a transaction block, or a Query of several statements; ends with the transaction, or the
// savepoint. Otherwise for a unit of the extended protocol outside transactions, where PostgreSQL warns of SET LOCAL; ends when the
// unit fails, or by the statements of bound_end().
void bound_write(struct buf *out, bool local, unsigned milliseconds);

// The statements that end such a unit and take its settings back; static. They make the unit a transaction block, and roll that back.
// What fails before leaves no block behind. No statement_timeout strikes between them.
#define BOUND_END 3
const char *bound_end(unsigned i);

#endif
