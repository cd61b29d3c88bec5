// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/boundary_unit.h"

#include "batching/session/engine.h"
#include "batching/session/record.h"
#include "batching/session/room.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/watched.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "batching/talk/answer.h"
#include "batching/talk/extended.h"
#include "protocol/message.h"
#include "protocol/write.h"

// ---- reading

// The text of the Parse. Named ones are for the server: it may have one of that name.
static bool read_parse(struct session *s, struct boundary_unit *b) {
    enum reason why;
    const struct msg_parse *p = &b->unit.parse;
    if (p->name.len || p->n_types || !boundary_read(p->text, &b->is) || !session_may_remember(s, 0))
        return false;
    b->parsed = shape_of_parse(&s->engine->shapes, p, &why);
    return b->parsed && b->parsed->protocol == SHAPE_EXTENDED;
}

// The text of what was prepared before.
static bool read_prepared(struct session *s, struct boundary_unit *b) {
    const struct statement *st = session_statement(s, b->unit.bind.statement);
    if (!st || !st->shape || !st->confirmed || st->changed || st->ours ||
        st->shape->protocol != SHAPE_EXTENDED)
        return false;
    b->runs = st;
    return boundary_read((struct slice){(const uint8_t *)st->shape->text, st->shape->text_len}, &b->is);
}

// The first statement of several, where what is behind it is a unit, too.
static bool read_first(struct feed *f, struct unit *first) {
    struct unit rest;
    const uint8_t *bytes = f->bytes + f->at;
    size_t len = f->len - f->at, at = 0, max = f->s->engine->limits.max_text + UNIT_SLACK;
    if (!unit_part(bytes, len, &at, first))
        return false;
    enum unit_result r = unit_read(bytes + at, len - at, max, &rest);
    return r == UNIT_EXTENDED || r == UNIT_PIPELINE;
}

bool boundary_unit_read(struct feed *f, const struct unit *u, enum unit_result r, struct boundary_unit *out) {
    *out = (struct boundary_unit){
        .unit = *u, .simple = r == UNIT_SIMPLE, .whole = r != UNIT_PIPELINE && r != UNIT_OTHER};
    if (out->simple)
        return boundary_read(u->query, &out->is);
    if (!out->whole && !read_first(f, &out->unit))
        return false;
    const struct msg_bind *m = &out->unit.bind;
    if ((out->whole && r != UNIT_EXTENDED) || m->n_params || m->n_param_formats || m->n_result_formats > 1)
        return false;
    return out->unit.has_parse ? read_parse(f->s, out) : read_prepared(f->s, out);
}

// ---- answering

static void write_answer(const struct boundary_unit *b, struct buf *out) {
    buf_reset(out);
    if (b->unit.has_parse)
        write_empty(out, B_PARSE_COMPLETE);
    if (!b->simple)
        write_empty(out, B_BIND_COMPLETE);
    if (b->unit.has_describe)
        write_empty(out, B_NO_DATA);
    write_complete(out, b->is.tag);
    for (unsigned i = 0; i < b->unit.n_closes; i++)
        write_empty(out, B_CLOSE_COMPLETE);
    if (b->whole)
        write_ready(out, boundary_begins(b) ? 'T' : 'I');
}

// What the unit leaves of the client's unnamed statement and portal. `made`: by its Parse.
static void note_statement(struct session *s, const struct boundary_unit *b, struct statement *made) {
    if (b->simple) {
        extended_drop_unnamed(s);
        return;
    }
    s->figures->client_parses += made != NULL;
    s->figures->binds++;
    extended_set_portal(s, NULL);
    if (boundary_begins(b))
        session_note_unnamed(s, false, NULL); // the server will get a Query
    else if (made)
        session_note_unnamed(s, true, b->parsed);
    if (made)
        session_put_statement(s, made);
}

static void note_boundary(struct session *s, const struct boundary_unit *b, char before) {
    struct owed o = {.kind = OWED_FORWARD};
    session_txn_note(&o, b->is.kind, NULL);
    ahead_answered(s);
    session_txn_ended(s, &o, before);
    watched_note(s, b->is.kind, NULL);
}

static struct statement *make(struct session *s, const struct boundary_unit *b) {
    struct statement *st = statement_create(s, "", 0, b->parsed);
    if (st) {
        st->confirmed = st->on_server = true;
        st->generation = s->engine->generation;
    }
    return st;
}

bool boundary_unit_answer(struct session *s, const struct boundary_unit *b) {
    struct buf *out = &s->engine->answer;
    struct statement *made = b->parsed ? make(s, b) : NULL;
    char before = s->txn;
    write_answer(b, out);
    s->txn = boundary_begins(b) ? 'T' : 'I';
    if ((b->parsed && !made) || !session_answer(s, out, &b->is.kind)) {
        s->txn = before;
        statement_unref(made);
        return false;
    }
    note_statement(s, b, made);
    note_boundary(s, b, before);
    return true;
}
