// SPDX-License-Identifier: PostgreSQL
//
// The client's prepared statements: the named ones in a table, and the unnamed one. Also noted here: what the
// server's unnamed statement is, since folded lookups do not change it.
//
// A statement is counted by references. It leaves the table when the client closes it, and lives until the
// last reply about it has come. When there is no room to remember a statement, `names.unknown` says that the
// table is not complete; then its lookups are forwarded.
#ifndef PGFOLD_BATCHING_SESSION_STATEMENTS_H
#define PGFOLD_BATCHING_SESSION_STATEMENTS_H

#include "batching/session/session.h"

// A prepared statement of the client's, known by its Parse.
struct statement {
    UT_hash_handle hh;
    struct shape *shape; // a reference; NULL: its text is not known
    uint8_t unread;      // enum unread; shape: NULL
    bool confirmed;      // the client was told that it is accepted
    uint16_t blanks;     // in front of its text, in place of comments: shape_skipped
    bool on_server;      // named: the server has it, or its Parse is on the way; see session/lazy.h
    bool tried;          // it was sent: the server may have one of its name even if it counts as lacking
    bool changed;        // the server has it, but not as the client was told: what needs it is refused
    bool would_lack;     // mode observe: the server would not have got it (session/dry.h)
    bool ours;           // about pgfold's own settings: the server never gets it
    bool forgotten;      // session_forget_given removed it while it was on its way to the server
    bool unfit; // the server refused it or described it otherwise: it is given only when it is needed
    bool described, parameters_described;
    XXH128_hash_t row_hash;        // described: of its RowDescription
    XXH128_hash_t types_hash;      // described, and not from the server: of the types in it
    XXH128_hash_t parameters_hash; // parameters_described: of its ParameterDescription
    struct trail_columns *columns; // described, while lookahead is on: owned
    uint64_t generation;           // of the definitions when it was parsed
    uint64_t meaning;              // s->meaning when it was parsed
    uint16_t tags;                 // of its text's comments (report/tags.h)
    bool typed;                    // it was folded with parameters of these types:
    XXH128_hash_t types;
    struct account *memory; // its session's; it counts there with so many bytes,
    size_t weighs, claims;  // and claims those of its shape
    unsigned refs;          // the table's (or the session's), and those of all that needs it
    char name[];
};

// ---- one statement

// A statement with one reference, the caller's; in no table. `shape`: a reference is taken; may be NULL.
// NULL: out of memory.
struct statement *statement_create(struct session *s, const char *name, size_t len, struct shape *shape);

// Gives a reference back. Takes NULL.
void statement_unref(struct statement *st);

// Borrowed from the statement.
struct slice statement_name_of(const struct statement *st);

// ---- the client's statements

// The statement of this name; the empty name is the unnamed one. Borrowed; NULL: not known.
struct statement *session_statement(struct session *s, struct slice name);

// The client has prepared a statement: takes over the caller's reference. An unnamed one replaces the one
// before. A named one is forgotten if there is no room for it.
void session_put_statement(struct session *s, struct statement *st);

// The client has closed a statement: it leaves the table, if it is there.
void session_drop_statement(struct session *s, struct slice name);

// The same for a named one, unless another one has its name by now.
void session_drop_if_listed(struct session *s, struct statement *st);

// The client's unnamed statement is gone.
void session_drop_unnamed(struct session *s);

// All of our own statements on the server connection are gone or unknown. `names_too`: so are the client's
// named ones.
void session_forget_statements(struct session *s, bool names_too);

// ---- the server's unnamed statement

// By what was sent last, the server has one or has none. `shape`: a reference is taken; NULL: its text is not
// known.
void session_note_unnamed(struct session *s, bool has, struct shape *shape);

// ---- parts of the above, for files that change one thing

// Enters a named statement into the table, which takes over a reference. False: out of memory.
bool names_list(struct session *s, struct statement *st) __attribute__((warn_unused_result));

// Takes it out of the table. The caller owns the table's reference.
void names_unlist(struct session *s, struct statement *st);

// Sets the client's unnamed statement and takes over a reference; NULL: none. The caller has dropped the one
// before.
void names_put_unnamed(struct session *s, struct statement *st);

// A Close of the unnamed statement is on its way. The caller owns the reference.
struct statement *names_close_unnamed(struct session *s);

// The server did not reach that Close: the statement is the client's again. Takes a reference of its own.
void names_reopen_unnamed(struct session *s, struct statement *st);

// Gives back the references to the unnamed statements. The table must be empty.
void names_finish(struct session *s);

// The server may have prepared statements that are not in the table.
static inline void names_are_unknown(struct session *s) {
    s->names.unknown = true;
}

// It has none of that kind any more.
static inline void names_are_known(struct session *s) {
    s->names.unknown = false;
}

// Counts named statements that the server lacks: so many more, one less, exactly so many.
static inline void names_more_lazy(struct session *s, unsigned n) {
    s->names.n_lazy += n;
}

static inline void names_less_lazy(struct session *s) {
    s->names.n_lazy -= s->names.n_lazy > 0;
}

static inline void names_set_lazy(struct session *s, unsigned n) {
    s->names.n_lazy = n;
}

#endif
