// SPDX-License-Identifier: PostgreSQL
//
// Settings: defaults, values of each kind, the syntax of the file, messages word for word, reloads, and what
// is left when the n-th allocation fails. Link with -Wl,--wrap=malloc,--wrap=calloc.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/nearest.h"
#include "config/units.h"

// ---- allocations ----

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

// ---- helpers ----

static struct config *create(const char *text) {
    char err[512] = "";
    struct config *c = config_create(text, "f.ini", NULL, 0, err, sizeof(err));
    cr_assert(c, "refused: %s\n%s", err, text);
    return c;
}

static struct config *create_with(const char *text, const char *key, const char *value) {
    char err[512] = "";
    struct config_override o = {key, value, "--set"};
    struct config *c = config_create(text, "f.ini", &o, 1, err, sizeof(err));
    cr_assert(c, "refused: %s: %s = %s", err, key, value);
    return c;
}

static void count_difference(void *arg, const char *key, const char *old_value, const char *new_value,
                             bool needs_restart) {
    (void)needs_restart;
    fprintf(stderr, "%s: %s, %s\n", key, old_value, new_value);
    ++*(int *)arg;
}

static int differences(const struct config *a, const struct config *b) {
    int n = 0;
    config_diff(a, b, count_difference, &n);
    return n;
}

// The text of a file of the source tree; the caller frees it. Its path is found from this file's own.
static char *read_source(const char *path) {
    char full[4096];
    const char *root = getenv("PGFOLD_SOURCE_ROOT");
    const char *tail = strstr(__FILE__, "tests/unit/");

    cr_assert(tail);
    if (root)
        snprintf(full, sizeof(full), "%s/%s", root, path);
    else
        snprintf(full, sizeof(full), "%.*s%s", (int)(tail - __FILE__), __FILE__, path);
    FILE *f = fopen(full, "r");
    cr_assert(f, "%s does not open; set PGFOLD_SOURCE_ROOT", full);
    char *text = calloc(1, 100000);
    cr_assert(text);
    cr_assert_lt(fread(text, 1, 99999, f), 99999);
    fclose(f);
    return text;
}

// ---- defaults ----

Test(config, defaults) {
    struct config *c = create(NULL);
    cr_assert_str_eq(c->listen, "127.0.0.1:6432");
    cr_assert_str_eq(c->server, "host=/var/run/postgresql port=5432");
    cr_assert_eq(c->mode, MODE_FOLD);
    cr_assert_eq(c->log_level, LOG_LEVEL_INFO);
    cr_assert_eq(c->log_json, false);
    cr_assert_eq(c->max_clients, 10000);
    cr_assert_eq(c->max_logins, 1000);
    cr_assert_eq(c->max_cancels, 1000);
    cr_assert_eq(c->login_timeout, 60000000);
    cr_assert_eq(c->max_startup_packet, 10000);
    cr_assert_eq(c->session_buffer, 256 * 1024);
    cr_assert_eq(c->client_tls, CLIENT_TLS_DISABLE);
    cr_assert_str_eq(c->client_tls_cert, "");
    cr_assert_str_eq(c->client_tls_key, "");
    cr_assert_eq(c->client_tls_min_version, CONFIG_TLS_1_2);
    cr_assert_str_eq(c->client_tls_ciphers, "ECDHE+AESGCM:ECDHE+CHACHA20");
    cr_assert_eq(c->log_repeats, 10);
    cr_assert_eq(c->core_dumps, false);
    cr_assert_eq(c->drain_timeout, 60000000);
    cr_assert_eq(c->unix_socket_permissions, 0777);
    cr_assert_eq(c->window, 0);
    cr_assert_eq(c->max_keys, 500);
    cr_assert_eq(c->max_in_flight, 2);
    cr_assert_eq(c->max_waiting, 1024);
    cr_assert_eq(c->max_answer, 8 * 1024 * 1024);
    cr_assert_eq(c->max_text, 64 * 1024);
    cr_assert_eq(c->parse_budget, 250000);
    cr_assert_eq(c->max_shapes, 10000);
    cr_assert_eq(c->max_groups, 10000);
    cr_assert_eq(c->max_statements, 2000);
    cr_assert_eq(c->patience, 20000);
    cr_assert_eq(c->timeout, 30000000);
    cr_assert_eq(c->vet_max_age, 60000000);
    cr_assert(c->never_slower);
    cr_assert(c->early_commit);
    cr_assert_eq(c->check_one_in, 1000);
    cr_assert_eq(c->lookahead, LOOKAHEAD_MODE_BOUNDED);
    cr_assert_eq(c->ahead_gap, 20000);
    cr_assert_eq(c->ahead_age, 100000);
    cr_assert_eq(c->ahead_keys, 500);
    cr_assert_eq(c->ahead_session, 4 * 1024 * 1024);
    cr_assert_eq(c->ahead_memory, 256 * 1024 * 1024);
    cr_assert_null(c->tables);
    cr_assert_eq(c->n_tables, 0);
    config_destroy(c);
    config_destroy(NULL);
}

Test(config, every_default_reads_back_as_itself) {
    const char *key, *value, *description;
    struct config *defaults = create(NULL);
    size_t i = 0;

    for (; config_describe(i, &key, &value, &description); i++) {
        struct config *c = create_with(NULL, key, value);
        cr_expect_eq(differences(defaults, c), 0, "%s", key);
        cr_expect_gt(strlen(description), 10, "%s", key);
        config_destroy(c);
    }
    cr_assert_eq(i, CONFIG_SETTINGS);
    config_destroy(defaults);
}

// True when text has a line "key = …" or "key =" below the line "[section]".
static bool has_line(const char *text, const char *name) {
    char section[64], key[64];
    size_t length = strcspn(name, ".");

    snprintf(section, sizeof(section), "\n[%.*s]\n", (int)length, name);
    snprintf(key, sizeof(key), "\n%s =", name + length + 1);
    const char *from = strstr(text, section);
    if (!from)
        return false;
    const char *end = strstr(from + 1, "\n[");
    const char *found = strstr(from, key);
    return found && (!end || found < end);
}

Test(config, the_shipped_file_has_every_key_with_its_default) {
    const char *key, *value, *description;
    char *text = read_source("config/pgfold.ini");
    struct config *defaults = create(NULL);
    struct config *shipped = create(text);

    cr_assert_eq(differences(defaults, shipped), 0);
    for (size_t i = 0; config_describe(i, &key, &value, &description); i++)
        cr_expect(has_line(text, key), "%s is missing", key);
    cr_assert_not(has_line(text, "batching.listen"));
    config_destroy(defaults);
    config_destroy(shipped);
    free(text);
}

Test(config, the_manual_has_every_key_with_its_default) {
    const char *key, *value, *description;
    char *text = read_source("docs/settings.md");

    for (size_t i = 0; config_describe(i, &key, &value, &description); i++) {
        char row[256], heading[64];
        size_t length = strcspn(key, ".");
        snprintf(heading, sizeof(heading), "\n## [%.*s]\n", (int)length, key);
        snprintf(row, sizeof(row), *value ? "\n| `%s` | `%s` |" : "\n| `%s` | empty%s |", key + length + 1,
                 value);
        const char *section = strstr(text, heading);
        cr_assert(section, "no heading%s", heading);
        cr_expect(strstr(section, row), "no row for %s with its default %s", key, value);
    }
    free(text);
}

// ---- values ----

Test(config, each_kind_of_value) {
    static const char text[] = "[pgfold]\n"
                               "listen = 0.0.0.0:6432, /run/pgfold:6432\n"
                               "server = postgresql://a:1,b:2/?target_session_attrs=read-write\n"
                               "mode = observe\nlog_level = debug\nlog_format = json\nmax_clients = 1000000\n"
                               "login_timeout = 2min\nmax_startup_packet = 20000\nsession_buffer = 1GB\n"
                               "client_tls = require\nclient_tls_cert = /c.pem\nclient_tls_key = /k.pem\n"
                               "drain_timeout = 30 s\nunix_socket_permissions = 0770\n"
                               "[batching]\n"
                               "window = 500us\nmax_keys = 1\nmax_in_flight = 64\nmax_answer = 1kB\n"
                               "timeout = 0\nvet_max_age = 5ms\nparse_budget = 0\n"
                               "[lookahead]\nmode = snapshot\nmax_gap = 1ms\nmax_age = 1s\nmax_keys = 7\n"
                               "max_session_memory = 1MB\nmax_memory = 1GB\n";
    struct config *c = create(text);

    cr_assert_str_eq(c->listen, "0.0.0.0:6432, /run/pgfold:6432");
    cr_assert_str_eq(c->server, "postgresql://a:1,b:2/?target_session_attrs=read-write");
    cr_assert_eq(c->mode, MODE_OBSERVE);
    cr_assert_eq(c->log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(c->log_json, true);
    cr_assert_eq(c->max_clients, 1000000);
    cr_assert_eq(c->login_timeout, 120000000);
    cr_assert_eq(c->max_startup_packet, 20000);
    cr_assert_eq(c->session_buffer, 1024 * 1024 * 1024);
    cr_assert_eq(c->client_tls, CLIENT_TLS_REQUIRE);
    cr_assert_str_eq(c->client_tls_cert, "/c.pem");
    cr_assert_str_eq(c->client_tls_key, "/k.pem");
    cr_assert_eq(c->drain_timeout, 30000000);
    cr_assert_eq(c->unix_socket_permissions, 0770);
    cr_assert_eq(c->window, 500);
    cr_assert_eq(c->max_keys, 1);
    cr_assert_eq(c->max_in_flight, 64);
    cr_assert_eq(c->max_answer, 1024);
    cr_assert_eq(c->timeout, 0);
    cr_assert_eq(c->vet_max_age, 5000);
    cr_assert_eq(c->parse_budget, 0);
    cr_assert_eq(c->lookahead, LOOKAHEAD_MODE_SNAPSHOT);
    cr_assert_eq(c->ahead_gap, 1000);
    cr_assert_eq(c->ahead_age, 1000000);
    cr_assert_eq(c->ahead_keys, 7);
    cr_assert_eq(c->ahead_session, 1024 * 1024);
    cr_assert_eq(c->ahead_memory, 1024 * 1024 * 1024);
    config_destroy(c);
}

// As PostgreSQL reads an integer.
Test(config, permissions_in_any_base) {
    static const char *const texts[] = {"0700", "448", "0x1c0"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "[pgfold]\nunix_socket_permissions = %s\n", texts[i]);
        struct config *c = create(text);
        cr_expect_eq(c->unix_socket_permissions, 0700, "%s", texts[i]);
        config_destroy(c);
    }
}

Test(config, versions_of_tls) {
    static const struct {
        const char *text;
        enum config_tls_version version;
    } cases[] = {{"TLSv1", CONFIG_TLS_1_0}, {"1.0", CONFIG_TLS_1_0},     {"TLSv1.1", CONFIG_TLS_1_1},
                 {"1.2", CONFIG_TLS_1_2},   {"tlsv1.2", CONFIG_TLS_1_2}, {"TLSv1.3", CONFIG_TLS_1_3},
                 {"1.3", CONFIG_TLS_1_3},   {"TLSV1.3", CONFIG_TLS_1_3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "[pgfold]\nclient_tls_min_version = %s\n", cases[i].text);
        struct config *c = create(text);
        cr_expect_eq(c->client_tls_min_version, cases[i].version, "%s", cases[i].text);
        config_destroy(c);
    }
}

static const struct {
    enum units units;
    const char *text;
    enum units_result result;
    uint64_t value;
    const char *written;
} unit_texts[] = {
    {UNITS_TIME, "0", UNITS_BARE, 0, "0"},
    {UNITS_TIME, "0ms", UNITS_OK, 0, "0"},
    {UNITS_TIME, "7us", UNITS_OK, 7, "7us"},
    {UNITS_TIME, "1000us", UNITS_OK, 1000, "1ms"},
    {UNITS_TIME, "90s", UNITS_OK, 90000000, "90s"},
    {UNITS_TIME, "60 s", UNITS_OK, 60000000, "1min"},
    {UNITS_TIME, "5", UNITS_BARE, 5, "5us"},
    {UNITS_TIME, "5h", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "5S", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "5kB", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "ms", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "-1ms", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "+1ms", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "1.5ms", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "0x10ms", UNITS_BAD, 0, NULL},
    {UNITS_TIME, " 1ms", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "1ms ", UNITS_BAD, 0, NULL},
    {UNITS_TIME, "18446744073709551615us", UNITS_OK, UINT64_MAX, "18446744073709551615us"},
    {UNITS_TIME, "18446744073709551616us", UNITS_TOO_LARGE, 0, NULL},
    {UNITS_TIME, "18446744073709551615ms", UNITS_TOO_LARGE, 0, NULL},
    {UNITS_TIME, "99999999999999999999999999us", UNITS_TOO_LARGE, 0, NULL},
    {UNITS_SIZE, "10000", UNITS_BARE, 10000, "10000B"},
    {UNITS_SIZE, "10000B", UNITS_OK, 10000, "10000B"},
    {UNITS_SIZE, "256kB", UNITS_OK, 262144, "256kB"},
    {UNITS_SIZE, "1024kB", UNITS_OK, 1048576, "1MB"},
    {UNITS_SIZE, "3GB", UNITS_OK, 3221225472, "3GB"},
    {UNITS_SIZE, "1KB", UNITS_BAD, 0, NULL},
    {UNITS_SIZE, "1s", UNITS_BAD, 0, NULL},
    {UNITS_NONE, "500", UNITS_BARE, 500, "500"},
    {UNITS_NONE, "500B", UNITS_BAD, 0, NULL},
    {UNITS_NONE, "0", UNITS_BARE, 0, "0"},
};

Test(config, units) {
    for (size_t i = 0; i < sizeof(unit_texts) / sizeof(unit_texts[0]); i++) {
        uint64_t value = 0;
        char text[UNITS_TEXT_SIZE];
        cr_expect_eq(units_read(unit_texts[i].units, unit_texts[i].text, &value), unit_texts[i].result, "%s",
                     unit_texts[i].text);
        if (!unit_texts[i].written)
            continue;
        cr_expect_eq(value, unit_texts[i].value, "%s", unit_texts[i].text);
        cr_expect_str_eq(units_write(unit_texts[i].units, value, text), unit_texts[i].written);
    }
}

Test(config, distances) {
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"abc", "", 3},
        {"window", "window", 0},
        {"windw", "window", 1},
        {"windoow", "window", 1},
        {"wimdow", "window", 1},
        {"WINDOW", "window", 0},
        {"kitten", "sitting", 3},
        {"abcdef", "ghijkl", 6},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(nearest_distance(cases[i].a, strlen(cases[i].a), cases[i].b, strlen(cases[i].b)),
                     cases[i].distance, "%s, %s", cases[i].a, cases[i].b);
    // Longer names than it compares are cut, not read past their end.
    char longer[500];
    memset(longer, 'x', sizeof(longer));
    cr_expect_eq(nearest_distance(longer, sizeof(longer), "x", 1), 63);
    cr_expect_eq(nearest_distance("x", 1, longer, sizeof(longer)), 63);
}

Test(config, what_is_meant) {
    static const struct {
        const char *a, *b;
        bool meant;
    } cases[] = {
        {"windw", "window", true},
        {"mdoe", "mode", true},
        {"CONFIG_FILE", "CONFIG", true},
        {"pgfold_server", "SERVER", true},
        {"LISTEN", "my_listen", true},
        {"bar", "mode", false},
        {"port", "mode", false},
        {"-h", "-c", false},
        {"", "mode", false},
        {"a", "a_longer_name", false},
        {"pgbouncer", "pgfold", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *a = cases[i].a, *b = cases[i].b;
        cr_expect_eq(nearest_is_meant(a, strlen(a), b, strlen(b)), cases[i].meant, "%s, %s", a, b);
    }
}

// ---- the syntax of the file ----

Test(config, files_that_say_the_same) {
    static const char *const texts[] = {
        "[batching]\nwindow = 2ms\nmax_keys = 7\n",
        "[batching]\nwindow=2ms\nmax_keys=7",
        "[batching]\r\nwindow = 2ms\r\nmax_keys = 7\r\n",
        "\xef\xbb\xbf[batching]\nwindow = 2ms\nmax_keys = 7\n",
        "# a comment\n; another\n\n[batching]\nwindow = 2ms ; a third\nmax_keys = 7\n",
        "[batching]\nwindow = 2ms\n\n[pgfold]\nmode = fold\n[batching]\nmax_keys = 7\n",
        // Indented lines are settings, too, not more of the value above them.
        "  [batching]\n    window = 2ms\n    max_keys = 7\n\t# a comment\n",
        "[batching]\nwindow : 2ms\nmax_keys : 7\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config *c = create(texts[i]);
        cr_expect_eq(c->window, 2000, "%s", texts[i]);
        cr_expect_eq(c->max_keys, 7, "%s", texts[i]);
        config_destroy(c);
    }
    struct config *empty = create("");
    struct config *defaults = create(NULL);
    cr_assert_eq(differences(empty, defaults), 0);
    config_destroy(empty);
    config_destroy(defaults);
}

// "[pgfold]\nserver = xxx…", the second line of `length` bytes.
static char *with_long_line(size_t length, const char *start) {
    const char *section = "[pgfold]\n";
    char *text = calloc(1, strlen(section) + length + 2);
    cr_assert(text);
    strcpy(text, section);
    memset(text + strlen(section), 'x', length);
    memcpy(text + strlen(section), start, strlen(start));
    text[strlen(section) + length] = '\n';
    return text;
}

Test(config, long_lines) {
    char err[512];
    char *text = with_long_line(3000, "server = ");
    struct config *c = create(text);
    cr_assert_eq(strlen(c->server), 3000 - strlen("server = "));
    config_destroy(c);
    free(text);

    text = with_long_line(100000, "# ");
    config_destroy(create(text));
    free(text);

    text = with_long_line(8191, "server = ");
    config_destroy(create(text));
    free(text);

    text = with_long_line(8192, "server = ");
    cr_assert_null(config_create(text, "f.ini", NULL, 0, err, sizeof(err)));
    cr_assert_str_eq(
        err,
        "f.ini:2: this line is longer than 8191 bytes; shorten it, or give the value on the command line");
    free(text);
}

#define WRITE_SECTION                                                                                        \
    "write [pgfold], [batching], [lookahead], [report], [http], [console] or [table schema.name]"
#define WRITE_TABLE                                                                                          \
    "write [table schema.name], for example [table public.books] or [table public.\"Odd Name\"]"
#define LONG_NAME "a23456789_123456789_123456789_123456789_123456789_123456789_123" // 63 bytes

// ---- files that are refused, each with its message

struct refusal {
    const char *text, *message;
};

static void expect_refused(const struct refusal *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char err[512] = "";
        struct config *c = config_create(cases[i].text, "f.ini", NULL, 0, err, sizeof(err));
        cr_expect_null(c, "accepted: %s", cases[i].text);
        cr_expect_str_eq(err, cases[i].message);
        config_destroy(c);
    }
}

#define EXPECT_REFUSED(table) expect_refused(table, sizeof(table) / sizeof(table[0]))

static const struct refusal refused_names[] = {
    {"[batching]\n\nwindw = 1ms\n",
     "f.ini:3: unknown setting \"windw\" in [batching]; the nearest known one is batching.window"},
    {"[pgfold]\nwindow = 1ms\n",
     "f.ini:2: unknown setting \"window\" in [pgfold]; the nearest known one is batching.window"},
    {"[pgfold]\nMODE = fold\n",
     "f.ini:2: unknown setting \"MODE\" in [pgfold]; the nearest known one is pgfold.mode"},
    {"[batchin]\nwindow = 1ms\n", "f.ini:1: unknown section [batchin]; the nearest known one is [batching]"},
    {"# x\n[pgbouncer]\n", "f.ini:2: unknown section [pgbouncer]; " WRITE_SECTION},
    {"[]\n", "f.ini:1: unknown section []; " WRITE_SECTION},
    {"\xef\xbb\xbf[what]\n", "f.ini:1: unknown section [what]; " WRITE_SECTION},
    {"[look_ahead]\n", "f.ini:1: unknown section [look_ahead]; the nearest known one is [lookahead]"},
    {"[pgfold]\nshared_buffers = 1GB\n", "f.ini:2: unknown setting \"shared_buffers\" in [pgfold]; see "
                                         "docs/settings.md for those that there are"},
    {"listen = :1\n", "f.ini:1: \"listen\" stands before any section; put it below a line [pgfold]"},
};

Test(config, refused_names) {
    EXPECT_REFUSED(refused_names);
}

static const struct refusal refused_syntax[] = {
    {"[pgfold]\nmode fold\n",
     "f.ini:2: this line is not understood; write a [section], key = value, or a # before a comment"},
    {"[pgfold]\nmode fold\n[what]\n",
     "f.ini:2: this line is not understood; write a [section], key = value, or a # before a comment"},
    {"[pgfold]\nmode = bold\nmode fold\n",
     "f.ini:2: pgfold.mode: \"bold\" is not one of its values; write one of fold, observe, verify"},
    {"[pgfold\nmode = fold\n",
     "f.ini:1: this line is not understood; write a [section], key = value, or a # before a comment"},
};

Test(config, refused_lines) {
    EXPECT_REFUSED(refused_syntax);
}

static const struct refusal refused_twice[] = {
    {"[batching]\nwindow = 1ms\n# x\nwindow = 2ms\n",
     "f.ini:4: batching.window is set twice, in lines 2 and 4; remove one of them"},
    {"[batching]\nwindow = 1ms\n[pgfold]\n[batching]\n  window = 1ms\n",
     "f.ini:5: batching.window is set twice, in lines 2 and 5; remove one of them"},
};

Test(config, refused_keys_set_twice) {
    EXPECT_REFUSED(refused_twice);
}

static const struct refusal refused_times[] = {
    {"[batching]\nwindow = 5\n",
     "f.ini:2: batching.window: 5 has no unit; write for example 5ms, or 5s for seconds"},
    {"[batching]\nwindow = fast\n", "f.ini:2: batching.window: \"fast\" is not a time; write a whole "
                                    "number and a unit (us, ms, s, min), for example "
                                    "5ms or 30s"},
    {"[batching]\nwindow =\n", "f.ini:2: batching.window: \"\" is not a time; write a whole number and a "
                               "unit (us, ms, s, min), for example "
                               "5ms or 30s"},
    {"[batching]\nwindow = 1001ms\n", "f.ini:2: batching.window: 1001ms is out of range; it can be 0 to 1s"},
    {"[pgfold]\nlogin_timeout = 99999999999999999999s\n",
     "f.ini:2: pgfold.login_timeout: 99999999999999999999s is out of range; it can be 0 to 1440min"},
    {"[batching]\nvet_max_age = 0\n",
     "f.ini:2: batching.vet_max_age: 0 is out of range; it can be 1ms to 1440min"},
};

Test(config, refused_times) {
    EXPECT_REFUSED(refused_times);
}

static const struct refusal refused_numbers[] = {
    {"[pgfold]\nsession_buffer = 1KB\n", "f.ini:2: pgfold.session_buffer: \"1KB\" is not a size; write a "
                                         "whole number and a unit (B, kB, MB, GB), for "
                                         "example 64kB"},
    {"[pgfold]\nsession_buffer = 100\n",
     "f.ini:2: pgfold.session_buffer: 100 is out of range; it can be 16kB to 1GB"},
    {"[pgfold]\nunix_socket_permissions = 777\n", "f.ini:2: pgfold.unix_socket_permissions: 777 is out "
                                                  "of range; it can be 0000 to 0777, octal with a 0 "
                                                  "in front"},
    {"[pgfold]\nunix_socket_permissions = 01777\n",
     "f.ini:2: pgfold.unix_socket_permissions: 01777 is out of range; it can be 0000 to 0777, octal with "
     "a 0 "
     "in front"},
    {"[pgfold]\nunix_socket_permissions = 0778\n", "f.ini:2: pgfold.unix_socket_permissions: \"0778\" is "
                                                   "not a file mode; write it as chmod takes it, octal "
                                                   "with a 0 in front, for example 0770"},
    {"[pgfold]\nunix_socket_permissions = rwxrwx---\n",
     "f.ini:2: pgfold.unix_socket_permissions: \"rwxrwx---\" is not a file mode; write it as chmod takes "
     "it, "
     "octal with a 0 in front, for example 0770"},
    {"[pgfold]\nunix_socket_permissions = -1\n", "f.ini:2: pgfold.unix_socket_permissions: \"-1\" is not "
                                                 "a file mode; write it as chmod takes it, octal with "
                                                 "a 0 in front, for example 0770"},
    {"[batching]\nmax_keys = 0\n", "f.ini:2: batching.max_keys: 0 is out of range; it can be 1 to 10000"},
    {"[batching]\nmax_keys = 10001\n",
     "f.ini:2: batching.max_keys: 10001 is out of range; it can be 1 to 10000"},
    {"[batching]\nmax_keys = 4294967297\n",
     "f.ini:2: batching.max_keys: 4294967297 is out of range; it can be 1 to 10000"},
    {"[batching]\nmax_keys = -5\n",
     "f.ini:2: batching.max_keys: \"-5\" is not a whole number; write one from 1 to 10000"},
    {"[batching]\nmax_in_flight = 65\n",
     "f.ini:2: batching.max_in_flight: 65 is out of range; it can be 1 to 64"},
};

Test(config, refused_sizes_and_numbers) {
    EXPECT_REFUSED(refused_numbers);
}

static const struct refusal refused_words[] = {
    {"[pgfold]\nlog_level = verbose\n", "f.ini:2: pgfold.log_level: \"verbose\" is not one of its "
                                        "values; write one of error, warning, info, debug"},
    {"[pgfold]\nclient_tls_min_version = 1.4\n",
     "f.ini:2: pgfold.client_tls_min_version: \"1.4\" is not one of its values; write one of "
     "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"},
    {"[pgfold]\nclient_tls_min_version = TLSv1.2.1\n",
     "f.ini:2: pgfold.client_tls_min_version: \"TLSv1.2.1\" is not one of its values; write one of "
     "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"},
    {"[pgfold]\nclient_tls_ciphers =\n", "f.ini:2: pgfold.client_tls_ciphers is empty; write a list as "
                                         "\"openssl ciphers\" takes it, for example ECDHE+AESGCM"},
    {"[pgfold]\nlog_format = xml\n",
     "f.ini:2: pgfold.log_format: \"xml\" is not one of its values; write one of text, json"},
    {"[pgfold]\nmode =\n",
     "f.ini:2: pgfold.mode: \"\" is not one of its values; write one of fold, observe, verify"},
    {"[lookahead]\nmode = on\n",
     "f.ini:2: lookahead.mode: \"on\" is not one of its values; write one of off, snapshot, bounded"},
    {"[lookahead]\nmax_keys = 0\n", "f.ini:2: lookahead.max_keys: 0 is out of range; it can be 1 to 10000"},
    {"[lookahead]\nmax_keys = 10001\n",
     "f.ini:2: lookahead.max_keys: 10001 is out of range; it can be 1 to 10000"},
    {"[lookahead]\nmax_gap = 0\n", "f.ini:2: lookahead.max_gap: 0 is out of range; it can be 1us to 1s"},
    {"[lookahead]\nmax_age = 61s\n",
     "f.ini:2: lookahead.max_age: 61s is out of range; it can be 1us to 1min"},
    {"[lookahead]\nmax_session_memory = 4kB\n",
     "f.ini:2: lookahead.max_session_memory: 4kB is out of range; it can be 16kB to 1GB"},
};

Test(config, refused_words) {
    EXPECT_REFUSED(refused_words);
}

static const struct refusal refused_tables[] = {
    {"[table books]\n", "f.ini:1: [table books] names no schema; " WRITE_TABLE},
    {"[table \"public.books\"]\n", "f.ini:1: [table \"public.books\"] names no schema; " WRITE_TABLE},
    {"[table]\n", "f.ini:1: [table] lacks a name; " WRITE_TABLE},
    {"[table public.]\n", "f.ini:1: [table public.] lacks a name; " WRITE_TABLE},
    {"[table .books]\n", "f.ini:1: [table .books] lacks a name; " WRITE_TABLE},
    {"[table.public.books]\n", "f.ini:1: [table.public.books] lacks a name; " WRITE_TABLE},
    {"[table public.Books]\n",
     "f.ini:1: [table public.Books] has a name that needs double quotes; " WRITE_TABLE},
    {"[table public.1st]\n", "f.ini:1: [table public.1st] has a name that needs double quotes; " WRITE_TABLE},
    {"[table public.\"a\"b]\n",
     "f.ini:1: [table public.\"a\"b] has a name that needs double quotes; " WRITE_TABLE},
    {"[table public.\"\"]\n", "f.ini:1: [table public.\"\"] has an empty name; " WRITE_TABLE},
    {"[table public.\"a]\n",
     "f.ini:1: [table public.\"a] has a double quote without its other one; " WRITE_TABLE},
    {"[table db.public.books]\n",
     "f.ini:1: [table db.public.books] has more than schema and name; " WRITE_TABLE},
    {"[table public.books authors]\n",
     "f.ini:1: [table public.books authors] has more than schema and name; " WRITE_TABLE},
    {"[table public." LONG_NAME "x]\n",
     "f.ini:1: [table public." LONG_NAME "x] has a name of more than 63 bytes; " WRITE_TABLE},
    {"[table public.\"" LONG_NAME "x\"]\n",
     "f.ini:1: [table public.\"" LONG_NAME "x\"] has a name of more than 63 bytes; " WRITE_TABLE},
    {"[table public.books\nlookahead = off\n",
     "f.ini:1: this line is not understood; write a [section], key = value, or a # before a comment"},
    {"[table public.books]\nlookahed = off\n",
     "f.ini:2: unknown setting \"lookahed\" in [table public.books]; the only one there is lookahead"},
    {"[table public.\"B\"]\nmode = off\n",
     "f.ini:2: unknown setting \"mode\" in [table public.\"B\"]; the only one there is lookahead"},
    {"[table public.books]\nlookahead = bounded\n", "f.ini:2: table public.books.lookahead: \"bounded\" is "
                                                    "not one of its values; write one of on, off"},
    {"[table a.b]\nlookahead = off\n[table \"a\".\"b\"]\nlookahead = off\n",
     "f.ini:4: table a.b.lookahead is set twice, in lines 2 and 4; remove one of them"},
    {"[tables public.books]\n",
     "f.ini:1: unknown section [tables public.books]; the nearest known one is [table schema.name]"},
};

Test(config, refused_table_sections) {
    EXPECT_REFUSED(refused_tables);
}

static const struct refusal refused_behind[] = {
    {"[pgfold] mode = observe\n",
     "f.ini:1: this line is not understood; write a [section], key = value, or a # before a comment"},
    {"[table public.books] lookahead = off\n",
     "f.ini:1: this line is not understood; write a [section], key = value, or a # before a comment"},
};

Test(config, refused_text_behind_a_section) {
    EXPECT_REFUSED(refused_behind);
}

static const struct refusal refused_texts[] = {
    {"[pgfold]\nlisten =\n",
     "f.ini:2: pgfold.listen is empty; name at least one address, for example 127.0.0.1:6432"},
    {"[pgfold]\nserver = ; later\n", "f.ini:2: pgfold.server is empty; write a libpq connection string, "
                                     "for example host=db.internal port=5432"},
    {"[pgfold]\nserver = \"host=a\"\n",
     "f.ini:2: pgfold.server begins with a quote; write the value without quotes"},
    {"[pgfold]\nmax_logins = \"20\"\n",
     "f.ini:2: pgfold.max_logins begins with a quote; write the value without quotes"},
    {"[pgfold]\nmode = 'fold'\n", "f.ini:2: pgfold.mode begins with a quote; write the value without quotes"},
    {"[table a.b]\nlookahead = \"off\"\n",
     "f.ini:2: table a.b.lookahead begins with a quote; write the value without quotes"},
};

Test(config, refused_texts) {
    EXPECT_REFUSED(refused_texts);
}

static const struct refusal refused_combinations[] = {
    {"[pgfold]\nclient_tls = require\n", "f.ini:2: pgfold.client_tls = require needs a certificate and "
                                         "its key; set pgfold.client_tls_cert and "
                                         "pgfold.client_tls_key, or pgfold.client_tls = disable"},
    {"[pgfold]\nclient_tls_cert = /c\nclient_tls = allow\n",
     "f.ini:3: pgfold.client_tls = allow needs a certificate and its key; set pgfold.client_tls_cert and "
     "pgfold.client_tls_key, or pgfold.client_tls = disable"},
    {"[pgfold]\nclient_tls_key = /k\nclient_tls = allow\n",
     "f.ini:3: pgfold.client_tls = allow needs a certificate and its key; set pgfold.client_tls_cert and "
     "pgfold.client_tls_key, or pgfold.client_tls = disable"},
};

Test(config, refused_combinations) {
    EXPECT_REFUSED(refused_combinations);
}

Test(config, messages_are_cut_to_their_room) {
    char err[12];
    memset(err, 'z', sizeof(err));
    cr_assert_null(config_create("[x]\n", "f.ini", NULL, 0, err, 10));
    cr_assert_str_eq(err, "f.ini:1: ");
    cr_assert_eq(err[10], 'z');
    cr_assert_null(config_create("[x]\n", "f.ini", NULL, 0, NULL, 0));
}

// Every file cut at every byte either gives a config or a message, and nothing is read past its end.
Test(config, the_shipped_file_cut_at_every_byte) {
    char *text = read_source("config/pgfold.ini");
    for (size_t length = strlen(text); length > 0; length--) {
        char err[512] = "";
        char *cut = calloc(1, length + 1);
        cr_assert(cut);
        memcpy(cut, text, length);
        struct config *c = config_create(cut, "f.ini", NULL, 0, err, sizeof(err));
        cr_assert(c || strncmp(err, "f.ini:", 6) == 0, "%zu: %s", length, err);
        config_destroy(c);
        free(cut);
    }
    free(text);
}

// ---- tables ----

static void expect_table(const struct config_table *t, const char *schema, const char *name, bool lookahead) {
    cr_assert(t, "%s.%s is missing", schema, name);
    cr_expect_str_eq(t->schema, schema);
    cr_expect_str_eq(t->name, name);
    cr_expect_eq(t->lookahead, lookahead);
}

Test(config, tables) {
    struct config *c =
        create("[table public.books]\nlookahead = off\n"
               "[batching]\nmax_keys = 7\n"
               "  [table \t\"Shop\".\"a \"\"]; \"\" # b\" ] ; a comment\r\n lookahead = off ; another\n"
               "[table _x.y_1]# a comment\nlookahead = on\n"
               "[table public.empty]\n"
               "[table public." LONG_NAME "]\nlookahead = off\n"
               "[table \"" LONG_NAME "\".\"public\"]\nlookahead = off\n");
    const struct config_table *t = c->tables;

    cr_assert_eq(c->max_keys, 7);
    cr_assert_eq(c->n_tables, 5);
    expect_table(t, "public", "books", false);
    expect_table(t = t->next, "Shop", "a \"]; \" # b", false);
    expect_table(t = t->next, "_x", "y_1", true);
    expect_table(t = t->next, "public", LONG_NAME, false);
    expect_table(t = t->next, LONG_NAME, "public", false);
    cr_assert_null(t->next);
    config_destroy(c);
}

Test(config, overrides_of_tables) {
    static const struct config_override overrides[] = {
        {"table public.books.lookahead", "on", "--set"},
        {"table \"Odd.Name\".\"=\".lookahead", "on", "--set"},
        {"table \"Odd.Name\".\"=\".lookahead", "off", "--set"},
        {"table lookahead.lookahead.lookahead", "off", "--set"},
    };
    char err[512] = "";
    struct config *c =
        config_create("[table public.books]\nlookahead = off\n", "f.ini", overrides, 4, err, sizeof(err));
    cr_assert(c, "%s", err);
    cr_assert_eq(c->n_tables, 3);
    expect_table(c->tables, "public", "books", true);
    expect_table(c->tables->next, "Odd.Name", "=", false);
    expect_table(c->tables->next->next, "lookahead", "lookahead", false);
    config_destroy(c);
}

Test(config, tables_are_so_many_at_most) {
    static char text[1001 * 64];
    char err[512] = "";
    size_t at = 0;

    for (size_t i = 0; i < 1000; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "[table public.t%zu]\nlookahead = off\n", i);
    config_destroy(create(text));
    snprintf(text + at, sizeof(text) - at, "[table public.more]\nlookahead = on\n");
    cr_assert_null(config_create(text, "f.ini", NULL, 0, err, sizeof(err)));
    cr_assert_str_eq(err,
                     "f.ini:2002: there are more than 1000 tables with settings of their own; remove some");
}

// ---- overrides ----

Test(config, overrides_win_in_order) {
    static const struct config_override overrides[] = {
        {"batching.window", "1ms", "PGFOLD_BATCHING_WINDOW"},
        {"pgfold.server", "host=env", "PGFOLD_SERVER"},
        {"batching.window", "3ms", "--set"},
    };
    char err[512] = "";
    struct config *c =
        config_create("[batching]\nwindow = 9ms\nmax_keys = 9\n", "f.ini", overrides, 3, err, sizeof(err));
    cr_assert(c, "%s", err);
    cr_assert_eq(c->window, 3000);
    cr_assert_eq(c->max_keys, 9);
    cr_assert_str_eq(c->server, "host=env");
    config_destroy(c);
}

Test(config, overrides_complete_what_the_file_leaves_open) {
    static const struct config_override overrides[] = {
        {"pgfold.client_tls_cert", "/c", "PGFOLD_CLIENT_TLS_CERT"},
        {"pgfold.client_tls_key", "/k", "--set"},
    };
    char err[512] = "";
    struct config *c =
        config_create("[pgfold]\nclient_tls = allow\n", "f.ini", overrides, 2, err, sizeof(err));
    cr_assert(c, "%s", err);
    cr_assert_eq(c->client_tls, CLIENT_TLS_ALLOW);
    config_destroy(c);
}

#define WRITE_KEY "write table schema.name.lookahead, for example table public.books.lookahead"

Test(config, refused_overrides) {
    static const struct {
        struct config_override override;
        const char *message;
    } cases[] = {
        {{"batching.windw", "1ms", "--set"},
         "--set: unknown setting \"batching.windw\"; the nearest known one is batching.window"},
        {{"window", "1ms", "--set"},
         "--set: unknown setting \"window\"; the nearest known one is batching.window"},
        {{"lookahed.mode", "off", "--set"},
         "--set: unknown setting \"lookahed.mode\"; the nearest known one is lookahead.mode"},
        {{"foo.bar", "1", "--set"},
         "--set: unknown setting \"foo.bar\"; see docs/settings.md for those that there are"},
        {{"", "1ms", "--set"}, NULL},
        {{"pgfold.", "1ms", "--set"}, NULL},
        {{"batching.window", "1", "PGFOLD_BATCHING_WINDOW"},
         "PGFOLD_BATCHING_WINDOW: batching.window: 1 has no unit; write for example 1ms, or 1s for seconds"},
        {{"pgfold.listen", "  ", "--listen"},
         "--listen: pgfold.listen is empty; name at least one address, for example 127.0.0.1:6432"},
        {{"pgfold.client_tls", "allow", "PGFOLD_CLIENT_TLS"},
         "PGFOLD_CLIENT_TLS: pgfold.client_tls = allow needs a certificate and its key; set "
         "pgfold.client_tls_cert "
         "and pgfold.client_tls_key, or pgfold.client_tls = disable"},
        {{"table public.books.lookahead", "of", "--set"},
         "--set: table public.books.lookahead: \"of\" is not one of its values; write one of on, off"},
        {{"table books.lookahead", "off", "--set"},
         "--set: \"table books.lookahead\" is no setting of a table; " WRITE_KEY},
        {{"table books", "off", "--set"}, "--set: \"table books\" names no schema; " WRITE_KEY},
        {{"table public.books.mode", "off", "--set"},
         "--set: \"table public.books.mode\" is no setting of a table; " WRITE_KEY},
        {{"table.public.books.lookahead", "off", "--set"},
         "--set: \"table.public.books.lookahead\" lacks a name; " WRITE_KEY},
        {{"table", "off", "--set"}, "--set: \"table\" lacks a name; " WRITE_KEY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char err[512] = "";
        cr_expect_null(config_create(NULL, NULL, &cases[i].override, 1, err, sizeof(err)));
        if (cases[i].message)
            cr_expect_str_eq(err, cases[i].message);
        cr_expect_str_not_empty(err);
    }
}

// ---- reloads ----

struct change {
    char text[1024];
};

static void write_change(void *arg, const char *key, const char *old_value, const char *new_value,
                         bool needs_restart) {
    struct change *all = arg;
    size_t used = strlen(all->text);
    snprintf(all->text + used, sizeof(all->text) - used, "%s: %s -> %s%s\n", key, old_value, new_value,
             needs_restart ? ", restart" : "");
}

Test(config, differences_are_reported_as_a_file_would_say_them) {
    struct config *a = create("[pgfold]\nlisten = :1\nclient_tls_cert = /c\n[batching]\nwindow = 1500us\n");
    struct config *b = create("[pgfold]\nlisten = :2\nclient_tls_cert =\nmode = observe\nlog_format = json\n"
                              "[batching]\nwindow = 2000us\nmax_answer = 1024kB\nmax_shapes = 5\n");
    struct change all = {""};

    config_diff(a, b, write_change, &all);
    cr_assert_str_eq(all.text, "pgfold.listen: :1 -> :2, restart\n"
                               "pgfold.mode: fold -> observe\n"
                               "pgfold.log_format: text -> json\n"
                               "pgfold.client_tls_cert: /c -> \n"
                               "batching.window: 1500us -> 2ms\n"
                               "batching.max_answer: 8MB -> 1MB\n"
                               "batching.max_shapes: 10000 -> 5, restart\n");
    cr_assert_eq(differences(a, a), 0);
    config_destroy(a);
    config_destroy(b);
}

Test(config, differences_of_tables) {
    struct config *a = create("[table a.off]\nlookahead = off\n[table a.gone]\nlookahead = off\n"
                              "[table a.stays]\nlookahead = off\n[table a.\"On\"]\nlookahead = on\n");
    struct config *b = create("[table a.off]\nlookahead = on\n[table a.stays]\nlookahead = off\n"
                              "[table b.\"Odd \"\"Name\"]\nlookahead = off\n[table b.on]\nlookahead = on\n");
    struct change all = {""};

    config_diff(a, b, write_change, &all);
    cr_assert_str_eq(all.text, "table a.off.lookahead: off -> on\n"
                               "table a.gone.lookahead: off -> on\n"
                               "table b.\"Odd \"\"Name\".lookahead: on -> off\n");
    config_destroy(a);
    config_destroy(b);
}

// ---- memory ----

Test(config, the_nth_allocation_fails) {
    static const struct config_override override = {"pgfold.server", "host=elsewhere", "--server"};
    static const char text[] = "[pgfold]\nlisten = :1\nclient_tls_cert = /c\n"
                               "[table public.books]\nlookahead = off\n";
    int n = 1;

    cr_assert(__real_malloc && __real_calloc, "link with -Wl,--wrap=malloc,--wrap=calloc");
    for (;; n++) {
        char err[512] = "";
        allocations_left = n;
        struct config *c = config_create(text, "f.ini", &override, 1, err, sizeof(err));
        bool failed = allocations_left == 0;
        allocations_left = -1;
        if (!failed) {
            cr_assert(c);
            config_destroy(c);
            break;
        }
        cr_assert_null(c, "allocation %d failed and yet there is a config", n);
        cr_assert_str_eq(err, "out of memory while reading the settings");
    }
    // The struct, nine texts' defaults, two from the file, a table, an override; success.
    cr_assert_eq(n, 1 + 9 + 2 + 1 + 1 + 1);
}

// ---- messages of others

Test(config, where_a_value_came_from) {
    static const struct config_override override = {"pgfold.server", "foo=1", "--server"};
    static const struct {
        const char *message, *told;
    } cases[] = {
        {"pgfold.server: x", "--server: pgfold.server: x"},
        {"pgfold.client_tls_cert: x", "f.ini:2: pgfold.client_tls_cert: x"},
        {"pgfold.client_tls_key: x", "pgfold.client_tls_key: x"}, // the default
        {"pgfold.client_tls: x", "pgfold.client_tls: x"},
        {"pgfold.serverx: x", "pgfold.serverx: x"},
        {"out of memory", "out of memory"},
        {"", ""},
    };
    char err[512] = "";
    struct config *c = config_create("[pgfold]\nclient_tls_cert = /c\nserver = host=a\n", "f.ini", &override,
                                     1, err, sizeof(err));
    cr_assert(c, "%s", err);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char message[64];
        snprintf(message, sizeof(message), "%s", cases[i].message);
        config_add_origin(c, message, sizeof(message));
        cr_expect_str_eq(message, cases[i].told);
    }
    char exact[] = "pgfold.server: x"; // its end makes room
    config_add_origin(c, exact, sizeof(exact));
    cr_expect_str_eq(exact, "--server: pgfold");
    config_add_origin(c, exact, 0);
    cr_expect_str_eq(exact, "--server: pgfold");
    config_destroy(c);
}

// ---- notes

static void collect_note(void *arg, const char *note) {
    char *all = arg;
    strcat(all, note);
    strcat(all, "\n");
}

static const char *notes_of(const char *text) {
    static char all[4096];
    char err[1024];
    struct config *c = config_create(text, "f.ini", NULL, 0, err, sizeof err);
    cr_assert(c, "%s", err);
    all[0] = 0;
    config_notes(c, collect_note, all);
    config_destroy(c);
    return all;
}

Test(config, limits_that_others_make_void_are_told) {
    cr_assert_str_empty(notes_of(""));
    cr_assert_str_eq(notes_of("[pgfold]\nmax_session_memory = 64MB\nmax_memory = 16MB\n"),
                     "pgfold.max_session_memory = 64MB counts as 4MB, a quarter of pgfold.max_memory (16MB); "
                     "lower it, or raise pgfold.max_memory\n");
    cr_assert_str_eq(
        notes_of("[batching]\nmax_answer = 16MB\n"),
        "batching.max_answer = 16MB counts as 8MB, an eighth of pgfold.max_session_memory (64MB); "
        "lower it, or raise pgfold.max_session_memory\n");
    cr_assert_str_empty(notes_of("[batching]\nmax_answer = 16MB\n[pgfold]\nmax_session_memory = 128MB\n"));
    // Nobody has set what is cut.
    cr_assert_str_empty(notes_of("[pgfold]\nmax_session_memory = 64kB\nmax_memory = 1MB\n"));
}

Test(config, times_that_others_make_void_are_told) {
    cr_assert_str_eq(
        notes_of("[lookahead]\nmax_gap = 200ms\n"),
        "lookahead.max_gap = 200ms does no more than 100ms would, since lookahead.max_age drops an "
        "answer then; lower it, or raise lookahead.max_age\n");
    cr_assert_str_empty(notes_of("[lookahead]\nmax_gap = 200ms\nmode = off\n"));
    cr_assert_str_empty(notes_of("[lookahead]\nmax_gap = 100ms\n"));
    cr_assert_str_empty(notes_of("[lookahead]\nmax_age = 10ms\n"));
    cr_assert_str_eq(notes_of("[batching]\ntimeout = 10ms\n"),
                     "batching.timeout = 10ms cancels a batch before batching.patience = 20ms is over; raise "
                     "it, or lower batching.patience\n");
    cr_assert_str_empty(notes_of("[batching]\ntimeout = 20ms\n"));
    cr_assert_str_empty(notes_of("[batching]\ntimeout = 0\n"));
    cr_assert_str_empty(notes_of("[batching]\npatience = 0\ntimeout = 10ms\n"));
}

Test(config, unused_settings_of_tls_are_told) {
    cr_assert_str_eq(notes_of("[pgfold]\nclient_tls_cert = /c\nclient_tls_ciphers = nonsense\n"),
                     "neither used nor checked while pgfold.client_tls = disable: pgfold.client_tls_cert, "
                     "pgfold.client_tls_ciphers; set it to allow or require\n");
    cr_assert_str_empty(notes_of("[pgfold]\nclient_tls_cert =\nclient_tls_min_version = 1.2\n"));
    cr_assert_str_empty(
        notes_of("[pgfold]\nclient_tls_cert = /c\nclient_tls_key = /k\nclient_tls = allow\n"));
    const char *all = notes_of("[pgfold]\nclient_tls_cert = /c\nclient_tls_key = /k\nclient_tls_ciphers = x\n"
                               "client_tls_min_version = 1.3\n");
    cr_assert(strstr(all, "pgfold.client_tls_ciphers; set it"), "%s", all);
}

Test(config, the_shipped_file_has_no_notes) {
    char *text = read_source("config/pgfold.ini");
    cr_assert_str_empty(notes_of(text));
    free(text);
}

static void keep_note(void *arg, const char *note) {
    snprintf(arg, 512, "%s", note);
}

Test(config, a_file_is_beaten_by_the_environment) {
    static const struct {
        struct config_override override;
        const char *note;
    } cases[] = {
        {{"pgfold.listen", ":2", "PGFOLD_LISTEN"},
         "a.ini:2: pgfold.listen is not used, since PGFOLD_LISTEN has another value and comes first"},
        {{"pgfold.listen", ":1", "PGFOLD_LISTEN"}, ""},
        {{"pgfold.listen", ":2", "--listen"}, ""},
        {{"pgfold.mode", "observe", "PGFOLD_MODE"}, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char err[256] = "", note[512] = "";
        struct config *c =
            config_create("[pgfold]\nlisten = :1\n", "a.ini", &cases[i].override, 1, err, sizeof(err));
        cr_assert_not_null(c, "%s", err);
        config_beaten(c, keep_note, note);
        cr_expect_str_eq(note, cases[i].note);
        config_destroy(c);
    }
}
