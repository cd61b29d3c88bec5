// SPDX-License-Identifier: PostgreSQL
//
// Start, reload, drain, stop. Settings come from config/, the decisions from batching/; here the parts are
// put together and the loop is run.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "batching/flow/turn.h"
#include "batching/session/session_state.h"
#include "batching/talk/life.h"
#include "config/cmdline.h"
#include "proxy/cancel.h"
#include "proxy/console.h"
#include "proxy/counters.h"
#include "proxy/ending.h"
#include "proxy/explain.h"
#include "proxy/report_command.h"
#include "proxy/gate.h"
#include "proxy/health.h"
#include "proxy/http.h"
#include "proxy/listener.h"
#include "proxy/login.h"
#include "proxy/notify.h"
#include "proxy/pace.h"
#include "proxy/reach.h"
#include "proxy/relay.h"
#include "proxy/target.h"
#include "proxy/test.h"
#include "proxy/traffic.h"
#include "proxy/trim.h"

#define CONSOLE_OVERRIDES 64

// Settings that the console has set, until the next start; owned.
struct override_list {
    struct config_override of[CONSOLE_OVERRIDES];
    unsigned n;
};

struct application {
    struct proxy proxy; // what the parts share. The first member, so that its address is that of the whole
    struct override_list set;
    struct cancels cancels;
    struct gate gate;
    struct pace pace;
    struct reach reach;
    struct http *http; // NULL: there is none
    struct trim trim;
    uv_loop_t loop;
    struct cmdline cmdline;
    uv_timer_t tick;   // once a second: time-outs
    uv_prepare_t turn; // before the loop waits: batches go out, buffers are sent
    uv_poll_t alarm;   // a timerfd: windows and time-outs of batches, with microseconds
    int alarm_fd;
    uint64_t alarm_at; // when it rings; UINT64_MAX: never
    uv_signal_t on_term, on_int, on_hup, on_usr1;
    uint64_t drain_started; // microseconds
    struct test *test;      // pgfold test: the command; NULL: none
    int exit_code;
};

// Sets only the soft limit, so that "prlimit --core" can lift it for an investigation. PR_SET_DUMPABLE would
// also keep crashes from programs in kernel.core_pattern, but it would close /proc/PID to those who monitor
// pgfold. systemd-coredump and apport obey the limit.
static void limit_core_dumps(const struct config *c) {
    struct rlimit r;
    if (getrlimit(RLIMIT_CORE, &r) != 0)
        return;
    r.rlim_cur = c->core_dumps ? r.rlim_max : 0;
    setrlimit(RLIMIT_CORE, &r);
}

// ---- the loop's turn

static void arm_alarm(struct application *a) {
    struct proxy *p = &a->proxy;
    uint64_t at = engine_deadline(p->engine);
    if (p->partial && proxy_now() + SESSION_PARTIAL_WAIT < at)
        at = proxy_now() + SESSION_PARTIAL_WAIT;
    if (at >= a->alarm_at)
        return; // an alarm that comes too early costs less than setting it anew at every turn
    a->alarm_at = at;
    uint64_t now = proxy_now(), in = at > now ? at - now : 1;
    struct itimerspec t = {.it_value = {(time_t)(in / 1000000), (long)(in % 1000000) * 1000}};
    timerfd_settime(a->alarm_fd, 0, &t, NULL);
}

static void on_alarm(uv_poll_t *poll, int status, int events) {
    struct application *a = poll->data;
    uint64_t count;
    (void)status;
    (void)events;
    ssize_t ignored = read(a->alarm_fd, &count, sizeof count);
    (void)ignored;
    a->alarm_at = UINT64_MAX;
    traffic_check_partial(&a->proxy);
}

static void stop_if_drained(struct application *a);

// Before the loop waits: batches are made, and what they and this turn's events have put into buffers is
// sent.
static void on_turn(uv_prepare_t *prepare) {
    struct application *a = prepare->data;
    struct proxy *p = &a->proxy;
    if (p->told)
        stream_wipe_stack();
    p->told = false;
    gate_turn(p->gate);
    pace_turn(p->pace);
    do {
        traffic_flush_dirty(p);
        engine_turn(p->engine, proxy_now());
    } while (p->dirty);
    link_bury(p);
    arm_alarm(a);
    engine_sleeps(p->engine, proxy_now(), a->alarm_at);
    if (p->draining)
        stop_if_drained(a);
}

static bool login_is_late(const struct link *l, uint64_t now) {
    uint64_t limit =
        l->proxy->settings->config->login_timeout; // those in force now: a reload holds for old links, too
    return limit && l->state < LINK_READY && now > l->started + limit;
}

static void note_second(struct proxy *p, uint64_t now) {
    history_tick(&p->history, engine_counters(p->engine), engine_figures(p->engine)->since,
                 settings_observe(p->settings) && !p->paused, now);
}

static void on_tick(uv_timer_t *timer) {
    struct application *a = timer->data;
    struct proxy *p = &a->proxy;
    uint64_t now = proxy_now();
    cancel_tick(p, now);
    gate_tick(p->gate);
    pace_tick(p->pace);
    reach_tick(p->reach, now);
    shows_tick(&p->period, p->engine, now);
    note_second(p, now);
    http_tick(a->http);
    trim_tick(&a->trim, p->engine);
    log_tell_held(&p->log, false);
    notify_alive();
    for (struct link *l = p->links, *next; l; l = next) {
        next = l->next;
        ending_expire(l, now);
        if (l->state != LINK_CLOSED && login_is_late(l, now))
            link_refuse(l, "57014", "canceling authentication due to timeout",
                        "Raise login_timeout in pgfold's configuration if the log-in needs longer.");
    }
}

// ---- signals

static void stop(struct proxy *p, const char *why) {
    log_tell_held(&p->log, true);
    log_event(&p->log, LOG_LEVEL_INFO, 0, "%s", why);
    counters_log(p);
    uv_stop(p->loop);
}

// Idle clients are told to go, as PostgreSQL does at a fast shutdown. Busy ones may finish what they are at.
static void stop_if_drained(struct application *a) {
    struct proxy *p = &a->proxy;
    uint64_t limit = p->settings->config->drain_timeout, lasts = proxy_now() - a->drain_started;
    bool busy = false, late = limit && lasts > limit;
    for (struct link *l = p->links, *next; l; l = next) {
        next = l->next;
        if (!late && ending_is_busy(l, lasts))
            busy = true;
        else if (l->state == LINK_CONSOLE)
            continue; // to the end
        else if (l->state == LINK_READY &&
                 !session_is_inside_message(l->session)) // not into the middle of a message
            link_dismiss(l, "57P01", "terminating connection because pgfold is shutting down", NULL);
        else
            link_close(l);
    }
    link_bury(p);
    if (late || (!busy && !p->cancels->n))
        stop(p, "stopped");
}

static void drain(struct application *a, const char *why) {
    struct proxy *p = &a->proxy;
    log_event(&p->log, LOG_LEVEL_INFO, 0, "received %s, draining: %u clients; a second one stops at once",
              why, p->n_sessions);
    p->draining = true;
    a->drain_started = proxy_now();
    notify_stopping();
    listeners_close(p);
}

static void on_terminate(uv_signal_t *signal, int number) {
    struct application *a = signal->data;
    struct proxy *p = &a->proxy;
    if (a->test && test_takes_signal(a->test, number))
        return;
    if (p->draining) {
        stop(p, "stopped at once");
        return;
    }
    drain(a, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void print_note(void *arg, const char *note) {
    (void)arg;
    printf("note: %s\n", note);
}

static void log_note(void *arg, const char *note) {
    const struct proxy *p = arg;
    log_event(&p->log, LOG_LEVEL_WARNING, 0, "%s", note);
}

static void log_fact(void *arg, const char *fact) {
    const struct proxy *p = arg;
    log_event(&p->log, LOG_LEVEL_INFO, 0, "%s", fact);
}

static void report_change(void *arg, const char *key, const char *old_value, const char *new_value,
                          bool needs_restart) {
    const struct proxy *p = arg;
    bool may_hold_secret = strcmp(key, "pgfold.server") == 0;
    log_event(&p->log, LOG_LEVEL_INFO, 0, "%s changed from \"%s\" to \"%s\"%s", key,
              may_hold_secret ? "…" : old_value, may_hold_secret ? "…" : new_value,
              needs_restart ? ": takes effect at the next start" : "");
}

static void adopt_limits(struct proxy *p, const struct settings *s) {
    struct engine_limits limits = settings_engine_limits(s);
    limits.expect = p->expect;
    limits.observe |= p->paused;
    limits.dry &= !p->paused;
    limits.verify &= !p->paused;
    limits.lookahead = p->paused ? LOOKAHEAD_OFF : limits.lookahead;
    engine_set_limits(p->engine, &limits);
}

static void adopt(struct proxy *p, struct settings *s) {
    char server[512];
    config_diff(p->settings->config, s->config, report_change, p);
    if (strcmp(p->settings->config->server, s->config->server) != 0)
        log_event(&p->log, LOG_LEVEL_INFO, 0, "the server for new connections is %s",
                  target_describe(s->target, server, sizeof server));
    settings_tell_notes(s, log_note, p);
    adopt_limits(p, s); // before the old settings go: it points into them
    settings_unref(p->settings);
    p->settings = s;
    limit_core_dumps(s->config);
    p->log.level = s->config->log_level;
    p->log.json = s->config->log_json;
    p->log.repeats = (unsigned)s->config->log_repeats;
    for (struct link *l = p->links; l; l = l->next)
        link_adopt_limits(l, s->config);
}

// What a setting is for whose change takes a restart.
struct restart_search {
    const char *key;
    bool found;
};

static void note_restart(void *arg, const char *key, const char *old_value, const char *new_value,
                         bool needs_restart) {
    struct restart_search *r = arg;
    (void)old_value;
    (void)new_value;
    r->found |= needs_restart && strcmp(key, r->key) == 0;
}

static bool waits_for_restart(const struct proxy *p, const struct settings *s, const char *key, char *err,
                              size_t err_size) {
    struct restart_search r = {key, false};
    config_diff(p->settings->config, s->config, note_restart, &r);
    if (r.found)
        snprintf(err, err_size, "%s can be changed by a restart only", key);
    return r.found;
}

static void keep_override(struct override_list *all, struct config_override *at, const char *key,
                          const char *value) {
    char *k = strdup(key), *v = strdup(value);
    if (!k || !v) {
        free(k);
        free(v);
        return;
    }
    if (at < all->of + all->n) {
        free((char *)(uintptr_t)at->key);
        free((char *)(uintptr_t)at->value);
    } else {
        all->n++;
    }
    *at = (struct config_override){k, v, "the console"};
}

// The place of the key's override, or of a new one; NULL: there is none left.
static struct config_override *place_of(struct override_list *all, const char *key) {
    unsigned i = 0;
    while (i < all->n && strcmp(all->of[i].key, key) != 0)
        i++;
    return i < CONSOLE_OVERRIDES ? &all->of[i] : NULL;
}

// The settings of the command line, with the console's behind them, and one more.
static struct settings *read_settings(struct application *a, const char *key, const char *value, char *err,
                                      size_t err_size) {
    struct cmdline c = a->cmdline;
    size_t n = c.n_overrides;
    c.overrides = calloc(n + a->set.n + 1, sizeof *c.overrides);
    if (!c.overrides) {
        snprintf(err, err_size, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        c.overrides[i] = a->cmdline.overrides[i];
    for (unsigned i = 0; i < a->set.n; i++)
        c.overrides[n++] = a->set.of[i];
    if (key)
        c.overrides[n++] = (struct config_override){key, value, "the console"};
    c.n_overrides = n;
    struct settings *s = settings_create(&c, &a->proxy.log, err, err_size);
    free(c.overrides);
    return s;
}

static void notify_serving(const struct proxy *p, const char *more) {
    char status[600];
    snprintf(status, sizeof status, "Listening on %s%s", p->settings->config->listen, more);
    notify_ready(status);
}

static bool reload(struct proxy *p, const char *key, const char *value, char *err, size_t err_size) {
    struct application *a = (struct application *)p;
    struct config_override *at = key ? place_of(&a->set, key) : NULL;
    if (key && !at) {
        snprintf(err, err_size, "too many settings were set: RELOAD from a file instead");
        return false;
    }
    struct settings *s = read_settings(a, key, value, err, err_size);
    if (!s || (key && waits_for_restart(p, s, key, err, err_size))) {
        settings_unref(s);
        return false;
    }
    if (key)
        keep_override(&a->set, at, key, value);
    if (!key)
        log_event(&p->log, LOG_LEVEL_INFO, 0, "configuration reloaded");
    adopt(p, s);
    return true;
}

static void on_reload(uv_signal_t *signal, int number) {
    struct application *a = signal->data;
    struct proxy *p = &a->proxy;
    char err[1024] = "";
    (void)number;
    notify_reloading();
    bool done = reload(p, NULL, NULL, err, sizeof err);
    if (!done)
        log_event(&p->log, LOG_LEVEL_ERROR, 0, "configuration was not reloaded: %s", err);
    notify_serving(p, done ? "" : "; the last reload failed, see the log");
}

static void pause_folding(struct proxy *p, bool paused) {
    p->paused = paused;
    adopt_limits(p, p->settings);
}

static void shut_down(struct proxy *p) {
    if (!p->draining)
        drain((struct application *)p, "SHUTDOWN");
}

static const struct proxy_calls proxy_calls = {
    .reload = reload, .pause = pause_folding, .shut_down = shut_down};

static void on_report(uv_signal_t *signal, int number) {
    const struct application *a = signal->data;
    (void)number;
    counters_log(&a->proxy);
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
    unsigned long long wanted = 2ULL * (unsigned)p->settings->config->max_clients + 128 + GATE_KEEPS;
    if (r.rlim_max != RLIM_INFINITY && r.rlim_max < wanted)
        log_event(&p->log, LOG_LEVEL_WARNING, 0,
                  "max_clients of %d needs %llu file descriptors, but the limit is %llu: raise it (ulimit "
                  "-n, LimitNOFILE)",
                  p->settings->config->max_clients, wanted, (unsigned long long)r.rlim_max);
}

static void watch_signal(struct application *a, uv_signal_t *s, uv_signal_cb callback, int number) {
    uv_signal_init(&a->loop, s);
    s->data = a;
    uv_signal_start(s, callback, number);
}

static const struct gate_calls gate_calls = {
    .evict = login_evict,
    .is_at_server = login_is_at_server,
    .work = traffic_client_is_due,
    .listen = listeners_watch,
};

static void init_parts(struct application *a) {
    struct proxy *p = &a->proxy;
    p->gate = &a->gate;
    p->pace = &a->pace;
    p->cancels = &a->cancels;
    p->calls = &proxy_calls;
    p->reach = &a->reach;
    gate_init(p->gate, p, &gate_calls);
    pace_init(p->pace, p, login_connect);
    cancel_init(p->cancels, p);
    reach_init(p->reach, p);
    consoles_init(p);
}

static bool proxy_init(struct application *a) {
    struct proxy *p = &a->proxy;
    struct engine_limits limits = settings_engine_limits(p->settings);
    if (a->test)
        p->expect = test_expectation(a->test);
    limits.expect = p->expect;
    p->loop = &a->loop;
    p->engine = engine_create(&limits, &relay_effects, p);
    if (p->engine)
        figures_begin(&p->engine->figures, proxy_now());
    a->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    a->alarm_at = UINT64_MAX;
    p->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!p->engine || a->alarm_fd < 0)
        return false;
    note_second(p, proxy_now());
    uv_timer_init(&a->loop, &a->tick);
    a->tick.data = a;
    uv_timer_start(&a->tick, on_tick, 1000, 1000);
    init_parts(a);
    uv_prepare_init(&a->loop, &a->turn);
    a->turn.data = a;
    uv_prepare_start(&a->turn, on_turn);
    uv_poll_init(&a->loop, &a->alarm, a->alarm_fd);
    a->alarm.data = a;
    uv_poll_start(&a->alarm, UV_READABLE, on_alarm);
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
    p->draining = false;     // nothing is drained any more
    uv_timer_stop(&a->tick); // it looks after what is closed here
    listeners_close(p);
    http_close(a->http);
    a->http = NULL;
    reach_finish(p->reach);
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
    while (a->set.n--) {
        free((char *)(uintptr_t)a->set.of[a->set.n].key);
        free((char *)(uintptr_t)a->set.of[a->set.n].value);
    }
    close(a->alarm_fd);
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

// The command of pgfold test has ended.
static void on_command_ended(void *arg) {
    const struct application *a = arg;
    uv_stop(a->proxy.loop);
}

static void run_loop(struct application *a) {
    struct proxy *p = &a->proxy;
    if (!a->test || test_begin(a->test, &a->loop, p->engine, on_command_ended, a))
        uv_run(&a->loop, UV_RUN_DEFAULT);
    if (a->test)
        a->exit_code = test_end(a->test, p->engine);
}

static void tell_start(struct proxy *p) {
    const struct config *c = p->settings->config;
    char server[512];
    log_event(&p->log, LOG_LEVEL_INFO, 0, "pgfold %s listening on %s, mode %s, server %s", PGFOLD_VERSION,
              c->listen, mode_names[c->mode], target_describe(p->settings->target, server, sizeof server));
    config_beaten(c, log_fact, p);
    settings_tell_notes(p->settings, log_note, p);
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
    } else if (!http_open(&a->http, p, p->settings->config->http_listen, err, sizeof err)) {
        fprintf(stderr, "pgfold: %s\n", err);
        a->exit_code = 1;
    } else {
        tell_start(p);
        notify_serving(p, "");
        run_loop(a);
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
        config_beaten(c, print_note, NULL);
        settings_tell_notes(a->proxy.settings, print_note, NULL);
        settings_unref(a->proxy.settings);
        return 0;
    }
    return run(a);
}

// If a standard descriptor were closed, the next socket would get its number, and the log would go to a
// client.
static void fill_standard_descriptors(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

// What `pgfold` does with its own options.
static int start_as(struct application *a, int argc, char **argv, char **envp) {
    char err[1024] = "";
    if (!cmdline_read(argc, argv, envp, &a->cmdline, err, sizeof err)) {
        fprintf(stderr, "pgfold: %s\n", err);
        return 2;
    }
    int code;
    if (a->cmdline.action == CMDLINE_VERSION)
        code = printf("pgfold %s\n", PGFOLD_VERSION) < 0;
    else if (a->cmdline.action == CMDLINE_HELP)
        code = fputs(cmdline_help, stdout) < 0;
    else
        code = start(a);
    cmdline_free(&a->cmdline);
    return code;
}

// What `pgfold test` does: the same with options of its own.
static int start_test(struct application *a, int argc, char **argv, char **envp) {
    int code, n = 0;
    a->test = test_create(argc, argv, envp, &code);
    if (!a->test)
        return code;
    char **arguments = test_arguments(a->test, &n);
    code = start_as(a, n, arguments, envp);
    test_destroy(a->test);
    return code;
}

int main(int argc, char **argv, char **envp) {
    fill_standard_descriptors();
    if (argc > 1 && strcmp(argv[1], "explain") == 0)
        return explain_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "report") == 0)
        return report_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "healthcheck") == 0)
        return health_main(argc - 1, argv + 1, envp);
    struct application *a = calloc(1, sizeof *a);
    if (!a) {
        fputs("pgfold: out of memory\n", stderr);
        return 1;
    }
    int code = argc > 1 && strcmp(argv[1], "test") == 0 ? start_test(a, argc - 1, argv + 1, envp)
                                                        : start_as(a, argc, argv, envp);
    free(a);
    return code;
}
