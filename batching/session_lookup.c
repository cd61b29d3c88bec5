// SPDX-License-Identifier: PostgreSQL
//
// A lookup's acceptance: its shape is looked up, its group found, and it is queued there until the turn of
// the event loop ends (engine.c). Anything that speaks against it is a reason to forward.
#include <stdlib.h>
#include <string.h>

#include "batching/client.h"

// A lookup on its way to being accepted.
struct candidate {
    struct feed *f;
    struct session *s;
    const uint8_t *bytes;
    const struct unit *unit;
    bool simple;
    struct shape *shape;
    const struct shape_text *values; // simple
    struct statement *statement;     // extended, parsed in an earlier unit
    struct group *group;
    struct slice raw_key;
    uint16_t key_format;
};

static struct slice candidate_value(const struct candidate *c, int param) {
    if (c->simple) {
        const struct shape_value *v = &c->values->values[param - 1];
        bool quoted = v->type == TOKEN_STRING;
        return (struct slice){c->unit->query.data + v->at + quoted, v->len - 2u * quoted};
    }
    size_t walk = 0;
    struct slice value = {0};
    for (int i = 0; i < param && msg_bind_next_param(&c->unit->bind, &walk, &value); i++)
        ;
    return value;
}

static enum reason find_shape_extended(struct candidate *c) {
    struct session *s = c->s;
    const struct unit *u = c->unit;
    enum reason why = REASON_NONE;
    if (u->has_parse) {
        c->shape = shape_extended(&s->engine->shapes, u->parse.text, u->parse.n_types, u->parse.types, &why);
        return c->shape ? c->shape->reason : why;
    }
    c->statement = session_statement(s, u->bind.statement);
    if (!c->statement || !c->statement->shape || !c->statement->confirmed)
        return REASON_UNKNOWN_STATEMENT;
    c->shape = c->statement->shape;
    if (c->shape->reason != REASON_NONE)
        return c->shape->reason;
    return c->statement->described ? REASON_NONE : REASON_NOT_DESCRIBED;
}

static enum reason find_shape(struct candidate *c) {
    if (c->s->no_scan)
        return REASON_ENCODING;
    if (!c->simple) {
        enum reason why = find_shape_extended(c);
        if (why != REASON_NONE)
            return why;
        bool fits = c->unit->bind.n_params == c->shape->parsed->n_params &&
                    c->shape->n_types <= (unsigned)c->shape->parsed->n_params;
        return fits ? REASON_NONE : REASON_PARAMETERS;
    }
    const struct statement_class *k = feed_classify(c->f, c->unit->query);
    c->shape = k->shape;
    c->values = &k->values;
    if (k->kind != STATEMENT_READ || !k->shape)
        return k->reason == REASON_NONE ? REASON_NOT_SELECT : k->reason;
    return k->reason;
}

static enum reason find_group(struct candidate *c) {
    struct session *s = c->s;
    struct engine *e = s->engine;
    const struct parsed *p = c->shape->parsed;
    for (int i = 0; i < p->n_keys && p->n_keys > 1; i++)
        shape_watch(c->shape, i, candidate_value(c, p->keys[i].param));
    struct identity *id = session_identity_current(&e->identities, &s->identity);
    if (!id)
        return REASON_MEMORY;
    c->group = c->simple
                   ? group_for_simple(&e->groups, &e->identities, c->shape, id, c->unit->query, c->values)
                   : group_for_extended(&e->groups, &e->identities, c->shape, id, &c->unit->bind);
    if (!c->group)
        return REASON_TOO_MANY_SHAPES;
    int param = p->keys[c->shape->key].param;
    c->raw_key = candidate_value(c, param);
    c->key_format = c->simple ? 0 : msg_bind_param_format(&c->unit->bind, (unsigned)param - 1);
    return REASON_NONE;
}

static struct lookup *lookup_create(const struct candidate *c) {
    const struct unit *u = c->unit;
    struct lookup *l = calloc(1, sizeof *l + u->size);
    if (!l)
        return NULL;
    memcpy(l->bytes, c->bytes, u->size);
    l->len = u->size;
    l->session = c->s;
    l->group = c->group;
    l->simple = c->simple;
    l->has_parse = u->has_parse;
    l->has_describe = u->has_describe;
    l->reparse = !c->simple && !u->has_parse && !u->bind.statement.len;
    l->shape = shape_ref(c->shape);
    if (c->raw_key.data) // not NULL
        l->raw_key = (struct slice){l->bytes + (c->raw_key.data - c->bytes), c->raw_key.len};
    l->key_format = c->key_format;
    if (c->statement) {
        l->check_row_hash = true;
        l->row_hash = c->statement->row_hash;
    }
    return l;
}

static void queue_lookup(struct session *s, struct lookup *l) {
    struct group *g = l->group;
    l->previous = s->last;
    *(s->last ? &s->last->next : &s->first) = l;
    s->last = l;
    s->n_lookups++;
    l->previous_waiting = g->last;
    *(g->last ? &g->last->next_waiting : &g->first) = l;
    g->last = l;
    if (!g->n_waiting++)
        g->waiting_since = s->engine->now;
    engine_list_group(s->engine, g);
}

// The client's view of the unnamed statement after this unit, of which the server may never hear. False: out
// of memory.
static bool note_unnamed(struct session *s, const struct candidate *c) {
    struct statement *st = NULL;
    if (!c->simple && !c->unit->has_parse)
        return true;
    if (c->unit->has_parse) {
        st = statement_create("", 0, c->shape);
        if (!st)
            return false;
        st->confirmed = true;
    }
    statement_unref(s->unnamed);
    s->unnamed = st;
    return true;
}

// Everything that a lookup must be; the order is that of cost.
static enum reason judge(struct candidate *c) {
    struct session *s = c->s;
    enum reason why = find_shape(c);
    if (why != REASON_NONE)
        return why;
    if (s->txn != 'I')
        return REASON_TRANSACTION;
    if (s->n_forward)
        return REASON_BEHIND_FORWARD;
    why = find_group(c);
    if (why != REASON_NONE)
        return why;
    group_refresh(s->engine, c->group);
    if (c->group->state == GROUP_REFUSED)
        return REASON_VET_REFUSED;
    return s->engine->limits.observe ? REASON_OBSERVE : REASON_NONE;
}

static bool accept(struct session *s, const struct candidate *c) {
    struct lookup *l = lookup_create(c);
    if (!l || !note_unnamed(s, c)) {
        if (l)
            lookup_free(s->engine, l);
        return false;
    }
    s->engine->counters.lookups++;
    if (s->identity.state != IDENTITY_PROVEN)
        s->identity.clean = false; // nobody has vetted what it may do when it runs alone
    queue_lookup(s, l);
    if (session_identity_wants_proof(&s->identity))
        engine_list_proof(s->engine, s);
    return true;
}

// A read before this one, of another shape, is still being vetted: it may prove to change what this one sees.
static bool vets_another(const struct session *s, const struct group *g) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = &s->owed.ring[(s->owed.head + i) & (s->owed.cap - 1)];
        if (o->kind == OWED_READ_VET && o->of.group != g)
            return true;
    }
    return false;
}

// Run alone it must be a plain read, or the session would no longer be what it was proven to be, nor what the
// proof on its way finds. A session that is not proven folds with itself alone, and its proof comes after;
// what it runs may change it, so that lookups of two shapes keep their order.
static bool may_run_alone(struct feed *f, const struct candidate *c) {
    struct group *vetting = NULL;
    enum identity_state state = c->s->identity.state;
    if (state != IDENTITY_PROVEN && state != IDENTITY_PROVING)
        return !c->s->last || c->s->last->shape == c->shape;
    c->group->in_flight++; // so that the group of the read does not take its place
    enum read_effect effect = forward_read_effect(f, c->shape, &vetting);
    c->group->in_flight--;
    if (effect != READ_PLAIN && (!vetting || vetting->state != GROUP_VETTING || !session_vets(c->s, vetting)))
        return false;
    return !vets_another(c->s, vetting);
}

enum take lookup_take(struct feed *f, const struct unit *u, bool simple, enum reason *why) {
    struct session *s = f->s;
    struct candidate c = {.f = f, .s = s, .bytes = f->bytes + f->at, .unit = u, .simple = simple};
    s->observed = NULL;
    *why = judge(&c);
    if (*why == REASON_OBSERVE) {
        s->engine->counters.lookups++;
        s->engine->counters.would_fold += c.group->in_flight > 0;
        s->observed = c.group;
    }
    if (*why != REASON_NONE)
        return TAKE_FORWARD;
    if (!may_run_alone(f, &c)) {
        *why = REASON_NOT_VETTED;
        return TAKE_FORWARD;
    }
    if (s->n_lookups >= session_max_lookups(s)) {
        s->held_full = true;
        return TAKE_WAIT;
    }
    if (!accept(s, &c)) {
        *why = REASON_MEMORY;
        return TAKE_FORWARD;
    }
    return TAKE_TAKEN;
}
