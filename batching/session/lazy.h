// SPDX-License-Identifier: PostgreSQL
//
// Statements whose Parse was answered without the server: what it lacks, and how it is given that. The
// replies are read in talk/given.c.
#ifndef PGFOLD_BATCHING_SESSION_LAZY_H
#define PGFOLD_BATCHING_SESSION_LAZY_H

#include "batching/session/session.h"
#include "batching/session/statements.h"

// The server may have any of them no longer, or another one under its name; but for those that it never got.
void session_forget_given(struct session *s);
void session_forget_constants(struct session *s); // but for those that it lacks and that have no constants

// Does the server lack the statement (of a lookup: the unnamed one's shape may differ from the session's)?
bool session_lacks(const struct session *s, const struct statement *st);

// Writes what gives it the statement, in front of what needs it; the last entry of the owed queue is that
// of the unit. `waited`: what needs it is sent when the server has answered. False: the session failed.
bool session_send_delayed(struct session *s, struct statement *st, bool waited);

// All that it lacks, inside the unit that is open, to be waited for.
bool session_give_all(struct session *s);

// Gives the server all statements that it lacks, in a unit of its own. IN_FRONT: what comes may be sent
// behind it; FIRST: not before it is answered.
enum giving { GIVING_NOTHING, GIVING_IN_FRONT, GIVING_FIRST };

// `asks`: the client's statement may ask for one of them by itself; then what failed is tried again at once.
enum giving session_parse_all(struct session *s, bool asks);

// The same for the one that the client's next statement is about, and waits for itself. False: it has it.
bool session_give_named(struct session *s, struct slice name);

// May a statement of this name be created, as far as is known?
bool session_name_is_free(struct session *s, struct slice name);

// Sends what o stands for, a unit that closes what it opens; inside a transaction it is framed.
void session_send_parses(struct session *s, struct owed *o, const struct buf *unit);

#endif
