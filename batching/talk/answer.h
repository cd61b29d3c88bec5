// SPDX-License-Identifier: PostgreSQL
//
// Answers that need no server.
#ifndef PGFOLD_BATCHING_TALK_ANSWER_H
#define PGFOLD_BATCHING_TALK_ANSWER_H

#include "batching/session/session.h"
#include "batching/statement/parse.h"

// An answer that needs no server goes out behind those of the lookups before it. False: out of memory. kind: that
// of the statement that it answers, NULL: of messages that are none (answered.h).
bool session_answer(struct session *s, const struct buf *answer, const enum statement_kind *kind);

#endif
