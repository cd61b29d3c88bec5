// SPDX-License-Identifier: PostgreSQL
#include "batching/watch/expect.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
#define X(id, name) [METRIC_##id] = name,
    PGFOLD_METRICS(X)
#undef X
};

const char *metric_name(enum metric m) {
    return names[m];
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == ',' || c == '\t' || c == '\n' || c == '\r';
}

// The next word; its data is NULL at the end.
static struct slice next_word(struct slice text, size_t *at) {
    while (*at < text.len && is_blank(text.data[*at]))
        ++*at;
    size_t from = *at;
    while (*at < text.len && !is_blank(text.data[*at]))
        ++*at;
    return (struct slice){*at > from ? text.data + from : NULL, *at - from};
}

static bool is_text(struct slice s, const char *text) {
    return slice_is(s, text, strlen(text));
}

// A number of at most nine digits.
static bool read_number(struct slice s, uint32_t *out) {
    uint32_t n = 0;
    if (!s.len || s.len > 9)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(s.data[i] - '0');
    }
    *out = n;
    return true;
}

static bool read_word(struct slice word, struct expectation *e) {
    const uint8_t *sign = memchr(word.data, '=', word.len);
    if (!sign || sign == word.data)
        return false;
    bool most = sign[-1] == '<';
    struct slice name = {word.data, (size_t)(sign - word.data) - most};
    struct slice value = {sign + 1, (size_t)(word.data + word.len - sign) - 1};
    unsigned m = 0;
    while (m < METRIC_COUNT && !is_text(name, names[m]))
        m++;
    if (m == METRIC_LOOPS && !most && is_text(value, "warn")) {
        e->warns = true;
        value = (struct slice){(const uint8_t *)"0", 1};
    }
    if (m == METRIC_COUNT || e->of[m].set || !read_number(value, &e->of[m].most))
        return false;
    e->of[m].set = true;
    e->of[m].exact = !most;
    return true;
}

bool expectation_read(struct slice text, struct expectation *e, struct slice *bad) {
    size_t at = 0;
    *e = (struct expectation){0};
    for (struct slice w = next_word(text, &at); w.data; w = next_word(text, &at)) {
        if (read_word(w, e))
            continue;
        *bad = w;
        return false;
    }
    if (e->of[METRIC_LOOPS].set && !e->of[METRIC_LOOPS].most && !e->of[METRIC_REPEATS].set) {
        e->of[METRIC_REPEATS].set = true;
        e->of[METRIC_REPEATS].most = EXPECT_REPEATS - 1;
    }
    return true;
}

bool expectation_is_set(const struct expectation *e) {
    for (unsigned m = 0; m < METRIC_COUNT; m++)
        if (e->of[m].set)
            return true;
    return false;
}

void expectation_write(const struct expectation *e, struct buf *out) {
    bool first = true;
    for (unsigned m = 0; m < METRIC_COUNT; m++) {
        char text[64];
        if (!e->of[m].set)
            continue;
        snprintf(text, sizeof text, "%s%s%s%u", first ? "" : " ", names[m],
                 e->of[m].exact ? "=" : "<=", e->of[m].most);
        buf_put_text(out, m == METRIC_LOOPS && e->warns ? (first ? "loops=warn" : " loops=warn") : text);
        first = false;
    }
}
