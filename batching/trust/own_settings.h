// SPDX-License-Identifier: PostgreSQL
//
// Settings made for the length of one unit of our own.
#ifndef PGFOLD_BATCHING_TRUST_OWN_SETTINGS_H
#define PGFOLD_BATCHING_TRUST_OWN_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A statement to run in front of either, in the same unit: settings that last until its end, so that what the
// client has set cannot make the query slow (no indexes, no nested loops, everything compiled).
const char *vet_settings(void);

// The same for what stands in front of a client's statement in one write: no lock of somebody's on the
// catalogue may hold that up. Vetting waits for locks of its tables, as what it vets does, and is cancelled
// for its client.
const char *vet_question_settings(void);

#endif
