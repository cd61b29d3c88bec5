// SPDX-License-Identifier: PostgreSQL
#include "batching/watch/control.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "batching/statement/lexer.h"
#include "batching/watch/constant.h"
#include "protocol/startup.h"

static const char *const settings[] = {[CONTROL_EXPECT] = "pgfold.expect",
                                       [CONTROL_SCOPE] = "pgfold.scope",
                                       [CONTROL_COUNTS] = "pgfold.counts",
                                       [CONTROL_TAGS] = "pgfold.tags"};
#define N_SETTINGS (sizeof settings / sizeof *settings)

bool control_setting_of(struct slice name, enum control_setting *setting) {
    const char *text = (const char *)name.data;
    *setting = CONTROL_UNKNOWN;
    for (size_t i = 0; i < N_SETTINGS; i++)
        if (strlen(settings[i]) == name.len && strncasecmp(text, settings[i], name.len) == 0)
            *setting = (enum control_setting)i;
    return name.len >= strlen(CONTROL_PREFIX) &&
           strncasecmp(text, CONTROL_PREFIX, strlen(CONTROL_PREFIX)) == 0;
}

static bool is_known(struct slice name, struct control *c) {
    return control_setting_of(name, &c->setting) && c->setting != CONTROL_UNKNOWN;
}

// ---- SET, RESET, SHOW

// pgfold.expect, of which each part may be quoted, as may the whole.
static bool take_name(struct lexer *lx, struct control *c) {
    uint8_t name[64];
    size_t len = 0;
    do {
        struct slice part;
        if (len && len < sizeof name)
            name[len++] = '.';
        if (!constant_identifier(lx, &part) || len + part.len > sizeof name)
            return false;
        memcpy(name + len, part.data, part.len);
        len += part.len;
    } while (constant_take(lx, TOKEN_DOT));
    return is_known((struct slice){name, len}, c);
}

static bool read_set(struct lexer *lx, struct control *c) {
    if (!constant_word(lx, "session"))
        (void)constant_word(lx, "local");
    if (!take_name(lx, c) || c->setting == CONTROL_COUNTS)
        return false;
    if (!constant_word(lx, "to") && !constant_take(lx, TOKEN_OPERATOR))
        return false;
    if (constant_word(lx, "default"))
        return true;
    return constant_string(lx, c->plain, &c->value) || constant_number(lx, &c->value) ||
           constant_identifier(lx, &c->value);
}

// ---- SELECT

// One argument of a call: a string or a parameter.
static bool take_argument(struct lexer *lx, struct control *c, unsigned *param) {
    c->value = (struct slice){0};
    bool ok =
        constant_param(lx, param) || constant_word(lx, "null") || constant_string(lx, c->plain, &c->value);
    return ok && constant_cast(lx);
}

static bool take_flag(struct lexer *lx, struct control *c) {
    uint8_t none[CONTROL_LONGEST];
    struct slice flag;
    bool ok = constant_param(lx, &c->flag_param) || constant_word(lx, "true") || constant_word(lx, "false") ||
              constant_string(lx, none, &flag);
    return ok && constant_cast(lx);
}

// AS name, or the name alone.
static bool take_label(struct lexer *lx, struct control *c) {
    struct slice name;
    size_t at = lx->at;
    bool as = constant_word(lx, "as");
    if (!constant_identifier(lx, &name)) {
        lx->at = at;
        return !as;
    }
    size_t len = name.len < sizeof c->column ? name.len : sizeof c->column - 1;
    for (size_t i = 0; i < len; i++) {
        bool folds = name.data[-1] != '"' && name.data[i] >= 'A' && name.data[i] <= 'Z';
        c->column[i] = (char)(folds ? name.data[i] | 0x20 : name.data[i]);
    }
    return name.len > 0;
}

// Behind SELECT: the call, and perhaps a name for its column.
static bool read_call(struct lexer *lx, struct control *c) {
    if (constant_word(lx, "pg_catalog") && !constant_take(lx, TOKEN_DOT))
        return false;
    c->verb = constant_word(lx, "current_setting") ? CONTROL_READ : CONTROL_CONFIG;
    if (c->verb == CONTROL_CONFIG && !constant_word(lx, "set_config"))
        return false;
    if (!constant_take(lx, TOKEN_OPEN) || !take_argument(lx, c, &c->name_param))
        return false;
    if (!c->name_param && !is_known(c->value, c))
        return false;
    c->value = (struct slice){0};
    if (c->verb == CONTROL_CONFIG &&
        (!constant_take(lx, TOKEN_COMMA) || !take_argument(lx, c, &c->value_param)))
        return false;
    if (constant_take(lx, TOKEN_COMMA) ? !take_flag(lx, c) : c->verb == CONTROL_CONFIG)
        return false;
    return constant_take(lx, TOKEN_CLOSE) && take_label(lx, c) &&
           (c->name_param || c->verb == CONTROL_READ || c->setting != CONTROL_COUNTS);
}

unsigned control_params(const struct control *c) {
    unsigned n = c->name_param > c->value_param ? c->name_param : c->value_param;
    return n > c->flag_param ? n : c->flag_param;
}

// PostgreSQL wants each parameter to stand somewhere. Here none stands twice.
static bool params_are_whole(const struct control *c) {
    const unsigned all[CONTROL_ARGUMENTS] = {c->name_param, c->value_param, c->flag_param};
    unsigned seen = 0, n = 0;
    for (unsigned i = 0; i < CONTROL_ARGUMENTS; i++) {
        n += all[i] > 0;
        seen |= all[i] && all[i] <= CONTROL_ARGUMENTS ? 1u << all[i] : 0;
    }
    return seen == (2u << n) - 2;
}

bool control_bind(struct control *c, const struct msg_bind *m) {
    struct slice value;
    size_t at = 0;
    if (m->n_params != control_params(c))
        return false;
    for (unsigned i = 1; msg_bind_next_param(m, &at, &value); i++) {
        if (i == c->name_param && (!value.data || !control_setting_of(value, &c->setting)))
            return false;
        if (i == c->name_param)
            c->name = value;
        if (i == c->value_param)
            c->value = value;
    }
    c->bad_value =
        c->value.len >= CONTROL_LONGEST || (c->value.len && memchr(c->value.data, 0, c->value.len));
    return true;
}

// ---- any of them

static bool is_over(struct lexer *lx) {
    struct token t;
    do
        t = lexer_next(lx);
    while (t.type == TOKEN_SEMICOLON);
    return t.type == TOKEN_END;
}

// Is `pgfold` around this g, and what may follow it in a name?
static bool is_named_at(const char *text, size_t len, size_t g) {
    if (g < 1 || len - g < 6 || (text[g + 1] | 0x20) != 'f' || strncasecmp(text + g - 1, "pgfold", 6) != 0)
        return false;
    char next = text[g + 5];
    return next == '.' || next == '"' || next == ' ' || next == '/' || next == '-' ||
           (next >= '\t' && next <= '\r');
}

// Which bytes of eight may be a g, in upper or lower case: the highest bit of each, in the order of memory. Behind the first
// there may be too many.
static uint64_t find_g(const char *at) {
    static const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t w;
    memcpy(&w, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    w = (w | ones * 0x20) ^ ones * 'g';
    return (w - ones) & ~w & highs;
}

// Eight bytes are looked at at a time, since this is done for each text. A g is rarer than a p.
bool control_is_named(struct slice text) {
    const char *at = (const char *)text.data;
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8)
        for (uint64_t found = find_g(at + i); found; found &= found - 1)
            if (is_named_at(at, text.len, i + (size_t)__builtin_ctzll(found) / 8))
                return true;
    for (; i < text.len; i++)
        if ((at[i] | 0x20) == 'g' && is_named_at(at, text.len, i))
            return true;
    return false;
}

static bool begins_with(struct lexer *lx, const char *word) {
    return constant_word(lx, word) && constant_take(lx, TOKEN_OPEN);
}

bool control_may_be_bound(struct slice text) {
    struct lexer lx = {.text = (const char *)text.data, .len = text.len};
    if (text.len > CONTROL_LONGEST || text.len < 24 || !memchr("sS \t\n/-", text.data[0], 7))
        return false;
    bool plain = (text.data[0] | 0x20) == 's' && text.data[6] == ' ';
    if ((plain && !memchr("cCsSpP /-\n\t", text.data[7], 11)) || !constant_word(&lx, "select"))
        return false;
    if (constant_word(&lx, "pg_catalog"))
        (void)constant_take(&lx, TOKEN_DOT);
    unsigned param;
    return (begins_with(&lx, "set_config") || begins_with(&lx, "current_setting")) &&
           constant_param(&lx, &param);
}

bool control_read(struct slice text, struct control *c) {
    struct lexer lx = {.text = (const char *)text.data, .len = text.len};
    memset(c, 0, offsetof(struct control, plain));
    if (text.len > CONTROL_LONGEST)
        return false;
    bool ok = false;
    if (constant_word(&lx, "set")) {
        c->verb = CONTROL_SET;
        ok = read_set(&lx, c);
    } else if (constant_word(&lx, "reset")) {
        c->verb = CONTROL_RESET;
        ok = take_name(&lx, c) && c->setting != CONTROL_COUNTS;
    } else if (constant_word(&lx, "show")) {
        c->verb = CONTROL_SHOW;
        ok = take_name(&lx, c);
    } else if (constant_word(&lx, "select")) {
        ok = read_call(&lx, c);
    }
    ok = ok && is_over(&lx) && params_are_whole(c);
    c->verb = ok ? c->verb : CONTROL_NONE;
    return ok;
}

// ---- the beginning of a connection

static bool may_not_start(const char *name) {
    enum control_setting setting;
    return control_setting_of((struct slice){(const uint8_t *)name, strlen(name)}, &setting) &&
           setting != CONTROL_SCOPE && setting != CONTROL_TAGS;
}

bool control_bad_start(struct slice startup_params, char *name, size_t size) {
    struct startup start = {.params = startup_params};
    const char *p = (const char *)startup_params.data, *end = p + startup_params.len;
    char room[2048];
    struct startup_option o;
    struct slice options = {0};
    size_t at = 0;
    for (; p < end; p += strlen(p) + 1, p += strlen(p) + 1)
        if (may_not_start(p)) {
            snprintf(name, size, "%s", p);
            return true;
        }
    if (!startup_param(&start, "options", &options))
        return false;
    while (startup_next_option(options, &at, room, sizeof room, &o))
        if (may_not_start(o.name)) {
            snprintf(name, size, "%s", o.name);
            return true;
        }
    return false;
}

// ---- answers

const char *control_name(const struct control *c) {
    return c->setting == CONTROL_UNKNOWN ? NULL : settings[c->setting];
}

const char *control_column(const struct control *c) {
    switch (c->verb) {
    case CONTROL_SHOW:
        return settings[c->setting];
    case CONTROL_READ:
        return *c->column ? c->column : "current_setting";
    case CONTROL_CONFIG:
        return *c->column ? c->column : "set_config";
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
