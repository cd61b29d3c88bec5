// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/client.h"

#include "batching/base/reason.h"
#include "batching/flow/cancel.h"
#include "batching/flow/children.h"
#include "batching/flow/dispatch.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/behind.h"
#include "batching/session/cancel_request.h"
#include "batching/session/changes.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/hold.h"
#include "batching/session/learn.h"
#include "batching/session/pooler.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/settle.h"
#include "batching/session/statements.h"
#include "batching/session/turns.h"
#include "batching/session/wire.h"
#include "batching/session/watched.h"
#include "batching/statement/ration.h"
#include "batching/statement/shape.h"
#include "batching/statement/unit.h"
#include "batching/talk/begin_take.h"
#include "batching/talk/clear_take.h"
#include "batching/talk/end_take.h"
#include "batching/talk/feed.h"
#include "batching/talk/forward.h"
#include "batching/talk/front.h"
#include "batching/talk/lookup_take.h"
#include "batching/talk/pipeline_take.h"
#include "batching/talk/prepare.h"
#include "batching/talk/reads.h"
#include "batching/talk/sync_early.h"
#include "batching/talk/watch_take.h"
#include "batching/trust/writes.h"
#include "protocol/frame.h"
#include "protocol/message.h"

static struct lookup *first_waiting(const struct session *s) {
    struct lookup *l = s->order.first;
    while (l && l->state != LOOKUP_WAITING)
        l = l->next;
    return l;
}

// A unit that is no lookup must be answered behind the lookups before it. Those that still wait are sent at
// once. True: the unit waits for them. It need not if all of them run on the session's own connection, where
// the server keeps the order.
static bool must_wait_for_lookups(struct session *s) {
    if (session_order_is_safe(s))
        return false;
    struct lookup *l;
    for (unsigned i = s->order.n; i && (l = first_waiting(s)); i--) {
        l->group->urgent = true;
        engine_dispatch_group(s->engine, l->group); // may answer and free it
    }
    if (session_order_is_safe(s))
        return false;
    hold_for_lookups(s);
    return true;
}

static bool may_begin_unit(const struct session *s, uint8_t type) {
    const struct answered_portal *p = &s->answered_portal;
    if (type == F_EXECUTE)
        return p->asked || p->given;
    return type == F_QUERY || type == F_PARSE || type == F_BIND || type == F_CLOSE || type == F_SYNC;
}

static bool adds_to_queue(enum unit_result r) {
    return r != UNIT_PARTIAL && r != UNIT_OTHER;
}

// A transaction begins or ends.
static enum take take_boundary(struct feed *f, struct unit *u, enum unit_result r) {
    enum take take = begin_take(f, u, r);
    return take == TAKE_FORWARD ? end_take(f, u, r) : take;
}

static enum take take_whole(struct feed *f, struct unit *u, enum unit_result r, enum reason *why) {
    enum take take = TAKE_FORWARD;
    if (adds_to_queue(r) && session_queue_is_full(f->s, u->size)) {
        session_hold_back(f->s);
        return TAKE_WAIT;
    }
    switch (r) {
    case UNIT_SIMPLE:
        take = take_boundary(f, u, r);
        take = take == TAKE_FORWARD ? clear_take(f, u) : take;
        take = take == TAKE_FORWARD ? deallocate_take(f, u) : take;
        return take == TAKE_FORWARD ? lookup_take(f, u, true, why) : take;
    case UNIT_EXTENDED:
        f->single = true;
        take = take_boundary(f, u, r);
        return take == TAKE_FORWARD ? lookup_take(f, u, false, why) : take;
    case UNIT_PIPELINE:
        take = take_boundary(f, u, r);
        return take == TAKE_FORWARD ? pipeline_take(f, u, why) : take;
    case UNIT_PREPARE:
        f->prepares = true;
        return prepare_take(f, u, why);
    case UNIT_CLOSE:
        return close_take(f, u);
    case UNIT_SYNC:
        return sync_take(f);
    case UNIT_EXECUTE:
        return execute_take(f, u);
    case UNIT_OTHER: // of several statements, one of which prepares a name
        return begin_take(f, u, r);
    case UNIT_PARTIAL:
        return TAKE_FORWARD;
    }
    return TAKE_FORWARD;
}

// A unit whose rest has not come yet may wait for it. The server would report an error in its beginning at
// once, not only at the Sync; so the unit waits only if the server is known to accept what is there.
static bool may_wait_for_rest(struct session *s, const struct unit *u) {
    enum reason why;
    if (!u->has_parse && !u->bind.statement.data)
        return true; // the first message is not there whole
    if (session_is_watched(s))
        return true; // what is forwarded in parts is not seen, and tests have time
    if (!u->has_parse) {
        const struct statement *st = session_statement(s, u->bind.statement);
        return st && st->confirmed && st->shape && st->shape->reason == REASON_NONE;
    }
    if (s->no_scan || session_text_is_pending(s) || !session_may_remember(s, u->parse.name.len))
        return false;
    struct shape *shape = shape_of_parse(&s->engine->shapes, &u->parse, &why);
    if (shape && s->order.last && s->order.last->shape == shape)
        return true; // lookups of this shape are under way, and are answered first anyway
    struct group *g = shape && shape->reason == REASON_NONE ? session_read_group(s, shape) : NULL;
    return g && g->generation == s->engine->generation && (g->parses || g->state == GROUP_READY);
}

// The text of a unit that may be a list. A reference; NULL: it is none, or not known.
static struct shape *list_shape(struct feed *f, const struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    enum reason why;
    if (!children_are_sent(s) || (r != UNIT_SIMPLE && r != UNIT_EXTENDED) || u->max_rows)
        return NULL;
    struct shape *shape = NULL;
    if (r == UNIT_SIMPLE) {
        shape = feed_classify(f, u->query)->shape;
    } else if (u->has_parse) {
        shape = shape_of_parse(&s->engine->shapes, &u->parse, &why);
    } else {
        const struct statement *st = session_statement(s, u->bind.statement);
        shape = st && st->shape && st->shape->protocol != SHAPE_SIMPLE ? st->shape : NULL;
    }
    return shape && shape->parsed && shape->parsed->kind == STATEMENT_READ ? shape_ref(shape) : NULL;
}

static void note_list(struct feed *f, const struct unit *u, enum unit_result r) {
    shape_unref(f->list);
    f->list = list_shape(f, u, r);
    f->unit_at = f->at;
    if (f->list)
        f->unit = *u;
}

// The unit has been sent whole: what it leads to goes behind it.
static void send_children(struct feed *f) {
    const struct unit *u = &f->unit;
    if (f->list && f->at == f->unit_at + u->size && !f->s->in_unit && !f->s->failed) {
        struct list_unit list = children_list(f->list, u, f->list);
        feed_to_server(f, true);
        children_forwarded(f->s, &list);
    }
    if (!f->s->in_unit) {
        shape_unref(f->list);
        f->list = NULL;
    }
}

// Decides about the unit at the front of the input; the header of its first message is there.
static enum take take_unit(struct feed *f, size_t *size) {
    struct session *s = f->s;
    uint8_t type = f->bytes[f->at];
    struct unit u = {0};
    enum unit_result r = UNIT_OTHER;
    enum reason why = REASON_FRAMING;
    enum take take = TAKE_FORWARD;
    if (!s->front_since)
        s->front_since = s->engine->now ? s->engine->now : 1;
    dry_next(s);
    if (session_effect_is_pending(s) || s->splits) {
        hold_for_lookups(s);
        return TAKE_WAIT;
    }
    if (session_only_forwards(s)) {
        why = REASON_POOLER;
    } else if (!s->force_forward && !s->client_gone && may_begin_unit(s, type)) {
        r = unit_read(f->bytes + f->at, f->len - f->at, s->engine->limits.max_text + UNIT_SLACK, &u);
        why = u.why;
        if (r == UNIT_PARTIAL && !s->n_forward && !s->ending && may_wait_for_rest(s, &u)) {
            if (!s->partial_since)
                s->partial_since = s->engine->now;
            s->front_since = 0; // it is asked when the rest has come
            return TAKE_WAIT;
        }
        take = watch_take(f, &u, r);
        if (take == TAKE_FORWARD)
            take = take_whole(f, &u, r, &why);
    }
    if (take == TAKE_TAKEN)
        s->unit_vets = 0;
    s->partial_since = 0;
    if (take == TAKE_FORWARD) {
        if (must_wait_for_lookups(s))
            return TAKE_WAIT;
        if (!s->cancel.held && front_vet_first(f)) {
            hold_for_lookups(s);
            return TAKE_WAIT;
        }
        s->force_forward = s->lazy_unit = false;
        f->why = why;
        note_list(f, &u, r);
    }
    *size = u.size;
    return take;
}

// The rest of a split unit stands behind an error: the server would skip it up to its Sync, which is answered
// already.
static bool skip_message(struct feed *f, const struct frame *fr) {
    if (fr->size > f->len - f->at)
        return false;
    feed_to_server(f, true);
    f->at += fr->size;
    f->run = f->at;
    f->s->skips_unit = fr->type != F_SYNC;
    return true;
}

// The message at hand was passed on. `certain`: it is a Sync, and the client is told at once what that brings.
static void forwarded(struct feed *f, bool certain) {
    struct session *s = f->s;
    if (!certain && !s->cancel.held)
        return;
    feed_to_server(f, false);
    if (certain)
        sync_answer(s);
    else
        session_cancel_forwarded(s);
}

// Takes the next unit or, of a unit that is forwarded, the next message. False: what is there has to wait.
static bool take_next(struct feed *f) {
    f->classified = f->learns = f->single = f->asks_no_more = f->prepares = f->drop = false;
    struct session *s = f->s;
    struct frame fr;
    size_t have = f->len - f->at, size = 0;
    behind_free(f->behind);
    f->behind = NULL;
    switch (frame_header(f->bytes + f->at, have, &fr)) {
    case FRAME_INCOMPLETE:
        return false;
    case FRAME_MALFORMED:
        feed_to_server(f, false);
        session_fail(s, "08P01", "invalid message length: the client does not speak PostgreSQL's protocol");
        return false;
    case FRAME_OK:
        break;
    }
    if (s->skips_unit)
        return skip_message(f, &fr);
    forward_behind_parse(f);
    if (!s->in_unit) {
        enum take t = take_unit(f, &size);
        if (t == TAKE_WAIT) {
            reads_end_observed(s);
            return false;
        }
        if (t == TAKE_TAKEN) {
            feed_to_server(f, true);
            f->at += size;
            f->run = f->at;
            s->front_since = 0;
            session_cancel_taken(s);
            return true;
        }
    }
    f->asks_no_more = s->txn != 'I';
    bool certain = fr.type == F_SYNC && fr.size == FRAME_HEADER && sync_is_certain(s);
    if (!forward_message(f, &fr))
        return false;
    if (!s->in_unit)
        s->front_since = 0;
    size_t now = fr.size < have ? fr.size : have;
    s->client_skip = fr.size - now;
    f->at += now;
    f->run = f->drop ? f->at : f->run;
    if (fr.type == F_EXECUTE && s->in_unit && !s->client_skip)
        forward_behind_begin(f);
    send_children(f);
    forwarded(f, certain);
    return true;
}

size_t session_from_client(struct session *s, const uint8_t *bytes, size_t len, uint64_t now) {
    engine_wakes(s->engine, now);
    struct feed f = {.s = s, .bytes = bytes, .len = len};
    rations_begin(&s->engine->rations, &s->ration, s->engine->now);
    turns_begin(s);
    while (f.at < f.len && session_takes_client(s)) {
        size_t at = f.at;
        bool ends = bytes[at] == F_QUERY || bytes[at] == F_SYNC || bytes[at] == F_FUNCTION_CALL;
        uint64_t spent = s->engine->rations.n_spent;
        if (s->opaque) {
            f.at = f.len;
        } else if (s->client_skip) {
            size_t n = s->client_skip < f.len - f.at ? s->client_skip : f.len - f.at;
            s->client_skip -= n;
            f.at += n;
        } else if (!take_next(&f)) {
            break;
        }
        turns_note(s, f.at - at, ends, s->engine->rations.n_spent - spent);
    }
    turns_end(s);
    behind_free(f.behind);
    shape_unref(f.list);
    if (s->opaque)
        database_note(s->database, WRITES_ALL);
    if (s->failed)
        return len;
    s->figures->received += f.at;
    feed_to_server(&f, false);
    if (s->in_unit && session_takes_client(s))
        s->front_since = 0; // the rest of the unit is asked when it comes
    room_weigh_session(s);
    return f.at;
}
