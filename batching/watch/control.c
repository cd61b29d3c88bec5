// SPDX-License-Identifier: PostgreSQL
#include "batching/watch/control.h"

#include <string.h>

#include "batching/statement/lexer.h"

static const char *const settings[] = {[CONTROL_EXPECT] = "pgfold.expect",
                                       [CONTROL_SCOPE] = "pgfold.scope",
                                       [CONTROL_COUNTS] = "pgfold.counts",
                                       [CONTROL_TAGS] = "pgfold.tags"};
#define N_SETTINGS (sizeof settings / sizeof *settings)

// An unquoted word; token_is() knows letters only.
static bool take_word(struct lexer *lx, const char *word) {
    size_t at = lx->at;
    struct token t = lexer_next(lx);
    if (t.type == TOKEN_IDENT && t.len == strlen(word) && strncasecmp(lx->text + t.at, word, t.len) == 0)
        return true;
    lx->at = at;
    return false;
}

static bool take(struct lexer *lx, enum token_type type) {
    size_t at = lx->at;
    if (lexer_next(lx).type == type)
        return true;
    lx->at = at;
    return false;
}

static bool is_setting(const char *text, size_t len, size_t i) {
    return strlen(settings[i]) == len && strncasecmp(text, settings[i], len) == 0;
}

// pgfold.expect, as three tokens without blanks.
static bool take_name(struct lexer *lx, struct control *c) {
    struct token first = lexer_next(lx);
    if (!take(lx, TOKEN_DOT))
        return false;
    struct token last = lexer_next(lx);
    for (size_t i = 0; i < N_SETTINGS && last.type == TOKEN_IDENT; i++) {
        c->setting = (enum control_setting)i;
        if (is_setting(lx->text + first.at, last.at + last.len - first.at, i))
            return true;
    }
    return false;
}

// Each quote in a string is written twice.
static struct slice undouble(struct control *c, struct slice s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        c->undoubled[n++] = s.data[i];
        i += s.data[i] == '\'';
    }
    return (struct slice){c->undoubled, n};
}

// A plain string, without backslashes in it.
static bool take_string(struct lexer *lx, struct control *c) {
    struct token t = lexer_next(lx);
    if (t.type != TOKEN_STRING)
        return false;
    c->value = (struct slice){(const uint8_t *)lx->text + t.at + 1, t.len - 2};
    if (memchr(c->value.data, '\'', c->value.len))
        c->value = undouble(c, c->value);
    return true;
}

static bool take_quoted_name(struct lexer *lx, struct control *c) {
    if (!take_string(lx, c))
        return false;
    struct slice name = c->value;
    c->value = (struct slice){0};
    for (size_t i = 0; i < N_SETTINGS; i++) {
        c->setting = (enum control_setting)i;
        if (is_setting((const char *)name.data, name.len, i))
            return true;
    }
    return false;
}

static bool read_set(struct lexer *lx, struct control *c) {
    if (!take_word(lx, "session"))
        (void)take_word(lx, "local");
    if (!take_name(lx, c) || c->setting == CONTROL_COUNTS)
        return false;
    if (!take_word(lx, "to") && !take(lx, TOKEN_OPERATOR))
        return false;
    if (take_word(lx, "default"))
        return true;
    return take_string(lx, c);
}

static bool take_boolean(struct lexer *lx) {
    return take_word(lx, "true") || take_word(lx, "false");
}

// Behind SELECT: the call, and perhaps a name for its column.
static bool read_call(struct lexer *lx, struct control *c) {
    if (take_word(lx, "pg_catalog") && !take(lx, TOKEN_DOT))
        return false;
    c->verb = take_word(lx, "current_setting") ? CONTROL_READ : CONTROL_CONFIG;
    if (c->verb == CONTROL_CONFIG && !take_word(lx, "set_config"))
        return false;
    if (!take(lx, TOKEN_OPEN) || !take_quoted_name(lx, c))
        return false;
    if (c->verb == CONTROL_CONFIG &&
        (c->setting == CONTROL_COUNTS || !take(lx, TOKEN_COMMA) || !take_string(lx, c)))
        return false;
    if (take(lx, TOKEN_COMMA) ? !take_boolean(lx) : c->verb == CONTROL_CONFIG)
        return false;
    return take(lx, TOKEN_CLOSE);
}

static bool is_over(struct lexer *lx) {
    struct token t;
    do
        t = lexer_next(lx);
    while (t.type == TOKEN_SEMICOLON);
    return t.type == TOKEN_END;
}

// Most texts say nothing of these settings.
static bool names_ours(struct slice text) {
    const char *at = (const char *)text.data;
    for (size_t i = 0; i + 7 < text.len; i++)
        if ((at[i] | 0x20) == 'p' && strncasecmp(at + i, "pgfold.", 7) == 0)
            return true;
    return false;
}

bool control_read(struct slice text, struct control *c) {
    struct lexer lx = {.text = (const char *)text.data, .len = text.len};
    c->verb = CONTROL_NONE;
    c->setting = CONTROL_EXPECT;
    c->value = (struct slice){0};
    if (text.len > CONTROL_LONGEST || !names_ours(text))
        return false;
    bool ok = false;
    if (take_word(&lx, "set")) {
        c->verb = CONTROL_SET;
        ok = read_set(&lx, c);
    } else if (take_word(&lx, "reset")) {
        c->verb = CONTROL_RESET;
        ok = take_name(&lx, c) && c->setting != CONTROL_COUNTS;
    } else if (take_word(&lx, "show")) {
        c->verb = CONTROL_SHOW;
        ok = take_name(&lx, c);
    } else if (take_word(&lx, "select")) {
        ok = read_call(&lx, c);
    }
    ok = ok && is_over(&lx);
    c->verb = ok ? c->verb : CONTROL_NONE;
    return ok;
}

const char *control_column(const struct control *c) {
    switch (c->verb) {
    case CONTROL_SHOW:
        return settings[c->setting];
    case CONTROL_READ:
        return "current_setting";
    case CONTROL_CONFIG:
        return "set_config";
    default:
        return NULL;
    }
}

const char *control_tag(const struct control *c) {
    switch (c->verb) {
    case CONTROL_SET:
        return "SET";
    case CONTROL_RESET:
        return "RESET";
    case CONTROL_SHOW:
        return "SHOW";
    default:
        return "SELECT 1";
    }
}
