// SPDX-License-Identifier: PostgreSQL
#include "batching/session/record.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/ahead.h"
#include "batching/ahead/pace.h"
#include "batching/ahead/predict.h"
#include "batching/ahead/recorder.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/behind.h"
#include "batching/session/bounds.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/reporting.h"
#include "batching/session/session.h"
#include "batching/session/sent.h"
#include "batching/session/statements.h"
#include "batching/session/watched.h"
#include "batching/statement/rewrite.h"
#include "protocol/frame.h"
#include "protocol/message.h"

#define UNFOLLOWED   32 // results of a statement in a row that no lookup has followed: more are seldom kept
#define NOW_AND_THEN 8  // one of so many is kept then

// Results of lookups are many, and no lookup follows most of them. So the results of a statement that none
// has followed for long are recorded only now and then.
static bool is_worth_recording(struct engine *e, struct ahead *a, uint64_t source) {
    uint8_t *n = &e->aheads.unfollowed[source % AHEAD_SOURCES];
    *n = *n == UINT8_MAX ? UNFOLLOWED : (uint8_t)(*n + 1);
    if (*n <= UNFOLLOWED)
        return true;
    if (*n % NOW_AND_THEN)
        return false;
    if (a)
        trail_drop_unfollowed(&a->trail, source); // one result of the statement is enough
    return true;
}

static void answers_of(struct trail_columns *c, const struct shape *shape) {
    c->shape = shape_digest(shape);
    c->family = shape->family;
}

// ---- what was loaded ahead

static void record_key(struct trail *t, struct batch *b, uint32_t key, uint32_t *row) {
    b->key_rows[key].listed = *row;
    *row += b->key_rows[key].n_rows;
    for (uint32_t at = b->key_rows[key].first_row; at; at = b->rows[at - 1].next)
        trail_row(t, b->data.data + b->rows[at - 1].at + FRAME_HEADER, b->rows[at - 1].len - FRAME_HEADER);
}

// What was asked for until now has been given, or is given now.
static void note_given(struct trail *t, const struct batch *b, uint64_t source) {
    uint32_t loaded = b->n_keys - b->ahead.asked, n_answers = 0;
    for (uint32_t key = 0; key < b->n_keys; key++)
        n_answers += b->key_rows[key].n_rows > 0;
    trail_hold_back(t, b->ahead.list, source, n_answers);
    for (uint32_t key = 0; key < b->n_keys; key++)
        if (key >= loaded || b->ahead.used[key])
            trail_note_given(t, b->ahead.list, b->key_rows[key].listed, b->key_rows[key].n_rows);
}

// The reply, or what was read of it, has ended. Returns the serial of its result; 0: there is none.
static uint64_t end(struct ahead *a) {
    struct trail_result *r = trail_take_one(&a->trail);
    trail_end(&a->trail);
    if (r)
        followers_read(&a->engine->followers, &a->trail, r);
    return r ? r->serial : 0;
}

// Were batches sent that find their keys in the rows of this parent? They need to know of a single one, too.
static bool is_waited_for(const struct ahead *a, uint64_t parent) {
    for (const struct batch *o = a->loading; o; o = o->ahead.next)
        if (o->derived && !o->derived->filled && o->derived->parent == parent)
            return true;
    return false;
}

// Batches that find their keys in this one's rows run behind it.
static uint64_t loads_before(const struct ahead *a, const struct batch *b) {
    for (const struct batch *o = a->loading; o; o = o->ahead.next)
        if (o->derived && o->derived->parent == b->ahead.number)
            return b->ahead.number;
    return a->engine->aheads.loads;
}

// The rows count as one result, as if they had come one after the other. Those of the lookup at hand come
// first, since the loop may go on in them. The client has read it when it was given some of it. What was sent with a burst is for
// many clients.
void ahead_record(struct ahead *a, struct batch *b) {
    const struct group *g = b->group;
    struct trail_columns c;
    if (b->ahead.burst || trail_is_recording(&a->trail) ||
        !trail_columns_read(&c, g->row_description.data, g->row_description.len) ||
        !is_worth_recording(a->engine, a, c.source))
        return;
    trail_columns_format(&c, g->n_formats, g->formats);
    answers_of(&c, g->shape);
    c.at = a->engine->now;
    c.loads = loads_before(a, b);
    c.loaded = true;
    c.unread = !b->ahead.n_served && !b->ahead.asked;
    uint64_t before = a->trail.serial;
    trail_begin(&a->trail, &c);
    if (is_waited_for(a, b->ahead.number))
        trail_keep_one(&a->trail);
    uint32_t loaded = b->n_keys - b->ahead.asked;
    uint32_t row = 0;
    if (b->ahead.asked)
        record_key(&a->trail, b, loaded, &row);
    for (uint32_t key = 0; key < loaded; key++)
        record_key(&a->trail, b, key, &row);
    (void)end(a);
    b->ahead.list = a->trail.serial != before ? a->trail.serial : 0;
    if (b->ahead.list)
        note_given(&a->trail, b, c.source);
    b->ahead.recorded = c.unread && a->trail.serial != before ? a->trail.serial : 0;
}

static void unlink_loading(struct ahead *a, struct batch *b) {
    struct batch **at = &a->loading;
    while (*at != b)
        at = &(*at)->ahead.next;
    *at = b->ahead.next;
}

void ahead_ended(struct engine *e, struct batch *b) {
    struct ahead *a = b->ahead.home;
    struct association *association = ahead_association(b);
    unlink_loading(a, b);
    if (association && b->failed)
        association->useful = false;
    if (association && !b->failed && !b->parse && !b->derived)
        association_loaded(association, e->now - b->started, b->group->shape->guard.lone, b->n_keys);
    if (b->derived)
        ahead_count(e, b, AHEAD_UNUSED, batch_drop_uncovered(b));
    if (!a->session || !ahead_is_current(a, b) || !b->n_keys) {
        ahead_give_up(a, b, true);
        return;
    }
    if (b->n_members) // the lookups that waited for it have been answered now
        a->last_answer = e->aheads.last_answer = e->now;
    b->ahead.ended = true;
    b->ahead.bytes = batch_bytes(b);
    b->ahead.next = a->held;
    a->held = b;
    a->held_bytes += b->ahead.bytes;
    ahead_record(a, b);
    ahead_charge(a);
    ahead_trim(a, e->limits.ahead_memory);
}

void ahead_answered(struct session *s) {
    s->last_answer = s->engine->now;
    if (s->ahead)
        s->ahead->last_answer = s->engine->aheads.last_answer = s->engine->now;
}

// ---- what the client is told

static bool keeps_trail(struct session *s) {
    return s->engine->limits.lookahead != LOOKAHEAD_OFF || session_is_watched(s);
}

static uint64_t source_of(struct group *g) {
    struct trail_columns c;
    if (!g->source && trail_columns_read(&c, g->row_description.data, g->row_description.len))
        g->source = c.source;
    return g->source;
}

bool ahead_may_record(struct session *s, const struct lookup *l) {
    struct group *g = l->counted ? l->group : NULL; // of one that is not counted the group may be freed
    if (!keeps_trail(s) || l->pipeline)
        return false;
    if (session_is_watched(s))
        return true;
    if (!g || g->state != GROUP_READY)
        return true;
    return g->form != FORM_IN && source_of(g) && is_worth_recording(s->engine, s->ahead, g->source);
}

void ahead_note_columns(struct session *s, struct statement *st, const uint8_t *body, size_t len) {
    if (!keeps_trail(s) || st->columns)
        return;
    struct trail_columns c;
    if (!trail_columns_read(&c, body, len))
        return;
    reporting_described(s, &c, body, len);
    st->columns = malloc(trail_columns_size(&c));
    if (st->columns)
        memcpy(st->columns, &c, trail_columns_size(&c));
}

static bool is_recorded(struct session *s, const struct owed *o) {
    return o && o->reads && keeps_trail(s) && !s->client_gone;
}

// A lookup's answer in mode observe is recorded as it would have been in mode fold: with the batch's, if it would have come from
// one (d->list). False: not at all.
static bool begin_dry(struct session *s, const struct dry *d, struct trail_columns *c) {
    struct group *g = d->lookup ? d->lookup->group : NULL;
    answers_of(c, d->shape);
    c->batch = d->list;
    c->loaded = d->list != 0;
    c->loads = d->list ? d->list : c->loads;
    return d->list || !g || g->state != GROUP_READY || session_is_watched(s) ||
           (g->form != FORM_IN && is_worth_recording(s->engine, s->ahead, c->source));
}

static void begin(struct session *s, const struct owed *o, struct trail_columns *c) {
    struct ahead *a = ahead_of(s);
    c->at = s->engine->now;
    c->loads = a ? ahead_loads_before(a) : s->engine->aheads.loads;
    if (o->kind == OWED_FORWARD && o->dry && !begin_dry(s, o->dry, c))
        return;
    if (o->kind == OWED_LOOKUP)
        answers_of(c, o->of.lookup->shape);
    else if (o->kind == OWED_FORWARD && o->forward.behind)
        answers_of(c, o->forward.behind->group->shape);
    struct shape *text = o->kind == OWED_LOOKUP ? o->of.lookup->shape : sent_first(s, o);
    if (text) {
        watched_note_list(s, text);
        c->text = shape_digest(text);
        c->list = shape_digest(shape_meaning(text));
        c->tags = o->kind == OWED_LOOKUP ? o->of.lookup->tags : sent_tags(s, o);
    }
    if (text)
        reporting_read(s, c, text, o->kind == OWED_LOOKUP ? o->of.lookup->question : sent_question(s, o));
    if (a && c->batch)
        trail_begin_again(&a->trail, c);
    else if (a)
        trail_begin(&a->trail, c);
    if (a && is_waited_for(a, 0))
        trail_keep_one(&a->trail);
}

// Begins a result of a statement that was described before: this reply does not describe its columns.
static void begin_bound(struct session *s, const struct owed *o) {
    const struct lookup *l = o->kind == OWED_FORWARD ? NULL : o->of.lookup;
    const struct statement *st = l ? l->statement : o->forward.bound;
    struct trail_columns c;
    if (!st || !st->columns || (l && !l->counted))
        return;
    memcpy(&c, st->columns, trail_columns_size(st->columns));
    if (l)
        trail_columns_format(&c, l->group->n_formats, l->group->formats);
    else
        row_formats_apply(&o->forward.formats, &c);
    if (c.n || c.n_arrays)
        begin(s, o, &c);
}

#define LONGEST        8192  // bytes of a row that is recorded,
#define LONGEST_ARRAYS 65536 // and of one with arrays

bool ahead_wants(struct session *s, const struct owed *o, const struct frame *f) {
    bool on = (s->ahead && s->ahead->trail.recorder.on) || (o && o->forward.resumes);
    bool arrays = s->ahead && s->ahead->trail.recorder.columns.n_arrays;
    return on && f->type == B_DATA_ROW && f->size <= (arrays ? LONGEST_ARRAYS : LONGEST) && is_recorded(s, o);
}

// Of what was read, or of its first rows.
static void end_list(struct session *s, const struct owed *o) {
    struct ahead *a = s->ahead;
    const struct trail_result *r = trail_take_one(&a->trail);
    uint64_t source = r ? followers_source(&r->columns) : 0, read = end(a);
    uint64_t asked = o->kind == OWED_LOOKUP ? o->of.lookup->asked : sent_asked(s, o);
    if (!read)
        return;
    a->read = read;
    if (asked)
        followers_took(&s->engine->followers, source, s->engine->now - asked);
}

// A lookup that runs as it was sent before its statement folds.
static void note_answer(struct session *s, const struct owed *o, const struct frame *f, bool whole) {
    const struct lookup *l = o->kind == OWED_LOOKUP ? o->of.lookup : NULL;
    if (!l || !l->counted || !s->ahead || !s->ahead->seconds.open)
        return;
    if (f->type == B_DATA_ROW && whole)
        second_note_row(&s->ahead->seconds, l->group, f->body, f->body_len);
    else if (f->type == B_COMMAND_COMPLETE)
        second_note_end(&s->ahead->seconds, l->group);
}

void ahead_reply(struct session *s, struct owed *o, const struct frame *f, bool whole) {
    struct trail_columns c;
    if (!is_recorded(s, o))
        return;
    note_answer(s, o, f, whole);
    if (f->type == B_DATA_ROW) {
        if (o->forward.resumes)
            begin_bound(s, o);
        o->forward.resumes = false;
        if (whole && s->ahead)
            trail_row(&s->ahead->trail, f->body, f->body_len);
        return;
    }
    if (f->type == B_ROW_DESCRIPTION && whole) {
        if (trail_columns_read(&c, f->body, f->body_len)) {
            reporting_described(s, &c, f->body, f->body_len);
            begin(s, o, &c);
        }
    } else if (f->type == B_BIND_COMPLETE) {
        begin_bound(s, o);
    } else if (s->ahead) {
        end_list(s, o);
        if (f->type == B_READY_FOR_QUERY) {
            ahead_use(s->ahead);
            ahead_charge(s->ahead);
            ahead_trim(s->ahead, s->engine->limits.ahead_memory);
        }
    }
}
