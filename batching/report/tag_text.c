// SPDX-License-Identifier: PostgreSQL
#include "batching/report/tag_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "batching/base/hash.h"

static const struct {
    const char *name;
    enum tag_role role;
} roles[] = {{"traceparent", TAG_PASSING},
             {"tracestate", TAG_PASSING},
             {"trace_id", TAG_PASSING},
             {"span_id", TAG_PASSING},
             {"request_id", TAG_PASSING},
             {"pid", TAG_PASSING},
             {"file", TAG_FILE},
             {"code.filepath", TAG_FILE},
             {"code.file.path", TAG_FILE},
             {"code_filepath", TAG_FILE},
             {"source_location", TAG_FILE},
             {"source", TAG_FILE},
             {"caller", TAG_FILE},
             {"location", TAG_FILE},
             {"line", TAG_LINE},
             {"lineno", TAG_LINE},
             {"code.lineno", TAG_LINE},
             {"code.line.number", TAG_LINE},
             {"code_lineno", TAG_LINE},
             {"func", TAG_CODE},
             {"function", TAG_CODE},
             {"code.function", TAG_CODE},
             {"db_driver", TAG_CODE},
             {"application_name", TAG_CODE},
             {"name", TAG_CODE}};
#define N_ROLES (sizeof roles / sizeof *roles)

enum tag_role tag_text_role(const char *name) {
    for (size_t i = 0; i < N_ROLES; i++)
        if (strcasecmp(roles[i].name, name) == 0)
            return roles[i].role;
    return TAG_PAGE;
}

// ---- characters

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_name(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

static struct slice behind(struct slice s, size_t n) {
    return (struct slice){s.data + n, s.len - n};
}

// Blanks, and what separates pairs.
static struct slice skip(struct slice s) {
    while (s.len && (is_blank(*s.data) || *s.data == ',' || *s.data == ';'))
        s = behind(s, 1);
    return s;
}

// The length of a name with "=" or ":" behind it; 0: there is none. *sign: how far to behind that.
static size_t name_length(struct slice s, size_t *sign) {
    size_t n = 0, at;
    while (n < s.len && n <= TAG_TEXT_NAME && is_name(s.data[n]))
        n++;
    for (at = n; at < s.len && s.data[at] == ' '; at++)
        ;
    if (!n || n > TAG_TEXT_NAME || at == s.len || (s.data[at] != '=' && s.data[at] != ':'))
        return 0;
    *sign = at + 1;
    return n;
}

bool tag_text_begins(struct slice text, const char *name) {
    size_t n = strlen(name);
    while (text.len && (is_blank(*text.data) || *text.data == '/' || *text.data == '*'))
        text = behind(text, 1);
    return text.len > n && strncasecmp((const char *)text.data, name, n) == 0 && !is_name(text.data[n]);
}

bool tag_text_passes(struct slice text) {
    for (size_t i = 0; i < N_ROLES && roles[i].role == TAG_PASSING; i++)
        if (tag_text_begins(text, roles[i].name))
            return true;
    return false;
}

// ---- values

static int digit(uint8_t c) {
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

// Copies a value: %2F is /, \' is '. Without control characters.
static void decode(struct slice s, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < s.len && n < TAG_TEXT_VALUE; i++) {
        uint8_t c = s.data[i];
        if (c == '\\' && i + 1 < s.len)
            c = s.data[++i];
        if (c == '%' && i + 2 < s.len && digit(s.data[i + 1]) >= 0 && digit(s.data[i + 2]) >= 0) {
            c = (uint8_t)(digit(s.data[i + 1]) << 4 | digit(s.data[i + 2]));
            i += 2;
        }
        out[n++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    out[n] = 0;
}

static size_t quoted_length(struct slice s) {
    size_t at = 1;
    while (at < s.len && s.data[at] != s.data[0])
        at += s.data[at] == '\\' ? 2u : 1u;
    return at < s.len ? at : s.len;
}

// A value without quotes ends before a comma, or before blanks with another name and its sign behind them.
static size_t bare_length(struct slice s) {
    size_t sign, n = 0;
    for (; n < s.len && s.data[n] != ',' && s.data[n] != ';'; n++)
        if (is_blank(s.data[n]) && name_length(skip(behind(s, n)), &sign))
            break;
    while (n && is_blank(s.data[n - 1]))
        n--;
    return n;
}

void tag_text_add(struct tag_text *x, struct slice name, struct slice value) {
    if (x->n == TAG_TEXT_PAIRS || name.len > TAG_TEXT_NAME)
        return;
    memcpy(x->of[x->n].name, name.data, name.len);
    x->of[x->n].name[name.len] = 0;
    if (tag_text_role(x->of[x->n].name) == TAG_PASSING)
        return;
    decode(value, x->of[x->n].value);
    for (unsigned i = 0; i < x->n; i++) // the last one counts
        if (strcmp(x->of[i].name, x->of[x->n].name) == 0) {
            memcpy(x->of[i].value, x->of[x->n].value, sizeof x->of[i].value);
            return;
        }
    x->n += *x->of[x->n].value != 0;
}

// Takes the pair at the front. Returns what is behind it; data NULL: there is none.
static struct slice take_pair(struct tag_text *x, struct slice s) {
    size_t sign = 0, name = name_length(s, &sign);
    if (!name)
        return (struct slice){0};
    struct slice value = behind(s, sign);
    while (value.len && is_blank(*value.data))
        value = behind(value, 1);
    bool quoted = value.len && (*value.data == '\'' || *value.data == '"');
    size_t n = quoted ? quoted_length(value) : bare_length(value);
    tag_text_add(x, (struct slice){s.data, name},
                 quoted ? (struct slice){value.data + 1, n ? n - 1 : 0} : (struct slice){value.data, n});
    return behind(value, quoted && n < value.len ? n + 1 : n);
}

void tag_text_pairs(struct tag_text *x, struct slice list) {
    for (struct slice s = skip(list); s.data && s.len; s = s.data ? skip(s) : s)
        s = take_pair(x, s);
}

// ---- comments

// Hints, and what is meant for pgfold, say nothing of the page.
static bool is_meant_otherwise(struct slice s) {
    return (s.len && (*s.data == '+' || *s.data == '!')) || memmem(s.data, s.len, "pgfold:", 7);
}

static void take_comment(struct tag_text *x, struct slice s) {
    if (!is_meant_otherwise(s))
        tag_text_pairs(x, s);
}

void tag_text_comments(struct tag_text *x, struct slice s) {
    while (s.len >= 2) {
        bool block = s.data[0] == '/' && s.data[1] == '*', line = s.data[0] == '-' && s.data[1] == '-';
        if (!block && !line) {
            s = behind(s, 1);
            continue;
        }
        s = behind(s, 2);
        const uint8_t *end = block ? memmem(s.data, s.len, "*/", 2) : memchr(s.data, '\n', s.len);
        size_t n = end ? (size_t)(end - s.data) : s.len;
        take_comment(x, (struct slice){s.data, n});
        s = behind(s, end ? n + 1 : n);
    }
}

// ---- the set

static int compare(const void *a, const void *b) {
    return strcmp(a, b); // a pair begins with its name
}

void tag_text_sort(struct tag_text *x) {
    qsort(x->of, x->n, sizeof x->of[0], compare);
}

size_t tag_text_write(const struct tag_text *x, char *out, size_t room) {
    size_t at = 0;
    for (unsigned i = 0; i < x->n; i++) {
        size_t name = strlen(x->of[i].name) + 1, value = strlen(x->of[i].value) + 1;
        if (at + name + value + 1 > room)
            continue;
        memcpy(out + at, x->of[i].name, name);
        memcpy(out + at + name, x->of[i].value, value);
        at += name + value;
    }
    out[at] = 0;
    return at + 1;
}

uint64_t tag_text_page(const struct tag_text *x) {
    uint64_t hash = 0;
    for (unsigned i = 0; i < x->n; i++)
        if (tag_text_role(x->of[i].name) == TAG_PAGE) {
            hash = XXH3_64bits_withSeed(x->of[i].name, strlen(x->of[i].name), hash);
            hash = XXH3_64bits_withSeed(x->of[i].value, strlen(x->of[i].value), hash) | 1;
        }
    return hash;
}
