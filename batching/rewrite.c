// SPDX-License-Identifier: PostgreSQL
//
// The text is rewritten token by token: only parameters change, everything else is copied as it was written.
#include "batching/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/key.h"

bool rewrite_in_possible(const struct shape *s, int key) {
    const struct parsed *p = s->parsed;
    return p->in_form && p->keys[key].plain_right && p->keys[key].uses == 1;
}

static int param_number(const char *text, struct token t) {
    return atoi(text + t.at + 1); // the lexer has seen the digits; parse has refused absurd numbers
}

// LIMIT, OFFSET and FETCH are reserved words: outside brackets, unquoted and not a column label they are the
// clause.
static bool has_fence(const struct shape *s) {
    struct lexer lx = {.text = s->text, .len = s->text_len};
    int depth = 0;
    bool label = false;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END && t.type != TOKEN_ERROR;
         t = lexer_next(&lx)) {
        depth += (t.type == TOKEN_OPEN) - (t.type == TOKEN_CLOSE);
        if (depth == 0 && !label &&
            (token_is(s->text, t, "limit") || token_is(s->text, t, "offset") ||
             token_is(s->text, t, "fetch")))
            return true;
        label = t.type == TOKEN_DOT || token_is(s->text, t, "as");
    }
    return false;
}

struct replacing {
    const struct shape *s;
    int key_param;
    const char *key_text; // what stands for the key
    const struct slice *values;
    struct buf *out;
};

static void put_param(const struct replacing *r, struct token t) {
    int n = param_number(r->s->text, t);
    if (n == r->key_param)
        buf_put_text(r->out, r->key_text);
    else if (r->values)
        buf_put(r->out, r->values[n - 1].data, r->values[n - 1].len);
    else
        buf_put(r->out, r->s->text + t.at, t.len);
}

// Copies text from `from` up to its end without a trailing semicolon, parameters replaced.
static void put_text(const struct replacing *r, size_t from) {
    struct lexer lx = {.text = r->s->text, .len = r->s->text_len, .at = from};
    size_t copied = from;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END && t.type != TOKEN_ERROR;
         t = lexer_next(&lx)) {
        if (t.type != TOKEN_PARAM && t.type != TOKEN_SEMICOLON)
            continue;
        buf_put(r->out, r->s->text + copied, t.at - copied);
        copied = t.at + t.len;
        if (t.type == TOKEN_SEMICOLON)
            return;
        put_param(r, t);
    }
    // A comment behind the last token could swallow what is written behind it.
    struct lexer end = {.text = r->s->text, .len = r->s->text_len, .at = copied};
    size_t stop = copied;
    for (struct token t = lexer_next(&end); t.type != TOKEN_END && t.type != TOKEN_ERROR;
         t = lexer_next(&end))
        stop = t.at + t.len;
    buf_put(r->out, r->s->text + copied, stop - copied);
}

bool rewrite_folded(const struct shape *s, int key, enum fold_form form, uint32_t key_type,
                    const struct slice *values, struct buf *out) {
    const struct parsed_key *k = &s->parsed->keys[key];
    char key_text[64], array[32];
    const char *type = key_type_name(key_type);
    if (!type || memmem(s->text, s->text_len, "pgfold_", 7))
        return false;
    snprintf(array, sizeof array, "$%d", values ? 1 : k->param);
    struct replacing r = {.s = s, .key_param = k->param, .key_text = key_text, .values = values, .out = out};
    if (form == FORM_IN) {
        snprintf(key_text, sizeof key_text, "ANY (%s)", array);
        buf_put(out, s->text, s->parsed->select_at);
        buf_put_text(out, " ");
        buf_put_text(out, k->column_sql);
        buf_put_text(out, ",");
        put_text(&r, s->parsed->select_at);
    } else {
        snprintf(key_text, sizeof key_text, "pgfold_k.v");
        buf_put_text(out, "SELECT pgfold_k.n, pgfold_q.* FROM pg_catalog.unnest(");
        buf_put_text(out, array);
        buf_put_text(out, "::pg_catalog.");
        buf_put_text(out, type);
        buf_put_text(out, "[]) WITH ORDINALITY AS pgfold_k(v, n) CROSS JOIN LATERAL (");
        put_text(&r, 0);
        buf_put_text(out, has_fence(s) ? ") AS pgfold_q" : " OFFSET 0) AS pgfold_q");
    }
    return !out->failed;
}
