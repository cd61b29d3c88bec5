// SPDX-License-Identifier: PostgreSQL
//
// The replies inside an extended unit that tell about prepared statements: what was sent and is not answered
// yet.
#ifndef PGFOLD_BATCHING_SESSION_EXPECTED_H
#define PGFOLD_BATCHING_SESSION_EXPECTED_H

#include "batching/session/session.h"
#include "batching/session/statements.h"

// Replies inside an extended unit that tell about a statement.
enum expected_kind {
    EXPECT_PARSE,
    EXPECT_DESCRIBE,
    EXPECT_CLOSE,
    EXPECT_DELAYED // of our own, for nobody else: CloseComplete (of a named one), ParseComplete,
                   // ParameterDescription, RowDescription
};

struct expected {
    enum expected_kind kind;
    struct statement *statement; // a reference, may be NULL
    bool waited;                 // DELAYED: what needs it has not been sent yet
};

void session_expect(struct session *s, enum expected_kind kind, struct statement *st);
void session_expect_delayed(struct session *s, struct statement *st, bool waited);
bool session_expects(const struct session *s, enum expected_kind kind, const struct statement *st);
void session_drop_expected(struct session *s);
struct statement *session_shift_expected(struct session *s, struct owed *o); // the first one's; yours now
void session_end_expected(struct session *s,
                          struct owed *o); // the unit has ended: what was not answered will not be

// How much of the server's answer to an EXPECT_DELAYED, or to what an OWED_PARSE gives, has come.
static inline void expected_next_stage(struct session *s) {
    s->expect.stage++;
}
static inline void expected_first_stage(struct session *s) { // of the next one
    s->expect.stage = 0;
}
void expected_finish(struct session *s);

// It was forgotten as one that the server has, and it has not.
void session_list_again(struct session *s, struct statement *st);

#endif
