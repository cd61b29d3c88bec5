// SPDX-License-Identifier: PostgreSQL
#include "batching/show/command.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "batching/statement/script.h"

#define MAX_TOKENS 12

// ---- tokens

struct token {
    bool quoted; // 'text' or "name"
    char text[COMMAND_WORD];
};

struct tokens {
    unsigned n;
    bool bad; // too many, too long, or without their end
    struct token at[MAX_TOKENS];
};

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '$' || c == '-' || (unsigned char)c >= 0x80;
}

static char char_at(struct slice s, size_t i) {
    return i < s.len ? (char)s.data[i] : 0;
}

// Blanks and comments in front of the next token.
static size_t skip_blanks(struct slice s, size_t i) {
    for (;;) {
        if (i < s.len && is_blank((char)s.data[i])) {
            i++;
        } else if (char_at(s, i) == '-' && char_at(s, i + 1) == '-') {
            while (i < s.len && s.data[i] != '\n')
                i++;
        } else if (char_at(s, i) == '/' && char_at(s, i + 1) == '*') {
            for (i += 2; i < s.len && !(s.data[i] == '*' && char_at(s, i + 1) == '/'); i++)
                ;
            i = i + 2 < s.len ? i + 2 : s.len;
        } else {
            return i;
        }
    }
}

static void put(struct tokens *t, struct token *k, size_t *n, char c) {
    if (*n + 1 < sizeof k->text)
        k->text[(*n)++] = c;
    else
        t->bad = true;
}

static size_t read_quoted(struct slice s, size_t i, struct tokens *t, struct token *k) {
    char quote = (char)s.data[i++];
    size_t n = 0;
    k->quoted = true;
    for (; i < s.len; i++) {
        if ((char)s.data[i] == quote && char_at(s, i + 1) != quote)
            break;
        if ((char)s.data[i] == quote)
            i++;
        put(t, k, &n, (char)s.data[i]);
    }
    t->bad |= i >= s.len;
    return i + 1;
}

static size_t read_token(struct slice s, size_t i, struct tokens *t) {
    struct token spare = {0}, *k = t->n < MAX_TOKENS ? &t->at[t->n++] : &spare;
    size_t n = 0;
    t->bad |= k == &spare;
    *k = (struct token){0};
    if (s.data[i] == '\'' || s.data[i] == '"')
        return read_quoted(s, i, t, k);
    if (!is_word_char((char)s.data[i])) {
        put(t, k, &n, (char)s.data[i]);
        return i + 1;
    }
    for (; i < s.len && is_word_char((char)s.data[i]); i++)
        put(t, k, &n, (char)s.data[i]);
    return i;
}

static bool is(const struct tokens *t, unsigned i, const char *word) {
    return i < t->n && !t->at[i].quoted && strcasecmp(t->at[i].text, word) == 0;
}

static bool ends(const struct tokens *t, unsigned i) {
    return i >= t->n;
}

// ---- SHOW

#define X(name, word) word,
static const char *const show_words[] = {CONSOLE_SHOWS(X)};
#undef X

const char *console_show_word(enum console_show s) {
    return show_words[s];
}

// What drivers and their users ask of any server. The console has no such settings; these are what it does.
static const struct {
    const char *name, *value;
} parameters[] = {
    {"client_encoding", "UTF8"},
    {"server_encoding", "UTF8"},
    {"standard_conforming_strings", "on"},
    {"integer_datetimes", "on"},
    {"datestyle", "ISO, MDY"},
    {"intervalstyle", "postgres"},
    {"timezone", "UTC"},
    {"extra_float_digits", "1"},
    {"search_path", "public"},
    {"transaction_isolation", "read committed"},
    {"default_transaction_isolation", "read committed"},
    {"transaction_read_only", "off"},
    {"default_transaction_read_only", "off"},
    {"application_name", ""},
    {"max_identifier_length", "63"},
    {"server_version", "15.0"},
    {"server_version_num", "150000"},
    {"in_hot_standby", "off"},
    {"is_superuser", "off"},
    {"session_authorization", ""},
};

static bool show_parameter(const struct tokens *t, struct command *c) {
    const char *name = t->at[1].text;
    if (is(t, 1, "transaction") && is(t, 2, "isolation") && is(t, 3, "level") && ends(t, 4))
        name = "transaction_isolation";
    else if (is(t, 1, "time") && is(t, 2, "zone") && ends(t, 3))
        name = "timezone";
    else if (!ends(t, 2))
        return false;
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        if (strcasecmp(name, parameters[i].name) != 0)
            continue;
        c->kind = COMMAND_PARAMETER;
        strcpy(c->key, parameters[i].name);
        strcpy(c->value, parameters[i].value);
        return true;
    }
    return false;
}

static void read_show(const struct tokens *t, struct command *c) {
    c->tag = "SHOW wants one of its words: see SHOW HELP";
    if (show_parameter(t, c))
        return;
    for (unsigned i = 0; i < CONSOLE_SHOW_COUNT; i++) {
        if (!is(t, 1, show_words[i]))
            continue;
        bool like = is(t, 2, "like") && t->n == 4;
        if (!like && !ends(t, 2))
            return;
        c->kind = COMMAND_SHOW;
        c->show = (enum console_show)i;
        c->has_like = like;
        if (like)
            strcpy(c->like, t->at[3].text);
        return;
    }
}

// ---- what drivers say

static void read_select(const struct tokens *t, const char *version, struct command *c) {
    bool schema = is(t, 1, "pg_catalog.version"), call = is(t, 2, "(") && is(t, 3, ")") && ends(t, 4);
    if ((is(t, 1, "version") || schema) && call) {
        c->kind = COMMAND_VALUE;
        strcpy(c->key, "version");
        strncpy(c->value, version, sizeof c->value - 1);
    } else if (is(t, 1, "1") && ends(t, 2)) {
        c->kind = COMMAND_VALUE;
        c->is_number = true;
        strcpy(c->key, "?column?");
        strcpy(c->value, "1");
    } else if (!ends(t, 1) && ends(t, 2)) {
        read_show(t, c); // PgBouncer takes SELECT for SHOW
    }
}

static bool read_transaction(const struct tokens *t, struct command *c) {
    if (is(t, 0, "begin") || (is(t, 0, "start") && is(t, 1, "transaction")))
        c->kind = COMMAND_BEGIN;
    else if (is(t, 0, "commit") || is(t, 0, "end"))
        c->kind = COMMAND_COMMIT;
    else if (is(t, 0, "rollback") || is(t, 0, "abort"))
        c->kind = COMMAND_ROLLBACK;
    else
        return false;
    c->tag = c->kind == COMMAND_BEGIN ? "BEGIN" : c->kind == COMMAND_COMMIT ? "COMMIT" : "ROLLBACK";
    return true;
}

static const struct {
    const char *word, *second, *tag; // second NULL: anything
} nothings[] = {
    {"discard", NULL, "DISCARD ALL"},
    {"deallocate", NULL, "DEALLOCATE"},
    {"close", "all", "CLOSE CURSOR ALL"},
    {"unlisten", NULL, "UNLISTEN"},
    {"reset", "all", "RESET"},
};

static bool read_nothing(const struct tokens *t, struct command *c) {
    for (size_t i = 0; i < sizeof nothings / sizeof *nothings; i++) {
        if (!is(t, 0, nothings[i].word) || (nothings[i].second && !is(t, 1, nothings[i].second)))
            continue;
        c->kind = COMMAND_NOTHING;
        c->tag = nothings[i].tag;
        return true;
    }
    return false;
}

// ---- what changes something

// SET section.key = value, or TO. A name without a section is one of the server's settings: drivers set them.
static void read_set(const struct tokens *t, struct command *c) {
    c->tag = "write SET section.key = value, for example SET pgfold.log_level = debug";
    if (t->n >= 2 && !strchr(t->at[1].text, '.')) {
        c->kind = COMMAND_NOTHING;
        c->tag = "SET";
        return;
    }
    if (t->n != 4 || !(is(t, 2, "=") || is(t, 2, "to")))
        return;
    c->kind = COMMAND_SET;
    c->tag = "SET";
    strcpy(c->key, t->at[1].text);
    strcpy(c->value, t->at[3].text);
}

static void read_kill(const struct tokens *t, struct command *c) {
    char *end = NULL;
    c->tag = "write KILL and the id of a client, as SHOW CLIENTS has it";
    if (t->n != 2 || t->at[1].text[0] < '0' || t->at[1].text[0] > '9')
        return;
    c->id = strtoull(t->at[1].text, &end, 10);
    if (*end)
        return;
    c->kind = COMMAND_KILL;
    c->tag = "KILL";
}

static const struct {
    const char *first, *second; // second NULL: no second word
    enum command_kind kind;
    const char *tag;
} admins[] = {
    {"reload", NULL, COMMAND_RELOAD, "RELOAD"},       {"pause", "folding", COMMAND_PAUSE, "PAUSE"},
    {"resume", "folding", COMMAND_RESUME, "RESUME"},  {"reset", "stats", COMMAND_RESET_STATS, "RESET"},
    {"shutdown", NULL, COMMAND_SHUTDOWN, "SHUTDOWN"},
};

static void read_admin(const struct tokens *t, struct command *c) {
    for (size_t i = 0; i < sizeof admins / sizeof *admins; i++) {
        const char *second = admins[i].second;
        if (!is(t, 0, admins[i].first) || (second && !is(t, 1, second)) || !ends(t, second ? 2 : 1))
            continue;
        c->kind = admins[i].kind;
        c->tag = admins[i].tag;
        return;
    }
    if (is(t, 0, "pause") || is(t, 0, "resume"))
        c->tag =
            "clients are never paused: PAUSE FOLDING forwards all statements, RESUME FOLDING folds again";
}

// ---- all

static void understand(const struct tokens *t, const char *version, struct command *c) {
    c->kind = COMMAND_UNKNOWN;
    c->tag = "this is pgfold's console, which runs no SQL: see SHOW HELP";
    if (t->n == 0)
        c->kind = COMMAND_EMPTY;
    else if (t->bad || read_transaction(t, c) || read_nothing(t, c))
        return;
    else if (is(t, 0, "show"))
        read_show(t, c);
    else if (is(t, 0, "select"))
        read_select(t, version, c);
    else if (is(t, 0, "set"))
        read_set(t, c);
    else if (is(t, 0, "kill") || is(t, 0, "kill_client"))
        read_kill(t, c);
    else
        read_admin(t, c);
}

// EXPLAIN takes the text behind it as it is. Returns where it ends; 0: this is another command.
static size_t read_explain(struct slice text, size_t i, struct command *out) {
    static const char word[] = "explain";
    size_t n = sizeof word - 1, at = 0;
    if (text.len - i < n || strncasecmp((const char *)text.data + i, word, n) != 0 ||
        is_word_char(char_at(text, i + n)))
        return 0;
    struct slice behind = {text.data + i + n, text.len - i - n};
    out->statement = script_next(behind, &at);
    out->kind = out->statement.len ? COMMAND_EXPLAIN : COMMAND_UNKNOWN;
    out->tag = out->statement.len ? "EXPLAIN" : "write EXPLAIN and a statement behind it";
    return i + n + at;
}

size_t command_read(struct slice text, const char *version, struct command *out) {
    struct tokens t = {0};
    size_t i = skip_blanks(text, 0);
    *out = (struct command){.kind = COMMAND_EMPTY};
    size_t explain = read_explain(text, i, out);
    if (explain)
        return explain;
    while (i < text.len && text.data[i] != ';') {
        i = read_token(text, i, &t);
        i = skip_blanks(text, i < text.len ? i : text.len);
    }
    understand(&t, version, out);
    return i < text.len ? i + 1 : text.len;
}

bool command_needs_admin(enum command_kind kind) {
    switch (kind) {
    case COMMAND_EMPTY:
    case COMMAND_SHOW:
    case COMMAND_PARAMETER:
    case COMMAND_VALUE:
    case COMMAND_BEGIN:
    case COMMAND_COMMIT:
    case COMMAND_ROLLBACK:
    case COMMAND_EXPLAIN:
    case COMMAND_NOTHING:
    case COMMAND_UNKNOWN:
        return false;
    default:
        return true;
    }
}

// ---- LIKE

bool like_matches(const char *pattern, const char *text, size_t len) {
    const char *back = NULL; // behind the last %
    size_t at = 0, from = 0; // where what follows it was tried
    for (;;) {
        if (*pattern == '%') {
            back = ++pattern;
            from = at;
            continue;
        }
        bool escaped = *pattern == '\\' && pattern[1];
        if (at < len && *pattern &&
            (escaped ? pattern[1] == text[at] : *pattern == '_' || *pattern == text[at])) {
            pattern += escaped ? 2 : 1;
            at++;
            continue;
        }
        if (at == len && !*pattern)
            return true;
        if (!back || from >= len)
            return false;
        pattern = back;
        at = ++from;
    }
}
