// SPDX-License-Identifier: PostgreSQL
//
// libFuzzer's entry over the lexer, the shape pass, the parser and the rewriter. Holds: a shape's text with
// its values put back has the tokens of the original; values are constants of it, in order; the shape of that
// text is the same shape again; the folded text of a lookup parses as a read of the same tables, and holds
// each token of the original but its keys.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/statement/cursor.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/rewrite.h"
#include "batching/statement/parsed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_TEXT 65536

static void fail(const char *what, const char *text, size_t len, const struct buf *shape) {
    fprintf(stderr, "%s:\n%.*s\n%.*s\n", what, (int)len, text, (int)shape->len, (const char *)shape->data);
    abort();
}

static int param_number(const char *text, struct token t) {
    int n = 0;
    for (size_t i = 1; i < t.len; i++)
        n = n * 10 + (text[t.at + i] - '0');
    return n;
}

// The shape's text with values for parameters; false when a parameter has no value.
static bool put_back(const struct buf *shape, const char *text, const struct shape_text *st,
                     struct buf *out) {
    struct lexer lx = {(const char *)shape->data, shape->len, 0};
    size_t copied = 0;
    int seen = 0;
    if (!shape->len)
        return st->n_values == 0;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END; t = lexer_next(&lx)) {
        if (t.type == TOKEN_ERROR)
            return false;
        if (t.type != TOKEN_PARAM)
            continue;
        if (param_number(lx.text, t) != ++seen || seen > st->n_values)
            return false;
        buf_put(out, shape->data + copied, t.at - copied);
        buf_put(out, text + st->values[seen - 1].at, st->values[seen - 1].len);
        copied = t.at + t.len;
    }
    buf_put(out, shape->data + copied, shape->len - copied);
    return seen == st->n_values && !out->failed;
}

static bool same_tokens(const char *a, size_t a_len, const struct buf *b) {
    struct lexer la = {a, a_len, 0}, lb = {(const char *)b->data, b->len, 0};
    for (;;) {
        struct token ta = lexer_next(&la), tb = lexer_next(&lb);
        if (ta.type != tb.type || ta.len != tb.len || (ta.len && memcmp(a + ta.at, lb.text + tb.at, ta.len)))
            return false;
        if (ta.type == TOKEN_END)
            return true;
        if (ta.type == TOKEN_ERROR)
            return false;
    }
}

// A second pass over the text put back gives the same shape and the same number of values.
static void check_again(const struct buf *shape, const struct shape_text *st, const struct buf *back,
                        const char *text, size_t size) {
    struct buf again = buf_make(2 * MAX_TEXT);
    struct shape_text st2;
    if (shape_text_scan((const char *)back->data, back->len, &again, &st2) != SHAPE_OK)
        fail("the text put back is refused", text, size, shape);
    if (st2.n_values != st->n_values || again.len != shape->len ||
        (again.len && memcmp(again.data, shape->data, again.len)))
        fail("another shape", text, size, &again);
    buf_free(&again);
}

static void check_shape(const char *text, size_t size) {
    struct buf shape = buf_make(2 * MAX_TEXT), back = buf_make(2 * MAX_TEXT);
    struct shape_text st;
    if (shape_text_scan(text, size, &shape, &st) == SHAPE_OK) {
        for (int i = 0; i < st.n_values; i++)
            if (st.values[i].at + st.values[i].len > st.statement_len ||
                (i && st.values[i].at < st.values[i - 1].at + st.values[i - 1].len))
                fail("a value is out of place", text, size, &shape);
        if (!put_back(&shape, text, &st, &back))
            fail("values do not fit the shape", text, size, &shape);
        if (!same_tokens(text, st.statement_len, &back))
            fail("other tokens", text, size, &back);
        check_again(&shape, &st, &back, text, size);
    }
    buf_free(&shape);
    buf_free(&back);
}

// The tokens of `part` but its parameters occur in `whole`, in order.
static bool holds_tokens(const char *whole, size_t whole_len, const char *part, size_t part_len) {
    struct lexer a = {whole, whole_len, 0}, b = {part, part_len, 0};
    for (struct token want = lexer_next(&b); want.type != TOKEN_END; want = lexer_next(&b)) {
        if (want.type == TOKEN_PARAM || want.type == TOKEN_SEMICOLON)
            continue;
        struct token t = lexer_next(&a);
        while (t.type != TOKEN_END && (t.len != want.len || memcmp(whole + t.at, part + want.at, t.len)))
            t = lexer_next(&a);
        if (t.type == TOKEN_END)
            return false;
    }
    return true;
}

static void check_lists(const struct parsed *p) {
    for (int i = 0; i < p->n_keys; i++) {
        const struct parsed_key *k = &p->keys[i];
        if (k->param < 1 || k->param > p->n_params || k->uses < 1 || !k->column != !k->column_sql ||
            k->relation >= p->n_relations || (k->plain_right && (k->array || k->cast)))
            abort();
        for (int at = 0; at < i; at++)
            if (p->keys[at].param == k->param)
                abort();
    }
    if ((p->kind == STATEMENT_READ && p->reason == REASON_NONE) != (p->n_keys > 0))
        abort();
}

static void check_parse(const char *text) {
    struct parsed *p = parse_statement(text, MAX_TEXT, 100);
    check_lists(p);
    parsed_destroy(p);
}

// libpg_query takes $n where the server takes nothing but a constant: DATE $1. The server refuses such a text
// itself.
static bool takes_expressions(const struct shape *s) {
    struct buf out = buf_make(4 * MAX_TEXT);
    struct lexer lx = {s->text, s->text_len, 0};
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END; t = lexer_next(&lx)) {
        if (t.type == TOKEN_PARAM)
            buf_put_text(&out, "p.v");
        else
            buf_put(&out, s->text + t.at, t.len);
        buf_put_text(&out, "\n");
    }
    buf_put_u8(&out, 0);
    struct parsed *p = parse_statement((char *)out.data, SIZE_MAX, 250);
    bool ok = p->reason != REASON_UNPARSABLE;
    parsed_destroy(p);
    buf_free(&out);
    return ok;
}

// A statement so large or deep that only its folded form passes a limit is told so by the server.
static void check_folded(const struct shape *s, uint32_t keys, enum fold_form form,
                         const struct slice *values) {
    struct buf out = buf_make(4 * MAX_TEXT);
    if (rewrite_folded(s, keys, form, values, &out)) {
        buf_put_u8(&out, 0);
        struct parsed *p = parse_statement((char *)out.data, SIZE_MAX, 250);
        if (p->reason != REASON_TEXT_TOO_LONG && p->reason != REASON_MEMORY &&
            (p->kind != STATEMENT_READ || p->n_relations != s->parsed->n_relations) && takes_expressions(s))
            fail("the folded text is something else", s->text, s->text_len, &out);
        if (!holds_tokens((char *)out.data, out.len - 1, s->text, s->text_len))
            fail("the folded text lacks a token", s->text, s->text_len, &out);
        parsed_destroy(p);
    }
    buf_free(&out);
}

static void check_rewrite(const struct shape *s, const struct slice *values) {
    if (!s || s->reason != REASON_NONE)
        return;
    int n = s->parsed->n_keys < SHAPE_MAX_KEYS ? s->parsed->n_keys : SHAPE_MAX_KEYS;
    for (int i = 0; i < n; i++) {
        check_folded(s, 1u << i, FORM_LATERAL, values);
        if (rewrite_in_possible(s, i))
            check_folded(s, 1u << i, FORM_IN, values);
    }
    check_folded(s, (1u << n) - 1, FORM_LATERAL, values);
}

static void rewrite_all(const char *text, size_t size) {
    struct shape_cache c;
    struct shape_text v;
    struct slice values[SHAPE_MAX_VALUES], all = {(const uint8_t *)text, size};
    enum reason why;
    shape_cache_init(&c, 4, MAX_TEXT);
    if (!memchr(text, 0, size)) {
        check_rewrite(shape_extended(&c, all, 0, NULL, &why), NULL);
        struct shape *s = shape_simple(&c, all, &v, &why);
        for (int i = 0; s && i < v.n_values; i++)
            values[i] = (struct slice){all.data + v.values[i].at, v.values[i].len};
        check_rewrite(s, values);
    }
    shape_cache_finish(&c);
}

// With its lists joined, a statement names what it names.
static void check_joined(const char *text, size_t size, const char *shape) {
    struct buf joined = buf_make(2 * MAX_TEXT);
    if (shape_text_join(text, size, &joined) == SHAPE_OK) {
        buf_put_text(&joined, "--");
        buf_put_u8(&joined, 0);
        struct parsed *a = parse_statement(shape, MAX_TEXT, 100),
                      *b = parse_statement((char *)joined.data, MAX_TEXT, 100);
        if (a->kind == STATEMENT_READ &&
            (b->kind != a->kind || b->n_relations != a->n_relations || b->n_functions != a->n_functions ||
             b->n_operators != a->n_operators || b->n_columns != a->n_columns))
            fail("another statement with its lists joined", text, size, &joined);
        parsed_destroy(a);
        parsed_destroy(b);
    }
    buf_free(&joined);
}

static void parse_shape(const char *text, size_t size) {
    struct buf shape = buf_make(2 * MAX_TEXT);
    struct shape_text st;
    if (shape_text_scan(text, size, &shape, &st) == SHAPE_OK) {
        buf_put_u8(&shape, 0);
        check_parse((const char *)shape.data);
        check_joined(text, size, (const char *)shape.data);
    }
    buf_free(&shape);
}

static void check_cursor(const char *text, size_t size) {
    struct cursor_statement c;
    cursor_read(text, size, &c);
    if (c.verb == CURSOR_DECLARE && c.select.data + c.select.len != (const uint8_t *)text + size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > MAX_TEXT)
        return 0;
    char *exact = malloc(size ? size : 1), *zero = malloc(size + 1);
    memcpy(exact, data, size);
    memcpy(zero, data, size);
    zero[size] = 0;
    check_shape(exact, size);
    parse_shape(exact, size);
    check_parse(zero);
    check_cursor(exact, size);
    rewrite_all(exact, size);
    free(exact);
    free(zero);
    return 0;
}
