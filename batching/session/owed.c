// SPDX-License-Identifier: PostgreSQL
#include "batching/session/owed.h"

#include <stdlib.h>

#include "batching/session/begun.h"
#include "batching/session/cancel_request.h"
#include "batching/session/cleared.h"
#include "batching/session/engine.h"
#include "batching/session/late.h"
#include "batching/session/session.h"
#include "batching/session/wire.h"

struct owed *owed_head(struct session *s) {
    return s->owed.n ? s->owed.ring[s->owed.head] : NULL;
}

// Only the ring moves. The entries stay where they are, so a caller may hold one while it pushes others.
static bool owed_grow(struct owed_queue *q) {
    unsigned cap = q->cap ? q->cap * 2 : 4;
    struct owed **ring = calloc(cap, sizeof(struct owed *));
    if (!ring)
        return false;
    for (unsigned i = 0; i < q->n; i++)
        ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
    free(q->ring);
    q->ring = ring;
    q->head = 0;
    q->cap = cap;
    return true;
}

// An entry is allocated when the ring comes to its place for the first time, and reused from then on.
static struct owed *slot_behind_last(struct owed_queue *q) {
    struct owed **slot = &q->ring[(q->head + q->n) & (q->cap - 1)];
    if (!*slot) {
        *slot = malloc(sizeof **slot);
        q->n_slots += *slot != NULL;
    }
    return *slot;
}

static void free_ring(struct owed_queue *q) {
    for (unsigned i = 0; i < q->cap; i++)
        free(q->ring[i]);
    free(q->ring);
    *q = (struct owed_queue){0};
}

static struct owed *append(struct session *s, enum owed_kind kind) {
    struct owed_queue *q = &s->owed;
    // Batches and our own queries find room beyond the limit that holds the client back.
    if (q->n == q->cap && (q->cap >= 4 * SESSION_MAX_OWED || !owed_grow(q)))
        return NULL;
    struct owed *o = slot_behind_last(q);
    if (!o)
        return NULL;
    if (++q->n == 1)
        late_note_head(s);
    *o = (struct owed){.kind = kind};
    s->answered_since = 0;
    s->n_forward += kind == OWED_FORWARD;
    // Those count their own (sent.c), have none, or belong to the one before.
    bool counts = kind != OWED_FORWARD && kind != OWED_PARSE && kind != OWED_UNDO;
    s->engine->counters.sent += counts;
    s->engine->counters.would_send += counts && s->engine->limits.dry;
    return o;
}

struct owed *owed_push(struct session *s, enum owed_kind kind) {
    if (s->begun.due && !append(s, OWED_BEGIN))
        return NULL;
    if (kind == OWED_FORWARD)
        cleared_no_more(s);
    begun_goes(s);
    return append(s, kind);
}

struct owed *owed_push_end(struct session *s) {
    struct owed *o = append(s, OWED_END);
    s->n_ends += o != NULL;
    return o;
}

void owed_send_begin(struct session *s) {
    if (append(s, OWED_BEGIN))
        begun_goes(s);
    else
        session_fail(s, "53200", "out of memory");
}

void owed_pop(struct session *s) {
    struct owed_queue *q = &s->owed;
    s->n_forward -= q->ring[q->head]->kind == OWED_FORWARD;
    s->n_ends -= q->ring[q->head]->kind == OWED_END;
    s->n_replies++;
    cancel_answered(s);
    late_note_head(s);
    q->head = (q->head + 1) & (q->cap - 1);
    q->n--;
    if (!q->n && q->cap > 8) // an idle session keeps little
        free_ring(q);
}

void owed_finish(struct session *s) {
    free_ring(&s->owed);
}

size_t owed_bytes(const struct session *s) {
    return s->owed.cap * sizeof(struct owed *) + s->owed.n_slots * sizeof(struct owed);
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
