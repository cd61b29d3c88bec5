// SPDX-License-Identifier: PostgreSQL
//
// From argv and envp to a list of overrides for config_create().
//
// The flags are read first: --help and --version must work whatever the environment holds. Their overrides
// stand in the list behind the room that those of the environment need. One block of memory holds the list
// and the texts made for it.
#include "config/cmdline.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/nearest.h"

#define ENV_PREFIX "PGFOLD_"
#define ENV_FILE   "PGFOLD_CONFIG"

const char cmdline_help[] =
    "pgfold is a proxy for PostgreSQL that folds bursts of lookups into one query, and loads ahead what a "
    "loop\n"
    "of lookups is about to ask for.\n"
    "\n"
    "Usage:\n"
    "  pgfold [OPTION]...\n"
    "  pgfold test [OPTION]... -- COMMAND          fails if the command loads lazily; see pgfold test "
    "--help\n"
    "  pgfold explain [--server CONNINFO] [FILE]   says what becomes of statements; see pgfold explain "
    "--help\n"
    "  pgfold report [OPTION]...                   prints the loops that a running one has seen\n"
    "  pgfold healthcheck [OPTION]...              asks a running one whether it is well\n"
    "\n"
    "Options:\n"
    "  -c, --config FILE        read settings from FILE; without it no file is read\n"
    "  --listen ADDRESSES       where clients connect, comma-separated (127.0.0.1:6432)\n"
    "  --server CONNINFO        the PostgreSQL server, as a libpq connection string\n"
    "  --mode fold|observe|verify  fold lookups, only count them, or compare both ways\n"
    "  --log-level LEVEL        error, warning, info or debug\n"
    "  --set SECTION.KEY=VALUE  any setting, for example --set batching.window=1ms\n"
    "  --check-config           check all settings and exit\n"
    "  -V, --version            print the version and exit\n"
    "  -h, --help               print this text and exit\n"
    "\n"
    "Environment:\n"
    "  PGFOLD_CONFIG            the file, as -c\n"
    "  PGFOLD_<KEY>             a setting of section pgfold, for example PGFOLD_SERVER\n"
    "  PGFOLD_<SECTION>_<KEY>   any other setting, for example PGFOLD_BATCHING_WINDOW\n"
    "\n"
    "Options win over the environment, and the environment over the file.\n";

enum flag_kind { FLAG_FILE, FLAG_SETTING, FLAG_SET, FLAG_ACTION };

struct flag {
    const char *name;
    enum flag_kind kind;
    const char *key;            // of FLAG_SETTING
    enum cmdline_action action; // of FLAG_ACTION
};

static const struct flag flags[] = {
    {"-c", FLAG_FILE, NULL, CMDLINE_RUN},
    {"--config", FLAG_FILE, NULL, CMDLINE_RUN},
    {"--listen", FLAG_SETTING, "pgfold.listen", CMDLINE_RUN},
    {"--server", FLAG_SETTING, "pgfold.server", CMDLINE_RUN},
    {"--mode", FLAG_SETTING, "pgfold.mode", CMDLINE_RUN},
    {"--log-level", FLAG_SETTING, "pgfold.log_level", CMDLINE_RUN},
    {"--set", FLAG_SET, NULL, CMDLINE_RUN},
    {"--check-config", FLAG_ACTION, NULL, CMDLINE_CHECK_CONFIG},
    {"--version", FLAG_ACTION, NULL, CMDLINE_VERSION},
    {"-V", FLAG_ACTION, NULL, CMDLINE_VERSION},
    {"--help", FLAG_ACTION, NULL, CMDLINE_HELP},
    {"-h", FLAG_ACTION, NULL, CMDLINE_HELP},
    {"-?", FLAG_ACTION, NULL, CMDLINE_HELP},
};

#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

// Words that may stand first; proxy/main.c has taken them by then.
static const char *const subcommands[] = {"explain", "test", "report", "healthcheck"};

struct reader {
    struct cmdline *out;
    char *text;       // free room for texts, large enough for all
    size_t env_count; // overrides that come from the environment
    char *err;
    size_t err_size;
};

// Returns false, so that a caller can end with it.
__attribute__((format(printf, 2, 3))) static bool fail(struct reader *r, const char *format, ...) {
    va_list args;

    va_start(args, format);
    vsnprintf(r->err, r->err_size, format, args);
    va_end(args);
    return false;
}

static const char *keep(struct reader *r, const char *text, size_t length) {
    char *copy = r->text;

    memcpy(copy, text, length);
    copy[length] = '\0';
    r->text += length + 1;
    return copy;
}

static void add_override(struct reader *r, const char *key, const char *value, const char *origin) {
    r->out->overrides[r->out->n_overrides++] = (struct config_override){key, value, origin};
}

// ---- the environment ----

// The name of a setting's variable. PGFOLD_ stands for the section pgfold, too.
static void env_name(const char *key, char *name, size_t size) {
    const char *own = "pgfold.";

    if (strncmp(key, own, strlen(own)) == 0)
        key += strlen(own);
    snprintf(name, size, ENV_PREFIX "%s", key);
    for (char *at = name; *at; at++) {
        if (*at == '.')
            *at = '_';
        else if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    }
}

// A variable without its section, PGFOLD_WINDOW for PGFOLD_BATCHING_WINDOW, is as near as one with a single
// slip, in which the key counts.
static size_t env_distance(const char *name, size_t length, const char *known, const char *key) {
    size_t prefix = strlen(ENV_PREFIX), whole = nearest_distance(name, length, known, strlen(known));
    const char *bare = known + strlen(known) - strlen(strchr(key, '.') + 1);
    size_t part = 1 + nearest_distance(name + prefix, length - prefix, bare, strlen(bare));
    return part < whole ? part : whole;
}

// The key whose variable is name[0..length). NULL: there is none; `nearest` gets the most similar variable.
static const char *find_env(const char *name, size_t length, char *nearest, size_t size) {
    const char *key, *unused;
    size_t best = nearest_distance(name, length, ENV_FILE, strlen(ENV_FILE));

    snprintf(nearest, size, "%s", ENV_FILE);
    for (size_t i = 0; config_describe(i, &key, &unused, &unused); i++) {
        char known[128];
        env_name(key, known, sizeof(known));
        if (strlen(known) == length && memcmp(known, name, length) == 0)
            return key;
        size_t distance = env_distance(name, length, known, key);
        if (distance < best) {
            best = distance;
            snprintf(nearest, size, "%s", known);
        }
    }
    return NULL;
}

static bool is_ours(const char *variable) {
    return strncmp(variable, ENV_PREFIX, strlen(ENV_PREFIX)) == 0;
}

static bool is_file(const char *variable) {
    return strncmp(variable, ENV_FILE "=", strlen(ENV_FILE "=")) == 0;
}

// All variables have the prefix, so it is left out of the comparison.
static bool fail_for_variable(struct reader *r, const char *variable, size_t length, const char *nearest) {
    size_t prefix = strlen(ENV_PREFIX);
    int shown = (int)(length > 64 ? 64 : length);
    const char *known = nearest + prefix, *section = strchr(known, '_');
    const char *bare = section ? section + 1 : known;

    variable += prefix;
    length -= prefix;
    bool meant = nearest_is_meant(variable, length, known, strlen(known)) ||
                 nearest_is_meant(variable, length, bare, strlen(bare));
    variable -= prefix;
    if (meant)
        return fail(r, "%.*s: unknown environment variable; the nearest known one is %s", shown, variable,
                    nearest);
    return fail(r,
                "%.*s: unknown environment variable; unset it, or write PGFOLD_<KEY> or "
                "PGFOLD_<SECTION>_<KEY>, see --help",
                shown, variable);
}

static bool read_variable(struct reader *r, const char *variable) {
    size_t length = strcspn(variable, "=");
    char nearest[128];
    const char *key = find_env(variable, length, nearest, sizeof(nearest));

    if (!key)
        return fail_for_variable(r, variable, length, nearest);
    if (variable[length] == '\0')
        return fail(r, "%s has no value", variable);
    add_override(r, key, variable + length + 1, keep(r, variable, length));
    return true;
}

static bool read_environment(struct reader *r, char *const *envp) {
    for (; *envp; envp++) {
        if (!is_ours(*envp))
            continue;
        if (!is_file(*envp)) {
            if (!read_variable(r, *envp))
                return false;
            continue;
        }
        const char *file = *envp + strlen(ENV_FILE "=");
        if (*file == '\0')
            return fail(r, ENV_FILE " is empty; name a file or unset it");
        if (!r->out->config_file) // -c wins, and has been read already
            r->out->config_file = file;
    }
    return true;
}

// ---- the flags ----

static const struct flag *find_flag(const char *name, size_t length) {
    for (size_t i = 0; i < N_FLAGS; i++)
        if (strlen(flags[i].name) == length && memcmp(flags[i].name, name, length) == 0)
            return &flags[i];
    return NULL;
}

// An argument that is no option: a subcommand, mistyped or behind options?
static bool fail_for_word(struct reader *r, const char *arg) {
    size_t n = sizeof(subcommands) / sizeof(subcommands[0]);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(arg, subcommands[i]) == 0)
            return fail(r, "\"%s\" must be the first argument: pgfold %s …, see pgfold %s --help", arg, arg,
                        arg);
        if (nearest_is_meant(arg, strlen(arg), subcommands[i], strlen(subcommands[i])))
            return fail(r, "unknown command \"%.64s\"; the nearest known one is pgfold %s, see --help", arg,
                        subcommands[i]);
    }
    return fail(r, "unexpected argument \"%.64s\"; every option begins with a dash, see --help", arg);
}

// The setting that has the option's name as its key: --max-keys is written --set batching.max_keys=….
static const char *setting_of_flag(const char *arg, size_t length) {
    const char *key, *unused;
    char name[64];

    if (length < 3 || length >= sizeof(name))
        return NULL;
    for (size_t i = 2; i <= length; i++)
        name[i - 2] = i == length ? '\0' : arg[i] == '-' ? '_' : arg[i];
    for (size_t i = 0; config_describe(i, &key, &unused, &unused); i++)
        if (strcmp(strchr(key, '.') + 1, name) == 0)
            return key;
    return NULL;
}

static bool fail_for_flag(struct reader *r, const char *arg, size_t length) {
    size_t best = 0;

    if (arg[0] != '-')
        return fail_for_word(r, arg);
    const char *setting = setting_of_flag(arg, length);
    if (setting)
        return fail(r, "unknown option \"%.*s\"; write --set %s=VALUE", (int)length, arg, setting);
    for (size_t i = 1; i < N_FLAGS; i++)
        if (nearest_distance(arg, length, flags[i].name, strlen(flags[i].name)) <
            nearest_distance(arg, length, flags[best].name, strlen(flags[best].name)))
            best = i;
    int shown = (int)(length > 64 ? 64 : length);
    if (nearest_is_meant(arg, length, flags[best].name, strlen(flags[best].name)))
        return fail(r, "unknown option \"%.*s\"; the nearest known one is %s, and --help shows all", shown,
                    arg, flags[best].name);
    return fail(r, "unknown option \"%.*s\"; --help shows all", shown, arg);
}

static bool take_set(struct reader *r, const char *text) {
    size_t length = 0;

    // The name of a table may contain the sign, in quotes.
    for (bool quoted = false; text[length] && (quoted || text[length] != '='); length++)
        quoted ^= text[length] == '"';
    if (length == 0 || text[length] == '\0')
        return fail(r, "--set %.64s: write section.key=value, for example --set batching.window=1ms", text);
    add_override(r, keep(r, text, length), text + length + 1, "--set");
    return true;
}

static bool take_file(struct reader *r, const struct flag *flag, const char *file) {
    if (*file == '\0')
        return fail(r, "%s needs the name of a file", flag->name);
    r->out->config_file = file;
    return true;
}

static bool take_flag(struct reader *r, const struct flag *flag, const char *value) {
    switch (flag->kind) {
    case FLAG_FILE:
        return take_file(r, flag, value);
    case FLAG_SETTING:
        add_override(r, flag->key, value, flag->name);
        return true;
    case FLAG_SET:
        return take_set(r, value);
    case FLAG_ACTION:
        // Of several actions the last one in the enum wins: --help beside --check-config prints the help.
        if (flag->action > r->out->action)
            r->out->action = flag->action;
        return true;
    }
    return false;
}

// Reads argv[*at] and its argument; *at moves to the last one read.
static bool read_flag(struct reader *r, int argc, char *const *argv, int *at) {
    const char *arg = argv[*at];
    size_t length = strncmp(arg, "--", 2) == 0 ? strcspn(arg, "=") : strlen(arg);
    const struct flag *flag = find_flag(arg, length);
    const char *value = arg[length] == '=' ? arg + length + 1 : NULL;

    if (!flag)
        return fail_for_flag(r, arg, length);
    if (flag->kind == FLAG_ACTION && value)
        return fail(r, "%s takes no value", flag->name);
    if (flag->kind != FLAG_ACTION && !value) {
        if (*at + 1 >= argc)
            return fail(r, "%s needs a value behind it, see --help", flag->name);
        value = argv[++*at];
    }
    return take_flag(r, flag, value);
}

static bool read_flags(struct reader *r, int argc, char *const *argv) {
    for (int i = 1; i < argc; i++)
        if (!read_flag(r, argc, argv, &i))
            return false;
    return true;
}

// ---- both ----

// One block: room for as many overrides as there can be, and behind them room for their texts, which are
// never longer than what they are cut from.
static bool allocate(struct reader *r, int argc, char *const *argv, char *const *envp) {
    size_t count = 0, bytes = 0;

    for (; *envp; envp++) {
        if (!is_ours(*envp))
            continue;
        r->env_count += !is_file(*envp);
        bytes += strlen(*envp) + 1;
    }
    for (int i = 1; i < argc; i++)
        bytes += strlen(argv[i]) + 1;
    count = r->env_count + (size_t)(argc > 0 ? argc : 0) + 1;
    r->out->memory = malloc(count * sizeof(struct config_override) + bytes);
    if (!r->out->memory)
        return fail(r, "out of memory while reading the command line");
    r->out->overrides = r->out->memory;
    r->text = (char *)(r->out->overrides + count);
    return true;
}

static bool read_all(struct reader *r, int argc, char *const *argv, char *const *envp) {
    struct cmdline *out = r->out;

    out->n_overrides = r->env_count;
    if (!read_flags(r, argc, argv))
        return false;
    if (out->action == CMDLINE_HELP || out->action == CMDLINE_VERSION) {
        out->n_overrides = 0;
        return true;
    }
    size_t all = out->n_overrides;
    out->n_overrides = 0;
    if (!read_environment(r, envp))
        return false;
    out->n_overrides = all;
    return true;
}

bool cmdline_read(int argc, char *const *argv, char *const *envp, struct cmdline *out, char *err,
                  size_t err_size) {
    struct reader r = {.out = out, .err = err, .err_size = err_size};

    *out = (struct cmdline){.action = CMDLINE_RUN};
    if (!allocate(&r, argc, argv, envp))
        return false;
    if (read_all(&r, argc, argv, envp))
        return true;
    cmdline_free(out);
    return false;
}

void cmdline_free(struct cmdline *c) {
    free(c->memory);
    *c = (struct cmdline){.action = CMDLINE_RUN};
}
