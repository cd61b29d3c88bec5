// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/reads.h"

#include "batching/flow/own_queries.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/session/changes.h"
#include "batching/session/cursors.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/learn.h"
#include "batching/session/session.h"
#include "batching/session/txn.h"
#include "batching/session/vouch.h"
#include "batching/statement/cursor.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "batching/talk/classify.h"
#include "batching/talk/effects.h"
#include "batching/talk/feed.h"
#include "batching/trust/identity.h"
#include "protocol/message.h"

void reads_pin_group(struct owed *o, struct group *g) {
    o->of.group = g;
    group_pin(g);
}

void reads_observe(struct session *s, struct group *g) {
    reads_end_observed(s);
    s->observed = g;
    group_pin(g);
}

void reads_end_observed(struct session *s) {
    if (s->observed)
        group_unpin(s->observed);
    s->observed = NULL;
    dry_drop(s);
}

static bool group_is_current(const struct engine *e, const struct group *g) {
    return g->generation == e->generation;
}

void reads_refresh_group(struct engine *e, struct group *g) {
    bool old = e->now - g->vetted_at > e->limits.vet_max_age;
    if ((g->state == GROUP_READY || g->state == GROUP_REFUSED) && (old || !group_is_current(e, g))) {
        group_forget(g);
        g->aged = true;
    }
    uint64_t max_age = e->limits.vet_max_age;
    group_inherit(&e->groups, g, e->now > max_age ? e->now - max_age : 0, e->generation);
}

bool reads_can_judge(const struct session *s) {
    return s->identity.state == IDENTITY_PROVEN || s->identity.state == IDENTITY_PROVING;
}

// At most so many questions about the reads of one unit. If the cache of groups is small, the verdicts evict
// each other while the unit waits; without this limit it would be looked at from its beginning for ever.
#define UNIT_VETS 24

// A SELECT of constants has nothing whose meaning only the catalogue knows.
static bool reads_constants(const struct parsed *p) {
    return !p->n_relations && !p->n_functions && !p->n_operators && !p->foreign_types &&
           p->reason == REASON_NO_TABLE;
}

// In mode observe a lookup counts as one of mode fold: it does not leave a session in doubt that nobody has proven, and is not
// asked about where it may be folded.
bool reads_take_for_plain(const struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    const struct dry *d = l->dry ? dry_at_hand(s) : NULL;
    unsigned piped = l->dry ? dry_piped(s) : DRY_NOTHING;
    bool folds = piped == DRY_PIPELINE || (d && (!d->lookup || d->lookup->group->state == GROUP_READY));
    return l->observe && (!l->dry || folds || ((d || piped) && !reads_can_judge(s)));
}

enum read_effect reads_effect(struct feed *f, struct shape *shape, struct group **vetting) {
    struct session *s = f->s;
    struct engine *e = s->engine;
    const struct parsed *p = shape->parsed;
    if (reads_constants(p) || reads_take_for_plain(s))
        return READ_PLAIN;
    if (!reads_can_judge(s) || p->reason == REASON_CONSTRUCT || session_meaning_is_pending(s))
        return READ_DOUBTFUL;
    struct group *g = session_read_group(s, shape);
    if (!g)
        return READ_DOUBTFUL;
    reads_refresh_group(e, g);
    if (g->state == GROUP_NEW && e->limits.dry && s->txn != 'I') {
        dry_want(e, g);
        return READ_PLAIN;
    }
    if (g->state == GROUP_NEW && !f->asks_no_more && s->unit_vets < UNIT_VETS) {
        feed_to_server(f, true);
        s->unit_vets++;
        session_start_vet(s, g);
    }
    *vetting = g;
    return g->state == GROUP_READY     ? READ_PLAIN
           : g->state == GROUP_VETTING ? READ_BEING_VETTED
                                       : READ_DOUBTFUL;
}

// ---- Query messages

struct read_judgement reads_judge_query(struct feed *f, enum statement_kind kind, struct shape *shape) {
    struct read_judgement n = {.effect = READ_PLAIN};
    if (kind != STATEMENT_READ || !shape)
        return n;
    n.effect = reads_effect(f, shape, &n.vetting);
    n.may_write = n.effect != READ_PLAIN && session_read_may_write(f->s, shape->parsed);
    return n;
}

void reads_note_judged(struct session *s, struct owed *o, const struct read_judgement *n) {
    bool again = n->effect == READ_BEING_VETTED && o->of.group == n->vetting;
    bool second = n->effect == READ_BEING_VETTED && o->of.group && !again;
    trust_note_run(s);
    if (n->effect == READ_DOUBTFUL || second)
        effect_doubt(s);
    else if (n->effect == READ_BEING_VETTED && !again)
        reads_pin_group(o, n->vetting);
    if (second || (n->effect != READ_PLAIN && n->may_write))
        session_note_write(s, NULL);
}

struct read_judgement reads_judge_cursor(struct feed *f, struct slice text) {
    struct statement_class *c = &f->query;
    struct read_judgement n = {.effect = READ_PLAIN};
    struct shape *select = session_cursor_select(f->s, &c->cursor, false);
    if (select)
        n.effect = reads_effect(f, select, &n.vetting);
    if (c->cursor.verb == CURSOR_CLOSE || (select && n.effect != READ_DOUBTFUL)) {
        c->kind = STATEMENT_READ;
        session_note_cursor(f->s, &c->cursor, select);
        return n;
    }
    classify_verbatim(f->s, text, c);
    return (struct read_judgement){.effect = READ_PLAIN};
}

// ---- Execute

// Judges a SELECT in a unit that is open, where the catalogue cannot be asked in front of it any more. If the
// question was asked when the unit began (talk/front.c), the read group knows.
static struct read_judgement bound_read(struct session *s, struct shape *shape) {
    struct engine *e = s->engine;
    struct read_judgement n = {.effect = READ_PLAIN};
    if (reads_constants(shape->parsed) || reads_take_for_plain(s))
        return n;
    n.effect = READ_DOUBTFUL;
    n.may_write = session_read_may_write(s, shape->parsed);
    if (!reads_can_judge(s) || session_meaning_is_pending(s))
        return n;
    struct group *g = session_read_group(s, shape);
    bool unasked = g && g->state == GROUP_NEW && e->limits.dry && s->txn != 'I';
    if (unasked || (g && group_is_current(e, g) && g->state == GROUP_READY))
        n.effect = READ_PLAIN;
    else if (g && g->state == GROUP_VETTING)
        n = (struct read_judgement){READ_BEING_VETTED, g, n.may_write};
    return n;
}

void reads_note_execute(struct session *s, struct owed *o, struct shape *shape) {
    struct read_judgement n = bound_read(s, shape);
    o->reads = o->forward.selects = true;
    effect_note_statement(s, o, STATEMENT_READ, shape, NULL, false);
    reads_note_judged(s, o, &n);
}

bool reads_note_execute_cursor(struct session *s, struct owed *o, const struct shape *shape) {
    struct cursor_statement c;
    struct read_judgement n = {.effect = READ_PLAIN};
    cursor_read(shape->text, shape->text_len, &c);
    struct shape *select = o->forward.begins ? NULL : session_cursor_select(s, &c, true);
    if (select)
        n = bound_read(s, select);
    if (c.verb != CURSOR_CLOSE && (!select || n.effect == READ_DOUBTFUL))
        return false;
    o->reads = true;
    session_note_cursor(s, &c, select);
    reads_note_judged(s, o, &n);
    return true;
}
