// SPDX-License-Identifier: PostgreSQL
#include "batching/report/wording.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void wording_bare(const char *name, char *out) {
    size_t n = 0;
    bool quoted = false;
    for (const char *at = name; *at; at++) {
        quoted ^= *at == '"';
        if (*at == '.' && !quoted)
            n = 0; // what came was the schema
        else if ((*at != '"' || at[1] == '"') && n + 1 < WORDING_LONGEST)
            out[n++] = *at;
    }
    out[n] = 0;
}

static bool ends(const char *word, const char *end) {
    size_t n = strlen(word), m = strlen(end);
    return n >= m && strcasecmp(word + n - m, end) == 0;
}

static const struct {
    const char *one, *many;
} irregular[] = {{"person", "people"},   {"child", "children"}, {"man", "men"},          {"mouse", "mice"},
                 {"foot", "feet"},       {"movie", "movies"},   {"cookie", "cookies"},   {"series", "series"},
                 {"status", "statuses"}, {"bus", "buses"},      {"news", "news"},        {"shoe", "shoes"},
                 {"data", "data"},       {"media", "media"},    {"analysis", "analyses"}};
#define N_IRREGULAR (sizeof irregular / sizeof *irregular)

// Puts `by` in the place of the last n letters.
static void replace_end(char *word, size_t n, const char *by) {
    size_t from = strlen(word) - n;
    snprintf(word + from, WORDING_LONGEST - from, "%s", by);
}

static bool is_word_end(const char *word, const char *end) {
    size_t n = strlen(word), m = strlen(end);
    return ends(word, end) && (n == m || word[n - m - 1] == '_');
}

static bool replace_irregular(char *word, bool to_many) {
    for (size_t i = 0; i < N_IRREGULAR; i++) {
        const char *from = to_many ? irregular[i].one : irregular[i].many;
        if (!is_word_end(word, from))
            continue;
        replace_end(word, strlen(from), to_many ? irregular[i].many : irregular[i].one);
        return true;
    }
    return false;
}

static void make_singular(char *word) {
    size_t n = strlen(word);
    if (n < 3 || replace_irregular(word, false) || ends(word, "ss") || ends(word, "us") || ends(word, "is"))
        return;
    if (ends(word, "ies") && n > 4)
        replace_end(word, 3, "y");
    else if (ends(word, "sses") || ends(word, "xes") || ends(word, "ches") || ends(word, "shes") ||
             ends(word, "oes"))
        replace_end(word, 2, "");
    else if (ends(word, "s"))
        replace_end(word, 1, "");
}

static bool is_vowel(char c) {
    return c && strchr("aeiouAEIOU", c);
}

static void make_plural(char *word) {
    size_t n = strlen(word);
    if (!n || replace_irregular(word, true))
        return;
    if (ends(word, "y") && n > 1 && !is_vowel(word[n - 2]))
        replace_end(word, 1, "ies");
    else if (ends(word, "s") || ends(word, "x") || ends(word, "z") || ends(word, "ch") || ends(word, "sh"))
        replace_end(word, 0, "es");
    else
        replace_end(word, 0, "s");
}

void wording_singular(const char *name, char *out) {
    wording_bare(name, out);
    make_singular(out);
}

void wording_plural(const char *name, char *out) {
    wording_singular(name, out);
    make_plural(out);
}

void wording_class(const char *name, char *out) {
    char word[WORDING_LONGEST];
    size_t n = 0;
    bool begins = true;
    wording_singular(name, word);
    for (const char *at = word; *at; at++) {
        if (*at == '_' || *at == ' ' || *at == '-') {
            begins = true;
            continue;
        }
        out[n++] = (char)(begins ? toupper((unsigned char)*at) : *at);
        begins = false;
    }
    out[n] = 0;
}

bool wording_relation(const char *column, char *out) {
    static const char *const behind[] = {"_id", "_uuid", "_fk", "_key", "_pk", "Id", "Uuid"};
    wording_bare(column, out);
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        size_t n = strlen(out), m = strlen(behind[i]);
        if (n <= m || strcmp(out + n - m, behind[i]) != 0)
            continue;
        out[n - m] = 0;
        return true;
    }
    return false;
}
