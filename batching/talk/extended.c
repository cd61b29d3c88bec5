// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/extended.h"

#include <string.h>

#include "batching/base/reason.h"
#include "batching/fold/group.h"
#include "batching/session/changes.h"
#include "batching/session/cursors.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/lazy.h"
#include "batching/session/learn.h"
#include "batching/session/owed.h"
#include "batching/session/reporting.h"
#include "batching/session/pooler.h"
#include "batching/session/room.h"
#include "batching/session/sent.h"
#include "batching/session/portal.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/unnamed.h"
#include "batching/session/wire.h"
#include "batching/statement/bound_config.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "batching/statement/unread.h"
#include "batching/talk/effects.h"
#include "batching/talk/feed.h"
#include "batching/talk/given.h"
#include "batching/talk/inside.h"
#include "batching/talk/question.h"
#include "batching/talk/reads.h"
#include "batching/talk/watch_settings.h"
#include "batching/trust/identity.h"
#include "batching/watch/control.h"
#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"
#include "protocol/write.h"

void extended_set_portal(struct session *s, struct statement *st) {
    portal_gone(s);
    if (st)
        st->refs++;
    statement_unref(s->portal);
    s->portal = st;
}

void extended_drop_unnamed(struct session *s) {
    session_drop_unnamed(s);
    session_note_unnamed(s, false, NULL);
    extended_set_portal(s, NULL);
}

// The server will refuse the message and skip everything up to the Sync. That is not certain, so all that the
// message might do counts as done.
void extended_note_unreadable(struct session *s) {
    effect_note_unknown(s);
    names_are_unknown(s);
    extended_set_portal(s, NULL);
}

// ---- statements that the server lacks

// Gives the server a statement that the message at hand names and that the server lacks. It goes behind the
// messages before. False: the message waits for the answer. It must wait where a refusal could not take back
// what would come behind the message: in a unit of several statements, inside a transaction, behind another
// unit.
static bool give(struct feed *f, struct statement *st) {
    struct session *s = f->s;
    const struct owed *o = owed_last(s);
    if (!st || o->error || st->changed || !session_lacks(s, st)) // changed: it was given, and waited for
        return true;
    bool waits = !o->single || s->txn != 'I' || s->n_forward > 1;
    feed_to_server(f, true);
    return session_send_delayed(s, st, waits) && (!waits || inside_wait(f));
}

// Makes sure that the message at hand may use the statement. False: the message waits, or it is refused in
// place of the server.
static bool may_use(struct feed *f, struct statement *st) {
    if (!st || !st->changed)
        return give(f, st);
    st->changed = false;
    if (owed_last(f->s)->error)
        return true;
    feed_to_server(f, true);
    f->drop = session_refuse(f->s);
    return false;
}

// Does the message use the unnamed statement? Then give() provides it.
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

// A Parse of the unnamed statement replaces it anyway. If the client has an unnamed statement that the server
// lacks, the message that needs it gets it (give()), and no sooner: our Parse may wait for a lock, and what
// is behind it would wait with it. See also replaces_unknown().
bool extended_restore_unnamed(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    bool parses = fr->type == F_PARSE && f->len - f->at > FRAME_HEADER && !fr->body[0];
    bool needs = needs_unnamed(fr, f->len - f->at);
    if (parses || s->names.unnamed || session_unnamed_fits(s) || (session_is_pooled(s) && !needs))
        return true;
    feed_to_server(f, true);
    return session_restore_unnamed(s, NULL);
}

// ---- Parse

// A Parse is on its way: the client's statement of this name is this one from now on. `shape` NULL: its text
// is not known, and `unread` says what it may be.
static void put_parsed(struct session *s, struct slice name, struct shape *shape, enum unread unread) {
    struct statement *st = statement_create(s, (const char *)name.data, name.len, shape);
    if (!st)
        return session_fail(s, "53200", "out of memory");
    if (!name.len)
        session_note_unnamed(s, true, shape);
    st->unread = (uint8_t)unread;
    st->on_server = true;
    st->would_lack = s->dry_txn.knows;
    st->generation = s->engine->generation;
    st->refs++;
    session_put_statement(s, st);
    session_expect(s, EXPECT_PARSE, st); // the unit may have failed already: then the Parse is not reached
    statement_unref(st);
}

// The reply to this Parse will tell about all statements of its text, unless something before it on the
// connection can still change what the text means.
static void learn_parse(struct feed *f, struct shape *shape) {
    struct session *s = f->s;
    if (!f->learns || s->n_forward != 1 || s->identity.state != IDENTITY_PROVEN)
        return;
    struct group *g = session_read_group(s, shape);
    if (g)
        session_learn(s, g, f->describes);
}

// A Parse replaces the unnamed statement, and the server's is not the one that the client believes in. If
// something before it in the unit fails, the Parse is not reached and the client still has the old one. So
// the answer to what came before is waited for. SKIPPED: that has failed, and the Parse does nothing.
static enum inside replaces_unknown(struct feed *f) {
    struct session *s = f->s;
    if (!s->names.unnamed || !s->names.unnamed->shape || session_unnamed_fits(s))
        return INSIDE_PASS;
    if (session_unit_is_answered(s))
        return owed_last(s)->error ? INSIDE_SKIPPED : INSIDE_PASS;
    (void)inside_wait(f);
    return INSIDE_WAIT;
}

// Refuses a message by which the server would get what is said of pgfold's own settings.
static bool refuses_settings(struct feed *f, struct slice text) {
    if (owed_last(f->s)->error || !control_is_named(text))
        return false;
    feed_to_server(f, true);
    f->drop = watch_settings_refuse(f->s, text);
    return f->drop;
}

// The same for a text that has its values as constants.
static void put_literal(struct session *s, struct shape *of, const struct msg_parse *m) {
    struct shape *shape = shape_with_constants(&s->engine->shapes, of, m->text);
    if (!shape)
        return session_fail(s, "53200", "out of memory");
    put_parsed(s, m->name, shape, UNREAD_NOTHING);
    shape_unref(shape);
}

static void forward_parse(struct feed *f, const struct msg_parse *m) {
    struct session *s = f->s;
    if (!m->name.len && replaces_unknown(f) != INSIDE_PASS)
        return;
    bool may = session_may_remember(s, m->name.len);
    enum reason why = may ? REASON_NONE : REASON_MEMORY;
    struct shape *shape =
        s->no_scan || session_text_is_pending(s) || !may ? NULL : shape_of_parse(&s->engine->shapes, m, &why);
    if (shape)
        reporting_text(s, shape, m->text);
    struct statement *old = m->name.len ? session_statement(s, m->name) : NULL;
    if (old && !give(f, old))
        return;
    if (old)
        old->changed = false; // the server has a statement of that name
    if (old) {
        if (!old->confirmed)
            names_are_unknown(s);                     // if the old one is refused, this one is not
        return session_expect(s, EXPECT_PARSE, NULL); // else the server refuses this one and keeps the old
    }
    if (refuses_settings(f, m->text))
        return;
    enum unread unread = !shape && unread_is_why(why) ? unread_of(m->text) : UNREAD_NOTHING;
    if (shape && shape->protocol == SHAPE_SIMPLE)
        return put_literal(s, shape, m);
    put_parsed(s, m->name, shape, effect_relax_long_query(unread, why));
    if (shape)
        learn_parse(f, shape);
}

// ---- Bind, Describe, Close

// Notes whose rows will come, for the trail of what the client reads (ahead/trail.h). In a unit of several
// statements nothing tells which rows are whose. BEGIN has none; JDBC sends it in the unit of the first statement.
static void note_bound(struct owed *o, struct statement *st, const struct msg_bind *m) {
    if (st && st->shape && st->shape->parsed->kind == STATEMENT_BEGIN)
        return;
    bool first = !o->forward.binds;
    o->forward.binds = true;
    statement_unref(o->forward.bound);
    o->forward.bound = first ? st : NULL;
    if (o->forward.bound)
        st->refs++;
    o->forward.formats = row_formats_read(m->n_result_formats, m->result_formats);
}

// The same for what was prepared: its text names one, or the Bind does.
static bool refuses_bound(struct feed *f, const struct statement *st, const struct msg_bind *m) {
    if (!st || !st->shape || owed_last(f->s)->error)
        return false;
    struct slice text = {(const uint8_t *)st->shape->text, st->shape->text_len};
    if (st->ours)
        return refuses_settings(f, text);
    if (!m->n_params || !control_may_be_bound(text))
        return false;
    feed_to_server(f, true);
    f->drop = watch_settings_refuse_bound(f->s, st, m);
    return f->drop;
}

// What the portal runs: settings that are made with parameters are those of the text with constants. A reference. NULL: what `st` is;
// out of memory counts as such, and leaves the session in doubt.
static struct statement *with_values(struct session *s, const struct statement *st,
                                     const struct msg_bind *m) {
    struct statement *run = NULL;
    enum reason why;
    struct buf text = buf_make(s->engine->limits.max_text);
    bool may = st && st->shape && !st->ours && !s->no_scan && !session_text_is_pending(s);
    struct shape *shape = may && bound_config_text(st->shape, m, &text)
                              ? shape_verbatim(&s->engine->shapes, (struct slice){text.data, text.len}, &why)
                              : NULL;
    if (shape)
        run = statement_create(s, "", 0, shape);
    buf_free(&text);
    return run;
}

static void forward_bind(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_bind m;
    if (!msg_bind_read(fr->body, fr->body_len, &m))
        return extended_note_unreadable(s);
    struct statement *st = session_statement(s, m.statement);
    if (refuses_bound(f, st, &m) || !may_use(f, st))
        return;
    if (!s->report.text)
        reporting_runs(s, st);
    s->portal_open |= !m.portal.len;
    struct owed *o = owed_last(s);
    note_bound(o, st, &m);
    question_note_bind(s, st ? st->shape : NULL, &m);
    struct statement *run = with_values(s, st, &m);
    if (!m.portal.len)
        extended_set_portal(s, run ? run : st);
    else
        session_note_portal(s, m.portal, run ? run : st, &o->forward.formats);
    statement_unref(run);
}

// The client's unnamed portal is closed, or known here alone, and what the server has by that name is older. Refuses what
// uses it. False: it is not so.
static bool refuses_closed(struct feed *f, struct slice portal) {
    struct session *s = f->s;
    bool ours = s->answered_portal.closed || s->answered_portal.given;
    if (portal.len || !ours || owed_last(s)->error)
        return false;
    struct buf error = buf_make(1024);
    write_error(&error, "ERROR", "34000", "portal \"\" does not exist", NULL, NULL);
    feed_to_server(f, true);
    f->drop = session_refuse_as(s, &error);
    buf_free(&error);
    return true;
}

static void forward_describe(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_target m;
    if (!msg_target_read(fr->body, fr->body_len, &m))
        return extended_note_unreadable(s);
    if (m.kind == 'P' && refuses_closed(f, m.name))
        return;
    struct statement *st = m.kind == 'S' ? session_statement(s, m.name)
                           : m.name.len  ? session_portal(s, m.name)
                                         : s->portal;
    if (m.kind == 'S' && !may_use(f, st))
        return;
    session_expect(s, EXPECT_DESCRIBE, st);
}

// The statement lives on as `closing` until the server has confirmed: if the unit fails before, it was not
// closed. Whether the server must get it then is known when the unit has been answered.
static void close_unnamed(struct session *s) {
    if (s->names.unnamed && session_lacks(s, s->names.unnamed))
        session_note_uncertain(s);
    session_note_unnamed(s, false, NULL);
    struct statement *st = names_close_unnamed(s);
    session_expect(s, EXPECT_CLOSE, st);
    statement_unref(st);
}

static void forward_close(struct feed *f, const struct frame *fr) {
    struct msg_target m;
    if (!msg_target_read(fr->body, fr->body_len, &m))
        return extended_note_unreadable(f->s);
    if (m.kind == 'S' && !m.name.len)
        return close_unnamed(f->s);
    if (m.kind == 'S')
        session_drop_statement(f->s, m.name);
    else
        session_forget_cursor(f->s, m.name);
    if (m.kind == 'P' && !m.name.len)
        portal_gone(f->s);
    session_expect(f->s, EXPECT_CLOSE, NULL);
}

// ---- Execute

// Notes what the statement does that an Execute runs.
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
        reads_note_execute(s, o, shape);
        return;
    }
    if ((kind == STATEMENT_OTHER || kind == STATEMENT_HARMLESS) && reads_note_execute_cursor(s, o, shape))
        return;
    shape_ref(shape); // it may drop the statement that holds its shape
    effect_note_statement(s, o, kind, shape, shape->parsed, shape->changes);
    if (kind == STATEMENT_OTHER && effect_may_set_isolation(shape, shape->reason))
        session_txn_lose_level(o);
    shape_unref(shape);
}

static void run_unread(struct session *s, struct statement *st) {
    if (unread_may_be_asked_again((enum unread)st->unread, REASON_NONE))
        question_note_unread(s);
    effect_note_unread(s, st, (enum unread)st->unread);
}

static void run_portal(struct feed *f, const struct msg_execute *m, struct statement *st) {
    struct session *s = f->s;
    if (m->portal.len && st)
        session_resume_portal(s, m->portal, owed_last(s));
    if (!st) // it is not known what it runs
        effect_note_unknown(s);
    else if (!st->shape)
        run_unread(s, st);
    else if (st->shape->reason == REASON_TEXT_TOO_LONG && effect_unread_of_shape(st->shape) > UNREAD_QUERY)
        effect_note_unread(s, st, effect_unread_of_shape(st->shape));
    else
        run_shape(f, shape_meaning(st->shape));
    // With a row limit the unnamed portal may have more rows to give. Inside a transaction the client may
    // fetch them in a later unit, so nothing of ours may replace that portal. Not so a lookup of mode observe: nothing of ours
    // comes there, and mode fold would have given all of its rows.
    if (!m->portal.len)
        s->portal_open = m->max_rows && !dry_at_hand(s);
}

static void forward_execute(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct msg_execute m;
    if (!msg_execute_read(fr->body, fr->body_len, &m)) {
        sent_note(s, NULL, STATEMENT_OTHER);
        return extended_note_unreadable(s);
    }
    if (refuses_closed(f, m.portal))
        return sent_note(s, NULL, STATEMENT_OTHER);
    struct statement *st = m.portal.len ? session_portal(s, m.portal) : s->portal;
    struct shape *shape =
        st && st->shape ? shape_ref(shape_meaning(st->shape)) : NULL; // it may drop its statement
    run_portal(f, &m, st);
    if (!s->hold.unit) // else it comes again
        sent_note(s, shape, shape ? shape->parsed->kind : STATEMENT_OTHER);
    shape_unref(shape);
}

// ---- entries

void extended_forward(struct feed *f, const struct frame *fr) {
    struct msg_parse p;
    switch (fr->type) {
    case F_PARSE:
        if (msg_parse_read(fr->body, fr->body_len, &p))
            forward_parse(f, &p);
        else
            extended_note_unreadable(f->s);
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

bool extended_read_name(const struct feed *f, size_t *at, struct slice *out) {
    const uint8_t *p = f->bytes + f->at + *at;
    const uint8_t *zero = f->at + *at < f->len ? memchr(p, 0, f->len - f->at - *at) : NULL;
    if (!zero)
        return false;
    *out = (struct slice){p, (size_t)(zero - p)};
    *at += out->len + 1;
    return true;
}

void extended_forward_large(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    struct slice first, second;
    size_t at = FRAME_HEADER;
    if (fr->type == F_PARSE && extended_read_name(f, &at, &first)) {
        struct slice text = {f->bytes + f->at + at, f->len - f->at - at};
        enum unread u = unread_of(text);
        session_drop_statement(s, first);
        put_parsed(s, first, NULL, effect_relax_long_query(u, REASON_TEXT_TOO_LONG));
    } else if (fr->type == F_BIND && extended_read_name(f, &at, &first) &&
               extended_read_name(f, &at, &second)) {
        if (first.len)
            session_note_portal(s, first, session_statement(s, second),
                                &(struct row_formats){.unknown = true});
        else
            extended_set_portal(s, session_statement(s, second));
    } else {
        if (fr->type == F_EXECUTE)
            sent_note(s, NULL, STATEMENT_OTHER);
        extended_note_unreadable(s);
    }
}
