// SPDX-License-Identifier: PostgreSQL
//
// Cursors and named portals that the client has open, and what each of them runs. To the server the two are
// one.
//
// A loop over the pages of a cursor is a loop over rows like any other, so FETCH must not count as a
// statement of which nothing is known. For each name, what last opened it is remembered. Every other way to
// open one (a function, several statements in one message) leaves the session in doubt. A doubt forgets all
// names, and so does an error. A name is used only if nothing but its own statement is under way: then it is
// known whether what opened it has succeeded.
//
// Units of ours inside the transaction do not disturb this. Each opens a savepoint of its own, runs no
// portal of the client's, and ends. ROLLBACK TO its savepoint closes what was opened in it, and moves no
// cursor.
//
// Bounded: of more than 16 names the oldest are forgotten. Out of memory, nothing is remembered.
#ifndef PGFOLD_BATCHING_SESSION_CURSORS_H
#define PGFOLD_BATCHING_SESSION_CURSORS_H

#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/statement/cursor.h"

// ---- cursors

// The SELECT that a DECLARE, FETCH or MOVE runs; the statement does what that does. Borrowed. NULL: it is not
// known, or is no SELECT, or cannot be followed. `extended`: the protocol.
struct shape *session_cursor_select(struct session *s, const struct cursor_statement *c, bool extended);

// A cursor's statement is forwarded as a plain read, as CLOSE always is. `select`: what DECLARE runs; a
// reference is taken.
void session_note_cursor(struct session *s, const struct cursor_statement *c, struct shape *select);

// ---- named portals

// A named portal was bound in the unit at hand. `st`: a reference is taken; NULL: not known.
void session_note_portal(struct session *s, struct slice name, struct statement *st,
                         const struct row_formats *formats);

// The statement of a named portal; borrowed. NULL: not known.
struct statement *session_portal(const struct session *s, struct slice name);

// The unit `o` runs a named portal. If an earlier unit has bound it, notes in `o` what it runs.
void session_resume_portal(const struct session *s, struct slice name, struct owed *o);

// The unit at hand has been sent: its portals count as bound by an earlier unit from now on.
void session_end_portals(struct session *s);

// ---- both

// Forgets the names that end with the transaction; `all`: all names.
void session_forget_cursors(struct session *s, bool all);
void session_forget_cursor(struct session *s, struct slice name);

#endif
