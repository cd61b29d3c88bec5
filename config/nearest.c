// SPDX-License-Identifier: PostgreSQL
#include "config/nearest.h"

#define LONGEST 64

static size_t at_most(size_t n, size_t limit) {
    return n < limit ? n : limit;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

// Levenshtein's distance, with one row of the table: cost[j] is the price of turning the letters of `a` that
// were read so far into the first j letters of `b`.
size_t nearest_distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t cost[LONGEST + 1];

    a_len = at_most(a_len, LONGEST);
    b_len = at_most(b_len, LONGEST);
    for (size_t j = 0; j <= b_len; j++)
        cost[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = cost[0];
        cost[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            diagonal = cost[j];
            cost[j] = at_most(replaced, at_most(cost[j], cost[j - 1]) + 1);
        }
    }
    return cost[b_len];
}

// Does the longer name begin or end with the shorter one? Only a few letters do not count.
static bool is_part(const char *part, size_t part_len, const char *whole, size_t whole_len) {
    return part_len >= 4 && part_len <= whole_len &&
           (nearest_distance(part, part_len, whole, part_len) == 0 ||
            nearest_distance(part, part_len, whole + whole_len - part_len, part_len) == 0);
}

bool nearest_is_meant(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t longer = a_len > b_len ? a_len : b_len;
    if (longer < 3)
        return false;
    return nearest_distance(a, a_len, b, b_len) <= (longer + 2) / 3 || is_part(a, a_len, b, b_len) ||
           is_part(b, b_len, a, a_len);
}
