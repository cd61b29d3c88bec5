// SPDX-License-Identifier: PostgreSQL
#include "batching/watch/report.h"

#include "batching/report/advice.h"
#include "batching/statement/redact.h"
#include "batching/statement/shape.h"

#define LONGEST_TEXT 1000 // bytes of a statement

void report_put_statement(struct buf *out, const char *what, const struct shape *shape) {
    buf_put_text(out, what);
    redact_text(shape->text, shape->text_len, LONGEST_TEXT, out);
}

static void put_statement(struct buf *out, const char *what, const struct shape *shape) {
    buf_put_format(out, "  %-19s", what);
    report_put_statement(out, "", shape);
    buf_put_text(out, "\n");
}

static bool is_reported(const struct section_shape *of) {
    return of->shape && !of->excused && (of->looped || of->most_keys >= EXPECT_REPEATS);
}

// The one with most lookups among those with fewer than `below`, or as many and a later place.
static const struct section_shape *next_of(const struct section *s, const struct section_shape *last) {
    const struct section_shape *best = NULL;
    for (unsigned i = 0; s->shapes && i < SECTION_SHAPES; i++) {
        const struct section_shape *of = &s->shapes[i];
        bool later = !last || of->n < last->n || (of->n == last->n && of > last);
        if (is_reported(of) && later && (!best || of->n > best->n))
            best = of;
    }
    return best;
}

static void put_loop(struct buf *out, const struct section_shape *of) {
    if (of->looped)
        buf_put_format(out, "\nloop: %llu lookups, with the keys of a list\n", (unsigned long long)of->n);
    else
        buf_put_format(out, "\nperhaps a loop: %llu lookups, with %u different keys%s\n",
                       (unsigned long long)of->n, of->most_keys,
                       of->most_keys == SECTION_KEYS ? " or more" : "");
    if (of->list)
        put_statement(out, "the list:", of->list);
    put_statement(out, "once for each row:", of->shape);
}

void report_write(const struct scopes *s, struct buf *out) {
    const struct section_shape *of = NULL;
    bool any = false;
    for (unsigned m = 0; m < METRIC_COUNT; m++)
        if (m != METRIC_REPEATS)
            buf_put_format(out, "%s%llu %s", m ? ", " : "pgfold test: ", (unsigned long long)s->run.n[m],
                           metric_name((enum metric)m));
    buf_put_text(out, "\n");
    while ((of = next_of(&s->run, of))) {
        put_loop(out, of);
        any = true;
    }
    if (any) {
        buf_put_text(out, "\n");
        buf_put_text(out, advice_in_general());
        buf_put_text(out, "\n");
    }
    for (const struct allowance *a = s->allowed; a; a = a->next)
        if (!a->used)
            buf_put_format(out, "never needed in the list of what is allowed: %.300s\n", a->text);
}
