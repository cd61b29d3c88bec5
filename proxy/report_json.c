// SPDX-License-Identifier: PostgreSQL
#include "proxy/report_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batching/report/advice.h"
#include "batching/session/engine.h"
#include "proxy/log_text.h"

// ---- values

// Most texts are: they take no room of their own.
static bool is_ascii(const char *text, size_t len) {
    size_t n = 0;
    while (n < len && text[n] >= ' ' && text[n] < 0x7f)
        n++;
    return n == len;
}

// Names come in the client's encoding, and tags as anybody has written them.
static json_t *string_of(const char *text, size_t len) {
    if (is_ascii(text, len))
        return json_stringn(text, len);
    size_t room = len * 6 + 16;
    char *fit = malloc(room);
    json_t *string = fit ? json_stringn(fit, log_text(fit, room, text, len, false)) : NULL;
    free(fit);
    return string;
}

static json_t *text_of(const char *text) {
    return string_of(text, strlen(text));
}

static json_t *time_of(double seconds) {
    char text[32];
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static json_t *seconds_of(uint64_t us) {
    return json_real((double)us / 1e6);
}

static json_t *lines_of(const char *lines) {
    json_t *all = json_array();
    while (*lines) {
        size_t n = strcspn(lines, "\n");
        json_array_append_new(all, string_of(lines, n));
        lines += n + (lines[n] == '\n');
    }
    return all;
}

// ---- a loop

static json_t *side_of(const struct loop *l, enum loop_text table, enum loop_text columns,
                       enum loop_text statement) {
    json_t *side = json_object();
    json_object_set_new(side, "table", text_of(loop_text(l, table)));
    json_object_set_new(side, "columns", lines_of(loop_text(l, columns)));
    json_object_set_new(side, "statement", text_of(loop_text(l, statement)));
    return side;
}

static json_t *set_of(const struct tag_set *s) {
    json_t *set = json_object();
    const char *at = NULL, *name, *value;
    while (tags_next(s, &at, &name, &value))
        json_object_set_new(set, name, text_of(value));
    return set;
}

// Others than these have no room: "(other)".
static json_t *tags_of_loop(const struct tags *t, const struct loop *l) {
    json_t *all = json_array();
    for (unsigned i = 0; i < l->n_tags; i++) {
        const struct tag_set *s = tags_at(t, l->tags[i]);
        if (s)
            json_array_append_new(all, set_of(s));
    }
    if (l->more_tags) {
        json_t *other = json_object();
        json_object_set_new(other, "(other)", json_string(""));
        json_array_append_new(all, other);
    }
    return all;
}

static bool has_text(const json_t *all, const json_t *text) {
    size_t i;
    const json_t *one;
    json_array_foreach((json_t *)(uintptr_t)all, i, one) if (json_equal(one, text)) return true;
    return false;
}

static json_t *call_sites_of(const struct tags *t, const struct loop *l) {
    char site[2 * TAGS_LONGEST];
    json_t *all = json_array();
    for (unsigned i = 0; i < l->n_tags; i++) {
        const struct tag_set *s = tags_at(t, l->tags[i]);
        json_t *text = s && tags_call_site(s, site, sizeof site) ? text_of(site) : NULL;
        if (text && !has_text(all, text))
            json_array_append(all, text);
        json_decref(text);
    }
    return all;
}

static json_t *advice_of(const struct loop *l) {
    json_t *all = json_array();
    for (unsigned i = 0; i < ADVICE_TOOLS; i++) {
        struct buf b = buf_make(4096);
        json_t *one = json_object();
        advice_write(l, i, &b);
        json_object_set_new(one, "for", json_string(advice_tool(i)));
        json_object_set_new(one, "write", string_of((char *)b.data, b.len));
        json_array_append_new(all, one);
        buf_free(&b);
    }
    return all;
}

json_t *report_loop(const struct engine *e, const struct loop *l) {
    const struct tags *t = &e->report.tags;
    char id[17];
    json_t *j = json_object();
    snprintf(id, sizeof id, "%016" PRIx64, l->id);
    json_object_set_new(j, "id", json_string(id));
    json_object_set_new(j, "kind", json_string(l->proven ? "proven" : "candidate"));
    json_object_set_new(j, "database", text_of(loop_text(l, LOOP_DATABASE)));
    json_object_set_new(j, "application_name", text_of(loop_text(l, LOOP_APPLICATION)));
    json_object_set_new(j, "parent",
                        l->proven ? side_of(l, LOOP_PARENT_TABLE, LOOP_PARENT_COLUMNS, LOOP_PARENT_STATEMENT)
                                  : json_null());
    json_object_set_new(j, "child", side_of(l, LOOP_CHILD_TABLE, LOOP_CHILD_COLUMNS, LOOP_CHILD_STATEMENT));
    json_object_set_new(j, "direction", json_string(loop_direction_name(l->direction)));
    json_object_set_new(j, "tags", tags_of_loop(t, l));
    json_object_set_new(j, "call_sites", call_sites_of(t, l));
    json_object_set_new(j, "pages", json_integer((json_int_t)l->pages));
    json_object_set_new(j, "asked", json_integer((json_int_t)l->of.asked));
    json_object_set_new(j, "sent", json_integer((json_int_t)l->of.sent));
    json_object_set_new(j, "with_list", json_integer((json_int_t)l->of.with_list));
    json_object_set_new(j, "waited_seconds", seconds_of(l->of.waited));
    json_object_set_new(j, "alone_seconds", seconds_of(l->of.alone));
    json_object_set_new(j, "instead", advice_of(l));
    return j;
}

static json_t *loops_of(const struct engine *e, unsigned *n) {
    const struct loops *l = &e->report.loops;
    json_t *all = json_array();
    uint32_t *order = malloc((l->n + 1) * sizeof *order);
    const struct loop *of = order ? loops_by_cost(l, 0, order) : NULL;
    for (unsigned i = 0; of; of = loops_by_cost(l, ++i, order)) {
        if (!of->of.asked)
            continue;
        json_array_append_new(all, report_loop(e, of));
        ++*n;
    }
    free(order);
    return all;
}

// ---- all

static const char estimate[] =
    "alone_seconds is an estimate: for each lookup that was not sent by itself, what one of its kind takes "
    "alone: "
    "what the fastest statement took, and a key's share of what its batches took beyond that.";
static const char estimate_observed[] = "alone_seconds is measured, since nothing is folded. sent is an "
                                        "estimate: what would have been sent in mode "
                                        "fold, where each lookup is judged as it would be there.";

json_t *report_head(const struct engine *e, const char *mode, double now, unsigned loops) {
    const struct loops *l = &e->report.loops;
    json_t *j = json_object(), *totals = json_object();
    double age = (double)(e->now > e->figures.since ? e->now - e->figures.since : 0) / 1e6;
    json_object_set_new(j, "pgfold", json_string(PGFOLD_VERSION));
    json_object_set_new(j, "mode", json_string(mode));
    json_object_set_new(j, "since", time_of(now - age));
    json_object_set_new(j, "now", time_of(now));
    json_object_set_new(j, "now_seconds", json_real(now));
    json_object_set_new(j, "estimate", json_string(e->limits.observe ? estimate_observed : estimate));
    json_object_set_new(totals, "asked", json_integer((json_int_t)l->all.asked));
    json_object_set_new(totals, "sent", json_integer((json_int_t)l->all.sent));
    json_object_set_new(totals, "loops", json_integer(loops));
    json_object_set_new(totals, "not_listed", json_integer((json_int_t)l->not_listed));
    json_object_set_new(j, "totals", totals);
    return j;
}

json_t *report_json(const struct engine *e, const char *mode, double now) {
    unsigned n = 0;
    json_t *loops = loops_of(e, &n), *j = report_head(e, mode, now, n);
    json_object_set_new(j, "loops", loops);
    return j;
}
