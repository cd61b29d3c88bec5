// SPDX-License-Identifier: PostgreSQL
#include "batching/show/report_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/report/advice.h"
#include "batching/session/engine.h"

#define LONGEST 65536 // bytes of a text

static void put_text(struct table *t, struct buf *b) {
    table_bytes(t, b->data && !b->failed ? (const char *)b->data : "", b->failed ? 0 : b->len);
    buf_reset(b);
}

// ---- tags

static void put_set(struct buf *b, const struct tag_set *s) {
    const char *at = NULL, *name, *value;
    bool first = true;
    while (tags_next(s, &at, &name, &value)) {
        buf_put_text(b, first ? "" : " ");
        buf_put_text(b, name);
        buf_put_text(b, "=");
        buf_put_text(b, value);
        first = false;
    }
}

void report_tag_rows(const struct engine *e, struct table *t) {
    const struct tags *tags = &e->report.tags;
    struct buf b = buf_make(LONGEST);
    char site[2 * TAGS_LONGEST];
    for (unsigned i = 1; i < tags->n; i++) {
        const struct tag_set *s = &tags->of[i];
        if (!s->statements)
            continue;
        table_row(t);
        if (i == TAGS_OTHER)
            buf_put_text(&b, "(other)");
        else
            put_set(&b, s);
        put_text(t, &b);
        table_text(t, i != TAGS_OTHER && tags_call_site(s, site, sizeof site) ? site : NULL);
        table_int(t, s->statements);
        table_int(t, s->lookups);
        table_int(t, s->sent);
        table_seconds(t, s->waited);
        table_end_row(t);
    }
    buf_free(&b);
}

// ---- loops

// table(column, …)
static void put_side(struct table *t, struct buf *b, const struct loop *l, enum loop_text table,
                     enum loop_text columns) {
    buf_put_text(b, loop_text(l, table));
    buf_put_text(b, "(");
    for (const char *at = loop_text(l, columns); *at; at++) {
        if (*at == '\n')
            buf_put_text(b, ", ");
        else
            buf_put_u8(b, (uint8_t)*at);
    }
    buf_put_text(b, ")");
    put_text(t, b);
}

static void put_tags(struct table *t, struct buf *b, const struct tags *tags, const struct loop *l) {
    for (unsigned i = 0; i < l->n_tags; i++) {
        const struct tag_set *s = tags_at(tags, l->tags[i]);
        buf_put_text(b, b->len && s ? "; " : "");
        if (s)
            put_set(b, s);
    }
    if (l->more_tags)
        buf_put_text(b, b->len ? "; (other)" : "(other)");
    put_text(t, b);
}

static void put_sites(struct table *t, struct buf *b, const struct tags *tags, const struct loop *l) {
    char site[2 * TAGS_LONGEST];
    for (unsigned i = 0; i < l->n_tags; i++) {
        const struct tag_set *s = tags_at(tags, l->tags[i]);
        if (!s || !tags_call_site(s, site, sizeof site) ||
            (b->len && memmem(b->data, b->len, site, strlen(site))))
            continue;
        buf_put_text(b, b->len ? ", " : "");
        buf_put_text(b, site);
    }
    put_text(t, b);
}

static void put_advice(struct table *t, struct buf *b, const struct loop *l) {
    for (unsigned i = 0; i < ADVICE_TOOLS; i++) {
        buf_put_text(b, i ? " · " : "");
        advice_write(l, i, b);
    }
    put_text(t, b);
}

static void loop_row(struct table *t, struct buf *b, const struct tags *tags, const struct loop *l) {
    char id[17];
    snprintf(id, sizeof id, "%016" PRIx64, l->id);
    table_row(t);
    table_text(t, id);
    table_text(t, l->proven ? "proven" : "candidate");
    table_text(t, loop_text(l, LOOP_DATABASE));
    table_text(t, loop_text(l, LOOP_APPLICATION));
    if (l->proven)
        put_side(t, b, l, LOOP_PARENT_TABLE, LOOP_PARENT_COLUMNS);
    else
        table_text(t, NULL);
    put_side(t, b, l, LOOP_CHILD_TABLE, LOOP_CHILD_COLUMNS);
    table_text(t, loop_direction_name(l->direction));
    put_tags(t, b, tags, l);
    put_sites(t, b, tags, l);
    table_int(t, l->pages);
    table_int(t, l->of.asked);
    table_int(t, l->of.sent);
    table_int(t, l->of.with_list);
    table_seconds(t, l->of.waited);
    table_seconds(t, l->of.alone);
    table_text(t, l->proven ? loop_text(l, LOOP_PARENT_STATEMENT) : NULL);
    table_text(t, loop_text(l, LOOP_CHILD_STATEMENT));
    put_advice(t, b, l);
    table_end_row(t);
}

void report_loop_rows(const struct engine *e, struct table *t) {
    const struct loops *l = &e->report.loops;
    struct buf b = buf_make(LONGEST);
    uint32_t *order = malloc((l->n + 1) * sizeof *order);
    const struct loop *of = order ? loops_by_cost(l, 0, order) : NULL;
    for (unsigned i = 0; of; of = loops_by_cost(l, ++i, order))
        if (of->of.asked)
            loop_row(t, &b, &e->report.tags, of);
    free(order);
    buf_free(&b);
}

// ---- what tests expect

static void expectation_row(struct table *t, struct buf *b, const char *scope, size_t len,
                            const struct section *x) {
    table_row(t);
    table_bytes(t, scope, len);
    expectation_write(&x->expect, b);
    put_text(t, b);
    section_write_counts(x, b);
    put_text(t, b);
    table_text(t, section_fails(x) == METRIC_COUNT ? "yes" : "no");
    table_end_row(t);
}

// The scope of a database and a user has a digest behind its name's first zero.
void report_expectation_rows(const struct engine *e, struct table *t) {
    struct buf b = buf_make(LONGEST);
    if (e->scopes.runs)
        expectation_row(t, &b, "(all)", 5, &e->scopes.run);
    for (const struct scope *s = e->scopes.list; s; s = s->next)
        if (s->begun)
            expectation_row(t, &b, (const char *)s->name, strnlen((const char *)s->name, s->len),
                            &s->section);
    buf_free(&b);
}
