// SPDX-License-Identifier: PostgreSQL
//
// A synchronous loop of lookups on one connection, with nothing around it that takes time: the least that an
// application can do. tests/bench/ahead times it.
//
//   loop CONNINFO FRAMING WHAT N
//
// FRAMING: simple (PQexec, the key in the text), params (PQexecParams) or prepared (PQexecPrepared). WHAT:
//   list    SELECT the ids of the first N authors, then the books of each
//   nested  the same, and the reviews of each book
//   pauses  the same, and 20 ms of something else behind each 150 lookups, as when garbage is collected
//   early   the same list, but the loop ends after its third author; N lists
//   random  SELECT the ids of the first 1,000 authors, then the books of N others, at random
//   ping    N empty queries: the round trip
//
// Prints a line of JSON when it is connected, and one more for each line that it reads: the milliseconds
// without pauses, the lookups, and a digest of all rows, which does not depend on their order within a
// lookup. The n-th line draws the same numbers in each process.
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AUTHORS = 20000, LISTED = 1000, EARLY = 3, PAUSE_EVERY = 150, PAUSE_MS = 20 };

struct kind {
    const char *name, *text; // to be followed by the key
};

static const struct kind books = {"books",
                                  "SELECT id, title, author_id FROM demo_of_folding.book WHERE author_id = "};
static const struct kind reviews = {"reviews",
                                    "SELECT id, stars FROM demo_of_folding.review WHERE book_id = "};

struct loop {
    PGconn *conn;
    const char *framing;
    unsigned n;
    uint64_t random;
    uint64_t digest;
    unsigned long lookups;
    double paused; // milliseconds
};

static void die(const char *what, const char *why) {
    fprintf(stderr, "loop: %s: %s\n", what, why);
    exit(1);
}

static uint64_t hash(uint64_t h, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3;
    return h;
}

static unsigned draw(struct loop *l, unsigned below) {
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return (unsigned)(l->random % below);
}

static PGresult *checked(struct loop *l, PGresult *r) {
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        die("a statement failed", PQerrorMessage(l->conn));
    return r;
}

static void prepare(const struct loop *l, const struct kind *kind) {
    char text[256];
    snprintf(text, sizeof text, "%s$1", kind->text);
    if (strcmp(l->framing, "prepared") == 0)
        PQclear(PQprepare(l->conn, kind->name, text, 1, NULL));
}

static PGresult *look_up(struct loop *l, const struct kind *kind, const char *key) {
    char text[256];
    bool simple = strcmp(l->framing, "simple") == 0;
    if (strcmp(l->framing, "prepared") == 0)
        return checked(l, PQexecPrepared(l->conn, kind->name, 1, &key, NULL, NULL, 0));
    snprintf(text, sizeof text, "%s%s", kind->text, simple ? key : "$1");
    if (simple)
        return checked(l, PQexec(l->conn, text));
    return checked(l, PQexecParams(l->conn, text, 1, NULL, &key, NULL, NULL, 0));
}

static void digest_rows(struct loop *l, const char *key, const PGresult *r) {
    uint64_t seed = hash(0xcbf29ce484222325, key, strlen(key));
    for (int i = 0; i < PQntuples(r); i++) {
        uint64_t row = seed;
        for (int c = 0; c < PQnfields(r); c++)
            row = hash(row, PQgetvalue(r, i, c), (size_t)PQgetlength(r, i, c) + 1);
        l->digest += row;
    }
}

static PGresult *ask(struct loop *l, const struct kind *kind, const char *key) {
    PGresult *r = look_up(l, kind, key);
    digest_rows(l, key, r);
    l->lookups++;
    return r;
}

static void ask_books(struct loop *l, const char *key) {
    PQclear(ask(l, &books, key));
}

static PGresult *list_authors(struct loop *l, unsigned from, unsigned n) {
    char text[256];
    snprintf(text, sizeof text,
             "SELECT id, name FROM demo_of_folding.author WHERE id > %u ORDER BY id LIMIT %u", from, n);
    return checked(l, PQexec(l->conn, text));
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void pause_now(struct loop *l) {
    double started = now_ms();
    while (now_ms() - started < PAUSE_MS)
        ; // works
    l->paused += now_ms() - started;
}

static void ask_listed(struct loop *l, unsigned from, unsigned n, int stop_after) {
    PGresult *authors = list_authors(l, from, n);
    for (int i = 0; i < PQntuples(authors) && i < stop_after; i++)
        ask_books(l, PQgetvalue(authors, i, 0));
    PQclear(authors);
}

static void run_list(struct loop *l) {
    ask_listed(l, 0, l->n, (int)l->n);
}

static void run_nested(struct loop *l) {
    PGresult *authors = list_authors(l, 0, l->n);
    for (int i = 0; i < PQntuples(authors); i++) {
        PGresult *r = ask(l, &books, PQgetvalue(authors, i, 0));
        for (int j = 0; j < PQntuples(r); j++)
            PQclear(ask(l, &reviews, PQgetvalue(r, j, 0)));
        PQclear(r);
    }
    PQclear(authors);
}

static void run_pauses(struct loop *l) {
    PGresult *authors = list_authors(l, 0, l->n);
    for (int i = 0; i < PQntuples(authors); i++) {
        ask_books(l, PQgetvalue(authors, i, 0));
        if (i % PAUSE_EVERY == PAUSE_EVERY - 1)
            pause_now(l);
    }
    PQclear(authors);
}

static void run_early(struct loop *l) {
    for (unsigned i = 0; i < l->n; i++)
        ask_listed(l, draw(l, AUTHORS - LISTED), LISTED, EARLY);
}

static void run_random(struct loop *l) {
    PQclear(list_authors(l, 0, LISTED));
    for (unsigned i = 0; i < l->n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", LISTED + 1 + draw(l, AUTHORS - LISTED));
        ask_books(l, key);
    }
}

static void run_ping(struct loop *l) {
    for (unsigned i = 0; i < l->n; i++) {
        PQclear(PQexec(l->conn, ""));
        l->lookups++;
    }
}

static const struct {
    const char *name;
    void (*run)(struct loop *l);
} whats[] = {{"list", run_list},   {"nested", run_nested}, {"pauses", run_pauses},
             {"early", run_early}, {"random", run_random}, {"ping", run_ping}};

static void answer_lines(struct loop *l, void (*run)(struct loop *l)) {
    uint64_t asked = 0;
    for (int c; (c = getchar()) != EOF;) {
        if (c != '\n')
            continue;
        l->random = 0x9e3779b97f4a7c15 * ++asked;
        l->digest = l->lookups = 0;
        l->paused = 0;
        double started = now_ms();
        run(l);
        printf("{\"ms\": %.3f, \"lookups\": %lu, \"page\": \"%016llx\"}\n", now_ms() - started - l->paused,
               l->lookups, (unsigned long long)l->digest);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    if (argc != 5)
        die("usage", "loop CONNINFO simple|params|prepared list|nested|pauses|early|random|ping N");
    struct loop l = {.conn = PQconnectdb(argv[1]), .framing = argv[2], .n = (unsigned)atoi(argv[4])};
    void (*run)(struct loop *) = NULL;
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
        if (strcmp(whats[i].name, argv[3]) == 0)
            run = whats[i].run;
    if (!run || l.n == 0)
        die("usage", "no such loop");
    if (PQstatus(l.conn) != CONNECTION_OK)
        die("no connection", PQerrorMessage(l.conn));
    prepare(&l, &books);
    prepare(&l, &reviews);
    printf("{\"version\": \"libpq %d\"}\n", PQlibVersion());
    fflush(stdout);
    answer_lines(&l, run);
    PQfinish(l.conn);
    return 0;
}
