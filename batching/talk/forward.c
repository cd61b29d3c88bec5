// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/forward.h"

#include "batching/session/behind.h"
#include "batching/session/changes.h"
#include "batching/session/cursors.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/frame.h"
#include "batching/session/hold.h"
#include "batching/session/lazy.h"
#include "batching/session/owed.h"
#include "batching/session/pooler.h"
#include "batching/session/sent.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/wire.h"
#include "batching/statement/cursor.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/parsed.h"
#include "batching/statement/shape.h"
#include "batching/statement/unit.h"
#include "batching/statement/unread.h"
#include "batching/talk/classify.h"
#include "batching/talk/dry_reply.h"
#include "batching/talk/effects.h"
#include "batching/talk/extended.h"
#include "batching/talk/feed.h"
#include "batching/talk/front.h"
#include "batching/talk/inside.h"
#include "batching/talk/lookup_take.h"
#include "batching/talk/opaque.h"
#include "batching/talk/question.h"
#include "batching/talk/reads.h"
#include "batching/talk/watch_settings.h"
#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"
#include "protocol/write.h"

// ---- units

// Opens a unit: its replies belong to the entry that is returned. NULL: the session failed.
static struct owed *begin_unit(struct feed *f, bool extended) {
    struct session *s = f->s;
    struct owed *o = owed_push(s, OWED_FORWARD);
    if (!o) {
        session_fail(s, "53200", "out of memory");
        return NULL;
    }
    o->extended = extended;
    o->reason = (uint8_t)f->why;
    dry_open(s, o);
    s->in_unit = extended;
    s->lazy_unit = s->gave = false;
    s->unit_vets = 0;
    return o;
}

static void end_unit(struct session *s) {
    struct owed *o = owed_last(s);
    s->in_unit = false;
    o->forward.portal |= s->portal_open;
    o->forward.more_than_read |= s->portal_open;
    o->forward.beyond |= s->portal_open;
    s->portal_open = false;
    session_end_portals(s);
}

// The entry for a Query message. Inside an open extended unit, all of which is answered, the Query ends that
// unit and shares its ReadyForQuery.
static struct owed *begin_query(struct feed *f) {
    struct session *s = f->s;
    if (!s->in_unit)
        return begin_unit(f, false);
    end_unit(s);
    owed_last(s)->extended = owed_last(s)->single = false;
    return owed_last(s);
}

// What comes behind BEGIN, or behind a Parse, waits for its answer: pgfold may answer it itself. So the unit ends here for the
// server.
static void split_unit(struct feed *f) {
    struct session *s = f->s;
    struct buf *b = &s->engine->request;
    buf_reset(b);
    write_empty(b, F_SYNC);
    if (b->failed)
        return;
    feed_to_server(f, true);
    s->engine->effects->to_server(s->owner, b->data, b->len, false);
    end_unit(s);
    owed_last(s)->split = s->splits = true;
}

// A message of an open unit was forwarded. Is the rest of the unit what pgfold answers, and BEGIN all that was before it?
static void look_behind_begin(struct feed *f) {
    struct session *s = f->s;
    struct unit u;
    size_t max = s->engine->limits.max_text + UNIT_SLACK;
    if (s->failed || s->n_forward != 1 || !behind_any_begin(owed_last(s)) ||
        unit_read(f->bytes + f->at, f->len - f->at, max, &u) != UNIT_EXTENDED)
        return;
    if (watch_settings_is_one(s, &u, UNIT_EXTENDED) ||
        (behind_begin(owed_last(s)) && lookup_is_held_behind_begin(f, &u)))
        split_unit(f);
}

// The unit that was just opened, or goes on, is a lookup behind BEGIN.
static void note_behind(struct feed *f) {
    struct owed *o = f->s->owed.n ? owed_last(f->s) : NULL;
    if (!f->behind)
        return;
    bool notes = o && o->kind == OWED_FORWARD && !o->forward.behind;
    if (notes)
        o->forward.behind = f->behind;
    else
        behind_free(f->behind);
    f->behind = NULL;
}

// ---- Query

static void note_query(struct session *s, struct owed *o, const struct statement_class *c,
                       struct slice text) {
    struct parsed *p = effect_parse_write(s, c, c->behind_begin.data ? c->behind_begin : text);
    extended_drop_unnamed(s);
    if (c->behind_begin.data)
        effect_note_statement(s, o, STATEMENT_BEGIN, NULL, NULL, false);
    if (effect_may_deallocate(c)) {
        session_forget_given(s);
        names_are_unknown(s);
    }
    if (c->kind == STATEMENT_DEALLOCATE && c->name.len && !effect_is_refused(s, o, c->kind))
        session_drop_statement(s, c->name);
    effect_note_statement(s, o, c->kind, c->shape, c->shape ? c->shape->parsed : p, c->changes);
    parsed_destroy(p);
    if (c->kind == STATEMENT_OTHER && effect_may_set_isolation(c->shape, c->reason))
        session_txn_lose_level(o);
    if (effect_unread_of_class(c) > UNREAD_WRITE)
        session_note_unread_change(s, o);
    if (!c->shape && unread_may_be_asked_again(c->unread, c->reason))
        question_note_unread(s);
    o->forward.selects |= c->kind == STATEMENT_READ && !c->cursor.verb;
    // FETCH and RETURNING give rows, too.
    o->reads = c->kind == STATEMENT_READ || c->kind == STATEMENT_WRITE || c->kind == STATEMENT_OTHER;
}

static bool is_copy(struct slice text) {
    return token_is((const char *)text.data, lexer_first_word((const char *)text.data, text.len), "copy");
}

static bool send_query(struct feed *f, const struct frame *fr, struct slice text) {
    struct session *s = f->s;
    const struct statement_class *c = &f->query;
    front_prove(f, c->behind_begin.data ? STATEMENT_BEGIN : c->kind, c->cursor.hold);
    if (c->kind == STATEMENT_BEGIN)
        front_ask_behind_begin(f, fr->size);
    struct read_judgement n =
        c->cursor.verb ? reads_judge_cursor(f, text) : reads_judge_query(f, c->kind, c->shape);
    // Statements are given before BEGIN, since behind it a Parse would take the transaction's snapshot.
    bool sees = c->kind == STATEMENT_BEGIN || front_may_see_prepared(c->kind, n.effect);
    char executed[CURSOR_MAX_NAME + 1];
    cursor_executed((const char *)text.data, text.len, executed);
    bool asks = c->kind == STATEMENT_READ || c->kind == STATEMENT_OTHER || c->kind == STATEMENT_LOAD;
    if (sees && !front_give_executed(f, executed) && !front_give_all(f, asks))
        return false;
    front_snapshot_for_query(f, c);
    bool inside = s->in_unit;
    struct owed *o = begin_query(f);
    if (!o)
        return false;
    sent_note(s, c->shape, c->kind);
    note_query(s, o, c, text);
    o->forward.copies = is_copy(text);
    reads_note_judged(s, o, &n);
    o->reads &= !inside;
    return true;
}

// What is asked in front of it may drop its shape from the cache.
static bool forward_query(struct feed *f, const struct frame *fr, struct slice text) {
    const struct statement_class *c = feed_classify(f, text);
    struct shape *kept = c->shape ? shape_ref(c->shape) : NULL;
    bool sent = send_query(f, fr, text);
    shape_unref(kept);
    return sent;
}

// A Query message is too large to be read: it may do anything.
static void note_large_query(struct session *s) {
    effect_note_unknown(s);
    extended_drop_unnamed(s);
    session_forget_given(s);
    names_are_unknown(s);
    owed_last(s)->forward.changes = true;
    engine_definitions_changed(s->engine);
}

// Something runs that cannot be read: a function call, or a Query that is too large.
static bool forward_blindly(struct feed *f, const struct frame *fr) {
    struct session *s = f->s;
    if (!front_give_all(f, true) || !begin_query(f))
        return false;
    if (fr->type == F_QUERY)
        sent_note(s, NULL, STATEMENT_OTHER);
    if (fr->type == F_QUERY)
        note_large_query(s);
    else
        effect_note_unknown(s);
    return true;
}

// ---- the extended protocol

// Where there may be a pooler, what was just asked in front of the unit is answered first (session/pooler.h).
static bool waits_for_own(struct session *s) {
    hold_for_own(s, !s->hold.own && session_is_careful(s) && session_runs_own(s));
    return s->hold.own;
}

static bool forward_extended(struct feed *f, const struct frame *fr, bool readable) {
    struct session *s = f->s;
    if (readable)
        front_keep_out(f, fr);
    if (!s->in_unit && readable && !front_before_unit(f, fr))
        return false;
    if (!s->in_unit)
        front_snapshot_for_unit(f);
    if (!s->in_unit && (!extended_restore_unnamed(f, fr) || waits_for_own(s) || !begin_unit(f, true)))
        return false;
    owed_last(s)->single |= f->single;
    if (readable || fr->type == F_FLUSH)
        extended_forward(f, fr);
    else
        extended_forward_large(f, fr);
    if (s->hold.unit)
        return false;
    owed_last(s)->n_asked += fr->type != F_FLUSH;
    s->figures->client_parses += fr->type == F_PARSE;
    s->figures->binds += fr->type == F_BIND;
    return true;
}

static bool forward_sync(struct feed *f) {
    struct session *s = f->s;
    if (!s->in_unit && !begin_unit(f, true))
        return false;
    end_unit(s);
    return true;
}

// ---- any message

static bool is_extended(uint8_t type) {
    return type == F_PARSE || type == F_BIND || type == F_DESCRIBE || type == F_CLOSE || type == F_EXECUTE ||
           type == F_FLUSH;
}

static bool is_read_whole(uint8_t type) {
    return type == F_QUERY || (is_extended(type) && type != F_FLUSH);
}

// The names in a large Parse or Bind come first. Are they still to come?
static bool lacks_names(const struct feed *f, const struct frame *fr) {
    struct slice name;
    size_t at = FRAME_HEADER;
    if ((fr->type != F_PARSE && fr->type != F_BIND) || f->len - f->at >= 4096)
        return false;
    return !extended_read_name(f, &at, &name) || (fr->type == F_BIND && !extended_read_name(f, &at, &name));
}

static void note_other(struct session *s, uint8_t type) {
    switch (type) {
    case F_TERMINATE:
        s->terminating = s->goodbye = true;
        return;
    case F_PASSWORD:
        return;
    default:
        session_go_opaque(s); // an unknown type: the server knows what to answer
    }
}

// What becomes of a message whose meaning depends on how the unit before it ends.
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

// Is there room in the queues of what is owed and expected? If not, the client is not read until there is.
static bool has_room(struct feed *f) {
    struct session *s = f->s;
    const struct engine_limits *l = &s->engine->limits;
    if (s->owed.n < l->max_owed && s->expect.n < l->max_expected)
        return true;
    feed_ask_for_replies(f);
    hold_until_room(s);
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
    if (!(whole && readable) && (fr->type == F_QUERY || fr->type == F_PARSE))
        frame_name_taken(s); // nobody reads it
    enum inside inside = inside_of(f, fr->type);
    if (inside != INSIDE_PASS)
        return inside == INSIDE_SKIPPED;
    if (fr->type == F_SYNC)
        return forward_sync(f);
    if (fr->type == F_QUERY && whole && readable && msg_query_read(fr->body, fr->body_len, &text)) {
        (void)feed_classify(f, text);
        front_keep_out(f, fr);
        return forward_query(f, fr, text);
    }
    if (fr->type == F_FUNCTION_CALL || fr->type == F_QUERY)
        return forward_blindly(f, fr);
    if (is_extended(fr->type))
        return forward_extended(f, fr, whole && readable);
    if (fr->type != F_COPY_DATA && fr->type != F_COPY_DONE && fr->type != F_COPY_FAIL)
        note_other(s, fr->type);
    return true;
}

// In mode observe the forwarded unit counts as the lookup that it would have been.
static void note_observed(struct session *s) {
    if (s->observed && s->owed.n && owed_last(s)->kind == OWED_FORWARD && !owed_last(s)->of.group)
        reads_pin_group(owed_last(s), s->observed);
}

void forward_behind_parse(struct feed *f) {
    struct session *s = f->s;
    struct unit u;
    size_t max = s->engine->limits.max_text + UNIT_SLACK;
    if (s->failed || !s->in_unit || s->n_forward != 1 || f->bytes[f->at] != F_BIND)
        return;
    const struct owed *o = owed_last(s);
    if (!o->error && !o->forward.binds && !o->n_sent && !o->n_untold &&
        unit_read(f->bytes + f->at, f->len - f->at, max, &u) == UNIT_EXTENDED &&
        watch_settings_is_one(s, &u, UNIT_EXTENDED))
        split_unit(f);
}

void forward_behind_begin(struct feed *f) {
    look_behind_begin(f);
    note_behind(f);
}

bool forward_message(struct feed *f, const struct frame *fr) {
    bool done = forward_one(f, fr);
    if (done)
        note_observed(f->s);
    if (done)
        dry_sent(f->s);
    if (done)
        note_behind(f);
    if (done || !f->s->in_unit) // a unit that is not open yet is looked at anew
        reads_end_observed(f->s);
    return done;
}
