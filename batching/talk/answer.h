// SPDX-License-Identifier: PostgreSQL
//
// An answer that pgfold makes itself, without the server (talk/prepare.c), on its way to the client.
//
// The client gets answers in the order of its questions. Where none of its lookups is under way, the answer
// is sent at once; otherwise it waits behind them. When it can neither be sent nor kept, the caller forwards
// the unit.
#ifndef PGFOLD_BATCHING_TALK_ANSWER_H
#define PGFOLD_BATCHING_TALK_ANSWER_H

#include "batching/session/session.h"
#include "batching/statement/parse.h"

// Sends `answer`, which holds whole messages, or copies it to the end of the session's answers. False:
// nothing was sent. Then `answer` had failed, memory ran out, or the session already keeps max_answer bytes.
// `kind`: of the statement that it answers; NULL: it answers messages that are no statement
// (session/answered.h).
bool session_answer(struct session *s, const struct buf *answer, const enum statement_kind *kind);

#endif
