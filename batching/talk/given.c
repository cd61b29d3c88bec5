// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/given.h"

#include <stdio.h>

#include "batching/fold/group.h"
#include "batching/fold/savepoint.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/learn.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/session/settle.h"
#include "batching/session/statements.h"
#include "batching/session/wire.h"
#include "batching/statement/shape.h"
#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"
#include "protocol/write.h"

#define GIVE_AGAIN    1000000 // microseconds until a statement that could not be given is tried again
#define MAX_DOUBLINGS 6       // of GIVE_AGAIN

// ---- is it what the client was told?

// Is something known that is not what the server says?
static bool hash_differs(bool known, XXH128_hash_t hash, XXH128_hash_t told) {
    return known && !XXH128_isEqual(hash, told);
}

enum stage_result { STAGE_NO, STAGE_FITS, STAGE_DIFFERS };

// Takes one message of the four that answer Close, Parse and Describe, in this order; for the unnamed
// statement there is no Close. NO: it is none of them. DIFFERS: the client was told something else.
static enum stage_result take_stage(struct session *s, const struct expected *x, const struct frame *f) {
    const struct statement *st = x->statement;
    static const char wanted[] = {B_CLOSE_COMPLETE, B_PARSE_COMPLETE, B_PARAMETER_DESCRIPTION,
                                  B_ROW_DESCRIPTION, 0};
    if (!s->expect.stage && !st->name[0])
        expected_next_stage(s);
    if (s->expect.stage == 3 && f->type == B_NO_DATA) {
        expected_next_stage(s);
        return st->described ? STAGE_DIFFERS : STAGE_FITS;
    }
    if (s->expect.stage > 3 || f->type != (uint8_t)wanted[s->expect.stage])
        return STAGE_NO;
    bool differs = false;
    if (f->type == B_PARAMETER_DESCRIPTION)
        differs =
            hash_differs(st->parameters_described, XXH3_128bits(f->body, f->body_len), st->parameters_hash);
    if (f->type == B_ROW_DESCRIPTION)
        differs = hash_differs(st->described, row_types_hash(f->body, f->body_len), st->types_hash);
    if (f->type == B_ROW_DESCRIPTION)
        session_learn_again(s, shape_meaning(st->shape), f, x->sent);
    expected_next_stage(s);
    return differs ? STAGE_DIFFERS : STAGE_FITS;
}

// The answers that were learnt for this text are out of date.
static void unlearn(struct session *s, struct shape *shape) {
    struct group *g = session_read_group(s, shape);
    if (g)
        g->parses = g->described = false;
}

// ---- refusing

static const char changed_text[] = "cached plan must not change result type";

static void tell_changed(struct session *s) {
    struct buf *b = &s->engine->answer;
    buf_reset(b);
    if (s->giving.refusal.len)
        buf_put(b, s->giving.refusal.data, s->giving.refusal.len);
    else
        write_error(b, "ERROR", "0A000", changed_text, NULL, NULL);
    buf_free(&s->giving.refusal);
    if (!s->client_gone && !b->failed)
        s->engine->effects->to_client(s->owner, b->data, b->len, true);
}

// Sends a Bind of a statement that never existed: the server's error stands where our refusal belongs.
static bool send_nothing(struct session *s, bool sync) {
    struct buf *b = &s->engine->request;
    buf_reset(b);
    size_t at = write_begin(b, F_BIND);
    buf_put_str(b, SAVEPOINT_PORTAL);
    buf_put_str(b, SAVEPOINT_NOTHING);
    buf_put(b, "\0\0\0\0\0\0", 6);
    write_end(b, at);
    if (sync)
        write_empty(b, F_SYNC);
    if (b->failed)
        session_fail(s, "53200", "out of memory");
    else
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return !b->failed;
}

bool session_refuse(struct session *s) {
    owed_last(s)->refused = true;
    return send_nothing(s, false);
}

bool session_refuse_as(struct session *s, const struct buf *error) {
    buf_free(&s->giving.refusal);
    s->giving.refusal = buf_make(error->len);
    buf_put(&s->giving.refusal, error->data, error->len);
    if (s->giving.refusal.failed)
        session_fail(s, "53200", "out of memory");
    return !s->failed && session_refuse(s);
}

bool session_refuse_unit(struct session *s, const struct buf *error) {
    struct owed *o = owed_push(s, OWED_FORWARD);
    buf_free(&s->giving.refusal);
    s->giving.refusal = buf_make(error->len);
    buf_put(&s->giving.refusal, error->data, error->len);
    if (!o || s->giving.refusal.failed) {
        session_fail(s, "53200", "out of memory");
        return false;
    }
    o->extended = o->refused = true;
    return send_nothing(s, true);
}

bool session_take_refusal(struct session *s, struct owed *o, const struct frame *f) {
    struct slice code;
    if (!o->refused || f->type != B_ERROR)
        return false;
    o->refused = false;
    if (!msg_error_field(f->body, f->body_len, 'C', &code) || !slice_is(code, "26000", 5))
        return false; // another error, such as the end of the connection
    o->error = true;
    session_end_expected(s, o);
    tell_changed(s);
    if (s->hold.unit)
        session_settle(s);
    return true;
}

bool session_abort_refused(struct session *s, struct owed *o, char status) {
    if (!o->aborts || status != 'T')
        return false;
    o->aborts = false;
    return send_nothing(s, true);
}

// ---- given inside the client's unit

// The message that needs the statement was sent behind it, and nothing else was: the client is told, and the
// rest of the reply is dropped. A transaction must fail, too, as it would have done in the server. Where more
// was sent behind it, nothing can be taken back: the session fails.
static void refuse_reply(struct session *s, struct owed *o, struct statement *st) {
    unlearn(s, shape_meaning(st->shape));
    session_end_expected(s, o);
    if (!o->single || (s->txn != 'I' && s->owed.n > 1)) {
        session_fail(s, "0A000", changed_text);
        return;
    }
    tell_changed(s);
    o->poisoned = o->error = true;
    o->aborts = s->txn == 'T';
}

// The statement has been given. One that has changed counts as lacking: it is given again each time, since it
// may have changed back.
static void end_delayed(struct session *s, struct owed *o) {
    struct statement *st = session_shift_expected(s, o);
    expected_first_stage(s);
    if (st->changed)
        unlearn(s, shape_meaning(st->shape));
    st->on_server = !st->changed;
    st->unfit &= st->changed;
    names_more_lazy(s, st->changed && st->name[0]);
    if (st->changed && !st->name[0])
        session_note_unnamed(s, true, NULL);
    statement_unref(st);
    if (s->hold.unit)
        session_settle(s);
}

bool session_take_delayed(struct session *s, struct owed *o, const struct frame *f) {
    if (!o->n_expected || !s->expect.n || s->expect.ring[s->expect.head].kind != EXPECT_DELAYED)
        return false;
    struct expected x = s->expect.ring[s->expect.head];
    struct statement *st = x.statement;
    enum stage_result r = take_stage(s, &x, f);
    if (r == STAGE_NO)
        return false;
    if (r == STAGE_DIFFERS && !x.waited) {
        refuse_reply(s, o, st);
        return true;
    }
    st->changed |= r == STAGE_DIFFERS;
    if (s->expect.stage == 4)
        end_delayed(s, o);
    return true;
}

// ---- given in a unit of our own

// The same for one given in a unit of our own. If what the client was told no longer holds, it hears of that
// when it uses the statement.
static void end_given(struct session *s, struct owed *o) {
    struct statement *st = session_shift_expected(s, o);
    st->on_server = !o->answer;
    if (st->on_server)
        names_less_lazy(s);
    st->unfit = o->answer;
    expected_first_stage(s);
    o->answer = false;
    statement_unref(st);
}

void given_forget_error(struct session *s) {
    buf_free(&s->giving.error);
    buf_free(&s->giving.refusal);
}

// Keeps the server's error for the client, without the fields about our Parse, such as the position in its
// text.
static void keep_error(struct session *s, const struct frame *f) {
    struct slice code, message;
    char sqlstate[6], text[512];
    if (!msg_error_field(f->body, f->body_len, 'C', &code) ||
        !msg_error_field(f->body, f->body_len, 'M', &message))
        return;
    snprintf(sqlstate, sizeof sqlstate, "%.*s", (int)code.len, (const char *)code.data);
    snprintf(text, sizeof text, "%.*s", message.len < 512 ? (int)message.len : 511,
             (const char *)message.data);
    given_forget_error(s);
    s->giving.error = buf_make(2048);
    write_error(&s->giving.error, "ERROR", sqlstate, text, NULL, NULL);
}

void session_feed_parse(struct session *s, struct owed *o, const struct frame *f, bool interruption) {
    const struct expected *x = o->n_expected && s->expect.n ? &s->expect.ring[s->expect.head] : NULL;
    if (f->type == B_ERROR) {
        o->error = true;
        o->interrupted = interruption;
        if (o->named)
            keep_error(s, f);
        if (x && !o->n_asked && !interruption)
            x->statement->unfit = true; // not those behind it, which were not reached
        session_end_expected(s, o);
    } else if (o->n_asked) {
        o->n_asked--;
    } else if (x) {
        o->answer |= take_stage(s, x, f) == STAGE_DIFFERS;
        if (s->expect.stage == 4)
            end_given(s, o);
    }
}

// A statement that waited for a lock in vain is not tried again at once, and later each time.
void session_end_parse(struct session *s, struct owed *o) {
    session_end_expected(s, o);
    bool counts = s->engine->now >= s->giving.from; // of those that were given together only one
    if (o->error && o->interrupted && counts) {
        s->giving.from = s->engine->now + ((uint64_t)GIVE_AGAIN << s->giving.in_vain);
        s->giving.in_vain += s->giving.in_vain < MAX_DOUBLINGS;
    } else if (!o->error) {
        s->giving.in_vain = 0;
    }
}

bool session_take_missing(struct session *s, struct owed *o, const struct frame *f) {
    struct slice code;
    if (!s->giving.error.len || o->kind != OWED_FORWARD || f->type != B_ERROR ||
        !msg_error_field(f->body, f->body_len, 'C', &code) ||
        (!slice_is(code, "26000", 5) && !slice_is(code, "25P02", 5)))
        return false;
    o->error = true;
    session_end_expected(s, o);
    if (!s->client_gone && !s->giving.error.failed)
        s->engine->effects->to_client(s->owner, s->giving.error.data, s->giving.error.len, true);
    given_forget_error(s);
    if (s->hold.unit)
        session_settle(s);
    return true;
}
