// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/effects.h"

#include <string.h>

#include "batching/base/reason.h"
#include "batching/session/changes.h"
#include "batching/session/cursors.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/vouch.h"
#include "batching/statement/cost.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/parse_write.h"
#include "batching/statement/parsed.h"
#include "batching/statement/ration.h"
#include "batching/statement/shape.h"
#include "batching/statement/unread.h"
#include "batching/talk/classify.h"
#include "batching/trust/identity.h"
#include "protocol/message.h"

// ---- a statement that is known

// The proof will tell what the settings are. SET statements that are still on their way were sent before the
// doubt; if they were applied when they are confirmed, they would contradict the proof.
void effect_doubt(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        shape_unref(o->forward.setting);
        o->forward.setting = NULL;
    }
    if (s->owed.n)
        owed_last(s)->forward.more_than_read = owed_last(s)->forward.drops = owed_last(s)->forward.beyond =
            true;
    session_forget_cursors(s, true);
    ahead_drop(s);
    session_identity_doubt(&s->engine->identities, &s->identity);
}

// A settings statement takes effect when the server has confirmed it, outside a transaction. Two of them in
// one unit, or one inside a transaction, leave the session in doubt instead.
static void note_setting(struct session *s, struct owed *o, struct shape *shape) {
    if (o->forward.setting || s->txn != 'I' || s->n_forward > 1)
        effect_doubt(s);
    else
        o->forward.setting = shape_ref(shape);
    session_note_change(s, o, shape ? shape->parsed->kind : STATEMENT_RESET_ALL, shape);
}

// If the statement succeeds, the session has no prepared statements. Until then a name may be taken or not.
// What comes behind it may prepare again.
static void forget_all(struct session *s, struct owed *o) {
    session_forget_statements(s, true);
    o->forward.clears_names = s->n_forward == 1;
    names_are_unknown(s); // until it has succeeded
}

bool effect_is_refused(const struct session *s, const struct owed *o, enum statement_kind kind) {
    bool same = s->n_forward == 1 && !o->forward.ends && !o->forward.returns && !o->forward.begins;
    return same && (s->txn == 'E' || (s->txn == 'T' && kind == STATEMENT_DISCARD_ALL));
}

static bool prepares(const struct shape *shape) {
    struct token t = lexer_first_word(shape->text, shape->text_len);
    return token_is(shape->text, t, "prepare");
}

// What is held ahead may be older than what the statement does or reads. The same holds for what others load
// until it has ended, since it may have to wait before it runs.
static void note_drop(struct session *s, struct owed *o) {
    o->forward.drops = o->forward.beyond = true;
    ahead_drop(s);
}

// Does SET give each setting the value that such a statement gave it before, as the server has confirmed?
static bool sets_what_is(const struct session *s, const struct owed *o, const struct parsed *p) {
    return !o->forward.setting && s->txn == 'I' && s->n_forward == 1 &&
           session_identity_has(&s->identity, p->settings, p->n_settings);
}

// Does the session go on to see what it saw? Where a transaction begins or ends, the answer decides
// (session_txn_ended).
static bool keeps_held(const struct session *s, const struct owed *o, enum statement_kind kind,
                       const struct shape *shape) {
    switch (kind) {
    case STATEMENT_READ:
        return !(shape && shape->parsed->reason == REASON_LOCKING);
    case STATEMENT_HARMLESS:
        return shape && shape->parsed->nothing;
    case STATEMENT_SET:
        return shape && sets_what_is(s, o, shape->parsed);
    case STATEMENT_SET_LOCAL:
        return shape && session_txn_goes_on(shape->parsed);
    case STATEMENT_BEGIN:
    case STATEMENT_COMMIT:
    case STATEMENT_ROLLBACK:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_ROLLBACK_TO:
    case STATEMENT_DEALLOCATE:
        return true;
    default:
        return false;
    }
}

// A write that runs nothing of a user's leaves the session as it is, and drops what is held by its tables.
// Where all statements see one snapshot it drops all, since there age counts for nothing.
static void note_write(struct session *s, struct owed *o, const struct parsed *p) {
    bool clean = session_write_is_clean(s, p);
    if (!clean || !session_reads_committed(s))
        note_drop(s, o);
    if (!clean)
        effect_doubt(s); // a trigger may do anything
    o->forward.writes |= clean;
    if (clean)
        trust_note_write(s);
    session_note_write(s, p);
}

// Notes what a statement does to settings, names and cursors. False: nobody knows.
static bool note_known(struct session *s, struct owed *o, enum statement_kind kind, struct shape *shape) {
    switch (kind) {
    case STATEMENT_READ: // its effect was judged before it was forwarded (talk/reads.h)
    case STATEMENT_BEGIN:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_HARMLESS:
        return true;
    case STATEMENT_COMMIT:
    case STATEMENT_ROLLBACK:
        session_forget_cursors(s, false);
        return true;
    case STATEMENT_ROLLBACK_TO: // which closes those that were opened after the savepoint
        session_forget_cursors(s, true);
        return true;
    case STATEMENT_SET_LOCAL: // it has no effect outside a transaction, and inside one it ends with it
        session_note_change(s, o, kind, shape);
        return true;
    case STATEMENT_DISCARD_ALL:
        if (!effect_is_refused(s, o, kind))
            forget_all(s, o);
        session_forget_cursors(s, true);
        note_setting(s, o, shape);
        return true;
    case STATEMENT_SET:
    case STATEMENT_RESET_ALL:
        note_setting(s, o, shape);
        return true;
    case STATEMENT_DEALLOCATE:
        if (effect_is_refused(s, o, kind))
            return true;
        if (shape && shape->parsed->name)
            session_drop_statement(
                s, (struct slice){(const uint8_t *)shape->parsed->name, strlen(shape->parsed->name)});
        else if (shape)
            forget_all(s, o);
        return true;
    case STATEMENT_LOAD:
        session_forget_cursors(s, true);
        session_identity_forever(&s->engine->identities, &s->identity);
        return true;
    case STATEMENT_WRITE:
    case STATEMENT_OTHER:
        break;
    }
    return false;
}

// What is not known may do anything.
static void note_any(struct session *s, struct owed *o, const struct shape *shape, bool changes) {
    effect_doubt(s);
    if (changes || !shape || prepares(shape))
        names_are_unknown(s);
    if (changes) {
        o->forward.changes = true;
        engine_definitions_changed(s->engine);
    }
}

void effect_note_statement(struct session *s, struct owed *o, enum statement_kind kind, struct shape *shape,
                           const struct parsed *p, bool changes) {
    if (kind == STATEMENT_BEGIN)
        session_txn_begins(s, o);
    session_txn_note(o, kind, shape);
    if (kind == STATEMENT_WRITE) {
        note_write(s, o, p);
        return;
    }
    bool beyond = o->forward.beyond;
    if (!keeps_held(s, o, kind, shape))
        note_drop(s, o);
    o->forward.beyond &= beyond || !session_txn_sets_harmless(kind, shape);
    if (kind == STATEMENT_OTHER || kind == STATEMENT_LOAD)
        session_note_write(s, NULL);
    if (!note_known(s, o, kind, shape))
        note_any(s, o, shape, changes);
}

// ---- a statement that is not understood

void effect_note_unknown(struct session *s) {
    effect_doubt(s);
    session_note_write(s, NULL);
    owed_last(s)->forward.ends = true;
    session_txn_lose_level(owed_last(s));
}

void effect_note_unread(struct session *s, struct statement *st, enum unread u) {
    struct owed *o = owed_last(s);
    st->refs++;
    effect_note_unknown(s);
    if (u != UNREAD_NOTHING && u != UNREAD_WRITE)
        session_note_unread_change(s, o);
    if (u == UNREAD_DEFINITIONS) {
        o->forward.changes = true;
        engine_definitions_changed(s->engine);
    }
    if (u == UNREAD_ANY || u == UNREAD_DEFINITIONS) {
        struct slice name = {(const uint8_t *)st->name, strlen(st->name)};
        bool listed = name.len && session_statement(s, name) == st;
        session_forget_statements(s, true);
        names_are_unknown(s);
        st->refs += listed;
        if (listed)
            session_put_statement(s, st);
    }
    statement_unref(st);
}

enum unread effect_unread_of_shape(const struct shape *s) {
    return unread_of((struct slice){(const uint8_t *)s->text, s->text_len});
}

// A SELECT that is too long counts as one that is not understood. There are many of them, and what comes
// behind them should not have to wait.
enum unread effect_relax_long_query(enum unread u, enum reason why) {
    return u == UNREAD_QUERY && why == REASON_TEXT_TOO_LONG ? UNREAD_NOTHING : u;
}

enum unread effect_unread_of_class(const struct statement_class *c) {
    enum unread u = c->unread;
    if (c->shape && c->kind == STATEMENT_OTHER && c->reason == REASON_TEXT_TOO_LONG)
        u = effect_unread_of_shape(c->shape);
    return effect_relax_long_query(u, c->reason);
}

// The level can be set only before the transaction has a snapshot. Of the statements that are not understood
// only those that begin with these words run without one. A text of several statements may have one of them.
bool effect_may_set_isolation(const struct shape *shape, enum reason why) {
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

// DO, CALL, several statements in one text, and what cannot be read.
bool effect_may_deallocate(const struct statement_class *c) {
    return c->kind == STATEMENT_OTHER && (c->changes || c->reason == REASON_MULTI_STATEMENT ||
                                          c->reason == REASON_UNPARSABLE || unread_is_why(c->reason));
}

// ---- writes

// An INSERT and its like have no shape in the simple protocol.
struct parsed *effect_parse_write(struct session *s, const struct statement_class *c, struct slice text) {
    if (c->kind != STATEMENT_WRITE || c->shape || text.len > PARSE_MAX_WRITE ||
        !rations_may_work(&s->engine->rations))
        return NULL;
    rations_spend(&s->engine->rations, text.len * COST_OF_WRITE);
    return parse_write((const char *)text.data, text.len);
}
