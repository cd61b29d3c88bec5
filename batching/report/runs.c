// SPDX-License-Identifier: PostgreSQL
#include "batching/report/runs.h"

#include <string.h>

// ---- pages

static void end_visit(struct runs *r) {
    r->visit++;
    r->page++;
    r->n_read = 0;
}

void runs_asked(struct runs *r, uint64_t now) {
    if (r->last && now > r->last + RUNS_PAUSE)
        end_visit(r);
}

void runs_tagged(struct runs *r, uint64_t tags) {
    if (!tags)
        return;
    bool others = r->tags && tags != r->tags;
    r->changes = !others ? 0 : r->changes < RUNS_RESTLESS ? r->changes + 1 : r->changes;
    if (others && r->changes < RUNS_RESTLESS)
        end_visit(r);
    r->tags = tags;
}

void runs_read(struct runs *r, uint64_t statement) {
    uint64_t before = r->n_read ? r->read[(r->n_read - 1) % RUNS_LISTS] : 0;
    if (before == statement && r->read_at == r->answers)
        return; // the same result, described once more
    r->read_at = r->answers;
    for (unsigned i = 0; i < r->n_read && i < RUNS_LISTS; i++) {
        if (r->read[i] != statement)
            continue;
        r->page++;
        r->n_read = 0;
    }
    r->read[r->n_read++ % RUNS_LISTS] = statement;
}

// ---- runs

static void begin_page(struct runs *r, struct run *of) {
    if (of->visit != r->visit)
        of->list = of->counted_list = 0;
    of->loop.key = 0;
    of->unlisted = of->proven = false;
    of->page = r->page;
    of->visit = r->visit;
    of->n_keys = 0;
    of->seen = 0;
    of->counted = false;
    of->given = of->pending = (struct loop_counts){0};
}

struct run *runs_of(struct runs *r, uint64_t child) {
    struct run *of = &r->of[0];
    for (unsigned i = 0; i < RUNS; i++) {
        if (r->of[i].child == child) {
            of = &r->of[i];
            break;
        }
        of = r->of[i].used < of->used ? &r->of[i] : of;
    }
    if (of->child != child) {
        *of = (struct run){.child = child, .visit = r->visit};
        begin_page(r, of);
    } else if (of->page != r->page) {
        begin_page(r, of);
    }
    of->used = ++r->clock;
    return of;
}

static void add(struct loop_counts *to, const struct loop_counts *c) {
    to->asked += c->asked;
    to->sent += c->sent;
    to->waited += c->waited;
    to->alone += c->alone;
    to->with_list += c->with_list;
}

static void take(struct loop_counts *from, const struct loop_counts *c) {
    from->asked -= c->asked < from->asked ? c->asked : from->asked;
    from->sent -= c->sent < from->sent ? c->sent : from->sent;
    from->waited -= c->waited < from->waited ? c->waited : from->waited;
    from->alone -= c->alone < from->alone ? c->alone : from->alone;
    from->with_list -= c->with_list < from->with_list ? c->with_list : from->with_list;
}

void run_count(struct run *r, uint64_t question, const struct loop_counts *c) {
    uint64_t bit = UINT64_C(1) << question % 64;
    r->n_keys += !question || !(r->seen & bit);
    r->seen |= bit;
    add(&r->pending, c);
}

bool run_found(struct run *r, uint64_t list, int column, uint64_t question) {
    if (r->list == list && r->column == column)
        return r->first != question;
    r->list = list;
    r->column = column;
    r->first = question;
    return false;
}

void run_belongs(struct run *r, struct loops *l, const struct loop_place *p) {
    struct loop *before = loops_at(l, &r->loop);
    if (before && before->key == p->key)
        return;
    if (before && !before->proven) { // it was no loop of its own
        take(&before->of, &r->given);
        take(&l->all, &r->given);
        before->pages -= r->counted && before->pages;
        add(&r->pending, &r->given);
        r->counted = false;
        r->counted_list = 0;
    }
    r->given = (struct loop_counts){0};
    r->loop = *p;
}

void run_give(struct run *r, struct loops *l, uint64_t now) {
    struct loop *of = loops_at(l, &r->loop);
    if (!of)
        return;
    if (r->top ? r->counted_list != r->list : !r->counted) {
        of->pages++;
        r->counted = true;
        r->counted_list = r->list;
    }
    add(&of->of, &r->pending);
    add(&l->all, &r->pending);
    add(&r->given, &r->pending);
    r->pending = (struct loop_counts){0};
    of->last = now;
}
