// SPDX-License-Identifier: PostgreSQL
//
// Parse, Close, DEALLOCATE and Sync that are answered without the server.
#ifndef PGFOLD_BATCHING_TALK_PREPARE_H
#define PGFOLD_BATCHING_TALK_PREPARE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"

enum take prepare_take(struct feed *f, const struct unit *u, enum reason *why);
enum take close_take(struct feed *f, const struct unit *u);
enum take deallocate_take(struct feed *f, const struct unit *u);
enum take sync_take(struct feed *f);

#endif
