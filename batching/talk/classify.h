// SPDX-License-Identifier: PostgreSQL
//
// What a Query message's text is.
#ifndef PGFOLD_BATCHING_TALK_CLASSIFY_H
#define PGFOLD_BATCHING_TALK_CLASSIFY_H

#include "batching/session/session.h"
#include "batching/statement/cursor.h"

// What a Query message's text is.
struct statement_class {
    enum statement_kind kind;
    enum reason reason;             // why it is no lookup; NONE: it may be one
    struct shape *shape;            // borrowed; NULL: the text alone says enough, or has no shape
    struct shape_text values;       // the constants taken out
    struct slice name;              // DEALLOCATE without a shape: of this statement
    enum unread unread;             // shape NULL: its text was not read
    bool changes;                   // may change definitions
    struct cursor_statement cursor; // when it is about one; no shape then
};

struct statement_class classify_query(struct session *s, struct slice text);
void classify_verbatim(struct session *s, struct slice text, struct statement_class *c); // by the whole text
struct slice class_name(const struct statement_class *c); // of DEALLOCATE; empty: ALL

#endif
