// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/check.h"

#include <string.h>

#include "batching/ahead/asked.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/fold/lookup_state.h"
#include "batching/session/cancel_request.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/late.h"
#include "batching/session/lazy.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/pump.h"
#include "batching/session/room.h"
#include "batching/session/portal.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/whole_unit.h"
#include "batching/statement/redact.h"
#include "batching/statement/shape.h"
#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"

// ---- which lookups

// Draws how many lookups pass until the next check. The distance is irregular, since keys may come in a
// regular pattern.
static uint32_t draw_distance(struct engine *e) {
    uint64_t range = 2 * (uint64_t)e->limits.check_one_in - 1;
    e->dice = e->dice * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((e->dice >> 33) % range);
}

// The lookup prepares a statement, which would be done twice, or the server lacks its statement.
static bool cannot_run_twice(const struct lookup *l) {
    const struct statement *st = l->statement;
    if (l->pipeline)
        return true; // nor can a part of a unit run alone
    return st && (l->has_parse ? st->name[0] : session_lacks(l->session, st));
}

bool check_draws(struct engine *e, struct shape *s) {
    if (!e->limits.check_one_in)
        return false;
    if (s->until_check) {
        s->until_check--;
        return false;
    }
    s->until_check = draw_distance(e);
    return true;
}

bool check_draw(struct engine *e, struct lookup *l) {
    const struct session *s = l->session;
    if (l->check != CHECK_NONE)
        return false;
    l->check = CHECK_NO;
    if (l->group->owner)
        return false; // the time, for one, is another one when the original runs
    // Inside a transaction the original could abort it, and an error that is kept back would come too late.
    if (cannot_run_twice(l) || s->txn != 'I' || s->backlogged || session_is_cancelling(s) ||
        late_must_wait(s))
        return false;
    if (e->limits.verify)
        return true;
    return check_draws(e, l->shape);
}

// ---- the original

static void run_original(struct lookup *l, enum check_stage stage) {
    l->check = stage;
    lookup_set_state(l, LOOKUP_CHECKING);
    l->counted = true;
    group_pin(l->group);
    l->group->checking++;
    late_query_sent(l->session);
    session_send_checked(l->session, l);
}

void check_start(struct engine *e, struct lookup *l) {
    struct session *s = l->session;
    lookup_detach_waiting(l);
    l->answer = buf_make(s->order.kept < e->limits.max_answer ? e->limits.max_answer - s->order.kept : 0);
    run_original(l, CHECK_ORIGINAL);
}

// Errors of classes 21 and 22 come from the statement's data, so the statement makes them each time: a batch
// without them is wrong.
static bool error_is_of_the_data(const struct frame *f) {
    struct slice code;
    if (!msg_error_field(f->body, f->body_len, 'C', &code) || code.len != 5)
        return false;
    return memcmp(code.data, "21", 2) == 0 || memcmp(code.data, "22", 2) == 0;
}

void check_feed(struct lookup *l, const struct frame *f, struct owed *o) {
    const uint8_t *message = f->body - FRAME_HEADER;
    if (f->type == B_ERROR && !error_is_of_the_data(f))
        o->error = true;
    if (!l)
        return;
    if (l->check == CHECK_ORIGINAL) {
        buf_put(&l->answer, message, f->size);
        l->failed |= f->type == B_ERROR;
        return;
    }
    size_t left = l->answer.len - l->compared;
    l->differs |= f->size > left || memcmp(l->answer.data + l->compared, message, f->size) != 0;
    l->compared += f->size < left ? f->size : left;
}

// The original's answer is there. The lookup waits for the batch that its group makes as soon as all
// originals are answered.
static void queue_again(struct engine *e, struct lookup *l) {
    l->check = CHECK_FOLDED;
    if (!ahead_join_checked(l))
        lookup_wait(e, l);
}

void check_answer(struct engine *e, struct lookup *l) {
    lookup_uncount(e, l);
    l->check = CHECK_NO;
    lookup_set_state(l, LOOKUP_ANSWERED);
    session_pump(l->session);
}

static void end_original(struct engine *e, struct lookup *l, const struct owed *o) {
    struct session *s = l->session;
    if (l->answer.failed || s->order.kept + l->answer.len > e->limits.max_answer) {
        lookup_uncount(e, l);
        buf_free(&l->answer);
        lookup_weigh(l);
        l->check = CHECK_NO;
        if (l->cancelled) // the request has hit the first run
            cancel_first_when_sent(s);
        session_run_alone(s, l); // once more, without being kept
        return;
    }
    order_keep(s, l->answer.len);
    lookup_weigh(l);
    bool may_fold = l->group->state == GROUP_READY && !l->shape->wrong && l->has_key;
    if (o->error || l->cancelled || s->txn == 'E' || !may_fold) {
        check_answer(e, l);
        return;
    }
    lookup_uncount(e, l);
    queue_again(e, l);
}

// ---- the verdict

static void note_difference(struct engine *e, struct session *s, struct shape *shape) {
    e->counters.differences++;
    if (!shape->wrong) {
        struct buf text = buf_make(1024);
        redact_text(shape->text, shape->text_len, 800, &text);
        buf_put_u8(&text, 0);
        shape->wrong = true;
        e->effects->log(e->ctx, e->limits.verify ? REASON_VERIFY : REASON_SWITCHED_OFF, s->id,
                        text.failed ? "out of memory" : (const char *)text.data);
        buf_free(&text);
    }
}

bool check_replied(struct engine *e, struct lookup *l, const struct owed *o) {
    if (!l)
        return false;
    if (l->check == CHECK_ORIGINAL) {
        end_original(e, l, o);
        return false;
    }
    bool same = !o->error && !l->differs && l->compared == l->answer.len;
    if (same) {
        note_difference(e, l->session, l->shape);
        return true;
    }
    e->counters.check_changed++;
    check_answer(e, l);
    return false;
}

// ---- the batch

// Finds the first RowDescription of an answer. False: there is none.
static bool find_columns(const struct buf *answer, struct frame *f) {
    for (size_t at = 0; frame_read(answer->data + at, answer->len - at, f) == FRAME_OK; at += f->size)
        if (f->type == B_ROW_DESCRIPTION)
            return true;
    return false;
}

// Does the server describe other columns than when the statement was vetted? Then the definitions have
// changed past pgfold. This is believed once: not if the group was vetted again for that reason and no batch
// has been right since.
static bool is_outdated(const struct batch *b, const struct buf *folded, const struct buf *original) {
    struct frame f, o;
    const struct group *g = b->group;
    if (g->vettings == b->vettings && g->shape->outdated && g->generation >= g->shape->outdated)
        return false;
    return find_columns(folded, &f) && find_columns(original, &o) &&
           (f.size != o.size || memcmp(f.body, o.body, f.body_len) != 0);
}

bool check_batch(struct engine *e, const struct batch *b) {
    bool any = false;
    for (uint32_t i = 0; i < b->n_members; i++) {
        struct lookup *l = b->members[i];
        if (!l || l->check != CHECK_FOLDED)
            continue;
        l->differs = false;
        if (!batch_is_certain(b, b->member_key[i]))
            continue; // no member gets such an answer
        buf_reset(&e->answer);
        batch_answer(b, l, b->member_key[i], l->session->txn, &e->answer);
        l->differs = !e->answer.failed && (e->answer.len != l->answer.len ||
                                           memcmp(e->answer.data, l->answer.data, l->answer.len) != 0);
        any |= l->differs;
        if (l->differs && is_outdated(b, &e->answer, &l->answer)) {
            engine_definitions_changed(e);
            l->shape->outdated = e->generation;
            l->outdated = true;
        }
    }
    return any;
}

void check_member(struct engine *e, struct batch *b, uint32_t i) {
    struct lookup *l = b->members[i];
    const struct session *s = l->session;
    if (b->failed) {
        check_answer(e, l);
    } else if (!l->differs) {
        l->shape->outdated = 0;
        e->counters.checked++;
        check_answer(e, l);
    } else if (l->outdated || s->txn != 'I' || session_is_cancelling(s) || late_must_wait(s) || s->failed) {
        e->counters.check_changed++;
        check_answer(e, l);
    } else {
        l->differs = false;
        l->compared = 0;
        run_original(l, CHECK_AGAIN);
    }
}

// ---- running alone

void session_run_alone(struct session *s, struct lookup *l) {
    if (l->check == CHECK_FOLDED) {
        check_answer(s->engine, l);
        return;
    }
    portal_sent(s, l->pipeline ? NULL : l);
    if (l->pipeline)
        l = pipeline_collapse(s, l);
    asked_runs(&s->asked, l->question, (uint32_t)s->engine->aheads.loads);
    lookup_set_state(l, LOOKUP_ALONE);
    session_pump(s);
}
