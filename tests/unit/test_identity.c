// SPDX-License-Identifier: PostgreSQL
//
// Identities: when two sessions share one, and every way in which a session loses or finds its own.
//
// The answers to proofs are made up from a struct with one field changed at a time.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/trust/identity.h"
#include "batching/statement/parse.h"
#include "tests/unit/bytes.h"
#include "tests/unit/replies.h"

struct fixture {
    struct identity_table table;
    struct session_identity s[3];
};

static struct fixture setup(void) {
    struct fixture f;
    identity_table_init(&f.table);
    for (int i = 0; i < 3; i++)
        session_identity_init(&f.s[i], text_slice("server"), BYTES("user\0alice\0"));
    return f;
}

static void teardown(struct fixture *f) {
    for (int i = 0; i < 3; i++)
        session_identity_finish(&f->table, &f->s[i]);
    cr_assert_null(f->table.table, "an identity that nobody refers to is gone");
    identity_table_finish(&f->table);
}

static struct identity *current(struct fixture *f, int i) {
    return session_identity_current(&f->table, &f->s[i]);
}

static void put_row(struct session_identity *s, const char *first, const char *second, const char *third) {
    struct buf b = buf_make(1000);
    const char *row[] = {first, second, third};
    put_text_row(&b, row, 3);
    proof_reader_row(&s->proof_reader, (struct slice){b.data + 5, b.len - 5});
    buf_free(&b);
}

static void put_reset(struct session_identity *s, const char *name, const char *value, const char *reset,
                      const char *context, const char *source) {
    struct buf b = buf_make(1000);
    const char *row[] = {name, value, reset, context, source};
    put_text_row(&b, row, 5);
    proof_reader_row(&s->proof_reader, (struct slice){b.data + 5, b.len - 5});
    buf_free(&b);
}

struct answer {
    const char *role, *search_path, *search_path_at_reset, *work_mem, *temp, *oid, *at, *source, *later_role;
};
#define AT "0003000000000000"
static const struct answer plain = {"alice", "public", "public", "4MB", "0", "10", AT, "user", "alice"};

static void put_users(struct session_identity *s, const struct answer *a) {
    struct buf b = buf_make(1000);
    const char *row[] = {a->role, "alice",
                         a->temp, a->oid,
                         "10",    "0002f00000000000",
                         a->at,   strcmp(a->later_role, "alice") == 0 ? a->role : a->later_role,
                         "alice"};
    put_text_row(&b, row, 9);
    proof_reader_row(&s->proof_reader, (struct slice){b.data + 5, b.len - 5});
    buf_free(&b);
}

static void answer_proof(struct fixture *f, int i, const struct answer *a, bool ok) {
    struct session_identity *s = &f->s[i];
    put_users(s, a);
    proof_reader_next(&s->proof_reader);
    put_row(s, "DateStyle", "ISO, MDY", "Sets the display format for date and time values.");
    put_row(s, "default_transaction_isolation", "read committed", NULL);
    put_row(s, "search_path", a->search_path, NULL);
    put_row(s, "transaction_isolation", i ? "serializable" : "read committed", NULL);
    put_row(s, "work_mem", a->work_mem, NULL);
    proof_reader_next(&s->proof_reader);
    if (s->origin == ORIGIN_UNKNOWN) {
        put_reset(s, "search_path", a->search_path, a->search_path_at_reset, "user", a->source);
        put_reset(s, "work_mem", "4096", "4096", "user", "default");
        put_reset(s, "log_file_mode", "0600", "384", "sighup", "default"); // so the server shows it
        put_reset(s, "tcp_keepalives_idle", "7200", "0", "user", "session");
        proof_reader_next(&s->proof_reader);
    }
    identity_proof_end(&f->table, s, ok);
}

static void prove_with(struct fixture *f, int i, const struct answer *a) {
    identity_proof_start(&f->s[i]);
    answer_proof(f, i, a, true);
}

static void prove(struct fixture *f, int i) {
    prove_with(f, i, &plain);
}

static void set(struct fixture *f, int i, const char *name, const char *value) {
    struct parsed_setting p = {(char *)name, (char *)value};
    session_identity_set(&f->table, &f->s[i], &p, 1);
}

// Of the settings that begin with transaction_ this alone is no trait of the running transaction.
static void prove_with_timeout(struct fixture *f, int i, const char *timeout, const char *isolation) {
    struct session_identity *s = &f->s[i];
    identity_proof_start(s);
    put_users(s, &plain);
    proof_reader_next(&s->proof_reader);
    put_row(s, "transaction_isolation", isolation, NULL);
    put_row(s, "transaction_timeout", timeout, NULL);
    proof_reader_next(&s->proof_reader);
    identity_proof_end(&f->table, s, true);
}

Test(identity, transaction_timeout_counts) {
    struct fixture f = setup();
    prove_with_timeout(&f, 0, "0", "read committed");
    prove_with_timeout(&f, 1, "0", "serializable");
    cr_assert_eq(current(&f, 0), current(&f, 1));
    teardown(&f);
    f = setup();
    prove_with_timeout(&f, 0, "0", "read committed");
    prove_with_timeout(&f, 1, "2s", "read committed");
    cr_assert_neq(current(&f, 0), current(&f, 1));
    teardown(&f);
}

Test(identity, unproven_sessions_are_private) {
    struct fixture f = setup();
    cr_assert(current(&f, 0)->is_private);
    cr_assert_neq(current(&f, 0), current(&f, 1));
    cr_assert_eq(current(&f, 0), current(&f, 0));
    prove(&f, 0);
    cr_assert_not(current(&f, 0)->is_private);
    cr_assert_neq(current(&f, 0), current(&f, 1), "one that is proven, one that is not");
    teardown(&f);
}

Test(identity, equal_bytes_are_one_object) {
    struct fixture f = setup();
    prove(&f, 0);
    prove(&f, 1);
    cr_assert_eq(current(&f, 0), current(&f, 1));
    set(&f, 0, "search_path", "a");
    cr_assert_neq(current(&f, 0), current(&f, 1));
    set(&f, 1, "search_path", "b");
    cr_assert_neq(current(&f, 0), current(&f, 1));
    set(&f, 1, "search_path", "a");
    cr_assert_eq(current(&f, 0), current(&f, 1));
    teardown(&f);
}

Test(identity, the_order_of_settings_does_not_matter) {
    struct fixture f = setup();
    prove(&f, 0);
    prove(&f, 1);
    static const char *const names[] = {"search_path", "app.tenant", "statement_timeout", "a", "zz"};
    for (int i = 0; i < 5; i++) {
        set(&f, 0, names[i], "1");
        set(&f, 1, names[4 - i], "1");
    }
    cr_assert_eq(current(&f, 0), current(&f, 1));
    set(&f, 0, "app.tenant", "2");
    cr_assert_neq(current(&f, 0), current(&f, 1), "tenants are kept apart by value");
    teardown(&f);
}

Test(identity, login_decides) {
    struct fixture f = setup();
    session_identity_finish(&f.table, &f.s[1]);
    session_identity_init(&f.s[1], text_slice("server"), BYTES("user\0bob\0"));
    session_identity_finish(&f.table, &f.s[2]);
    session_identity_init(&f.s[2], text_slice("serveruser"), BYTES("\0alice\0"));
    for (int i = 0; i < 3; i++)
        prove(&f, i);
    cr_assert_neq(current(&f, 0), current(&f, 1));
    cr_assert_neq(current(&f, 0), current(&f, 2), "where one part ends is part of it");
    teardown(&f);
}

static bool same_base(struct fixture *f, int i, int j) {
    return XXH128_isEqual(current(f, i)->base, current(f, j)->base);
}

// What the catalogue has said to one tenant's session holds for another tenant's; rows do not pass between them.
Test(identity, custom_settings_leave_the_base_as_it_is) {
    struct fixture f = setup();
    cr_assert(!same_base(&f, 0, 1), "private ones share nothing");
    for (int i = 0; i < 3; i++)
        prove(&f, i);
    cr_assert(same_base(&f, 0, 1));
    set(&f, 0, "app.tenant", "1");
    set(&f, 1, "app.tenant", "2");
    cr_assert_neq(current(&f, 0), current(&f, 1));
    cr_assert_neq(current(&f, 0), current(&f, 2));
    cr_assert(same_base(&f, 0, 1) && same_base(&f, 0, 2));
    session_identity_set_local(&f.table, &f.s[2]);
    cr_assert(same_base(&f, 0, 2));
    set(&f, 1, "search_path", "other");
    cr_assert(!same_base(&f, 0, 1), "names mean something else");
    session_identity_doubt(&f.table, &f.s[2]);
    cr_assert(!same_base(&f, 0, 2), "nobody knows what its settings are");
    teardown(&f);
}

static void log_in(struct fixture *f, int i, struct slice params) {
    session_identity_finish(&f->table, &f->s[i]);
    session_identity_init(&f->s[i], text_slice("server"), params);
    prove(f, i);
}

// pgx sends them in another order each time.
Test(identity, the_order_of_parameters_decides_nothing) {
    struct fixture f = setup();
    log_in(&f, 0, BYTES("user\0alice\0database\0shop\0"));
    log_in(&f, 1, BYTES("database\0shop\0user\0alice\0"));
    cr_assert_eq(current(&f, 0), current(&f, 1));
    log_in(&f, 0, BYTES("user\0alice\0TimeZone\0CET\0timezone\0UTC\0"));
    log_in(&f, 1, BYTES("user\0alice\0timezone\0UTC\0TimeZone\0CET\0"));
    cr_assert_neq(current(&f, 0), current(&f, 1), "the last one of a name counts");
    log_in(&f, 0, BYTES("user\0alice\0a"));
    log_in(&f, 1, BYTES("a\0user\0alice"));
    cr_assert_neq(current(&f, 0), current(&f, 1), "what are no pairs is taken as it is");
    teardown(&f);
}

Test(identity, the_proof_decides) {
    struct fixture f = setup();
    struct answer small = plain, large = plain;
    small.work_mem = "1MB";
    large.work_mem = "2MB";
    prove(&f, 0);
    prove_with(&f, 1, &small);
    prove_with(&f, 2, &large);
    cr_assert_neq(current(&f, 0), current(&f, 1));
    cr_assert_neq(current(&f, 1), current(&f, 2));
    prove_with(&f, 2, &small);
    cr_assert_eq(current(&f, 1), current(&f, 2));
    small.role = "bob";
    prove_with(&f, 2, &small);
    cr_assert_neq(current(&f, 1), current(&f, 2));
    teardown(&f);
}

// What the list tells about a setting, the proof need not tell. Names are the statement's or the server's.
Test(identity, it_makes_no_difference_whether_a_setting_came_before_the_proof) {
    struct fixture f = setup();
    struct answer a = plain;
    a.search_path = "a";
    set(&f, 0, "search_path", "a");
    prove_with(&f, 0, &a);
    prove(&f, 1);
    set(&f, 1, "search_path", "a");
    cr_assert_eq(current(&f, 0), current(&f, 1));
    a.work_mem = "8MB";
    prove_with(&f, 0, &a);
    cr_assert_neq(current(&f, 0), current(&f, 1));
    teardown(&f);
}

// The same value, but it would change when the server reads its configuration anew.
Test(identity, a_value_of_the_configuration_is_not_one_of_the_session) {
    struct fixture f = setup();
    struct answer own = plain;
    own.search_path_at_reset = "changed";
    for (int i = 0; i < 3; i++)
        session_identity_doubt(&f.table, &f.s[i]);
    prove(&f, 0);
    prove(&f, 1);
    prove_with(&f, 2, &own);
    cr_assert_eq(current(&f, 0), current(&f, 1),
                 "asked for what RESET would make of it, and that is the same");
    cr_assert_neq(current(&f, 0), current(&f, 2));
    teardown(&f);
}

Test(identity, only_a_session_of_unknown_past_is_asked_for_reset_values) {
    struct fixture f = setup();
    cr_assert_null(strstr(identity_proof_start(&f.s[0]), "reset_val"));
    answer_proof(&f, 0, &plain, true);
    set(&f, 0, "search_path", "a");
    session_identity_touched(&f.s[0], true);
    cr_assert_null(strstr(identity_proof_start(&f.s[0]), "reset_val"));
    session_identity_touched(&f.s[1], false);
    cr_assert_not_null(strstr(identity_proof_start(&f.s[1]), "reset_val"));
    session_identity_doubt(&f.table, &f.s[2]);
    cr_assert_not_null(strstr(identity_proof_start(&f.s[2]), "reset_val"));
    teardown(&f);
}

Test(identity, who_may_idle_in_a_transaction) {
    struct fixture f = setup();
    cr_assert(!session_identity_may_idle(&f.s[0]), "nothing is known");
    prove(&f, 0);
    cr_assert(!session_identity_may_idle(&f.s[0]), "the server has not said");
    set(&f, 0, "idle_in_transaction_session_timeout", "'5min'");
    cr_assert(!session_identity_may_idle(&f.s[0]), "a statement's value is not read");
    teardown(&f);
}

Test(identity, the_isolation_of_transactions_is_known) {
    struct fixture f = setup();
    cr_assert_eq(session_identity_isolation(&f.s[0]), ISOLATION_UNKNOWN);
    prove(&f, 0);
    cr_assert_eq(session_identity_isolation(&f.s[0]), ISOLATION_READ_COMMITTED);
    set(&f, 0, "default_transaction_isolation", "'SERIALIZABLE'");
    cr_assert_eq(session_identity_isolation(&f.s[0]), ISOLATION_SERIALIZABLE);
    set(&f, 0, "default_transaction_isolation", "raw 'repeatable read'");
    cr_assert_eq(session_identity_isolation(&f.s[0]), ISOLATION_UNKNOWN);
    set(&f, 0, "default_transaction_isolation", "'repeatable read'");
    cr_assert_eq(session_identity_isolation(&f.s[0]), ISOLATION_REPEATABLE_READ);
    set(&f, 0, "default_transaction_isolation", NULL);
    cr_assert_eq(session_identity_isolation(&f.s[0]), ISOLATION_UNKNOWN);
    teardown(&f);
}

Test(identity, doubt_makes_private_until_the_next_proof) {
    struct fixture f = setup();
    struct answer a = plain;
    a.search_path = "a";
    prove(&f, 0);
    prove(&f, 1);
    set(&f, 0, "search_path", "a");
    set(&f, 0, "app.tenant", "1");
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    cr_assert(current(&f, 0)->is_private);
    cr_assert_eq(f.s[0].n_settings, 1, "those that the server does not show are kept");
    prove_with(&f, 0, &a);
    cr_assert_not(current(&f, 0)->is_private);
    cr_assert_neq(current(&f, 0), current(&f, 1));
    teardown(&f);
}

Test(identity, a_doubt_changes_a_private_identity_too) {
    struct fixture f = setup();
    uint64_t before = current(&f, 0)->id;
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_neq(current(&f, 0)->id, before);
    teardown(&f);
}

Test(identity, a_proof_that_was_overtaken_by_doubt_proves_nothing) {
    struct fixture f = setup();
    identity_proof_start(&f.s[0]);
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    answer_proof(&f, 0, &plain, true);
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    cr_assert(current(&f, 0)->is_private);
    cr_assert_eq(f.s[0].told_isolation, ISOLATION_READ_COMMITTED,
                 "what it said of transactions was true then");
    identity_proof_start(&f.s[0]);
    answer_proof(&f, 0, &plain, false);
    cr_assert(f.s[0].told_isolation == ISOLATION_UNKNOWN && !f.s[0].told_may_idle);
    teardown(&f);
}

static bool has(struct fixture *f, const char *name, const char *value) {
    struct parsed_setting p = {(char *)name, (char *)value};
    return session_identity_has(&f->s[0], &p, 1);
}

Test(identity, a_setting_that_is_set_is_known) {
    struct fixture f = setup();
    prove(&f, 0);
    cr_assert_not(has(&f, "work_mem", "'4MB'"), "by no statement");
    set(&f, 0, "work_mem", "'4MB'");
    set(&f, 0, "app.tenant", "'1'");
    cr_assert(has(&f, "work_mem", "'4MB'") && has(&f, "app.tenant", "'1'"));
    cr_assert_not(has(&f, "work_mem", "'5MB'"));
    cr_assert_not(has(&f, "work_mem", NULL));
    cr_assert_not(has(&f, "search_path", "'a'"));
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_not(has(&f, "app.tenant", "'1'"));
    prove(&f, 0);
    cr_assert_not(has(&f, "app.tenant", "'1'"), "anything may have set it");
    cr_assert_not(has(&f, "work_mem", "'4MB'"));
    set(&f, 0, "datestyle", "'ISO'");
    cr_assert_not(has(&f, "datestyle", "'ISO'"));
    teardown(&f);
}

static const struct {
    const char *temp;
    bool ok;
    enum identity_state state;
} proofs[] = {
    {"0", true, IDENTITY_PROVEN},   {"0", false, IDENTITY_REFUSED}, {"16402", true, IDENTITY_REFUSED},
    {"00", true, IDENTITY_REFUSED}, {"", true, IDENTITY_REFUSED},   {NULL, true, IDENTITY_REFUSED},
};

Test(identity, the_proof_must_end_well_and_know_no_temporary_schema) {
    for (size_t i = 0; i < sizeof proofs / sizeof *proofs; i++) {
        struct fixture f = setup();
        struct answer a = plain;
        a.temp = proofs[i].temp;
        identity_proof_start(&f.s[0]);
        answer_proof(&f, 0, &a, proofs[i].ok);
        cr_assert_eq(f.s[0].state, proofs[i].state, "row %zu", i);
        cr_assert_eq(current(&f, 0)->is_private, proofs[i].state != IDENTITY_PROVEN);
        teardown(&f);
    }
}

Test(identity, a_proof_without_its_rows_is_refused) {
    struct fixture f = setup();
    identity_proof_start(&f.s[0]);
    identity_proof_end(&f.table, &f.s[0], true);
    cr_assert_eq(f.s[0].state, IDENTITY_REFUSED);
    identity_proof_start(&f.s[1]);
    proof_reader_next(&f.s[1].proof_reader);
    proof_reader_next(&f.s[1].proof_reader);
    identity_proof_end(&f.table, &f.s[1], true);
    cr_assert_eq(f.s[1].state, IDENTITY_REFUSED);
    teardown(&f);
}

Test(identity, what_the_text_does_not_tell_is_asked_of_the_server) {
    static const struct {
        const char *name, *value;
    } doubtful[] = {{"search_path", NULL}, {"role", "boss"}, {"datestyle", "'ISO'"}};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f = setup();
        prove(&f, 0);
        set(&f, 0, doubtful[i].name, doubtful[i].value);
        cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN, "%s", doubtful[i].name);
        cr_assert(current(&f, 0)->is_private);
        teardown(&f);
    }
}

Test(identity, more_settings_than_are_kept_are_left_to_the_proof) {
    struct fixture f = setup();
    prove(&f, 0);
    for (int i = 0; i < IDENTITY_MAX_SETTINGS + 1; i++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", i);
        cr_assert_eq(f.s[0].state, IDENTITY_PROVEN, "%d", i);
        set(&f, 0, name, "1");
        cr_assert_leq(f.s[0].n_settings, IDENTITY_MAX_SETTINGS);
    }
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    teardown(&f);
}

// After RESET ALL every setting has the value of the log-in, but the role is what it was. The server is asked
// once; what it said then is what the next one leads back to.
Test(identity, reset_all_leads_back_to_what_was_proven_behind_the_last_one) {
    struct fixture f = setup();
    struct answer boss = plain;
    boss.role = "boss";
    for (int i = 0; i < 2; i++) {
        prove(&f, i);
        session_identity_reset_all(&f.table, &f.s[i]);
        cr_assert_eq(f.s[i].state, IDENTITY_UNPROVEN);
        prove(&f, i);
        set(&f, i, "search_path", i ? "a" : "b");
        session_identity_reset_all(&f.table, &f.s[i]);
    }
    cr_assert_not(current(&f, 0)->is_private);
    cr_assert_eq(current(&f, 0), current(&f, 1));
    session_identity_doubt(&f.table, &f.s[1]);
    session_identity_reset_all(&f.table, &f.s[1]);
    cr_assert(current(&f, 1)->is_private, "doubt is more than settings");
    set(&f, 0, "role", "boss");
    prove_with(&f, 0, &boss);
    session_identity_reset_all(&f.table, &f.s[0]);
    cr_assert(current(&f, 0)->is_private, "the role is not reset");
    teardown(&f);
}

// Nor does it lead back to a state that was made by more than it.
Test(identity, what_came_behind_reset_all_is_not_part_of_it) {
    struct fixture f = setup();
    for (int i = 0; i < 3; i++) {
        session_identity_reset_all(&f.table, &f.s[i]);
        if (i == 0)
            set(&f, i, "app.tenant", "1");
        if (i == 1)
            session_identity_touched(&f.s[i], true);
        if (i == 2)
            session_identity_doubt(&f.table, &f.s[i]);
        prove(&f, i);
        session_identity_reset_all(&f.table, &f.s[i]);
        cr_assert(current(&f, i)->is_private, "%d", i);
    }
    teardown(&f);
}

Test(identity, discard_all_leads_back_to_what_was_proven_behind_the_last_one) {
    struct fixture f = setup();
    for (int i = 0; i < 2; i++) {
        session_identity_discard_all(&f.table, &f.s[i]);
        cr_assert(current(&f, i)->is_private);
        prove(&f, i);
        set(&f, i, i ? "role" : "search_path", "a");
        session_identity_doubt(&f.table, &f.s[i]);
        session_identity_discard_all(&f.table, &f.s[i]);
    }
    cr_assert_not(current(&f, 0)->is_private);
    cr_assert_eq(current(&f, 0), current(&f, 1));
    session_identity_reloaded(&f.table, &f.s[0]);
    session_identity_discard_all(&f.table, &f.s[0]);
    cr_assert(current(&f, 0)->is_private, "the configuration has changed");
    teardown(&f);
}

// RESET ALL keeps the role, which DISCARD ALL does not.
Test(identity, discard_all_does_not_trust_a_proof_behind_reset_all) {
    struct fixture f = setup();
    struct answer boss = plain;
    boss.role = "boss";
    set(&f, 0, "role", "boss");
    session_identity_reset_all(&f.table, &f.s[0]);
    prove_with(&f, 0, &boss);
    session_identity_discard_all(&f.table, &f.s[0]);
    cr_assert(current(&f, 0)->is_private);
    prove(&f, 0);
    set(&f, 0, "role", "boss");
    session_identity_reset_all(&f.table, &f.s[0]);
    prove_with(&f, 0, &boss);
    session_identity_discard_all(&f.table, &f.s[0]);
    cr_assert(current(&f, 0)->is_private, "RESET ALL behind it kept the role");
    teardown(&f);
}

Test(identity, proofs_are_rarer_the_more_often_they_were_for_nothing) {
    struct fixture f = setup();
    for (unsigned proof = 0; proof < 9; proof++) {
        unsigned asked = 1;
        while (!session_identity_wants_proof(&f.s[0], false))
            asked++;
        cr_assert_eq(asked, proof < 6 ? 1u << proof : 64);
        prove(&f, 0);
        cr_assert_not(session_identity_wants_proof(&f.s[0], false));
        session_identity_doubt(&f.table, &f.s[0]);
    }
    teardown(&f);
}

Test(identity, a_login_too_long_to_keep_is_private) {
    struct fixture f = setup();
    char *params = calloc(1, IDENTITY_MAX_BYTES);
    struct session_identity s;
    session_identity_init(&s, text_slice("server"), (struct slice){(uint8_t *)params, IDENTITY_MAX_BYTES});
    cr_assert_eq(s.state, IDENTITY_FOREVER);
    cr_assert(session_identity_current(&f.table, &s)->is_private);
    session_identity_finish(&f.table, &s);
    free(params);
    teardown(&f);
}

Test(identity, ids_are_never_used_twice) {
    struct fixture f = setup();
    uint64_t last = 0;
    for (int i = 0; i < 20; i++) {
        uint64_t id = current(&f, 0)->id;
        cr_assert_gt(id, last);
        last = id;
        if (i % 2)
            prove(&f, 0);
        else
            session_identity_doubt(&f.table, &f.s[0]);
    }
    teardown(&f);
}

// A role may be renamed, and another one made under its name.
Test(identity, roles_are_told_by_their_oids) {
    struct fixture f = setup();
    struct answer other = plain;
    other.oid = "4711";
    prove(&f, 0);
    prove(&f, 1);
    prove_with(&f, 2, &other);
    cr_assert_eq(current(&f, 0), current(&f, 1));
    cr_assert_neq(current(&f, 0), current(&f, 2));
    teardown(&f);
}

static const struct answer odd_users[] = {
    {"alice", "public", "public", "4MB", "0", NULL, AT, "user", "alice"},
    {"alice", "public", "public", "4MB", "0", "0", AT, "user", "alice"},
    {"alice", "public", "public", "4MB", "0", "10", "then", "user", "alice"},
    {"alice", "public", "public", "4MB", "0", "10", "0003", "user", "alice"},
    {"alice", "public", "public", "4MB", "0", "10", "00030000000000000", "user", "alice"},
    {"alice", "public", "public", "4MB", "0", "10", NULL, "user", "alice"},
    {"alice", "public", "public", "4MB", "0", "10", AT, "user", "bob"}, // renamed meanwhile
};

Test(identity, a_proof_that_does_not_tell_who_it_is_is_refused) {
    for (size_t i = 0; i < sizeof odd_users / sizeof *odd_users; i++) {
        struct fixture f = setup();
        prove_with(&f, 0, &odd_users[i]);
        cr_assert_eq(f.s[0].state, IDENTITY_REFUSED, "row %zu", i);
        teardown(&f);
    }
}

// It has the value that others have by default, and will have it when theirs has changed.
Test(identity, a_value_of_the_sessions_own_is_not_the_same_by_default) {
    struct fixture f = setup();
    struct answer own = plain;
    own.source = "session";
    for (int i = 0; i < 3; i++) {
        session_identity_doubt(&f.table, &f.s[i]);
        prove_with(&f, i, i ? &own : &plain);
    }
    cr_assert_neq(current(&f, 0), current(&f, 1));
    cr_assert_eq(current(&f, 1), current(&f, 2));
    set(&f, 0, "search_path", "public");
    set(&f, 1, "search_path", "public");
    cr_assert_eq(current(&f, 0), current(&f, 1), "what a statement has set is told by it");
    teardown(&f);
}

// ---- custom settings, which the server does not show

Test(identity, who_may_have_set_custom_settings_is_apart) {
    struct fixture f = setup();
    session_identity_doubt(&f.table, &f.s[0]);
    session_identity_doubt(&f.table, &f.s[1]);
    prove(&f, 0);
    prove(&f, 1);
    cr_assert_eq(current(&f, 0), current(&f, 1));
    session_identity_doubt(&f.table, &f.s[1]);
    session_identity_discard_all(&f.table, &f.s[1]);
    prove(&f, 1);
    cr_assert_neq(current(&f, 0), current(&f, 1), "they are reset, but may be there");
    session_identity_discard_all(&f.table, &f.s[2]);
    prove(&f, 2);
    cr_assert_neq(current(&f, 1), current(&f, 2));
    session_identity_doubt(&f.table, &f.s[2]);
    session_identity_discard_all(&f.table, &f.s[2]);
    cr_assert_eq(current(&f, 1), current(&f, 2));
    teardown(&f);
}

static void lose_custom(struct fixture *f, int i, int way) {
    if (way == 3) {
        session_identity_set_local(&f->table, &f->s[i]);
        return;
    }
    set(f, i, "app.tenant", "'x'");
    if (way == 0)
        set(f, i, "app.tenant", NULL);
    else if (way == 1)
        session_identity_reset_all(&f->table, &f->s[i]);
    else
        session_identity_discard_all(&f->table, &f->s[i]);
}

Test(identity, a_custom_setting_that_is_reset_is_still_there) {
    for (int way = 0; way < 4; way++) {
        struct fixture f = setup();
        prove(&f, 0);
        prove(&f, 1);
        lose_custom(&f, 1, way);
        if (way < 3)
            prove(&f, 1);
        cr_assert_neq(current(&f, 0), current(&f, 1), "%d", way);
        cr_assert_not(current(&f, 1)->is_private);
        teardown(&f);
    }
}

// ---- a configuration that is read anew

static bool takes(struct fixture *f, int i, const struct identity *of, uint64_t loaded, bool own) {
    return session_identity_may_take(&f->table, &f->s[i], of, loaded, own);
}

Test(identity, a_proof_is_no_older_than_the_configuration) {
    struct fixture f = setup();
    const uint64_t at = 0x0003000000000000;
    prove(&f, 0);
    prove(&f, 1);
    struct identity *of = current(&f, 0);
    cr_assert(takes(&f, 1, of, 0, false), "nothing is known of it");
    cr_assert(takes(&f, 1, of, at - 1000000, false));
    cr_assert(takes(&f, 0, of, at, true));
    cr_assert_not(takes(&f, 1, of, at, false), "it may not have been told yet");
    cr_assert_eq(f.s[1].state, IDENTITY_UNPROVEN);
    cr_assert_not(takes(&f, 1, of, 0, false), "until it is proven again");
    cr_assert(takes(&f, 0, of, at + 1, true), "its own rows");
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    struct answer later = plain;
    later.at = "0003000000100000";
    prove_with(&f, 1, &later);
    cr_assert(takes(&f, 1, current(&f, 1), at, false));
    teardown(&f);
}

Test(identity, what_discard_all_leads_back_to_is_as_old_as_its_proof) {
    struct fixture f = setup();
    struct answer later = plain;
    later.at = "0003000000100000";
    session_identity_discard_all(&f.table, &f.s[0]);
    prove(&f, 0);
    session_identity_doubt(&f.table, &f.s[0]);
    prove_with(&f, 0, &later);
    session_identity_discard_all(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_PROVEN);
    cr_assert_not(takes(&f, 0, current(&f, 0), 0x0003000000000001, false));
    session_identity_discard_all(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN, "nor does it lead back there");
    teardown(&f);
}

Test(identity, rows_of_what_it_was_are_not_for_a_session) {
    struct fixture f = setup();
    prove(&f, 0);
    prove(&f, 1);
    struct identity *of = identity_ref(current(&f, 0));
    set(&f, 1, "search_path", "a");
    cr_assert_not(takes(&f, 1, of, 0, false));
    cr_assert(takes(&f, 1, of, 0, true));
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_not(takes(&f, 0, of, 0, false));
    identity_unref(&f.table, of);
    teardown(&f);
}
