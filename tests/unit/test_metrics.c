// SPDX-License-Identifier: PostgreSQL
#include "batching/show/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/session/answered.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/show/text.h"
#include "tests/unit/fixture.h"

static char *written(const struct engine *e, enum metrics_format format) {
    const struct show_outside o = {.version = "1.2", .mode = "fold", .clients = {[CLIENT_IDLE] = 7}};
    struct buf b = buf_make(1 << 20);
    metrics_write(&b, e, &o, format);
    buf_put_u8(&b, 0);
    cr_assert_not(b.failed);
    char *text = strdup((const char *)b.data);
    buf_free(&b);
    return text;
}

static void expect_line(const char *text, const char *line) {
    const char *at = strstr(text, line);
    bool whole = at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n';
    cr_expect(whole, "no line %s", line);
}

static void answer_some(struct fixture *f) {
    struct answered a = {
        .outcome = OUTCOME_FORWARDED, .reason = REASON_NOT_SELECT, .asked = 1000, .answered = 3500};
    for (int i = 0; i < 3; i++)
        session_answered(f->clients[0].session, &a);
    a = (struct answered){.outcome = OUTCOME_AHEAD, .asked = 1000, .answered = 1050};
    session_answered(f->clients[0].session, &a);
}

Test(metrics, are_written_as_prometheus_reads_them) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    answer_some(&f);
    char *text = written(f.engine, METRICS_TEXT);
    expect_line(text, "pgfold_statements_total{side=\"client\"} 4");
    expect_line(text, "pgfold_forwarded_total{reason=\"not_select\"} 3");
    expect_line(text, "pgfold_lookups_total{outcome=\"ahead\"} 1");
    expect_line(text, "# TYPE pgfold_lookup_duration_seconds histogram");
    expect_line(text, "pgfold_lookup_duration_seconds_bucket{outcome=\"ahead\",le=\"0.00005\"} 1");
    expect_line(text, "pgfold_lookup_duration_seconds_bucket{outcome=\"ahead\",le=\"+Inf\"} 1");
    expect_line(text, "pgfold_lookup_duration_seconds_sum{outcome=\"ahead\"} 0.00005");
    expect_line(text, "pgfold_forwarded_duration_seconds_bucket{le=\"0.0025\"} 3");
    expect_line(text, "pgfold_forwarded_duration_seconds_sum 0.0075");
    expect_line(text, "pgfold_clients{state=\"idle\"} 7");
    expect_line(text, "pgfold_build_info{version=\"1.2\"} 1");
    free(text);
    fixture_end(&f);
}

Test(metrics, have_each_family_once) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    for (int format = 0; format < METRICS_FORMATS; format++) {
        char *text = written(f.engine, (enum metrics_format)format);
        for (char *at = strstr(text, "# TYPE "); at; at = strstr(at + 1, "# TYPE ")) {
            char family[200];
            cr_assert_eq(sscanf(at, "# TYPE %199s", family), 1);
            char line[220];
            snprintf(line, sizeof line, "# TYPE %s ", family);
            cr_expect_eq(strstr(text, line), at, "%s comes twice", family);
        }
        free(text);
    }
    fixture_end(&f);
}

Test(metrics, are_written_as_open_metrics) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    char *text = written(f.engine, METRICS_OPEN);
    expect_line(text, "# TYPE pgfold_statements counter");
    expect_line(text, "pgfold_statements_total{side=\"client\"} 0");
    expect_line(text, "pgfold_batch_keys_bucket{le=\"1.0\"} 0");
    expect_line(text, "pgfold_loop_lag_seconds_bucket{le=\"10.0\"} 0");
    cr_expect_str_eq(text + strlen(text) - 6, "# EOF\n");
    free(text);
    fixture_end(&f);
}

Test(metrics, come_in_the_format_that_is_asked_for) {
    cr_expect_eq(metrics_format_for(NULL), METRICS_TEXT);
    cr_expect_eq(metrics_format_for("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), METRICS_TEXT);
    cr_expect_eq(metrics_format_for("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
                 METRICS_OPEN);
}

// ---- texts

static void expect_label(const char *name, const char *label) {
    struct buf b = buf_make(1000);
    text_label(&b, name);
    buf_put_u8(&b, 0);
    cr_expect_str_eq((const char *)b.data, label);
    buf_free(&b);
}

Test(text, writes_any_name_as_a_label) {
    expect_label("app", "\"app\"");
    expect_label("a\"b\\c", "\"a\\\"b\\\\c\"");
    expect_label("a\nb\x7f", "\"a?b?\"");
    expect_label("B\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "\"B\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"");
    expect_label("\xe4\xff\xc3", "\"???\"");
    expect_label("\xed\xa0\x80", "\"???\"");
    expect_label("\xc2\x85", "\"?\"");
}

static const struct {
    uint64_t us;
    const char *text;
} seconds[] = {{0, "0"},         {50, "0.00005"},  {2500, "0.0025"}, {1000000, "1"},
               {10000000, "10"}, {1500000, "1.5"}, {1, "0.000001"}};

Test(text, writes_seconds_without_zeros_at_the_end) {
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        struct buf b = buf_make(100);
        text_seconds(&b, seconds[i].us);
        buf_put_u8(&b, 0);
        cr_expect_str_eq((const char *)b.data, seconds[i].text);
        buf_free(&b);
    }
}
