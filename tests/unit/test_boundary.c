// SPDX-License-Identifier: PostgreSQL
//
// The statements that begin or end a transaction and say nothing else.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/statement/boundary.h"

static const struct row {
    const char *text, *tag; // NULL: it is none
    enum statement_kind kind;
} rows[] = {
    {"BEGIN", "BEGIN", STATEMENT_BEGIN},
    {"begin transaction", "BEGIN", STATEMENT_BEGIN},
    {"  -- a\nBegin /* b */ Work ; ;", "BEGIN", STATEMENT_BEGIN},
    {"START TRANSACTION", "START TRANSACTION", STATEMENT_BEGIN},
    {"COMMIT", "COMMIT", STATEMENT_COMMIT},
    {"commit work;", "COMMIT", STATEMENT_COMMIT},
    {"END", "COMMIT", STATEMENT_COMMIT},
    {"END TRANSACTION", "COMMIT", STATEMENT_COMMIT},
    {"ROLLBACK", "ROLLBACK", STATEMENT_ROLLBACK},
    {"Abort Transaction", "ROLLBACK", STATEMENT_ROLLBACK},
    {"", NULL, STATEMENT_OTHER},
    {";", NULL, STATEMENT_OTHER},
    {"; BEGIN", NULL, STATEMENT_OTHER},
    {"(BEGIN)", NULL, STATEMENT_OTHER},
    {"\"begin\"", NULL, STATEMENT_OTHER},
    {"BEGINS", NULL, STATEMENT_OTHER},
    {"START", NULL, STATEMENT_OTHER},
    {"START WORK", NULL, STATEMENT_OTHER},
    {"BEGIN WORK TRANSACTION", NULL, STATEMENT_OTHER},
    {"BEGIN READ ONLY", "BEGIN", STATEMENT_BEGIN},
    {"start transaction Read /* a */ Write;", "START TRANSACTION", STATEMENT_BEGIN},
    {"BEGIN READ", NULL, STATEMENT_OTHER},
    {"BEGIN READ COMMITTED", NULL, STATEMENT_OTHER},
    {"BEGIN READ ONLY, READ WRITE", NULL, STATEMENT_OTHER},
    {"BEGIN ISOLATION LEVEL READ COMMITTED", NULL, STATEMENT_OTHER},
    {"COMMIT READ ONLY", NULL, STATEMENT_OTHER},
    {"START READ ONLY", NULL, STATEMENT_OTHER},
    {"BEGIN; SELECT 1", NULL, STATEMENT_OTHER},
    {"BEGIN 'a", NULL, STATEMENT_OTHER},
    {"BEGIN /* a", NULL, STATEMENT_OTHER},
    {"COMMIT AND CHAIN", NULL, STATEMENT_OTHER},
    {"COMMIT AND NO CHAIN", NULL, STATEMENT_OTHER},
    {"COMMIT PREPARED 'a'", NULL, STATEMENT_OTHER},
    {"ROLLBACK TO a", NULL, STATEMENT_OTHER},
    {"ROLLBACK TRANSACTION TO a", NULL, STATEMENT_OTHER},
    {"/* pgfold:skip */ COMMIT", NULL, STATEMENT_OTHER},
    {"END IF", NULL, STATEMENT_OTHER},
};

Test(boundary, plain_ones_alone) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct boundary is = {.kind = STATEMENT_OTHER};
        struct slice text = {(const uint8_t *)rows[i].text, strlen(rows[i].text)};
        bool read = boundary_read(text, &is);
        cr_expect_eq(read, rows[i].tag != NULL, "%s", rows[i].text);
        if (!read || !rows[i].tag)
            continue;
        cr_expect_str_eq(is.tag, rows[i].tag, "%s", rows[i].text);
        cr_expect_eq(is.kind, rows[i].kind, "%s", rows[i].text);
    }
}

Test(boundary, what_its_transaction_may_do) {
    static const struct {
        const char *text, *access;
    } cases[] = {{"BEGIN", ""},
                 {"BEGIN READ ONLY", " READ ONLY"},
                 {"start transaction Read /* a */ Write;", " READ WRITE"},
                 {"COMMIT", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct boundary is;
        struct slice text = {(const uint8_t *)cases[i].text, strlen(cases[i].text)};
        cr_assert(boundary_read(text, &is));
        cr_expect_str_eq(is.access, cases[i].access, "%s", cases[i].text);
    }
}
