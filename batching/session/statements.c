// SPDX-License-Identifier: PostgreSQL
#include "batching/session/statements.h"

#include <stdlib.h>
#include <string.h>

#include "batching/base/memory.h"
#include "batching/session/engine.h"
#include "batching/session/frame.h"
#include "batching/session/own_prepared.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/statement/shape.h"
#include "protocol/message.h"

struct statement *statement_create(struct session *s, const char *name, size_t len, struct shape *shape) {
    struct statement *st = calloc(1, sizeof *st + len + 1);
    if (!st)
        return NULL;
    memcpy(st->name, name, len);
    st->refs = 1;
    st->shape = shape ? shape_ref(shape) : NULL;
    st->claims = shape ? shape->weighs : 0;
    st->tags = s->report.text;
    st->memory = &s->names_memory;
    st->memory->claimed += st->claims;
    if (len)
        statement_weigh(st);
    return st;
}

void statement_unref(struct statement *st) {
    if (!st || --st->refs)
        return;
    st->memory->claimed -= st->claims;
    account_set(st->memory, &st->weighs, 0);
    shape_unref(st->shape);
    free(st->columns);
    free(st);
}

struct statement *session_statement(struct session *s, struct slice name) {
    struct statement *st;
    if (!name.len)
        return s->names.unnamed;
    HASH_FIND(hh, s->names.table, name.data, name.len, st);
    return st;
}

bool names_list(struct session *s, struct statement *st) {
    HASH_ADD_KEYPTR(hh, s->names.table, st->name, strlen(st->name), st);
    s->names.n += st->hh.tbl != NULL;
    return st->hh.tbl;
}

void names_unlist(struct session *s, struct statement *st) {
    HASH_DEL(s->names.table, st);
    s->names.n--;
}

void session_put_statement(struct session *s, struct statement *st) {
    st->meaning = s->meaning;
    if (!st->name[0]) {
        session_drop_unnamed(s);
        s->names.unnamed = st;
        return;
    }
    // A statement that the server lacks must not be lost. There was room for it when the client was told that
    // it is accepted.
    bool lazy = st->confirmed && !st->on_server;
    bool room = s->names.n < s->engine->limits.max_statements &&
                session_has_room_for(s, true, st->weighs + st->claims);
    if (lazy || room) {
        if (names_list(s, st))
            return;
    }
    s->names.unknown = true;
    statement_unref(st);
}

void session_drop_unnamed(struct session *s) {
    statement_unref(s->names.unnamed);
    s->names.unnamed = NULL;
    s->names.closing = NULL;
}

void session_drop_statement(struct session *s, struct slice name) {
    struct statement *st = session_statement(s, name);
    if (!st)
        return;
    if (st == s->names.unnamed) {
        s->names.unnamed = NULL;
    } else {
        names_unlist(s, st);
    }
    statement_unref(st);
}

void session_forget_statements(struct session *s, bool names_too) {
    own_prepared_forget(s);
    frame_forget_prepared(s);
    if (!names_too)
        return;
    struct statement *st, *next;
    HASH_ITER(hh, s->names.table, st, next) {
        HASH_DEL(s->names.table, st);
        statement_unref(st);
    }
    s->names.n = s->names.n_lazy = 0;
}

void session_drop_if_listed(struct session *s, struct statement *st) {
    struct statement *listed = NULL;
    HASH_FIND(hh, s->names.table, st->name, strlen(st->name), listed);
    if (listed == st)
        session_drop_statement(s, (struct slice){(const uint8_t *)st->name, strlen(st->name)});
}

// ---- the unnamed statement

void session_note_unnamed(struct session *s, bool has, struct shape *shape) {
    shape = shape ? shape_ref(shape) : NULL;
    shape_unref(s->names.server_unnamed);
    s->names.server_unnamed = shape;
    s->names.server_has_unnamed = has;
}

void names_put_unnamed(struct session *s, struct statement *st) {
    s->names.unnamed = st;
}

struct statement *names_close_unnamed(struct session *s) {
    struct statement *st = s->names.unnamed;
    s->names.unnamed = NULL;
    s->names.closing = st;
    return st;
}

void names_reopen_unnamed(struct session *s, struct statement *st) {
    s->names.closing = NULL;
    s->names.unnamed = st;
    st->refs++;
}

void names_finish(struct session *s) {
    statement_unref(s->names.unnamed);
    shape_unref(s->names.server_unnamed);
    s->names.unnamed = NULL;
    s->names.server_unnamed = NULL;
}

struct slice statement_name_of(const struct statement *st) {
    return (struct slice){(const uint8_t *)st->name, strlen(st->name)};
}
