// SPDX-License-Identifier: PostgreSQL
#include "batching/session/figures.h"

#include <string.h>

#include "batching/ahead/association.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/ahead_cost.h"
#include "batching/session/answered.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/shape.h"

void figures_begin(struct figures *f, uint64_t now) {
    f->since = now;
}

// ---- databases

static bool is_named(const struct database_figures *d, struct slice name) {
    size_t n = name.len < FIGURES_NAME - 1 ? name.len : FIGURES_NAME - 1;
    return strlen(d->name) == n && memcmp(d->name, name.data, n) == 0;
}

struct database_figures *figures_of(struct figures *f, struct slice database) {
    for (unsigned i = 0; i < f->n_databases; i++)
        if (is_named(&f->databases[i], database))
            return &f->databases[i];
    bool full = f->n_databases == FIGURES_DATABASES;
    struct database_figures *d = &f->databases[full ? FIGURES_DATABASES : f->n_databases++];
    if (full)
        database = (struct slice){(const uint8_t *)"(other)", 7};
    memcpy(d->name, database.data, database.len < FIGURES_NAME - 1 ? database.len : FIGURES_NAME - 1);
    return d;
}

unsigned figures_lines(const struct figures *f) {
    return f->n_databases + (f->databases[FIGURES_DATABASES].name[0] != 0);
}

// ---- answered statements

static void save(struct figures *f, int64_t us) {
    f->saved += us;
    if (f->saved > f->saved_most)
        f->saved_most = f->saved;
}

static void note_transaction(struct session *s, const struct answered *a) {
    struct database_figures *d = s->figures;
    if (!s->transaction_since)
        s->transaction_since = a->asked ? a->asked : 1;
    if (s->txn != 'I')
        return;
    d->transactions++;
    d->transaction_time += a->answered > s->transaction_since ? a->answered - s->transaction_since : 0;
    s->transaction_since = 0;
}

static void note_in_database(struct session *s, const struct answered *a, uint64_t took) {
    struct database_figures *d = s->figures;
    d->answered[a->outcome]++;
    d->query_time += took;
    if (a->failed)
        d->failed++;
    if (s->txn != 'I' || s->transaction_since) {
        note_transaction(s, a);
        return;
    }
    d->transactions++; // a statement of its own
    d->transaction_time += took;
}

void figures_note_answered(struct session *s, const struct answered *a) {
    struct figures *f = &s->engine->figures;
    uint64_t took = a->answered > a->asked ? a->answered - a->asked : 0;
    bool unsent = a->outcome == OUTCOME_FOLDED || a->outcome == OUTCOME_AHEAD;
    histogram_note_time(&f->took[a->outcome], took);
    if (!unsent && a->outcome != OUTCOME_HERE)
        distance_note(&s->engine->distance, a->answered, took);
    note_in_database(s, a, took);
    if (!a->shape)
        return;
    a->shape->figures.answered[a->outcome]++;
    if (a->failed)
        a->shape->figures.failed++;
    a->shape->figures.took += took;
    if (unsent)
        save(f, a->shape->figures.one);
}

// ---- batches

static void count_form(struct engine_counters *c, const struct batch *b) {
    bool in = b->form == FORM_IN;
    c->in_ok += in && !b->failed;
    c->in_failed += in && b->failed;
    c->lateral_ok += !in && !b->failed;
    c->lateral_failed += !in && b->failed;
}

// A lookup alone takes what the fastest statement took, of late, which is the way to the server and what it spends on any
// statement, and a key's share of what this batch took beyond that; at most what one alone was seen to take.
static void estimate_one(uint64_t way, const struct batch *b, uint64_t took) {
    struct shape *s = b->group->shape;
    uint64_t one = way < took ? way + (took - way) / b->n_keys : took;
    if (s->guard.lone && one > s->guard.lone)
        one = s->guard.lone;
    if (one > UINT32_MAX / 2)
        one = UINT32_MAX / 2;
    s->figures.one = s->figures.one ? s->figures.one - s->figures.one / 8 + (uint32_t)one / 8 : (uint32_t)one;
}

void figures_note_batch(struct engine *e, const struct batch *b) {
    uint64_t took = e->now > b->started ? e->now - b->started : 0;
    if (!b->sent)
        return;
    count_form(&e->counters, b);
    histogram_note_count(&e->figures.batch_keys, b->n_keys);
    histogram_note_time(&e->figures.batch_took, took);
    save(&e->figures, -(int64_t)took);
    if (!b->failed)
        distance_note(&e->distance, e->now, took);
    if (!b->failed && b->n_keys)
        estimate_one(distance_to(&e->distance), b, took);
}

uint64_t figures_saved(const struct figures *f) {
    return (uint64_t)f->saved_most;
}

// ---- reset

static void reset_shape(struct shape *s) {
    s->figures = (struct shape_figures){0};
    for (unsigned i = 0; s->associations && i < ASSOCIATIONS; i++)
        s->associations[i].figures = (struct association_figures){0};
}

void figures_reset(struct engine *e) {
    struct figures *f = &e->figures;
    for (struct shape *s = e->shapes.newest; s; s = s->older)
        reset_shape(s);
    for (unsigned i = 0; i <= FIGURES_DATABASES; i++) {
        char name[FIGURES_NAME];
        memcpy(name, f->databases[i].name, sizeof name);
        f->databases[i] = (struct database_figures){0};
        memcpy(f->databases[i].name, name, sizeof name);
    }
    memset(f->took, 0, sizeof f->took);
    f->batch_keys = f->batch_took = f->lag = (struct histogram){0};
    f->saved = f->saved_most = 0;
    f->since = e->now;
    report_reset(&e->report);
    e->counters = (struct engine_counters){0};
}
