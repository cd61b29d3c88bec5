// SPDX-License-Identifier: PostgreSQL
//
// What the recogniser and the rewriter make of statements, for tests that ask a server about it
// (test_exact.py). Reads statements from standard input, each with a 'P' (parameters) or 'Q' (constants)
// before it and a zero behind it; writes one line of JSON for each: its reason, its keys, and for each set of
// keys the original and the folded texts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/statement/rewrite.h"
#include "batching/statement/parse.h"

#define MAX_INPUT 1000000

static void put_json(struct slice s) {
    putchar('"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"' || s.data[i] == '\\')
            printf("\\%c", s.data[i]);
        else if (s.data[i] < 0x20)
            printf("\\u%04x", s.data[i]);
        else
            putchar(s.data[i]);
    }
    putchar('"');
}

static void put_field(const char *name, struct slice s) {
    printf(", \"%s\": ", name);
    put_json(s);
}

static void put_form(const char *name, const struct shape *s, uint32_t keys, enum fold_form form,
                     const struct slice *values) {
    struct buf out = buf_make(MAX_INPUT);
    if (rewrite_folded(s, keys, form, values, &out))
        put_field(name, (struct slice){out.data, out.len});
    buf_free(&out);
}

static void put_mask(const struct shape *s, uint32_t keys, const struct slice *values) {
    struct buf out = buf_make(MAX_INPUT);
    printf("%s{\"mask\": %u", keys > 1 ? ", " : "", keys);
    if (rewrite_original(s, keys, values, &out))
        put_field("original", (struct slice){out.data, out.len});
    put_form("lateral", s, keys, FORM_LATERAL, values);
    for (int i = 0; i < s->parsed->n_keys; i++)
        if (keys == 1u << i && rewrite_in_possible(s, i))
            put_form("in", s, keys, FORM_IN, values);
    printf("}");
    buf_free(&out);
}

static void put_shape(const struct shape *s, const struct slice *values) {
    const struct parsed *p = s->parsed;
    printf("\"reason\": \"%s\", \"keys\": [", reason_name(s->reason));
    for (int i = 0; i < p->n_keys; i++) {
        printf("%s{\"param\": %d, \"array\": %s", i ? ", " : "", p->keys[i].param,
               p->keys[i].array ? "true" : "false");
        if (values)
            put_field("value", values[p->keys[i].param - 1]);
        printf("}");
    }
    printf("], \"masks\": [");
    for (uint32_t keys = 1; s->reason == REASON_NONE && keys < 1u << p->n_keys && p->n_keys <= 4; keys++)
        put_mask(s, keys, values);
    printf("]");
}

static void put_statement(struct shape_cache *c, char protocol, const char *statement) {
    struct slice text = {(const uint8_t *)statement, strlen(statement)}, values[SHAPE_MAX_VALUES];
    struct shape_text v = {.n_values = 0};
    enum reason why = REASON_NONE;
    struct shape *s =
        protocol == 'P' ? shape_extended(c, text, 0, NULL, &why) : shape_simple(c, text, &v, &why);
    for (int i = 0; i < v.n_values; i++)
        values[i] = (struct slice){text.data + v.values[i].at, v.values[i].len};
    printf("{");
    if (s)
        put_shape(s, protocol == 'P' ? NULL : values);
    else
        printf("\"reason\": \"%s\", \"keys\": [], \"masks\": []", reason_name(why));
    printf("}\n");
}

int main(void) {
    static char input[MAX_INPUT];
    size_t len = fread(input, 1, sizeof input - 1, stdin);
    struct shape_cache c;
    shape_cache_init(&c, 10000, 100000);
    for (size_t at = 0; at < len; at += strlen(input + at) + 1)
        put_statement(&c, input[at], input + at + 1);
    shape_cache_finish(&c);
    return 0;
}
