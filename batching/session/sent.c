// SPDX-License-Identifier: PostgreSQL
#include "batching/session/sent.h"

#include <stdlib.h>

#include "batching/session/answered.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/owed.h"
#include "batching/session/reporting.h"
#include "batching/session/session.h"
#include "batching/session/watched.h"
#include "batching/statement/shape.h"
#include "protocol/message.h"

static bool grow(struct sent_queue *q) {
    unsigned cap = q->cap ? q->cap * 2 : 4;
    struct sent *ring = calloc(cap, sizeof *ring);
    if (!ring)
        return false;
    for (unsigned i = 0; i < q->n; i++)
        ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
    free(q->ring);
    *q = (struct sent_queue){.ring = ring, .n = q->n, .cap = cap};
    return true;
}

// Drivers run one statement many times in a unit: such runs share an entry.
static bool repeats_last(const struct sent_queue *q, const struct owed *o, const struct sent *x) {
    const struct sent *last = o->n_sent ? &q->ring[(q->head + q->n - 1) & (q->cap - 1)] : NULL;
    return last && last->shape == x->shape && last->kind == x->kind && last->asked == x->asked &&
           last->tags == x->tags;
}

void sent_note(struct session *s, struct shape *shape, enum statement_kind kind) {
    struct sent_queue *q = &s->sent;
    struct owed *o = owed_last(s);
    s->engine->counters.sent++;
    if (!s->dry && !o->dry && !o->here)
        dry_goes(s);
    uint64_t asked = s->front_since ? s->front_since : s->engine->now;
    struct sent x = {.shape = shape, .asked = asked, .n = 1, .kind = (uint8_t)kind};
    x.question = reporting_take_question(s);
    x.tags = reporting_take_tags(s);
    watched_note(s, kind, shape ? shape->parsed : NULL);
    if (o->n_untold ||
        (!repeats_last(q, o, &x) && (q->n >= s->engine->limits.max_owed || (q->n == q->cap && !grow(q))))) {
        o->n_untold++;
        return;
    }
    if (repeats_last(q, o, &x)) {
        struct sent *last = &q->ring[(q->head + q->n - 1) & (q->cap - 1)];
        last->n++;
        last->question = last->question == x.question ? x.question : 0;
        return;
    }
    if (shape)
        shape_ref(shape);
    q->ring[(q->head + q->n++) & (q->cap - 1)] = x;
    o->n_sent++;
}

static void shift(struct session *s, struct owed *o) {
    struct sent_queue *q = &s->sent;
    shape_unref(q->ring[q->head].shape);
    q->head = (q->head + 1) & (q->cap - 1);
    q->n--;
    o->n_sent--;
    if (!q->n && q->cap > 8) { // an idle session keeps little
        free(q->ring);
        *q = (struct sent_queue){0};
    }
}

struct shape *sent_first(const struct session *s, const struct owed *o) {
    return o->n_sent ? s->sent.ring[s->sent.head].shape : NULL;
}

uint64_t sent_question(const struct session *s, const struct owed *o) {
    return o->n_sent ? s->sent.ring[s->sent.head].question : 0;
}

uint64_t sent_asked(const struct session *s, const struct owed *o) {
    return o->n_sent ? s->sent.ring[s->sent.head].asked : 0;
}

uint16_t sent_tags(const struct session *s, const struct owed *o) {
    return o->n_sent ? s->sent.ring[s->sent.head].tags : TAGS_NONE;
}

uint16_t sent_last_tags(const struct session *s) {
    const struct sent_queue *q = &s->sent;
    return q->n ? q->ring[(q->head + q->n - 1) & (q->cap - 1)].tags : TAGS_NONE;
}

static void answer_first(struct session *s, struct owed *o, bool failed) {
    struct sent *x = o->n_sent ? &s->sent.ring[s->sent.head] : NULL;
    struct answered a = {.shape = x ? x->shape : NULL,
                         .kind = x ? (enum statement_kind)x->kind : STATEMENT_OTHER,
                         .outcome = OUTCOME_FORWARDED,
                         .would = o->dry                     ? (enum outcome)o->dry->would
                                  : o->here                  ? OUTCOME_HERE
                                  : o->piped == DRY_PIPELINE ? OUTCOME_FOLDED
                                                             : OUTCOME_FORWARDED,
                         .reason = (enum reason)o->reason,
                         .failed = failed,
                         .question = x ? x->question : 0,
                         .tags = x ? x->tags : TAGS_NONE,
                         .asked = x ? x->asked : s->engine->now,
                         .answered = s->engine->now};
    if (!s->client_gone)
        session_answered(s, &a);
    if (!x)
        o->n_untold--;
    else if (!--x->n)
        shift(s, o);
}

static bool is_last(const struct session *s, const struct owed *o) {
    return o->n_untold + o->n_sent == 1 && (!o->n_sent || s->sent.ring[s->sent.head].n == 1);
}

void sent_completed(struct session *s, struct owed *o) {
    bool open = s->in_unit && o == owed_last(s);
    if (o->extended && o->n_sent + o->n_untold && (open || !is_last(s, o)))
        answer_first(s, o, false);
}

void sent_ended(struct session *s, struct owed *o) {
    if (o->n_sent + o->n_untold)
        answer_first(s, o, o->error);
    sent_forget(s, o); // the server has skipped the rest
}

void sent_forget(struct session *s, struct owed *o) {
    while (o->n_sent)
        shift(s, o);
    o->n_untold = 0;
}

bool sent_is_completed_by(uint8_t type) {
    return type == B_COMMAND_COMPLETE || type == B_EMPTY_QUERY || type == B_PORTAL_SUSPENDED;
}

void sent_finish(struct session *s) {
    free(s->sent.ring);
    s->sent = (struct sent_queue){0};
}
