// SPDX-License-Identifier: PostgreSQL
//
// Lookups in mode observe: when flow/dry.h is told of them. Nothing fails.
#ifndef PGFOLD_BATCHING_TALK_DRY_REPLY_H
#define PGFOLD_BATCHING_TALK_DRY_REPLY_H

#include "batching/session/session.h"

// A message of the unit at hand was forwarded.
void dry_sent(struct session *s);

// A forwarded unit's reply has ended, and will be reported.
void dry_reply(struct session *s, struct owed *o);

// The same, when the session has its new state.
void dry_end(struct session *s, struct owed *o);

#endif
