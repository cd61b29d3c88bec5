// SPDX-License-Identifier: PostgreSQL
#include "batching/session/late.h"

#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/owed.h"
#include "batching/session/pooler.h"
#include "batching/session/session.h"
#include "batching/statement/guard.h"

// Microseconds.
#define LEAST_PARSED  100000  // patience with a batch that prepares its statement, perhaps in a new backend
#define FIRST_ASK     1000000 // until the catalogue is asked a second time
#define MAX_DOUBLINGS 6       // of that
#define GRACE         1000    // least time from the turn that finds something late to the one that acts
#define MOST_GRACE    100000  // most of it

// ---- what is ours on a connection

bool late_is_again(const struct owed *o) {
    return o->kind == OWED_CHECK && o->of.lookup && o->of.lookup->check == CHECK_AGAIN;
}

static void list(struct session *s) {
    struct engine *e = s->engine;
    if (s->late.listed)
        return;
    s->late.listed = true;
    s->late.next = e->late;
    e->late = s;
}

void late_query_sent(struct session *s) {
    list(s);
}

void late_batch_sent(struct session *s, struct batch *b) {
    uint64_t least = s->engine->limits.patience;
    uint64_t known = b->patience; // loaded ahead: from what its association knows; else 0
    b->patience = guard_patience(&b->group->shape->guard, b->n_keys, least);
    if (known)
        b->patience = guard_patience_of(known, least);
    if (b->parse && b->patience < LEAST_PARSED)
        b->patience = LEAST_PARSED;
    list(s);
}

void late_note_head(struct session *s) {
    s->late.since = s->engine->now;
    s->late.due = 0;
}

bool late_must_wait(const struct session *s) {
    bool must = false, ours = true;
    for (unsigned i = s->owed.n; i && !must && ours; i--) {
        const struct owed *o = owed_at(s, i - 1);
        bool undoes = o->kind == OWED_UNDO;
        ours = undoes || owed_is_question(o);
        must = ours && ((!undoes && !owed_is_bounded(o)) || session_is_careful(s));
    }
    return s->engine->limits.patience && must;
}

bool late_is_over(const struct engine *e, const struct batch *b) {
    return e->limits.patience && e->now >= b->started + b->patience;
}

void late_unlist(struct engine *e, struct session *s) {
    for (struct session **at = &e->late; s->late.listed && *at; at = &(*at)->late.next) {
        if (*at != s)
            continue;
        *at = s->late.next;
        s->late.listed = false;
        return;
    }
}

// How late this turn is tells how late the loop may be with other things. The second turn comes after as much
// time.
bool late_is_past(const struct engine *e, uint64_t *due, uint64_t deadline) {
    if (e->now < deadline)
        return false;
    uint64_t late = e->now - deadline < MOST_GRACE ? e->now - deadline : MOST_GRACE;
    if (!*due)
        *due = e->now + (late > GRACE ? late : GRACE);
    return e->now >= *due;
}

bool late_head_is_past(struct session *s, uint64_t patience) {
    return late_is_past(s->engine, &s->late.due, s->late.since + patience);
}

void late_session_gone(struct session *s) {
    late_unlist(s->engine, s);
}

// ---- the catalogue

void late_verdict(const struct engine *e, struct group *g) {
    g->ask_from = e->now + ((uint64_t)FIRST_ASK << g->asked_in_vain);
    g->asked_in_vain += g->asked_in_vain < MAX_DOUBLINGS;
}

bool late_may_ask(const struct engine *e, const struct group *g) {
    return e->now >= g->ask_from;
}

// ---- lookups that run as sent

void late_list_alone(struct lookup *l) {
    struct group *g = l->group;
    l->listed_alone = true;
    l->next_waiting = NULL;
    l->previous_waiting = g->last_alone;
    *(g->last_alone ? &g->last_alone->next_waiting : &g->first_alone) = l;
    g->last_alone = l;
}

void late_unlist_alone(struct lookup *l) {
    struct group *g = l->group;
    if (!l->listed_alone)
        return;
    l->listed_alone = false;
    *(l->previous_waiting ? &l->previous_waiting->next_waiting : &g->first_alone) = l->next_waiting;
    *(l->next_waiting ? &l->next_waiting->previous_waiting : &g->last_alone) = l->previous_waiting;
    l->next_waiting = l->previous_waiting = NULL;
}
