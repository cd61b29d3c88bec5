// SPDX-License-Identifier: PostgreSQL
//
// Keys that have raised an error are remembered until they do not, a few of them.
#include <criterion/criterion.h>

#include "batching/fold/erring.h"
#include "batching/fold/group.h"

static struct key integer(uint8_t n) {
    return (struct key){.kind = KEY_PLAIN, .of.bytes = {n}};
}

static bool has(const struct group *g, uint8_t n) {
    struct key k = integer(n);
    return erring_has(g, &k);
}

static void note(struct group *g, uint8_t n, bool failed) {
    struct key k = integer(n);
    erring_note(g, &k, failed);
}

Test(erring, until_it_succeeds) {
    struct group g = {.n_parts = 1};
    note(&g, 1, false);
    cr_expect_not(has(&g, 1));
    note(&g, 1, true);
    note(&g, 2, true);
    note(&g, 2, true);
    cr_expect(has(&g, 1) && has(&g, 2) && !has(&g, 3));
    note(&g, 3, false);
    note(&g, 1, false);
    cr_expect(!has(&g, 1) && has(&g, 2));
}

Test(erring, the_last_ones) {
    struct group g = {.n_parts = 1};
    for (uint8_t n = 1; n <= ERRING_KEYS + 1; n++)
        note(&g, n, true);
    cr_expect(!has(&g, 1) && has(&g, 2) && has(&g, ERRING_KEYS + 1));
}
