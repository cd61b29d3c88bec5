// SPDX-License-Identifier: PostgreSQL
#include "batching/session/lookup.h"

#include <stdlib.h>

#include "batching/base/memory.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/fold/lookup_state.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/late.h"
#include "batching/session/lists.h"
#include "batching/session/pipeline.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/statement/guard.h"
#include "batching/statement/shape.h"
#include "protocol/buf.h"

void lookup_wait(struct engine *e, struct lookup *l) {
    struct group *g = l->group;
    lookup_set_state(l, LOOKUP_WAITING);
    l->next_waiting = NULL;
    l->previous_waiting = g->last;
    *(g->last ? &g->last->next_waiting : &g->first) = l;
    g->last = l;
    if (!g->n_waiting++)
        g->waiting_since = e->now;
    engine_list_group(e, g);
}

void lookup_detach_waiting(struct lookup *l) {
    struct group *g = l->group;
    *(l->previous_waiting ? &l->previous_waiting->next_waiting : &g->first) = l->next_waiting;
    *(l->next_waiting ? &l->next_waiting->previous_waiting : &g->last) = l->previous_waiting;
    l->next_waiting = l->previous_waiting = NULL;
    g->n_waiting--;
}

void lookup_leave_batch(struct lookup *l) {
    l->batch->members[l->member] = NULL;
    l->batch->n_left--;
    l->batch = NULL;
}

void lookup_uncount(struct engine *e, struct lookup *l) {
    if (!l->counted)
        return;
    l->counted = false;
    late_unlist_alone(l);
    group_unpin(l->group);
    l->group->checking -= l->check == CHECK_ORIGINAL || l->check == CHECK_AGAIN;
    if (l->group->n_waiting)
        engine_list_group(e, l->group);
}

void lookup_free(struct engine *e, struct lookup *l) {
    account_set(l->memory, &l->weighs, 0);
    if (l->shape) // an answer of our own has none
        l->shape->n_lookups--;
    lookup_uncount(e, l);
    if (l->asked) // it was in a queue
        guard_note_went(&l->shape->guard, e->now);
    shape_unref(l->shape);
    statement_unref(l->statement);
    pipeline_unref(l->pipeline);
    ahead_unref(l->loop);
    buf_free(&l->answer);
    free(l);
}

unsigned session_max_lookups(const struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    return l->max_waiting < l->max_owed ? l->max_waiting : l->max_owed;
}
