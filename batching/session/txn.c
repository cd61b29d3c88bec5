// SPDX-License-Identifier: PostgreSQL
#include "batching/session/txn.h"

#include <string.h>

#include "batching/fold/savepoint.h"
#include "batching/session/apart.h"
#include "batching/session/cleared.h"
#include "batching/session/cursors.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/wire.h"
#include "batching/statement/parse.h"
#include "batching/trust/writes.h"
#include "protocol/write.h"

// ---- what statements do to it

void session_txn_lose_level(struct owed *o) {
    o->forward.level = true;
    o->forward.isolation = ISOLATION_UNKNOWN;
}

// SET LOCAL of a harmless setting changes neither what a statement means nor whether it may be folded. No
// batch fails because of it, either; that would count against the other lookups of the group.
static bool is_harmless(const char *setting) {
    return strchr(setting, '.') || strcmp(setting, "lock_timeout") == 0;
}

static void note_level(struct owed *o, const struct parsed *p) {
    for (int i = 0; i < p->n_settings; i++) {
        const struct parsed_setting *set = &p->settings[i];
        if (strcmp(set->name, "transaction_isolation") == 0) {
            o->forward.level = true;
            o->forward.isolation =
                (uint8_t)(set->value ? identity_isolation_of(set->value) : ISOLATION_UNKNOWN);
        } else if (strcmp(set->name, "transaction_read_only") != 0 &&
                   strcmp(set->name, "transaction_deferrable") != 0) {
            o->forward.more_than_read = true;
            o->forward.local |= !is_harmless(set->name);
        }
    }
}

bool session_txn_sets_harmless(enum statement_kind kind, const struct shape *shape) {
    const struct parsed *p = shape ? shape->parsed : NULL;
    bool all = kind == STATEMENT_SET_LOCAL && p && p->n_settings;
    for (int i = 0; all && i < p->n_settings; i++)
        all = is_harmless(p->settings[i].name);
    return all;
}

static void note(struct owed *o, enum statement_kind kind, const struct shape *shape) {
    switch (kind) {
    case STATEMENT_BEGIN:
        o->forward.begins = true;
        if (shape)
            note_level(o, shape->parsed);
        return;
    case STATEMENT_SET_LOCAL: // SET TRANSACTION, for one
        if (shape)
            note_level(o, shape->parsed);
        else
            o->forward.more_than_read = o->forward.local = true;
        return;
    case STATEMENT_COMMIT:
    case STATEMENT_ROLLBACK:
        o->forward.ends = true;
        return;
    case STATEMENT_READ: // if it may not be a plain read, the session is in doubt (session_doubt)
        o->forward.more_than_read |= shape && shape->parsed->reason == REASON_LOCKING;
        return;
    case STATEMENT_ROLLBACK_TO: // the transaction has still done more than read, if it had
        o->forward.returns = true;
        return;
    case STATEMENT_SAVEPOINT:
    case STATEMENT_HARMLESS:
    case STATEMENT_DEALLOCATE:
        return;
    case STATEMENT_OTHER:
        o->forward.ends = o->forward.more_than_read = true; // it may be several statements
        return;
    default:
        o->forward.more_than_read = true;
    }
}

void session_txn_note(struct owed *o, enum statement_kind kind, const struct shape *shape) {
    bool before = o->forward.more_than_read;
    o->forward.more_than_read = false;
    note(o, kind, shape);
    o->forward.beyond |= o->forward.more_than_read && !session_txn_sets_harmless(kind, shape);
    o->forward.more_than_read |= before;
}

// What comes behind BEGIN in the same flight may leave the session in doubt. So the session is asked at once,
// or the proof in front of it is. Not where something before BEGIN in its unit may have changed the session.
void session_txn_begins(struct session *s, struct owed *o) {
    struct forward_effects *e = &o->forward;
    if (s->txn != 'I' || s->n_forward != 1 || e->begins || e->setting || e->more_than_read || e->drops)
        return;
    e->known = s->identity.state == IDENTITY_PROVEN;
    e->asked = s->identity.state == IDENTITY_PROVING;
    e->standard = (uint8_t)session_identity_isolation(&s->identity);
    e->may_idle = session_identity_may_idle(&s->identity);
}

// Notes what the transaction takes from its session.
static void ask_identity(struct session *s, const struct owed *o) {
    struct transaction *t = &s->transaction;
    const struct forward_effects *e = &o->forward;
    if (t->known || e->setting || (s->identity.state != IDENTITY_PROVEN && !e->known && !e->asked))
        return;
    t->known = true;
    t->standard = session_identity_isolation(&s->identity);
    t->may_idle = session_identity_may_idle(&s->identity);
    if (e->known || e->asked) {
        t->standard = e->known ? (enum identity_isolation)e->standard : s->identity.told_isolation;
        t->may_idle = e->known ? e->may_idle : s->identity.told_may_idle;
    }
}

static enum identity_isolation level_of(const struct transaction *t) {
    return t->level ? t->isolation : t->standard;
}

// Does each of its statements see what is committed, and is all that it has changed known by tables?
static bool is_clear(const struct transaction *t) {
    return !t->unclear && level_of(t) == ISOLATION_READ_COMMITTED;
}

// A transaction has begun or ended, or gone back to a savepoint. `clear`: what is held outlives that, but for
// the tables that were written to. session_note_written says so of a transaction's end.
static void note_boundary(struct session *s, const struct owed *o, bool clear) {
    if (!clear)
        ahead_drop(s);
    else if (o->forward.returns)
        writes_returned(s->database, &s->writes);
}

static void begin_or_go_on(struct session *s, const struct owed *o, char before) {
    struct transaction *t = &s->transaction;
    if (before == 'I')
        *t = (struct transaction){.more_than_read = !o->forward.begins,
                                  .beyond = !o->forward.begins,
                                  .unclear = !o->forward.begins,
                                  .began = s->engine->now,
                                  .generation = s->engine->generation};
    t->portal |= o->forward.portal;
    t->snapshot |= o->forward.selects && !o->error;
    t->taken |= o->forward.selects && !o->error;
    ask_identity(s, o);
    // A statement that failed has set nothing. Which statement of a unit has failed is not known.
    bool lost =
        (o->forward.ends && o->forward.begins) || (o->error && (o->forward.begins || o->forward.level));
    t->more_than_read |= o->forward.more_than_read || lost;
    t->beyond |= o->forward.beyond || lost;
    t->unclear |= o->forward.drops || lost;
    t->local |= o->forward.local;
    t->renamed |= o->forward.renames;
    t->customs |= o->forward.customs;
    if (lost || o->forward.level)
        t->isolation = lost ? ISOLATION_UNKNOWN : (enum identity_isolation)o->forward.isolation;
    t->level |= lost || o->forward.level;
}

// A chained transaction (COMMIT AND CHAIN) has the level of the one before it, and counts as its
// continuation.
void session_txn_ended(struct session *s, const struct owed *o, char before) {
    struct transaction *t = &s->transaction;
    bool boundary = s->txn != before || o->forward.ends || o->forward.returns;
    bool clear = !o->forward.drops && (before == 'I' || is_clear(t));
    // A rollback takes settings and definitions back, and no statement names them.
    bool back = o->forward.returns || o->forward.ends || s->txn == 'I';
    if (before != 'I' && back && (t->more_than_read || o->forward.more_than_read))
        session_identity_moved(&s->engine->identities, &s->identity);
    if (s->txn == 'I') {
        if (t->customs || o->forward.customs)
            session_identity_set_local(&s->engine->identities, &s->identity);
        *t = (struct transaction){0};
        if (before != 'I')
            apart_transaction_ended(s);
        session_forget_cursors(s, false);
    } else {
        begin_or_go_on(s, o, before);
        clear = clear && is_clear(t);
    }
    if (boundary)
        note_boundary(s, o, clear);
}

void session_doubt(struct session *s) {
    session_identity_doubt(&s->engine->identities, &s->identity);
    cleared_no_more(s);
    s->transaction.more_than_read |= s->txn != 'I';
    s->transaction.beyond |= s->txn != 'I';
    s->transaction.unclear |= s->txn != 'I';
    session_forget_cursors(s, true);
    ahead_drop(s);
}

// ---- what may run in it

enum reason session_txn_reason(const struct session *s) {
    const struct transaction *t = &s->transaction;
    if (s->txn == 'I')
        return REASON_NONE;
    if (s->txn != 'T' || t->more_than_read)
        return REASON_TRANSACTION;
    enum identity_isolation level = level_of(t);
    // In mode observe without estimates no identity is proven.
    if (s->engine->limits.observe && !s->engine->limits.dry && !t->level)
        level = ISOLATION_READ_COMMITTED;
    bool proven = s->identity.state == IDENTITY_PROVEN;
    if (proven && t->known && !t->may_idle)
        return REASON_TRANSACTION;
    return proven && level == ISOLATION_READ_COMMITTED ? REASON_NONE : REASON_ISOLATION;
}

bool session_is_apart(const struct session *s) {
    const struct transaction *t = &s->transaction;
    bool level = level_of(t) == ISOLATION_READ_COMMITTED || level_of(t) == ISOLATION_REPEATABLE_READ;
    return s->txn == 'T' && t->known && t->may_idle && !t->portal && !t->local && level &&
           session_txn_reason(s) != REASON_NONE;
}

bool session_snapshot_is_fixed(const struct session *s) {
    return s->txn == 'T' && level_of(&s->transaction) == ISOLATION_REPEATABLE_READ;
}

bool session_reads_committed(const struct session *s) {
    return s->txn == 'I' || level_of(&s->transaction) == ISOLATION_READ_COMMITTED;
}

bool session_txn_has_only_read(const struct session *s) {
    const struct transaction *t = &s->transaction;
    bool level = level_of(t) == ISOLATION_READ_COMMITTED || level_of(t) == ISOLATION_REPEATABLE_READ;
    return s->txn == 'T' && s->identity.state == IDENTITY_PROVEN && t->known && level && !t->beyond &&
           !s->definitions_in_txn && !s->writes.all && !s->writes.n;
}

bool session_txn_goes_on(const struct parsed *p) {
    struct owed o = {0};
    note_level(&o, p);
    return !o.forward.more_than_read && (!o.forward.level || o.forward.isolation == ISOLATION_READ_COMMITTED);
}

// ---- its snapshot

bool session_txn_asks(enum statement_kind kind, const struct parsed *p) {
    bool sets = kind == STATEMENT_SET_LOCAL || kind == STATEMENT_SET || kind == STATEMENT_BEGIN;
    for (int i = 0; sets && p && i < p->n_settings; i++)
        if (strncmp(p->settings[i].name, "transaction_", 12) == 0)
            return true;
    return sets && !p && kind != STATEMENT_BEGIN;
}

void session_note_snapshot(struct session *s) {
    s->transaction.snapshot = true;
}

void session_note_snapshot_taken(struct session *s) {
    s->transaction.taken = true;
}

bool session_lacks_snapshot(const struct session *s) {
    return s->txn == 'T' && s->transaction.snapshot && !s->transaction.taken && !s->in_unit;
}

void session_take_snapshot(struct session *s) {
    struct buf *b = &s->engine->request;
    // Where the client uses names like ours, a Query is sent instead of our prepared statement. A Query drops
    // the client's unnamed statement, so its text must be known.
    bool query = s->own.keeps_out;
    if (query && s->names.unnamed && !s->names.unnamed->shape)
        return;
    buf_reset(b);
    if (query)
        write_query(b, "SELECT 1", 8);
    else
        savepoint_write_select(b);
    if (b->failed || !owed_push(s, OWED_SETUP)) {
        session_fail(s, "53200", "out of memory");
        return;
    }
    if (query)
        session_note_unnamed(s, false, NULL);
    session_note_snapshot_taken(s);
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
}

// ---- its writes

// Is one of the relations the server's own? A write to one of its views can change settings, and one to a
// catalogue everything.
static bool names_the_servers(const struct parsed *p) {
    for (int i = 0; i < p->n_relations; i++) {
        const char *schema = p->relations[i].schema;
        if (strncmp(p->relations[i].name, "pg_", 3) == 0 ||
            (schema && (strcmp(schema, "pg_catalog") == 0 || strcmp(schema, "information_schema") == 0)))
            return true;
    }
    return false;
}

bool session_write_is_clean(const struct session *s, const struct parsed *p) {
    return p && p->reason != REASON_LOCKING && writes_tell_tables(p) && !names_the_servers(p) &&
           facts_say_clean(&s->database->facts, s->engine->generation, p);
}

void session_note_write(struct session *s, const struct parsed *p) {
    writes_sent(s->database, &s->writes, session_write_is_clean(s, p) ? p : NULL);
}

bool session_read_may_write(const struct session *s, const struct parsed *p) {
    if (p->reason == REASON_CONSTRUCT || p->foreign_types || !writes_named_tables_only(p))
        return true;
    return (p->n_relations || p->n_functions || p->n_operators) &&
           !facts_say_clean(&s->database->facts, s->engine->generation, p);
}

// False for the tags of statements that never end a transaction. A procedure may end one.
static bool may_commit(struct slice tag) {
    static const char *const tags[] = {"SELECT ", "INSERT ", "UPDATE ", "DELETE ",   "MERGE ",
                                       "FETCH ",  "BEGIN",   "SET",     "SAVEPOINT", "RELEASE"};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (tag.len >= strlen(tags[i]) && memcmp(tag.data, tags[i], strlen(tags[i])) == 0)
            return false;
    return true;
}

// Two acknowledgements come before ReadyForQuery, perhaps long before: that of a COMMIT with Flush, and in
// the simple protocol that of whatever ends a transaction by itself.
void session_note_complete(struct session *s, const struct owed *o, struct slice tag, bool last) {
    if (last || !(s->writes.all || s->writes.n) || (o->extended && !may_commit(tag)))
        return;
    struct pending_writes w = s->writes;
    writes_ended(s->database, &w);
}

// The transaction may also have ended without an idle status: a chained one, or one of several statements in
// one message, leads into the next. If more replies are owed, they may be to a transaction of its own, whose
// write was noted when it was sent. So the notes are kept then.
void session_note_written(struct session *s, const struct owed *o) {
    struct pending_writes w = s->writes;
    if (s->txn != 'I' && !o->forward.ends)
        return;
    writes_ended(s->database, &w);
    if (s->txn == 'I' && !s->n_forward && !s->order.n)
        s->writes = w;
}

void session_end_writes(struct session *s) {
    writes_ended(s->database, &s->writes);
}
