// SPDX-License-Identifier: PostgreSQL
//
// For which statements the engine may look ahead, with tables for which it is switched off. Statements are
// parsed and asked about; no session takes part.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/session/engine.h"
#include "batching/statement/parse.h"
#include "batching/statement/parsed.h"

static bool may_look_ahead(struct engine_limits limits, const char *text) {
    limits.max_shapes = limits.max_groups = 10;
    limits.max_text = 1000;
    struct engine *e = engine_create(&limits, NULL, NULL);
    struct parsed *p = parse_statement(text, strlen(text), 100);
    bool may = engine_may_look_ahead(e, p, NULL);
    parsed_destroy(p);
    engine_destroy(e);
    return may;
}

Test(engine, looks_ahead_but_for_tables_switched_off) {
    static const struct table_name off[] = {{"public", "books"}, {"shop", "Odd Name"}};
    static const struct {
        const char *text;
        bool may;
    } cases[] = {
        {"SELECT * FROM authors WHERE id = $1", true},
        {"SELECT * FROM public.books WHERE id = $1", false},
        {"SELECT * FROM \"public\".\"books\" b WHERE b.id = $1", false},
        {"SELECT * FROM Public.Books WHERE id = $1", false},
        {"SELECT * FROM books WHERE id = $1", false}, // of whatever schema
        {"SELECT * FROM archive.books WHERE id = $1", true},
        {"SELECT * FROM \"Books\" WHERE id = $1", true},
        {"SELECT * FROM authors books WHERE id = $1", true}, // an alias
        {"SELECT * FROM shop.\"Odd Name\" WHERE id = $1", false},
        {"SELECT * FROM public.\"Odd Name\" WHERE id = $1", true},
        {"SELECT * FROM authors a JOIN books b ON b.author_id = a.id WHERE a.id = $1", false},
        {"SELECT * FROM authors a WHERE a.id = $1 AND EXISTS (SELECT 1 FROM books b WHERE b.author_id = "
         "a.id)",
         false},
    };
    struct engine_limits limits = {.lookahead = LOOKAHEAD_BOUNDED, .ahead_off = off, .n_ahead_off = 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(may_look_ahead(limits, cases[i].text), cases[i].may, "%s", cases[i].text);
}

Test(engine, zero_limits_do_not_look_ahead) {
    static const char text[] = "SELECT * FROM authors WHERE id = $1";
    cr_assert_not(may_look_ahead((struct engine_limits){0}, text));
    cr_assert(may_look_ahead((struct engine_limits){.lookahead = LOOKAHEAD_SNAPSHOT}, text));
}
