// SPDX-License-Identifier: PostgreSQL
//
// SQL that makes settings for the length of one unit of pgfold's own.
#ifndef PGFOLD_BATCHING_TRUST_OWN_SETTINGS_H
#define PGFOLD_BATCHING_TRUST_OWN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A statement that runs in front of vetting's query, in the same unit. Its settings last until the end of the
// unit. They keep the client's own settings from making the query slow (no indexes, no nested loops,
// everything compiled). Static.
const char *vet_settings(void);

// The same, with a lock_timeout, for a question that runs in front of a client's statement in one write: a
// lock that somebody holds on the catalogue must not delay that statement. Vetting has no such timeout. It
// waits for locks on its tables, as the lookups themselves do, and is cancelled when its client needs the
// connection. Static.
const char *vet_question_settings(void);

#endif
