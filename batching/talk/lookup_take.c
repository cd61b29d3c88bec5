// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/lookup_take.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/asked.h"
#include "batching/base/reason.h"
#include "batching/flow/alone.h"
#include "batching/flow/await.h"
#include "batching/flow/find.h"
#include "batching/flow/children.h"
#include "batching/flow/load.h"
#include "batching/flow/own_queries.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/apart.h"
#include "batching/session/asking.h"
#include "batching/session/behind.h"
#include "batching/session/bounds.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/hold.h"
#include "batching/session/lazy.h"
#include "batching/session/lists.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/pooler.h"
#include "batching/session/reporting.h"
#include "batching/session/room.h"
#include "batching/session/portal.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/thrift.h"
#include "batching/session/txn.h"
#include "batching/session/watched.h"
#include "batching/statement/cost.h"
#include "batching/statement/functions.h"
#include "batching/statement/guard.h"
#include "batching/statement/key.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/ration.h"
#include "batching/statement/shape.h"
#include "batching/statement/unit.h"
#include "batching/talk/classify.h"
#include "batching/talk/dry_take.h"
#include "batching/talk/feed.h"
#include "batching/talk/question.h"
#include "batching/talk/reads.h"
#include "batching/trust/identity.h"
#include "protocol/message.h"

// ---- what it asks

struct slice candidate_value(const struct candidate *c, int param) {
    if (c->values) {
        const struct shape_value *v = &c->values->values[param - 1];
        bool quoted = v->type == TOKEN_STRING;
        return (struct slice){c->text.data + v->at + quoted, v->len - 2u * quoted};
    }
    size_t walk = 0;
    struct slice value = {0};
    for (int i = 0; i < param && msg_bind_next_param(&c->unit->bind, &walk, &value); i++)
        ;
    return value;
}

void candidate_raw(const struct candidate *c, struct slice *raw) {
    for (unsigned i = 0; i < c->group->n_parts; i++)
        raw[i] = candidate_value(c, c->shape->parsed->keys[c->group->parts[i].key].param);
}

// Looks for a SELECT that has its values as constants in the text of its Parse. False: it is none.
static bool find_literal(struct candidate *c, enum reason *why) {
    const struct unit *u = c->unit;
    struct shape *shape =
        u->bind.n_params ? NULL : shape_literal(&c->s->engine->shapes, &u->parse, &c->f->query.values);
    if (!shape)
        return false;
    c->shape = shape;
    reporting_text(c->s, shape, u->parse.text);
    c->text = u->parse.text;
    c->values = &c->f->query.values;
    *why = shape->reason;
    return true;
}

static enum reason find_shape_extended(struct candidate *c) {
    struct session *s = c->s;
    const struct unit *u = c->unit;
    enum reason why = REASON_NONE;
    if (u->has_parse && !session_may_remember(s, u->parse.name.len))
        return REASON_MEMORY;
    if (u->has_parse && !session_name_is_free(s, u->parse.name))
        return REASON_FRAMING; // the server has to refuse it
    if (u->has_parse && find_literal(c, &why))
        return why;
    if (u->has_parse) {
        c->shape = shape_extended(&s->engine->shapes, u->parse.text, u->parse.n_types, u->parse.types, &why);
        reporting_text(s, c->shape, u->parse.text);
        return c->shape ? c->shape->reason : why;
    }
    c->statement = session_statement(s, u->bind.statement);
    reporting_runs(s, c->statement);
    if (!c->statement || !c->statement->shape || !c->statement->confirmed)
        return REASON_UNKNOWN_STATEMENT;
    c->shape = c->statement->shape;
    if (c->shape->reason != REASON_NONE)
        return c->shape->reason;
    if (c->statement->generation < s->engine->shadowed)
        return REASON_NAME_MOVED;
    bool tells = u->has_describe && c->statement->generation == s->engine->generation;
    return c->statement->described || tells ? REASON_NONE : REASON_NOT_DESCRIBED;
}

enum reason candidate_shape(struct candidate *c) {
    if (c->s->no_scan)
        return REASON_ENCODING;
    if (!c->simple) {
        enum reason why = find_shape_extended(c);
        if (why != REASON_NONE || c->values)
            return why;
        bool fits = c->unit->bind.n_params == c->shape->parsed->n_params &&
                    c->shape->n_types <= (unsigned)c->shape->parsed->n_params;
        return fits ? REASON_NONE : REASON_PARAMETERS;
    }
    const struct statement_class *k = feed_classify(c->f, c->unit->query);
    c->shape = k->shape;
    reporting_text(c->s, k->shape, c->unit->query);
    c->text = c->unit->query;
    c->values = &k->values;
    if (k->kind != STATEMENT_READ || !k->shape)
        return k->reason == REASON_NONE ? REASON_NOT_SELECT : k->reason;
    return k->reason;
}

enum reason candidate_group(struct candidate *c) {
    struct session *s = c->s;
    struct engine *e = s->engine;
    const struct parsed *p = c->shape->parsed;
    for (int i = 0; i < p->n_keys && p->n_keys > 1; i++)
        shape_watch(c->shape, i, candidate_value(c, p->keys[i].param));
    (void)shape_keys(c->shape);
    struct identity *id = session_identity_current(&e->identities, &s->identity);
    if (!id)
        return REASON_MEMORY;
    c->group = c->values ? group_for_simple(&e->groups, &e->identities, c->shape, id, c->text, c->values,
                                            c->simple ? NULL : &c->unit->bind)
                         : group_for_extended(&e->groups, &e->identities, c->shape, id, &c->unit->bind);
    if (!c->group)
        return REASON_TOO_MANY_SHAPES;
    c->group_id = c->group->id;
    return c->group->risk == RISK_ALWAYS ? REASON_MAY_FAIL : REASON_NONE;
}

// Lookups that may not be shared fold within their session. Nothing of theirs can be checked or verified: the
// time is another one when the original runs.
static enum reason find_own_group(struct candidate *c) {
    struct engine *e = c->s->engine;
    if (c->group->level != LEVEL_OWN || e->limits.verify || e->limits.check_one_in == 1 ||
        (e->limits.observe && !e->limits.dry))
        return REASON_VET_REFUSED;
    c->group = group_for_owner(&e->groups, &e->identities, c->group, c->s->id);
    if (!c->group)
        return REASON_TOO_MANY_SHAPES;
    reads_refresh_group(e, c->group);
    return c->group->state == GROUP_REFUSED ? REASON_VET_REFUSED : REASON_NONE;
}

// ---- judging

// Does the Parse declare the types of all parameters?
static bool declares_all(const struct shape *s) {
    bool all = s->n_types == (unsigned)s->parsed->n_params;
    for (unsigned i = 0; i < s->n_types; i++)
        all &= s->types[i] != 0;
    return all;
}

// A prepared statement keeps the parameter types that it got when it was parsed. Names may have meant other
// tables then, and columns may have had other types. So these types must be the ones that the folded
// statement declares.
static bool types_fit(const struct candidate *c) {
    struct statement *st = c->statement;
    XXH128_hash_t now = c->group->types_hash;
    if (c->simple || c->unit->has_parse || !st || c->group->state != GROUP_READY || declares_all(c->shape))
        return true;
    if (st->parameters_described)
        return XXH128_isEqual(st->parameters_hash, now);
    if (!st->typed) {
        st->typed = st->meaning == c->s->meaning;
        st->types = now;
    }
    return st->typed && XXH128_isEqual(st->types, now);
}

// What its group says, when nothing else is against it.
enum reason candidate_judge_group(struct candidate *c) {
    struct session *s = c->s;
    if (c->shape->wrong && !s->engine->limits.verify)
        return REASON_SWITCHED_OFF;
    if (engine_guard_state(s->engine, c->shape) == GUARD_ALONE)
        return c->shape->guard.oversized ? REASON_LARGE_ANSWER : REASON_SLOWER;
    enum reason why = candidate_group(c);
    if (why != REASON_NONE)
        return why;
    reads_refresh_group(s->engine, c->group);
    if (c->group->state == GROUP_REFUSED) {
        why = find_own_group(c);
        if (why != REASON_NONE)
            return why;
    }
    if (!types_fit(c))
        return REASON_NAME_MOVED;
    return s->engine->limits.observe ? REASON_OBSERVE : REASON_NONE;
}

enum reason candidate_judge(struct candidate *c) {
    struct session *s = c->s;
    enum reason why = candidate_shape(c);
    if (why != REASON_NONE)
        return why;
    why = session_txn_reason(s);
    c->apart = why != REASON_NONE && ahead_may_be_apart(s) && ahead_has_list(s);
    if (why != REASON_NONE && !c->apart)
        return why;
    return session_n_others(s) ? REASON_BEHIND_FORWARD : candidate_judge_group(c);
}

// Is another read than `g` still being vetted on this connection? It may prove to change what this one sees.
static bool vets_another(const struct session *s, const struct group *g) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        if (o->kind == OWED_READ_VET && o->of.group != g)
            return true;
    }
    return false;
}

// If it runs alone and is no plain read, the session is no longer what it was proven to be, or what the proof
// under way finds. A session without a proof folds with itself alone and is proved later. What it runs may
// change it, so only lookups of one shape are under way at a time: that keeps their order.
bool candidate_may_run_alone(struct feed *f, struct candidate *c, struct group **elsewhere) {
    struct group *vetting = NULL;
    enum identity_state state = c->s->identity.state;
    if (state != IDENTITY_PROVEN && state != IDENTITY_PROVING)
        return !c->s->order.last || c->s->order.last->shape == c->shape;
    c->plain = c->group->state == GROUP_READY; // what may be folded is certainly a plain read
    if (c->plain)
        return !vets_another(c->s, NULL);
    group_pin(c->group); // pinned: making the read group must not evict this one
    enum read_effect effect = reads_effect(f, c->shape, &vetting);
    group_unpin(c->group);
    c->plain = effect == READ_PLAIN;
    bool vetted_here = vetting && vetting->state == GROUP_VETTING && session_vets(c->s, vetting);
    if (effect != READ_PLAIN && !vetted_here) {
        *elsewhere = vetting;
        return false;
    }
    return !vets_another(c->s, vetting);
}

// What is no plain read leaves a proven session in doubt at once. So no proof is asked for because of it.
bool candidate_wants_proof(const struct candidate *c) {
    const struct engine *e = c->s->engine;
    bool in_vain =
        c->shape && c->shape->no_plain_read && e->now - c->shape->no_plain_read < e->limits.vet_max_age;
    return !in_vain && session_identity_wants_proof(&c->s->identity, thrift_waits(c->s));
}

// ---- accepting

static struct lookup *lookup_create(const struct candidate *c) {
    const struct unit *u = c->unit;
    size_t size = c->whole ? c->whole : u->size;
    struct lookup *l = calloc(1, sizeof *l + size);
    if (!l)
        return NULL;
    memcpy(l->bytes, c->bytes, size);
    l->len = size;
    l->session = c->s;
    l->memory = &c->s->queue_memory;
    l->seen = c->s->front_since;
    l->kind = STATEMENT_READ;
    l->tags = reporting_take_tags(c->s);
    l->group = c->group;
    l->simple = c->simple;
    l->plain = c->plain;
    l->has_parse = u->has_parse;
    l->has_describe = u->has_describe;
    l->max_rows = u->max_rows;
    l->whole = c->s->txn != 'I' && u->max_rows && !u->n_closes;
    l->n_closes = u->n_closes;
    l->question = c->question;
    l->settled = recent_has(&c->s->recent, c->shape->family, c->group->id);
    l->shape = shape_ref(c->shape);
    l->shape->n_lookups++;
    candidate_raw(c, l->raw);
    for (unsigned i = 0; i < c->group->n_parts; i++)
        if (l->raw[i].data) // not an SQL NULL
            l->raw[i].data = l->bytes + (l->raw[i].data - c->bytes);
    lookup_weigh(l);
    if (c->statement && c->statement->described) {
        l->check_row_hash = true;
        l->row_hash = c->statement->row_hash;
    }
    return l;
}

// The statement that the unit's Parse makes. NULL: out of memory.
static struct statement *create_statement(struct session *s, const struct candidate *c) {
    struct slice name = c->unit->parse.name;
    struct shape *literal =
        c->values ? shape_with_constants(&s->engine->shapes, c->shape, c->unit->parse.text) : NULL;
    struct statement *st = c->values && !literal ? NULL
                                                 : statement_create(s, (const char *)name.data, name.len,
                                                                    literal ? literal : c->shape);
    shape_unref(literal);
    return st;
}

// Notes what the client believes of its prepared statements after this unit, of which the server may never
// hear. The lookup holds its own statement: when it is sent, the session's may be another one. False: out of
// memory.
static bool note_statement_of(struct session *s, const struct candidate *c, struct lookup *l) {
    const struct unit *u = c->unit;
    struct statement *st = c->statement;
    bool creates = !c->simple && u->has_parse && !st;
    if (creates) {
        st = create_statement(s, c);
        if (!st)
            return false;
        st->confirmed = true;
        st->blanks = (uint16_t)(c->values ? 0 : shape_skipped(u->parse.text));
        st->generation = s->engine->generation;
    }
    if (st) {
        l->statement = st;
        st->refs++;
    }
    if (creates) {
        names_more_lazy(s, u->parse.name.len > 0);
        if (!u->parse.name.len) // what the server has was parsed earlier
            session_note_unnamed(s, s->names.server_has_unnamed, NULL);
        session_put_statement(s, st);
    }
    if (c->simple)
        session_drop_unnamed(s);
    s->lazy_unit = false;
    return true;
}

// Makes the candidate a lookup, with the client's statements noted. NULL: out of memory.
static struct lookup *take_lookup(struct session *s, const struct candidate *c) {
    struct lookup *l = lookup_create(c);
    if (l && !note_statement_of(s, c, l)) {
        lookup_free(s->engine, l);
        return NULL;
    }
    s->engine->counters.lookups += l != NULL;
    if (l)
        portal_asked(s, l, l->simple || l->n_closes);
    if (l)
        watched_note(s, STATEMENT_READ, l->shape->parsed);
    if (s->txn == 'T')
        session_note_snapshot(s); // the statement, had it run, would have taken one
    return l;
}

static void queue_lookup(struct session *s, struct lookup *l) {
    l->asked = s->engine->now ? s->engine->now : 1;
    guard_note_came(&l->shape->guard, s->engine->now);
    order_append(s, l);
    lookup_wait(s->engine, l);
}

bool candidate_accept(struct session *s, const struct candidate *c) {
    struct lookup *l = take_lookup(s, c);
    if (!l)
        return false;
    rations_note(&s->engine->rations, COST_OF_LOOKUP);
    if (c->question)
        ahead_step(s, c->group, l->raw, c->again);
    if (s->identity.state == IDENTITY_UNPROVEN) // it may run alone, and nobody has vetted what it does
        session_identity_touched(&s->identity, functions_are_plain(c->shape->parsed));
    if (s->identity.state != IDENTITY_PROVEN && c->group->state != GROUP_READY)
        ahead_run_unvetted(s);
    bool vetted = s->identity.state == IDENTITY_PROVEN || s->identity.state == IDENTITY_PROVING ||
                  c->group->state == GROUP_READY;
    if (!vetted && session_read_may_write(s, c->shape->parsed))
        session_note_write(s, NULL);
    queue_lookup(s, l);
    if (candidate_wants_proof(c))
        engine_list_proof(s->engine, s);
    return true;
}

// ---- deciding

// Notes what is asked, before anything can answer it.
static void note_question(struct candidate *c) {
    if (!c->noted && c->shape && c->shape->parsed->kind == STATEMENT_READ)
        session_note_question(c->s, c->question, c->loads);
    if (!c->noted && c->group_id)
        recent_note(&c->s->recent, c->shape->family, c->group_id);
    c->noted = true;
}

// Answers the lookup with what was loaded ahead. False: there is nothing for it.
static bool take_held(struct session *s, struct candidate *c) {
    struct slice raw[KEY_MAX_PARTS];
    struct ahead_hit hit;
    if (!c->group->held)
        return false;
    candidate_raw(c, raw);
    if (!ahead_find(s, c->group, raw, c->question, c->again ? &c->asked : NULL, &hit))
        return false;
    struct lookup *l = take_lookup(s, c);
    if (!l) {
        ahead_count(s->engine, hit.batch, AHEAD_STALE, hit.first);
        return false;
    }
    order_append(s, l);
    c->loads = hit.own ? (uint32_t)hit.batch->ahead.number - 1 : c->loads;
    note_question(c);
    ahead_step(s, c->group, raw, c->again);
    ahead_give(&hit, l);
    ahead_refill(s, &hit, c->question, c->bytes, c->unit->size);
    return true;
}

// Sends the lookup at once if its transaction shares nothing, so that no other lookup can join it; or if it
// may belong to a loop for which the catalogue is to be asked.
static void send_on(struct session *s, bool apart) {
    struct lookup *l = s->order.last;
    bool waits = l && l->state == LOOKUP_WAITING && l == s->order.first;
    bool follows = waits && (apart || l->group->state == GROUP_NEW);
    bool list = follows && children_is_list(s, l->shape, l->tags);
    if (follows)
        (void)ahead_follow(s, l, apart, list);
    if (list)
        children_follow(s, l);
    if (apart && s->order.last && s->order.last->state == LOOKUP_WAITING)
        engine_run_lookup(s->order.last);
}

// Only the BEGIN of its transaction is under way before it. Is an answer held that may be given when that is
// answered? Else the unit is sent as it is, and f->behind says of whom.
static bool is_held_behind_begin(struct candidate *c) {
    struct session *s = c->s;
    struct slice raw[KEY_MAX_PARTS];
    struct feed *f = c->f;
    if (s->cancel.held || s->identity.state != IDENTITY_PROVEN || c->unit->max_rows ||
        candidate_judge_group(c) != REASON_NONE)
        return false;
    candidate_raw(c, raw);
    if (ahead_holds(s, c->group, raw))
        return true;
    behind_free(f->behind);
    uint64_t question = question_hash(c);
    f->behind = behind_create(s, c->group, raw, question, c->bytes, c->unit->size);
    if (!f->behind)
        return false;
    f->behind->again = asked_find(&s->asked, question, &c->asked);
    f->behind->settled = recent_has(&s->recent, c->shape->family, c->group->id);
    return false;
}

static bool is_behind_begin(const struct session *s) {
    return s->n_forward == 1 && !s->order.n && !session_only_forwards(s) && behind_begin(owed_last(s));
}

bool lookup_is_held_behind_begin(struct feed *f, const struct unit *u) {
    struct candidate c = {.f = f, .s = f->s, .bytes = f->bytes + f->at, .unit = u};
    if (!is_behind_begin(f->s) || candidate_shape(&c) != REASON_NONE)
        return false;
    if (is_held_behind_begin(&c))
        return true;
    if (c.group_id)
        recent_note(&f->s->recent, c.shape->family, c.group_id);
    return false;
}

// Another unit is under way before it.
static enum take take_behind_another(struct candidate *c) {
    struct session *s = c->s;
    if (!is_behind_begin(s)) {
        ahead_drop(s); // its answer will be newer than what is held ahead
        return TAKE_FORWARD;
    }
    if (!is_held_behind_begin(c))
        return TAKE_FORWARD;
    hold_for_lookups(s);
    return TAKE_WAIT;
}

// Decides about a candidate that was judged: *why is the judgement.
static enum take take_candidate(struct candidate *c, enum reason *why) {
    struct session *s = c->s;
    if (s->txn == 'T')
        apart_came_inside(s);
    // A transaction of an unproven session: the next one is to find the session proven.
    if ((*why == REASON_TRANSACTION || *why == REASON_ISOLATION) && candidate_wants_proof(c))
        s->wants_proof = true;
    if (*why == REASON_BEHIND_FORWARD)
        return take_behind_another(c);
    if (*why != REASON_NONE)
        return TAKE_FORWARD;
    if (!s->cancel.held && take_held(s, c))
        return TAKE_TAKEN;
    if (!s->cancel.held && await_begin(s, c->shape, c->group))
        return TAKE_WAIT;
    struct group *elsewhere = NULL;
    bool never = s->cancel.held && s->txn == 'I'; // the cancel request answers it at once: it never runs
    bool may = never || candidate_may_run_alone(c->f, c, &elsewhere);
    if (!may && elsewhere && !s->cancel.held && await_read(s, c->shape, elsewhere))
        return TAKE_WAIT;
    await_is_over(s);
    if (!may) {
        *why = REASON_NOT_VETTED;
        return TAKE_FORWARD;
    }
    if (s->order.n >= session_max_lookups(s)) {
        hold_until_room(s);
        return TAKE_WAIT;
    }
    if (!candidate_accept(s, c)) {
        *why = REASON_MEMORY;
        return TAKE_FORWARD;
    }
    note_question(c);
    send_on(s, c->apart);
    return TAKE_TAKEN;
}

// Mode observe: it is forwarded.
static void observe(struct candidate *c) {
    struct session *s = c->s;
    struct slice raw[KEY_MAX_PARTS];
    if (s->engine->limits.dry) {
        s->wants_proof |= candidate_wants_proof(c);
        candidate_raw(c, raw);
        dry_take(c, raw);
        recent_note(&s->recent, c->shape->family, c->group_id);
        c->noted = true; // what it asks is noted when it has been sent
        return;
    }
    s->engine->counters.lookups++;
    s->engine->counters.would_fold += c->group->in_flight > 0;
    reads_observe(s, c->group);
}

enum take lookup_take(struct feed *f, const struct unit *u, bool simple, enum reason *why) {
    struct session *s = f->s;
    struct candidate c = {.f = f, .s = s, .bytes = f->bytes + f->at, .unit = u, .simple = simple};
    reads_end_observed(s);
    *why = candidate_judge(&c);
    bool reads = c.shape && c.shape->parsed->kind == STATEMENT_READ;
    c.question = reads ? question_hash(&c) : 0;
    c.again = reads && asked_find(&s->asked, c.question, &c.asked);
    c.loads = (uint32_t)s->engine->aheads.loads;
    if (*why == REASON_OBSERVE)
        observe(&c);
    enum take taken = take_candidate(&c, why);
    if (taken != TAKE_WAIT)
        note_question(&c);
    return taken;
}
