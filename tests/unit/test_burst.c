// SPDX-License-Identifier: PostgreSQL
//
// What a page asks for at once, and what it asks for next: which lookups follow which burst, and who may be given what was
// sent with one.
#include <criterion/criterion.h>

#include "batching/ahead/burst.h"
#include "batching/ahead/followers.h"
#include "batching/fold/group.h"
#include "batching/statement/shape.h"
#include "protocol/buf.h"

#define AGE  100000
#define WAY  5000
#define LONG (5 * WAY)
#define SIZE 6

enum { AUTHOR, BOOKS, BIO, KINDS };

struct world {
    struct account all;
    struct bursts t;
    struct followers followers;
    struct shape shapes[KINDS];
    struct group groups[KINDS];
    uint8_t keys[KINDS];
    uint64_t now;
    uint32_t loads;
    struct identity *identity;
};

static void begin(struct world *w) {
    static struct identity identity = {.id = 7};
    *w = (struct world){.identity = &identity, .now = 1000000, .loads = 1};
    w->t.memory.parent = w->followers.memory.parent = &w->all;
    for (unsigned i = 0; i < KINDS; i++) {
        w->keys[i] = (uint8_t)i;
        w->groups[i] = (struct group){.id = 20 + i,
                                      .n_parts = 1,
                                      .parts[0].type = OID_INT4,
                                      .shape = &w->shapes[i],
                                      .identity = w->identity,
                                      .cache_key = &w->keys[i],
                                      .cache_key_len = 1};
    }
}

static void end(struct world *w) {
    followers_finish(&w->followers);
    bursts_finish(&w->t);
    cr_expect_eq(w->all.used, 0);
}

static struct key key_of(int n) {
    struct key k = {.kind = KEY_PLAIN};
    k.of.bytes[7] = (uint8_t)n;
    return k;
}

// One lookup, over the connection of this number.
static void ask(struct world *w, unsigned kind, int n, uint64_t session, bool together) {
    struct key key = key_of(n);
    burst_note(&w->t, &w->followers,
               &(struct burst_lookup){.group = &w->groups[kind],
                                      .key = &key,
                                      .asker = {session, w->now - 1, ++w->loads},
                                      .unit = {(const uint8_t *)"unit", 4},
                                      .now = w->now,
                                      .age = AGE,
                                      .way = WAY,
                                      .together = together});
}

// All keys from this one on, one for each connection, and their answers.
static void ask_all(struct world *w, unsigned kind, int first) {
    for (int i = 0; i < SIZE; i++)
        ask(w, kind, first + i, (uint64_t)i + 1, i > 0);
    w->now += WAY + 500;
}

static void page(struct world *w, int first, unsigned kinds) {
    for (unsigned kind = 0; kind < kinds; kind++)
        ask_all(w, kind, first);
}

static struct burst *burst(struct world *w, unsigned kind) {
    return burst_of(&w->t, &w->groups[kind], w->now, AGE);
}

static const struct follower *follower(struct world *w, unsigned of, unsigned kind) {
    struct burst *b = burst(w, of);
    struct followed *list = b ? followers_of(&w->followers, b->source) : NULL;
    return list ? follower_find(list, w->groups[kind].id) : NULL;
}

static bool is_likely(struct world *w, unsigned of, unsigned kind) {
    const struct follower *f = follower(w, of, kind);
    return f && follower_is_likely(f);
}

Test(burst, what_follows_twice_is_likely) {
    struct world w;
    begin(&w);
    page(&w, 1, KINDS);
    cr_expect(follower(&w, AUTHOR, BOOKS));
    cr_expect(!is_likely(&w, AUTHOR, BOOKS));
    page(&w, 31, KINDS);
    cr_expect(is_likely(&w, AUTHOR, BOOKS));
    cr_expect(is_likely(&w, AUTHOR, BIO));
    cr_expect(is_likely(&w, BOOKS, BIO));
    cr_expect_eq(follower(&w, AUTHOR, BIO)->keys, SIZE);
    cr_expect_null(follower(&w, BIO, AUTHOR));
    end(&w);
}

Test(burst, what_has_not_followed_is_not_likely) {
    struct world w;
    begin(&w);
    page(&w, 1, KINDS);
    page(&w, 31, KINDS);
    page(&w, 61, 2);
    w.now += LONG;
    ask_all(&w, AUTHOR, 91); // the last page is known to have ended
    cr_expect(is_likely(&w, AUTHOR, BOOKS));
    cr_expect(!is_likely(&w, AUTHOR, BIO));
    end(&w);
}

// The next page's first kind does not follow this page's last one, even if it asks for the same.
Test(burst, the_same_page_again_follows_nothing) {
    struct world w;
    begin(&w);
    for (unsigned i = 0; i < 5; i++)
        page(&w, 1, KINDS);
    cr_expect(is_likely(&w, AUTHOR, BIO));
    cr_expect_null(follower(&w, BIO, AUTHOR));
    cr_expect_null(follower(&w, BIO, BOOKS));
    cr_expect_null(follower(&w, BOOKS, AUTHOR));
    end(&w);
}

Test(burst, one_after_the_other_is_none) {
    struct world w;
    begin(&w);
    for (unsigned turn = 0; turn < 3; turn++)
        for (int i = 0; i < SIZE; i++)
            for (unsigned kind = 0; kind < 2; kind++, w.now += WAY)
                ask(&w, kind, 10 * (int)turn + i, 1, false);
    cr_expect_null(follower(&w, AUTHOR, BOOKS));
    end(&w);
}

Test(burst, the_same_key_twice_at_once_is_one_burst) {
    struct world w;
    begin(&w);
    ask(&w, AUTHOR, 1, 1, false);
    for (int i = 0; i < 4; i++)
        ask(&w, AUTHOR, 1 + i / 2, 2 + (uint64_t)i, true);
    cr_expect_eq(burst(&w, AUTHOR)->n, 2);
    cr_expect_eq(burst(&w, AUTHOR)->n_askers, 5);
    uint64_t number = burst(&w, AUTHOR)->number;
    w.now += WAY + 1;
    ask(&w, AUTHOR, 1, 1, true);
    cr_expect_neq(burst(&w, AUTHOR)->number, number);
    end(&w);
}

Test(burst, too_long_ago) {
    struct world w;
    begin(&w);
    for (int n = 0; n < 3; n++) {
        ask_all(&w, AUTHOR, 1);
        w.now += AGE;
        ask_all(&w, BOOKS, 1);
        w.now += AGE;
    }
    ask_all(&w, AUTHOR, 1);
    cr_expect_null(follower(&w, AUTHOR, BOOKS));
    end(&w);
}

static bool may_again(const struct world *w, uint64_t number, uint64_t session, uint64_t started,
                      uint32_t loads) {
    const struct asked_entry asked = {.tag = 1, .loads = loads};
    return burst_may_again(&w->t, number, session, started, &asked);
}

Test(burst, who_has_asked_in_it_may_ask_again) {
    struct world w;
    begin(&w);
    uint32_t before = w.loads;
    uint64_t began = w.now;
    ask_all(&w, AUTHOR, 1);
    uint64_t number = burst(&w, AUTHOR)->number;
    cr_expect(may_again(&w, number, 3, began, before));
    cr_expect(!may_again(&w, number, 99, began, before), "it only polls");
    cr_expect(!may_again(&w, number, 3, began, w.loads), "it has asked since");
    cr_expect(!may_again(&w, number, 3, began - 1, before), "it may have been told what is newer");
    cr_expect(!may_again(&w, number + 1, 3, began, before), "another burst");
    end(&w);
}

// Nothing is known of what it was told before, or something is still to come.
Test(burst, who_has_not_been_told_all_may_not) {
    struct world w;
    begin(&w);
    struct key key = key_of(1);
    struct burst_lookup l = {.group = &w.groups[AUTHOR], .key = &key, .now = w.now, .age = AGE, .way = WAY};
    l.asker = (struct burst_asker){1, UINT64_MAX, ++w.loads};
    burst_note(&w.t, &w.followers, &l);
    cr_expect(!may_again(&w, 1, 1, w.now, 0));
    l.asker = (struct burst_asker){1, w.now - 1, ++w.loads};
    burst_note(&w.t, &w.followers, &l);
    cr_expect(may_again(&w, 1, 1, w.now, 0));
    const struct asked_entry lost = {.lists = UINT32_MAX};
    cr_expect(!burst_may_again(&w.t, 1, 1, w.now, &lost));
    end(&w);
}

Test(burst, in_vain_waits) {
    struct world w;
    begin(&w);
    page(&w, 1, KINDS);
    page(&w, 31, KINDS);
    ask_all(&w, AUTHOR, 61);
    burst_note_sent(burst(&w, AUTHOR), w.groups[BOOKS].id, SIZE);
    w.now += LONG;
    ask_all(&w, AUTHOR, 91); // nobody has asked for books
    cr_expect(!is_likely(&w, AUTHOR, BOOKS));
    page(&w, 121, 2);
    page(&w, 151, 2);
    cr_expect(!is_likely(&w, AUTHOR, BOOKS));
    for (int n = 0; n < 4; n++)
        page(&w, 181 - 30 * n, 2);
    cr_expect(is_likely(&w, AUTHOR, BOOKS));
    end(&w);
}

Test(burst, what_was_sent_with_the_first_is_not_sent_with_the_second) {
    struct world w;
    begin(&w);
    ask_all(&w, AUTHOR, 1);
    struct burst *first = burst(&w, AUTHOR);
    burst_note_sent(first, w.groups[BIO].id, SIZE);
    first->n_sent = first->n;
    ask_all(&w, BOOKS, 1);
    struct key key = key_of(2), other = key_of(50);
    cr_expect(burst_was_sent(&w.t, burst(&w, BOOKS), w.groups[BIO].id, &key));
    cr_expect(!burst_was_sent(&w.t, burst(&w, BOOKS), w.groups[BIO].id, &other));
    cr_expect(!burst_was_sent(&w.t, burst(&w, BOOKS), w.groups[AUTHOR].id, &key));
    end(&w);
}

Test(burst, of_which_lookups) {
    struct world w;
    begin(&w);
    cr_expect(burst_may_have(&w.groups[AUTHOR]));
    w.groups[AUTHOR].owner = 3;
    cr_expect(!burst_may_have(&w.groups[AUTHOR]));
    w.groups[BOOKS].n_parts = 2;
    cr_expect(!burst_may_have(&w.groups[BOOKS]));
    w.groups[BIO].parts[0].type = 25;
    cr_expect(!burst_may_have(&w.groups[BIO]));
    end(&w);
}
