// SPDX-License-Identifier: PostgreSQL
//
// Lazy Parse. A statement whose description is known for this identity is prepared without the server:
// talk/prepare.c answers the client's Parse. The server gets the statement when something needs it:
//   - in the same write, in front of the Bind or Describe that names it (EXPECT_DELAYED); or
//   - in a unit of its own, in front of a statement that may use it without naming it (OWED_PARSE).
// A Close goes in front of each Parse, so that the Parse may be sent any number of times. Until the reply is
// there the statement does not count as given. talk/given.c reads the replies.
//
// A Parse locks the tables that it names. In front of the Bind it waits for what the Bind would wait for. A
// unit of its own is different: it runs in front of a statement that may have nothing to do with these
// tables. So the server gives it up when it waits long, each statement by itself. Inside a transaction the
// setting for that would stay; there the unit is framed, awaited and cancelled like any unit of ours
// (late.h). What was not given stays lacking.
//
// What the client was told of the statement may be wrong when the server gets it at last: definitions may
// have changed past this proxy. So the server describes it each time. If the description differs, the client
// is told what PostgreSQL says of a prepared statement whose columns have changed.
//
// Out of memory fails the session.
#ifndef PGFOLD_BATCHING_SESSION_LAZY_H
#define PGFOLD_BATCHING_SESSION_LAZY_H

#include "batching/session/session.h"
#include "batching/session/statements.h"

// ---- what the server lacks

// Does the server lack the statement? For a lookup this is asked of the lookup's own statement, since the
// client's unnamed one may be another by now.
bool session_lacks(const struct session *s, const struct statement *st);

// May a statement of this name be prepared without the server? Only if the name is free, as far as is known,
// and no more statements than allowed are lacking.
bool session_name_is_free(struct session *s, struct slice name);

// ---- giving it

// Writes and sends what gives the server the statement, in front of what needs it. The last entry of the owed
// queue is that of the unit. `waited`: what needs it is sent only when the server has answered. False: the
// session failed.
bool session_send_delayed(struct session *s, struct statement *st, bool waited);

// The same for all named statements that the server lacks, inside the unit that is open. What needs them
// waits.
bool session_give_all(struct session *s);

// What session_parse_all has sent.
enum giving {
    GIVING_NOTHING,
    GIVING_IN_FRONT, // what comes next may be sent behind it
    GIVING_FIRST,    // what comes next must wait for its answer
    GIVING_LATER     // nothing: the server may be in a transaction by now. Its answers tell
};

// Gives the server all named statements that it lacks, in units of their own. `asks`: the client's statement
// may use one of them by itself; then what has failed before is tried again at once.
enum giving session_parse_all(struct session *s, bool asks);

// Gives the server the named statement that the client's next statement is about, in a unit of its own. True:
// the next statement must wait for its answer. False: nothing was sent, the server has it.
bool session_give_named(struct session *s, struct slice name);

// Sends `unit`, for which the caller has pushed the entry `o`. It closes what it opens. Framed if o->framed.
void session_send_parses(struct session *s, struct owed *o, const struct buf *unit);

// ---- forgetting

// Is the named statement one that the server has, and may close behind the client's back? Nothing may still need it, and a Close
// outside a transaction cannot fail.
bool session_may_close_given(const struct session *s, const struct statement *st);

// Closes it at the server, in a unit of its own. False: the session failed.
bool session_close_given(struct session *s, struct slice name);

// The server may have lost any of the client's named statements, or may have another one under its name. Only
// those that it never got are kept.
void session_forget_given(struct session *s);

// The same, and of those that it never got only the ones without string constants are kept.
void session_forget_constants(struct session *s);

#endif
