// SPDX-License-Identifier: PostgreSQL
#include <criterion/criterion.h>
#include <string.h>

#include "batching/session/counters.h"

static bool is_snake_case(const char *s) {
    char before = '_';
    for (; *s; before = *s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9' && before != '_') ||
              (*s == '_' && before != '_')))
            return false;
    return before != '_';
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static unsigned times(const char *s, char c) {
    unsigned n = 0;
    for (; *s; s++)
        n += *s == c;
    return n;
}

Test(counters, are_named_as_metrics_are) {
    const struct counter *k;
    for (unsigned i = 0; (k = counter_at(i)); i++) {
        if (!k->name[0])
            continue; // in the log only
        cr_expect(is_snake_case(k->name), "%s", k->name);
        cr_expect_eq(ends_with(k->name, "_total"), k->kind == COUNTER_COUNTER, "%s", k->name);
        for (unsigned j = 0; j < i; j++)
            cr_expect(strcmp(k->name, counter_at(j)->name) || strcmp(k->labels, counter_at(j)->labels), "%s",
                      k->name);
    }
}

Test(counters, say_what_they_count) {
    const struct counter *k;
    for (unsigned i = 0; (k = counter_at(i)); i++) {
        size_t n = strlen(k->help);
        cr_assert(n, "%s", k->name);
        cr_expect(k->help[0] >= 'A' && k->help[0] <= 'Z', "%s: %s", k->name, k->help);
        cr_expect_neq(k->help[n - 1], '.', "%s: %s", k->name, k->help);
        cr_expect_eq(times(k->help, '\n') + times(k->help, '"') + times(k->help, '\\'), 0, "%s", k->name);
    }
}

Test(counters, stand_in_a_line_with_their_number) {
    const struct counter *k;
    for (unsigned i = 0; (k = counter_at(i)); i++) {
        cr_expect_eq(times(k->phrase, '%'), k->line != COUNTER_LINE_NONE, "%s: %s", k->name, k->phrase);
        cr_expect(!k->by_reason || k->line == COUNTER_LINE_NONE, "%s", k->name);
    }
}

// Each field of the struct is one counter, or one for each reason.
Test(counters, are_all_that_the_struct_has) {
    struct engine_counters c;
    uint64_t fields[sizeof c / sizeof(uint64_t)];
    unsigned n = 0;
    const struct counter *k;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        fields[i] = 1000 + i;
    memcpy(&c, fields, sizeof c);
    for (unsigned i = 0; (k = counter_at(i)); i++)
        for (unsigned r = 0; r < (k->by_reason ? REASON_COUNT : 1); r++)
            cr_expect_eq(counter_value(&c, k, (enum reason)r), fields[n++], "%s", k->name);
    cr_assert_eq(n, sizeof fields / sizeof *fields);
}
