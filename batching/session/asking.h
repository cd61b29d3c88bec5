// SPDX-License-Identifier: PostgreSQL
//
// What a session has asked, and how many lists it had read by then (ahead/asked.h). Out of memory, nothing is noted.
#ifndef PGFOLD_BATCHING_SESSION_ASKING_H
#define PGFOLD_BATCHING_SESSION_ASKING_H

#include "batching/session/session.h"

// The number of lists that the session has read.
uint32_t session_lists_read(const struct session *s);

// The session asks this, however it is answered: the batches up to this number are older than its answer.
void session_note_question(struct session *s, uint64_t hash, uint32_t loads);

#endif
