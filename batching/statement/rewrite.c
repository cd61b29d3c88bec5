// SPDX-License-Identifier: PostgreSQL
//
// The text is rewritten token by token. Only parameters change, everything else is copied as it was written.
#include "batching/statement/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int param_number(const char *text, struct token t) {
    return atoi(text + t.at + 1); // the lexer has seen the digits; the parser has refused absurd numbers
}

// ANY takes no brackets around it: "id = ($1)" stays as it is.
static bool follows_equals(const char *text, size_t len, int param) {
    struct lexer lx = {.text = text, .len = len};
    bool equals = false;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END && t.type != TOKEN_ERROR;
         t = lexer_next(&lx)) {
        if (t.type == TOKEN_PARAM && param_number(text, t) == param)
            return equals;
        equals = t.type == TOKEN_OPERATOR && t.len == 1 && text[t.at] == '=';
    }
    return false;
}

bool rewrite_in_possible(const struct shape *s, int key) {
    const struct parsed *p = s->parsed;
    const struct parsed_key *k = &p->keys[key];
    return p->in_form && k->top && k->plain_right && k->column_sql && !k->array && k->uses == 1 &&
           follows_equals(s->text, s->text_len, k->param);
}

struct replacing {
    const struct shape *s;
    uint32_t keys;
    enum { PUT_ORIGINAL, PUT_IN, PUT_LATERAL } form;
    const struct slice *values;
    struct buf *out;
    struct slice condition; // PUT_IN: of a seal, or empty
    unsigned first_added;
    unsigned shift; // added to the numbers of parameters that are no keys
};

static void put_number(struct buf *out, const char *before, int n, const char *behind) {
    char digits[16];
    snprintf(digits, sizeof digits, "%d", n);
    buf_put_text(out, before);
    buf_put_text(out, digits);
    buf_put_text(out, behind);
}

static bool in_mask(const struct replacing *r, int i) {
    return r->keys >> i & 1;
}

// The key whose parameter is $n; -1: no key of the mask.
static int key_of_param(const struct replacing *r, int n) {
    const struct parsed *p = r->s->parsed;
    for (int i = 0; i < p->n_keys; i++)
        if (in_mask(r, i) && p->keys[i].param == n)
            return i;
    return -1;
}

// The number of the parameter in the new text that carries key i's value or array.
static int array_param(const struct replacing *r, int i) {
    if (!r->values)
        return r->s->parsed->keys[i].param;
    int before = 0;
    for (int at = 0; at < i; at++)
        before += in_mask(r, at);
    return before + 1;
}

// Everything depends on one condition: while there is no seal, the statement runs in any case.
static void put_sealed_key(const struct replacing *r, int i) {
    int n = (int)r->first_added;
    put_number(r->out, "ANY (COALESCE((SELECT $", array_param(r, i), "");
    put_number(r->out, " WHERE $", n, " IS NULL");
    put_number(r->out, " OR 'now'::pg_catalog.timestamptz OPERATOR(pg_catalog.=) $", n, "");
    put_number(r->out, " AND pg_catalog.pg_conf_load_time() OPERATOR(pg_catalog.=) $", n + 1, "");
    put_number(r->out, " AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) $", n + 2, " AND ");
    buf_put(r->out, r->condition.data, r->condition.len);
    buf_put_text(r->out, ")))");
}

static void put_key(const struct replacing *r, int i) {
    bool array = r->s->parsed->keys[i].array;
    if (r->form == PUT_ORIGINAL)
        put_number(r->out, "$", array_param(r, i), "");
    else if (r->form == PUT_IN && r->condition.len)
        put_sealed_key(r, i);
    else if (r->form == PUT_IN)
        put_number(r->out, "ANY ($", array_param(r, i), ")");
    else
        put_number(r->out, array ? "ARRAY[pgfold_k.pgfold_v" : "pgfold_k.pgfold_v", i + 1, array ? "]" : "");
}

static void put_param(const struct replacing *r, struct token t) {
    int n = param_number(r->s->text, t), key = key_of_param(r, n);
    if (key >= 0)
        put_key(r, key);
    else if (r->values)
        buf_put(r->out, r->values[n - 1].data, r->values[n - 1].len);
    else if (r->shift)
        put_number(r->out, "$", n + (int)r->shift, "");
    else
        buf_put(r->out, r->s->text + t.at, t.len);
}

// Behind the last token, or where the semicolon begins. A comment there could swallow what is written after it.
static size_t end_of(const char *text, size_t len, size_t from) {
    struct lexer lx = {.text = text, .len = len, .at = from};
    size_t stop = from;
    for (struct token t = lexer_next(&lx);
         t.type != TOKEN_END && t.type != TOKEN_ERROR && t.type != TOKEN_SEMICOLON; t = lexer_next(&lx))
        stop = t.at + t.len;
    return stop;
}

// Copies the text from `from` to its end, with parameters replaced and without a trailing semicolon.
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
    size_t stop = end_of(r->s->text, r->s->text_len, copied);
    buf_put(r->out, r->s->text + copied, stop - copied);
}

static const char *fence(const struct shape *s) {
    return s->parsed->fenced ? "" : " OFFSET 0";
}

static void put_unnest(const struct replacing *r) {
    const char *before = "pg_catalog.unnest(";
    for (int i = 0; i < r->s->parsed->n_keys; i++) {
        if (!in_mask(r, i))
            continue;
        buf_put_text(r->out, before);
        if (r->condition.len) {
            buf_put_text(r->out, "CASE WHEN ");
            buf_put(r->out, r->condition.data, r->condition.len);
            buf_put_text(r->out, " THEN ");
        }
        put_number(r->out, "$", array_param(r, i), r->condition.len ? " END)" : ")");
        before = ", pg_catalog.unnest(";
    }
    buf_put_text(r->out, ") WITH ORDINALITY AS pgfold_k(");
    for (int i = 0; i < r->s->parsed->n_keys; i++)
        if (in_mask(r, i))
            put_number(r->out, "pgfold_v", i + 1, ", ");
    buf_put_text(r->out, "pgfold_n)");
}

static void put_in(const struct replacing *r) {
    const struct parsed *p = r->s->parsed;
    int key = 0;
    while (!in_mask(r, key))
        key++;
    buf_put(r->out, r->s->text, p->select_at);
    buf_put_text(r->out, " ");
    buf_put_text(r->out, p->keys[key].column_sql);
    buf_put_text(r->out, ",");
    put_text(r, p->select_at);
}

static void put_lateral(const struct replacing *r) {
    buf_put_text(r->out, "SELECT pgfold_k.pgfold_n, pgfold_q.* FROM ROWS FROM (");
    put_unnest(r);
    buf_put_text(r->out, " CROSS JOIN LATERAL (");
    put_text(r, 0);
    buf_put_text(r->out, fence(r->s));
    buf_put_text(r->out, ") AS pgfold_q");
}

// Unquoted names are folded to lower case, and names in U&"…" may be written in any way.
static bool has_our_names(const struct shape *s) {
    return strcasestr(s->text, "pgfold_") || strcasestr(s->text, "u&\"");
}

// ---- behind a list

static void put_step_text(const struct rewrite_step *step, struct buf *out) {
    struct replacing r = {.s = step->shape,
                          .keys = UINT32_C(1) << step->key,
                          .form = PUT_LATERAL,
                          .values = step->values,
                          .out = out,
                          .shift = step->shift};
    put_text(&r, 0);
    buf_put_text(out, fence(step->shape));
}

// SELECT DISTINCT p.c FROM (
static void put_keys_head(const struct rewrite_step *step, struct buf *out) {
    put_number(out, "(SELECT DISTINCT pgfold_p.pgfold_c", step->column + 1, "::");
    buf_put_text(out, step->type);
    buf_put_text(out, " FROM (");
}

// ) AS p(…)) AS k(v)
static void put_keys_tail(const struct rewrite_step *step, unsigned max, struct buf *out) {
    const char *before = ") AS pgfold_p(pgfold_c";
    for (int i = 0; i <= step->column; i++, before = ", pgfold_c")
        put_number(out, before, i + 1, "");
    put_number(out, ") WHERE pgfold_p.pgfold_c", step->column + 1, " IS NOT NULL");
    if (*step->range)
        put_number(out, " AND pgfold_p.pgfold_c", step->column + 1, step->range);
    put_number(out, " LIMIT ", (int)max, "");
    put_number(out, ") AS pgfold_k(pgfold_v", step->key + 1, ")");
}

// The rows of the last step's lookups, without their keys. The steps stand inside each other: the list innermost.
static void put_rows(struct slice list, const struct rewrite_step *steps, unsigned n, unsigned max,
                     struct buf *out) {
    for (unsigned i = n; i-- > 0;) {
        buf_put_text(out, "SELECT pgfold_q.* FROM ");
        put_keys_head(&steps[i], out);
    }
    buf_put(out, list.data, list.len);
    for (unsigned i = 0; i < n; i++) {
        put_keys_tail(&steps[i], max, out);
        buf_put_text(out, " CROSS JOIN LATERAL (");
        put_step_text(&steps[i], out);
        buf_put_text(out, ") AS pgfold_q");
    }
}

struct slice rewrite_without_end(struct slice text) {
    return (struct slice){text.data, end_of((const char *)text.data, text.len, 0)};
}

static bool list_has_our_names(struct slice list) {
    struct buf text = buf_make(list.len + 1);
    buf_put(&text, list.data, list.len);
    buf_put_u8(&text, 0);
    const char *s = (const char *)text.data;
    bool has = text.failed || strcasestr(s, "pgfold_") || strcasestr(s, "u&\"");
    buf_free(&text);
    return has;
}

bool rewrite_behind(struct slice list, const struct rewrite_step *steps, unsigned n, unsigned max,
                    struct buf *out) {
    const struct rewrite_step *last = &steps[n - 1];
    if (list_has_our_names(list))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (has_our_names(steps[i].shape))
            return false;
    put_number(out, "SELECT pgfold_k.pgfold_v", last->key + 1, ", pgfold_q.* FROM ");
    put_keys_head(last, out);
    put_rows(list, steps, n - 1, max, out);
    put_keys_tail(last, max, out);
    buf_put_text(out, " LEFT JOIN LATERAL (SELECT true AS pgfold_m, pgfold_o.* FROM (");
    put_step_text(last, out);
    buf_put_text(out, ") AS pgfold_o) AS pgfold_q ON true");
    return !out->failed;
}

// ---- the forms of a batch

bool rewrite_folded(const struct shape *s, uint32_t keys, enum fold_form form, const struct slice *values,
                    struct buf *out) {
    struct replacing r = {
        .s = s, .keys = keys, .form = form == FORM_IN ? PUT_IN : PUT_LATERAL, .values = values, .out = out};
    if (!keys || has_our_names(s))
        return false;
    if (form == FORM_IN)
        put_in(&r);
    else
        put_lateral(&r);
    return !out->failed;
}

bool rewrite_sealed(const struct shape *s, uint32_t keys, const struct slice *values, struct slice condition,
                    unsigned first, struct buf *out) {
    struct replacing r = {.s = s,
                          .keys = keys,
                          .form = PUT_IN,
                          .values = values,
                          .out = out,
                          .condition = condition,
                          .first_added = first};
    if (!keys || has_our_names(s))
        return false;
    put_in(&r);
    return !out->failed;
}

bool rewrite_guarded(const struct shape *s, uint32_t keys, const struct slice *values, struct slice condition,
                     struct buf *out) {
    struct replacing r = {
        .s = s, .keys = keys, .form = PUT_LATERAL, .values = values, .out = out, .condition = condition};
    if (!keys || has_our_names(s))
        return false;
    put_lateral(&r);
    return !out->failed;
}

bool rewrite_original(const struct shape *s, uint32_t keys, const struct slice *values, struct buf *out) {
    struct replacing r = {.s = s, .keys = keys, .form = PUT_ORIGINAL, .values = values, .out = out};
    put_text(&r, 0);
    return !out->failed;
}
