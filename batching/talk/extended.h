// SPDX-License-Identifier: PostgreSQL
//
// The messages of the extended protocol, forwarded one by one.
#ifndef PGFOLD_BATCHING_TALK_EXTENDED_H
#define PGFOLD_BATCHING_TALK_EXTENDED_H

#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/talk/feed.h"

void extended_set_portal(struct session *s, struct statement *st);
void extended_note_unreadable(struct session *s);
bool extended_restore_unnamed(struct feed *f, const struct frame *fr);
void extended_forward(struct feed *f, const struct frame *fr);
bool extended_read_name(const struct feed *f, size_t *at, struct slice *out);
void extended_forward_large(struct feed *f, const struct frame *fr);

#endif
