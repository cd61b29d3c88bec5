// SPDX-License-Identifier: PostgreSQL
//
// What the client says. The happy path of a lookup: the unit at the front of the input is read whole, its shape looked up, its group
// found, and it waits there until the turn of the event loop ends (engine.c). Everything else is forwarded message by message: a run
// of bytes that goes to the server in one piece, while notes are taken of what the messages will do to the session.
//
// What is not understood is forwarded and makes the session private; framing that makes no sense makes it opaque.
#include <stdlib.h>
#include <string.h>

#include "batching/session.h"
#include "batching/unit.h"
#include "protocol/write.h"

#define UNIT_SLACK 4096 // bytes of a unit beside its text

// The client's bytes at hand, and the run of them that is still to be forwarded.
struct feed {
    struct session *s;
    const uint8_t *bytes;
    size_t len, at, run;
};

static void flush_run(struct feed *f, bool more) {
    if (f->at > f->run)
        f->s->engine->effects->to_server(f->s->owner, f->bytes + f->run, f->at - f->run, more);
    f->run = f->at;
}

// ---- what a statement is

struct statement_class {
    enum statement_kind kind;
    enum reason reason;
    struct shape *shape; // borrowed; NULL: the text alone says enough, or has no shape
    struct shape_text values;
    bool changes;
};

static bool has_inner_semicolon(struct slice text) {
    const uint8_t *p = memchr(text.data, ';', text.len);
    if (!p)
        return false;
    for (p++; p < text.data + text.len; p++)
        if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t' && *p != ';')
            return true;
    return false;
}

static bool word_in(struct slice text, struct token t, const char *const *words) {
    for (; *words; words++)
        if (token_is((const char *)text.data, t, *words))
            return true;
    return false;
}

static struct statement_class class_of_shape(struct statement_class c) {
    if (!c.shape)
        return c;
    c.kind = c.shape->parsed->kind;
    c.reason = c.shape->reason;
    c.changes = c.shape->changes;
    return c;
}

// A Query message's text. Statements that are no SELECT and need no closer look are told by their first word.
static struct statement_class classify_query(struct session *s, struct slice text) {
    static const char *const reads[] = {"select", "with", "values", "table", NULL};
    static const char *const writes[] = {"insert", "update", "delete", "merge", "copy", NULL};
    static const char *const transactions[] = {"begin", "start", "savepoint", "release", NULL};
    struct statement_class c = {.kind = STATEMENT_OTHER, .reason = REASON_NOT_SELECT};
    if (s->no_scan) {
        c.reason = REASON_ENCODING;
        c.changes = true;
        return c;
    }
    struct token t = lexer_first_word((const char *)text.data, text.len);
    if (word_in(text, t, reads)) {
        c.shape = shape_simple(&s->engine->shapes, text, &c.values, &c.reason);
        c.changes = c.reason == REASON_MULTI_STATEMENT;
        return class_of_shape(c);
    }
    bool several = has_inner_semicolon(text);
    if (!several && word_in(text, t, writes))
        c.kind = STATEMENT_WRITE;
    else if (!several && word_in(text, t, transactions))
        c.kind = STATEMENT_BEGIN;
    else if (several || shape_text_changes_definitions(text)) {
        c.reason = several ? REASON_MULTI_STATEMENT : REASON_NOT_SELECT;
        c.changes = true;
    } else {
        c.shape = shape_verbatim(&s->engine->shapes, text, &c.reason);
        return class_of_shape(c);
    }
    return c;
}

// ---- what a forwarded statement will do to the session

static struct owed *owed_last(struct session *s) {
    struct owed_queue *q = &s->owed;
    return &q->ring[(q->head + q->n - 1) & (q->cap - 1)];
}

static void doubt(struct session *s) {
    session_identity_doubt(&s->engine->identities, &s->identity);
}

// A settings statement takes effect when the server has confirmed it, outside a transaction. Two in one unit, or one inside a
// transaction, leave the session in doubt.
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

// A group that is too old, or was vetted under other definitions, starts anew.
static void refresh_group(struct engine *e, struct group *g) {
    bool old = e->now - g->vetted_at > e->limits.vet_max_age;
    if ((g->state == GROUP_READY || g->state == GROUP_REFUSED) && (old || !group_is_current(e, g)))
        group_forget(g);
}

// What is known of a SELECT's effects on the session that runs it.
enum read_effect { READ_PLAIN, READ_DOUBTFUL, READ_BEING_VETTED };

// Is this SELECT a plain read? If nobody knows yet, the catalogue is asked in front of it, so that it cannot change the answer.
static enum read_effect read_effect(struct feed *f, struct shape *shape, struct group **vetting) {
    struct session *s = f->s;
    struct engine *e = s->engine;
    const struct parsed *p = shape->parsed;
    if (e->limits.observe || (!p->n_relations && !p->n_functions && !p->n_operators && p->reason == REASON_NO_TABLE))
        return READ_PLAIN;
    if (s->identity.state != IDENTITY_PROVEN || p->reason == REASON_CONSTRUCT || !vet_functions_plain(p))
        return READ_DOUBTFUL;
    struct identity *i = session_identity_current(&e->identities, &s->identity);
    struct group *g = i ? group_for_read(&e->groups, &e->identities, shape, i) : NULL;
    if (!g)
        return READ_DOUBTFUL;
    refresh_group(e, g);
    if (g->state == GROUP_NEW && s->txn == 'I') {
        flush_run(f, true);
        session_start_vet(s, g);
    }
    *vetting = g;
    return g->state == GROUP_READY ? READ_PLAIN : g->state == GROUP_VETTING ? READ_BEING_VETTED : READ_DOUBTFUL;
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
            session_drop_statement(s, (struct slice){(const uint8_t *)shape->parsed->name, strlen(shape->parsed->name)});
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
    return c->kind == STATEMENT_OTHER && (c->changes || c->reason == REASON_MULTI_STATEMENT ||
                                          c->reason == REASON_UNPARSABLE || c->reason == REASON_TEXT_TOO_LONG);
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
    if (o)
        o->extended = extended;
    s->in_unit = extended;
    return o;
}

static void note_query(struct session *s, struct owed *o, const struct statement_class *c) {
    statement_unref(s->unnamed); // "a simple Query message also destroys the unnamed statement"
    s->unnamed = NULL;
    s->unnamed_dropped = false;
    bind_portal(s, NULL);
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
        n.effect = read_effect(f, shape, &n.vetting);
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
    struct statement_class c = classify_query(s, text);
    struct read_note n = read_note(f, c.kind, c.shape);
    struct owed *o = begin_unit(s, false);
    if (!o)
        return false;
    note_query(s, o, &c);
    note_read(s, o, &n);
    return true;
}

static void forward_parse(struct feed *f, const struct msg_parse *m) {
    struct session *s = f->s;
    enum reason why = REASON_NONE;
    struct shape *shape =
        s->no_scan ? NULL : shape_extended(&s->engine->shapes, m->text, m->n_types, m->types, &why);
    if (m->name.len && session_statement(s, m->name))
        return session_expect(s, false, NULL); // the server refuses it and keeps the old one
    struct statement *st = statement_create((const char *)m->name.data, m->name.len, shape);
    if (!m->name.len) {
        statement_unref(s->unnamed);
        s->unnamed = NULL;
        s->unnamed_dropped = false;
    }
    session_expect(s, false, st);
    if (st)
        session_put_statement(s, st);
}

// The server does not have the unnamed statement as the client believes: give it, or take it away.
static void restore_unnamed(struct feed *f) {
    struct session *s = f->s;
    struct buf *b = &s->engine->request;
    bool missing = s->unnamed && s->unnamed->is_virtual;
    if (!missing && !s->unnamed_dropped)
        return;
    flush_run(f, true);
    buf_reset(b);
    if (missing) {
        const struct shape *shape = s->unnamed->shape;
        write_parse(b, (struct slice){0}, (struct slice){(uint8_t *)shape->text, shape->text_len}, shape->types,
                    shape->n_types);
        s->unnamed->is_virtual = false;
    } else {
        write_close(b, 'S', (struct slice){0});
    }
    s->unnamed_dropped = false;
    if (b->failed)
        return;
    owed_last(s)->swallow++;
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
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
        if (s->identity.state == IDENTITY_PROVEN && s->n_forward) {
            // The unit is open, the catalogue cannot be asked in front of it any more; see note_bound_read.
            struct identity *i = session_identity_current(&s->engine->identities, &s->identity);
            struct group *g =
                i ? group_for_read(&s->engine->groups, &s->engine->identities, shape, i) : NULL;
            if (g && group_is_current(s->engine, g) && g->state == GROUP_READY)
                n.effect = READ_PLAIN;
            else if (g && g->state == GROUP_VETTING)
                n = (struct read_note){READ_BEING_VETTED, g};
        }
        if (s->engine->limits.observe || (!shape->parsed->n_relations && !shape->parsed->n_functions))
            n.effect = READ_PLAIN;
        note_read(s, o, &n);
        return;
    }
    note_statement(s, o, kind, shape, shape->changes);
}

// At the first message of an extended unit: if it names a SELECT that is not known to be a plain read, ask now.
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
    if (shape && shape->parsed->kind == STATEMENT_READ && s->identity.state == IDENTITY_PROVEN) {
        struct group *g = NULL;
        (void)read_effect(f, shape, &g);
    }
}

static void forward_bind(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_bind m;
    if (!msg_bind_read(fr->body, fr->body_len, &m))
        return session_go_opaque(s);
    if (!m.statement.len)
        restore_unnamed(f);
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
    if (m.kind == 'S' && !m.name.len)
        restore_unnamed(f);
    struct statement *st = m.kind == 'S' ? session_statement(s, m.name) : m.name.len ? NULL : s->portal;
    session_expect(s, true, st);
}

static void forward_close(struct feed *f, const struct frame *fr) {
    struct msg_target m;
    if (!msg_target_read(fr->body, fr->body_len, &m))
        return session_go_opaque(f->s);
    if (m.kind == 'S')
        session_drop_statement(f->s, m.name);
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

// A large Parse or Bind (a long list of rows, a large value) tells by its names, which come first, what matters here.
static void note_large_extended(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct slice first, second;
    size_t at = FRAME_HEADER;
    if (fr->type == F_PARSE && head_string(f, &at, &first)) {
        struct statement *st = statement_create((const char *)first.data, first.len, NULL);
        session_drop_statement(s, first);
        s->unnamed_dropped = s->unnamed_dropped && first.len;
        session_expect(s, false, st);
        if (st)
            session_put_statement(s, st);
    } else if (fr->type == F_BIND && head_string(f, &at, &first) && head_string(f, &at, &second)) {
        if (!second.len)
            restore_unnamed(f);
        if (first.len)
            doubt(s);
        else
            bind_portal(s, session_statement(s, second));
    } else {
        session_go_opaque(s);
    }
}

// COPY in the extended protocol: "the backend ignores Flush and Sync messages received during copy-in mode", so the number of
// replies can no longer be told from the messages. Everything else is as it looks.
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

// Forwards the message at f->at. False: more of its bytes are needed first, or the queue of owed replies is full.
static bool forward_message(struct feed *f, const struct frame *fr) {
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
        if (!s->in_unit && !begin_unit(s, true))
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

// ---- lookups

enum take { TAKE_FORWARD, TAKE_TAKEN, TAKE_WAIT };

// A lookup on its way to being accepted.
struct candidate {
    struct session *s;
    const uint8_t *bytes;
    const struct unit *unit;
    bool simple;
    struct shape *shape;
    struct shape_text values; // simple
    struct statement *statement; // extended, parsed in an earlier unit
    struct group *group;
    struct slice raw_key;
    uint16_t key_format;
};

static struct slice candidate_value(const struct candidate *c, int param) {
    if (c->simple) {
        const struct shape_value *v = &c->values.values[param - 1];
        bool quoted = v->type == TOKEN_STRING;
        return (struct slice){c->unit->query.data + v->at + quoted, v->len - 2u * quoted};
    }
    size_t walk = 0;
    struct slice value = {0};
    for (int i = 0; i < param && msg_bind_next_param(&c->unit->bind, &walk, &value); i++)
        ;
    return value;
}

static enum reason find_shape_extended(struct candidate *c) {
    struct session *s = c->s;
    const struct unit *u = c->unit;
    enum reason why = REASON_NONE;
    if (u->has_parse) {
        c->shape = shape_extended(&s->engine->shapes, u->parse.text, u->parse.n_types, u->parse.types, &why);
        return c->shape ? c->shape->reason : why;
    }
    c->statement = session_statement(s, u->bind.statement);
    if (!c->statement || !c->statement->shape || !(c->statement->confirmed || c->statement->is_virtual) ||
        (!u->bind.statement.len && s->unnamed_dropped))
        return REASON_UNKNOWN_STATEMENT;
    c->shape = c->statement->shape;
    if (c->shape->reason != REASON_NONE)
        return c->shape->reason;
    return c->statement->described ? REASON_NONE : REASON_NOT_DESCRIBED;
}

static enum reason find_shape(struct candidate *c) {
    if (c->s->no_scan)
        return REASON_ENCODING;
    if (!c->simple) {
        enum reason why = find_shape_extended(c);
        if (why != REASON_NONE)
            return why;
        bool fits = c->unit->bind.n_params == c->shape->parsed->n_params &&
                    c->shape->n_types <= (unsigned)c->shape->parsed->n_params;
        return fits ? REASON_NONE : REASON_PARAMETERS;
    }
    struct statement_class k = classify_query(c->s, c->unit->query);
    c->shape = k.shape;
    c->values = k.values;
    if (k.kind != STATEMENT_READ || !k.shape)
        return k.reason == REASON_NONE ? REASON_NOT_SELECT : k.reason;
    return k.reason;
}

static enum reason find_group(struct candidate *c) {
    struct session *s = c->s;
    struct engine *e = s->engine;
    const struct parsed *p = c->shape->parsed;
    for (int i = 0; i < p->n_keys && p->n_keys > 1; i++)
        shape_watch(c->shape, i, candidate_value(c, p->keys[i].param));
    struct identity *id = session_identity_current(&e->identities, &s->identity);
    if (!id)
        return REASON_MEMORY;
    c->group = c->simple ? group_for_simple(&e->groups, &e->identities, c->shape, id, c->unit->query, &c->values)
                         : group_for_extended(&e->groups, &e->identities, c->shape, id, &c->unit->bind);
    if (!c->group)
        return REASON_TOO_MANY_SHAPES;
    int param = p->keys[c->shape->key].param;
    c->raw_key = candidate_value(c, param);
    c->key_format = c->simple ? 0 : msg_bind_param_format(&c->unit->bind, (unsigned)param - 1);
    return REASON_NONE;
}

static struct lookup *lookup_create(const struct candidate *c) {
    const struct unit *u = c->unit;
    struct lookup *l = calloc(1, sizeof *l + u->size);
    if (!l)
        return NULL;
    memcpy(l->bytes, c->bytes, u->size);
    l->len = u->size;
    l->session = c->s;
    l->group = c->group;
    l->simple = c->simple;
    l->has_parse = u->has_parse;
    l->has_describe = u->has_describe;
    l->reparse = !c->simple && !u->has_parse && !u->bind.statement.len;
    l->raw_key = (struct slice){l->bytes + (c->raw_key.data - c->bytes), c->raw_key.len};
    if (!c->raw_key.data)
        l->raw_key.data = NULL;
    l->key_format = c->key_format;
    if (c->statement) {
        l->check_row_hash = true;
        l->row_hash = c->statement->row_hash;
    }
    return l;
}

static void queue_lookup(struct session *s, struct lookup *l) {
    struct group *g = l->group;
    l->previous = s->last;
    *(s->last ? &s->last->next : &s->first) = l;
    s->last = l;
    s->n_lookups++;
    l->previous_waiting = g->last;
    *(g->last ? &g->last->next_waiting : &g->first) = l;
    g->last = l;
    if (!g->n_waiting++)
        g->waiting_since = s->engine->now;
    engine_list_group(s->engine, g);
}

// The client's view of the unnamed statement after this unit, of which the server may never hear.
static void note_unnamed(struct session *s, const struct candidate *c) {
    if (c->simple) {
        s->unnamed_dropped = s->unnamed_dropped || (s->unnamed && !s->unnamed->is_virtual);
        statement_unref(s->unnamed);
        s->unnamed = NULL;
    } else if (c->unit->has_parse) {
        struct statement *st = statement_create("", 0, c->shape);
        statement_unref(s->unnamed);
        s->unnamed = st;
        s->unnamed_dropped = false;
        if (st)
            st->is_virtual = st->confirmed = true;
    }
}

// Everything that a lookup must be; the order is that of cost.
static enum reason judge(struct candidate *c) {
    struct session *s = c->s;
    enum reason why = find_shape(c);
    if (why != REASON_NONE)
        return why;
    if (s->txn != 'I')
        return REASON_TRANSACTION;
    if (s->n_forward)
        return REASON_BEHIND_FORWARD;
    why = find_group(c);
    if (why != REASON_NONE)
        return why;
    refresh_group(s->engine, c->group);
    if (c->group->state == GROUP_REFUSED)
        return REASON_VET_REFUSED;
    return s->engine->limits.observe ? REASON_OBSERVE : REASON_NONE;
}

static bool accept(struct session *s, const struct candidate *c) {
    struct lookup *l = lookup_create(c);
    if (!l)
        return false;
    s->engine->counters.lookups++;
    note_unnamed(s, c);
    queue_lookup(s, l);
    if (session_identity_wants_proof(&s->identity))
        engine_list_proof(s->engine, s);
    return true;
}

static enum take try_lookup(struct feed *f, const struct unit *u, bool simple, enum reason *why) {
    struct session *s = f->s;
    struct candidate c = {.s = s, .bytes = f->bytes + f->at, .unit = u, .simple = simple};
    *why = judge(&c);
    if (*why == REASON_OBSERVE) {
        s->engine->counters.lookups++;
        s->engine->counters.would_fold += c.group->in_flight > 0;
        s->observed = c.group;
    }
    if (*why != REASON_NONE)
        return TAKE_FORWARD;
    struct group *vetting = NULL;
    // Run alone it must be a plain read, or the session would no longer be what it was proven to be. A session that is
    // not proven folds with itself alone, and its proof comes after.
    if (s->identity.state == IDENTITY_PROVEN && read_effect(f, c.shape, &vetting) != READ_PLAIN &&
        (!vetting || vetting->state != GROUP_VETTING || !session_vets(s, vetting))) {
        *why = REASON_NOT_VETTED;
        return TAKE_FORWARD;
    }
    if (s->n_lookups >= s->engine->limits.max_waiting) {
        s->held_full = true;
        return TAKE_WAIT;
    }
    if (!accept(s, &c)) {
        *why = REASON_MEMORY;
        return TAKE_FORWARD;
    }
    return TAKE_TAKEN;
}

// A unit that is no lookup comes behind lookups that wait: they go out at once, and it waits for them unless all of them run on
// the own connection.
static bool must_wait_for_lookups(struct session *s) {
    if (!s->n_lookups || session_order_is_safe(s))
        return false;
    for (struct lookup *l = s->first; l; l = l->next) {
        if (l->state != LOOKUP_WAITING)
            continue;
        l->group->urgent = true;
        engine_dispatch_group(s->engine, l->group);
        if (l->state == LOOKUP_WAITING)
            break;
    }
    if (session_order_is_safe(s))
        return false;
    s->hold = true;
    return true;
}

// Decides about the unit at the front, of which the first message's header is there.
static enum take take_unit(struct feed *f, size_t *size) {
    struct session *s = f->s;
    uint8_t type = f->bytes[f->at];
    struct unit u = {0};
    enum reason why = REASON_FRAMING;
    enum take take = TAKE_FORWARD;
    if (!s->force_forward && (type == F_QUERY || type == F_PARSE || type == F_BIND)) {
        enum unit_result r = unit_read(f->bytes + f->at, f->len - f->at, s->engine->limits.max_text + UNIT_SLACK, &u);
        why = u.why;
        if (r == UNIT_PARTIAL && !s->n_forward) {
            if (!s->partial_since)
                s->partial_since = s->engine->now;
            return TAKE_WAIT;
        }
        if (r == UNIT_SIMPLE || r == UNIT_EXTENDED)
            take = try_lookup(f, &u, r == UNIT_SIMPLE, &why);
    }
    s->partial_since = 0;
    if (take == TAKE_FORWARD) {
        if (must_wait_for_lookups(s))
            return TAKE_WAIT;
        s->force_forward = false;
        if (type == F_QUERY || type == F_PARSE || type == F_BIND)
            s->engine->counters.forwarded[why]++;
    }
    *size = u.size;
    return take;
}

// ---- entry

static bool step(struct feed *f) {
    struct session *s = f->s;
    struct frame fr;
    size_t have = f->len - f->at, size = 0;
    switch (frame_header(f->bytes + f->at, have, &fr)) {
    case FRAME_INCOMPLETE:
        return false;
    case FRAME_MALFORMED:
        flush_run(f, false);
        session_fail(s, "08P01", "invalid message length: the client does not speak PostgreSQL's protocol");
        return false;
    case FRAME_OK:
        break;
    }
    if (!s->in_unit) {
        enum take t = take_unit(f, &size);
        if (t == TAKE_WAIT)
            return false;
        if (t == TAKE_TAKEN) {
            flush_run(f, true);
            f->at += size;
            f->run = f->at;
            return true;
        }
    }
    if (!forward_message(f, &fr))
        return false;
    if (s->observed) {
        if (s->owed.n && owed_last(s)->kind == OWED_FORWARD && !owed_last(s)->of.group)
            pin_group(owed_last(s), s->observed);
        s->observed = NULL;
    }
    size_t now = fr.size < have ? fr.size : have;
    s->client_skip = fr.size - now;
    f->at += now;
    return true;
}

size_t session_from_client(struct session *s, const uint8_t *bytes, size_t len) {
    struct feed f = {.s = s, .bytes = bytes, .len = len};
    while (f.at < f.len && session_takes_client(s)) {
        if (s->opaque) {
            f.at = f.len;
        } else if (s->client_skip) {
            size_t n = s->client_skip < f.len - f.at ? s->client_skip : f.len - f.at;
            s->client_skip -= n;
            f.at += n;
        } else if (!step(&f)) {
            break;
        }
    }
    if (s->failed)
        return len;
    flush_run(&f, false);
    return f.at;
}
