// SPDX-License-Identifier: PostgreSQL
//
// Forwarding, message by message: a run of bytes that goes to the server in one piece, while notes are taken
// of what the messages will do to the session. What is not understood makes the session private; framing that
// makes no sense makes it opaque.
#include <stdlib.h>
#include <string.h>

#include "batching/client.h"
#include "protocol/write.h"

// ---- what a forwarded statement will do to the session

static struct owed *owed_last(struct session *s) {
    struct owed_queue *q = &s->owed;
    return &q->ring[(q->head + q->n - 1) & (q->cap - 1)];
}

// The proof will tell what the settings are. Statements on their way that the doubt comes behind would
// contradict it.
static void doubt(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = &s->owed.ring[(s->owed.head + i) & (s->owed.cap - 1)];
        shape_unref(o->effect);
        o->effect = NULL;
    }
    session_identity_doubt(&s->engine->identities, &s->identity);
}

// A settings statement takes effect when the server has confirmed it, outside a transaction. Two in one unit,
// or one inside a transaction, leave the session in doubt.
static void note_setting(struct session *s, struct owed *o, struct shape *shape) {
    if (o->effect || s->txn != 'I' || s->n_forward > 1)
        doubt(s);
    else
        o->effect = shape_ref(shape);
}

static void pin_group(struct owed *o, struct group *g) {
    o->of.group = g;
    g->in_flight++;
}

static bool group_is_current(const struct engine *e, const struct group *g) {
    return g->generation == e->generation;
}

void group_refresh(struct engine *e, struct group *g) {
    bool old = e->now - g->vetted_at > e->limits.vet_max_age;
    if ((g->state == GROUP_READY || g->state == GROUP_REFUSED) && (old || !group_is_current(e, g)))
        group_forget(g);
}

// Of a session that is in doubt nothing is known that a read could leave as it was.
static bool may_be_proven(const struct session *s) {
    return s->identity.state == IDENTITY_PROVEN || s->identity.state == IDENTITY_PROVING;
}

// A SELECT of constants: there is nothing in it whose meaning only the catalogue knows.
static bool reads_constants(const struct parsed *p) {
    return !p->n_relations && !p->n_functions && !p->n_operators && p->reason == REASON_NO_TABLE;
}

enum read_effect forward_read_effect(struct feed *f, struct shape *shape, struct group **vetting) {
    struct session *s = f->s;
    struct engine *e = s->engine;
    const struct parsed *p = shape->parsed;
    if (e->limits.observe || reads_constants(p))
        return READ_PLAIN;
    if (!may_be_proven(s) || p->reason == REASON_CONSTRUCT || !vet_functions_plain(p))
        return READ_DOUBTFUL;
    struct identity *i = session_identity_current(&e->identities, &s->identity);
    struct group *g = i ? group_for_read(&e->groups, &e->identities, shape, i) : NULL;
    if (!g)
        return READ_DOUBTFUL;
    group_refresh(e, g);
    if (g->state == GROUP_NEW && s->txn == 'I') {
        feed_flush(f, true);
        session_start_vet(s, g);
    }
    *vetting = g;
    return g->state == GROUP_READY     ? READ_PLAIN
           : g->state == GROUP_VETTING ? READ_BEING_VETTED
                                       : READ_DOUBTFUL;
}

static void note_statement(struct session *s, struct owed *o, enum statement_kind kind, struct shape *shape,
                           bool changes) {
    switch (kind) {
    case STATEMENT_READ: // told before it was forwarded
    case STATEMENT_BEGIN:
    case STATEMENT_COMMIT:
    case STATEMENT_ROLLBACK:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_ROLLBACK_TO:
    case STATEMENT_HARMLESS:
        return;
    case STATEMENT_SET_LOCAL:
        return; // outside a transaction it has no effect, inside one it ends with it
    case STATEMENT_DISCARD_ALL:
        session_forget_statements(s, true);
        note_setting(s, o, shape);
        return;
    case STATEMENT_SET:
    case STATEMENT_RESET_ALL:
        note_setting(s, o, shape);
        return;
    case STATEMENT_DEALLOCATE:
        if (shape->parsed->name)
            session_drop_statement(
                s, (struct slice){(const uint8_t *)shape->parsed->name, strlen(shape->parsed->name)});
        else
            session_forget_statements(s, true);
        return;
    case STATEMENT_LOAD:
        session_identity_forever(&s->engine->identities, &s->identity);
        return;
    case STATEMENT_WRITE:
        doubt(s); // a trigger may do anything
        return;
    case STATEMENT_OTHER:
        break;
    }
    doubt(s);
    if (changes) {
        o->changes = true;
        engine_definitions_changed(s->engine);
    }
}

// Several statements, DO, CALL and what cannot be read may deallocate what the client prepared.
static bool may_deallocate(const struct statement_class *c) {
    return c->kind == STATEMENT_OTHER &&
           (c->changes || c->reason == REASON_MULTI_STATEMENT || c->reason == REASON_UNPARSABLE ||
            c->reason == REASON_TEXT_TOO_LONG);
}

// ---- forwarding, message by message

// What the unnamed portal runs from now on; NULL: nothing, or nothing that is known.
static void bind_portal(struct session *s, struct statement *st) {
    if (st)
        st->refs++;
    statement_unref(s->portal);
    s->portal = st;
}

static struct owed *begin_unit(struct session *s, bool extended) {
    struct owed *o = owed_push(s, OWED_FORWARD);
    if (!o) {
        session_fail(s, "53200", "out of memory");
        return NULL;
    }
    o->extended = extended;
    s->in_unit = extended;
    return o;
}

// "a simple Query message also destroys the unnamed statement" and the unnamed portal
static void drop_unnamed(struct session *s) {
    statement_unref(s->unnamed);
    s->unnamed = NULL;
    session_note_unnamed(s, false, NULL);
    bind_portal(s, NULL);
}

static void note_query(struct session *s, struct owed *o, const struct statement_class *c) {
    drop_unnamed(s);
    if (may_deallocate(c))
        session_forget_statements(s, true);
    note_statement(s, o, c->kind, c->shape, c->changes);
}

// A SELECT's effect, decided before its unit is opened, and noted in the unit's entry afterwards.
struct read_note {
    enum read_effect effect;
    struct group *vetting;
};

static struct read_note read_note(struct feed *f, enum statement_kind kind, struct shape *shape) {
    struct read_note n = {.effect = READ_PLAIN};
    if (kind == STATEMENT_READ && shape)
        n.effect = forward_read_effect(f, shape, &n.vetting);
    return n;
}

static void note_read(struct session *s, struct owed *o, const struct read_note *n) {
    if (n->effect == READ_DOUBTFUL || (n->effect == READ_BEING_VETTED && o->of.group))
        doubt(s);
    else if (n->effect == READ_BEING_VETTED)
        pin_group(o, n->vetting);
}

static bool forward_query(struct feed *f, struct slice text) {
    struct session *s = f->s;
    const struct statement_class *c = feed_classify(f, text);
    struct read_note n = read_note(f, c->kind, c->shape);
    struct owed *o = begin_unit(s, false);
    if (!o)
        return false;
    note_query(s, o, c);
    note_read(s, o, &n);
    return true;
}

static void put_parsed(struct session *s, struct slice name, struct shape *shape) {
    struct statement *st = statement_create((const char *)name.data, name.len, shape);
    if (!st)
        return session_fail(s, "53200", "out of memory");
    if (!name.len)
        session_note_unnamed(s, true, shape);
    session_expect(s, false, st);
    session_put_statement(s, st);
}

static void forward_parse(struct feed *f, const struct msg_parse *m) {
    struct session *s = f->s;
    enum reason why = REASON_NONE;
    struct shape *shape =
        s->no_scan ? NULL : shape_extended(&s->engine->shapes, m->text, m->n_types, m->types, &why);
    if (m->name.len && session_statement(s, m->name))
        return session_expect(s, false, NULL); // the server refuses it and keeps the old one
    put_parsed(s, m->name, shape);
}

// Before a unit that does not begin with Parse of the unnamed statement: if the server has another one than
// the client believes, give it, or take it away. Not later: behind an error the server reads nothing more of
// a unit, and then has what it had before.
static bool restore_unnamed(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    bool parses = fr->type == F_PARSE && f->len - f->at > FRAME_HEADER && !fr->body[0];
    if (parses || session_unnamed_fits(s))
        return true;
    feed_flush(f, true);
    return session_restore_unnamed(s, s->unnamed ? s->unnamed->shape : NULL);
}

// An Execute's statement takes effect. NULL: it is not known which one it is.
static void run_shape(struct feed *f, struct shape *shape) {
    struct session *s = f->s;
    if (!shape) {
        doubt(s);
        return;
    }
    struct owed *o = owed_last(s);
    enum statement_kind kind = shape->parsed->kind;
    if (kind == STATEMENT_READ) {
        struct read_note n = {.effect = READ_DOUBTFUL};
        if (may_be_proven(s) && !s->engine->limits.observe) {
            // The unit is open, the catalogue cannot be asked in front of it any more; see note_bound_read.
            struct identity *i = session_identity_current(&s->engine->identities, &s->identity);
            struct group *g = i ? group_for_read(&s->engine->groups, &s->engine->identities, shape, i) : NULL;
            if (g && group_is_current(s->engine, g) && g->state == GROUP_READY)
                n.effect = READ_PLAIN;
            else if (g && g->state == GROUP_VETTING)
                n = (struct read_note){READ_BEING_VETTED, g};
        }
        if (s->engine->limits.observe || reads_constants(shape->parsed))
            n.effect = READ_PLAIN;
        note_read(s, o, &n);
        return;
    }
    shape_ref(shape); // its statement may be one of those that it drops
    note_statement(s, o, kind, shape, shape->changes);
    shape_unref(shape);
}

// At the first message of an extended unit: if it names a SELECT that is not known to be a plain read, ask
// now.
static void ask_ahead(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct shape *shape = NULL;
    enum reason why;
    struct msg_parse p;
    struct msg_bind b;
    if (fr->type == F_PARSE && !s->no_scan && msg_parse_read(fr->body, fr->body_len, &p))
        shape = shape_extended(&s->engine->shapes, p.text, p.n_types, p.types, &why);
    else if (fr->type == F_BIND && msg_bind_read(fr->body, fr->body_len, &b)) {
        struct statement *st = session_statement(s, b.statement);
        shape = st ? st->shape : NULL;
    }
    if (shape && shape->parsed->kind == STATEMENT_READ && may_be_proven(s)) {
        struct group *g = NULL;
        (void)forward_read_effect(f, shape, &g);
    }
}

static void forward_bind(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_bind m;
    if (!msg_bind_read(fr->body, fr->body_len, &m))
        return session_go_opaque(s);
    struct statement *st = session_statement(s, m.statement);
    if (!m.portal.len)
        bind_portal(s, st);
    else
        run_shape(f, st ? st->shape : NULL); // a named portal may be run at any time
}

static void forward_describe(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_target m;
    if (!msg_target_read(fr->body, fr->body_len, &m))
        return session_go_opaque(s);
    struct statement *st = m.kind == 'S' ? session_statement(s, m.name) : m.name.len ? NULL : s->portal;
    session_expect(s, true, st);
}

static void forward_close(struct feed *f, const struct frame *fr) {
    struct msg_target m;
    if (!msg_target_read(fr->body, fr->body_len, &m))
        return session_go_opaque(f->s);
    if (m.kind == 'S')
        session_drop_statement(f->s, m.name);
    if (m.kind == 'S' && !m.name.len)
        session_note_unnamed(f->s, false, NULL);
}

static void forward_execute(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_execute m;
    if (!msg_execute_read(fr->body, fr->body_len, &m))
        return session_go_opaque(s);
    if (!m.portal.len)
        run_shape(f, s->portal ? s->portal->shape : NULL);
}

static void note_extended(struct feed *f, const struct frame *fr) {
    struct msg_parse p;
    switch (fr->type) {
    case F_PARSE:
        if (msg_parse_read(fr->body, fr->body_len, &p))
            forward_parse(f, &p);
        else
            session_go_opaque(f->s);
        return;
    case F_BIND:
        return forward_bind(f, fr);
    case F_DESCRIBE:
        return forward_describe(f, fr);
    case F_CLOSE:
        return forward_close(f, fr);
    case F_EXECUTE:
        return forward_execute(f, fr);
    default:
        return; // Flush
    }
}

// A Query too large to be looked at: what it does is not known.
static void note_large_query(struct session *s) {
    doubt(s);
    drop_unnamed(s);
    session_forget_statements(s, true);
    owed_last(s)->changes = true;
    engine_definitions_changed(s->engine);
}

static bool is_extended(uint8_t type) {
    return type == F_PARSE || type == F_BIND || type == F_DESCRIBE || type == F_CLOSE || type == F_EXECUTE ||
           type == F_FLUSH;
}

static bool is_read_whole(uint8_t type) {
    return type == F_QUERY || (is_extended(type) && type != F_FLUSH);
}

// The zero-terminated string at *at of a message's first bytes; false when its end is not among them.
static bool head_string(const struct feed *f, size_t *at, struct slice *out) {
    const uint8_t *p = f->bytes + f->at + *at;
    const uint8_t *zero = f->at + *at < f->len ? memchr(p, 0, f->len - f->at - *at) : NULL;
    if (!zero)
        return false;
    *out = (struct slice){p, (size_t)(zero - p)};
    *at += out->len + 1;
    return true;
}

// A large Parse or Bind (a long list of rows, a large value) tells by its names, which come first, what
// matters here.
static void note_large_extended(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct slice first, second;
    size_t at = FRAME_HEADER;
    if (fr->type == F_PARSE && head_string(f, &at, &first)) {
        session_drop_statement(s, first);
        put_parsed(s, first, NULL);
    } else if (fr->type == F_BIND && head_string(f, &at, &first) && head_string(f, &at, &second)) {
        if (first.len)
            doubt(s);
        else
            bind_portal(s, session_statement(s, second));
    } else {
        session_go_opaque(s);
    }
}

// COPY in the extended protocol: "the backend ignores Flush and Sync messages received during copy-in mode",
// so the number of replies can no longer be told from the messages. Everything else is as it looks.
static void note_other(struct feed *f, uint8_t type) {
    struct session *s = f->s;
    switch (type) {
    case F_COPY_DATA:
    case F_COPY_DONE:
    case F_COPY_FAIL:
        s->copying = true;
        if (s->in_unit || (s->owed.n && owed_last(s)->extended))
            session_go_opaque(s);
        return;
    case F_TERMINATE:
        s->terminating = true;
        return;
    case F_PASSWORD:
        return;
    default:
        session_go_opaque(s); // the server knows what to say to it
    }
}

static bool forward_sync(struct session *s) {
    if (s->copying) {
        session_go_opaque(s);
        return true;
    }
    if (!s->in_unit && !begin_unit(s, true))
        return false;
    s->in_unit = false;
    return true;
}

static bool forward_one(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    size_t have = f->len - f->at;
    bool whole = fr->size <= have;
    bool readable = fr->size <= s->engine->limits.max_text + UNIT_SLACK;
    struct slice text;
    if (!whole && readable && is_read_whole(fr->type))
        return false;
    if (s->owed.n >= SESSION_MAX_OWED) {
        s->held_full = true;
        return false;
    }
    if (fr->type == F_SYNC) {
        if (!forward_sync(s))
            return false;
    } else if (fr->type == F_FUNCTION_CALL) {
        if (!begin_unit(s, false))
            return false;
        doubt(s);
    } else if (fr->type == F_QUERY && whole && readable && msg_query_read(fr->body, fr->body_len, &text)) {
        if (s->in_unit) {
            session_go_opaque(s); // a Query inside an extended unit
            return true;
        }
        if (!forward_query(f, text))
            return false;
    } else if (fr->type == F_QUERY) {
        struct owed *o = begin_unit(s, false);
        if (!o)
            return false;
        note_large_query(s);
    } else if (is_extended(fr->type)) {
        if (!s->in_unit && whole && readable)
            ask_ahead(f, fr);
        if (!s->in_unit && (!restore_unnamed(f, fr) || !begin_unit(s, true)))
            return false;
        if ((whole && readable) || fr->type == F_FLUSH)
            note_extended(f, fr);
        else
            note_large_extended(f, fr);
    } else {
        note_other(f, fr->type);
    }
    return true;
}

// In mode observe the forwarded unit stands for the lookup that it would have been.
static void note_observed(struct session *s) {
    if (s->observed && s->owed.n && owed_last(s)->kind == OWED_FORWARD && !owed_last(s)->of.group)
        pin_group(owed_last(s), s->observed);
    s->observed = NULL;
}

bool forward_message(struct feed *f, const struct frame *fr) {
    bool done = forward_one(f, fr);
    if (done)
        note_observed(f->s);
    return done;
}
