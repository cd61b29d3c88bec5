// SPDX-License-Identifier: PostgreSQL
//
// Answers that need no server.
#ifndef PGFOLD_BATCHING_TALK_ANSWER_H
#define PGFOLD_BATCHING_TALK_ANSWER_H

#include "batching/session/session.h"

// An answer that needs no server goes out behind those of the lookups before it. False: out of memory.
bool session_answer(struct session *s, const struct buf *answer);

#endif
