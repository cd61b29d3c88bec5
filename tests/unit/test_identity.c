// SPDX-License-Identifier: PostgreSQL
//
// Identities: when two sessions share one, and every way in which a session loses or finds its own.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/identity.h"
#include "tests/unit/bytes.h"

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

static void prove_with(struct fixture *f, int i, const char *changed, const char *temp) {
    struct buf b = buf_make(1000);
    const char *row[] = {"digest", changed,
                         "alice\x01"
                         "alice\x01none",
                         temp};
    f->s[i].state = IDENTITY_PROVING;
    put_text_row(&b, row, 4);
    identity_proof_row(&f->s[i], (struct slice){b.data + 5, b.len - 5});
    identity_proof_end(&f->table, &f->s[i], true);
    buf_free(&b);
}

static void prove(struct fixture *f, int i) {
    prove_with(f, i, NULL, "0");
}

static void set(struct fixture *f, int i, const char *name, const char *value) {
    struct parsed_setting p = {(char *)name, (char *)value};
    session_identity_set(&f->table, &f->s[i], &p, 1);
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

Test(identity, the_proof_decides) {
    struct fixture f = setup();
    prove(&f, 0);
    prove_with(&f, 1, "\x01work_mem=1", "0");
    prove_with(&f, 2, "\x01work_mem=2", "0");
    cr_assert_neq(current(&f, 0), current(&f, 1));
    cr_assert_neq(current(&f, 1), current(&f, 2));
    prove_with(&f, 2, "\x01work_mem=1", "0");
    cr_assert_eq(current(&f, 1), current(&f, 2));
    teardown(&f);
}

// What the list tells about a setting, the proof need not tell.
Test(identity, a_listed_setting_is_left_out_of_the_proof) {
    struct fixture f = setup();
    set(&f, 0, "search_path", "a");
    prove_with(&f, 0, "\x01search_path=a\x01work_mem=1", "0");
    prove_with(&f, 1, "\x01work_mem=1", "0");
    set(&f, 1, "search_path", "a");
    cr_assert_eq(current(&f, 0), current(&f, 1));
    teardown(&f);
}

Test(identity, doubt_makes_private_until_the_next_proof) {
    struct fixture f = setup();
    prove(&f, 0);
    prove(&f, 1);
    set(&f, 0, "search_path", "a");
    set(&f, 0, "app.tenant", "1");
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    cr_assert(current(&f, 0)->is_private);
    cr_assert_eq(f.s[0].n_settings, 1, "those that the server does not show are kept");
    prove_with(&f, 0, "\x01search_path=a", "0");
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
    f.s[0].state = IDENTITY_PROVING;
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    identity_proof_end(&f.table, &f.s[0], true);
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    teardown(&f);
}

static const struct {
    const char *temp;
    bool ok;
    enum identity_state state;
} proofs[] = {
    {"0", true, IDENTITY_PROVEN},      {"0", false, IDENTITY_REFUSED},
    {"16500", true, IDENTITY_REFUSED}, // a temporary schema
    {NULL, true, IDENTITY_REFUSED},    {"", true, IDENTITY_REFUSED},
};

Test(identity, the_proof_must_end_well_and_know_no_temporary_schema) {
    for (size_t i = 0; i < sizeof proofs / sizeof *proofs; i++) {
        struct fixture f = setup();
        struct buf b = buf_make(1000);
        const char *row[] = {"digest", NULL, "roles", proofs[i].temp};
        put_text_row(&b, row, 4);
        f.s[0].state = IDENTITY_PROVING;
        identity_proof_row(&f.s[0], (struct slice){b.data + 5, b.len - 5});
        identity_proof_end(&f.table, &f.s[0], proofs[i].ok);
        cr_assert_eq(f.s[0].state, proofs[i].state, "row %zu", i);
        cr_assert_eq(current(&f, 0)->is_private, proofs[i].state != IDENTITY_PROVEN);
        buf_free(&b);
        teardown(&f);
    }
}

Test(identity, a_proof_without_a_row_is_refused) {
    struct fixture f = setup();
    f.s[0].state = IDENTITY_PROVING;
    identity_proof_end(&f.table, &f.s[0], true);
    cr_assert_eq(f.s[0].state, IDENTITY_REFUSED);
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_REFUSED, "until the next DISCARD ALL");
    session_identity_discard_all(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_UNPROVEN);
    teardown(&f);
}

Test(identity, load_is_for_good) {
    struct fixture f = setup();
    prove(&f, 0);
    session_identity_forever(&f.table, &f.s[0]);
    session_identity_discard_all(&f.table, &f.s[0]);
    session_identity_reset_all(&f.table, &f.s[0]);
    session_identity_doubt(&f.table, &f.s[0]);
    cr_assert_eq(f.s[0].state, IDENTITY_FOREVER);
    cr_assert(current(&f, 0)->is_private);
    cr_assert_not(session_identity_wants_proof(&f.s[0]));
    teardown(&f);
}

Test(identity, what_the_text_does_not_tell_is_asked_of_the_server) {
    static const struct { const char *name, *value; } doubtful[] = {{"search_path", NULL}, {"role", "boss"}};
    for (size_t i = 0; i < 2; i++) {
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

// After RESET ALL every setting has the value of the log-in, but the role is what it was.
Test(identity, reset_all_forgets_settings_and_no_doubt) {
    struct fixture f = setup();
    for (int i = 0; i < 2; i++) {
        prove(&f, i);
        set(&f, i, "search_path", i ? "a" : "b");
        session_identity_reset_all(&f.table, &f.s[i]);
    }
    cr_assert_not(current(&f, 0)->is_private);
    cr_assert_eq(current(&f, 0), current(&f, 1));
    set(&f, 0, "role", "boss");
    session_identity_reset_all(&f.table, &f.s[0]);
    cr_assert(current(&f, 0)->is_private, "the role is not reset");
    session_identity_doubt(&f.table, &f.s[1]);
    session_identity_reset_all(&f.table, &f.s[1]);
    cr_assert(current(&f, 1)->is_private, "doubt is more than settings");
    teardown(&f);
}

Test(identity, discard_all_leads_back_to_the_login) {
    struct fixture f = setup();
    for (int i = 0; i < 2; i++) {
        prove(&f, i);
        set(&f, i, i ? "role" : "search_path", "a");
        session_identity_doubt(&f.table, &f.s[i]);
        session_identity_discard_all(&f.table, &f.s[i]);
    }
    cr_assert_not(current(&f, 0)->is_private);
    cr_assert_eq(current(&f, 0), current(&f, 1));
    teardown(&f);
}

// A proof that was made after something had touched the session is not what DISCARD ALL leads back to.
Test(identity, discard_all_trusts_a_clean_proof_alone) {
    struct fixture f = setup();
    session_identity_doubt(&f.table, &f.s[0]);
    prove_with(&f, 0, "\x01search_path=a", "0");
    session_identity_doubt(&f.table, &f.s[0]);
    session_identity_discard_all(&f.table, &f.s[0]);
    cr_assert(current(&f, 0)->is_private);
    teardown(&f);
}

Test(identity, proofs_are_rarer_the_more_often_they_were_for_nothing) {
    struct fixture f = setup();
    for (unsigned proof = 0; proof < 9; proof++) {
        unsigned asked = 1;
        while (!session_identity_wants_proof(&f.s[0]))
            asked++;
        cr_assert_eq(asked, proof < 6 ? 1u << proof : 64);
        prove(&f, 0);
        cr_assert_not(session_identity_wants_proof(&f.s[0]));
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
