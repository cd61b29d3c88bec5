// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/pipeline_take.h"

#include "batching/base/memory.h"
#include "batching/base/reason.h"
#include "batching/flow/find.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/asking.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/hold.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/pipeline.h"
#include "batching/session/reporting.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/statement/parse.h"
#include "batching/statement/unit.h"
#include "batching/talk/dry_take.h"
#include "batching/talk/feed.h"
#include "batching/talk/lookup_take.h"
#include "batching/talk/question.h"

static unsigned count_parts(const uint8_t *bytes, size_t size) {
    struct unit part;
    unsigned n = 0;
    for (size_t at = 0; unit_part(bytes, size, &at, &part); n++)
        ;
    return n;
}

// Takes back the lookups that were accepted behind `last`, the newest first; the unit will be forwarded.
// `unnamed`: the client's unnamed statement before the unit; its reference goes back to the session.
static void undo(struct session *s, struct lookup *last, struct statement *unnamed) {
    while (s->order.last != last) {
        struct lookup *l = order_take_last(s);
        s->engine->counters.lookups--;
        lookup_detach_waiting(l);
        lookup_free(s->engine, l);
    }
    session_drop_unnamed(s);
    names_put_unnamed(s, unnamed);
}

// The unnamed statement must be the same one wherever the unit fails: either the first part prepares it, and
// the others prepare the same, or none does.
static bool keeps_unnamed(struct candidate *c, const struct pipeline *p) {
    if (c->values)
        return false; // another text for each part
    if (!p->n || !c->unit->has_parse)
        return true;
    c->statement = p->parts[0].statement;
    return p->parts[0].has_parse && c->shape == c->statement->shape;
}

// Looks for the list that the part's key comes from.
static void tell_report(const struct candidate *c) {
    struct slice raw[KEY_MAX_PARTS];
    struct key keys[KEY_MAX_PARTS];
    if (!c->group || c->group->state != GROUP_READY)
        return;
    candidate_raw(c, raw);
    if (group_read_key(c->group, raw, keys))
        reporting_piped(c->s, c->group, keys, question_hash(c));
}

// Was it sent with a burst? The unit must be all that is under way, so that the answers come in its order.
static bool is_held(struct candidate *c, uint64_t question) {
    struct session *s = c->s;
    struct slice raw[KEY_MAX_PARTS];
    if (!c->group->held || s->txn != 'I' || session_n_others(s))
        return false;
    candidate_raw(c, raw);
    bool again = asked_find(&s->asked, question, &c->asked);
    return ahead_holds_burst(s, c->group, raw, again ? &c->asked : NULL);
}

// Answers all lookups of the unit with what is held. False: with some it cannot.
static bool give_all(struct pipeline *p) {
    struct lookup *l = p->n_held == p->n ? p->first : NULL;
    bool all = l;
    for (unsigned i = 0; i < p->n && all; i++) {
        struct lookup *next = l->next;
        all = ahead_give_burst(l) && !p->whole;
        l = next;
    }
    return all;
}

// False: *why says why this part is no lookup.
static bool take_part(struct feed *f, struct candidate *c, struct pipeline *p, enum reason *why) {
    struct group *elsewhere = NULL;
    *why = candidate_judge(c);
    if (*why == REASON_NONE && c->apart)
        *why = REASON_TRANSACTION;
    if (*why == REASON_NONE && c->s->txn != 'I' && c->unit->max_rows)
        *why = REASON_ROW_LIMIT;
    bool reads = c->shape && c->shape->parsed->kind == STATEMENT_READ;
    uint64_t question = reads ? question_hash(c) : 0;
    p->n_held += *why == REASON_NONE && is_held(c, question);
    if (reads)
        session_note_question(c->s, question, (uint32_t)c->s->engine->aheads.loads);
    if (*why == REASON_NONE && !keeps_unnamed(c, p))
        *why = REASON_FRAMING;
    if (*why == REASON_NONE && !candidate_may_run_alone(f, c, &elsewhere))
        *why = REASON_NOT_VETTED;
    if (*why == REASON_NONE && !candidate_accept(c->s, c))
        *why = REASON_MEMORY;
    if (*why == REASON_NONE) {
        tell_report(c);
        pipeline_add(p, c->s->order.last);
    }
    return *why == REASON_NONE;
}

static bool take_parts(struct feed *f, const struct unit *u, struct pipeline *p, enum reason *why) {
    const uint8_t *bytes = f->bytes + f->at;
    struct unit part;
    for (size_t at = 0, from = 0; unit_part(bytes, u->size, &at, &part); from = at) {
        struct candidate c = {
            .f = f, .s = f->s, .bytes = bytes + from, .unit = &part, .whole = from ? 0 : u->size};
        if (!take_part(f, &c, p, why))
            return false;
    }
    return true;
}

// ---- mode observe

#define OBSERVED_KINDS 4

// Lookups of one group that stand in the pipeline at hand.
struct kind {
    struct group *group;
    unsigned n;
};

static bool count_kind(struct kind *kinds, unsigned *n, struct group *g) {
    struct kind *k = kinds;
    while (k < kinds + *n && k->group != g)
        k++;
    if (k == kinds + OBSERVED_KINDS)
        return false;
    if (k == kinds + *n) { // the next one's group may want its place
        group_pin(g);
        ++*n;
    }
    k->group = g;
    k->n++;
    return true;
}

// Counts the pipeline's lookups by their groups. Returns false when one of them is no lookup.
static bool judge_kinds(struct feed *f, const struct unit *u, struct kind *kinds, unsigned *n) {
    const uint8_t *bytes = f->bytes + f->at;
    struct unit part;
    for (size_t at = 0, from = 0; unit_part(bytes, u->size, &at, &part); from = at) {
        struct candidate c = {
            .f = f, .s = f->s, .bytes = bytes + from, .unit = &part, .whole = from ? 0 : u->size};
        bool limited = f->s->txn != 'I' && part.max_rows;
        if (candidate_judge(&c) != REASON_OBSERVE || c.apart || limited || c.values ||
            (part.has_parse && *n && kinds->group->shape != c.group->shape))
            return false;
        tell_report(&c);
        f->s->wants_proof |= candidate_wants_proof(&c);
        dry_prove(f->s);
        if (c.group->state == GROUP_NEW)
            dry_want(f->s->engine, c.group);
        if (c.group->state == GROUP_REFUSED || !count_kind(kinds, n, c.group))
            return false;
    }
    return true;
}

// Would all of them have gone in batches of several?
static void judge_whole(struct session *s, const struct kind *kinds, unsigned n) {
    unsigned most = s->engine->limits.max_keys, batches = 0, lookups = 0;
    dry_takes_lookups(s);
    for (unsigned i = 0; i < n; i++) {
        if (kinds[i].n < 2 || kinds[i].group->state != GROUP_READY)
            return;
        lookups += kinds[i].n;
        batches += (kinds[i].n + most - 1) / most;
    }
    dry_takes_pipeline(s, lookups, batches);
    for (unsigned i = 0; i < n; i++)
        for (unsigned sent = 0; sent < kinds[i].n; sent += most)
            reporting_sent(s, kinds[i].group->shape);
}

static void observe(struct feed *f, const struct unit *u) {
    struct kind kinds[OBSERVED_KINDS] = {0};
    unsigned n = 0;
    if (judge_kinds(f, u, kinds, &n))
        judge_whole(f->s, kinds, n);
    for (unsigned i = 0; i < n; i++)
        group_unpin(kinds[i].group);
}

enum take pipeline_take(struct feed *f, const struct unit *u, enum reason *why) {
    struct session *s = f->s;
    unsigned n = count_parts(f->bytes + f->at, u->size), max = session_max_lookups(s);
    struct lookup *last = s->order.last;
    struct statement *unnamed = s->names.unnamed;
    if (session_txn_reason(s) != REASON_NONE || s->n_forward || n < 2 || n > max || n > SESSION_MAX_PIPELINE)
        return TAKE_FORWARD;
    if (s->engine->limits.dry)
        observe(f, u);
    if (s->engine->limits.observe)
        return TAKE_FORWARD;
    if (s->order.n + n > max) {
        hold_until_room(s);
        return TAKE_WAIT;
    }
    size_t bytes = u->size + n * sizeof(struct lookup);
    if (session_queue_is_full(s, bytes)) {
        session_hold_back(s);
        return TAKE_WAIT;
    }
    if (account_is_full(&s->queue_memory, bytes)) {
        *why = REASON_MEMORY;
        return TAKE_FORWARD;
    }
    struct pipeline *p = pipeline_create(s, n);
    if (!p)
        return TAKE_FORWARD;
    if (unnamed)
        unnamed->refs++;
    bool taken = take_parts(f, u, p, why);
    if (taken) {
        if (last || !give_all(p))
            ahead_drop(s); // none of them is a loop's, and their answers will be newer
        statement_unref(unnamed);
    } else {
        undo(s, last, unnamed);
    }
    pipeline_unref(p);
    return taken ? TAKE_TAKEN : TAKE_FORWARD;
}
