// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/answer.h"

#include <stdlib.h>

#include "batching/fold/batch.h"
#include "batching/session/engine.h"
#include "batching/session/lookup.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "protocol/buf.h"

// A place in the order of answers. Consecutive answers of our own share one.
static struct lookup *place_for_answer(struct session *s) {
    if (s->order.last && !s->order.last->shape)
        return s->order.last;
    struct lookup *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->answer = buf_make(s->engine->limits.max_answer);
    l->state = LOOKUP_ANSWERED;
    l->session = s;
    l->memory = &s->queue_memory;
    return l;
}

bool session_answer(struct session *s, const struct buf *answer) {
    if (answer->failed)
        return false;
    if (!s->order.first) {
        s->engine->effects->to_client(s->owner, answer->data, answer->len, true);
        return true;
    }
    if (s->order.kept + answer->len > s->engine->limits.max_answer)
        return false;
    struct lookup *l = place_for_answer(s);
    if (!l || !buf_reserve(&l->answer, answer->len)) {
        if (l)
            l->answer.failed = false;
        if (l && l != s->order.last)
            free(l);
        return false;
    }
    buf_put(&l->answer, answer->data, answer->len);
    s->order.kept += answer->len;
    lookup_weigh(l);
    if (l != s->order.last)
        session_append(s, l);
    return true;
}
