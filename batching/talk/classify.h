// SPDX-License-Identifier: PostgreSQL
//
// What the text of a Query message is, found at the least cost that is safe:
//   - a single SELECT (WITH, VALUES, TABLE): by its shape, which is cached;
//   - a statement that its first words describe well enough: by these words; also BEGIN and one write behind it;
//   - anything else: by the whole text, parsed once and cached.
// What cannot be read is STATEMENT_OTHER: it may do anything.
#ifndef PGFOLD_BATCHING_TALK_CLASSIFY_H
#define PGFOLD_BATCHING_TALK_CLASSIFY_H

#include "batching/session/session.h"
#include "batching/statement/cursor.h"

struct statement_class {
    enum statement_kind kind;
    enum reason reason;        // why it is no lookup; NONE: it may be one
    struct shape *shape;       // borrowed from the cache; NULL: it has none, or its first words suffice
    struct shape_text values;  // of a SELECT: the constants taken out
    struct slice name;         // of a DEALLOCATE without a shape: the name in the text
    enum unread unread;        // shape NULL, and the text was not read: what it may be all the same
    bool changes;              // may change definitions
    struct slice behind_begin; // the text is a plain BEGIN and one write: that write, which `kind` tells of
    struct cursor_statement cursor; // a statement about a cursor; it has no shape then
};

// Classifies the text of a Query message. The result borrows from the text and from the cache of shapes.
struct statement_class classify_query(struct session *s, struct slice text);

// Looks at the whole text after all. Used for a cursor's statement that cannot be followed.
void classify_verbatim(struct session *s, struct slice text, struct statement_class *c);

// The name that a DEALLOCATE gives; empty: ALL. Borrowed from the shape or from the text.
struct slice class_name(const struct statement_class *c);

#endif
