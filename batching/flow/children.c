// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/children.h"

#include "batching/ahead/ahead.h"
#include "batching/ahead/followers.h"
#include "batching/ahead/gather.h"
#include "batching/ahead/pace.h"
#include "batching/ahead/place.h"
#include "batching/flow/alone.h"
#include "batching/flow/coming.h"
#include "batching/flow/load.h"
#include "batching/flow/own_queries.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/bounds.h"
#include "batching/session/engine.h"
#include "batching/session/learn.h"
#include "batching/session/sent.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/statement/guard.h"
#include "batching/statement/rewrite.h"
#include "batching/statement/shape.h"
#include "batching/statement/unit.h"
#include "batching/trust/identity.h"
#include "batching/trust/stamp.h"

#define DEPTH 4 // levels
#define MOST  8 // batches behind one list
#define MORE  8 // keys beyond those of the last list, and a quarter of them

// ---- which

// Does the group's statement run whatever its names mean by now? One that runs what a user has defined asks in itself, and
// only as it is written in the group.
static bool is_bare(const struct group *g) {
    return g->stamp && !g->stamp->guard.len;
}

bool children_are_sent(struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    return l->with_list && !l->dry && s->engine->followers.n && distance_is_far(&s->engine->distance) &&
           ahead_is_on(s) && s->identity.state == IDENTITY_PROVEN;
}

static bool leads_on(const struct followed *list) {
    for (unsigned i = 0; list && i < FOLLOWERS; i++)
        if (follower_is_likely(&list->all[i]))
            return true;
    return false;
}

bool children_may_follow(struct session *s, struct shape *shape, uint16_t tags) {
    return children_are_sent(s) &&
           leads_on(followers_with(&s->engine->followers, shape_digest(shape_meaning(shape)), tags));
}

bool children_is_list(struct session *s, struct shape *shape, uint16_t tags) {
    return children_are_sent(s) &&
           followers_with(&s->engine->followers, shape_digest(shape_meaning(shape)), tags);
}

struct group *children_group(struct session *s, const struct follower *f) {
    struct engine *e = s->engine;
    struct group *g = group_of_key(&e->groups, f->group, f->group_key, f->group_key_len);
    if (!g || g->state != GROUP_READY || g->generation != e->generation || g->shape->wrong ||
        g->identity != session_identity_current(&e->identities, &s->identity) ||
        (g->owner && g->owner != s->id) || (g->owner && s->txn == 'I' && !g->steady))
        return NULL;
    bool old = e->now - g->vetted_at > e->limits.vet_max_age;
    if (old || guard_is_late(&g->shape->guard, e->now) || engine_guard_state(e, g->shape) != GUARD_FOLDING ||
        !engine_may_look_ahead(e, g->shape->parsed, g->owner ? &g->writers : NULL))
        return NULL;
    return g;
}

// The same, if none is under way, and the list supplies its keys.
static struct group *group_of(struct session *s, const struct ahead *a, const struct follower *f) {
    struct group *g = children_group(s, f);
    bool fits = g && f->association < ASSOCIATIONS && g->shape->associations &&
                !g->shape->associations[f->association].kind;
    return fits && !ahead_is_loading(a, g) ? g : NULL;
}

unsigned children_most(struct session *s, const struct ahead *a, const struct group *g,
                       const struct follower *f, const struct association *association) {
    const struct engine *e = s->engine;
    unsigned most = guard_max_keys(&g->shape->guard, e->now, e->limits.ahead_keys);
    unsigned paid = ahead_affordable(s, a, g, association);
    unsigned max = most < paid ? most : paid;
    unsigned window = association_window(association, e->now, ahead_age_limit(s), max);
    unsigned all = follower_is_proven(f) ? association_all(association, e->now, max) : 0;
    return all > window ? all : window;
}

static unsigned most_keys(struct session *s, const struct ahead *a, const struct group *g,
                          const struct follower *f) {
    return children_most(s, a, g, f, &g->shape->associations[f->association]);
}

struct batch *children_batch(struct ahead *a, struct group *g, unsigned max, uint64_t source) {
    size_t bytes = ahead_room(a);
    struct batch *b = bytes >= 4096 ? batch_create_ahead(g, max, bytes) : NULL;
    if (b)
        b->ahead.behind = source;
    return b;
}

// ---- keys from rows that are there

static bool all_are_new(void *arg, const struct trail_result *list, const struct key *keys, unsigned turns) {
    (void)arg, (void)list, (void)keys, (void)turns;
    return false;
}

// Adds the keys that the follower's column has in this list. `all`: those that are held as well.
static void gather(struct ahead *a, struct batch *b, const struct follower *f, struct trail_result *r,
                   bool all) {
    struct group *g = b->group;
    struct association *association = &g->shape->associations[f->association];
    struct guess w = {.trail = &a->trail, .result = r, .association = association};
    struct ahead_holding holding = {a, g};
    if (!association_is_in(association, r, g->n_parts, w.columns))
        return;
    for (unsigned i = 0; i < g->n_parts; i++) {
        w.spellings[i] = f->spellings[i];
        if (w.columns[i] < 0)
            return;
    }
    w.lead = association_lead(association, g);
    w.who = place_who(&w, g, NULL); // no part has the same value in all rows
    predict_gather_all(&w, g, b, all ? all_are_new : ahead_is_held, &holding);
}

static struct trail_result *result_of(const struct ahead *a, uint64_t serial) {
    struct trail_result *r = serial ? a->trail.results : NULL;
    while (r && (r->serial != serial || followers_source(&r->columns) == 0))
        r = r->next;
    return r;
}

// The rows are there in which the batches find their keys that wait for this parent. `r`: NULL: there are none.
static void fill(struct ahead *a, uint64_t parent, struct trail_result *r) {
    for (struct batch *b = a->loading; b; b = b->ahead.next) {
        struct derived *d = b->derived;
        if (!d || d->filled || d->parent != parent)
            continue;
        d->filled = true;
        bool is_list = r && followers_source(&r->columns) == d->source;
        struct followed *list = is_list ? followers_of(&a->engine->followers, b->ahead.behind) : NULL;
        const struct follower *f = list ? follower_find(list, b->group->id) : NULL;
        if (f)
            gather(a, b, f, r, true);
        batch_filled(b);
        ahead_fill(a, b);
    }
}

// Sends what follows the list, unless it was sent in its own write.
static void load_followers(struct session *s, struct trail_result *r) {
    struct ahead *a = s->ahead;
    struct engine *e = s->engine;
    struct followed *list = followers_with(&e->followers, followers_source(&r->columns), r->columns.tags);
    for (unsigned i = 0; list && i < FOLLOWERS && ahead_may_load(s); i++) {
        const struct follower *f = &list->all[i];
        struct group *g = follower_is_likely(f) ? group_of(s, a, f) : NULL;
        unsigned max = g ? most_keys(s, a, g, f) : 0;
        struct batch *b = max ? children_batch(a, g, max, list->source) : NULL;
        if (!b)
            continue;
        gather(a, b, f, r, false);
        if (b->ahead.n_left < ahead_statements(s)) {
            batch_destroy(b);
            continue;
        }
        ahead_load(s, a, b, &g->shape->associations[f->association], f->unit, f->unit_len);
    }
}

// A list's rows are there, whose number as a batch is `parent`; 0: it is the client's. `serial`: of its result; 0: none.
static void list_came(struct session *s, uint64_t parent, uint64_t serial) {
    struct trail_result *r = result_of(s->ahead, serial);
    fill(s->ahead, parent, r);
    if (r && children_are_sent(s))
        load_followers(s, r);
}

void children_list_read(struct session *s) {
    if (!s->ahead)
        return;
    uint64_t serial = s->ahead->read;
    s->ahead->read = 0;
    list_came(s, 0, serial);
}

void children_loaded(struct session *s, uint64_t number) {
    const struct batch *b = s->ahead ? s->ahead->held : NULL;
    while (b && b->ahead.number != number)
        b = b->ahead.next;
    if (s->ahead)
        list_came(s, number, b ? b->ahead.list : 0);
}

// ---- in the list's own write

// The ways that lead from the list to one level.
struct way {
    struct session *s;
    const struct list_unit *list;
    struct slice text; // of the list
    uint64_t cost;     // microseconds that the server takes for it, mostly
    uint16_t tags;     // of the list
    struct rewrite_step steps[DEPTH];
    const struct follower *followers[DEPTH];
    struct group *groups[DEPTH];
    unsigned n, sent;
    unsigned shift; // parameters of the list and of the steps
    unsigned max;
};

// A key that is sent has no collation. One from a column has the column's, which would decide what it is equal to.
#define DEFAULT_COLLATION " COLLATE pg_catalog.\"default\""

// How a key's type is written; NULL: such keys are only sent when they are known.
static const char *type_name(uint32_t type) {
    switch (type) {
    case OID_INT2:
        return "pg_catalog.int2";
    case OID_INT4:
        return "pg_catalog.int4";
    case OID_INT8:
        return "pg_catalog.int8";
    case OID_UUID:
        return "pg_catalog.uuid";
    case 25:
        return "pg_catalog.text" DEFAULT_COLLATION;
    case 1043:
        return "pg_catalog.varchar" DEFAULT_COLLATION;
    default:
        return NULL;
    }
}

// Which values of the column's type there are in the key's.
static const char *range_of(uint32_t column, uint32_t key) {
    if (column == key || key == OID_INT8 || column == OID_INT2 || !key_type_is_integer(key))
        return "";
    return key == OID_INT2 ? " BETWEEN -32768 AND 32767" : " BETWEEN -2147483648 AND 2147483647";
}

// May a value of the column's type be taken for one of the key's, without being changed?
static bool same_kind(uint32_t column, uint32_t key) {
    bool texts = (column == 25 || column == 1043) && (key == 25 || key == 1043);
    return column == key || texts || (key_type_is_integer(column) && key_type_is_integer(key));
}

// Adds the follower's step. False: its keys cannot be found by the server.
static bool add_step(struct way *w, const struct follower *f, struct group *g) {
    struct msg_bind m;
    const char *type =
        g->n_parts == 1 && same_kind(f->type, g->parts[0].type) ? type_name(g->parts[0].type) : NULL;
    if (!type || !is_bare(g) || (!g->values && !unit_bind(f->unit, f->unit_len, &m)))
        return false;
    w->steps[w->n] = (struct rewrite_step){.shape = g->shape,
                                           .key = g->parts[0].key,
                                           .values = g->values,
                                           .shift = w->shift,
                                           .column = f->column,
                                           .type = type,
                                           .range = range_of(f->type, g->parts[0].type)};
    w->followers[w->n] = f;
    w->groups[w->n++] = g;
    w->shift += g->values ? 0 : m.n_params;
    return true;
}

static void add_params(const struct way *w, struct derived *d) {
    if (w->list->bind)
        derived_add_params(d, w->list->bind, w->list->shape->types, w->list->shape->n_types, -1);
    for (unsigned i = 0; i < w->n; i++) {
        const struct group *g = w->groups[i];
        uint32_t types[SHAPE_MAX_VALUES];
        const struct follower *f = w->followers[i];
        struct msg_bind m;
        if (g->values || !unit_bind(f->unit, f->unit_len, &m))
            continue;
        int key = g->shape->parsed->keys[g->parts[0].key].param - 1;
        for (unsigned n = 0; n < g->n_params; n++)
            types[n] = (int)n == key ? g->parts[0].type : g->params[n];
        derived_add_params(d, &m, types, g->n_params, key);
    }
}

// Is any of its texts likely to have other constants the next time?
static bool has_constants(const struct way *w) {
    bool has = !w->list->bind || !w->list->shape->n_types ||
               w->list->shape->of; // the latter has all its values in its text
    for (unsigned i = 0; i < w->n; i++)
        has |= w->groups[i]->values != NULL;
    return has;
}

static struct derived *derive(const struct way *w, uint64_t source, uint64_t parent) {
    struct derived *d = derived_create();
    if (!d)
        return NULL;
    d->source = source;
    d->parent = parent;
    d->once = has_constants(w);
    add_params(w, d);
    if (rewrite_behind(w->text, w->steps, w->n, w->max, &d->text) && !derived_failed(d)) {
        derived_named(d, w->groups[w->n - 1]->statement);
        return d;
    }
    derived_free(d);
    return NULL;
}

// Sends the batch of the way's last step. Returns its number; 0: it was not sent.
static uint64_t send_step(struct way *w, const struct followed *list, uint64_t source, uint64_t parent,
                          unsigned max) {
    struct session *s = w->s;
    struct group *g = w->groups[w->n - 1];
    const struct follower *f = w->followers[w->n - 1];
    struct batch *b = children_batch(s->ahead, g, max, list->source);
    if (!b)
        return 0;
    w->max = b->max_keys;
    b->derived = derive(w, source, parent);
    if (!b->derived) {
        batch_destroy(b);
        return 0;
    }
    uint64_t number = s->engine->aheads.loads + 1;
    ahead_load(s, s->ahead, b, &g->shape->associations[f->association], f->unit, f->unit_len);
    w->sent++;
    return s->ahead && s->ahead->loading && s->ahead->loading->ahead.number == number ? number : 0;
}

// Does running the list once more for each batch cost little beside the way there and back?
static bool is_cheap(const struct way *w) {
    return (w->sent + 1) * w->cost <= distance_to(&w->s->engine->distance);
}

static uint64_t cost_of(struct session *s, uint64_t source) {
    const struct followed *list = followers_of(&s->engine->followers, source);
    uint64_t way = distance_to(&s->engine->distance);
    return list && list->took > way ? list->took - way : 0;
}

// How many keys are asked for: what the last lists had, and some more; of a loop that is certain, of a longer list, too.
static unsigned wanted_keys(const struct follower *f) {
    return follower_is_proven(f) ? 2 * f->keys + 4 * MORE : f->keys + f->keys / 4 + MORE;
}

// Sends what follows this list, and then what follows that.
static void send_level(struct way *w, uint64_t source, uint64_t parent) {
    struct engine *e = w->s->engine;
    for (unsigned i = 0; i < FOLLOWERS && w->sent < MOST; i++) {
        const struct followed *list = followers_with(&e->followers, source, parent ? 0 : w->tags);
        const struct follower *f = list && follower_is_likely(&list->all[i]) ? &list->all[i] : NULL;
        bool left = f && !parent && w->s->ahead && follower_was_left(list, f, &w->s->ahead->trail);
        struct group *g = f && !left && w->s->ahead ? group_of(w->s, w->s->ahead, f) : NULL;
        unsigned max = g ? most_keys(w->s, w->s->ahead, g, f) : 0, wanted = f ? wanted_keys(f) : 0;
        unsigned shift = w->shift;
        if (!g || max < f->keys || !is_cheap(w) || !add_step(w, f, g))
            continue;
        uint64_t number = send_step(w, list, source, parent, wanted < max ? wanted : max);
        if (number && w->n < DEPTH)
            send_level(w, shape_digest(g->shape), number);
        w->n--;
        w->shift = shift;
    }
}

// Is the list a plain read, which may run twice? No definition of a user's may be in it, since one that has changed is only
// noticed behind the batch. A list of which that is not known is asked about, for the next time.
static bool may_repeat(struct session *s, struct shape *shape) {
    const struct parsed *p = shape_meaning(shape)->parsed;
    struct group *g =
        p->kind == STATEMENT_READ && p->reason != REASON_LOCKING ? session_read_group(s, shape) : NULL;
    if (!g)
        return false;
    if (g->state == GROUP_NEW)
        session_start_vet(s, g);
    return g->state == GROUP_READY && g->bare && g->generation == s->engine->generation &&
           s->engine->now - g->vetted_at <= s->engine->limits.vet_max_age;
}

static void send_children(struct session *s, const struct list_unit *list) {
    uint64_t source = shape_digest(shape_meaning(list->shape));
    if (!s->ahead || s->no_scan || !(list->plain || may_repeat(s, list->shape)))
        return;
    struct way w = {.s = s,
                    .list = list,
                    .text = rewrite_without_end(list->text),
                    .cost = cost_of(s, source),
                    .tags = list->tags,
                    .shift = list->bind ? list->bind->n_params : 0};
    send_level(&w, source, 0);
}

struct list_unit children_list(struct shape *shape, const struct unit *u, const struct shape *prepared) {
    struct list_unit list = {.shape = shape, .bind = u->query.data ? NULL : &u->bind};
    if (u->query.data)
        list.text = u->query;
    else if (u->has_parse)
        list.text = u->parse.text;
    else if (prepared)
        list.text = (struct slice){(const uint8_t *)prepared->text, prepared->text_len};
    return list;
}

void children_forwarded(struct session *s, const struct list_unit *list) {
    struct list_unit with_tags = *list;
    with_tags.tags = sent_last_tags(s);
    if (children_may_follow(s, list->shape, with_tags.tags) && ahead_may_load_behind(s))
        send_children(s, &with_tags);
}

// Reads how its client sent it. False: not known.
static bool read_list(const struct lookup *l, struct unit *u, struct list_unit *list) {
    enum unit_result r = unit_read(l->bytes, l->len, SIZE_MAX, u);
    const struct shape *prepared = l->statement ? l->statement->shape : NULL;
    if (r != (l->simple ? UNIT_SIMPLE : UNIT_EXTENDED) || u->max_rows)
        return false;
    *list = children_list(l->shape, u, prepared);
    list->plain = l->group->state == GROUP_READY && is_bare(l->group);
    list->tags = l->tags;
    return list->text.data && (u->has_parse || !prepared || prepared->protocol != SHAPE_SIMPLE);
}

// Has the session been asked for nothing but this lookup, which was sent by itself?
static bool is_sent(const struct session *s, const struct lookup *l) {
    return !s->gives && s->order.first == l && l->state == LOOKUP_SENT;
}

void children_follow(struct session *s, struct lookup *l) {
    struct unit u;
    struct list_unit list;
    if (s->order.first != l || l->pipeline || l->next)
        return;
    bool waits = l->state == LOOKUP_WAITING, sends = children_may_follow(s, l->shape, l->tags);
    if (!sends && l->group->state != GROUP_NEW)
        return;
    if ((!waits && l->state != LOOKUP_SENT) || (waits && engine_has_company(l->group)) ||
        !read_list(l, &u, &list))
        return;
    if (waits)
        engine_run_lookup(l); // it stays until its answer has come
    if (sends && is_sent(s, l) && ahead_may_load(s))
        send_children(s, &list);
    if (is_sent(s, l))
        ahead_begin_behind(s, l);
}
