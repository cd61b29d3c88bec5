// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/answer.h"

#include <stdlib.h>

#include "batching/fold/batch.h"
#include "batching/fold/lookup_state.h"
#include "batching/session/answered.h"
#include "batching/session/engine.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/record.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "protocol/buf.h"

// A place in the order of answers. Consecutive answers of our own share one, unless each is a statement's.
static struct lookup *place_for_answer(struct session *s, const enum statement_kind *kind) {
    if (s->order.last && !s->order.last->shape && !kind)
        return s->order.last;
    struct lookup *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->answer = buf_make(s->engine->limits.max_answer);
    lookup_set_state(l, LOOKUP_ANSWERED);
    l->session = s;
    l->memory = &s->queue_memory;
    l->seen = s->front_since;
    l->outcome = kind ? OUTCOME_HERE : OUTCOME_NONE;
    l->kind = kind ? (uint8_t)*kind : 0;
    return l;
}

static void tell_answered(struct session *s, enum statement_kind kind) {
    struct answered a = {
        .kind = kind, .outcome = OUTCOME_HERE, .asked = s->front_since, .answered = s->engine->now};
    session_answered(s, &a);
}

bool session_answer(struct session *s, const struct buf *answer, const enum statement_kind *kind) {
    if (answer->failed)
        return false;
    if (!s->order.first) {
        s->engine->effects->to_client(s->owner, answer->data, answer->len, true);
        ahead_answered(s);
        if (kind)
            tell_answered(s, *kind);
        return true;
    }
    if (s->order.kept + answer->len > s->engine->limits.max_answer)
        return false;
    struct lookup *l = place_for_answer(s, kind);
    if (!l || !buf_reserve(&l->answer, answer->len)) {
        if (l)
            l->answer.failed = false;
        if (l && l != s->order.last)
            free(l);
        return false;
    }
    buf_put(&l->answer, answer->data, answer->len);
    order_keep(s, answer->len);
    lookup_weigh(l);
    if (l != s->order.last)
        order_append(s, l);
    return true;
}
