// SPDX-License-Identifier: PostgreSQL
//
// The replies inside extended units that will tell about prepared statements, in order: Parse, Describe and
// Close messages that were sent and are not answered yet.
//
// A file that sends such a message calls session_expect. talk/client_reply.c and talk/given.c take the first
// one out when its reply comes. If the unit ends before that, session_end_expected corrects what was believed
// of the statement. Out of memory fails the session.
#ifndef PGFOLD_BATCHING_SESSION_EXPECTED_H
#define PGFOLD_BATCHING_SESSION_EXPECTED_H

#include "batching/session/session.h"
#include "batching/session/statements.h"

enum expected_kind {
    EXPECT_PARSE,
    EXPECT_DESCRIBE,
    EXPECT_CLOSE,
    // A Parse of our own, which the client does not see. Its replies: CloseComplete (of a named one),
    // ParseComplete, ParameterDescription, RowDescription.
    EXPECT_DELAYED
};

struct expected {
    enum expected_kind kind;
    struct statement *statement; // a reference, may be NULL
    bool waited;                 // DELAYED: what needs the statement has not been sent yet
    uint64_t sent;               // DELAYED: engine time
};

// A reply to the last unit will tell about this statement. NULL: about none that is known. Takes a reference
// of its own.
void session_expect(struct session *s, enum expected_kind kind, struct statement *st);

// The same for EXPECT_DELAYED. `waited`: see struct expected.
void session_expect_delayed(struct session *s, struct statement *st, bool waited);

// Will a reply of this kind tell about the statement?
bool session_expects(const struct session *s, enum expected_kind kind, const struct statement *st);

// Takes the first one out, which belongs to `o`; there must be one. The caller owns the reference. May be
// NULL.
struct statement *session_shift_expected(struct session *s, struct owed *o);

// The unit `o` has ended: the replies that did not come will not come. What is known of their statements is
// corrected.
void session_end_expected(struct session *s, struct owed *o);

// How many messages have come of the replies to an EXPECT_DELAYED, or to what comes first in an OWED_PARSE.
static inline void expected_next_stage(struct session *s) {
    s->expect.stage++;
}

// The next EXPECT_DELAYED begins.
static inline void expected_first_stage(struct session *s) {
    s->expect.stage = 0;
}

// Forgets all, without corrections.
void session_drop_expected(struct session *s);

// Frees the queue, which must be empty.
void expected_finish(struct session *s);

// A statement was removed from the client's table since the server was believed to have it, but it has not.
// Puts it back if its name is free and there is room.
void session_list_again(struct session *s, struct statement *st);

#endif
