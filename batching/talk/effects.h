// SPDX-License-Identifier: PostgreSQL
//
// What a forwarded statement will do to its session, noted while it is sent: to settings, definitions,
// prepared statements, cursors, the transaction, what is held ahead, and the tables that it writes to.
//
// The notes are put into the session and into the unit's FORWARD entry (`struct forward_effects`); when the
// reply has ended, talk/reply_end.c acts on them. A statement that is not understood leaves the identity in
// doubt: nothing is shared with other sessions until the session is proved again. None of these functions
// fails.
#ifndef PGFOLD_BATCHING_TALK_EFFECTS_H
#define PGFOLD_BATCHING_TALK_EFFECTS_H

#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/talk/classify.h"

// The session's identity is in doubt from now on. What is held for it is dropped.
void effect_doubt(struct session *s);

// Notes a statement of this kind in `o`, the last entry of the owed queue. `shape` may be NULL. p: the parsed
// text of a write; NULL: nothing is known of it, so it counts for all tables. `changes`: the statement may
// change definitions.
void effect_note_statement(struct session *s, struct owed *o, enum statement_kind kind, struct shape *shape,
                           const struct parsed *p, bool changes);

// The same for a statement of which nothing is known: it may write, and it may end the transaction.
void effect_note_unknown(struct session *s);

// The same for an Execute of `st`, whose text was not read or not parsed. The text may prepare and
// deallocate; `st` itself stays known.
void effect_note_unread(struct session *s, struct statement *st, enum unread u);

// What a Query message's INSERT, UPDATE, DELETE or MERGE says, by its tokens: these have no shape. Owned by
// the caller. NULL: it is another statement, or nothing is known of it.
struct parsed *effect_parse_write(struct session *s, const struct statement_class *c, struct slice text);

// May a statement that is not understood set its transaction's isolation level? `shape` may be NULL; `why`:
// the reason that it is no lookup.
bool effect_may_set_isolation(const struct shape *shape, enum reason why);

// Is it known that the server refuses a statement of this kind, of the entry `o`? An aborted transaction runs nothing but what ends it
// or leads back, and none runs DISCARD ALL. So what the client has prepared stays.
bool effect_is_refused(const struct session *s, const struct owed *o, enum statement_kind kind);

// May the statement deallocate what the client has prepared?
bool effect_may_deallocate(const struct statement_class *c);

// What a text that was not read may be: of a shape, and of a Query message.
enum unread effect_unread_of_shape(const struct shape *s);
enum unread effect_unread_of_class(const struct statement_class *c);

// Weakens UNREAD_QUERY for a SELECT that is only too long: later units need not wait for its answer.
enum unread effect_relax_long_query(enum unread u, enum reason why);

#endif
