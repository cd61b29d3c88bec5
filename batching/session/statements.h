// SPDX-License-Identifier: PostgreSQL
//
// The client's prepared statements, by name, and the unnamed one; and what the server's unnamed statement
// is.
#ifndef PGFOLD_BATCHING_SESSION_STATEMENTS_H
#define PGFOLD_BATCHING_SESSION_STATEMENTS_H

#include "batching/session/session.h"

// A prepared statement of the client's, known by its Parse.
struct statement {
    UT_hash_handle hh;
    struct shape *shape; // a reference; NULL: its text is not known
    uint8_t unread;      // enum unread; shape: NULL
    bool confirmed;      // the client was told that it is accepted
    bool on_server;      // named: the server has it, or its Parse is on the way; see session/lazy.c
    bool changed;        // it was given, and is not what the client was told: what needs it is refused
    bool forgotten;      // by session_forget_given, while it was on its way to the server
    bool unfit;          // it cannot be given for no reason of its own: not before it is needed
    bool described, parameters_described;
    XXH128_hash_t row_hash;        // described: of its RowDescription
    XXH128_hash_t types_hash;      // described, and not from the server: of the types in it
    XXH128_hash_t parameters_hash; // parameters_described: of its ParameterDescription
    struct trail_columns *columns; // described, while lookahead is on: owned
    uint64_t generation;           // of the definitions when it was parsed
    uint64_t meaning;              // the session's then
    bool typed;                    // it was folded with parameters of these types:
    XXH128_hash_t types;
    struct account *memory; // its session's; it is counted with so many bytes,
    size_t weighs, claims;  // and with those of its shape
    unsigned refs;          // the table's (or the session's) and those of awaited replies
    char name[];
};

void session_drop_if_listed(struct session *s, struct statement *st); // of the client's named statements
struct statement *statement_create(struct session *s, const char *name, size_t len, struct shape *shape);
void statement_unref(struct statement *st); // takes NULL
struct statement *session_statement(struct session *s, struct slice name);
void session_put_statement(struct session *s, struct statement *st);
void session_drop_statement(struct session *s, struct slice name);
void session_drop_unnamed(struct session *s); // the client's
void session_forget_statements(struct session *s, bool names_too);

// The server's unnamed statement, by what was sent last; is it what the client believes; Parse or Close that
// makes it so.
void session_note_unnamed(struct session *s, bool has, struct shape *shape);

// The server may have statements that are not in the table, or has not.
static inline void names_are_unknown(struct session *s) {
    s->names.unknown = true;
}
static inline void names_are_known(struct session *s) {
    s->names.unknown = false;
}

// Named ones that the server lacks: so many more; one less; so many.
static inline void names_more_lazy(struct session *s, unsigned n) {
    s->names.n_lazy += n;
}
static inline void names_less_lazy(struct session *s) {
    s->names.n_lazy -= s->names.n_lazy > 0;
}
static inline void names_set_lazy(struct session *s, unsigned n) {
    s->names.n_lazy = n;
}

// A named one enters the table, which refers to it. False: out of memory.
bool names_list(struct session *s, struct statement *st) __attribute__((warn_unused_result));
void names_unlist(struct session *s, struct statement *st); // the table's reference is the caller's

void names_put_unnamed(struct session *s, struct statement *st); // yours becomes the session's; NULL: none
struct statement *names_close_unnamed(struct session *s); // a Close is on its way; the reference is yours
void names_reopen_unnamed(struct session *s, struct statement *st); // it was not reached
void names_finish(struct session *s);

struct slice statement_name_of(const struct statement *st);

#endif
