// SPDX-License-Identifier: PostgreSQL
//
// libFuzzer's entry over the lexer, the shape pass and the parser. Holds: a shape's text with its values put
// back has the tokens of the original; values are constants of it, in order; the shape of that text is the
// same shape again.
//
//   clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. tests/fuzz/fuzz_sql.c batching/lexer.c
//       batching/parse.c batching/parsed.c batching/depth.c batching/reason.c protocol/buf.c -lpg_query
//       -lprotobuf-c
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/lexer.h"
#include "batching/parse.h"

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

static void check_parse(const char *text) {
    struct parsed *p = parse_statement(text, MAX_TEXT, 100);
    if (p->kind == STATEMENT_READ && p->reason == REASON_NONE &&
        (p->n_keys == 0 || p->n_relations != 1 || p->n_functions))
        abort();
    for (int i = 0; i < p->n_keys; i++)
        if (p->keys[i].param < 1 || p->keys[i].param > p->n_params || p->keys[i].uses < 1 ||
            !p->keys[i].column_sql)
            abort();
    parsed_destroy(p);
}

static void parse_shape(const char *text, size_t size) {
    struct buf shape = buf_make(2 * MAX_TEXT);
    struct shape_text st;
    if (shape_text_scan(text, size, &shape, &st) == SHAPE_OK) {
        buf_put_u8(&shape, 0);
        check_parse((const char *)shape.data);
    }
    buf_free(&shape);
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
    free(exact);
    free(zero);
    return 0;
}
