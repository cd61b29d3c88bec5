// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/bursts.h"

#include "batching/ahead/burst.h"
#include "batching/ahead/values.h"
#include "batching/flow/children.h"
#include "batching/flow/coming.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/bounds.h"
#include "batching/session/bursting.h"
#include "batching/session/held.h"

#define MANY 8 // keys that are not left for later

// Over whose connection was a batch of the group's sent just now, or a lookup by itself? NULL: there is none.
static struct session *lender_of(const struct engine *e, const struct group *g) {
    for (const struct batch *b = e->batches; b && b->started == e->now; b = b->next)
        if (b->group == g && !b->failed && !b->ahead.home)
            return b->lender;
    const struct lookup *l = g->last_alone;
    return l && l->state == LOOKUP_SENT && l->session && l->session->order.first == l ? l->session : NULL;
}

// May lookups of the group have a key of this type?
static bool takes(const struct group *g, uint32_t type, const struct key *key) {
    uint32_t own = g->parts[0].type;
    if (!key_type_is_integer(type) || !key_type_is_integer(own))
        return own == type;
    return value_has_integer(&g->parts[0], g->values != NULL, (int64_t)get_u64(key->of.bytes));
}

// The keys of the burst for which nothing was sent yet.
static void add_keys(struct engine *e, const struct burst *of, uint32_t type, struct batch *b) {
    for (unsigned i = of->n_sent; i < of->n; i++) {
        const struct key *key = &of->keys[i];
        uint32_t n = b->n_keys;
        if (!takes(b->group, type, key) || burst_was_sent(&e->bursts, of, b->group->id, key))
            continue;
        if (!batch_add_key(b, key))
            return;
        if (b->n_keys == n)
            continue;
        b->ahead.left[n] = 1;
        b->ahead.n_left++;
    }
}

static void send_follower(struct session *s, struct burst *of, uint32_t type, const struct follower *f) {
    struct ahead *a = ahead_of(s);
    struct group *g = a && follower_is_likely(f) ? children_group(s, f) : NULL;
    struct association *association = g && burst_may_have(g) ? burst_association(g) : NULL;
    unsigned max = association ? children_most(s, a, g, f, association) : 0;
    struct batch *b = max ? children_batch(a, g, max, 0) : NULL;
    if (!b)
        return;
    add_keys(s->engine, of, type, b);
    if (!b->n_keys) {
        batch_destroy(b);
        return;
    }
    b->ahead.burst = of->number;
    burst_note_sent(of, g->id, b->n_keys);
    ahead_load(s, a, b, association, f->unit, f->unit_len);
}

// Are so many keys there that a statement for each follower is worth while? As a rule as many come as the last time.
static bool is_worth_it(const struct followed *list, const struct burst *b) {
    unsigned expected = 0, new = b->n - b->n_sent;
    for (unsigned i = 0; i < FOLLOWERS; i++)
        if (follower_is_likely(&list->all[i]) && list->all[i].keys > expected)
            expected = list->all[i].keys;
    return expected && (b->n >= expected || new >= MANY || 2 * new >= expected);
}

void bursts_follow(struct engine *e, struct group *g) {
    bool may = bursting_is_on(e) && burst_may_have(g);
    struct burst *b = may ? burst_of(&e->bursts, g, e->now, e->limits.ahead_age) : NULL;
    struct session *s = b && b->together && b->n_sent < b->n ? lender_of(e, g) : NULL;
    bool sends = s && s->txn == 'I' && children_are_sent(s) && ahead_may_load(s);
    struct followed *list = sends ? followers_of(&e->followers, b->source) : NULL;
    if (!list || !is_worth_it(list, b))
        return;
    for (unsigned i = 0; i < FOLLOWERS && ahead_may_load(s); i++)
        send_follower(s, b, g->parts[0].type, &list->all[i]);
    b->n_sent = b->n;
}
