// SPDX-License-Identifier: PostgreSQL
//
// Forwarding, message by message: a run of bytes that goes to the server in one piece, while notes are taken
// of what the messages will do to the session. What is not understood makes the session private; framing that
// makes no sense makes it opaque.
#include <stdlib.h>
#include <string.h>

#include "batching/talk/client.h"
#include "batching/statement/cost.h"
#include "batching/fold/savepoint.h"
#include "protocol/write.h"

// ---- what a forwarded statement will do to the session

// The proof will tell what the settings are. Statements on their way that the doubt comes behind would
// contradict it.
static void doubt(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        shape_unref(o->effect);
        o->effect = NULL;
    }
    if (s->owed.n)
        owed_last(s)->spends = owed_last(s)->drops = true;
    session_forget_cursors(s, true);
    ahead_drop(s);
    session_identity_doubt(&s->engine->identities, &s->identity);
}

// A settings statement takes effect when the server has confirmed it, outside a transaction. Two in one unit,
// or one inside a transaction, leave the session in doubt.
static void note_setting(struct session *s, struct owed *o, struct shape *shape) {
    if (o->effect || s->txn != 'I' || s->n_forward > 1)
        doubt(s);
    else
        o->effect = shape_ref(shape);
    session_note_change(s, o, shape ? shape->parsed->kind : STATEMENT_RESET_ALL, shape);
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
    uint64_t max_age = e->limits.vet_max_age;
    group_inherit(&e->groups, g, e->now > max_age ? e->now - max_age : 0, e->generation);
}

// Of a session that is in doubt nothing is known that a read could leave as it was.
static bool may_be_proven(const struct session *s) {
    return s->identity.state == IDENTITY_PROVEN || s->identity.state == IDENTITY_PROVING;
}

// Questions about the reads of one unit. Where there is room for few groups, their verdicts take each other's
// place while it waits, and it would be looked at from its beginning for ever.
#define UNIT_VETS 24

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
    if (!may_be_proven(s) || p->reason == REASON_CONSTRUCT || session_meaning_is_pending(s))
        return READ_DOUBTFUL;
    struct group *g = session_read_group(s, shape);
    if (!g)
        return READ_DOUBTFUL;
    group_refresh(e, g);
    if (g->state == GROUP_NEW && !f->asks_no_more && s->unit_vets < UNIT_VETS) {
        feed_flush(f, true);
        s->unit_vets++;
        session_start_vet(s, g);
    }
    *vetting = g;
    return g->state == GROUP_READY     ? READ_PLAIN
           : g->state == GROUP_VETTING ? READ_BEING_VETTED
                                       : READ_DOUBTFUL;
}

// Nothing that the session has prepared is left, if it succeeds. What comes behind it may prepare anew.
static void forget_all(struct session *s, struct owed *o) {
    session_forget_statements(s, true);
    o->clears_names = s->n_forward == 1;
    s->names_unknown = true; // until it has
}

static bool prepares(const struct shape *shape) {
    struct token t = lexer_first_word(shape->text, shape->text_len);
    return token_is(shape->text, t, "prepare");
}

// What is held now may be older than what it does, or reads; so may be what others load until it has ended,
// since it may have to wait.
static void drop_held(struct session *s, struct owed *o) {
    o->drops = true;
    ahead_drop(s);
}

static void note_statement(struct session *s, struct owed *o, enum statement_kind kind, struct shape *shape,
                           bool changes) {
    session_txn_note(o, kind, shape);
    bool plain = kind == STATEMENT_READ && !(shape && shape->parsed->reason == REASON_LOCKING);
    if (!plain && kind != STATEMENT_DEALLOCATE)
        drop_held(s, o);
    switch (kind) {
    case STATEMENT_READ: // told before it was forwarded
    case STATEMENT_BEGIN:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_HARMLESS:
        return;
    case STATEMENT_COMMIT:
    case STATEMENT_ROLLBACK:
        session_forget_cursors(s, false);
        return;
    case STATEMENT_ROLLBACK_TO: // closes those that were opened behind the savepoint
        session_forget_cursors(s, true);
        return;
    case STATEMENT_SET_LOCAL: // outside a transaction it has no effect, inside one it ends with it
        session_note_change(s, o, kind, shape);
        return;
    case STATEMENT_DISCARD_ALL:
        forget_all(s, o);
        session_forget_cursors(s, true);
        note_setting(s, o, shape);
        return;
    case STATEMENT_SET:
    case STATEMENT_RESET_ALL:
        note_setting(s, o, shape);
        return;
    case STATEMENT_DEALLOCATE:
        if (shape && shape->parsed->name)
            session_drop_statement(
                s, (struct slice){(const uint8_t *)shape->parsed->name, strlen(shape->parsed->name)});
        else if (shape)
            forget_all(s, o);
        return;
    case STATEMENT_LOAD:
        session_forget_cursors(s, true);
        session_identity_forever(&s->engine->identities, &s->identity);
        return;
    case STATEMENT_WRITE:
        doubt(s); // a trigger may do anything
        return;
    case STATEMENT_OTHER:
        break;
    }
    doubt(s);
    s->names_unknown |= changes || !shape || prepares(shape);
    if (changes) {
        o->changes = true;
        engine_definitions_changed(s->engine);
    }
}

// Something runs of which nothing is known; it may write, and end a transaction.
static void note_unknown(struct session *s) {
    doubt(s);
    session_note_write(s, NULL);
    owed_last(s)->ends = true;
    session_txn_lose_level(owed_last(s));
}

static enum unread unread_of_shape(const struct shape *s) {
    return unread_of((struct slice){(const uint8_t *)s->text, s->text_len});
}

// Its text was not read, or not parsed since it is too long; of the extended protocol. It stays known.
static void note_unread(struct session *s, struct statement *st, enum unread u) {
    struct owed *o = owed_last(s);
    st->refs++;
    note_unknown(s);
    if (u != UNREAD_NOTHING && u != UNREAD_WRITE)
        session_note_unread_change(s, o);
    if (u == UNREAD_DEFINITIONS) {
        o->changes = true;
        engine_definitions_changed(s->engine);
    }
    if (u == UNREAD_ANY || u == UNREAD_DEFINITIONS) {
        struct slice name = {(const uint8_t *)st->name, strlen(st->name)};
        bool listed = name.len && session_statement(s, name) == st;
        session_forget_statements(s, true);
        s->names_unknown = true;
        st->refs += listed;
        if (listed)
            session_put_statement(s, st);
    }
    statement_unref(st);
}

// May a statement that is not understood say which isolation its transaction has? No other one than these
// runs before there is a snapshot, and where several are in one text, they may be among them.
static bool may_set_level(const struct shape *shape, enum reason why) {
    static const char *const words[] = {"set", "reset", "begin", "start"};
    if (why == REASON_MULTI_STATEMENT || why == REASON_UNPARSABLE || why == REASON_ENCODING ||
        unread_is_why(why))
        return true;
    struct token t = {0};
    if (shape)
        t = lexer_first_word(shape->text, shape->text_len);
    for (size_t i = 0; shape && i < sizeof words / sizeof *words; i++)
        if (token_is(shape->text, t, words[i]))
            return true;
    return false;
}

// p: what is known of it; NULL: nothing.
static void note_writes(struct session *s, enum statement_kind kind, const struct parsed *p) {
    if (kind == STATEMENT_WRITE)
        session_note_write(s, p);
    else if (kind == STATEMENT_OTHER || kind == STATEMENT_LOAD)
        session_note_write(s, NULL);
}

// An INSERT and its like have no shape in the simple protocol.
static void note_query_writes(struct session *s, const struct statement_class *c, struct slice text) {
    struct parsed *p = NULL;
    if (c->kind == STATEMENT_WRITE && !c->shape && text.len <= PARSE_MAX_WRITE &&
        rations_may_work(&s->engine->rations)) {
        rations_spend(&s->engine->rations, text.len * COST_OF_WRITE);
        p = parse_write((const char *)text.data, text.len);
    }
    note_writes(s, c->kind, c->shape ? c->shape->parsed : p);
    parsed_destroy(p);
}

// Several statements, DO, CALL and what cannot be read may deallocate what the client prepared.
static bool may_deallocate(const struct statement_class *c) {
    return c->kind == STATEMENT_OTHER && (c->changes || c->reason == REASON_MULTI_STATEMENT ||
                                          c->reason == REASON_UNPARSABLE || unread_is_why(c->reason));
}

// What was not read may. A SELECT that is too long counts as one that is not understood: there are many, and
// what comes behind them need not wait.
static enum unread without_long_query(enum unread u, enum reason why) {
    return u == UNREAD_QUERY && why == REASON_TEXT_TOO_LONG ? UNREAD_NOTHING : u;
}

static enum unread class_unread(const struct statement_class *c) {
    enum unread u = c->unread;
    if (c->shape && c->kind == STATEMENT_OTHER && c->reason == REASON_TEXT_TOO_LONG)
        u = unread_of_shape(c->shape);
    return without_long_query(u, c->reason);
}

// ---- forwarding, message by message

// What the unnamed portal runs from now on; NULL: nothing, or nothing that is known.
static void bind_portal(struct session *s, struct statement *st) {
    if (st)
        st->refs++;
    statement_unref(s->portal);
    s->portal = st;
}

// The server refuses it, and skips what follows up to the Sync. What it might have done if it does not is not
// known.
static void note_unreadable(struct session *s) {
    note_unknown(s);
    s->names_unknown = true;
    bind_portal(s, NULL);
}

static struct owed *begin_unit(struct session *s, bool extended) {
    struct owed *o = owed_push(s, OWED_FORWARD);
    if (!o) {
        session_fail(s, "53200", "out of memory");
        return NULL;
    }
    o->extended = extended;
    s->in_unit = extended;
    s->lazy_unit = s->gave = false;
    s->unit_vets = 0;
    return o;
}

static void end_unit(struct session *s) {
    struct owed *o = owed_last(s);
    s->in_unit = false;
    o->portal |= s->portal_open;
    o->spends |= s->portal_open;
    s->portal_open = false;
    session_end_portals(s);
}

// Inside an extended unit, all of which is answered, it is the unit's last statement.
static struct owed *begin_query(struct session *s) {
    if (!s->in_unit)
        return begin_unit(s, false);
    end_unit(s);
    owed_last(s)->extended = owed_last(s)->single = false;
    return owed_last(s);
}

// "a simple Query message also destroys the unnamed statement" and the unnamed portal
static void drop_unnamed(struct session *s) {
    session_drop_unnamed(s);
    session_note_unnamed(s, false, NULL);
    bind_portal(s, NULL);
}

static void note_query(struct session *s, struct owed *o, const struct statement_class *c) {
    drop_unnamed(s);
    if (may_deallocate(c)) {
        session_forget_given(s);
        s->names_unknown = true;
    }
    if (c->kind == STATEMENT_DEALLOCATE && c->name.len)
        session_drop_statement(s, c->name);
    note_statement(s, o, c->kind, c->shape, c->changes);
    if (c->kind == STATEMENT_OTHER && may_set_level(c->shape, c->reason))
        session_txn_lose_level(o);
    if (class_unread(c) > UNREAD_WRITE)
        session_note_unread_change(s, o);
    // FETCH and RETURNING list, too.
    o->selects |= c->kind == STATEMENT_READ && !c->cursor.verb;
    o->reads = c->kind == STATEMENT_READ || c->kind == STATEMENT_WRITE || c->kind == STATEMENT_OTHER;
}

// A SELECT's effect, decided before its unit is opened, and noted in the unit's entry afterwards.
struct read_note {
    enum read_effect effect;
    struct group *vetting;
    bool may_write; // DOUBTFUL
};

static struct read_note read_note(struct feed *f, enum statement_kind kind, struct shape *shape) {
    struct read_note n = {.effect = READ_PLAIN};
    if (kind != STATEMENT_READ || !shape)
        return n;
    n.effect = forward_read_effect(f, shape, &n.vetting);
    n.may_write = session_read_may_write(f->s, shape->parsed);
    return n;
}

static void note_read(struct session *s, struct owed *o, const struct read_note *n) {
    bool second = n->effect == READ_BEING_VETTED && o->of.group;
    trust_note_run(s);
    if (n->effect == READ_DOUBTFUL || second)
        doubt(s);
    else if (n->effect == READ_BEING_VETTED)
        pin_group(o, n->vetting);
    if (second || (n->effect != READ_PLAIN && n->may_write))
        session_note_write(s, NULL);
}

// A statement about a cursor is a read where that can be proved; else it is what its text says.
static struct read_note cursor_note(struct feed *f, struct slice text) {
    struct statement_class *c = &f->query;
    struct read_note n = {.effect = READ_PLAIN};
    struct shape *select = session_cursor_select(f->s, &c->cursor, false);
    if (select)
        n.effect = forward_read_effect(f, select, &n.vetting);
    if (c->cursor.verb == CURSOR_CLOSE || (select && n.effect != READ_DOUBTFUL)) {
        c->kind = STATEMENT_READ;
        session_note_cursor(f->s, &c->cursor, select);
        return n;
    }
    classify_verbatim(f->s, text, c);
    return (struct read_note){.effect = READ_PLAIN};
}

// EXECUTE, a function, a trigger: what it counts on is not known. A setting would change what is parsed
// later.
static bool may_see_prepared(enum statement_kind kind, enum read_effect effect) {
    switch (kind) {
    case STATEMENT_READ:
        return effect != READ_PLAIN;
    case STATEMENT_OTHER:
    case STATEMENT_WRITE:
    case STATEMENT_LOAD:
    case STATEMENT_SET:
    case STATEMENT_SET_LOCAL:
    case STATEMENT_RESET_ALL:
        return true;
    default:
        return false;
    }
}

// Nothing of ours runs in front of the first statement of a transaction that takes a snapshot: it would take
// it too early where the statement waits for a lock first, and too early for one that says which isolation
// the transaction is to have. A SELECT takes one by itself, at once.
static bool has_snapshot(const struct session *s) {
    return s->txn == 'I' || s->transaction.snapshot;
}

// Gives the server what it lacks, in front of a unit. Inside of one that is waited for: false.
static bool parse_all(struct feed *f, bool asks) {
    struct session *s = f->s;
    if (!s->n_lazy || s->txn == 'E' || !has_snapshot(s))
        return true;
    feed_flush(f, true);
    if (s->in_unit)
        return session_give_all(s) && (session_unit_is_answered(s) || inside_wait(f));
    bool first = session_parse_all(s, asks) == GIVING_FIRST;
    s->hold |= first;
    return !first;
}

// EXECUTE of a statement that the server lacks: of no other one it asks.
static bool give_executed(struct feed *f, const char *name) {
    if (!*name || !f->s->n_lazy || f->s->in_unit)
        return false;
    feed_flush(f, true);
    return session_give_named(f->s, (struct slice){(const uint8_t *)name, strlen(name)});
}

#define PROOFS_AHEAD 3

// A proof runs between transactions only. Of a session that was never proven, or not often, it runs in front
// of BEGIN, so that the lookups in the transaction find the session proven, and of a DECLARE WITH HOLD, whose
// pages would leave it in doubt. `hold`: it may be one. So does the question about the database, where it has
// been asked before.
static void prove_ahead(struct feed *f, enum statement_kind kind, bool hold) {
    struct session *s = f->s;
    bool begins = kind == STATEMENT_BEGIN || hold;
    bool wanted = begins && s->identity.state == IDENTITY_UNPROVEN && s->identity.n_proofs < PROOFS_AHEAD;
    bool proves = wanted && engine_may_prove(s->engine);
    bool asks = begins && session_lacks_facts(s);
    if (!proves && !asks)
        return;
    feed_flush(f, true);
    if (proves)
        session_start_proof(s);
    if (asks)
        session_ask_facts(s, false);
}

static bool asks_for_snapshot(enum statement_kind kind, const struct shape *shape, enum reason why) {
    if (kind == STATEMENT_OTHER)
        return may_set_level(shape, why);
    return session_txn_asks(kind, shape ? shape->parsed : NULL);
}

static void snapshot_for_query(struct feed *f, const struct statement_class *c) {
    if (!session_lacks_snapshot(f->s) || !asks_for_snapshot(c->kind, c->shape, c->reason))
        return;
    feed_flush(f, true);
    session_take_snapshot(f->s);
}

static bool is_copy(struct slice text) {
    return token_is((const char *)text.data, lexer_first_word((const char *)text.data, text.len), "copy");
}

static bool forward_query(struct feed *f, struct slice text) {
    struct session *s = f->s;
    const struct statement_class *c = feed_classify(f, text);
    prove_ahead(f, c->kind, c->cursor.hold);
    struct read_note n = c->cursor.verb ? cursor_note(f, text) : read_note(f, c->kind, c->shape);
    // Behind BEGIN it would take the transaction's snapshot.
    bool sees = c->kind == STATEMENT_BEGIN || may_see_prepared(c->kind, n.effect);
    char executed[CURSOR_MAX_NAME + 1];
    cursor_executed((const char *)text.data, text.len, executed);
    bool asks = c->kind == STATEMENT_READ || c->kind == STATEMENT_OTHER || c->kind == STATEMENT_LOAD;
    if (sees && !give_executed(f, executed) && !parse_all(f, asks))
        return false;
    snapshot_for_query(f, c);
    bool inside = s->in_unit;
    struct owed *o = begin_query(s);
    if (!o)
        return false;
    note_query(s, o, c);
    o->copies = is_copy(text);
    note_query_writes(s, c, text);
    note_read(s, o, &n);
    o->reads &= !inside;
    return true;
}

static void put_parsed(struct session *s, struct slice name, struct shape *shape, enum unread unread) {
    struct statement *st = statement_create(s, (const char *)name.data, name.len, shape);
    if (!st)
        return session_fail(s, "53200", "out of memory");
    if (!name.len)
        session_note_unnamed(s, true, shape);
    st->unread = (uint8_t)unread;
    st->on_server = true;
    st->generation = s->engine->generation;
    st->refs++;
    session_put_statement(s, st);
    session_expect(s, EXPECT_PARSE, st); // which may be told at once that it is not reached
    statement_unref(st);
}

// Behind the messages before this one, what gives the server a statement that this one names. Where a refusal
// could not take back what comes behind it, it is waited for: false.
static bool give(struct feed *f, struct statement *st) {
    struct session *s = f->s;
    const struct owed *o = owed_last(s);
    if (!st || o->error || st->changed || !session_lacks(s, st)) // changed: given, and waited for
        return true;
    bool waits = !o->single || s->txn != 'I' || s->n_forward > 1;
    feed_flush(f, true);
    return session_send_delayed(s, st, waits) && (!waits || inside_wait(f));
}

// The message at hand needs the statement. False: not yet, or it is refused in place of the server.
static bool may_use(struct feed *f, struct statement *st) {
    if (!st || !st->changed)
        return give(f, st);
    st->changed = false;
    if (owed_last(f->s)->error)
        return true;
    feed_flush(f, true);
    f->drop = session_refuse(f->s);
    return false;
}

// Of all statements like it, unless something before it in the connection could make it another one.
static void learn_parse(struct feed *f, struct shape *shape) {
    struct session *s = f->s;
    if (!f->learns || s->n_forward != 1 || s->identity.state != IDENTITY_PROVEN)
        return;
    struct group *g = session_read_group(s, shape);
    if (g)
        session_learn(s, g, f->describes);
}

// A Parse of the unnamed statement, which the server lacks as the client knows it. Behind an error it is not
// reached, and the client still has the old one: so it must be known whether there was one. Then it tells
// nothing: SKIPPED.
static enum inside replaces_unknown(struct feed *f) {
    struct session *s = f->s;
    if (!s->unnamed || !s->unnamed->shape || session_unnamed_fits(s))
        return INSIDE_PASS;
    if (session_unit_is_answered(s))
        return owed_last(s)->error ? INSIDE_SKIPPED : INSIDE_PASS;
    (void)inside_wait(f);
    return INSIDE_WAIT;
}

static void forward_parse(struct feed *f, const struct msg_parse *m) {
    struct session *s = f->s;
    if (!m->name.len && replaces_unknown(f) != INSIDE_PASS)
        return;
    bool may = session_may_remember(s, m->name.len);
    enum reason why = may ? REASON_NONE : REASON_MEMORY;
    struct shape *shape = s->no_scan || session_text_is_pending(s) || !may
                              ? NULL
                              : shape_extended(&s->engine->shapes, m->text, m->n_types, m->types, &why);
    struct statement *old = m->name.len ? session_statement(s, m->name) : NULL;
    if (old && !give(f, old))
        return;
    if (old)
        old->changed = false; // it is there, whatever it is
    if (old) {
        s->names_unknown |= !old->confirmed;          // is that one refused, then this one is not
        return session_expect(s, EXPECT_PARSE, NULL); // else the server refuses it and keeps the old one
    }
    enum unread unread = !shape && unread_is_why(why) ? unread_of(m->text) : UNREAD_NOTHING;
    put_parsed(s, m->name, shape, without_long_query(unread, why));
    if (shape)
        learn_parse(f, shape);
}

// Then it is given in front of it, see give().
static bool needs_unnamed(const struct frame *fr, size_t have) {
    struct msg_bind b;
    struct msg_target t;
    if (fr->size > have)
        return false;
    if (fr->type == F_BIND)
        return msg_bind_read(fr->body, fr->body_len, &b) && !b.statement.len;
    return fr->type == F_DESCRIBE && msg_target_read(fr->body, fr->body_len, &t) && t.kind == 'S' &&
           !t.name.len;
}

// Before a unit that does not begin with Parse of the unnamed statement: if the server has one and the client
// believes that there is none, take it away. One that it lacks is given to what needs it, no sooner: a Parse
// may have to wait for a lock, and what is behind it with it. See also replaces_unknown().
static bool restore_unnamed(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    bool parses = fr->type == F_PARSE && f->len - f->at > FRAME_HEADER && !fr->body[0];
    bool needs = needs_unnamed(fr, f->len - f->at);
    if (parses || s->unnamed || session_unnamed_fits(s) || (session_is_pooled(s) && !needs))
        return true;
    feed_flush(f, true);
    return session_restore_unnamed(s, NULL);
}

// The unit is open, the catalogue cannot be asked in front of it any more; see forward_read_effect.
static struct read_note bound_read(struct session *s, struct shape *shape) {
    struct engine *e = s->engine;
    struct read_note n = {.effect = READ_DOUBTFUL, .may_write = session_read_may_write(s, shape->parsed)};
    if (e->limits.observe || reads_constants(shape->parsed))
        n.effect = READ_PLAIN;
    if (n.effect == READ_PLAIN || !may_be_proven(s) || session_meaning_is_pending(s))
        return n;
    struct group *g = session_read_group(s, shape);
    if (g && group_is_current(e, g) && g->state == GROUP_READY)
        n.effect = READ_PLAIN;
    else if (g && g->state == GROUP_VETTING)
        n = (struct read_note){READ_BEING_VETTED, g, n.may_write};
    return n;
}

static void run_read(struct session *s, struct owed *o, struct shape *shape) {
    struct read_note n = bound_read(s, shape);
    o->reads = o->selects = true;
    note_statement(s, o, STATEMENT_READ, shape, false);
    note_read(s, o, &n);
}

// True: it is a statement about a cursor, and a plain read.
static bool run_cursor(struct session *s, struct owed *o, const struct shape *shape) {
    struct cursor_statement c;
    struct read_note n = {.effect = READ_PLAIN};
    cursor_read(shape->text, shape->text_len, &c);
    struct shape *select = o->begins ? NULL : session_cursor_select(s, &c, true);
    if (select)
        n = bound_read(s, select);
    if (c.verb != CURSOR_CLOSE && (!select || n.effect == READ_DOUBTFUL))
        return false;
    o->reads = true;
    session_note_cursor(s, &c, select);
    note_read(s, o, &n);
    return true;
}

// An Execute's statement takes effect.
static void run_shape(struct feed *f, struct shape *shape) {
    struct session *s = f->s;
    struct owed *o = owed_last(s);
    enum statement_kind kind = shape->parsed->kind;
    const char *name = kind == STATEMENT_DEALLOCATE ? shape->parsed->name : NULL;
    struct statement *named =
        name ? session_statement(s, (struct slice){(const uint8_t *)name, strlen(name)}) : NULL;
    if (!give(f, named))
        return;
    if (named)
        named->changed = false;
    if (kind == STATEMENT_READ) {
        run_read(s, o, shape);
        return;
    }
    if ((kind == STATEMENT_OTHER || kind == STATEMENT_HARMLESS) && run_cursor(s, o, shape))
        return;
    shape_ref(shape); // its statement may be one of those that it drops
    note_statement(s, o, kind, shape, shape->changes);
    note_writes(s, kind, shape->parsed);
    if (kind == STATEMENT_OTHER && may_set_level(shape, shape->reason))
        session_txn_lose_level(o);
    shape_unref(shape);
}

// The statement that a message names; NULL: none that is known.
static struct shape *shape_of(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    enum reason why;
    struct msg_parse p;
    struct msg_bind b;
    struct slice text;
    if (fr->type == F_QUERY && msg_query_read(fr->body, fr->body_len, &text))
        return feed_classify(f, text)->shape;
    if (fr->type == F_PARSE && !s->no_scan && !session_text_is_pending(s) &&
        msg_parse_read(fr->body, fr->body_len, &p) && session_may_remember(s, p.name.len))
        return shape_extended(&s->engine->shapes, p.text, p.n_types, p.types, &why);
    struct msg_execute e;
    struct statement *st = NULL;
    if (fr->type == F_BIND && msg_bind_read(fr->body, fr->body_len, &b))
        st = session_statement(s, b.statement);
    else if (fr->type == F_EXECUTE && msg_execute_read(fr->body, fr->body_len, &e) && e.portal.len)
        st = session_portal(s, e.portal);
    return st ? st->shape : NULL;
}

// The same, but of a cursor's statement its SELECT, where it is known. `unknown`: it is not.
static struct shape *read_of(struct feed *f, const struct frame *fr, bool *unknown) {
    struct cursor_statement c = {0};
    struct shape *shape = shape_of(f, fr);
    if (fr->type == F_QUERY)
        c = f->query.cursor;
    else if (shape && shape->parsed->kind == STATEMENT_OTHER)
        cursor_read(shape->text, shape->text_len, &c);
    if (c.verb != CURSOR_NONE)
        shape = session_cursor_select(f->s, &c, fr->type != F_QUERY);
    bool runs =
        fr->type == F_PARSE || fr->type == F_BIND; // what is not read or remembered, too: EXECUTE, say
    *unknown = !shape && (runs || (c.verb != CURSOR_NONE && c.verb != CURSOR_CLOSE));
    return shape;
}

// Inside a transaction the verdict that another session has asked for is waited for, too: without it the
// transaction would count as one that may have done more than read.
static bool may_await(struct session *s, struct shape *shape, struct group *g) {
    return s->txn != 'I' && await_read(s, shape, g);
}

static bool binds(const struct frame *fr, struct slice name) {
    struct msg_bind b;
    return name.data && msg_bind_read(fr->body, fr->body_len, &b) && b.statement.len == name.len &&
           memcmp(b.statement.data, name.data, name.len) == 0;
}

// Of the unit that begins here, as far as it has come: what has not may hold anything. A statement that takes
// a snapshot itself comes first, or none that asks.
static bool unit_asks_for_snapshot(struct feed *f) {
    struct frame fr;
    struct slice parsed = {0};
    for (size_t at = f->at; frame_read(f->bytes + at, f->len - at, &fr) == FRAME_OK; at += fr.size) {
        if (fr.type == F_SYNC)
            return false;
        bool names = fr.type == F_PARSE || fr.type == F_QUERY || (fr.type == F_BIND && !binds(&fr, parsed));
        struct shape *shape = fr.type == F_QUERY || !names ? NULL : shape_of(f, &fr);
        struct msg_parse p;
        if (fr.type == F_PARSE && msg_parse_read(fr.body, fr.body_len, &p))
            parsed = p.name;
        if (names && (!shape || asks_for_snapshot(shape->parsed->kind, shape, shape->reason)))
            return true;
        if (shape && (shape->parsed->kind == STATEMENT_READ || shape->parsed->kind == STATEMENT_WRITE))
            return false;
    }
    return true;
}

static void snapshot_for_unit(struct feed *f) {
    if (!session_lacks_snapshot(f->s) || !unit_asks_for_snapshot(f))
        return;
    feed_flush(f, true);
    session_take_snapshot(f->s);
}

#define ASK_AHEAD 12 // messages of a unit that are looked at before it is opened: BEGIN and a SELECT, say

// Names like ours, in the protocol or in what no SELECT is: a statement that is prepared, a cursor.
static bool names_ours(struct feed *f, const struct frame *fr) {
    struct msg_parse p;
    struct msg_bind b;
    if (fr->type == F_QUERY)
        return f->query.kind == STATEMENT_OTHER && memmem(fr->body, fr->body_len, SAVEPOINT_OWN, 7);
    if (fr->type == F_PARSE && msg_parse_read(fr->body, fr->body_len, &p))
        return savepoint_is_own_name(p.name) || memmem(p.text.data, p.text.len, SAVEPOINT_OWN, 7);
    return fr->type == F_BIND && msg_bind_read(fr->body, fr->body_len, &b) && savepoint_is_own_name(b.portal);
}

// At the first message of a unit: if it names SELECTs that are not known to be plain reads, ask now. True:
// one of them is being vetted on this connection, or `waits` for the verdict.
static bool ask_ahead(struct feed *f, bool waits, bool *sees_prepared) {
    struct session *s = f->s;
    struct frame fr;
    bool asked = false, taken = has_snapshot(s);
    size_t at = f->at;
    for (int i = 0; i < ASK_AHEAD; i++, at += fr.size) {
        if (frame_read(f->bytes + at, f->len - at, &fr) != FRAME_OK || fr.type == F_SYNC)
            return asked;
        if (fr.type == F_QUERY && i)
            return asked;
        struct group *g = NULL;
        bool unknown;
        struct shape *shape = read_of(f, &fr, &unknown);
        enum read_effect effect = READ_PLAIN;
        bool reads = shape && shape->parsed->kind == STATEMENT_READ;
        if (!reads && !taken)
            return asked;
        taken = true; // by itself, if not before
        if (reads && may_be_proven(s))
            effect = forward_read_effect(f, shape, &g);
        *sees_prepared |= !i && (shape ? may_see_prepared(shape->parsed->kind, effect) : unknown);
        asked |= g && g->state == GROUP_VETTING && (session_vets(s, g) || (waits && may_await(s, shape, g)));
        if (fr.type == F_QUERY)
            return asked;
    }
    return asked;
}

static void keep_out(struct feed *f, const struct frame *fr) {
    if (!names_ours(f, fr))
        return;
    struct msg_parse p = {0};
    bool names = fr->type == F_PARSE && msg_parse_read(fr->body, fr->body_len, &p) &&
                 savepoint_is_own_name(p.name) && !session_statement(f->s, p.name);
    feed_flush(f, true);
    session_keep_out(f->s, names ? p.name : (struct slice){0});
}

// False: what it may need is given first.
static bool look_ahead(struct feed *f, const struct frame *fr) {
    bool sees_prepared = false;
    struct cursor_statement c = {0};
    struct shape *first = shape_of(f, fr);
    if (first && first->parsed->kind == STATEMENT_OTHER)
        cursor_read(first->text, first->text_len, &c);
    char executed[CURSOR_MAX_NAME + 1] = "";
    if (first)
        cursor_executed(first->text, first->text_len, executed);
    bool asks = !first || first->parsed->kind == STATEMENT_READ || first->parsed->kind == STATEMENT_OTHER;
    if (first)
        prove_ahead(f, first->parsed->kind, c.hold);
    (void)ask_ahead(f, false, &sees_prepared);
    if (sees_prepared && !give_executed(f, executed) && !parse_all(f, asks)) // the unit is not open
        return false;
    // In the middle of a unit, which is a transaction, it would take its snapshot. Once: what is refused
    // stays.
    bool late = f->s->txn == 'I' && !f->single && !f->prepares && !f->s->gave;
    if (!late || !f->s->n_lazy)
        return true;
    f->s->gave = true;
    (void)parse_all(f, false);
    return session_unit_is_answered(f->s) || inside_wait(f); // there may have been none
}

// In front of it in the same write the query could fail, and the client's statement with it.
bool forward_vets_first(struct feed *f) {
    struct session *s = f->s;
    bool sees_prepared = false;
    bool asked = s->txn != 'I' && !s->n_forward && session_may_ask(s) && ask_ahead(f, true, &sees_prepared);
    s->await.spent_read &= asked;
    return asked;
}

// What the rows to come are made of, when nothing else tells; of a unit of several statements nothing does.
static void note_bound(struct owed *o, struct statement *st, const struct msg_bind *m) {
    bool first = !o->binds;
    o->binds = true;
    statement_unref(o->bound);
    o->bound = first ? st : NULL;
    if (o->bound)
        st->refs++;
    o->formats_differ = m->n_result_formats > 1;
    o->result_format = m->n_result_formats == 1 && get_u16(m->result_formats) == 1;
}

static void forward_bind(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_bind m;
    if (!msg_bind_read(fr->body, fr->body_len, &m))
        return note_unreadable(s);
    struct statement *st = session_statement(s, m.statement);
    if (!may_use(f, st))
        return;
    s->portal_open |= !m.portal.len;
    struct owed *o = owed_last(s);
    note_bound(o, st, &m);
    lookup_note_bound(s, st ? st->shape : NULL, &m);
    if (!m.portal.len)
        bind_portal(s, st);
    else
        session_note_portal(s, m.portal, st, o->result_format, o->formats_differ);
}

static void forward_describe(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_target m;
    if (!msg_target_read(fr->body, fr->body_len, &m))
        return note_unreadable(s);
    struct statement *st = m.kind == 'S' ? session_statement(s, m.name)
                           : m.name.len  ? session_portal(s, m.name)
                                         : s->portal;
    if (m.kind == 'S' && !may_use(f, st))
        return;
    session_expect(s, EXPECT_DESCRIBE, st);
}

static void close_unnamed(struct session *s) {
    struct statement *st = s->unnamed;
    session_note_unnamed(s, false, NULL);
    s->unnamed = NULL;
    s->closing = st;
    session_expect(s, EXPECT_CLOSE, st);
    statement_unref(st);
}

static void forward_close(struct feed *f, const struct frame *fr) {
    struct msg_target m;
    if (!msg_target_read(fr->body, fr->body_len, &m))
        return note_unreadable(f->s);
    if (m.kind == 'S' && !m.name.len)
        return close_unnamed(f->s);
    if (m.kind == 'S')
        session_drop_statement(f->s, m.name);
    else
        session_forget_cursor(f->s, m.name);
    session_expect(f->s, EXPECT_CLOSE, NULL);
}

static void forward_execute(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_execute m;
    if (!msg_execute_read(fr->body, fr->body_len, &m))
        return note_unreadable(s);
    struct statement *st = m.portal.len ? session_portal(s, m.portal) : s->portal;
    if (m.portal.len && st)
        session_resume_portal(s, m.portal, owed_last(s));
    if (!st) // it is not known which one it is
        note_unknown(s);
    else if (!st->shape)
        note_unread(s, st, (enum unread)st->unread);
    else if (st->shape->reason == REASON_TEXT_TOO_LONG && unread_of_shape(st->shape) > UNREAD_QUERY)
        note_unread(s, st, unread_of_shape(st->shape));
    else
        run_shape(f, st->shape);
    // The client may go on with an unnamed portal that has more to give, inside a transaction also in a later
    // unit. Nothing of ours must take its place.
    if (!m.portal.len)
        s->portal_open = m.max_rows != 0;
}

static void note_extended(struct feed *f, const struct frame *fr) {
    struct msg_parse p;
    switch (fr->type) {
    case F_PARSE:
        if (msg_parse_read(fr->body, fr->body_len, &p))
            forward_parse(f, &p);
        else
            note_unreadable(f->s);
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
    note_unknown(s);
    drop_unnamed(s);
    session_forget_given(s);
    s->names_unknown = true;
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
        struct slice text = {f->bytes + f->at + at, f->len - f->at - at};
        enum unread u = unread_of(text);
        session_drop_statement(s, first);
        put_parsed(s, first, NULL, without_long_query(u, REASON_TEXT_TOO_LONG));
    } else if (fr->type == F_BIND && head_string(f, &at, &first) && head_string(f, &at, &second)) {
        if (first.len)
            session_note_portal(s, first, session_statement(s, second), false, true);
        else
            bind_portal(s, session_statement(s, second));
    } else {
        note_unreadable(s);
    }
}

// Those names may be in bytes that are still to come.
static bool lacks_names(const struct feed *f, const struct frame *fr) {
    struct slice name;
    size_t at = FRAME_HEADER;
    if ((fr->type != F_PARSE && fr->type != F_BIND) || f->len - f->at >= 4096)
        return false;
    return !head_string(f, &at, &name) || (fr->type == F_BIND && !head_string(f, &at, &name));
}

static void note_other(struct session *s, uint8_t type) {
    switch (type) {
    case F_TERMINATE:
        s->terminating = s->goodbye = true;
        return;
    case F_PASSWORD:
        return;
    default:
        session_go_opaque(s); // the server knows what to say to it
    }
}

static bool forward_sync(struct session *s) {
    if (!s->in_unit && !begin_unit(s, true))
        return false;
    end_unit(s);
    return true;
}

void forward_ask_for_replies(struct feed *f) {
    struct session *s = f->s;
    struct buf *b = &s->engine->request;
    feed_flush(f, true);
    if (!s->in_unit)
        return;
    buf_reset(b);
    write_empty(b, F_FLUSH);
    if (!b->failed)
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
}

// What has just been asked in front of the unit is answered first where a pooler may be; see pooler.h.
static bool waits_for_own(struct session *s) {
    s->held_for_own = !s->held_for_own && session_is_careful(s) && session_runs_own(s);
    s->hold |= s->held_for_own;
    return s->held_for_own;
}

// Something runs that cannot be looked at: a function, or a Query that is too large.
static bool forward_blindly(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    if (!parse_all(f, true) || !begin_query(s))
        return false;
    if (fr->type == F_QUERY)
        note_large_query(s);
    else
        note_unknown(s);
    return true;
}

static bool forward_extended(struct feed *f, const struct frame *fr, bool readable) {
    struct session *s = f->s;
    if (readable)
        keep_out(f, fr);
    if (!s->in_unit && readable && !look_ahead(f, fr))
        return false;
    if (!s->in_unit)
        snapshot_for_unit(f);
    if (!s->in_unit && (!restore_unnamed(f, fr) || waits_for_own(s) || !begin_unit(s, true)))
        return false;
    owed_last(s)->single |= f->single;
    if (readable || fr->type == F_FLUSH)
        note_extended(f, fr);
    else
        note_large_extended(f, fr);
    if (s->held_unit)
        return false;
    owed_last(s)->n_asked += fr->type != F_FLUSH;
    return true;
}

// What of it depends on how the unit before it ends.
static enum inside inside_of(struct feed *f, uint8_t type) {
    if (type == F_COPY_DATA || type == F_COPY_DONE || type == F_COPY_FAIL)
        return inside_copy(f, type);
    enum inside inside = inside_no_data(f, type);
    if (inside != INSIDE_PASS)
        return inside;
    if (type == F_QUERY || type == F_FUNCTION_CALL)
        return inside_end(f);
    return type == F_SYNC ? inside_sync(f) : INSIDE_PASS;
}

static bool has_room(struct feed *f) {
    struct session *s = f->s;
    const struct engine_limits *l = &s->engine->limits;
    if (s->owed.n < l->max_owed && s->n_expected < l->max_expected)
        return true;
    forward_ask_for_replies(f);
    s->held_full = true;
    return false;
}

static bool forward_one(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    bool whole = fr->size <= f->len - f->at;
    bool readable = fr->size <= s->engine->limits.max_text + UNIT_SLACK;
    struct slice text;
    if (!whole && ((readable && is_read_whole(fr->type)) || lacks_names(f, fr)))
        return false;
    if (!has_room(f))
        return false;
    enum inside inside = inside_of(f, fr->type);
    if (inside != INSIDE_PASS)
        return inside == INSIDE_SKIPPED;
    if (fr->type == F_SYNC)
        return forward_sync(s);
    if (fr->type == F_QUERY && whole && readable && msg_query_read(fr->body, fr->body_len, &text)) {
        (void)feed_classify(f, text);
        keep_out(f, fr);
        return forward_query(f, text);
    }
    if (fr->type == F_FUNCTION_CALL || fr->type == F_QUERY)
        return forward_blindly(f, fr);
    if (is_extended(fr->type))
        return forward_extended(f, fr, whole && readable);
    if (fr->type != F_COPY_DATA && fr->type != F_COPY_DONE && fr->type != F_COPY_FAIL)
        note_other(s, fr->type);
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
