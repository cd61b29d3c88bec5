// SPDX-License-Identifier: PostgreSQL
#include "batching/session/pump.h"

#include "batching/fold/batch.h"
#include "batching/fold/lookup_state.h"
#include "batching/session/answered.h"
#include "batching/session/cancel_request.h"
#include "batching/session/cleared.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/frame.h"
#include "batching/session/lazy.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/owed.h"
#include "batching/session/pipeline.h"
#include "batching/session/record.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/settle.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/unnamed.h"
#include "batching/session/vouch.h"
#include "batching/session/whole_unit.h"
#include "batching/session/wire.h"
#include "protocol/buf.h"

// Expects the replies to a lookup that runs alone, which will tell about its statement.
static void expect_of_lookup(struct session *s, struct lookup *l) {
    struct statement *st = l->statement;
    if (l->has_parse) {
        session_expect(s, EXPECT_PARSE, st);
        st->on_server = true;
    }
    if (l->has_describe)
        session_expect(s, EXPECT_DESCRIBE, st->described ? NULL : st);
    for (unsigned i = 0; i < l->n_closes; i++)
        session_expect(s, EXPECT_CLOSE, NULL);
    if (l->has_parse && !st->name[0])
        session_note_unnamed(s, true, st->shape);
}

static bool lacks_statement(const struct session *s, const struct lookup *l) {
    return !l->simple && !l->has_parse && !l->pipeline && session_lacks(s, l->statement);
}

bool session_gives_first(const struct session *s, const struct lookup *l) {
    return s->txn != 'I' && lacks_statement(s, l);
}

// Sends a lookup as the client sent it, and in front of it the statement that it needs. False: the session
// failed.
static bool send_original(struct session *s, struct lookup *l, enum owed_kind kind) {
    bool checked = kind == OWED_CHECK, lacks = lacks_statement(s, l);
    if (checked && lacks && !session_restore_unnamed(s, l->shape)) // it was there when the check began
        return false;
    struct owed *o = owed_push(s, kind);
    if (!o) {
        session_fail(s, "53200", "out of memory");
        return false;
    }
    o->extended = !l->simple;
    o->single = true;
    o->of.lookup = l;
    o->reads = l->check != CHECK_AGAIN && ahead_may_record(s, l);
    if (!l->plain) // it may do more than read
        cleared_no_more(s);
    if (kind == OWED_LOOKUP)
        lookup_set_state(l, LOOKUP_SENT);
    l->outcome = OUTCOME_ALONE;
    l->failed = false;
    trust_note_run(s);
    if (lacks && !checked && !session_send_delayed(s, l->statement, false))
        return false;
    s->gives |= lacks && !checked && s->txn != 'I';
    if (l->pipeline)
        s->engine->counters.sent += l->pipeline->n - 1; // the unit is sent as a whole
    if (l->pipeline && !pipeline_expect(s, l->pipeline))
        return false;
    s->gives |= l->pipeline && s->txn != 'I';
    if (!l->simple && !checked && !l->pipeline)
        expect_of_lookup(s, l);
    if (l->simple || (checked && l->has_parse))
        session_note_unnamed(s, l->has_parse, l->has_parse ? l->statement->shape : NULL);
    s->engine->effects->to_server(s->owner, l->bytes, l->len, true);
    return !s->failed;
}

void session_send_checked(struct session *s, struct lookup *l) {
    bool sent = send_original(s, l, OWED_CHECK);
    (void)sent; // false: the session has failed
}

// In an aborted transaction every statement fails. That includes one whose answer a batch has brought
// already: it is sent to the server, which refuses it.
static void take_back_answers(struct session *s) {
    for (struct lookup *l = s->order.first; l; l = l->next) {
        if (l->pipeline && l == l->pipeline->first)
            pipeline_cancel(s, l);
        if (l->pipeline || l->state != LOOKUP_ANSWERED)
            continue;
        order_release(s, l->answer.len);
        buf_free(&l->answer);
        lookup_weigh(l);
        lookup_set_state(l, LOOKUP_ALONE);
    }
}

void session_pump(struct session *s) {
    struct engine *e = s->engine;
    if (s->txn == 'E')
        take_back_answers(s);
    while (s->order.first && s->order.first->state == LOOKUP_ANSWERED &&
           pipeline_is_answered(s->order.first)) {
        struct lookup *l = s->order.first;
        order_shift(s);
        order_release(s, l->answer.len);
        if (l->answer.len) {
            e->effects->to_client(s->owner, l->answer.data, l->answer.len, true);
            ahead_answered(s);
        }
        lookup_answered(s, l);
        l->session = NULL;
        lookup_free(e, l);
    }
    session_repair(s);
    for (struct lookup *l = s->order.first; l; l = l->next) {
        if (l->state == LOOKUP_ALONE && (!session_may_send(s) || s->expect.n >= e->limits.max_expected ||
                                         !send_original(s, l, OWED_LOOKUP)))
            break;
        if (l->state != LOOKUP_SENT)
            break;
        if (s->cancel.first && l == s->order.first)
            session_cancel_sent(s);
    }
    session_settle(s);
}
