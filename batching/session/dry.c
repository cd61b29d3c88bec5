// SPDX-License-Identifier: PostgreSQL
#include "batching/session/dry.h"

#include <stdlib.h>

#include "batching/fold/dry_queue.h"
#include "batching/fold/group.h"
#include "batching/session/held.h"
#include "batching/session/statements.h"
#include "batching/statement/guard.h"
#include "batching/statement/shape.h"
#include "batching/trust/identity.h"

// ---- life

static struct dry *create(struct session *s, struct behind *lookup, struct shape *shape) {
    struct dry *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->session = s;
    d->lookup = lookup;
    d->shape = shape_ref(shape);
    shape->n_lookups++;
    return d;
}

void dry_hold(struct session *s, struct behind *lookup, struct shape *shape) {
    dry_drop(s);
    s->dry = lookup ? create(s, lookup, shape) : NULL;
    if (!s->dry)
        behind_free(lookup);
}

void dry_drop(struct session *s) {
    dry_free(s->dry);
    s->dry = NULL;
}

void dry_attach(struct session *s, struct owed *o) {
    if (!s->dry || o->kind != OWED_FORWARD || o->dry)
        return;
    o->dry = s->dry;
    o->dry->attached = true;
    s->n_dry++;
    s->dry = NULL;
}

void dry_free(struct dry *d) {
    if (!d)
        return;
    dry_unlist(d);
    d->session->n_dry -= d->attached;
    behind_free(d->lookup);
    d->shape->n_lookups--;
    shape_unref(d->shape);
    ahead_unref(d->home);
    statement_unref(d->statement);
    free(d);
}

const struct dry *dry_at_hand(const struct session *s) {
    return s->dry ? s->dry : s->in_unit && s->owed.n ? owed_last(s)->dry : NULL;
}

void dry_regroup(struct dry *d, struct behind *lookup) {
    dry_unlist(d);
    behind_free(d->lookup);
    d->lookup = lookup;
}

// ---- what is answered without the server

void dry_takes_boundary(struct session *s, bool begins) {
    s->dry_txn.here = begins ? DRY_BEGIN : DRY_END;
}

void dry_takes_deallocate(struct session *s) {
    s->dry_txn.here = DRY_DEALLOCATE;
}

void dry_takes_lookups(struct session *s) {
    s->dry_txn.here = DRY_LOOKUPS;
}

unsigned dry_piped(const struct session *s) {
    unsigned here = (unsigned)s->dry_txn.here;
    if (here == DRY_LOOKUPS || here == DRY_PIPELINE)
        return here;
    return s->in_unit && s->owed.n ? owed_last(s)->piped : DRY_NOTHING;
}

void dry_takes_pipeline(struct session *s, unsigned lookups, unsigned batches) {
    s->dry_txn.here = DRY_PIPELINE;
    s->dry_txn.lookups = lookups;
    s->dry_txn.batches = batches;
}

void dry_knows(struct session *s) {
    s->dry_txn.knows = true;
}

#define LONGEST 10000 // microseconds, as in begun.c

void dry_open(struct session *s, struct owed *o) {
    struct dry_boundary *b = &s->dry_txn;
    uint64_t now = s->engine->now;
    if (b->due && now > b->until)
        dry_goes(s);
    bool piped = b->here == DRY_LOOKUPS || b->here == DRY_PIPELINE;
    o->piped = (uint8_t)(piped ? b->here : DRY_NOTHING);
    s->engine->counters.lookups += o->piped == DRY_PIPELINE ? b->lookups : 0;
    s->engine->counters.would_send += o->piped == DRY_PIPELINE ? b->batches : 0;
    o->here = b->here == DRY_END ? b->due : b->here != DRY_NOTHING && !piped;
    if (b->here == DRY_END)
        b->due = false;
    if (b->here != DRY_BEGIN)
        return;
    b->due = true;
    b->until = now + LONGEST;
}

void dry_next(struct session *s) {
    s->dry_txn.here = DRY_NOTHING;
    s->dry_txn.knows = false;
}

void dry_waited(struct session *s, uint64_t took) {
    s->dry_txn.until += took;
}

void dry_goes(struct session *s) {
    s->engine->counters.would_send += s->dry_txn.due;
    s->dry_txn.due = false;
}

// ---- those that came in this turn

void dry_list(struct dry *d) {
    struct group *g = d->lookup->group;
    d->listed = true;
    d->next = NULL;
    d->previous = g->last_dry;
    *(g->last_dry ? &g->last_dry->next : &g->first_dry) = d;
    g->last_dry = d;
}

void dry_unlist(struct dry *d) {
    if (!d->listed)
        return;
    struct group *g = d->lookup->group;
    *(d->previous ? &d->previous->next : &g->first_dry) = d->next;
    *(d->next ? &d->next->previous : &g->last_dry) = d->previous;
    d->listed = false;
}

// ---- statements about which the catalogue could not be asked

// Groups are known by their ids: one that is gone is no longer wanted.
void dry_want(struct engine *e, const struct group *g) {
    for (unsigned i = 0; i < e->n_wanted; i++)
        if (e->wanted[i] == g->id)
            return;
    if (e->n_wanted < ENGINE_WANTED)
        e->wanted[e->n_wanted++] = g->id;
}

#define LOOKS_AT 64 // groups, the last used first

static struct group *find(const struct engine *e, uint64_t id) {
    struct group *g = e->groups.newest;
    for (unsigned n = 0; g && g->id != id && n < LOOKS_AT; n++)
        g = g->older;
    bool asks = g && (g->state == GROUP_NEW || (g->state == GROUP_READY && g->assumed));
    return asks && g->id == id ? g : NULL;
}

struct group *dry_wanted(struct session *s) {
    struct engine *e = s->engine;
    if (!e->n_wanted || s->txn != 'I' || s->identity.state != IDENTITY_PROVEN)
        return NULL;
    const struct identity *id = session_identity_current(&e->identities, &s->identity);
    for (unsigned i = 0; i < e->n_wanted;) {
        struct group *g = find(e, e->wanted[i]);
        if (g && g->identity != id) {
            i++;
            continue;
        }
        e->wanted[i] = e->wanted[--e->n_wanted];
        if (g && g->state == GROUP_READY)
            group_forget(g);
        if (g)
            return g;
    }
    return NULL;
}

// ---- the queue of a group

// No batch has run, so a batch is thought to take what a lookup does.
struct dry_limits dry_limits_of(const struct engine *e, const struct group *g) {
    const struct guard took = {.took = g->dry.takes};
    unsigned most = guard_max_in_flight(&g->shape->guard, e->limits.max_in_flight);
    return (struct dry_limits){.window = e->limits.window,
                               .max_in_flight = most,
                               .max_keys = e->limits.max_keys,
                               .spacing = guard_spacing(&took, distance_to(&e->distance), most)};
}
