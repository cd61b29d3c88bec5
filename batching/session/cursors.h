// SPDX-License-Identifier: PostgreSQL
//
// Cursors and named portals that the client has open, and what each of them runs.
#ifndef PGFOLD_BATCHING_SESSION_CURSORS_H
#define PGFOLD_BATCHING_SESSION_CURSORS_H

#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/statement/cursor.h"

// Those that the client has open are not known any more. Not `all`: those that end with the transaction.
void session_forget_cursors(struct session *s, bool all);
void session_forget_cursor(struct session *s, struct slice name);

// A named portal was bound in the unit at hand; st: NULL when it is not known.
void session_note_portal(struct session *s, struct slice name, struct statement *st, bool result_format,
                         bool formats_differ);

// The statement of a named portal; NULL: not known.
struct statement *session_portal(const struct session *s, struct slice name);

// One that was bound before is run by o, its unit.
void session_resume_portal(const struct session *s, struct slice name, struct owed *o);
void session_end_portals(struct session *s); // the unit at hand has been sent

// What DECLARE, FETCH or MOVE runs, which does what it does; borrowed. NULL: it is not known, or no SELECT,
// or cannot be followed. `extended`: the protocol.
struct shape *session_cursor_select(struct session *s, const struct cursor_statement *c, bool extended);

// It is forwarded as a plain read, as CLOSE always is.
void session_note_cursor(struct session *s, const struct cursor_statement *c, struct shape *select);

#endif
