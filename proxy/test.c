// SPDX-License-Identifier: PostgreSQL
#include "proxy/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "batching/session/session_state.h"
#include "proxy/report_json.h"
#include "proxy/report_words.h"
#include "proxy/test_url.h"

#define EXIT_VIOLATION 1
#define EXIT_INERT     2 // no statement came through; also wrong usage
#define EXIT_NO_START  127
#define MAX_REWRITES   16

static const char help[] =
    "pgfold test runs a command with a pgfold of its own between it and its database, and fails if the "
    "command\n"
    "loads lazily: if it sends one SELECT for each row of a list.\n"
    "\n"
    "Usage:\n"
    "  pgfold test [OPTION]... -- COMMAND [ARGUMENT]...\n"
    "\n"
    "The database is the one that DATABASE_URL names, else PGHOST and PGPORT. The command finds pgfold "
    "there\n"
    "instead.\n"
    "\n"
    "Options:\n"
    "  --loops N           loops that are allowed (0)\n"
    "  --repeats N         so many lookups of one shape, with different keys, count as a loop, too (5)\n"
    "  --statements N      the most statements; without it any number\n"
    "  --warn              a loop brings a warning and no error; the command's exit code stays as it is\n"
    "  --allow FILE        loops that are allowed: a part of the statement and \"# reason\" in each line\n"
    "  --report FILE       the report goes to FILE, and not to standard error; .json, .html and .md say the "
    "form\n"
    "  --server CONNINFO   the database's server, as a libpq connection string or URL\n"
    "  --rewrite NAME      an environment variable with a URL that is to lead to pgfold, too\n"
    "  --fold              fold lookups meanwhile; without it all statements go as they come\n"
    "  -h, --help          print this text and exit\n"
    "\n"
    "Exit codes: the command's own; 1 if that is 0 and something was not as expected; 2 if no statement "
    "came\n"
    "through, or for wrong usage; 127 if the command could not be started.\n";

struct test {
    struct expectation expect;
    const char *report, *allow, *server;
    const char *rewrites[MAX_REWRITES];
    unsigned n_rewrites;
    bool folds;
    char **command, **envp;
    char *arguments[TEST_ARGS];
    int n_arguments;
    char listen[32], conninfo[4096];
    char *port; // in `listen`
    char **env; // of the command; owned with its texts
    uv_process_t process;
    bool runs, began; // began: the command was to be started
    int code;
    void (*ended)(void *arg);
    void *arg;
};

// ---- options

static bool complain(const char *format, const char *what) {
    fputs("pgfold test: ", stderr);
    fprintf(stderr, format, what);
    fputs("\n", stderr);
    return false;
}

static bool read_number(const char *name, const char *text, uint32_t *out) {
    char *end = NULL;
    unsigned long n = strtoul(text, &end, 10);
    if (!*text || *end || n > 999999999 || *text == '-') {
        fprintf(stderr, "pgfold test: %s needs a number, and \"%s\" is none\n", name, text);
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static bool set_limit(struct test *t, const char *name, enum metric m, const char *value) {
    t->expect.of[m].set = true;
    return read_number(name, value, &t->expect.of[m].most);
}

static bool set_repeats(struct test *t, const char *value) {
    if (!set_limit(t, "--repeats", METRIC_REPEATS, value))
        return false;
    if (t->expect.of[METRIC_REPEATS].most-- > 1)
        return true;
    return complain("%s must be 2 or more", "--repeats");
}

static bool add_rewrite(struct test *t, const char *name) {
    if (t->n_rewrites == MAX_REWRITES)
        return complain("%s was given too often", "--rewrite");
    t->rewrites[t->n_rewrites++] = name;
    return true;
}

static bool take_value(struct test *t, const char *name, const char *value) {
    if (strcmp(name, "--loops") == 0)
        return set_limit(t, name, METRIC_LOOPS, value);
    if (strcmp(name, "--statements") == 0)
        return set_limit(t, name, METRIC_STATEMENTS, value);
    if (strcmp(name, "--repeats") == 0)
        return set_repeats(t, value);
    if (strcmp(name, "--rewrite") == 0)
        return add_rewrite(t, value);
    *(strcmp(name, "--report") == 0  ? &t->report
      : strcmp(name, "--allow") == 0 ? &t->allow
                                     : &t->server) = value;
    return true;
}

static bool needs_value(const char *name) {
    static const char *const names[] = {"--loops",  "--statements", "--repeats", "--rewrite",
                                        "--report", "--allow",      "--server"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool take_option(struct test *t, char **argv, int *at) {
    char *name = argv[*at], *sign = strchr(name, '=');
    char bare[64];
    snprintf(bare, sizeof bare, "%.*s", sign ? (int)(sign - name) : 60, name);
    if (strcmp(name, "--warn") == 0) {
        t->expect.warns = true;
    } else if (strcmp(name, "--fold") == 0) {
        t->folds = true;
    } else if (!needs_value(bare)) {
        return complain("unknown option %s, see pgfold test --help", name);
    } else if (sign) {
        return take_value(t, bare, sign + 1);
    } else {
        const char *value = argv[++*at];
        if (!value || strcmp(value, "--") == 0)
            return complain("%s needs a value behind it", bare);
        return take_value(t, bare, value);
    }
    return true;
}

static bool read_options(struct test *t, char **argv) {
    int at = 1;
    t->expect.of[METRIC_LOOPS].set = t->expect.of[METRIC_REPEATS].set = true;
    t->expect.of[METRIC_REPEATS].most = EXPECT_REPEATS - 1;
    for (; argv[at] && strcmp(argv[at], "--") != 0; at++)
        if (!take_option(t, argv, &at))
            return false;
    if (!argv[at] || !argv[at + 1])
        return complain("there is no command; write %s and the command behind the options", "--");
    t->command = argv + at + 1;
    return true;
}

// ---- where

static const char *variable(const struct test *t, const char *name) {
    size_t len = strlen(name);
    for (char **at = t->envp; *at; at++)
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
            return *at + len + 1;
    return NULL;
}

// A port that nobody has now.
static bool choose_port(struct test *t) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 &&
              getsockname(fd, (struct sockaddr *)&a, &len) == 0;
    if (fd >= 0)
        close(fd);
    if (!ok)
        return complain("could not find a free port: %s", strerror(errno));
    snprintf(t->listen, sizeof t->listen, "127.0.0.1:%u", ntohs(a.sin_port));
    t->port = strchr(t->listen, ':') + 1;
    return true;
}

// As libpq does, a URL without a host means that of PGHOST and PGPORT.
static bool add_host(struct test *t, const char *host, const char *port) {
    static const char bare[] = "postgresql:///";
    size_t len = strlen(t->conninfo);
    if (strncmp(t->conninfo, bare, sizeof bare - 1) != 0 || strstr(t->conninfo, "host=") || !host || !*host)
        return true;
    bool has_port = strstr(t->conninfo, "port=") || !port || !*port;
    int n =
        snprintf(t->conninfo + len, sizeof t->conninfo - len, "%chost=%s%s%s",
                 strchr(t->conninfo, '?') ? '&' : '?', host, has_port ? "" : "&port=", has_port ? "" : port);
    return n > 0 && (size_t)n < sizeof t->conninfo - len;
}

static bool find_server(struct test *t) {
    const char *url = t->server ? t->server : variable(t, "DATABASE_URL");
    for (unsigned i = 0; i < t->n_rewrites && (!url || !*url); i++)
        url = variable(t, t->rewrites[i]);
    const char *host = variable(t, "PGHOST"), *port = variable(t, "PGPORT");
    if (url && *url)
        return (test_url_server(url, t->conninfo, sizeof t->conninfo) && add_host(t, host, port)) ||
               complain("DATABASE_URL or --server is no PostgreSQL URL or connection string%s", "");
    snprintf(t->conninfo, sizeof t->conninfo, "host=%s port=%s", host && *host ? host : "/var/run/postgresql",
             port && *port ? port : "5432");
    return true;
}

// A variable that is not rewritten would lead past pgfold without a word.
static bool can_rewrite(const struct test *t) {
    char url[4096];
    for (unsigned i = 0; i < t->n_rewrites; i++) {
        const char *value = variable(t, t->rewrites[i]);
        if (!value)
            return complain("the variable %s, of --rewrite, is not set", t->rewrites[i]);
        if (!test_url_rewrite(value, t->port, url, sizeof url))
            return complain("the variable %s is no PostgreSQL URL or connection string", t->rewrites[i]);
    }
    return true;
}

struct test *test_create(int argc, char **argv, char **envp, int *code) {
    *code = EXIT_INERT;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0)
            continue;
        *code = fputs(help, stdout) < 0;
        return NULL;
    }
    struct test *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->envp = envp;
    t->code = EXIT_INERT;
    if (!read_options(t, argv) || !choose_port(t) || !find_server(t) || !can_rewrite(t)) {
        test_destroy(t);
        return NULL;
    }
    char *arguments[] = {"pgfold",
                         "--listen",
                         t->listen,
                         "--server",
                         t->conninfo,
                         "--mode",
                         t->folds ? "fold" : "observe",
                         "--log-level",
                         "error",
                         "--set",
                         "http.listen="};
    t->n_arguments = (int)(sizeof arguments / sizeof *arguments);
    memcpy(t->arguments, arguments, sizeof arguments);
    return t;
}

static void free_env(struct test *t) {
    for (char **at = t->env; at && *at; at++)
        free(*at);
    free(t->env);
}

void test_destroy(struct test *t) {
    if (t)
        free_env(t);
    free(t);
}

char **test_arguments(struct test *t, int *argc) {
    *argc = t->n_arguments;
    return t->arguments;
}

struct expectation test_expectation(const struct test *t) {
    return t->expect;
}

// ---- the command's environment

static bool is_rewritten(const struct test *t, const char *entry) {
    size_t len = strcspn(entry, "=");
    if (strncmp(entry, "DATABASE_URL", len) == 0 && len == 12)
        return true;
    for (unsigned i = 0; i < t->n_rewrites; i++)
        if (strlen(t->rewrites[i]) == len && strncmp(entry, t->rewrites[i], len) == 0)
            return true;
    return false;
}

// These lead past pgfold, or ask of it what it does not have.
static bool is_dropped(const char *entry) {
    static const char *const names[] = {
        "PGHOST=",    "PGPORT=",           "PGHOSTADDR=",   "PGSSLMODE=",       "PGSSLROOTCERT=",
        "PGSERVICE=", "PGSSLNEGOTIATION=", "PGREQUIRESSL=", "PGCHANNELBINDING="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static char *join(const char *a, const char *b) {
    size_t len = strlen(a) + strlen(b) + 1;
    char *text = malloc(len);
    if (text)
        snprintf(text, len, "%s%s", a, b);
    return text;
}

static char *entry_for_command(const struct test *t, const char *entry) {
    char url[4096];
    size_t len = strcspn(entry, "=") + 1;
    if (!is_rewritten(t, entry) || !test_url_rewrite(entry + len, t->port, url, sizeof url))
        return strdup(entry);
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)len, entry);
    return join(name, url);
}

static bool make_env(struct test *t) {
    size_t n = 0, at = 0;
    while (t->envp[n])
        n++;
    t->env = calloc(n + 4, sizeof *t->env);
    for (size_t i = 0; t->env && i < n; i++)
        if (!is_dropped(t->envp[i]) && !(t->env[at++] = entry_for_command(t, t->envp[i])))
            return false;
    return t->env && (t->env[at++] = strdup("PGHOST=127.0.0.1")) &&
           (t->env[at++] = join("PGPORT=", t->port)) && (t->env[at++] = strdup("PGSSLMODE=disable"));
}

// ---- what is allowed

static char *trim(char *text) {
    while (*text == ' ' || *text == '\t')
        text++;
    size_t len = strlen(text);
    while (len && strchr(" \t\r\n", text[len - 1]))
        text[--len] = 0;
    return text;
}

static bool take_allowance(struct engine *e, const char *file, unsigned line, char *text) {
    char *reason = strchr(text, '#');
    if (reason)
        *reason++ = 0;
    text = trim(text);
    if (!*text)
        return true; // a blank line, or a comment
    if (reason && *trim(reason))
        return engine_allow_loop(e, text);
    fprintf(stderr, "pgfold test: %s, line %u: write the reason behind it: … # reason\n", file, line);
    return false;
}

static bool read_allowances(struct test *t, struct engine *e) {
    char line[8192];
    FILE *f = t->allow ? fopen(t->allow, "re") : NULL;
    if (t->allow && !f) {
        fprintf(stderr, "pgfold test: could not read %s: %s\n", t->allow, strerror(errno));
        return false;
    }
    bool ok = true;
    for (unsigned n = 1; f && ok && fgets(line, sizeof line, f); n++)
        ok = take_allowance(e, t->allow, n, line);
    if (f)
        fclose(f);
    return ok;
}

// ---- the command

static void on_command_ended(uv_process_t *process, int64_t status, int number) {
    struct test *t = process->data;
    t->runs = false;
    t->code = number ? 128 + number : (int)status;
    uv_close((uv_handle_t *)process, NULL);
    t->ended(t->arg);
}

bool test_begin(struct test *t, uv_loop_t *loop, struct engine *e, void (*ended)(void *arg), void *arg) {
    uv_stdio_container_t stdio[3] = {{.flags = UV_INHERIT_FD, .data.fd = 0},
                                     {.flags = UV_INHERIT_FD, .data.fd = 1},
                                     {.flags = UV_INHERIT_FD, .data.fd = 2}};
    t->ended = ended;
    t->arg = arg;
    t->process.data = t;
    if (!read_allowances(t, e))
        return false;
    t->began = true;
    uv_process_options_t o = {.exit_cb = on_command_ended,
                              .file = t->command[0],
                              .args = t->command,
                              .stdio = stdio,
                              .stdio_count = 3};
    int r = make_env(t) ? 0 : UV_ENOMEM;
    o.env = t->env;
    if (!r)
        r = uv_spawn(loop, &t->process, &o);
    t->runs = !r;
    if (r) {
        fprintf(stderr, "pgfold test: could not start %s: %s\n", t->command[0], uv_strerror(r));
        t->code = EXIT_NO_START;
    }
    return !r;
}

// A terminal sends Ctrl-C to both.
bool test_takes_signal(struct test *t, int number) {
    if (t->runs && number == SIGTERM)
        uv_process_kill(&t->process, number);
    return t->runs;
}

// ---- the end

// The form that a file's name says.
static enum report_format format_of(const char *path) {
    const char *end = path ? strrchr(path, '.') : NULL;
    return !end                        ? REPORT_TEXT
           : strcmp(end, ".json") == 0 ? REPORT_JSON
           : strcmp(end, ".html") == 0 ? REPORT_HTML
           : strcmp(end, ".md") == 0   ? REPORT_MARKDOWN
                                       : REPORT_TEXT;
}

static void print_loops(const struct test *t, const struct engine *e, enum report_format format, FILE *f) {
    struct buf b = buf_make((size_t)64 << 20);
    json_t *j = report_json(e, t->folds ? "fold" : "observe", (double)time(NULL));
    if (j)
        report_write_words(j, format, false, &b);
    if (!j || b.failed || fwrite(b.data, 1, b.len, f) != b.len)
        fputs("pgfold test: the report could not be written\n", stderr);
    buf_free(&b);
    json_decref(j);
}

static void print_report(const struct test *t, struct engine *e) {
    FILE *f = t->report ? fopen(t->report, "we") : stderr;
    if (!f) {
        fprintf(stderr, "pgfold test: could not write %s: %s\n", t->report, strerror(errno));
        f = stderr;
    }
    enum report_format format = format_of(t->report);
    char *text = format == REPORT_TEXT ? engine_test_report(e) : NULL;
    if (format != REPORT_TEXT)
        print_loops(t, e, format, f);
    else
        fputs(text ? text : "pgfold test: out of memory for the report\n", f);
    free(text);
    if (f != stderr)
        fclose(f);
}

int test_end(struct test *t, struct engine *e) {
    struct test_result r = engine_test_result(e);
    if (t->code == EXIT_NO_START || !t->began)
        return t->code;
    print_report(t, e);
    if (!r.n_statements) {
        fprintf(stderr,
                "pgfold test: no statement came through pgfold, so nothing was tested. Does the command "
                "connect to the\n"
                "database of DATABASE_URL%s, or of PGHOST and PGPORT? See --rewrite.\n",
                getenv("DATABASE_URL") ? "" : " (it is not set here)");
        return t->code ? t->code : EXIT_INERT;
    }
    return !t->code && r.failed ? EXIT_VIOLATION : t->code;
}
