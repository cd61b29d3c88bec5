// SPDX-License-Identifier: PostgreSQL
//
// Settings: the table that describes every key, and the way from texts to the struct.
//
//   the table's defaults -> the file, line by line (inih knows the syntax) -> the overrides -> a check of all
//
// Every value goes through set_value(), wherever it comes from, so a default is checked like an operator's
// text. The first error ends the reading: its message is in err, and no config comes back.
#include "config/config.h"

#include <assert.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/nearest.h"
#include "config/table.h"
#include "config/units.h"

enum kind {
    KIND_TEXT,   // char *: at least min bytes
    KIND_INT,    // int
    KIND_TIME,   // uint64_t, microseconds
    KIND_SIZE,   // size_t, bytes
    KIND_MODE,   // int: permissions of a file, in octal with a 0 in front
    KIND_CHOICE, // an enum: the position in words
    KIND_SWITCH  // a bool: the position in words, of two
};

#define MAX_WORDS 4

struct setting {
    const char *name; // "section.key"
    enum kind kind;
    size_t offset;       // of the field in struct config
    const char *initial; // the default, as a file would say it
    uint64_t min, max;
    bool restart;                 // a change takes effect only when pgfold is started again
    const char *words[MAX_WORDS]; // of KIND_CHOICE, in the enum's order; NULL behind the last
    const char *hint;             // of KIND_TEXT: follows the message about an empty value
    const char *description;
};

#define SECOND   1000000ULL
#define DAY      (24 * 3600 * SECOND)
#define KILOBYTE 1024ULL
#define MEGABYTE (1024 * KILOBYTE)
#define GIGABYTE (1024 * MEGABYTE)

#define TEXT(field, initial, min, restart, hint)                                                             \
    KIND_TEXT, offsetof(struct config, field), initial, min, SIZE_MAX, restart, {NULL}, hint
#define NUMBER(kind, field, initial, min, max)                                                               \
    kind, offsetof(struct config, field), initial, min, max, false, {NULL}, NULL
#define AT_START(kind, field, initial, min, max)                                                             \
    kind, offsetof(struct config, field), initial, min, max, true, {NULL}, NULL
#define CHOICE(kind, field, initial, ...)                                                                    \
    kind, offsetof(struct config, field), initial, 0, 0, false, {__VA_ARGS__}, NULL

#define TLS_VERSIONS "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"

#define LARGEST_MEMORY (SIZE_MAX > UINT32_MAX ? 64 * GIGABYTE : GIGABYTE)

static const struct setting settings[] = {
    {"pgfold.listen",
     TEXT(listen, "127.0.0.1:6432", 1, true, "name at least one address, for example 127.0.0.1:6432"),
     "addresses that clients connect to, comma-separated"},
    {"pgfold.server",
     TEXT(server, "host=/var/run/postgresql port=5432", 1, false,
          "write a libpq connection string, for example host=db.internal port=5432"),
     "the PostgreSQL server, as a libpq connection string"},
    {"pgfold.mode", CHOICE(KIND_CHOICE, mode, "fold", "fold", "observe", "verify"),
     "fold lookups, only count what would be folded, or compare what folding says with the originals"},
    {"pgfold.log_level", CHOICE(KIND_CHOICE, log_level, "info", "error", "warning", "info", "debug"),
     "the least important events that are logged"},
    {"pgfold.log_format", CHOICE(KIND_SWITCH, log_json, "text", "text", "json"), "how a log line is written"},
    {"pgfold.log_repeats", NUMBER(KIND_INT, log_repeats, "10", 0, 1000000),
     "lines of one kind that clients can cause within 10 s; 0: all"},
    {"pgfold.max_clients", NUMBER(KIND_INT, max_clients, "10000", 1, 1000000),
     "client connections that are served at once"},
    {"pgfold.max_logins", NUMBER(KIND_INT, max_logins, "1000", 1, 100000),
     "connections that are not logged in yet"},
    {"pgfold.max_cancels", NUMBER(KIND_INT, max_cancels, "1000", 1, 100000),
     "clients' cancel requests that are under way at once"},
    {"pgfold.login_timeout", NUMBER(KIND_TIME, login_timeout, "60s", 0, DAY),
     "how long a client may take to log in; 0: no limit"},
    {"pgfold.max_startup_packet", NUMBER(KIND_SIZE, max_startup_packet, "10000B", 1000, MEGABYTE),
     "size of the largest startup packet that is accepted"},
    {"pgfold.session_buffer", NUMBER(KIND_SIZE, session_buffer, "256kB", 16 * KILOBYTE, GIGABYTE),
     "bytes that may wait in each direction of one session"},
    {"pgfold.max_session_memory",
     NUMBER(KIND_SIZE, max_session_memory, "64MB", 16 * KILOBYTE, LARGEST_MEMORY),
     "bytes that one session may hold, all in all"},
    {"pgfold.max_memory", NUMBER(KIND_SIZE, max_memory, "1GB", 256 * KILOBYTE, LARGEST_MEMORY),
     "bytes that all sessions and what is remembered of statements may hold together"},
    {"pgfold.client_tls", CHOICE(KIND_CHOICE, client_tls, "disable", "disable", "allow", "require"),
     "whether clients may, or must, connect with TLS"},
    {"pgfold.client_tls_cert", TEXT(client_tls_cert, "", 0, false, NULL),
     "PEM file of the certificate shown to clients"},
    {"pgfold.client_tls_key", TEXT(client_tls_key, "", 0, false, NULL),
     "PEM file of that certificate's private key"},
    {"pgfold.client_tls_min_version", CHOICE(KIND_CHOICE, client_tls_min_version, "TLSv1.2", TLS_VERSIONS),
     "the oldest version of TLS that clients may speak"},
    {"pgfold.client_tls_ciphers",
     TEXT(client_tls_ciphers, "ECDHE+AESGCM:ECDHE+CHACHA20", 1, false,
          "write a list as \"openssl ciphers\" takes it, for example ECDHE+AESGCM"),
     "ciphers of TLS 1.2 and below, as OpenSSL writes them"},
    {"pgfold.drain_timeout", NUMBER(KIND_TIME, drain_timeout, "60s", 0, DAY),
     "how long running statements may take at shutdown; 0: no limit"},
    {"pgfold.core_dumps", CHOICE(KIND_SWITCH, core_dumps, "off", "off", "on"),
     "whether a crash may leave a core file, which has clients' data in it"},
    {"pgfold.unix_socket_permissions", AT_START(KIND_MODE, unix_socket_permissions, "0777", 0, 0777),
     "who may connect to a Unix socket, as chmod takes it"},
    {"batching.window", NUMBER(KIND_TIME, window, "0", 0, SECOND),
     "how long a lookup may wait for company; 0: to the end of the event loop's turn"},
    {"batching.max_keys", NUMBER(KIND_INT, max_keys, "500", 1, 10000), "keys in one batch"},
    {"batching.max_in_flight", NUMBER(KIND_INT, max_in_flight, "2", 1, 64),
     "batches of one group that are under way at once"},
    {"batching.max_waiting", NUMBER(KIND_INT, max_waiting, "1024", 1, 1024),
     "lookups of one session that may wait at once"},
    {"batching.max_answer", NUMBER(KIND_SIZE, max_answer, "8MB", KILOBYTE, GIGABYTE),
     "size of a batch's answer above which its lookups are run alone"},
    {"batching.max_text", NUMBER(KIND_SIZE, max_text, "64kB", 64, 16 * MEGABYTE),
     "length of a statement above which it is forwarded without a look"},
    {"batching.parse_budget", NUMBER(KIND_TIME, parse_budget, "250ms", 0, SECOND),
     "time of each second that new statement texts may take; 0: no limit"},
    {"batching.max_shapes", AT_START(KIND_INT, max_shapes, "10000", 1, 10000000),
     "statement shapes remembered"},
    {"batching.max_groups", AT_START(KIND_INT, max_groups, "10000", 1, 10000000),
     "groups of lookups remembered"},
    {"batching.max_statements", NUMBER(KIND_INT, max_statements, "2000", 1, 1000000),
     "prepared statements remembered for each session"},
    {"batching.patience", NUMBER(KIND_TIME, patience, "20ms", 0, DAY),
     "how long a lookup waits, at least, for a batch on another's connection; 0: no limit but timeout"},
    {"batching.timeout", NUMBER(KIND_TIME, timeout, "30s", 0, DAY),
     "age at which a batch is cancelled and its lookups are run alone; 0: no limit"},
    {"batching.vet_max_age", NUMBER(KIND_TIME, vet_max_age, "60s", 1000, DAY),
     "age at which what the catalogue said about a shape is asked again"},
    {"batching.check_one_in", NUMBER(KIND_INT, check_one_in, "1000", 0, 1000000000),
     "of so many folded lookups one is compared with its original; 0: none"},
    {"batching.never_slower", CHOICE(KIND_SWITCH, never_slower, "on", "off", "on"),
     "run the lookups of a shape as they come while folding them is slower"},
    {"batching.early_commit", CHOICE(KIND_SWITCH, early_commit, "on", "off", "on"),
     "do not wait for the end of a transaction that has only read, if the server is far"},
    {"lookahead.mode", CHOICE(KIND_CHOICE, lookahead, "bounded", "off", "snapshot", "bounded"),
     "loading rows ahead of a loop: never, only where that is exact, or within max_gap and max_age"},
    {"lookahead.max_gap", NUMBER(KIND_TIME, ahead_gap, "20ms", 1, SECOND),
     "pause of a loop after which what was loaded ahead for it is dropped"},
    {"lookahead.max_age", NUMBER(KIND_TIME, ahead_age, "100ms", 1, 60 * SECOND),
     "age at which an answer loaded ahead is dropped"},
    {"lookahead.max_keys", NUMBER(KIND_INT, ahead_keys, "500", 1, 10000), "keys in one batch loaded ahead"},
    {"lookahead.with_list", CHOICE(KIND_SWITCH, ahead_with_list, "on", "off", "on"),
     "send what a loop over a list will ask for behind the list's own statement, if the server is far"},
    {"lookahead.max_session_memory", NUMBER(KIND_SIZE, ahead_session, "4MB", 16 * KILOBYTE, GIGABYTE),
     "bytes that one session may hold: recent keys and answers loaded ahead"},
    {"lookahead.max_memory", NUMBER(KIND_SIZE, ahead_memory, "256MB", 16 * KILOBYTE, LARGEST_MEMORY),
     "bytes that all sessions together may hold"},
    {"report.max_loops", NUMBER(KIND_INT, report_loops, "200", 0, 1000), "loops that the report lists"},
    {"report.max_tags", NUMBER(KIND_INT, report_tags, "1000", 0, 10000),
     "different sets of tags that are kept; others count as (other)"},
    {"report.max_loop_tags", NUMBER(KIND_INT, report_loop_tags, "20", 0, 64),
     "sets of tags that one statement brings, and one loop shows"},
    {"http.listen", TEXT(http_listen, "127.0.0.1:6433", 0, true, NULL),
     "addresses for the page, metrics and health checks over HTTP, comma-separated; empty: none"},
    {"console.admin_users", TEXT(admin_users, "", 0, false, NULL),
     "users who may do everything in the console, comma-separated"},
    {"console.stats_users", TEXT(stats_users, "", 0, false, NULL),
     "users who may look at what the console shows, comma-separated"},
    {"console.auth_database",
     TEXT(auth_database, "postgres", 1, false, "name a database of the server, for example postgres"),
     "the database of the server that log-ins to the console are made at"},
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

// Enums are read and written as unsigned, so they must be as wide.
static_assert(sizeof(enum config_mode) == sizeof(unsigned), "read as unsigned");
static_assert(sizeof(enum config_log_level) == sizeof(unsigned), "read as unsigned");
static_assert(sizeof(enum config_lookahead) == sizeof(unsigned), "read as unsigned");
static_assert(sizeof(enum config_client_tls) == sizeof(unsigned), "read as unsigned");
static_assert(sizeof(enum config_tls_version) == sizeof(unsigned), "read as unsigned");
static_assert(N_SETTINGS == CONFIG_SETTINGS, "the struct has a place for each");
static_assert(sizeof(size_t) <= sizeof(uint64_t), "sizes are read as uint64_t");

struct loader {
    struct config *config;
    bool failed; // err holds the message
    char *err;
    size_t err_size;
    // While a file is read:
    struct config_place here; // the line that is read
    const char *rest;         // the text behind it
    struct table_parts table; // of the section [table …] that it is in
};

#define MAX_TABLES 1000 // each costs a comparison whenever rows could be loaded ahead

// A table, with what only the reading needs of it.
struct table_entry {
    struct config_table table; // the first member, so that its address is that of the whole
    int line;                  // in the file, 0: not there
    char text[];               // schema and name
};

// Returns false, so that a caller can end with it.
__attribute__((format(printf, 3, 4))) static bool fail(struct loader *l, struct config_place place,
                                                       const char *format, ...) {
    char what[512];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (place.line)
        snprintf(l->err, l->err_size, "%s:%d: %s", place.name, place.line, what);
    else if (place.name)
        snprintf(l->err, l->err_size, "%s: %s", place.name, what);
    else
        snprintf(l->err, l->err_size, "%s", what);
    l->failed = true;
    return false;
}

static bool fail_for_memory(struct loader *l) {
    return fail(l, (struct config_place){NULL, 0}, "out of memory while reading the settings");
}

// ---- names ----

static size_t section_length(const char *name) {
    const char *dot = strchr(name, '.');
    return dot ? (size_t)(dot - name) : 0;
}

static const char *key_of(const char *name) {
    const char *dot = strchr(name, '.');
    return dot ? dot + 1 : name;
}

// The key counts more than the section: a right key under a wrong section was probably meant.
static size_t name_distance(const char *a, const char *b) {
    return 16 * nearest_distance(key_of(a), strlen(key_of(a)), key_of(b), strlen(key_of(b))) +
           nearest_distance(a, section_length(a), b, section_length(b));
}

// A hint for an unknown name: the known one that was probably meant, or where all of them are listed.
struct advice {
    const char *words, *name;
};

static struct advice advice_for(const char *name) {
    size_t best = 0;
    for (size_t i = 1; i < N_SETTINGS; i++)
        if (name_distance(name, settings[i].name) < name_distance(name, settings[best].name))
            best = i;
    const char *key = key_of(name), *known = key_of(settings[best].name);
    if (nearest_is_meant(key, strlen(key), known, strlen(known)))
        return (struct advice){"the nearest known one is ", settings[best].name};
    return (struct advice){"see docs/settings.md for those that there are", ""};
}

static const struct setting *find_setting(const char *name) {
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

// ---- one value ----

static void *field_of(struct config *c, const struct setting *s) {
    return (char *)c + s->offset;
}

static const void *field_in(const struct config *c, const struct setting *s) {
    return (const char *)c + s->offset;
}

static enum units units_of(enum kind kind) {
    return kind == KIND_TIME ? UNITS_TIME : kind == KIND_SIZE ? UNITS_SIZE : UNITS_NONE;
}

static bool set_text(struct loader *l, const struct setting *s, const char *text, struct config_place place) {
    char **field = field_of(l->config, s);
    size_t length = strlen(text);

    if (s->min && text[strspn(text, " \t")] == '\0')
        return fail(l, place, "%s is empty; %s", s->name, s->hint);
    char *copy = malloc(length + 1);
    if (!copy)
        return fail_for_memory(l);
    memcpy(copy, text, length + 1);
    free(*field);
    *field = copy;
    return true;
}

static bool fail_for_number(struct loader *l, const struct setting *s, const char *text,
                            struct config_place place) {
    if (s->kind == KIND_TIME)
        return fail(l, place,
                    "%s: \"%.64s\" is not a time; write a whole number and a unit (us, ms, s, min), "
                    "for example 5ms or 30s",
                    s->name, text);
    if (s->kind == KIND_SIZE)
        return fail(l, place,
                    "%s: \"%.64s\" is not a size; write a whole number and a unit (B, kB, MB, GB), "
                    "for example 64kB",
                    s->name, text);
    return fail(l, place, "%s: \"%.64s\" is not a whole number; write one from %llu to %llu", s->name, text,
                (unsigned long long)s->min, (unsigned long long)s->max);
}

static bool fail_for_range(struct loader *l, const struct setting *s, const char *text,
                           struct config_place place) {
    char min[UNITS_TEXT_SIZE], max[UNITS_TEXT_SIZE];
    return fail(l, place, "%s: %.64s is out of range; it can be %s to %s", s->name, text,
                units_write(units_of(s->kind), s->min, min), units_write(units_of(s->kind), s->max, max));
}

static void store_number(struct config *c, const struct setting *s, uint64_t value) {
    if (s->kind == KIND_INT)
        *(int *)field_of(c, s) = (int)value;
    else if (s->kind == KIND_SIZE)
        *(size_t *)field_of(c, s) = (size_t)value;
    else
        *(uint64_t *)field_of(c, s) = value;
}

static uint64_t load_number(const struct config *c, const struct setting *s) {
    if (s->kind == KIND_INT)
        return (uint64_t) * (const int *)field_in(c, s);
    if (s->kind == KIND_SIZE)
        return *(const size_t *)field_in(c, s);
    return *(const uint64_t *)field_in(c, s);
}

static bool set_number(struct loader *l, const struct setting *s, const char *text,
                       struct config_place place) {
    uint64_t value;
    enum units_result result = units_read(units_of(s->kind), text, &value);

    if (result == UNITS_BAD)
        return fail_for_number(l, s, text, place);
    // A time needs a unit: readers would disagree between seconds and milliseconds. 0 is 0 in either.
    if (result == UNITS_BARE && s->kind == KIND_TIME && value != 0)
        return fail(l, place, "%s: %.64s has no unit; write for example %.20sms, or %.20ss for seconds",
                    s->name, text, text, text);
    if (result == UNITS_TOO_LARGE || value < s->min || value > s->max)
        return fail_for_range(l, s, text, place);
    store_number(l->config, s, value);
    return true;
}

// As PostgreSQL reads an integer: decimal, unless it begins with 0 or 0x.
static bool set_mode(struct loader *l, const struct setting *s, const char *text, struct config_place place) {
    char *end = NULL;
    unsigned long value = *text >= '0' && *text <= '9' ? strtoul(text, &end, 0) : 0;

    if (!end || *end)
        return fail(l, place,
                    "%s: \"%.64s\" is not a file mode; write it as chmod takes it, octal with a 0 in front, "
                    "for example 0770",
                    s->name, text);
    if (value > s->max)
        return fail(l, place, "%s: %.64s is out of range; it can be 0000 to %04o, octal with a 0 in front",
                    s->name, text, (unsigned)s->max);
    *(int *)field_of(l->config, s) = (int)value;
    return true;
}

static bool fail_for_word(struct loader *l, const struct setting *s, const char *text,
                          struct config_place place) {
    char words[64] = "";

    for (size_t i = 0; i < MAX_WORDS && s->words[i]; i++) {
        size_t used = strlen(words);
        snprintf(words + used, sizeof(words) - used, "%s%s", i ? ", " : "", s->words[i]);
    }
    return fail(l, place, "%s: \"%.64s\" is not one of its values; write one of %s", s->name, text, words);
}

// A version of TLS may be written in upper or lower case, as in PostgreSQL, and without "TLS", as in
// PgBouncer.
static bool is_word(const char *word, const char *text) {
    const char *letters = "TLSv";
    size_t n = strlen(letters);
    if (strncmp(word, letters, n) != 0)
        return strcmp(word, text) == 0;
    text += strncasecmp(text, letters, n) == 0 ? n : 0;
    return strcmp(word + n, strcmp(text, "1.0") == 0 ? "1" : text) == 0;
}

static bool set_word(struct loader *l, const struct setting *s, const char *text, struct config_place place) {
    unsigned i = 0;

    while (i < MAX_WORDS && s->words[i] && !is_word(s->words[i], text))
        i++;
    if (i == MAX_WORDS || !s->words[i])
        return fail_for_word(l, s, text, place);
    if (s->kind == KIND_CHOICE)
        memcpy(field_of(l->config, s), &i, sizeof(i));
    else if (s->kind == KIND_SWITCH)
        *(bool *)field_of(l->config, s) = i == 1;
    return true;
}

static const char *load_word(const struct config *c, const struct setting *s) {
    unsigned i = 0;

    if (s->kind == KIND_CHOICE)
        memcpy(&i, field_in(c, s), sizeof(i));
    else if (s->kind == KIND_SWITCH)
        i = *(const bool *)field_in(c, s);
    return s->words[i];
}

static bool set_value(struct loader *l, const struct setting *s, const char *text,
                      struct config_place place) {
    bool ok = false;

    // Quotes are not part of the syntax, and no valid value begins with one.
    if (text[0] == '"' || text[0] == '\'')
        return fail(l, place, "%s begins with a quote; write the value without quotes", s->name);
    switch (s->kind) {
    case KIND_TEXT:
        ok = set_text(l, s, text, place);
        break;
    case KIND_INT:
    case KIND_TIME:
    case KIND_SIZE:
        ok = set_number(l, s, text, place);
        break;
    case KIND_MODE:
        ok = set_mode(l, s, text, place);
        break;
    case KIND_CHOICE:
    case KIND_SWITCH:
        ok = set_word(l, s, text, place);
        break;
    }
    if (ok)
        l->config->places[s - settings] = place;
    return ok;
}

// The value as set_value() would read it back. Points into c, into the table or to number.
static const char *value_text(const struct config *c, const struct setting *s,
                              char number[static UNITS_TEXT_SIZE]) {
    switch (s->kind) {
    case KIND_TEXT:
        return *(char *const *)field_in(c, s);
    case KIND_INT:
    case KIND_TIME:
    case KIND_SIZE:
        return units_write(units_of(s->kind), load_number(c, s), number);
    case KIND_MODE:
        snprintf(number, UNITS_TEXT_SIZE, "%04o", (unsigned)*(const int *)field_in(c, s));
        return number;
    case KIND_CHOICE:
    case KIND_SWITCH:
        return load_word(c, s);
    }
    return "";
}

// ---- tables ----

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

#define NOT_UNDERSTOOD "this line is not understood; write a [section], key = value, or a # before a comment"

// Only a comment may stand behind a section's bracket. inih itself would ignore anything there.
static bool check_section_end(struct loader *l, const char *rest, size_t length) {
    while (length && is_blank(*rest)) {
        rest++;
        length--;
    }
    return length == 0 || *rest == ';' || *rest == '#' || fail(l, l->here, NOT_UNDERSTOOD);
}

#define TABLE_WORD "table"

// The place of the pointer to the table, or of the NULL behind the last one.
static struct config_table **find_table(struct config *c, const char *schema, const char *name) {
    struct config_table **at = &c->tables;

    while (*at && (strcmp((*at)->name, name) != 0 || strcmp((*at)->schema, schema) != 0))
        at = &(*at)->next;
    return at;
}

// NULL with a message when there is no room.
static struct config_table *create_table(struct loader *l, const struct table_parts *parts,
                                         struct config_place place) {
    size_t schema = strlen(parts->schema) + 1, name = strlen(parts->name) + 1;

    if (l->config->n_tables == MAX_TABLES) {
        fail(l, place, "there are more than %d tables with settings of their own; remove some", MAX_TABLES);
        return NULL;
    }
    struct table_entry *e = calloc(1, sizeof(*e) + schema + name);
    if (!e) {
        fail_for_memory(l);
        return NULL;
    }
    memcpy(e->text, parts->schema, schema);
    memcpy(e->text + schema, parts->name, name);
    e->table = (struct config_table){NULL, e->text, e->text + schema, true};
    l->config->n_tables++;
    return &e->table;
}

static bool set_table(struct loader *l, const struct table_parts *parts, const char *value,
                      struct config_place place) {
    char text[TABLE_TEXT_SIZE];
    bool on = strcmp(value, "on") == 0;
    struct config_table **at = find_table(l->config, parts->schema, parts->name);

    table_write(parts->schema, parts->name, text);
    if (value[0] == '"' || value[0] == '\'')
        return fail(l, place, "table %s.lookahead begins with a quote; write the value without quotes", text);
    if (!on && strcmp(value, "off") != 0)
        return fail(l, place, "table %s.lookahead: \"%.64s\" is not one of its values; write one of on, off",
                    text, value);
    struct table_entry *e = (struct table_entry *)*at;
    if (e && place.line)
        return fail(l, place, "table %s.lookahead is set twice, in lines %d and %d; remove one of them", text,
                    e->line, place.line);
    if (!*at && !(*at = create_table(l, parts, place)))
        return false;
    (*at)->lookahead = on;
    if (place.line)
        ((struct table_entry *)*at)->line = place.line;
    return true;
}

// Does the text begin with this word, and not merely with a longer one?
static bool is_table_word(const char *text) {
    size_t length = strlen(TABLE_WORD);
    return strncmp(text, TABLE_WORD, length) == 0 && strchr(" \t.]", text[length]) != NULL;
}

static bool is_table_section(const char *line) {
    return *line == '[' && is_table_word(line + 1);
}

// A section's line "[table schema.name]", from its bracket on.
static bool open_table(struct loader *l, const char *line, size_t length) {
    size_t from = 1 + strlen(TABLE_WORD), end;

    while (from < length && is_blank(line[from]))
        from++;
    const char *wrong = table_read(line + from, length - from, &l->table, &end);
    for (end += from; end < length && is_blank(line[end]); end++)
        ;
    if (!wrong && end == length)
        return fail(l, l->here, NOT_UNDERSTOOD);
    if (!wrong && line[end] != ']')
        wrong = "has more than schema and name";
    if (wrong)
        return fail(l, l->here,
                    "%.*s %s; write [table schema.name], for example [table public.books] or [table "
                    "public.\"Odd Name\"]",
                    (int)(length > 160 ? 160 : length), line, wrong);
    return check_section_end(l, line + end + 1, length - end - 1);
}

// "table schema.name.lookahead", the key of an override.
static bool set_table_by_key(struct loader *l, const char *key, const char *value,
                             struct config_place place) {
    struct table_parts parts;
    size_t end, from = strlen(TABLE_WORD);

    while (is_blank(key[from]))
        from++;
    const char *wrong = table_read(key + from, strlen(key + from), &parts, &end);
    if (!wrong && strcmp(key + from + end, ".lookahead") != 0)
        wrong = "is no setting of a table";
    if (wrong)
        return fail(l, place,
                    "\"%.160s\" %s; write table schema.name.lookahead, for example table "
                    "public.books.lookahead",
                    key, wrong);
    return set_table(l, &parts, value, place);
}

// ---- the file ----

// inih calls this for each "key = value".
static int take_pair(void *arg, const char *section, const char *key, const char *value) {
    struct loader *l = arg;
    char name[128], table[TABLE_TEXT_SIZE];

    if (l->failed)
        return 0;
    if (*section == '\0')
        return fail(l, l->here, "\"%s\" stands before any section; put it below a line [pgfold]", key);
    if (strcmp(section, TABLE_WORD) == 0 && strcmp(key, "lookahead") == 0)
        return set_table(l, &l->table, value, l->here);
    if (strcmp(section, TABLE_WORD) == 0)
        return fail(l, l->here, "unknown setting \"%s\" in [%s %s]; the only one there is lookahead", key,
                    section, table_write(l->table.schema, l->table.name, table));
    snprintf(name, sizeof(name), "%s.%s", section, key);
    const struct setting *s = find_setting(name);
    if (!s)
        return fail(l, l->here, "unknown setting \"%s\" in [%s]; %s%s", key, section, advice_for(name).words,
                    advice_for(name).name);
    int earlier = l->config->places[s - settings].line;
    if (earlier)
        return fail(l, l->here, "%s is set twice, in lines %d and %d; remove one of them", name, earlier,
                    l->here.line);
    return set_value(l, s, value, l->here);
}

static size_t word_length(const char *name) {
    return strcspn(name, " \t.:]");
}

// `best` is the setting whose section looks most like it.
static bool fail_for_section(struct loader *l, const char *name, size_t length, const struct setting *best) {
    size_t known = section_length(best->name);
    int shown = (int)(length > 64 ? 64 : length);

    if (nearest_distance(name, word_length(name), TABLE_WORD, strlen(TABLE_WORD)) <= 1)
        return fail(l, l->here, "unknown section [%.*s]; the nearest known one is [table schema.name]", shown,
                    name);
    if (nearest_is_meant(name, length, best->name, known))
        return fail(l, l->here, "unknown section [%.*s]; the nearest known one is [%.*s]", shown, name,
                    (int)known, best->name);
    return fail(
        l, l->here,
        "unknown section [%.*s]; write [pgfold], [batching], [lookahead], [report], [http], [console] "
        "or [table schema.name]",
        shown, name);
}

// Sections without keys never reach take_pair, so section lines are looked at here. `line` begins with '['.
static bool check_section(struct loader *l, const char *line, size_t length) {
    const char *name = line + 1;
    const char *end = memchr(name, ']', length - 1);
    size_t best = 0, best_distance = SIZE_MAX;

    if (!end)
        return true; // inih says that this is no section
    for (size_t i = 0; i < N_SETTINGS; i++) {
        size_t known = section_length(settings[i].name);
        size_t distance = nearest_distance(name, (size_t)(end - name), settings[i].name, known);
        if (known == (size_t)(end - name) && memcmp(name, settings[i].name, known) == 0)
            return check_section_end(l, end + 1, length - (size_t)(end + 1 - line));
        if (distance < best_distance) {
            best = i;
            best_distance = distance;
        }
    }
    return fail_for_section(l, name, (size_t)(end - name), &settings[best]);
}

// inih asks for the next line; NULL ends the reading. All lines pass through here, so messages know their
// line numbers. Leading blanks are dropped: inih would take an indented line for more of the value above it.
static char *next_line(char *out, int room, void *arg) {
    struct loader *l = arg;
    const char *line = l->rest;
    size_t length = strcspn(line, "\n");

    if (l->failed || *line == '\0')
        return NULL;
    l->rest = line + length + (line[length] == '\n');
    l->here.line++;
    for (; length && is_blank(*line); length--)
        line++;
    if (length && strchr(";#", *line))
        length = 0; // a comment may be of any length
    if (length + 1 > (size_t)room) {
        fail(l, l->here,
             "this line is longer than %d bytes; shorten it, or give the value on the command line",
             room - 1);
        return NULL;
    }
    bool table = length && is_table_section(line);
    if (length && *line == '[' && !(table ? open_table(l, line, length) : check_section(l, line, length)))
        return NULL;
    if (table) {
        line = "[" TABLE_WORD "]"; // inih would cut the name, or end it at a bracket in it
        length = strlen(line);
    }
    memcpy(out, line, length);
    out[length] = '\0';
    return out;
}

// The longest line. Debian's inih lets its users choose it. Elsewhere it is fixed when inih is built, mostly
// to 200 bytes, which are too few for a connection string with several hosts. The symbol is weak: its address
// is NULL where inih has no such variable.
extern int ini_max_line __attribute__((weak));
#define LONGEST_LINE 8192

static bool read_file(struct loader *l, const char *text, const char *name) {
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3; // a byte order mark
    l->rest = text;
    l->here = (struct config_place){name, 0};
    if (&ini_max_line)
        ini_max_line = LONGEST_LINE;
    int bad_line = ini_parse_stream(next_line, l, take_pair, l);
    if (bad_line < 0)
        return fail_for_memory(l);
    // inih goes on behind a line that it does not understand, so err may already be about a later one.
    if (bad_line > 0 && (!l->failed || bad_line < l->here.line))
        return fail(l, (struct config_place){name, bad_line}, NOT_UNDERSTOOD);
    return !l->failed;
}

// ---- the whole ----

static bool set_defaults(struct loader *l) {
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (!set_value(l, &settings[i], settings[i].initial, (struct config_place){NULL, 0}))
            return false;
    return true;
}

// The environment is out of sight of who looks into the file, unlike an option.
static bool set_by_override(struct loader *l, const struct setting *s, const char *value,
                            struct config_place place) {
    char number[UNITS_TEXT_SIZE], was[256];
    size_t i = (size_t)(s - settings);
    struct config_place earlier = l->config->places[i];

    snprintf(was, sizeof(was), "%s", value_text(l->config, s, number));
    if (!set_value(l, s, value, place))
        return false;
    bool beaten = earlier.line && strncmp(place.name, "PGFOLD_", 7) == 0 &&
                  strncmp(was, value_text(l->config, s, number), sizeof(was) - 1) != 0;
    if (beaten)
        l->config->beaten[i] = earlier;
    return true;
}

static bool apply_overrides(struct loader *l, const struct config_override *overrides, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct config_place place = {overrides[i].origin, 0};
        if (is_table_word(overrides[i].key)) {
            if (!set_table_by_key(l, overrides[i].key, overrides[i].value, place))
                return false;
            continue;
        }
        const struct setting *s = find_setting(overrides[i].key);
        if (!s)
            return fail(l, place, "unknown setting \"%.64s\"; %s%s", overrides[i].key,
                        advice_for(overrides[i].key).words, advice_for(overrides[i].key).name);
        if (!set_by_override(l, s, overrides[i].value, place))
            return false;
    }
    return true;
}

// Checks of values against each other.
static bool check_whole(struct loader *l) {
    const struct config *c = l->config;
    const struct setting *tls = find_setting("pgfold.client_tls");

    if (c->client_tls != CLIENT_TLS_DISABLE && (!*c->client_tls_cert || !*c->client_tls_key))
        return fail(l, l->config->places[tls - settings],
                    "pgfold.client_tls = %s needs a certificate and its key; set pgfold.client_tls_cert and "
                    "pgfold.client_tls_key, or pgfold.client_tls = disable",
                    load_word(c, tls));
    return true;
}

struct config *config_create(const char *file_text, const char *file_name,
                             const struct config_override *overrides, size_t n_overrides, char *err,
                             size_t err_size) {
    struct loader l = {.config = calloc(1, sizeof(struct config)), .err = err, .err_size = err_size};

    if (!l.config) {
        fail_for_memory(&l);
        return NULL;
    }
    if (!set_defaults(&l) || (file_text && !read_file(&l, file_text, file_name)) ||
        !apply_overrides(&l, overrides, n_overrides) || !check_whole(&l)) {
        config_destroy(l.config);
        return NULL;
    }
    return l.config;
}

void config_add_origin(const struct config *c, char *message, size_t size) {
    char origin[256] = "";
    size_t room, length = strlen(message);

    for (size_t i = 0; i < N_SETTINGS; i++) {
        size_t name = strlen(settings[i].name);
        const struct config_place *p = &c->places[i];
        if (strncmp(message, settings[i].name, name) != 0 || message[name] != ':' || !p->name)
            continue;
        if (p->line)
            snprintf(origin, sizeof(origin), "%s:%d: ", p->name, p->line);
        else
            snprintf(origin, sizeof(origin), "%s: ", p->name);
    }
    room = strlen(origin);
    if (room == 0 || room >= size)
        return;
    if (length > size - 1 - room)
        length = size - 1 - room;
    memmove(message + room, message, length);
    memcpy(message, origin, room);
    message[room + length] = '\0';
}

// ---- notes ----

typedef void note_fn(void *arg, const char *note);

// Was it set? Setting it to its default counts.
static bool is_given(const struct config *c, const char *name) {
    return c->places[find_setting(name) - settings].name != NULL;
}

// A size that may not be more than a part of a limit on memory.
struct part {
    const char *name, *of;
    size_t value, limit;
    unsigned share; // the part of the limit: 4 for a quarter, 8 for an eighth
};

// A default that a lowered limit cuts deserves no note: it is what the operator wants.
static void note_parts(const struct config *c, note_fn *report, void *arg) {
    size_t session = c->max_session_memory;
    const struct part parts[] = {
        {"pgfold.max_session_memory", "pgfold.max_memory", session, c->max_memory, 4},
        {"lookahead.max_memory", "pgfold.max_memory", c->ahead_memory, c->max_memory, 4},
        {"lookahead.max_session_memory", "pgfold.max_session_memory", c->ahead_session, session, 4},
        {"pgfold.session_buffer", "pgfold.max_session_memory", c->session_buffer, session, 8},
        {"batching.max_answer", "pgfold.max_session_memory", c->max_answer, session, 8},
        {"batching.max_text", "pgfold.max_session_memory", c->max_text, session, 4},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct part *p = &parts[i];
        char value[UNITS_TEXT_SIZE], counted[UNITS_TEXT_SIZE], limit[UNITS_TEXT_SIZE], note[256];
        if (p->value <= p->limit / p->share || !is_given(c, p->name))
            continue;
        snprintf(note, sizeof(note), "%s = %s counts as %s, %s of %s (%s); lower it, or raise %s", p->name,
                 units_write(UNITS_SIZE, p->value, value),
                 units_write(UNITS_SIZE, p->limit / p->share, counted),
                 p->share == 4 ? "a quarter" : "an eighth", p->of, units_write(UNITS_SIZE, p->limit, limit),
                 p->of);
        report(arg, note);
    }
}

static void note_times(const struct config *c, note_fn *report, void *arg) {
    char one[UNITS_TEXT_SIZE], other[UNITS_TEXT_SIZE], note[256];
    bool ahead = c->lookahead != LOOKAHEAD_MODE_OFF && c->mode == MODE_FOLD;

    if (ahead && c->ahead_gap > c->ahead_age && is_given(c, "lookahead.max_gap")) {
        snprintf(note, sizeof(note),
                 "lookahead.max_gap = %s does no more than %s would, since lookahead.max_age drops an answer "
                 "then; lower it, or raise lookahead.max_age",
                 units_write(UNITS_TIME, c->ahead_gap, one), units_write(UNITS_TIME, c->ahead_age, other));
        report(arg, note);
    }
    if (c->timeout && c->patience > c->timeout) {
        snprintf(note, sizeof(note),
                 "batching.timeout = %s cancels a batch before batching.patience = %s is over; raise it, or "
                 "lower batching.patience",
                 units_write(UNITS_TIME, c->timeout, one), units_write(UNITS_TIME, c->patience, other));
        report(arg, note);
    }
}

// Settings with their default values deserve no note.
static void note_unused_tls(const struct config *c, note_fn *report, void *arg) {
    static const char *const names[] = {"pgfold.client_tls_cert", "pgfold.client_tls_key",
                                        "pgfold.client_tls_min_version", "pgfold.client_tls_ciphers"};
    char list[128] = "", note[256], number[UNITS_TEXT_SIZE];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct setting *s = find_setting(names[i]);
        size_t used = strlen(list);
        if (strcmp(value_text(c, s, number), s->initial) != 0)
            snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", names[i]);
    }
    if (c->client_tls != CLIENT_TLS_DISABLE || !*list)
        return;
    snprintf(note, sizeof(note),
             "neither used nor checked while pgfold.client_tls = disable: %s; set it to allow or require",
             list);
    report(arg, note);
}

void config_notes(const struct config *c, void (*report)(void *arg, const char *note), void *arg) {
    note_parts(c, report, arg);
    note_times(c, report, arg);
    note_unused_tls(c, report, arg);
}

void config_beaten(const struct config *c, void (*report)(void *arg, const char *note), void *arg) {
    for (size_t i = 0; i < N_SETTINGS; i++) {
        char note[512];
        if (!c->beaten[i].line)
            continue;
        snprintf(note, sizeof(note), "%s:%d: %s is not used, since %s has another value and comes first",
                 c->beaten[i].name, c->beaten[i].line, settings[i].name, c->places[i].name);
        report(arg, note);
    }
}

void config_destroy(struct config *c) {
    if (!c)
        return;
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (settings[i].kind == KIND_TEXT)
            free(*(char **)field_of(c, &settings[i]));
    for (struct config_table *t = c->tables, *next; t; t = next) {
        next = t->next;
        free(t);
    }
    free(c);
}

typedef void report_fn(void *arg, const char *key, const char *old_value, const char *new_value,
                       bool needs_restart);

static void report_table(const struct config_table *t, bool was_on, bool is_on, report_fn *report,
                         void *arg) {
    char text[TABLE_TEXT_SIZE], key[TABLE_TEXT_SIZE + 32];

    if (was_on == is_on)
        return;
    snprintf(key, sizeof(key), TABLE_WORD " %s.lookahead", table_write(t->schema, t->name, text));
    report(arg, key, was_on ? "on" : "off", is_on ? "on" : "off", false);
}

// Its table in another config; without one, lookahead is on.
static const struct config_table *same_table(const struct config *c, const struct config_table *t) {
    const struct config_table *other = c->tables;

    while (other && (strcmp(other->name, t->name) != 0 || strcmp(other->schema, t->schema) != 0))
        other = other->next;
    return other;
}

static void diff_tables(const struct config *old_config, const struct config *new_config, report_fn *report,
                        void *arg) {
    for (const struct config_table *t = old_config->tables; t; t = t->next) {
        const struct config_table *now = same_table(new_config, t);
        report_table(t, t->lookahead, !now || now->lookahead, report, arg);
    }
    for (const struct config_table *t = new_config->tables; t; t = t->next)
        if (!same_table(old_config, t))
            report_table(t, true, t->lookahead, report, arg);
}

void config_diff(const struct config *old_config, const struct config *new_config,
                 void (*report)(void *arg, const char *key, const char *old_value, const char *new_value,
                                bool needs_restart),
                 void *arg) {
    for (size_t i = 0; i < N_SETTINGS; i++) {
        char old_number[UNITS_TEXT_SIZE], new_number[UNITS_TEXT_SIZE];
        const char *old_text = value_text(old_config, &settings[i], old_number);
        const char *new_text = value_text(new_config, &settings[i], new_number);
        if (strcmp(old_text, new_text) != 0)
            report(arg, settings[i].name, old_text, new_text, settings[i].restart);
    }
    diff_tables(old_config, new_config, report, arg);
}

bool config_describe(size_t i, const char **key, const char **default_value, const char **description) {
    if (i >= N_SETTINGS)
        return false;
    *key = settings[i].name;
    *default_value = settings[i].initial;
    *description = settings[i].description;
    return true;
}

bool config_value(const struct config *c, size_t i, char *out, size_t size) {
    char number[UNITS_TEXT_SIZE];
    snprintf(out, size, "%s", value_text(c, &settings[i], number));
    return !settings[i].restart;
}
