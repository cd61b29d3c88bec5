// SPDX-License-Identifier: PostgreSQL
//
// The command line and environment: what they become, who wins, messages word for word, and what is left when
// the allocation fails. Link with -Wl,--wrap=malloc,--wrap=calloc.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/cmdline.h"

static int allocations_left = -1; // -1: all succeed

// Weak, so that the file links without the flags, too: then only the tests of allocations fail.
void *__real_malloc(size_t size) __attribute__((weak));
void *__real_calloc(size_t count, size_t size) __attribute__((weak));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool allocation_fails(void) {
    if (allocations_left > 0)
        allocations_left--;
    return allocations_left == 0;
}

void *__wrap_malloc(size_t size) {
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

#define MAX_ARGS 8

// Flags without the program's name and variables, each list ended by NULL.
struct input {
    char *args[MAX_ARGS];
    char *env[MAX_ARGS];
};

static bool read_input(const struct input *in, struct cmdline *out, char *err, size_t err_size) {
    char *argv[MAX_ARGS + 2] = {(char[]){"pgfold"}};
    int argc = 1;

    for (; argc <= MAX_ARGS && in->args[argc - 1]; argc++)
        argv[argc] = in->args[argc - 1];
    return cmdline_read(argc, argv, in->env, out, err, err_size);
}

// Everything that was read, on one line.
static void describe(const struct cmdline *c, char *text, size_t size) {
    static const char *const actions[] = {"run", "check", "version", "help"};
    int used = snprintf(text, size, "%s", actions[c->action]);

    if (c->config_file)
        used += snprintf(text + used, size - (size_t)used, " file=%s", c->config_file);
    for (size_t i = 0; i < c->n_overrides; i++)
        used += snprintf(text + used, size - (size_t)used, " | %s: %s=%s", c->overrides[i].origin,
                         c->overrides[i].key, c->overrides[i].value);
}

static const struct {
    struct input in;
    const char *result;
} accepted[] = {
    {{{NULL}, {NULL}}, "run"},
    {{{NULL}, {"PATH=/bin", "PGHOST=x", "PGFOLDER=x", NULL}}, "run"},
    // The file.
    {{{"-c", "a.ini", NULL}, {NULL}}, "run file=a.ini"},
    {{{"--config", "a.ini", NULL}, {NULL}}, "run file=a.ini"},
    {{{"--config=a=b.ini", NULL}, {NULL}}, "run file=a=b.ini"},
    {{{"-c", "a.ini", "-c", "b.ini", NULL}, {NULL}}, "run file=b.ini"},
    {{{NULL}, {"PGFOLD_CONFIG=e.ini", NULL}}, "run file=e.ini"},
    {{{"-c", "a.ini", NULL}, {"PGFOLD_CONFIG=e.ini", NULL}}, "run file=a.ini"},
    // Flags, with the value behind a blank or an equals sign.
    {{{"--listen", ":1", NULL}, {NULL}}, "run | --listen: pgfold.listen=:1"},
    {{{"--listen=:1", NULL}, {NULL}}, "run | --listen: pgfold.listen=:1"},
    {{{"--server=host=a port=1", NULL}, {NULL}}, "run | --server: pgfold.server=host=a port=1"},
    {{{"--server", "host=a port=1", NULL}, {NULL}}, "run | --server: pgfold.server=host=a port=1"},
    {{{"--mode", "observe", "--log-level=debug", NULL}, {NULL}},
     "run | --mode: pgfold.mode=observe | --log-level: pgfold.log_level=debug"},
    {{{"--listen", "--server", NULL}, {NULL}}, "run | --listen: pgfold.listen=--server"},
    {{{"--listen=", NULL}, {NULL}}, "run | --listen: pgfold.listen="},
    {{{"--set", "batching.window=1ms", NULL}, {NULL}}, "run | --set: batching.window=1ms"},
    {{{"--set", "table public.\"a=b\".lookahead=off", NULL}, {NULL}},
     "run | --set: table public.\"a=b\".lookahead=off"},
    {{{"--set=pgfold.server=host=a", NULL}, {NULL}}, "run | --set: pgfold.server=host=a"},
    {{{"--set", "pgfold.client_tls_key=", NULL}, {NULL}}, "run | --set: pgfold.client_tls_key="},
    {{{"--set", "a.b=1", "--listen", ":1", "--set", "a.b=2", NULL}, {NULL}},
     "run | --set: a.b=1 | --listen: pgfold.listen=:1 | --set: a.b=2"},
    // The environment, before the flags.
    {{{NULL}, {"PGFOLD_SERVER=host=a", "PGFOLD_BATCHING_WINDOW=1ms", NULL}},
     "run | PGFOLD_SERVER: pgfold.server=host=a | PGFOLD_BATCHING_WINDOW: batching.window=1ms"},
    {{{NULL}, {"PGFOLD_CLIENT_TLS_CERT=/c", "PGFOLD_LOOKAHEAD_MODE=off", "PGFOLD_MODE=fold", NULL}},
     "run | PGFOLD_CLIENT_TLS_CERT: pgfold.client_tls_cert=/c | PGFOLD_LOOKAHEAD_MODE: "
     "lookahead.mode=off | "
     "PGFOLD_MODE: pgfold.mode=fold"},
    {{{"--listen", ":2", "-c", "f", NULL},
      {"X=1", "PGFOLD_LISTEN=:1", "PGFOLD_CONFIG=e", "PGFOLD_MODE=fold", NULL}},
     "run file=f | PGFOLD_LISTEN: pgfold.listen=:1 | PGFOLD_MODE: pgfold.mode=fold | --listen: "
     "pgfold.listen=:2"},
    {{{NULL}, {"PGFOLD_LISTEN=", NULL}}, "run | PGFOLD_LISTEN: pgfold.listen="},
    // Actions. Help and version answer whatever the environment holds.
    {{{"--check-config", "--listen", ":1", NULL}, {NULL}}, "check | --listen: pgfold.listen=:1"},
    {{{"--version", NULL}, {"PGFOLD_WRONG=1", NULL}}, "version"},
    {{{"--listen", ":1", "--help", NULL}, {"PGFOLD_WRONG=1", "PGFOLD_MODE=fold", NULL}}, "help"},
    {{{"--help", "--check-config", NULL}, {NULL}}, "help"},
};

Test(cmdline, accepted) {
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        char err[512] = "", text[1024];
        struct cmdline c;
        cr_assert(read_input(&accepted[i].in, &c, err, sizeof(err)), "%s refused: %s", accepted[i].result,
                  err);
        describe(&c, text, sizeof(text));
        cr_expect_str_eq(text, accepted[i].result);
        cmdline_free(&c);
        cr_expect_null(c.memory);
        cmdline_free(&c);
    }
}

// NULL: the message is of no matter.
static const struct {
    struct input in;
    const char *message;
} refused[] = {
    {{{"--lisen", ":1", NULL}, {NULL}},
     "unknown option \"--lisen\"; the nearest known one is --listen, and --help shows all"},
    {{{"--loglevel=debug", NULL}, {NULL}},
     "unknown option \"--loglevel\"; the nearest known one is --log-level, and --help shows all"},
    {{{"-H", NULL}, {NULL}}, "unknown option \"-H\"; --help shows all"},
    {{{"--max-keys=5", NULL}, {NULL}}, "unknown option \"--max-keys\"; write --set batching.max_keys=VALUE"},
    {{{"--window", "1ms", NULL}, {NULL}}, "unknown option \"--window\"; write --set batching.window=VALUE"},
    {{{"explan", NULL}, {NULL}},
     "unknown command \"explan\"; the nearest known one is pgfold explain, see --help"},
    {{{"tset", NULL}, {NULL}}, "unknown command \"tset\"; the nearest known one is pgfold test, see --help"},
    {{{"-c", "a.ini", "explain", NULL}, {NULL}},
     "\"explain\" must be the first argument: pgfold explain …, see pgfold explain --help"},
    {{{"--port=1", NULL}, {NULL}}, "unknown option \"--port\"; --help shows all"},
    {{{"-ca.ini", NULL}, {NULL}}, NULL},
    {{{"-c=a.ini", NULL}, {NULL}}, NULL},
    {{{"--", NULL}, {NULL}}, NULL},
    {{{"pgfold.ini", NULL}, {NULL}},
     "unexpected argument \"pgfold.ini\"; every option begins with a dash, see --help"},
    {{{"", NULL}, {NULL}}, "unexpected argument \"\"; every option begins with a dash, see --help"},
    {{{"-c", NULL}, {NULL}}, "-c needs a value behind it, see --help"},
    {{{"--listen", NULL}, {NULL}}, "--listen needs a value behind it, see --help"},
    {{{"--mode", "fold", "--set", NULL}, {NULL}}, "--set needs a value behind it, see --help"},
    {{{"--config=", NULL}, {NULL}}, "--config needs the name of a file"},
    {{{"-c", "", NULL}, {NULL}}, "-c needs the name of a file"},
    {{{"--help=all", NULL}, {NULL}}, "--help takes no value"},
    {{{"--check-config=", NULL}, {NULL}}, "--check-config takes no value"},
    {{{"--set", "batching.window", NULL}, {NULL}},
     "--set batching.window: write section.key=value, for example --set batching.window=1ms"},
    {{{"--set", "=1", NULL}, {NULL}},
     "--set =1: write section.key=value, for example --set batching.window=1ms"},
    {{{"--help", "--lisen", NULL}, {NULL}},
     "unknown option \"--lisen\"; the nearest known one is --listen, and --help shows all"},
    {{{NULL}, {"PGFOLD_SEVER=x", NULL}},
     "PGFOLD_SEVER: unknown environment variable; the nearest known one is PGFOLD_SERVER"},
    {{{NULL}, {"PGFOLD_WINDOW=1ms", NULL}},
     "PGFOLD_WINDOW: unknown environment variable; the nearest known one is PGFOLD_BATCHING_WINDOW"},
    {{{NULL}, {"PGFOLD_WINDO=1ms", NULL}},
     "PGFOLD_WINDO: unknown environment variable; the nearest known one is PGFOLD_BATCHING_WINDOW"},
    {{{NULL}, {"PGFOLD_PARSE_BUDGET=1ms", NULL}},
     "PGFOLD_PARSE_BUDGET: unknown environment variable; the nearest known one is "
     "PGFOLD_BATCHING_PARSE_BUDGET"},
    {{{NULL}, {"PGFOLD_ADMIN_USERS=x", NULL}},
     "PGFOLD_ADMIN_USERS: unknown environment variable; the nearest known one is PGFOLD_CONSOLE_ADMIN_USERS"},
    {{{NULL}, {"PGFOLD_BATCHING_WINDW=1ms", NULL}},
     "PGFOLD_BATCHING_WINDW: unknown environment variable; the nearest known one is "
     "PGFOLD_BATCHING_WINDOW"},
    {{{NULL}, {"PGFOLD_CONFIG_FILE=x", NULL}},
     "PGFOLD_CONFIG_FILE: unknown environment variable; the nearest known one is PGFOLD_CONFIG"},
    {{{NULL}, {"PGFOLD_PGFOLD_SERVER=x", NULL}},
     "PGFOLD_PGFOLD_SERVER: unknown environment variable; the nearest known one is PGFOLD_SERVER"},
    {{{NULL}, {"PGFOLD_server=x", NULL}},
     "PGFOLD_server: unknown environment variable; the nearest known one is PGFOLD_SERVER"},
    {{{NULL}, {"PGFOLD_PORT=tcp://10.0.0.1:6432", NULL}},
     "PGFOLD_PORT: unknown environment variable; unset it, or write PGFOLD_<KEY> or "
     "PGFOLD_<SECTION>_<KEY>, see --help"},
    {{{NULL}, {"PGFOLD_=x", NULL}}, NULL},
    {{{NULL}, {"PGFOLD_SERVER", NULL}}, "PGFOLD_SERVER has no value"},
    {{{NULL}, {"PGFOLD_CONFIG=", NULL}}, "PGFOLD_CONFIG is empty; name a file or unset it"},
    {{{"--check-config", NULL}, {"PGFOLD_MODES=x", NULL}},
     "PGFOLD_MODES: unknown environment variable; the nearest known one is PGFOLD_MODE"},
};

Test(cmdline, refused) {
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char err[512] = "";
        struct cmdline c;
        cr_expect_not(read_input(&refused[i].in, &c, err, sizeof(err)), "case %zu accepted", i);
        cr_expect_str_not_empty(err);
        if (refused[i].message)
            cr_expect_str_eq(err, refused[i].message);
        cr_expect_null(c.memory);
    }
}

// Every key of the table can be set by its variable, and the variable leads back to that key.
Test(cmdline, every_setting_has_a_variable) {
    const char *key, *value, *description;

    for (size_t i = 0; config_describe(i, &key, &value, &description); i++) {
        char variable[256] = "PGFOLD_", err[512] = "";
        const char *from = strncmp(key, "pgfold.", 7) == 0 ? key + 7 : key;
        size_t used = strlen(variable);
        for (; *from; from++)
            variable[used++] = *from == '.' ? '_' : *from == '_' ? '_' : (char)(*from - 'a' + 'A');
        snprintf(variable + used, sizeof(variable) - used, "=%s", value);
        struct input in = {{NULL}, {variable, NULL}};
        struct cmdline c;
        cr_assert(read_input(&in, &c, err, sizeof(err)), "%s: %s", variable, err);
        cr_assert_eq(c.n_overrides, 1);
        cr_expect_str_eq(c.overrides[0].key, key);
        cr_expect_str_eq(c.overrides[0].value, value);
        struct config *config = config_create(NULL, NULL, c.overrides, c.n_overrides, err, sizeof(err));
        cr_expect(config, "%s", err);
        config_destroy(config);
        cmdline_free(&c);
    }
}

Test(cmdline, flags_win_over_the_environment_and_that_over_the_file) {
    struct input in = {{"--listen", ":3", NULL}, {"PGFOLD_LISTEN=:2", "PGFOLD_SERVER=host=2", NULL}};
    char err[512] = "";
    struct cmdline c;

    cr_assert(read_input(&in, &c, err, sizeof(err)), "%s", err);
    struct config *config = config_create("[pgfold]\nlisten = :1\nserver = host=1\nmode = observe\n", "f.ini",
                                          c.overrides, c.n_overrides, err, sizeof(err));
    cr_assert(config, "%s", err);
    cr_assert_str_eq(config->listen, ":3");
    cr_assert_str_eq(config->server, "host=2");
    cr_assert_eq(config->mode, MODE_OBSERVE);
    cmdline_free(&c);
    cr_assert_str_eq(config->listen, ":3"); // the config has copies
    config_destroy(config);
}

Test(cmdline, no_program_name) {
    char *const none[] = {NULL};
    char err[512] = "";
    struct cmdline c;

    cr_assert(cmdline_read(0, none, none, &c, err, sizeof(err)), "%s", err);
    cr_assert_eq(c.action, CMDLINE_RUN);
    cmdline_free(&c);
}

Test(cmdline, the_allocation_fails) {
    struct input in = {{"--set", "a.b=c", NULL}, {"PGFOLD_LISTEN=:2", NULL}};
    char err[512] = "";
    struct cmdline c;

    cr_assert(__real_malloc, "link with -Wl,--wrap=malloc,--wrap=calloc");
    allocations_left = 1;
    bool ok = read_input(&in, &c, err, sizeof(err));
    allocations_left = -1;
    cr_assert_not(ok);
    cr_assert_null(c.memory);
    cr_assert_str_eq(err, "out of memory while reading the command line");
}

Test(cmdline, the_help_names_every_flag) {
    static const char *const flags[] = {"-c, --config FILE", "--listen",      "--server", "--mode",
                                        "--log-level",       "--set",         "--help",   "--version",
                                        "--check-config",    "PGFOLD_CONFIG", "loop"};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        cr_expect(strstr(cmdline_help, flags[i]), "%s", flags[i]);
}
