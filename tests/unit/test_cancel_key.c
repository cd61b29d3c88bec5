// SPDX-License-Identifier: PostgreSQL
//
// Keys of cancel requests: found by both of their parts, also where servers behind several hosts use the
// same process id.
#include <criterion/criterion.h>

#include <stdlib.h>

#include "proxy/cancel_key.h"

static struct proxy proxy;

static struct link *make(const char *body, size_t len) {
    struct link *l = calloc(1, sizeof *l);
    l->proxy = &proxy;
    cancel_key_add(l, (const uint8_t *)body, len);
    return l;
}

static void drop(struct link *l) {
    cancel_key_remove(l);
    cancel_key_remove(l);
    free(l);
}

static bool known;

static struct link *find(uint32_t pid, const char *secret, size_t len) {
    return cancel_key_find(&proxy, pid, (struct slice){(const uint8_t *)secret, len}, &known);
}

Test(cancel_key, both_parts_count) {
    struct link *a = make("\0\0\0\1abcd", 8), *b = make("\0\0\0\1abce", 8), *c = make("\0\0\0\1abcdabcd", 12),
                *d = make("\0\0\0\2abcd", 8);
    cr_assert(find(1, "abcd", 4) == a && find(1, "abce", 4) == b && find(1, "abcdabcd", 8) == c);
    cr_assert(find(2, "abcd", 4) == d && known);
    cr_assert(find(2, "abce", 4) == NULL && known);
    cr_assert(find(3, "abcd", 4) == NULL && !known);
    cr_assert(find(1, "abc", 3) == NULL && find(1, "", 0) == NULL);
    drop(a);
    cr_assert(find(1, "abcd", 4) == NULL && known && find(1, "abce", 4) == b);
    drop(c);
    drop(b);
    cr_assert(find(1, "abce", 4) == NULL && !known);
    drop(d);
}

Test(cancel_key, many_links) {
    enum { N = 3000 };
    static struct link *links[N];
    for (uint32_t i = 0; i < N; i++) { // three of each id
        char body[8] = {0, 0, (char)(i / 3 >> 8), (char)(i / 3), 'k', 'e', (char)(i >> 8), (char)i};
        links[i] = make(body, sizeof body);
    }
    for (uint32_t i = 0; i < N; i++) {
        char secret[4] = {'k', 'e', (char)(i >> 8), (char)i};
        cr_assert_eq(find(i / 3, secret, 4), links[i]);
        cr_assert_null(find(i / 3 + 1, secret, 4));
    }
    for (uint32_t i = 0; i < N; i++)
        drop(links[i]);
    cr_assert_null(proxy.by_key);
}

Test(cancel_key, what_is_no_key_names_nothing) {
    char body[300] = "\0\0\0\1";
    struct link *a = make(body, 7), *b = make(body, 4 + 257), *c = make(body, 4 + 256);
    cr_assert(!a->key && !b->key && c->key);
    cancel_key_add(c, (const uint8_t *)"\0\0\0\2abcd", 8);
    cr_assert_eq(c->key_len, 260, "the first one counts");
    drop(a);
    drop(b);
    drop(c);
}
