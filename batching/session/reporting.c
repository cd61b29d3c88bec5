// SPDX-License-Identifier: PostgreSQL
#include "batching/session/reporting.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/source.h"
#include "batching/base/hash.h"
#include "batching/fold/batch.h"
#include "batching/report/evidence.h"
#include "batching/report/report.h"
#include "batching/report/runs.h"
#include "batching/session/engine.h"
#include "batching/session/statements.h"
#include "batching/statement/shape.h"
#include "batching/trust/vet.h"
#include "batching/trust/writes.h"
#include "protocol/startup.h"

static size_t bytes_of(const char *text) {
    return text ? strlen(text) + 1 + MEMORY_BLOCK : 0;
}

static void weigh(struct session *s) {
    struct reporting *r = &s->report;
    account_set(&s->memory, &r->weighs,
                bytes_of(r->setting) + bytes_of(r->initial) + (r->runs ? sizeof *r->runs + MEMORY_BLOCK : 0));
}

void reporting_set_application(struct session *s, struct slice name) {
    struct reporting *r = &s->report;
    size_t len = name.len < sizeof r->application ? name.len : sizeof r->application - 1;
    memcpy(r->application, name.data, len);
    r->application[len] = 0;
    r->named = TAGS_NONE;
}

void reporting_begin(struct session *s, struct slice startup_params) {
    struct startup start = {.params = startup_params};
    struct slice name, value;
    char room[2048];
    if (startup_setting(&start, "pgfold.tags", room, sizeof room, &value))
        reporting_set_tags(s, value);
    s->report.initial = s->report.setting ? strdup(s->report.setting) : NULL;
    weigh(s);
    if (startup_param(&start, "application_name", &name))
        reporting_set_application(s, name);
}

static struct runs *runs(struct session *s) {
    struct reporting *r = &s->report;
    if (!r->runs) {
        r->runs = calloc(1, sizeof *r->runs);
        weigh(s);
    }
    return r->runs;
}

void reporting_finish(struct session *s) {
    free(s->report.runs);
    s->report.runs = NULL;
    free(s->report.setting);
    free(s->report.initial);
    s->report.setting = s->report.initial = NULL;
    weigh(s);
}

void reporting_asks(struct session *s, uint64_t question) {
    s->report.question = question;
}

uint64_t reporting_take_question(struct session *s) {
    uint64_t question = s->report.question;
    s->report.question = 0;
    return question;
}

// ---- tags

#define LONGEST_SETTING 4096 // a longer one is not told again

void reporting_set_tags(struct session *s, struct slice value) {
    struct reporting *r = &s->report;
    free(r->setting);
    r->setting =
        value.len && value.len <= LONGEST_SETTING ? strndup((const char *)value.data, value.len) : NULL;
    weigh(s);
    r->set = tags_set(&s->engine->report.tags, value);
}

void reporting_reset_tags(struct session *s) {
    const char *initial = s->report.initial;
    reporting_set_tags(s, (struct slice){(const uint8_t *)initial, initial ? strlen(initial) : 0});
}

struct slice reporting_tags(const struct session *s) {
    const char *text = s->report.setting ? s->report.setting : "";
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

// Reads comments that were not seen lately.
static uint16_t read_tags(struct session *s, struct shape *shape, struct slice text, uint64_t digest) {
    struct report_tables *r = &s->engine->report;
    bool added = false;
    uint16_t number;
    if (tags_known(&r->tags, digest, &number))
        return number;
    number = tags_read(&r->tags, text, digest, shape && shape->n_tags < r->loop_tags, &added);
    if (shape)
        shape->n_tags = (uint8_t)(shape->n_tags + added);
    return number;
}

void reporting_text(struct session *s, struct shape *shape, struct slice text) {
    struct reporting *r = &s->report;
    struct slice comments[2];
    r->text = r->statement = TAGS_NONE;
    if (!tags_comments(text, comments))
        return;
    uint64_t digest = tags_digest(&s->engine->report.tags, comments);
    if (digest != r->digest)
        r->read = read_tags(s, shape_meaning(shape), text, digest);
    r->digest = r->read == TAGS_OTHER ? 0 : digest;
    r->text = r->read;
}

void reporting_runs(struct session *s, const struct statement *st) {
    s->report.text = TAGS_NONE;
    s->report.statement = st ? st->tags : TAGS_NONE;
}

static uint16_t application_tags(struct session *s) {
    struct reporting *r = &s->report;
    struct slice name = {(const uint8_t *)r->application, strlen(r->application)};
    if (!r->named && name.len)
        r->named = tags_of(&s->engine->report.tags, "application_name", name);
    return r->named;
}

uint16_t reporting_take_tags(struct session *s) {
    struct reporting *r = &s->report;
    uint16_t tags = r->text ? r->text : r->set ? r->set : r->statement ? r->statement : application_tags(s);
    r->text = r->statement = TAGS_NONE;
    return tags;
}

// ---- which loop

static uint64_t database_of(const struct session *s) {
    return XXH3_64bits(s->database->name, s->database->len);
}

static struct loop_about about(const struct session *s, const struct shape *child) {
    return (struct loop_about){
        .names = &s->engine->report.names,
        .database = database_of(s),
        .database_name = {s->database->name, s->database->len},
        .application = {(const uint8_t *)s->report.application, strlen(s->report.application)},
        .child = child};
}

static uint64_t key_of(const struct loop_about *a, const uint64_t *origins) {
    uint64_t place[2 + KEY_MAX_PARTS] = {a->database, a->child->alike.hash};
    memcpy(place + 2, origins, KEY_MAX_PARTS * sizeof *origins);
    return XXH3_64bits(place, sizeof place) | 1;
}

// The shape with this digest, of those that are remembered. It is looked for when a loop is new.
static const struct shape *shape_with(const struct engine *e, uint64_t digest) {
    const struct shape *s = digest ? e->shapes.newest : NULL;
    while (s && shape_digest(s) != digest)
        s = s->older;
    return s;
}

static const struct shape *list_shape(const struct engine *e, const struct trail_columns *c) {
    return shape_with(e, c->text ? c->text : c->loaded ? c->shape : 0);
}

static void enter(struct session *s, struct run *run, struct loop_about *a, const uint64_t *origins) {
    struct loops *l = &s->engine->report.loops;
    struct loop_place p;
    a->key = key_of(a, origins);
    if (run->unlisted)
        return;
    const struct loop *known = loops_find(l, a->key, &p) ? loops_at(l, &p) : NULL;
    if (a->list && (!known || !known->vetted))
        a->list_shape = list_shape(s->engine, a->list);
    if (known)
        loops_renew(l, &p, a);
    if (known || loops_add(l, a, run->unlisted, &p))
        run_belongs(run, l, &p);
    else
        run->unlisted = true;
}

// The run is one of the loop over this list.
static void prove(struct session *s, const struct group *g, const struct guess *w, struct run *run) {
    uint64_t origins[KEY_MAX_PARTS];
    struct loop_about a = about(s, g->shape);
    a.group = g;
    a.list = &w->result->columns;
    a.columns = w->columns;
    place_origins(w, g->n_parts, origins);
    enter(s, run, &a, origins);
    run->proven = true;
    run->trail = w->trail->serial;
    run->top = !a.list->loaded && !a.list->keyed;
}

static uint64_t list_number(const struct guess *w) {
    return ((uint64_t)(uintptr_t)w->trail << 16) ^ w->result->serial;
}

static bool find_again(struct run *run, const struct guess *w, uint64_t question) {
    return run_found(run, list_number(w), w->columns[w->lead], question);
}

// The key was found there: a loop, if another one was before.
static void found_in(struct session *s, const struct group *g, uint64_t question, const struct guess *w,
                     struct run *run) {
    if (find_again(run, w, question))
        prove(s, g, w, run);
}

// The names are looked at once for each list.
static bool is_evident(const struct session *s, const struct group *g, const struct guess *w,
                       struct run *run) {
    uint64_t list = list_number(w);
    if (!evidence_is_due(w, g))
        return false;
    if (run->weighed != list)
        run->agrees = evidence_in_names(w, g, list_shape(s->engine, &w->result->columns),
                                        &s->engine->report.names, database_of(s));
    run->weighed = list;
    return run->agrees || evidence_in_values(w);
}

void reporting_found(struct session *s, const struct group *g, const struct key *keys, uint64_t question,
                     const struct guess *followed) {
    struct runs *r = followed->result ? runs(s) : NULL;
    if (!r)
        return;
    struct run *run = runs_of(r, g->shape->alike.hash);
    struct guess w;
    // No list has come since it was looked for.
    if (run->proven && run->trail == followed->trail->serial &&
        loops_at(&s->engine->report.loops, &run->loop))
        return;
    if (source_find(followed->trail, g, keys, &w)) {
        found_in(s, g, question, &w, run);
    } else if (is_evident(s, g, followed, run)) {
        (void)find_again(run, followed, question);
        prove(s, g, followed, run);
    }
}

void reporting_piped(struct session *s, const struct group *g, const struct key *keys, uint64_t question) {
    struct runs *r = s->ahead ? runs(s) : NULL;
    struct guess w;
    if (r && source_find(&s->ahead->trail, g, keys, &w))
        found_in(s, g, question, &w, runs_of(r, g->shape->alike.hash));
}

static void enter_candidate(struct session *s, struct run *run, const struct shape *shape) {
    static const uint64_t none[KEY_MAX_PARTS];
    struct loop_about a = about(s, shape);
    enter(s, run, &a, none);
}

// ---- what is asked

static bool is_lookup(const struct answered *a, const struct shape *shape) {
    return shape && a->kind == STATEMENT_READ && shape->reason == REASON_NONE && shape->parsed->n_keys;
}

static struct loop_counts counts_of(const struct answered *a, const struct shape *shape) {
    uint64_t took = a->answered > a->asked ? a->answered - a->asked : 0;
    bool sent = a->would == OUTCOME_ALONE || a->would == OUTCOME_FORWARDED;
    bool ran = a->outcome == OUTCOME_ALONE || a->outcome == OUTCOME_FORWARDED;
    uint64_t one = shape->figures.one ? shape->figures.one : shape->guard.lone;
    return (struct loop_counts){.asked = 1,
                                .sent = sent,
                                .waited = took,
                                .alone = ran || !one ? took : one,
                                .with_list = a->with_list};
}

static void count_tags(struct tag_set *t, const struct answered *a, bool lookup) {
    t->statements++;
    t->lookups += lookup;
    t->sent += a->would == OUTCOME_ALONE || a->would == OUTCOME_FORWARDED;
    t->waited += a->answered > a->asked ? a->answered - a->asked : 0;
}

void reporting_answered(struct session *s, const struct answered *a) {
    const struct shape *shape = shape_meaning(a->shape);
    bool lookup = is_lookup(a, shape);
    struct runs *r = lookup ? runs(s) : s->report.runs;
    struct tag_set *tags = tags_at(&s->engine->report.tags, a->tags);
    if (tags)
        count_tags(tags, a, lookup);
    if (!r)
        return;
    runs_asked(r, a->asked);
    r->last = a->answered;
    r->answers++;
    if (tags)
        runs_tagged(r, tags->page);
    if (!lookup)
        return;
    struct run *run = runs_of(r, shape->alike.hash);
    struct loop_counts c = counts_of(a, shape);
    run->tags = a->tags;
    run_count(run, a->question, &c);
    if (!run->loop.key && run->n_keys >= REPORT_REPEATS)
        enter_candidate(s, run, shape);
    if (run->loop.key)
        run_give(run, &s->engine->report.loops, a->answered);
    struct loop *loop = loops_at(&s->engine->report.loops, &run->loop);
    if (loop)
        loop_tagged(loop, a->tags, s->engine->report.loop_tags);
}

bool reporting_refused(struct session *s, const struct shape *shape, const struct group *g,
                       const struct key *keys, struct trail *t) {
    static const struct loop_counts asked = {.asked = 1};
    struct report_tables *all = &s->engine->report;
    struct runs *r = runs(s);
    struct guess w;
    if (!r || (t && !source_find(t, g, keys, &w)))
        return false;
    struct run *run = runs_of(r, shape->alike.hash);
    if (t)
        (void)find_again(run, &w, 0); // the test has seen another key of the list
    if (t)
        prove(s, g, &w, run);
    else if (!run->loop.key)
        enter_candidate(s, run, shape);
    run->tags = reporting_take_tags(s);
    run_count(run, 0, &asked);
    run_give(run, &all->loops, s->engine->now);
    struct loop *loop = loops_at(&all->loops, &run->loop);
    if (loop)
        loop_tagged(loop, run->tags, all->loop_tags);
    return true;
}

void reporting_sent(struct session *s, const struct shape *shape) {
    struct runs *r = runs(s);
    if (r)
        runs_of(r, shape->alike.hash)->pending.sent++;
}

void reporting_batch(const struct batch *b) {
    if (b->ahead.home || !b->sent)
        return;
    for (uint32_t i = 0; i < b->n_members; i++) {
        if (!b->members[i] || !b->members[i]->session)
            continue;
        reporting_sent(b->members[i]->session, b->group->shape);
        return;
    }
}

// ---- lists

void reporting_read(struct session *s, struct trail_columns *c, const struct shape *text, uint64_t question) {
    struct runs *r = runs(s);
    c->keyed = text->reason == REASON_NONE && text->parsed->n_keys;
    if (r && (question || !c->keyed)) // else it is not known whether it is the same again
        runs_read(r, text->alike.hash + (c->keyed ? question : 0));
}

void reporting_described(struct session *s, const struct trail_columns *c, const uint8_t *body, size_t len) {
    naming_of_result(&s->engine->report.names, database_of(s), c, body, len);
}

void reporting_vetted(struct session *s, struct vet_result *r) {
    naming_of_links(&s->engine->report.names, database_of(s), r);
    vet_names_forget(r);
}
