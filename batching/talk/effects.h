// SPDX-License-Identifier: PostgreSQL
//
// What a forwarded statement will do to its session: settings, definitions, prepared statements,
// transaction, writes.
#ifndef PGFOLD_BATCHING_TALK_EFFECTS_H
#define PGFOLD_BATCHING_TALK_EFFECTS_H

#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/talk/classify.h"

void effect_doubt(struct session *s);
void effect_note_statement(struct session *s, struct owed *o, enum statement_kind kind, struct shape *shape,
                           bool changes);
void effect_note_unknown(struct session *s);
enum unread effect_unread_of_shape(const struct shape *s);
void effect_note_unread(struct session *s, struct statement *st, enum unread u);
bool effect_may_set_isolation(const struct shape *shape, enum reason why);
void effect_note_writes(struct session *s, enum statement_kind kind, const struct parsed *p);
void effect_note_query_writes(struct session *s, const struct statement_class *c, struct slice text);
bool effect_may_deallocate(const struct statement_class *c);
enum unread effect_relax_long_query(enum unread u, enum reason why);
enum unread effect_unread_of_class(const struct statement_class *c);

#endif
