// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/client_reply.h"

#include <string.h>

#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/learn.h"
#include "batching/session/record.h"
#include "batching/session/sent.h"
#include "batching/session/session.h"
#include "batching/session/settle.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/talk/given.h"
#include "batching/talk/inside.h"
#include "batching/talk/opaque.h"
#include "protocol/frame.h"
#include "protocol/message.h"

static enum expected_kind kind_of_reply(uint8_t type) {
    return type == B_PARSE_COMPLETE   ? EXPECT_PARSE
           : type == B_CLOSE_COMPLETE ? EXPECT_CLOSE
                                      : EXPECT_DESCRIBE;
}

// A ParseComplete, CloseComplete, RowDescription or NoData came: notes what it says of the statement that it
// is about.
static void take_expected(struct session *s, struct owed *o, const struct frame *f) {
    enum expected_kind kind = kind_of_reply(f->type);
    if (!o->n_expected || !s->expect.n || s->expect.ring[s->expect.head].kind != kind) {
        session_end_expected(s, o);
        return;
    }
    struct statement *st = session_shift_expected(s, o);
    if (st && kind == EXPECT_PARSE)
        st->confirmed = true;
    if (st && f->type == B_ROW_DESCRIPTION) {
        st->described = true;
        st->row_hash = row_description_hash(f->body, f->body_len);
        st->types_hash = row_types_hash(f->body, f->body_len);
        ahead_note_columns(s, st, f->body, f->body_len);
    }
    statement_unref(st);
}

// The same for a ParameterDescription. It comes before the RowDescription or NoData of the same Describe.
static void take_parameters(struct session *s, const struct frame *f) {
    const struct expected *x = s->expect.n ? &s->expect.ring[s->expect.head] : NULL;
    if (!x || x->kind != EXPECT_DESCRIBE || !x->statement)
        return;
    x->statement->parameters_described = true;
    x->statement->parameters_hash = XXH3_128bits(f->body, f->body_len);
}

// In a COPY of the extended protocol, and in COPY BOTH, the client's messages are no longer answered one by
// one.
static bool copy_makes_opaque(const struct owed *o, uint8_t type) {
    return type == B_COPY_BOTH || (type == B_COPY_IN && o->extended);
}

// The command's tag is a zero-terminated string.
static void note_complete(struct session *s, const struct owed *o, const struct frame *f, bool whole,
                          bool last) {
    struct slice tag = {0};
    const uint8_t *zero = whole ? memchr(f->body, 0, f->body_len) : NULL;
    if (zero)
        tag = (struct slice){f->body, (size_t)(zero - f->body)};
    session_note_complete(s, o, tag, last);
}

static void note_answered(struct session *s, struct owed *o) {
    o->n_complete++;
    if (o->kind == OWED_FORWARD)
        sent_completed(s, o);
}

void client_reply_note(struct session *s, struct owed *o, const struct frame *f, bool whole, bool last) {
    if (!o)
        return;
    if (s->learning.group && o->kind == OWED_FORWARD)
        session_feed_learning(s, f, whole);
    if (f->type == B_ERROR)
        o->error = true;
    if (copy_makes_opaque(o, f->type))
        session_go_opaque(s);
    bool tells = f->type == B_PARSE_COMPLETE || f->type == B_ROW_DESCRIPTION || f->type == B_NO_DATA ||
                 f->type == B_CLOSE_COMPLETE;
    if (f->type == B_PARAMETER_DESCRIPTION && o->extended && whole)
        take_parameters(s, f);
    if (tells && o->extended && whole)
        take_expected(s, o, f);
    else if ((tells && o->extended) || f->type == B_ERROR)
        session_end_expected(s, o);
    session_note_answer(s, o, f->type);
    if (f->type == B_COMMAND_COMPLETE)
        note_complete(s, o, f, whole, last);
    if (sent_is_completed_by(f->type))
        note_answered(s, o);
    if (o->reads)
        ahead_reply(s, o, f, whole);
    if (s->hold.unit || f->type == B_COPY_IN)
        session_settle(s);
    // After an error the server is silent until the Sync, and the client may still have to send that.
    if (s->hold.full && s->expect.n <= s->engine->limits.max_expected / 2)
        session_settle(s);
}

bool client_reply_is_dropped(struct session *s, struct owed *o, const struct frame *f, bool whole) {
    if (o && whole && session_take_missing(s, o, f))
        return true;
    if (!o || !o->extended)
        return false;
    if (whole && session_take_refusal(s, o, f))
        return true;
    if (o->poisoned && f->type == B_READY_FOR_QUERY && whole && f->body_len == 1)
        return session_abort_refused(s, o, (char)f->body[0]);
    if (o->poisoned)
        return f->type != B_READY_FOR_QUERY && f->type != B_PARAMETER_STATUS && f->type != B_NOTIFICATION;
    return whole && session_take_delayed(s, o, f);
}
