// SPDX-License-Identifier: PostgreSQL
#include "batching/show/shows.h"

#include <stdio.h>
#include <string.h>

#include "batching/base/reason.h"
#include "batching/session/engine.h"
#include "batching/show/report_rows.h"
#include "batching/statement/guard.h"
#include "batching/statement/redact.h"
#include "batching/statement/shape.h"

#define SHOWN_TEXT 1000 // bytes of a statement

// ---- columns

#define S(name)                                                                                              \
    { name, TABLE_TEXT }
#define I(name)                                                                                              \
    { name, TABLE_INT4 }
#define Q(name)                                                                                              \
    { name, TABLE_INT8 }
#define N(name)                                                                                              \
    { name, TABLE_NUMERIC }
#define F(name)                                                                                              \
    { name, TABLE_FLOAT8 }
#define END                                                                                                  \
    { NULL, TABLE_TEXT }

#define TOTALS_OF(prefix) N(prefix "server_assignment_count"), N(prefix "xact_count"), N(prefix "query_count")
#define TIMES_OF(prefix)                                                                                     \
    N(prefix "xact_time"), N(prefix "query_time"), N(prefix "wait_time"), N(prefix "client_parse_count"),    \
        N(prefix "server_parse_count"), N(prefix "bind_count")

#define STATS                                                                                                \
    S("database"), TOTALS_OF("total_"), N("total_received"), N("total_sent"), TIMES_OF("total_"),            \
        TOTALS_OF("avg_"), N("avg_recv"), N("avg_sent"), TIMES_OF("avg_")
#define DATABASES                                                                                            \
    S("name"), S("host"), I("port"), S("database"), S("force_user"), I("pool_size"), I("min_pool_size"),     \
        I("reserve_pool_size"), I("server_lifetime"), S("pool_mode"), S("load_balance_hosts"),               \
        I("max_connections"), I("current_connections"), I("max_client_connections"),                         \
        I("current_client_connections"), I("paused"), I("disabled")

static const struct table_column stats[] = {STATS, END};
static const struct table_column old_stats[] = {STATS, N("total_requests"), END};
static const struct table_column stats_by_name[] = {S("database"),   TOTALS_OF(""), N("bytes_received"),
                                                    N("bytes_sent"), TIMES_OF(""),  END};
static const struct table_column totals[] = {S("name"), N("value"), END};
static const struct table_column databases[] = {DATABASES, END};
static const struct table_column old_databases[] = {DATABASES, I("reserve_pool"), END};
static const struct table_column pools[] = {S("database"),
                                            S("user"),
                                            I("cl_active"),
                                            I("cl_waiting"),
                                            I("cl_active_cancel_req"),
                                            I("cl_waiting_cancel_req"),
                                            I("sv_active"),
                                            I("sv_active_cancel"),
                                            I("sv_being_canceled"),
                                            I("sv_idle"),
                                            I("sv_used"),
                                            I("sv_tested"),
                                            I("sv_login"),
                                            I("maxwait"),
                                            I("maxwait_us"),
                                            S("pool_mode"),
                                            S("load_balance_hosts"),
                                            END};
static const struct table_column sockets[] = {S("type"),
                                              S("user"),
                                              S("database"),
                                              S("replication"),
                                              S("state"),
                                              S("addr"),
                                              I("port"),
                                              S("local_addr"),
                                              I("local_port"),
                                              S("connect_time"),
                                              S("request_time"),
                                              I("wait"),
                                              I("wait_us"),
                                              I("close_needed"),
                                              S("ptr"),
                                              S("link"),
                                              I("remote_pid"),
                                              S("tls"),
                                              S("application_name"),
                                              I("prepared_statements"),
                                              I("id"),
                                              END};
static const struct table_column users[] = {S("name"),
                                            S("pool_size"),
                                            S("reserve_pool_size"),
                                            S("pool_mode"),
                                            I("max_user_connections"),
                                            I("current_connections"),
                                            I("max_user_client_connections"),
                                            I("current_client_connections"),
                                            END};
static const struct table_column lists[] = {S("list"), I("items"), END};
static const struct table_column config[] = {S("key"), S("value"), S("default"), S("changeable"), END};
static const struct table_column all[] = {S("name"), S("setting"), S("description"), END};
static const struct table_column state[] = {S("key"), S("value"), END};
static const struct table_column version[] = {S("version"), END};
static const struct table_column folding[] = {Q("statements"),
                                              Q("sent"),
                                              Q("lookups"),
                                              Q("folded"),
                                              Q("ahead"),
                                              Q("alone"),
                                              Q("forwarded"),
                                              Q("answered_here"),
                                              Q("batches"),
                                              Q("batches_failed"),
                                              Q("checked"),
                                              Q("differences"),
                                              Q("would_fold"),
                                              Q("would_ahead"),
                                              Q("would_send"),
                                              F("saved_seconds_estimate"),
                                              END};
static const struct table_column shapes[] = {
    S("shape"),    S("statement"),       Q("statements"), Q("folded"),  Q("ahead"),
    Q("alone"),    Q("forwarded"),       Q("failed"),     F("seconds"), Q("folded_us"),
    Q("alone_us"), Q("one_us_estimate"), S("state"),      END};
static const struct table_column reasons[] = {S("reason"), Q("statements"), Q("lookups"), S("meaning"), END};
static const struct table_column ahead[] = {
    S("shape"),    S("child"),  S("parent"), Q("batches"),   Q("loaded"),
    Q("answered"), Q("unused"), Q("stale"),  Q("with_list"), END};

static const struct table_column loop_columns[] = {S("id"),
                                                   S("kind"),
                                                   S("database"),
                                                   S("application_name"),
                                                   S("parent"),
                                                   S("child"),
                                                   S("direction"),
                                                   S("tags"),
                                                   S("call_sites"),
                                                   Q("pages"),
                                                   Q("asked"),
                                                   Q("sent"),
                                                   Q("with_list"),
                                                   F("waited_seconds"),
                                                   F("alone_seconds_estimate"),
                                                   S("parent_statement"),
                                                   S("child_statement"),
                                                   S("instead"),
                                                   END};
static const struct table_column tag_columns[] = {
    S("tags"), S("call_site"), Q("statements"), Q("lookups"), Q("sent"), F("waited_seconds"), END};
static const struct table_column expectation_columns[] = {S("scope"), S("expects"), S("counts"),
                                                          S("as_expected"), END};

const struct table_column *shows_columns(enum console_show what, bool old) {
    static const struct table_column *const columns[CONSOLE_SHOW_COUNT] = {
        [SHOW_LOOPS] = loop_columns,
        [SHOW_TAGS] = tag_columns,
        [SHOW_EXPECTATIONS] = expectation_columns,
        [SHOW_STATS] = stats,
        [SHOW_STATS_TOTALS] = stats_by_name,
        [SHOW_STATS_AVERAGES] = stats_by_name,
        [SHOW_TOTALS] = totals,
        [SHOW_POOLS] = pools,
        [SHOW_DATABASES] = databases,
        [SHOW_CLIENTS] = sockets,
        [SHOW_SERVERS] = sockets,
        [SHOW_USERS] = users,
        [SHOW_LISTS] = lists,
        [SHOW_CONFIG] = config,
        [SHOW_ALL] = all,
        [SHOW_STATE] = state,
        [SHOW_VERSION] = version,
        [SHOW_FOLDING] = folding,
        [SHOW_SHAPES] = shapes,
        [SHOW_REASONS] = reasons,
        [SHOW_AHEAD] = ahead,
    };
    if (old && what == SHOW_STATS)
        return old_stats;
    return old && what == SHOW_DATABASES ? old_databases : columns[what];
}

// ---- STATS

enum {
    STAT_ASSIGNED,
    STAT_XACTS,
    STAT_QUERIES,
    STAT_RECEIVED,
    STAT_SENT,
    STAT_XACT_TIME,
    STAT_QUERY_TIME,
    STAT_WAIT_TIME,
    STAT_CLIENT_PARSES,
    STAT_SERVER_PARSES,
    STAT_BINDS,
    STAT_COUNT
};

static const char *const stat_names[STAT_COUNT] = {"server_assignment_count",
                                                   "xact_count",
                                                   "query_count",
                                                   "received",
                                                   "sent",
                                                   "xact_time",
                                                   "query_time",
                                                   "wait_time",
                                                   "client_parse_count",
                                                   "server_parse_count",
                                                   "bind_count"};

static uint64_t queries_of(const struct database_figures *d) {
    uint64_t n = 0;
    for (int o = 0; o < OUTCOME_COUNT; o++)
        n += d->answered[o];
    return n;
}

// A client has a server connection of its own from its log-in on, and never waits for another one.
static void stats_of(const struct database_figures *d, uint64_t *v) {
    v[STAT_ASSIGNED] = d->sessions;
    v[STAT_XACTS] = d->transactions;
    v[STAT_QUERIES] = queries_of(d);
    v[STAT_RECEIVED] = d->received;
    v[STAT_SENT] = d->sent;
    v[STAT_XACT_TIME] = d->transaction_time;
    v[STAT_QUERY_TIME] = d->query_time;
    v[STAT_WAIT_TIME] = 0;
    v[STAT_CLIENT_PARSES] = d->client_parses;
    v[STAT_SERVER_PARSES] = d->server_parses;
    v[STAT_BINDS] = d->binds;
}

static uint64_t divided(uint64_t n, uint64_t by) {
    return by ? n / by : 0;
}

// Per second; times per transaction or statement.
static void averages_of(const struct shows_context *c, unsigned i, uint64_t *avg) {
    uint64_t now[STAT_COUNT], before[STAT_COUNT];
    uint64_t at = c->period->before_at, us = c->now > at ? c->now - at : 1;
    stats_of(&c->engine->figures.databases[i], now);
    stats_of(&c->period->before[i], before);
    for (unsigned j = 0; j < STAT_COUNT; j++)
        now[j] -= before[j] < now[j] ? before[j] : now[j]; // RESET STATS may have come between
    for (unsigned j = 0; j < STAT_COUNT; j++)
        avg[j] = (uint64_t)((double)now[j] * 1e6 / (double)us);
    avg[STAT_XACT_TIME] = divided(now[STAT_XACT_TIME], now[STAT_XACTS]);
    avg[STAT_QUERY_TIME] = divided(now[STAT_QUERY_TIME], now[STAT_QUERIES]);
}

void shows_tick(struct shows_period *p, const struct engine *e, uint64_t now) {
    if (p->now_at && now < p->now_at + SHOWS_PERIOD)
        return;
    if (p->now_at)
        memcpy(p->before, p->now, sizeof p->before);
    p->before_at = p->now_at ? p->now_at : now;
    memcpy(p->now, e->figures.databases, sizeof p->now);
    p->now_at = now;
}

static void put_stats(struct table *t, const uint64_t *v) {
    for (unsigned j = 0; j < STAT_COUNT; j++)
        table_int(t, v[j]);
}

static void stats_rows(enum console_show what, const struct shows_context *c, struct table *t) {
    for (unsigned i = 0; i <= FIGURES_DATABASES; i++) {
        const struct database_figures *d = &c->engine->figures.databases[i];
        uint64_t v[STAT_COUNT], avg[STAT_COUNT];
        if (!d->name[0])
            continue;
        stats_of(d, v);
        averages_of(c, i, avg);
        table_row(t);
        table_text(t, d->name);
        if (what != SHOW_STATS_AVERAGES)
            put_stats(t, v);
        if (what != SHOW_STATS_TOTALS)
            put_stats(t, avg);
        if (what == SHOW_STATS && c->old)
            table_int(t, v[STAT_QUERIES]);
        table_end_row(t);
    }
}

static void totals_rows(const struct shows_context *c, struct table *t) {
    uint64_t all_of[2][STAT_COUNT] = {{0}}, v[2][STAT_COUNT];
    for (unsigned i = 0; i <= FIGURES_DATABASES; i++) {
        stats_of(&c->engine->figures.databases[i], v[0]);
        averages_of(c, i, v[1]);
        for (unsigned j = 0; j < 2 * STAT_COUNT; j++)
            all_of[j / STAT_COUNT][j % STAT_COUNT] += v[j / STAT_COUNT][j % STAT_COUNT];
    }
    for (unsigned j = 0; j < 2 * STAT_COUNT; j++) {
        char name[64];
        bool short_name = j == STAT_COUNT + STAT_RECEIVED; // avg_recv
        snprintf(name, sizeof name, "%s%s", j < STAT_COUNT ? "total_" : "avg_",
                 short_name ? "recv" : stat_names[j % STAT_COUNT]);
        table_row(t);
        table_text(t, name);
        table_int(t, all_of[j / STAT_COUNT][j % STAT_COUNT]);
        table_end_row(t);
    }
}

// ---- ours

static void folding_row(const struct engine *e, struct table *t) {
    const struct engine_counters *c = &e->counters;
    uint64_t forwarded = 0;
    for (int r = 0; r < REASON_COUNT; r++)
        forwarded += c->forwarded[r];
    const uint64_t v[] = {c->answered,
                          c->sent,
                          c->from_batch + c->from_ahead + c->alone,
                          c->from_batch,
                          c->from_ahead,
                          c->alone,
                          forwarded,
                          c->here,
                          c->in_ok + c->lateral_ok,
                          c->in_failed + c->lateral_failed,
                          c->checked,
                          c->differences,
                          c->would_fold,
                          c->would_ahead,
                          c->would_send};
    table_row(t);
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        table_int(t, v[i]);
    table_seconds(t, figures_saved(&e->figures));
    table_end_row(t);
}

static void put_shape(struct table *t, const struct shape *s) {
    char name[24];
    struct buf text = buf_make(4096);
    snprintf(name, sizeof name, "%016llx", (unsigned long long)shape_digest(s));
    table_text(t, name);
    redact_text(s->text, s->text_len, SHOWN_TEXT, &text);
    table_bytes(t, text.data ? (const char *)text.data : "", text.len);
    buf_free(&text);
}

static void shapes_rows(const struct engine *e, struct table *t) {
    unsigned left = SHOWS_SHAPES;
    for (const struct shape *s = e->shapes.newest; s && left; s = s->older) {
        const uint64_t *n = s->figures.answered;
        uint64_t sum = 0;
        for (int o = 0; o < OUTCOME_COUNT; o++)
            sum += n[o];
        if (!sum)
            continue;
        const uint64_t v[] = {sum,
                              n[OUTCOME_FOLDED],
                              n[OUTCOME_AHEAD],
                              n[OUTCOME_ALONE],
                              n[OUTCOME_FORWARDED],
                              s->figures.failed};
        table_row(t);
        put_shape(t, s);
        for (size_t i = 0; i < sizeof v / sizeof *v; i++)
            table_int(t, v[i]);
        table_seconds(t, s->figures.took);
        table_int(t, s->guard.folded);
        table_int(t, s->guard.lone ? s->guard.lone : s->guard.alone);
        table_int(t, s->figures.one);
        table_text(t, s->reason == REASON_NONE ? guard_state_name(&s->guard) : reason_name(s->reason));
        table_end_row(t);
        left--;
    }
}

static void reasons_rows(const struct engine *e, struct table *t) {
    for (int r = 1; r < REASON_COUNT; r++) {
        if (!e->counters.forwarded[r] && !e->counters.not_folded[r])
            continue;
        table_row(t);
        table_text(t, reason_name((enum reason)r));
        table_int(t, e->counters.forwarded[r]);
        table_int(t, e->counters.not_folded[r]);
        table_text(t, reason_text((enum reason)r));
        table_end_row(t);
    }
}

static void ahead_row(struct table *t, const struct shape *s, const struct association *a) {
    char list[24];
    const uint64_t v[] = {a->figures.batches, a->figures.loaded, a->figures.answered,
                          a->figures.unused,  a->figures.stale,  a->figures.with_list};
    table_row(t);
    put_shape(t, s);
    snprintf(list, sizeof list, "list %016llx", (unsigned long long)a->list);
    table_text(t, a->list ? list : NULL);
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        table_int(t, v[i]);
    table_end_row(t);
}

static void ahead_rows(const struct engine *e, struct table *t) {
    unsigned left = SHOWS_SHAPES;
    for (const struct shape *s = e->shapes.newest; s && left; s = s->older)
        for (unsigned i = 0; s->associations && i < ASSOCIATIONS && left; i++)
            if (s->associations[i].figures.loaded) {
                ahead_row(t, s, &s->associations[i]);
                left--;
            }
}

// ---- all

static void pair(struct table *t, const char *key, const char *value) {
    table_row(t);
    table_text(t, key);
    table_text(t, value);
    table_end_row(t);
}

bool shows_rows(enum console_show what, const struct shows_context *c, struct table *t) {
    switch (what) {
    case SHOW_STATS:
    case SHOW_STATS_TOTALS:
    case SHOW_STATS_AVERAGES:
        stats_rows(what, c, t);
        return true;
    case SHOW_TOTALS:
        totals_rows(c, t);
        return true;
    case SHOW_STATE: // of clients; see PAUSE FOLDING for what is paused here
        pair(t, "active", "yes");
        pair(t, "paused", "no");
        pair(t, "suspended", "no");
        pair(t, "folding_paused", c->paused ? "yes" : "no");
        return true;
    case SHOW_VERSION:
        table_row(t);
        table_text(t, c->version);
        table_end_row(t);
        return true;
    case SHOW_FOLDING:
        folding_row(c->engine, t);
        return true;
    case SHOW_SHAPES:
        shapes_rows(c->engine, t);
        return true;
    case SHOW_REASONS:
        reasons_rows(c->engine, t);
        return true;
    case SHOW_AHEAD:
        ahead_rows(c->engine, t);
        return true;
    case SHOW_LOOPS:
        report_loop_rows(c->engine, t);
        return true;
    case SHOW_TAGS:
        report_tag_rows(c->engine, t);
        return true;
    case SHOW_EXPECTATIONS:
        report_expectation_rows(c->engine, t);
        return true;
    default:
        return false;
    }
}

const char shows_help[] = "\n\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION|LISTS|STATE\n"
                          "\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS\n"
                          "\tSHOW FOLDING|SHAPES|REASONS|AHEAD|LOOPS|TAGS|EXPECTATIONS\n"
                          "\tSHOW … LIKE 'pattern'\n"
                          "\tEXPLAIN <statement>\n"
                          "\tSET section.key = value\n"
                          "\tRELOAD\n"
                          "\tPAUSE FOLDING\n"
                          "\tRESUME FOLDING\n"
                          "\tRESET STATS\n"
                          "\tKILL <client_id>\n"
                          "\tSHUTDOWN";
