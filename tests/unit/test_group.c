// SPDX-License-Identifier: PostgreSQL
//
// Groups: what must be equal in two lookups that are folded together, what vetting makes of a group, and how
// many are remembered.
//
// Lookups are made from texts and Bind messages; what the catalogue says of them is put in by vetted.h.
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/trust/vet.h"
#include "tests/unit/bytes.h"
#include "tests/unit/vetted.h"

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
    s->keys = s->keys ? s->keys : 1; // the first candidate, unless the test says otherwise
    return group_for_simple(&f->groups, &f->identities, s, identity_of(f, session), text_slice(text), &v,
                            NULL);
}

// The group of a Bind of this body.
static struct group *extended(struct fixture *f, const char *text, struct slice types, struct slice bind) {
    enum reason why;
    struct msg_bind m;
    struct shape *s = shape_extended(&f->shapes, text_slice(text), (unsigned)types.len / 4, types.data, &why);
    cr_assert(s && s->reason == REASON_NONE, "%s", text);
    s->keys = s->keys ? s->keys : 1; // the first candidate, unless the test says otherwise
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

// Vets the group: the key's parameter has this type, the catalogue says so much about its column.
static const char *vet(struct fixture *f, struct group *g, uint32_t type, uint32_t column, bool unique,
                       const char *refusal) {
    struct vet_result r = {
        .answered = true, .ok = !refusal, .key_unique = unique, .key_type = column, .refusal = refusal};
    put_vetting(g, &r, 1, &type, 1);
    return group_vetted(&f->groups, g, 7, 3);
}

static const struct {
    const char *name;
    uint32_t type, column;
    bool unique, ok;
    const char *refusal;
    enum fold_form form;
} vettings[] = {
    {"int4", 23, 23, true, true, NULL, FORM_IN},
    {"uuid", 2950, 2950, true, true, NULL, FORM_IN},
    {"not unique", 23, 23, false, true, NULL, FORM_LATERAL},
    {"int8 for an int4", 20, 23, true, true, NULL, FORM_IN},
    {"an int4 for a uuid", 23, 2950, true, true, NULL, FORM_LATERAL},
    {"numeric for an int4", 1700, 23, true, true, NULL, FORM_LATERAL},
    {"text", 25, 25, true, true, NULL, FORM_LATERAL},
    {"a column that is none", 23, 0, false, true, NULL, FORM_LATERAL},
    {"a type without plain arrays", 603, 603, false, false, NULL, FORM_IN},
    {"an array", 1007, 0, false, false, NULL, FORM_IN},
    {"refused", 23, 23, true, false, "no", FORM_IN},
};

Test(group, result_formats_must_fit_the_columns) {
    static const uint32_t type = 23;
    struct vet_result r = {.answered = true, .ok = true};
    for (uint16_t columns = 1; columns <= 3; columns++) {
        struct fixture f;
        setup(&f, 100);
        struct group *g = extended(&f, one_key, BYTES(""), BIND("5", "\0\2\0\1\0\0"));
        put_vetting(g, &r, 1, &type, columns);
        cr_assert_eq(group_vetted(&f.groups, g, 1, 1) == NULL, columns == 2, "%u columns, two formats",
                     columns);
        teardown(&f);
    }
}

Test(group, vetting_decides) {
    for (size_t i = 0; i < sizeof vettings / sizeof *vettings; i++) {
        struct fixture f;
        setup(&f, 100);
        struct group *g = extended(&f, one_key, BYTES(""), BIND("5", "\0\0"));
        const char *refusal =
            vet(&f, g, vettings[i].type, vettings[i].column, vettings[i].unique, vettings[i].refusal);
        cr_assert_eq(refusal == NULL, vettings[i].ok, "%s: %s", vettings[i].name, refusal);
        cr_assert_eq(g->state, vettings[i].ok ? GROUP_READY : GROUP_REFUSED, "%s", vettings[i].name);
        cr_assert(g->vetted_at == 7 && g->generation == 3);
        cr_assert_null(g->vetting);
        if (vettings[i].ok)
            cr_assert_eq(g->form, vettings[i].form, "%s", vettings[i].name);
        teardown(&f);
    }
}

Test(group, an_unanswered_vetting_refuses) {
    static const uint32_t type = 23;
    struct fixture f;
    setup(&f, 100);
    struct group *g = simple(&f, 0, "SELECT a FROM t WHERE id = 5");
    struct vet_result nothing = {0}, good = {.answered = true, .ok = true};
    put_vetting(g, &nothing, 1, &type, 1);
    cr_assert_not_null(group_vetted(&f.groups, g, 1, 1));
    cr_assert_eq(g->state, GROUP_REFUSED);
    group_forget(g);
    put_vetting(g, &good, 1, &type, 1);
    g->vetting->failed = true;
    cr_assert_not_null(group_vetted(&f.groups, g, 1, 1), "an error came");
    group_forget(g);
    put_vetting(g, &good, 1, &type, 1);
    g->vetting->described = false;
    cr_assert_not_null(group_vetted(&f.groups, g, 1, 1), "the original was not described");
    group_forget(g);
    put_vetting(g, &good, 0, NULL, 1);
    cr_assert_not_null(group_vetted(&f.groups, g, 1, 1), "a parameter is missing");
    group_forget(g);
    put_vetting(g, &good, 1, &type, 1);
    cr_assert_null(group_vetted(&f.groups, g, 1, 1));
    group_forget(g);
    cr_assert_eq(g->state, GROUP_NEW);
    group_set_state(g, GROUP_VETTING);
    group_forget(g);
    cr_assert_eq(g->state, GROUP_VETTING, "its query is on the way");
    teardown(&f);
}

// A type that the catalogue has told of is as good as one of the server's own.
Test(group, types_of_extensions_may_be_keys) {
    static const uint32_t citext = 16500;
    struct vet_result r = {.answered = true, .ok = true, .n_types = 1, .types = {{16500, 16505}}};
    struct fixture f;
    struct buf out = buf_make(10000);
    struct frame fr;
    struct msg_parse m;
    setup(&f, 100);
    struct group *g = extended(&f, one_key, BYTES(""), BIND("5", "\0\0"));
    put_vetting(g, &r, 1, &citext, 1);
    cr_assert_null(group_vetted(&f.groups, g, 1, 1));
    group_write_parse(g, &out);
    cr_assert_eq(frame_read(out.data, out.len, &fr), FRAME_OK);
    cr_assert(msg_parse_read(fr.body, fr.body_len, &m));
    cr_assert_eq(m.n_types, 1);
    cr_assert_eq(get_u32(m.types), 16505, "the array's type is declared");
    buf_free(&out);
    teardown(&f);
}

// The key's parts travel as arrays, in what numbers they have; all others keep the types that the server
// told.
Test(group, every_parameter_is_declared) {
    static const uint32_t types[] = {25, 23, 1700};
    struct vet_result r = {.answered = true, .ok = true};
    struct fixture f;
    setup(&f, 100);
    const char *text = "SELECT a FROM t WHERE a = $1 AND b < $2 AND c = $3";
    enum reason why;
    struct shape *s = shape_extended(&f.shapes, text_slice(text), 0, NULL, &why);
    s->keys = 3;
    struct group *g = extended(&f, text, BYTES(""), BYTES("\0\0\0\0\0\3\0\0\0\1x\0\0\0\1y\0\0\0\1z\0\0"));
    cr_assert_eq(g->n_parts, 2);
    put_vetting(g, &r, 3, types, 1);
    cr_assert_null(group_vetted(&f.groups, g, 1, 1));
    cr_assert(g->params[0] == 1009 && g->params[1] == 23 && g->params[2] == 1231);
    cr_assert(g->parts[0].type == 25 && g->parts[1].type == 1700);
    cr_assert_null(group_part_of(g, 1));
    cr_assert_eq(group_part_of(g, 2), &g->parts[1]);
    teardown(&f);
}

Test(group, key_formats_are_part_of_it) {
    struct fixture f;
    setup(&f, 100);
    struct group *g = extended(&f, one_key, BYTES(""), BIND("5", "\0\0"));
    cr_assert_neq(extended(&f, one_key, BYTES(""), BYTES("\0\0\0\1\0\1\0\1\0\0\0\1x\0\0")), g, "binary");
    teardown(&f);
}

// Two values vary together: one group for all of them.
Test(group, a_set_of_keys) {
    struct fixture f;
    enum reason why;
    setup(&f, 100);
    shape_extended(&f.shapes, text_slice(two_keys), 0, NULL, &why)->keys = 3;
    struct group *g = extended(&f, two_keys, BYTES(""), TWO("5", "x"));
    cr_assert_eq(extended(&f, two_keys, BYTES(""), TWO("6", "y")), g);
    cr_assert(g->n_parts == 2 && g->parts[0].key == 0 && g->parts[1].key == 1);
    shape_extended(&f.shapes, text_slice(two_keys), 0, NULL, &why)->keys = 1;
    cr_assert_neq(extended(&f, two_keys, BYTES(""), TWO("6", "y")), g, "another set");
    teardown(&f);
}

// float4col = 1.1 compares as float8: a constant keeps the type that the server gives it.
Test(group, constants_have_types_of_their_own) {
    struct fixture f;
    setup(&f, 100);
    struct group *small = simple(&f, 0, "SELECT a FROM t WHERE id = 5");
    struct group *large = simple(&f, 0, "SELECT a FROM t WHERE id = 2147483648");
    struct group *text = simple(&f, 0, "SELECT a FROM t WHERE id = '5'");
    cr_assert_eq(simple(&f, 0, "SELECT a FROM t WHERE id = 2147483647"), small);
    cr_assert_eq(simple(&f, 0, "SELECT a FROM t WHERE id = -2147483648"), small);
    cr_assert_eq(simple(&f, 0, "SELECT a FROM t WHERE id = -2147483649"), large);
    cr_assert(small->parts[0].declared == 23 && large->parts[0].declared == 20);
    cr_assert(text->parts[0].declared == 0 && text->parts[0].quoted);
    teardown(&f);
}

// ---- reading keys

static const struct {
    uint32_t type;
    const char *text; // the statement, with its constant
    const char *value;
    int kind; // -1: runs alone
} keys_read[] = {
    {23, "SELECT a FROM t WHERE id = 5", "5", KEY_PLAIN},
    {23, "SELECT a FROM t WHERE id = 5", "99999999999999999999", -1},
    {23, "SELECT a FROM t WHERE id = '5'", "5", KEY_PLAIN},
    {23, "SELECT a FROM t WHERE id = '5'", " 5", -1},
    {25, "SELECT a FROM t WHERE id = '5'", "it''s", KEY_DOUBLED},
    {1700, "SELECT a FROM t WHERE id = '5'", "1.0", KEY_DOUBLED},
};

Test(group, reads_keys_by_their_type) {
    for (size_t i = 0; i < sizeof keys_read / sizeof *keys_read; i++) {
        struct fixture f;
        struct key k[KEY_MAX_PARTS];
        setup(&f, 100);
        struct group *g = simple(&f, 0, keys_read[i].text);
        cr_assert_null(vet(&f, g, keys_read[i].type, 0, false, NULL));
        struct slice raw[KEY_MAX_PARTS] = {text_slice(keys_read[i].value)};
        bool ok = group_read_key(g, raw, k);
        cr_assert_eq(ok, keys_read[i].kind >= 0, "%s", keys_read[i].value);
        if (ok)
            cr_assert_eq(k[0].kind, keys_read[i].kind, "%s", keys_read[i].value);
        teardown(&f);
    }
}

// The messages that ask: what bounds the wait, settings, the stamp and the catalogue query run, the original is only described,
// with the types that its constants have. The end takes the bound back.
#define RUN "CPBEC"
Test(group, vetting_asks_in_one_unit) {
    static const char wanted[] = RUN RUN RUN RUN "CPDC" RUN RUN RUN "CS";
    struct fixture f;
    struct buf out = buf_make(100000);
    struct frame fr;
    struct msg_parse m = {0};
    setup(&f, 100);
    struct group *g = simple(&f, 0, "SELECT a FROM t WHERE id = 5 AND b = 'x' LIMIT 3");
    cr_assert(group_write_vet(g, true, 300, &out));
    cr_assert_not_null(g->vetting);
    size_t at = 0, n = 0;
    for (; at < out.len; at += fr.size, n++) {
        cr_assert_eq(frame_read(out.data + at, out.len - at, &fr), FRAME_OK);
        cr_assert_eq((char)fr.type, wanted[n]);
        if (fr.type == F_PARSE && n < 24)
            cr_assert(msg_parse_read(fr.body, fr.body_len, &m));
        cr_assert(n != 1 || slice_is(m.text, "SET lock_timeout = 300", 22));
    }
    cr_assert_eq(wanted[n], 0);
    cr_assert_eq(m.n_types, 1);
    cr_assert_eq(get_u32(m.types), g->parts[0].declared);
    cr_assert_not_null(memmem(m.text.data, m.text.len, "$1", 2));
    buf_free(&out);
    teardown(&f);
}

// ---- what one group has found serves another

static const struct {
    const char *first, *second;
    bool inherits;
} related[] = {
    {"SELECT a FROM t WHERE id = 5 AND b = 'x'", "SELECT a FROM t WHERE id = 5 AND b = 'y'", true},
    {"SELECT a FROM t WHERE id = 5 AND b < 1", "SELECT a FROM t WHERE id = 5 AND b < 2", true},
    {"SELECT a FROM t WHERE id = 5 AND b < 1", "SELECT a FROM t WHERE id = 5 AND b < 3000000000", false},
    {"SELECT a FROM t WHERE id = 5 AND b < 1", "SELECT a FROM t WHERE id = 5 AND b < '1'", false},
    {"SELECT a FROM t WHERE id = 5 AND b < 1", "SELECT a FROM t WHERE id = '5' AND b < 1", false},
    {"SELECT a FROM t WHERE id = 5 AND b < 1", "SELECT a FROM t WHERE id = 5 AND b > 1", false},
};

Test(group, findings_serve_other_values) {
    for (size_t i = 0; i < sizeof related / sizeof *related; i++) {
        struct fixture f;
        setup(&f, 100);
        struct group *g = simple(&f, 0, related[i].first), *other = simple(&f, 0, related[i].second);
        cr_assert_neq(g, other);
        cr_assert_null(vet(&f, g, 23, 23, true, NULL));
        group_inherit(&f.groups, other, 7, 3);
        cr_assert_eq(other->state, related[i].inherits ? GROUP_READY : GROUP_NEW, "%s", related[i].second);
        if (related[i].inherits)
            cr_assert(other->vetted_at == 7 && XXH128_isEqual(other->row_hash, g->row_hash) &&
                      !XXH128_isEqual(other->statement, g->statement));
        struct group *stranger = simple(&f, 1, related[i].second);
        group_inherit(&f.groups, stranger, 7, 3);
        cr_assert_eq(stranger->state, GROUP_NEW, "another identity");
        identity_of(&f, 1)->base = identity_of(&f, 0)->base;
        group_inherit(&f.groups, stranger, 7, 3);
        cr_assert_eq(stranger->state, other->state, "one that differs in custom settings alone");
        cr_assert_neq(stranger, other, "whose rows are its own all the same");
        teardown(&f);
    }
}

Test(group, findings_end_with_age_and_definitions) {
    struct fixture f;
    setup(&f, 100);
    const char *text = "SELECT a FROM t WHERE id = 5 AND b = 'y'";
    struct group *g = simple(&f, 0, "SELECT a FROM t WHERE id = 5 AND b = 'x'"), *other = simple(&f, 0, text);
    cr_assert_null(vet(&f, g, 23, 23, true, NULL));
    group_inherit(&f.groups, other, 8, 3);
    cr_assert_eq(other->state, GROUP_NEW, "too old");
    group_inherit(&f.groups, other, 7, 4);
    cr_assert_eq(other->state, GROUP_NEW, "other definitions");
    group_inherit(&f.groups, other, 7, 3);
    cr_assert_eq(other->state, GROUP_READY);
    group_forget(other);
    group_inherit(&f.groups, other, 7, 3);
    cr_assert_eq(other->state, GROUP_NEW, "it has found out otherwise");
    other->aged = true;
    group_inherit(&f.groups, other, 7, 3);
    cr_assert(other->state == GROUP_READY && !other->aged, "it was too old only");
    teardown(&f);
}

// A refusal serves, too; a statement that could not be prepared may have failed for its own values.
Test(group, failures_serve_nobody_else) {
    for (int failed = 0; failed <= 1; failed++) {
        static const uint32_t type = 23;
        struct vet_result r = {.answered = true, .ok = false, .refusal = "no"};
        struct fixture f;
        setup(&f, 100);
        struct group *g = simple(&f, 0, "SELECT a FROM t WHERE id = 5 AND b = 'x'");
        struct group *other = simple(&f, 0, "SELECT a FROM t WHERE id = 5 AND b = 'y'");
        put_vetting(g, &r, 1, &type, 1);
        g->vetting->failed = failed;
        cr_assert_not_null(group_vetted(&f.groups, g, 1, 1));
        group_inherit(&f.groups, other, 0, 1);
        cr_assert_eq(other->state, failed ? GROUP_NEW : GROUP_REFUSED);
        teardown(&f);
    }
}

Test(group, findings_are_bounded) {
    struct fixture f;
    setup(&f, 4);
    for (int i = 0; i < 40; i++) {
        char text[80];
        snprintf(text, sizeof text, "SELECT a%d FROM t WHERE id = 5", i);
        cr_assert_null(vet(&f, simple(&f, 0, text), 23, 23, true, NULL));
        cr_assert_leq(f.groups.findings.n, 4);
    }
    teardown(&f);
}

static struct group *read_group(struct fixture *f, int session, const char *text) {
    struct shape_text v;
    enum reason why;
    struct shape *s = shape_simple(&f->shapes, text_slice(text), &v, &why);
    cr_assert(s, "%s", text);
    return group_for_read(&f->groups, &f->identities, s, identity_of(f, session));
}

static const struct {
    const char *first, *second;
    bool inherits;
} reads[] = {
    {"SELECT id, 1 AS x1 FROM k", "SELECT id, 1 AS x2 FROM k", true},
    {"SELECT id FROM k AS a1 WHERE a1.id = 5", "SELECT id FROM k AS a2 WHERE a2.id = 6", true},
    {"SELECT id AS x1 FROM k ORDER BY x1", "SELECT g AS x2 FROM k ORDER BY x2", true},
    {"SELECT id FROM k ORDER BY 1 + g", "SELECT id FROM k ORDER BY 2.5 + g LIMIT 3", true},
    {"SELECT id FROM k WHERE g IS NULL", "SELECT g, 'a', 'b' FROM k WHERE id IS NULL", true},
    {"SELECT id FROM k", "SELECT id FROM l", false},
    {"SELECT id FROM k", "SELECT id FROM s.k", false},
    {"SELECT id FROM k", "SELECT max(id) FROM k", false},
    {"SELECT f(id) FROM k", "SELECT g(id) FROM k", false},
    {"SELECT id + 1 FROM k", "SELECT id - 1 FROM k", false},
    {"SELECT k.f FROM k", "SELECT k.g FROM k", false},
    {"SELECT (k).f FROM k", "SELECT (k).g FROM k", false},
    {"SELECT f FROM k", "SELECT f, (k).f FROM k", false},
    {"SELECT f FROM k", "SELECT (k).f, f FROM k", false},
    {"SELECT k.f AS f FROM k ORDER BY f", "SELECT f AS f FROM k ORDER BY f", false},
};

// That a read is plain serves all texts about which the same is asked, as long as it serves the read itself,
// and no other identity. A refusal serves nobody else: what was refused may have been mended.
Test(group, verdicts_about_reads_serve_other_texts) {
    for (size_t i = 0; i < 2 * sizeof reads / sizeof *reads; i++) {
        bool plain = i % 2;
        const char *second = reads[i / 2].second;
        struct fixture f;
        setup(&f, 100);
        struct group *g = read_group(&f, 0, reads[i / 2].first), *other = read_group(&f, 0, second);
        cr_assert_neq(g, other);
        g->shape->wide = g->asked_wide = other->shape->wide = true;
        group_read_vetted(&f.groups, g, plain, true, 7, 3);
        cr_assert_eq(g->state, plain ? GROUP_READY : GROUP_REFUSED);
        group_inherit(&f.groups, other, 8, 3);
        cr_assert_eq(other->state, GROUP_NEW, "too old");
        group_inherit(&f.groups, other, 7, 4);
        cr_assert_eq(other->state, GROUP_NEW, "other definitions");
        group_inherit(&f.groups, other, 7, 3);
        bool inherits = reads[i / 2].inherits && plain;
        cr_assert_eq(other->state, inherits ? GROUP_READY : GROUP_NEW, "%s", second);
        cr_assert(!inherits || (other->vetted_at == 7 && other->generation == 3));
        struct group *stranger = read_group(&f, 1, second);
        group_inherit(&f.groups, stranger, 7, 3);
        cr_assert_eq(stranger->state, GROUP_NEW, "another identity");
        cr_assert_eq(f.groups.findings.n, 1);
        teardown(&f);
    }
}

Test(group, reads_inherit_what_was_answered_last) {
    struct fixture f;
    setup(&f, 4);
    struct group *g = read_group(&f, 0, "SELECT id AS a FROM k"),
                 *other = read_group(&f, 0, "SELECT id AS b FROM k");
    group_read_vetted(&f.groups, g, false, false, 7, 3);
    cr_assert_eq(g->state, GROUP_REFUSED, "the question failed");
    group_inherit(&f.groups, other, 0, 3);
    cr_assert_eq(other->state, GROUP_NEW);
    group_forget(g);
    group_read_vetted(&f.groups, g, true, true, 8, 3);
    group_inherit(&f.groups, other, 0, 3);
    cr_assert_eq(other->state, GROUP_READY);
    group_forget(g);
    group_read_vetted(&f.groups, g, false, true, 9, 3);
    cr_assert(g->state == GROUP_NEW && g->shape->wide, "it is asked about once more, for what is below it");
    group_forget(other);
    group_inherit(&f.groups, other, 1, 3);
    cr_assert_eq(other->state, GROUP_NEW);
    for (int i = 0; i < 40; i++) {
        char text[80];
        snprintf(text, sizeof text, "SELECT id FROM k%d", i);
        group_read_vetted(&f.groups, read_group(&f, 0, text), true, true, 9, 3);
        cr_assert_leq(f.groups.findings.n, 4);
    }
    teardown(&f);
}

static void feed(struct vetting *v, char type, struct slice body) {
    uint8_t *copy = exact_copy(body.data, body.len);
    struct frame fr = {.type = (uint8_t)type, .body = copy, .body_len = (uint32_t)body.len};
    vetting_feed(v, &fr);
    free(copy);
}

#define DESCRIPTION                                                                                          \
    "\0\1"                                                                                                   \
    "a\0"                                                                                                    \
    "\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"

Test(group, vetting_takes_what_the_server_says) {
    struct vetting *v = vetting_create();
    feed(v, B_PARSE_COMPLETE, BYTES(""));
    feed(v, B_PARAMETER_DESCRIPTION, BYTES("\0\2\0\0\0\x17\0\0\0\x19"));
    feed(v, B_ROW_DESCRIPTION, BYTES(DESCRIPTION));
    cr_assert(!v->failed && v->described && v->n_params == 2 && v->params[1] == 25);
    cr_assert_eq(v->row_description.len, sizeof DESCRIPTION - 1);
    vetting_destroy(v);
    static const struct {
        char type;
        struct slice body;
    } bad[] = {{B_ERROR, LIT("")},
               {B_NO_DATA, LIT("")},
               {B_PARAMETER_DESCRIPTION, LIT("\0\2\0\0\0\x17")},
               {B_PARAMETER_DESCRIPTION, LIT("\0")},
               {B_PARAMETER_DESCRIPTION, LIT("\0\x21")},
               {B_ROW_DESCRIPTION, LIT("\0\1")},
               {B_ROW_DESCRIPTION, LIT("")}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        v = vetting_create();
        feed(v, bad[i].type, bad[i].body);
        cr_assert(v->failed, "%zu", i);
        vetting_destroy(v);
    }
    vetting_destroy(NULL);
}

// The server reads a number as the first of these types that holds it, a string as what it is compared with.
Test(group, constants_have_the_types_that_the_server_gives_them) {
    static const struct {
        const char *text;
        uint32_t type;
    } constants[] = {{"5", 23},
                     {"-2147483648", 23},
                     {"2147483648", 20},
                     {"9223372036854775807", 20},
                     {"9223372036854775808", 1700},
                     {"1.5", 1700},
                     {"1e3", 1700},
                     {"'5'", 0}};
    struct fixture f;
    char text[100];
    setup(&f, 100);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        snprintf(text, sizeof text, "SELECT a FROM t WHERE id = %s", constants[i].text);
        cr_expect_eq(simple(&f, 0, text)->parts[0].declared, constants[i].type, "%s", text);
    }
    teardown(&f);
}

// What 'now' means depends on the transaction that reads it.
Test(group, values_that_may_mean_the_time_are_told) {
    struct fixture f;
    setup(&f, 100);
    cr_expect(simple(&f, 0, "SELECT a FROM t WHERE id = 5 AND b <> 'now'")->moving);
    cr_expect_not(simple(&f, 0, "SELECT a FROM t WHERE id = 5 AND b <> 'known'")->moving);
    const char *text = "SELECT a FROM t WHERE id = $1 AND b <> $2";
    cr_expect(extended(&f, text, BYTES(""),
                       BYTES("\0\0\0\0\0\2\0\0\0\1"
                             "5\0\0\0\3now\0\0"))
                  ->moving);
    cr_expect_not(extended(&f, text, BYTES(""),
                           BYTES("\0\0\0\1\0\1\0\2\0\0\0\1"
                                 "5\0\0\0\3now\0\0"))
                      ->moving,
                  "binary");
    teardown(&f);
}

// Groups that differ in result formats share what is prepared; other types do not.
Test(group, equal_statements_have_one_name) {
    struct fixture f;
    char a[GROUP_NAME_SIZE], b[GROUP_NAME_SIZE];
    setup(&f, 100);
    struct group *text = extended(&f, one_key, BYTES(""), BIND("5", "\0\0"));
    struct group *binary = extended(&f, one_key, BYTES(""), BIND("5", "\0\1\0\1"));
    struct group *wide = extended(&f, one_key, BYTES("\0\0\0\x14"), BIND("5", "\0\0"));
    cr_assert_null(vet(&f, text, 23, 23, true, NULL));
    cr_assert_null(vet(&f, binary, 23, 23, true, NULL));
    cr_assert_null(vet(&f, wide, 20, 23, true, NULL));
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
        group_pin(busy[i]);
    }
    cr_assert_null(simple(&f, 0, "SELECT a FROM t WHERE id = 5"), "all are busy");
    group_unpin(busy[2]);
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

// A group that changes as no group does is a fault of ours: nothing may be folded by it.
Test(group, a_move_that_is_not_in_the_table_ends_the_process, .signal = SIGABRT) {
    struct fixture f;
    setup(&f, 4);
    struct group *g = simple(&f, 0, "SELECT a FROM t WHERE id = 5");
    group_set_state(g, GROUP_REFUSED);
    group_set_state(g, GROUP_READY);
    teardown(&f);
}
