// SPDX-License-Identifier: PostgreSQL
#include "batching/session/owed.h"

#include <stdlib.h>

#include "batching/fold/batch.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"

struct owed *owed_head(struct session *s) {
    return s->owed.n ? &s->owed.ring[s->owed.head] : NULL;
}

static bool owed_grow(struct owed_queue *q) {
    unsigned cap = q->cap ? q->cap * 2 : 4;
    struct owed *ring = calloc(cap, sizeof *ring);
    if (!ring)
        return false;
    for (unsigned i = 0; i < q->n; i++)
        ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
    free(q->ring);
    *q = (struct owed_queue){.ring = ring, .n = q->n, .cap = cap};
    return true;
}

static void note_head(struct session *s) {
    s->late.since = s->engine->now;
    s->late.due = 0;
}

struct owed *owed_push(struct session *s, enum owed_kind kind) {
    struct owed_queue *q = &s->owed;
    // Batches and our own queries find room beyond the limit that holds the client back.
    if (q->n == q->cap && (q->cap >= 4 * SESSION_MAX_OWED || !owed_grow(q)))
        return NULL;
    struct owed *o = &q->ring[(q->head + q->n++) & (q->cap - 1)];
    if (q->n == 1)
        note_head(s);
    *o = (struct owed){.kind = (uint8_t)kind};
    s->answered_since = 0;
    s->n_forward += kind == OWED_FORWARD;
    return o;
}

void owed_pop(struct session *s) {
    struct owed_queue *q = &s->owed;
    s->n_forward -= q->ring[q->head].kind == OWED_FORWARD;
    s->n_replies++;
    s->cancel.at = 0;
    note_head(s);
    q->head = (q->head + 1) & (q->cap - 1);
    q->n--;
    if (!q->n && q->cap > 8) { // an idle session keeps little
        free(q->ring);
        *q = (struct owed_queue){0};
    }
}

bool owed_is_the_clients(const struct owed *o) {
    const struct lookup *l = o->of.lookup;
    return o->kind == OWED_FORWARD || o->kind == OWED_LOOKUP ||
           (o->kind == OWED_CHECK && l && l->check == CHECK_ORIGINAL);
}

bool session_unit_is_answered(const struct session *s) {
    if (!s->owed.n)
        return true;
    const struct owed *o = owed_last(s);
    return o->extended && (o->error || (!o->n_asked && !o->n_expected));
}

bool session_copy_waits(const struct session *s) {
    if (!s->owed.n)
        return false;
    const struct owed *o = owed_at(s, 0);
    return !o->extended && !o->error && o->forward.n_copies > o->forward.n_copied;
}
