// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/await.h"

#include "batching/flow/own_queries.h"
#include "batching/fold/group.h"
#include "batching/session/awaiting.h"
#include "batching/session/engine.h"
#include "batching/session/hold.h"
#include "batching/session/session.h"
#include "batching/session/settle.h"
#include "batching/trust/vet.h"

_Static_assert(AWAIT_PATIENCE >= VET_LOCK_TIMEOUT * 1000,
               "a question that gets its lock in time is waited for");

static void hold(struct session *s, enum await_kind kind, struct shape *shape) {
    hold_for_lookups(s);
    s->hold.await.kind = kind;
    s->hold.await.shape = shape_ref(shape);
    shape->n_lookups++; // it is company for others of its shape
}

// Appends the session to the list of those that wait for a verdict. The time of all waits is the same, so the
// list is in the order of `until`.
static void list_append(struct session *s) {
    struct await_list *list = &s->engine->awaiting;
    s->hold.await.until = s->engine->now + AWAIT_PATIENCE;
    s->hold.await.next = NULL;
    s->hold.await.previous = list->last;
    *(list->last ? &list->last->hold.await.next : &list->first) = s;
    list->last = s;
}

static void list_remove(struct session *s) {
    struct await *a = &s->hold.await;
    struct await_list *list = &s->engine->awaiting;
    *(a->previous ? &a->previous->hold.await.next : &list->first) = a->next;
    *(a->next ? &a->next->hold.await.previous : &list->last) = a->previous;
}

static void hold_for(struct session *s, struct shape *shape, struct group *g) {
    hold(s, AWAIT_VERDICT, shape);
    s->hold.await.group = g;
    list_append(s);
}

void await_is_over(struct session *s) {
    s->hold.await.waited = s->hold.await.waited_for_read = false;
}

void await_asks_anew(struct session *s) {
    s->hold.await.waited_for_read = false;
}

void await_end(struct session *s) {
    struct await *a = &s->hold.await;
    if (a->kind == AWAIT_NOTHING)
        return;
    if (a->kind == AWAIT_VERDICT)
        list_remove(s);
    a->shape->n_lookups--;
    shape_unref(a->shape);
    *a = (struct await){.waited = a->waited, .waited_for_read = a->waited_for_read};
}

// A proof is asked for in front of the session's first lookup if that has company. A proof that is under way
// anyway is always waited for: the lookup would run behind it.
static bool begin_proof(struct session *s, const struct shape *shape) {
    if (s->identity.state == IDENTITY_UNPROVEN && !s->identity.n_proofs && shape->n_lookups)
        session_start_proof(s);
    return s->identity.state == IDENTITY_PROVING;
}

// Is the verdict under way, and likely to come soon? A question of another session that has been under way
// for long may hang: not every lookup waits for it in vain.
static bool may_come_soon(const struct session *s, const struct group *g) {
    return g->state == GROUP_VETTING && (session_vets(s, g) || s->engine->now < g->asked_at + AWAIT_PATIENCE);
}

static bool begin_verdict(struct session *s, const struct shape *shape, struct group *g) {
    if (s->identity.state != IDENTITY_PROVEN || s->hold.await.waited)
        return false;
    if (g->state == GROUP_NEW && shape->n_lookups)
        session_start_vet(s, g);
    return may_come_soon(s, g);
}

bool await_begin(struct session *s, struct shape *shape, struct group *g) {
    if (s->order.first || s->hold.await.kind != AWAIT_NOTHING)
        return false;
    if (begin_proof(s, shape)) {
        hold(s, AWAIT_PROOF, shape);
        return true;
    }
    if (begin_verdict(s, shape, g)) {
        hold_for(s, shape, g);
        return true;
    }
    return false;
}

bool await_read(struct session *s, struct shape *shape, struct group *read) {
    if (s->hold.await.kind != AWAIT_NOTHING || s->hold.await.waited_for_read || !may_come_soon(s, read))
        return false;
    hold_for(s, shape, read);
    return true;
}

void await_proof_ended(struct session *s) {
    if (s->hold.await.kind == AWAIT_PROOF)
        await_end(s);
}

// No verdict of this group is waited for any more, by the unit at hand.
static void note_waited(struct await *a) {
    *(group_is_read(a->group) ? &a->waited_for_read : &a->waited) = true;
}

static void give_up(struct session *s) {
    await_end(s);
    session_settle(s);
}

void await_give_up(struct session *s) {
    if (s->hold.await.kind == AWAIT_VERDICT && !session_vets(s, s->hold.await.group))
        give_up(s);
}

void await_verdict_is_old(struct engine *e, const struct group *g) {
    for (struct session *s = e->awaiting.first; s; s = s->hold.await.next)
        if (s->hold.await.group == g)
            note_waited(&s->hold.await);
}

void await_verdict_given(struct engine *e, struct group *g) {
    for (struct session *s = e->awaiting.first, *next; s; s = next) {
        next = s->hold.await.next;
        if (s->hold.await.group == g)
            give_up(s);
    }
}

// The session whose own connection runs the question goes on waiting: the connection is taken anyway.
static void expire(struct session *s) {
    struct await *a = &s->hold.await;
    if (session_vets(s, a->group)) {
        list_remove(s);
        list_append(s);
        return;
    }
    note_waited(a);
    give_up(s);
}

void await_expire(struct engine *e) {
    while (e->awaiting.first && e->now >= e->awaiting.first->hold.await.until)
        expire(e->awaiting.first);
}

uint64_t await_deadline(const struct engine *e) {
    return e->awaiting.first ? e->awaiting.first->hold.await.until : UINT64_MAX;
}
