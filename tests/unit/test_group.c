// SPDX-License-Identifier: PostgreSQL
//
// Groups: what must be equal for two lookups to be folded together, what vetting makes of a group, and the
// table's bounds.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/group.h"
#include "tests/unit/bytes.h"

struct fixture {
    struct shape_cache shapes;
    struct identity_table identities;
    struct session_identity sessions[2];
    struct group_table groups;
};

static void setup(struct fixture *f, unsigned max) {
    shape_cache_init(&f->shapes, 100, 1000);
    identity_table_init(&f->identities);
    for (int i = 0; i < 2; i++)
        session_identity_init(&f->sessions[i], text_slice("server"), BYTES("user\0alice\0"));
    group_table_init(&f->groups, max);
}

static void teardown(struct fixture *f) {
    group_table_finish(&f->groups, &f->identities);
    for (int i = 0; i < 2; i++)
        session_identity_finish(&f->identities, &f->sessions[i]);
    identity_table_finish(&f->identities);
    shape_cache_finish(&f->shapes);
}

static struct identity *identity_of(struct fixture *f, int i) {
    return session_identity_current(&f->identities, &f->sessions[i]);
}

static struct group *simple(struct fixture *f, int session, const char *text) {
    struct shape_text v;
    enum reason why;
    struct shape *s = shape_simple(&f->shapes, text_slice(text), &v, &why);
    cr_assert(s && s->reason == REASON_NONE, "%s", text);
    return group_for_simple(&f->groups, &f->identities, s, identity_of(f, session), text_slice(text), &v);
}

// The group of a Bind of this body.
static struct group *extended(struct fixture *f, const char *text, struct slice types, struct slice bind) {
    enum reason why;
    struct msg_bind m;
    struct shape *s = shape_extended(&f->shapes, text_slice(text), (unsigned)types.len / 4, types.data, &why);
    cr_assert(s && s->reason == REASON_NONE, "%s", text);
    cr_assert(msg_bind_read(bind.data, bind.len, &m));
    return group_for_extended(&f->groups, &f->identities, s, identity_of(f, 0), &m);
}

// Portal, statement, formats, one text parameter of one byte, result formats.
#define BIND(value, formats) BYTES("\0\0\0\0\0\1\0\0\0\1" value formats)
#define TWO(a, b)            BYTES("\0\0\0\0\0\2\0\0\0\1" a "\0\0\0\1" b "\0\0")

static const char *const one_key = "SELECT a FROM t WHERE id = $1";
static const char *const two_keys = "SELECT a FROM t WHERE id = $1 AND b = $2";

Test(group, keys_differ_and_nothing_else) {
    struct fixture f;
    setup(&f, 100);
    struct group *g = simple(&f, 0, "SELECT a FROM t WHERE id = 5");
    cr_assert_eq(simple(&f, 0, "SELECT a FROM t WHERE id = 6"), g);
    cr_assert_neq(simple(&f, 1, "SELECT a FROM t WHERE id = 6"), g, "another identity");
    cr_assert_neq(simple(&f, 0, "SELECT b FROM t WHERE id = 6"), g, "another shape");
    cr_assert_neq(simple(&f, 0, "SELECT a FROM t WHERE id = '6'"), g, "a string is no integer");
    g = extended(&f, one_key, BYTES(""), BIND("5", "\0\0"));
    cr_assert_eq(extended(&f, one_key, BYTES(""), BIND("6", "\0\0")), g);
    cr_assert_neq(extended(&f, one_key, BYTES(""), BIND("6", "\0\1\0\1")), g, "other result formats");
    cr_assert_neq(extended(&f, one_key, BYTES("\0\0\0\x17"), BIND("6", "\0\0")), g, "another type");
    teardown(&f);
}

Test(group, other_values_are_part_of_it) {
    struct fixture f;
    setup(&f, 100);
    struct group *g = extended(&f, two_keys, BYTES(""), TWO("5", "x"));
    cr_assert_eq(extended(&f, two_keys, BYTES(""), TWO("6", "x")), g);
    cr_assert_neq(extended(&f, two_keys, BYTES(""), TWO("6", "y")), g);
    cr_assert_neq(extended(&f, two_keys, BYTES(""),
                           BYTES("\0\0\0\0\0\2\0\0\0\1"
                                 "5\xff\xff\xff\xff\0\0")),
                  g, "NULL is no value");
    g = simple(&f, 0, "SELECT a FROM t WHERE id = 5 AND b = 'x'");
    cr_assert_eq(simple(&f, 0, "SELECT a FROM t WHERE id = 6 AND b = 'x'"), g);
    cr_assert_neq(simple(&f, 0, "SELECT a FROM t WHERE id = 6 AND b = 'y'"), g);
    teardown(&f);
}

// The bytes of one value and the next are not run together.
Test(group, values_end_where_they_end) {
    struct fixture f;
    setup(&f, 100);
    const char *text = "SELECT a FROM t WHERE id = $1 AND b = $2 AND c = $3";
    struct group *g = extended(&f, text, BYTES(""),
                               BYTES("\0\0\0\0\0\3\0\0\0\1"
                                     "5\0\0\0\2xy\0\0\0\1z\0\0"));
    cr_assert_neq(extended(&f, text, BYTES(""),
                           BYTES("\0\0\0\0\0\3\0\0\0\1"
                                 "5\0\0\0\1x\0\0\0\2yz\0\0")),
                  g);
    teardown(&f);
}

static const struct {
    const char *name;
    uint32_t declared, column; // types
    bool unique, ok, refused_row;
    enum fold_form form;
} vettings[] = {
    {"int4", 0, 23, true, true, false, FORM_IN},
    {"uuid", 0, 2950, true, true, false, FORM_IN},
    {"not unique", 0, 23, false, true, false, FORM_LATERAL},
    {"int8 for an int4", 20, 23, true, true, false, FORM_IN},
    {"a uuid for an int4", 2950, 23, true, false, false, FORM_IN},
    {"text for an int4", 25, 23, true, false, false, FORM_IN},
    {"a text column", 0, 25, true, false, false, FORM_IN},
    {"refused", 0, 23, true, false, true, FORM_IN},
};

Test(group, vetting_decides) {
    for (size_t i = 0; i < sizeof vettings / sizeof *vettings; i++) {
        struct fixture f;
        uint32_t t = vettings[i].declared;
        uint8_t types[4] = {(uint8_t)(t >> 24), (uint8_t)(t >> 16), (uint8_t)(t >> 8), (uint8_t)t};
        struct vet_result r = {.answered = true,
                               .ok = !vettings[i].refused_row,
                               .key_unique = vettings[i].unique,
                               .key_type = vettings[i].column,
                               .refusal = vettings[i].refused_row ? "no" : NULL};
        setup(&f, 100);
        struct group *g = extended(&f, one_key, (struct slice){types, t ? 4 : 0}, BIND("5", "\0\0"));
        const char *refusal = group_vetted(g, &r, 7, 3);
        cr_assert_eq(refusal == NULL, vettings[i].ok, "%s: %s", vettings[i].name, refusal);
        cr_assert_eq(g->state, vettings[i].ok ? GROUP_READY : GROUP_REFUSED, "%s", vettings[i].name);
        cr_assert(g->vetted_at == 7 && g->generation == 3);
        if (vettings[i].ok)
            cr_assert_eq(g->form, vettings[i].form, "%s", vettings[i].name);
        teardown(&f);
    }
}

Test(group, an_unanswered_vetting_refuses) {
    struct fixture f;
    setup(&f, 100);
    struct group *g = simple(&f, 0, "SELECT a FROM t WHERE id = 5");
    struct vet_result r = {0};
    cr_assert_not_null(group_vetted(g, &r, 1, 1));
    cr_assert_eq(g->state, GROUP_REFUSED);
    group_forget(g);
    cr_assert_eq(g->state, GROUP_NEW);
    g->state = GROUP_VETTING;
    group_forget(g);
    cr_assert_eq(g->state, GROUP_VETTING, "its query is on the way");
    teardown(&f);
}

static struct vet_result good(uint32_t type) {
    return (struct vet_result){.answered = true, .ok = true, .key_unique = true, .key_type = type};
}

// A bare integer is no uuid, a string may be one.
Test(group, constants_must_be_of_the_columns_kind) {
    struct fixture f;
    setup(&f, 100);
    struct vet_result uuid = good(2950);
    cr_assert_not_null(group_vetted(simple(&f, 0, "SELECT a FROM t WHERE id = 5"), &uuid, 1, 1));
    cr_assert_null(group_vetted(simple(&f, 0, "SELECT a FROM t WHERE id = '5'"), &uuid, 1, 1));
    teardown(&f);
}

// Groups that differ in result formats share what is prepared; other types do not.
Test(group, equal_statements_have_one_name) {
    struct fixture f;
    struct vet_result r = good(23);
    char a[GROUP_NAME_SIZE], b[GROUP_NAME_SIZE];
    setup(&f, 100);
    struct group *text = extended(&f, one_key, BYTES(""), BIND("5", "\0\0"));
    struct group *binary = extended(&f, one_key, BYTES(""), BIND("5", "\0\1\0\1"));
    struct group *wide = extended(&f, one_key, BYTES("\0\0\0\x14"), BIND("5", "\0\0"));
    cr_assert_null(group_vetted(text, &r, 1, 1));
    cr_assert_null(group_vetted(binary, &r, 1, 1));
    cr_assert_null(group_vetted(wide, &r, 1, 1));
    group_statement_name(text->statement, a);
    group_statement_name(binary->statement, b);
    cr_assert_str_eq(a, b);
    cr_assert_eq(strncmp(a, "pgfold_", 7), 0);
    group_statement_name(wide->statement, b);
    cr_assert_str_neq(a, b);
    teardown(&f);
}

Test(group, the_table_never_holds_more_than_it_may) {
    struct fixture f;
    struct group *busy[4];
    char text[64];
    setup(&f, 4);
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "SELECT c%d FROM t WHERE id = 5", i);
        cr_assert_not_null(simple(&f, 0, text), "the oldest idle one makes room");
        cr_assert_leq(f.groups.n, 4);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "SELECT b%d FROM t WHERE id = 5", i);
        busy[i] = simple(&f, 0, text);
        busy[i]->in_flight++;
    }
    cr_assert_null(simple(&f, 0, "SELECT a FROM t WHERE id = 5"), "all are busy");
    busy[2]->in_flight--;
    cr_assert_not_null(simple(&f, 0, "SELECT a FROM t WHERE id = 5"));
    teardown(&f);
}

Test(group, a_shape_too_long_for_the_scratch_has_none) {
    struct fixture f;
    setup(&f, 4);
    struct buf b = buf_make(1 << 20);
    buf_put(&b,
            "\0\0\0\0\0\2\0\0\0\1"
            "5",
            11);
    buf_put_u32(&b, 1 << 18);
    for (int i = 0; i < 1 << 18; i++)
        buf_put_u8(&b, 'x');
    buf_put_u16(&b, 0);
    cr_assert_null(extended(&f, two_keys, BYTES(""), (struct slice){b.data, b.len}));
    cr_assert_eq(f.groups.n, 0);
    buf_free(&b);
    teardown(&f);
}

#define FIELD(name, type, format)                                                                            \
    name "\0"                                                                                                \
         "\0\0\x40\0"                                                                                        \
         "\0\1"                                                                                              \
         "\0\0\0" type "\0\4"                                                                                \
         "\xff\xff\xff\xff"                                                                                  \
         "\0" format

static XXH128_hash_t hash_of(struct slice s) {
    uint8_t *copy = exact_copy(s.data, s.len);
    XXH128_hash_t h = row_description_hash(copy, s.len);
    free(copy);
    return h;
}

Test(group, descriptions_are_equal_but_for_their_formats) {
    XXH128_hash_t h = hash_of(BYTES("\0\1" FIELD("id", "\x17", "\0")));
    cr_assert(XXH128_isEqual(h, hash_of(BYTES("\0\1" FIELD("id", "\x17", "\1")))));
    cr_assert_not(XXH128_isEqual(h, hash_of(BYTES("\0\1" FIELD("ie", "\x17", "\0")))));
    cr_assert_not(XXH128_isEqual(h, hash_of(BYTES("\0\1" FIELD("id", "\x14", "\0")))));
    cr_assert_not(
        XXH128_isEqual(h, hash_of(BYTES("\0\2" FIELD("id", "\x17", "\0") FIELD("id", "\x17", "\0")))));
    struct slice s = BYTES("\0\2" FIELD("id", "\x17", "\0") FIELD("ie", "\x17", "\0"));
    for (size_t cut = 2; cut < s.len; cut++)
        hash_of((struct slice){s.data, cut}); // reads nothing behind its end
}
