// SPDX-License-Identifier: PostgreSQL
#include "proxy/console_explain.h"

#include <string.h>

#include "batching/explain.h"
#include "batching/session/engine.h"
#include "batching/statement/cost.h"
#include "batching/statement/redact.h"

#define REPORT_MOST ((size_t)256 << 10) // bytes
#define MOST_BYTES  8192                // of a statement: longer ones are parsed for nobody
#define MOST_COST   8000000             // nanoseconds of the loop's time

static void put_lines(struct table *t, const struct buf *report) {
    const char *at = (const char *)report->data, *end = at + report->len;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line ? line : end) - at);
        table_row(t);
        table_bytes(t, at, len);
        table_end_row(t);
        at += len + 1;
    }
}

static void explain(const struct engine *engine, struct slice statement, struct buf *report) {
    struct explainer *x = explainer_create();
    struct explanation e;
    if (!x) {
        buf_put_text(report, "out of memory\n");
        return;
    }
    explain_learn(x, statement);
    explain_statement(x, statement, &e);
    e.discreet = true;
    buf_put_text(report, "statement ");
    redact_text((const char *)statement.data, statement.len, MOST_BYTES, report);
    buf_put_u8(report, '\n');
    explain_report(&e, report);
    explain_known(&e, engine, report);
    explainer_destroy(x);
}

void console_explain(const struct engine *e, struct slice statement, struct table *t) {
    struct buf report = buf_make(REPORT_MOST);
    if (statement.len > MOST_BYTES || cost_of_parse((const char *)statement.data, statement.len) > MOST_COST)
        buf_put_text(&report, "this statement is too long, or takes too long to be parsed: it is forwarded "
                              "untouched, and the program pgfold "
                              "explain says more\n");
    else
        explain(e, statement, &report);
    put_lines(t, &report);
    buf_free(&report);
}
