// SPDX-License-Identifier: PostgreSQL
//
// A reply has ended: what its entry in the queue of owed replies stood for is done.
#ifndef PGFOLD_BATCHING_TALK_REPLY_END_H
#define PGFOLD_BATCHING_TALK_REPLY_END_H

#include "batching/session/session.h"

void reply_end(struct session *s, char status);

#endif
