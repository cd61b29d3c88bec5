// SPDX-License-Identifier: PostgreSQL
//
// Start, reload, drain, stop. Settings come from config/, the decisions from batching/; here the parts are
// put together and the loop is run.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "batching/statement/redact.h"
#include "batching/flow/turn.h"
#include "batching/session/engine.h"
#include "config/cmdline.h"
#include "proxy/explain.h"
#include "proxy/link.h"
#include "proxy/listener.h"

#include <openssl/ssl.h>

#define PARTIAL_CHECK 5000 // microseconds after which a unit without its rest is looked at again

struct application {
    struct proxy proxy;
    uv_loop_t loop;
    struct cmdline cmdline;
    uv_signal_t on_term, on_int, on_hup, on_usr1;
    uint64_t drain_started;
    int exit_code;
};

// ---- settings

struct settings *settings_ref(struct settings *s) {
    s->refs++;
    return s;
}

void settings_unref(struct settings *s) {
    if (!s || --s->refs)
        return;
    target_destroy(s->target);
    SSL_CTX_free(s->client_tls);
    free(s->ahead_off);
    config_destroy(s->config);
    free(s);
}

// The whole file as text; NULL with a message.
static char *read_file(const char *path, char *err, size_t err_size) {
    FILE *f = fopen(path, "re");
    if (!f) {
        snprintf(err, err_size, "could not open configuration file \"%s\": %s", path, strerror(errno));
        return NULL;
    }
    enum { LIMIT = 1 << 20 };
    char *text = malloc(LIMIT + 1);
    size_t n = text ? fread(text, 1, LIMIT + 1, f) : 0;
    bool bad = !text || ferror(f) || n > LIMIT;
    if (bad)
        snprintf(err, err_size, "could not read configuration file \"%s\": %s", path,
                 n > LIMIT ? "it is larger than 1 MB" : strerror(errno));
    fclose(f);
    if (bad) {
        free(text);
        return NULL;
    }
    text[n] = 0;
    return text;
}

static struct config *read_config(const struct cmdline *c, char *err, size_t err_size) {
    char *text = NULL;
    if (c->config_file && !(text = read_file(c->config_file, err, err_size)))
        return NULL;
    struct config *config = config_create(text, c->config_file, c->overrides, c->n_overrides, err, err_size);
    free(text);
    return config;
}

// The tables that are switched off, as the engine wants them.
static bool list_tables(struct settings *s, char *err, size_t err_size) {
    if (s->config->n_tables == 0)
        return true;
    s->ahead_off = calloc(s->config->n_tables, sizeof *s->ahead_off);
    if (!s->ahead_off) {
        snprintf(err, err_size, "out of memory");
        return false;
    }
    for (const struct config_table *t = s->config->tables; t; t = t->next)
        if (!t->lookahead)
            s->ahead_off[s->n_ahead_off++] = (struct table_name){t->schema, t->name};
    return true;
}

static struct ssl_ctx_st *create_client_tls(const struct config *c, char *err, size_t err_size) {
    const struct client_tls_settings set = {.cert = c->client_tls_cert,
                                            .key = c->client_tls_key,
                                            .min_version = c->client_tls_min_version,
                                            .ciphers = c->client_tls_ciphers};
    return client_tls_create(&set, err, err_size);
}

static struct settings *settings_create(const struct cmdline *c, const struct log *log, char *err,
                                        size_t err_size) {
    char ignored[512] = "";
    struct settings *s = calloc(1, sizeof *s);
    if (!s) {
        snprintf(err, err_size, "out of memory");
        return NULL;
    }
    s->refs = 1;
    s->config = read_config(c, err, err_size);
    if (s->config && list_tables(s, err, err_size) && listeners_check(s->config->listen, err, err_size))
        s->target = target_create(s->config->server, ignored, sizeof ignored, err, err_size);
    bool tls = s->config && s->config->client_tls != CLIENT_TLS_DISABLE;
    if (s->target && tls)
        s->client_tls = create_client_tls(s->config, err, err_size);
    if (!s->target || (tls && !s->client_tls)) {
        if (s->config)
            config_add_origin(s->config, err, err_size);
        settings_unref(s);
        return NULL;
    }
    if (ignored[0])
        log_event(log, LOG_LEVEL_WARNING, 0,
                  "ignored in pgfold.server, since clients log in with their own: %s", ignored);
    return s;
}

static enum lookahead_mode lookahead_of(const struct config *c) {
    static const enum lookahead_mode modes[] = {[LOOKAHEAD_MODE_OFF] = LOOKAHEAD_OFF,
                                                [LOOKAHEAD_MODE_SNAPSHOT] = LOOKAHEAD_SNAPSHOT,
                                                [LOOKAHEAD_MODE_BOUNDED] = LOOKAHEAD_BOUNDED};
    return c->mode == MODE_FOLD ? modes[c->lookahead] : LOOKAHEAD_OFF;
}

// Points into the settings.
static struct engine_limits engine_limits_of(const struct settings *s) {
    const struct config *c = s->config;
    return (struct engine_limits){
        .observe = c->mode == MODE_OBSERVE,
        .window = c->window,
        .max_keys = (unsigned)c->max_keys,
        .max_in_flight = (unsigned)c->max_in_flight,
        .max_waiting = (unsigned)c->max_waiting,
        .max_shapes = (unsigned)c->max_shapes,
        .max_groups = (unsigned)c->max_groups,
        .max_statements = (unsigned)c->max_statements,
        .max_answer = c->max_answer,
        .max_text = c->max_text,
        .timeout = c->timeout,
        .patience = c->patience,
        .vet_max_age = c->vet_max_age,
        .parse_budget = c->parse_budget,
        .verify = c->mode == MODE_VERIFY,
        .never_slower = c->never_slower,
        .check_one_in = (unsigned)c->check_one_in,
        .lookahead = lookahead_of(c),
        .ahead_gap = c->ahead_gap,
        .ahead_age = c->ahead_age,
        .ahead_keys = (unsigned)c->ahead_keys,
        .ahead_session = c->ahead_session,
        .ahead_memory = c->ahead_memory,
        .max_session = c->max_session_memory,
        .max_memory = c->max_memory,
        .ahead_off = s->ahead_off,
        .n_ahead_off = s->n_ahead_off,
    };
}

// The soft limit alone, so that "prlimit --core" can lift it for an investigation. PR_SET_DUMPABLE would keep
// crashes from programs in kernel.core_pattern, too, but takes /proc/PID from those who watch over pgfold;
// systemd-coredump and apport go by the limit.
static void limit_core_dumps(const struct config *c) {
    struct rlimit r;
    if (getrlimit(RLIMIT_CORE, &r) != 0)
        return;
    r.rlim_cur = c->core_dumps ? r.rlim_max : 0;
    setrlimit(RLIMIT_CORE, &r);
}

// ---- the loop's turn

static void arm_alarm(struct proxy *p) {
    uint64_t at = engine_deadline(p->engine);
    if (p->partial && proxy_now() + PARTIAL_CHECK < at)
        at = proxy_now() + PARTIAL_CHECK;
    if (at >= p->alarm_at)
        return; // an alarm that turns out to be early costs less than setting it anew at every turn
    p->alarm_at = at;
    uint64_t now = proxy_now(), in = at > now ? at - now : 1;
    struct itimerspec t = {.it_value = {(time_t)(in / 1000000), (long)(in % 1000000) * 1000}};
    timerfd_settime(p->alarm_fd, 0, &t, NULL);
}

static void on_alarm(uv_poll_t *poll, int status, int events) {
    struct proxy *p = poll->data;
    uint64_t count;
    (void)status;
    (void)events;
    ssize_t ignored = read(p->alarm_fd, &count, sizeof count);
    (void)ignored;
    p->alarm_at = UINT64_MAX;
    link_check_partial(p);
}

static void stop_if_drained(struct proxy *p);

// Before the loop waits: batches are made, and what they and this turn's events have put into buffers is
// sent.
static void on_turn(uv_prepare_t *prepare) {
    struct proxy *p = prepare->data;
    gate_turn(p);
    pace_turn(p);
    do {
        link_flush_dirty(p);
        engine_turn(p->engine, proxy_now());
    } while (p->dirty);
    link_bury(p);
    arm_alarm(p);
    engine_sleeps(p->engine, proxy_now(), p->alarm_at);
    if (p->draining)
        stop_if_drained(p);
}

static bool login_is_late(const struct link *l, uint64_t now) {
    uint64_t limit = l->proxy->settings->config->login_timeout; // a reload is for those that are here, too
    return limit && l->state < LINK_READY && now > l->started + limit;
}

static void on_tick(uv_timer_t *timer) {
    struct proxy *p = timer->data;
    uint64_t now = proxy_now();
    cancel_tick(p, now);
    gate_tick(p);
    pace_tick(p);
    trim_tick(p);
    log_tell_held(&p->log, false);
    for (struct link *l = p->links, *next; l; l = next) {
        next = l->next;
        link_expire(l, now);
        if (l->state != LINK_CLOSED && login_is_late(l, now))
            link_refuse(l, "57014", "canceling authentication due to timeout",
                        "Raise login_timeout in pgfold's configuration if the log-in needs longer.");
    }
}

// ---- signals

#define REPORTED_SHAPES 50 // those used last

static void log_shapes(const struct proxy *p) {
    unsigned left = REPORTED_SHAPES;
    for (struct shape *s = p->engine->shapes.newest; s && left; s = s->older) {
        const struct guard *g = &s->guard;
        if (!g->n_folded)
            continue;
        struct buf text = buf_make(1024);
        redact_text(s->text, s->text_len, 400, &text);
        log_event(
            &p->log, LOG_LEVEL_INFO, 0,
            "shape %016llx: %llu folded, %llu as sent; microseconds until the answer: %u folded, %u as sent "
            "in company, %u alone; %s: %.*s",
            (unsigned long long)shape_digest(s), (unsigned long long)g->n_folded,
            (unsigned long long)g->n_alone, g->folded, g->alone, g->lone, guard_state_name(g), (int)text.len,
            text.data ? (const char *)text.data : "");
        buf_free(&text);
        left--;
    }
}

// In keys: how many were of use, and how many were loaded for nothing.
static void log_lookahead(const struct proxy *p, const struct engine_counters *c) {
    log_event(&p->log, LOG_LEVEL_INFO, 0,
              "looked ahead: %llu keys in %llu batches, answered %llu, never asked for %llu, stale %llu",
              (unsigned long long)c->ahead_keys, (unsigned long long)c->ahead_batches,
              (unsigned long long)c->ahead_answers, (unsigned long long)c->ahead_unused,
              (unsigned long long)c->ahead_stale);
}

// In bytes, as batching/memory.h counts them.
static void log_memory(const struct proxy *p) {
    const struct engine *e = p->engine;
    size_t caches = e->shapes.memory.used + e->groups.memory.used + e->identities.memory.used;
    log_event(
        &p->log, LOG_LEVEL_INFO, 0,
        "memory: %zu bytes of at most %zu, peak %zu; statements %zu, groups %zu, identities %zu, sessions "
        "%zu; held back %llu times, forwarded for it %llu, miscounted %llu",
        e->memory.used, e->memory.limit, e->memory.peak, e->shapes.memory.used, e->groups.memory.used,
        e->identities.memory.used, e->memory.used - caches, (unsigned long long)e->counters.held_back,
        (unsigned long long)e->counters.forwarded[REASON_MEMORY], (unsigned long long)e->counters.miscounted);
}

static void log_own(const struct proxy *p) {
    log_event(&p->log, LOG_LEVEL_INFO, 0, "log lines lost %llu, not repeated %llu",
              (unsigned long long)log_writer_lost(p->log.writer),
              (unsigned long long)(p->log.limit ? p->log.limit->total : 0));
    log_event(&p->log, LOG_LEVEL_INFO, 0, "cancel requests relayed %llu, joined %llu, with a wrong key %llu",
              (unsigned long long)p->cancel.relayed, (unsigned long long)p->cancel.joined,
              (unsigned long long)p->cancel.guesses.total);
}

static void log_counters(struct proxy *p) {
    const struct engine_counters *c = &p->engine->counters;
    log_event(
        &p->log, LOG_LEVEL_INFO, 0,
        "clients %u, accepted %llu, refused %llu, lookups %llu, folded %llu in %llu batches of %llu keys, "
        "alone %llu, failed batches %llu, not waited for %llu, would fold %llu%s, vettings %llu, proofs "
        "%llu, "
        "prepared here %llu, "
        "checked %llu, differences %llu, not decided %llu",
        p->n_sessions, (unsigned long long)p->accepted, (unsigned long long)p->refused,
        (unsigned long long)c->lookups, (unsigned long long)c->folded, (unsigned long long)c->batches,
        (unsigned long long)c->batch_keys, (unsigned long long)c->alone, (unsigned long long)c->failed,
        (unsigned long long)c->late, (unsigned long long)c->would_fold,
        p->settings->config->mode == MODE_OBSERVE ? " (loops are not judged)" : "",
        (unsigned long long)c->vets, (unsigned long long)c->proofs, (unsigned long long)c->lazy,
        (unsigned long long)c->checked, (unsigned long long)c->differences,
        (unsigned long long)c->check_changed);
    log_own(p);
    log_lookahead(p, c);
    log_memory(p);
    for (int r = 0; r < REASON_COUNT; r++)
        if (c->forwarded[r])
            log_event(&p->log, LOG_LEVEL_INFO, 0, "forwarded %llu: %s (%s)",
                      (unsigned long long)c->forwarded[r], reason_name((enum reason)r),
                      reason_text((enum reason)r));
    log_shapes(p);
}

static void stop(struct proxy *p, const char *why) {
    log_tell_held(&p->log, true);
    log_event(&p->log, LOG_LEVEL_INFO, 0, "%s", why);
    log_counters(p);
    uv_stop(p->loop);
}

// Idle clients are told to go, as PostgreSQL does at a fast shutdown; busy ones may end what they are at.
static void stop_if_drained(struct proxy *p) {
    const struct application *a = (const struct application *)p;
    uint64_t limit = p->settings->config->drain_timeout, lasts = proxy_now() - a->drain_started;
    bool busy = false, late = limit && lasts > limit;
    for (struct link *l = p->links, *next; l; l = next) {
        next = l->next;
        if (!late && link_is_busy(l, lasts))
            busy = true;
        else if (l->state == LINK_READY && !l->session->server_skip) // not into the middle of a message
            link_dismiss(l, "57P01", "terminating connection because pgfold is shutting down", NULL);
        else
            link_close(l);
    }
    link_bury(p);
    if (late || (!busy && !p->cancel.n))
        stop(p, "stopped");
}

static void on_terminate(uv_signal_t *signal, int number) {
    struct proxy *p = signal->data;
    struct application *a = (struct application *)p;
    if (p->draining) {
        stop(p, "stopped at once");
        return;
    }
    log_event(&p->log, LOG_LEVEL_INFO, 0, "received %s, draining: %u clients; a second one stops at once",
              number == SIGTERM ? "SIGTERM" : "SIGINT", p->n_sessions);
    p->draining = true;
    a->drain_started = proxy_now();
    listeners_close(p);
}

static void print_note(void *arg, const char *note) {
    (void)arg;
    printf("note: %s\n", note);
}

static void log_note(void *arg, const char *note) {
    const struct proxy *p = arg;
    log_event(&p->log, LOG_LEVEL_WARNING, 0, "%s", note);
}

static void tell_notes(const struct settings *s, void (*report)(void *arg, const char *note), void *arg) {
    config_notes(s->config, report, arg);
    if (s->client_tls && client_tls_lacks_ciphers(s->client_tls))
        report(arg,
               "pgfold.client_tls_min_version is below TLSv1.2, but pgfold.client_tls_ciphers has no cipher "
               "for such versions; add some, for example ALL:@SECLEVEL=0, or set it to TLSv1.2");
}

static void report_change(void *arg, const char *key, const char *old_value, const char *new_value,
                          bool needs_restart) {
    const struct proxy *p = arg;
    bool may_hold_secret = strcmp(key, "pgfold.server") == 0;
    log_event(&p->log, LOG_LEVEL_INFO, 0, "%s changed from \"%s\" to \"%s\"%s", key,
              may_hold_secret ? "…" : old_value, may_hold_secret ? "…" : new_value,
              needs_restart ? ": takes effect at the next start" : "");
}

static void on_reload(uv_signal_t *signal, int number) {
    struct application *a = signal->data;
    struct proxy *p = &a->proxy;
    char err[1024] = "";
    (void)number;
    struct settings *s = settings_create(&a->cmdline, &p->log, err, sizeof err);
    if (!s) {
        log_event(&p->log, LOG_LEVEL_ERROR, 0, "configuration was not reloaded: %s", err);
        return;
    }
    log_event(&p->log, LOG_LEVEL_INFO, 0, "configuration reloaded");
    config_diff(p->settings->config, s->config, report_change, p);
    tell_notes(s, log_note, p);
    struct engine_limits limits = engine_limits_of(s);
    engine_set_limits(p->engine, &limits); // before the old settings go: it points into them
    settings_unref(p->settings);
    p->settings = s;
    limit_core_dumps(s->config);
    p->log.level = s->config->log_level;
    p->log.json = s->config->log_json;
    p->log.repeats = (unsigned)s->config->log_repeats;
    for (struct link *l = p->links; l; l = l->next)
        link_adopt_limits(l, s->config);
}

static void on_report(uv_signal_t *signal, int number) {
    (void)number;
    log_counters(signal->data);
}

// ---- start and end

static void warn_of_root(const struct proxy *p) {
    if (geteuid() == 0)
        log_event(&p->log, LOG_LEVEL_WARNING, 0,
                  "pgfold runs as root, which it has no need of: start it as a user of its own");
}

static void raise_descriptor_limit(const struct proxy *p) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    unsigned long long wanted = 2ULL * (unsigned)p->settings->config->max_clients + 32 + GATE_KEEPS;
    if (r.rlim_max != RLIM_INFINITY && r.rlim_max < wanted)
        log_event(&p->log, LOG_LEVEL_WARNING, 0,
                  "max_clients of %d needs %llu file descriptors, but the limit is %llu: raise it (ulimit "
                  "-n, LimitNOFILE)",
                  p->settings->config->max_clients, wanted, (unsigned long long)r.rlim_max);
}

static void watch_signal(struct application *a, uv_signal_t *s, uv_signal_cb callback, int number) {
    uv_signal_init(&a->loop, s);
    s->data = a; // the proxy is its first member
    uv_signal_start(s, callback, number);
}

static bool proxy_init(struct application *a) {
    struct proxy *p = &a->proxy;
    struct engine_limits limits = engine_limits_of(p->settings);
    p->loop = &a->loop;
    p->engine = engine_create(&limits, &relay_effects, p);
    p->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    p->alarm_at = UINT64_MAX;
    p->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!p->engine || p->alarm_fd < 0)
        return false;
    uv_timer_init(&a->loop, &p->tick);
    p->tick.data = p;
    uv_timer_start(&p->tick, on_tick, 1000, 1000);
    gate_init(p);
    pace_init(p);
    cancel_init(p);
    uv_prepare_init(&a->loop, &p->turn);
    p->turn.data = p;
    uv_prepare_start(&p->turn, on_turn);
    uv_poll_init(&a->loop, &p->alarm, p->alarm_fd);
    p->alarm.data = p;
    uv_poll_start(&p->alarm, UV_READABLE, on_alarm);
    watch_signal(a, &a->on_term, on_terminate, SIGTERM);
    watch_signal(a, &a->on_int, on_terminate, SIGINT);
    watch_signal(a, &a->on_hup, on_reload, SIGHUP);
    watch_signal(a, &a->on_usr1, on_report, SIGUSR1);
    return true;
}

static void close_handle(uv_handle_t *handle, void *arg) {
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void proxy_finish(struct application *a) {
    struct proxy *p = &a->proxy;
    p->draining = false; // nothing is drained any more
    listeners_close(p);
    while (p->links)
        link_close(p->links);
    cancel_close_all(p);
    link_bury(p);
    uv_run(&a->loop, UV_RUN_NOWAIT); // connectors that were cancelled give their handles back
    uv_walk(&a->loop, close_handle, NULL);
    while (uv_run(&a->loop, UV_RUN_DEFAULT))
        ;
    uv_loop_close(&a->loop);
    engine_destroy(p->engine);
    settings_unref(p->settings);
    close(p->alarm_fd);
    if (p->spare_fd >= 0)
        close(p->spare_fd);
}

static const char *const mode_names[] = {
    [MODE_FOLD] = "fold", [MODE_OBSERVE] = "observe", [MODE_VERIFY] = "verify"};

static void stop_log(struct proxy *p) {
    log_writer_destroy(p->log.writer);
    free(p->log.limit);
    p->log = (struct log){0};
}

static int run(struct application *a) {
    struct proxy *p = &a->proxy;
    char err[1024] = "";
    trim_start();
    p->log.writer = log_writer_create();
    p->log.limit = calloc(1, sizeof *p->log.limit);
    limit_core_dumps(p->settings->config);
    warn_of_root(p);
    raise_descriptor_limit(p);
    uv_loop_init(&a->loop);
    if (!proxy_init(a)) {
        fprintf(stderr, "pgfold: out of memory or file descriptors\n");
        stop_log(p);
        return 1;
    }
    if (!listeners_open(p, p->settings->config->listen, err, sizeof err)) {
        fprintf(stderr, "pgfold: %s\n", err);
        a->exit_code = 1;
    } else {
        log_event(&p->log, LOG_LEVEL_INFO, 0, "pgfold %s listening on %s, mode %s", PGFOLD_VERSION,
                  p->settings->config->listen, mode_names[p->settings->config->mode]);
        tell_notes(p->settings, log_note, p);
        uv_run(&a->loop, UV_RUN_DEFAULT);
    }
    proxy_finish(a);
    stop_log(p);
    return a->exit_code;
}

static int start(struct application *a) {
    char err[1024] = "";
    signal(SIGPIPE, SIG_IGN);
    struct log log = {.level = LOG_LEVEL_INFO};
    a->proxy.settings = settings_create(&a->cmdline, &log, err, sizeof err);
    if (!a->proxy.settings) {
        fprintf(stderr, "pgfold: %s\n", err);
        return 1;
    }
    const struct config *c = a->proxy.settings->config;
    a->proxy.log =
        (struct log){.level = c->log_level, .json = c->log_json, .repeats = (unsigned)c->log_repeats};
    if (a->cmdline.action == CMDLINE_CHECK_CONFIG) {
        printf("configuration is valid\n");
        tell_notes(a->proxy.settings, print_note, NULL);
        settings_unref(a->proxy.settings);
        return 0;
    }
    return run(a);
}

// A standard descriptor that is closed would be the next socket's, and the log be written to a client.
static void fill_standard_descriptors(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv, char **envp) {
    char err[1024] = "";
    fill_standard_descriptors();
    if (argc > 1 && strcmp(argv[1], "explain") == 0)
        return explain_main(argc - 1, argv + 1);
    struct application *a = calloc(1, sizeof *a);
    int code = 1;
    if (!a || !cmdline_read(argc, argv, envp, &a->cmdline, err, sizeof err)) {
        fprintf(stderr, "pgfold: %s\n", a ? err : "out of memory");
        free(a);
        return 2;
    }
    if (a->cmdline.action == CMDLINE_VERSION)
        code = printf("pgfold %s\n", PGFOLD_VERSION) < 0;
    else if (a->cmdline.action == CMDLINE_HELP)
        code = fputs(cmdline_help, stdout) < 0;
    else
        code = start(a);
    cmdline_free(&a->cmdline);
    free(a);
    return code;
}
