// SPDX-License-Identifier: PostgreSQL
//
// A session of which nothing is understood any more: its bytes are relayed unread, for good.
#ifndef PGFOLD_BATCHING_TALK_OPAQUE_H
#define PGFOLD_BATCHING_TALK_OPAQUE_H

#include "batching/session/session.h"

void session_go_opaque(struct session *s);

#endif
