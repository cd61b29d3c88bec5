// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/watch_refuse.h"

#include <stdio.h>

#include "batching/session/engine.h"
#include "batching/session/hold.h"
#include "batching/session/watched.h"
#include "batching/statement/shape.h"
#include "batching/talk/given.h"
#include "batching/watch/report.h"
#include "protocol/write.h"

bool watch_must_wait(struct session *s) {
    bool waits = s->n_forward || s->order.n;
    if (waits)
        hold_for_lookups(s);
    return waits;
}

enum take watch_refuse(struct session *s, struct buf *error) {
    watched_refuse(s);
    if (s->txn == 'T') {
        (void)session_refuse_unit(s, error); // false: the session has failed
    } else {
        write_ready(error, s->txn);
        s->engine->effects->to_client(s->owner, error->data, error->len, true);
    }
    buf_free(error);
    return TAKE_TAKEN;
}

// ---- what is told of a section

static void put_statement(struct buf *b, const char *what, struct shape *shape) {
    buf_put_text(b, b->len ? "\n" : "");
    report_put_statement(b, what, shape);
}

// The loop, or the shape with most keys, that a report names first. NULL: there is none.
static const struct section_shape *worst(const struct section *at, bool looped) {
    const struct section_shape *found = NULL;
    for (unsigned i = 0; at->shapes && i < SECTION_SHAPES; i++) {
        const struct section_shape *of = &at->shapes[i];
        if (of->shape && !of->excused && of->looped >= looped && (!found || of->n_keys > found->n_keys))
            found = of;
    }
    return found;
}

static void put_count(struct buf *b, const struct section *at, enum metric m, bool more) {
    char text[160];
    bool exact = at->expect.of[m].exact;
    snprintf(text, sizeof text, "expected %s%u %s, and there %s %llu", exact ? "" : "at most ",
             at->expect.of[m].most, metric_name(m), at->n[m] + more == 1 ? "is" : "are",
             (unsigned long long)(at->n[m] + more));
    buf_put_text(b, text);
}

static const char advice[] =
    "Load the rows of all keys with the list: by eager loading, a join, or one SELECT with IN. "
    "The comment /* pgfold:allow */ in the statement excuses it.";

enum take watch_refuse_for(struct session *s, struct section *at, enum metric m,
                           const struct section_shape *of, bool more) {
    s->engine->scopes.n_refused++;
    struct buf message = buf_make(1024), detail = buf_make(8192), error = buf_make(65536);
    bool loop = m == METRIC_LOOPS || m == METRIC_REPEATS;
    of = of ? of : loop ? worst(at, m == METRIC_LOOPS) : NULL;
    if (loop)
        buf_put_text(&message, "N+1: the same SELECT is sent once for each row");
    else
        put_count(&message, at, m, more);
    if (of && of->list)
        put_statement(&detail, "The list: ", of->list);
    if (of)
        put_statement(&detail, "Once for each row: ", of->shape);
    buf_put_u8(&message, 0);
    buf_put_u8(&detail, 0);
    write_error(&error, "ERROR", loop ? "PF001" : "PF002", message.failed ? "N+1" : (char *)message.data,
                detail.len > 1 && !detail.failed ? (char *)detail.data : NULL,
                loop ? advice : "SELECT current_setting('pgfold.counts', true) shows what was counted.");
    enum take t = watch_refuse(s, &error);
    buf_free(&message);
    buf_free(&detail);
    return t;
}

void watch_warn(struct session *s, const struct section_shape *of) {
    struct buf detail = buf_make(8192), *b = &s->engine->answer;
    put_statement(&detail, "Once for each row: ", of->shape);
    buf_put_u8(&detail, 0);
    buf_reset(b);
    write_warning(b, "PF001", "N+1: the same SELECT is sent once for each row",
                  detail.failed ? NULL : (char *)detail.data, advice);
    if (!s->n_forward && !s->order.n && !b->failed)
        s->engine->effects->to_client(s->owner, b->data, b->len, true);
    buf_free(&detail);
}
