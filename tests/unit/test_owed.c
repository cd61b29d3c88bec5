// SPDX-License-Identifier: PostgreSQL
//
// The kinds of owed replies: what each one is for those who decide by it (session/owed.h). A new kind needs a
// line in name_of, which the compiler asks for, and a row in the table.
#include <criterion/criterion.h>

#include "batching/fold/batch.h"
#include "batching/session/cancel_request.h"
#include "batching/session/late.h"
#include "batching/session/owed.h"
#include "tests/unit/fixture.h"

// NULL: there is no such kind.
static const char *name_of(enum owed_kind kind) {
    switch (kind) {
    case OWED_FORWARD:
        return "FORWARD";
    case OWED_LOOKUP:
        return "LOOKUP";
    case OWED_BATCH:
        return "BATCH";
    case OWED_PROOF:
        return "PROOF";
    case OWED_FACTS:
        return "FACTS";
    case OWED_VET:
        return "VET";
    case OWED_READ_VET:
        return "READ_VET";
    case OWED_SETUP:
        return "SETUP";
    case OWED_CHECK:
        return "CHECK";
    case OWED_PARSE:
        return "PARSE";
    case OWED_REPAIR:
        return "REPAIR";
    case OWED_UNDO:
        return "UNDO";
    case OWED_BEGIN:
        return "BEGIN";
    case OWED_END:
        return "END";
    }
    return NULL;
}

#define GONE (-1) // in place of the stage of a check: its lookup is no longer there

static const struct row {
    enum owed_kind kind;
    bool framed;
    int check;
    const char *means; // o no statement of the client's (owed_is_own), and see means_of
} rows[] = {
    {OWED_FORWARD, false, GONE, "c"},
    {OWED_LOOKUP, false, CHECK_NONE, "cl"},
    {OWED_LOOKUP, false, GONE, "cl"},
    {OWED_BATCH, false, GONE, "oqhe"},
    {OWED_BATCH, true, GONE, "oqhe"},
    {OWED_PROOF, false, GONE, "oqh"},
    {OWED_FACTS, false, GONE, "oqhb"},
    {OWED_VET, false, GONE, "oqheb"},
    {OWED_VET, true, GONE, "oqhe"},
    {OWED_READ_VET, false, GONE, "oqheb"},
    {OWED_READ_VET, true, GONE, "oqhe"},
    {OWED_SETUP, false, GONE, "o"},
    {OWED_CHECK, false, CHECK_ORIGINAL, "ocl"},
    {OWED_CHECK, false, CHECK_FOLDED, "ol"},
    {OWED_CHECK, false, CHECK_AGAIN, "ol"},
    {OWED_CHECK, false, GONE, "ohel"},
    {OWED_PARSE, false, GONE, "o"},
    {OWED_PARSE, true, GONE, "oqhe"},
    {OWED_REPAIR, false, GONE, "o"},
    {OWED_UNDO, false, GONE, "o"},
    {OWED_BEGIN, false, GONE, "o"},
    {OWED_END, false, GONE, "o"},
};

static const size_t n_rows = sizeof rows / sizeof *rows;

static void fill(struct owed *o, const struct row *r, struct lookup *l) {
    o->framed = r->framed;
    if (r->check != GONE) {
        l->check = (enum check_stage)r->check;
        o->of.lookup = l;
    }
}

static const char *means_of(const struct owed *o) {
    static char means[9];
    size_t n = 0;
    const struct {
        char letter;
        bool is;
    } all[] = {
        {'o', owed_is_own(o)},     {'c', owed_is_the_clients(o)}, {'q', owed_is_question(o)},
        {'h', owed_may_be_hit(o)}, {'e', owed_ends_on_cancel(o)}, {'l', owed_has_lookup(o)},
        {'b', owed_is_bounded(o)},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].is)
            means[n++] = all[i].letter;
    means[n] = 0;
    return means;
}

Test(owed, each_kind_means_what_the_table_says) {
    for (size_t i = 0; i < n_rows; i++) {
        struct owed o = {.kind = rows[i].kind};
        struct lookup l = {0};
        fill(&o, &rows[i], &l);
        cr_expect_str_eq(means_of(&o), rows[i].means, "%s (row %zu): %s", name_of(o.kind), i, means_of(&o));
    }
}

Test(owed, each_kind_has_a_row) {
    for (unsigned kind = 0; name_of((enum owed_kind)kind); kind++) {
        bool found = false;
        for (size_t i = 0; i < n_rows; i++)
            found |= rows[i].kind == (enum owed_kind)kind;
        cr_expect(found, "%s", name_of((enum owed_kind)kind));
    }
}

// Nothing of the client's is sent behind a question of ours that may take long; behind anything else it is.
Test(owed, the_client_waits_behind_questions) {
    struct fixture f;
    fixture_init(&f);
    f.limits.patience = 20000;
    fixture_start(&f, 1);
    struct session *s = f.clients[0].session;
    for (size_t i = 0; i < n_rows; i++) {
        struct lookup l = {0};
        fill(owed_push(s, rows[i].kind), &rows[i], &l);
        bool waits = strchr(rows[i].means, 'q') && !strchr(rows[i].means, 'b');
        cr_expect_eq(late_must_wait(s), waits, "%s (row %zu)", name_of(rows[i].kind), i);
        owed_pop(s);
    }
    fixture_end(&f);
}

// What is bounded does not hide what stands in front of it and is not; what the client has sent meanwhile does.
Test(owed, all_questions_that_are_last_count) {
    struct fixture f;
    fixture_init(&f);
    f.limits.patience = 20000;
    fixture_start(&f, 1);
    struct session *s = f.clients[0].session;
    (void)owed_push(s, OWED_BATCH);
    (void)owed_push(s, OWED_VET);
    cr_expect(late_must_wait(s));
    (void)owed_push(s, OWED_FORWARD);
    (void)owed_push(s, OWED_READ_VET);
    cr_expect_not(late_must_wait(s));
    while (s->owed.n)
        owed_pop(s);
    fixture_end(&f);
}

// What nobody wants any more is cancelled only if all that comes behind it is ours, and asked again.
Test(owed, a_request_hits_only_what_may_be_hit) {
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f, 1);
    struct client *c = &f.clients[0];
    struct session *s = c->session;
    for (size_t i = 0; i < n_rows; i++) {
        unsigned before = c->n_cancels;
        struct lookup l = {0};
        owed_push(s, OWED_VET)->unwanted = true;
        fill(owed_push(s, rows[i].kind), &rows[i], &l);
        session_relay_cancel(s);
        bool sent = c->n_cancels > before;
        cr_expect_eq(sent, strchr(rows[i].means, 'h') != NULL, "%s (row %zu)", name_of(rows[i].kind), i);
        owed_pop(s);
        owed_pop(s);
        if (sent)
            cancel_ended(c);
    }
    fixture_end(&f);
}
