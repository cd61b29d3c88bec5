// SPDX-License-Identifier: PostgreSQL
//
// A folded statement's replies, taken apart into each member's own answer. And every reply that is not the
// expected one makes the batch fail, and nothing else.
//
// Members and replies are made up, in both forms of folded statements and in all framings; there is no
// session.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/trust/vet.h"
#include "protocol/write.h"
#include "tests/unit/bytes.h"
#include "tests/unit/replies.h"
#include "tests/unit/vetted.h"

#define MAX_MEMBERS 8

struct fixture {
    struct shape_cache shapes;
    struct identity_table identities;
    struct session_identity session;
    struct group_table groups;
    struct group *group;
    struct lookup *lookups[MAX_MEMBERS];
    unsigned n;
    struct batch *batch;
    struct buf sent;
};

static bool alone; // the tables have no children

static void vet(struct group_table *t, struct group *g, enum fold_form form, uint16_t columns) {
    static const uint32_t type = OID_INT4;
    struct vet_result r = {
        .answered = true, .ok = true, .alone = alone, .key_unique = form == FORM_IN, .key_type = type};
    put_vetting(g, &r, 1, &type, columns);
    cr_assert_null(group_vetted(t, g, 1, 1));
    cr_assert_eq(g->form, form);
}

// A group of "SELECT a FROM t WHERE id = $1" with these result formats, vetted for this form.
static void setup_columns(struct fixture *f, enum fold_form form, struct slice formats, uint16_t columns) {
    *f = (struct fixture){.sent = buf_make(10000)};
    enum reason why;
    struct msg_bind m = {.n_result_formats = (uint16_t)(formats.len / 2), .result_formats = formats.data};
    shape_cache_init(&f->shapes, 10, 1000);
    identity_table_init(&f->identities);
    session_identity_init(&f->session, text_slice("server"), BYTES(""));
    group_table_init(&f->groups, 10);
    struct shape *s = shape_extended(&f->shapes, text_slice("SELECT a FROM t WHERE id = $1"), 0, NULL, &why);
    f->group = group_for_extended(&f->groups, &f->identities, s,
                                  session_identity_current(&f->identities, &f->session), &m);
    vet(&f->groups, f->group, form, columns);
}

static void setup(struct fixture *f, enum fold_form form, struct slice formats) {
    setup_columns(f, form, formats, 1);
}

static void teardown(struct fixture *f) {
    batch_destroy(f->batch);
    for (unsigned i = 0; i < f->n; i++)
        free(f->lookups[i]);
    group_table_finish(&f->groups, &f->identities);
    session_identity_finish(&f->identities, &f->session);
    identity_table_finish(&f->identities);
    shape_cache_finish(&f->shapes);
    buf_free(&f->sent);
}

// A waiting lookup: Bind of the named statement "s" and what else its framing has.
static struct lookup *add(struct fixture *f, const char *key) {
    struct buf b = buf_make(1000);
    size_t at = write_begin(&b, F_BIND);
    buf_put_str(&b, "");
    buf_put_str(&b, "s");
    buf_put_u16(&b, 0);
    buf_put_u16(&b, 1);
    buf_put_u32(&b, (uint32_t)strlen(key));
    buf_put_text(&b, key);
    buf_put_u16(&b, 0);
    write_end(&b, at);
    struct lookup *l = calloc(1, sizeof *l + b.len);
    memcpy(l->bytes, b.data, b.len);
    l->len = b.len;
    l->raw[0] = (struct slice){l->bytes + 16, strlen(key)}; // behind the names, formats and counts
    l->has_key = group_read_key(f->group, l->raw, l->keys);
    l->group = f->group;
    l->previous_waiting = f->group->last;
    *(f->group->last ? &f->group->last->next_waiting : &f->group->first) = l;
    f->group->last = l;
    f->group->n_waiting++;
    f->lookups[f->n++] = l;
    buf_free(&b);
    return l;
}

static const struct seal *sealed_by;

static void start_with(struct fixture *f, bool prepared, unsigned n_closes, unsigned max_keys,
                       size_t max_answer) {
    struct batch_prepared p = {.statement = prepared,
                               .stamp = prepared,
                               .seal = sealed_by,
                               .closes = {f->group->statement, {1, 2}},
                               .n_closes = n_closes};
    f->batch = batch_create(f->group, max_keys, max_answer);
    buf_reset(&f->sent);
    batch_write(f->batch, &p, &f->sent);
    cr_assert_not(f->sent.failed);
}

static void start(struct fixture *f) {
    start_with(f, false, 1, 100, 10000);
}

static bool feed_bytes(struct fixture *f, struct buf *b) {
    struct frame fr;
    uint8_t *copy = exact_copy(b->data, b->len);
    cr_assert_eq(frame_read(copy, b->len, &fr), FRAME_OK);
    bool ended = batch_feed(f->batch, &fr);
    free(copy);
    buf_free(b);
    return ended;
}

// T: the description of the added column and n more.
static bool describe(struct fixture *f, const char *added, unsigned n) {
    struct buf b = buf_make(1000);
    size_t at = write_begin(&b, B_ROW_DESCRIPTION);
    buf_put_u16(&b, (uint16_t)(n + 1));
    put_column(&b, added, 16384);
    for (unsigned i = 0; i < n; i++)
        put_column(&b, "a", 16384);
    write_end(&b, at);
    return feed_bytes(f, &b);
}

// The messages of a reply but rows and descriptions, by their types; S is the check's row.
static bool feed(struct fixture *f, const char *types) {
    bool ended = false;
    for (; *types; types++) {
        struct buf b = buf_make(1000);
        if (*types == 'T') {
            ended = describe(f, "id", 1);
            continue;
        }
        if (*types == 'S')
            put_stamp_row(&b, f->group->stamp);
        else
            put_reply(&b, *types);
        ended = feed_bytes(f, &b);
    }
    return ended;
}

static void row(struct fixture *f, const char *tag, const char *value) {
    struct buf b = buf_make(1000);
    const char *values[] = {tag, value};
    put_text_row(&b, values, 2);
    cr_assert_not(feed_bytes(f, &b));
}

// The types of the messages that member i gets, and the values of its rows behind their D.
static const char *answer(struct fixture *f, unsigned i) {
    static char text[500];
    struct buf out = buf_make(10000);
    struct frame fr;
    size_t n = 0;
    batch_answer(f->batch, f->batch->members[i], f->batch->member_key[i], 'I', &out);
    cr_assert_not(out.failed);
    for (size_t at = 0; at < out.len; at += fr.size) {
        cr_assert_eq(frame_read(out.data + at, out.len - at, &fr), FRAME_OK);
        struct slice v;
        text[n++] = (char)fr.type;
        if (fr.type == B_DATA_ROW && msg_row_column(fr.body, fr.body_len, 0, &v))
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", (int)v.len, (const char *)v.data);
        if (fr.type == B_COMMAND_COMPLETE)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", (const char *)fr.body + 7);
    }
    text[n] = 0;
    buf_free(&out);
    return text;
}

// ---- what is sent

Test(batch, sends_what_the_lender_lacks) {
    struct fixture f;
    setup(&f, FORM_IN, BYTES(""));
    add(&f, "1");
    start_with(&f, false, 2, 100, 10000);
    cr_assert_str_eq(types_of(&f.sent), "CCPDBEPBES");
    cr_assert_not(feed(&f, "331tT2C12SC"));
    cr_assert(feed(&f, "Z"));
    cr_assert_not(f.batch->failed);
    batch_destroy(f.batch);
    add(&f, "2");
    start_with(&f, true, 0, 100, 10000);
    cr_assert_str_eq(types_of(&f.sent), "BEBES", "prepared, and the columns are known");
    cr_assert(feed(&f, "2C2SCZ"));
    cr_assert_not(f.batch->failed);
    teardown(&f);
}

// The values of Bind's parameter `param`, and how many there are.
static struct slice bound(const struct buf *sent, unsigned param, unsigned *n) {
    static struct msg_bind m;
    struct frame fr;
    struct slice v = {0};
    size_t at = 0, walk = 0;
    do {
        cr_assert_eq(frame_read(sent->data + at, sent->len - at, &fr), FRAME_OK);
        at += fr.size;
    } while (fr.type != F_BIND);
    cr_assert(msg_bind_read(fr.body, fr.body_len, &m));
    *n = m.n_params;
    for (unsigned i = 0; i <= param; i++)
        cr_assert(msg_bind_next_param(&m, &walk, &v));
    cr_assert_eq(msg_bind_param_format(&m, param), 1);
    return v;
}

static const struct seal seal = {.read = 0x102, .loaded = 0x304, .process = 0x506, .since = 1, .sound = true};

static void setup_sealed(struct fixture *f) {
    alone = true;
    setup(f, FORM_IN, BYTES(""));
    cr_assert(f->group->sealed);
}

Test(batch, without_a_seal_the_check_comes_behind) {
    struct fixture f;
    unsigned n;
    setup_sealed(&f);
    add(&f, "1");
    start_with(&f, false, 0, 100, 10000);
    cr_assert_str_eq(types_of(&f.sent), "PDBEPBES");
    for (unsigned i = 1; i <= SEAL_PARAMS; i++)
        cr_assert_null(bound(&f.sent, i, &n).data);
    cr_assert_eq(n, 1 + SEAL_PARAMS);
    cr_assert(feed(&f, "1tT2C12SCZ"));
    cr_assert_not(f.batch->failed || f.batch->unproved, "no row, and the check has said that it is right");
    cr_assert_eq(f.batch->news.now, 7);
    teardown(&f);
}

Test(batch, under_a_seal_a_row_is_the_proof) {
    struct fixture f;
    unsigned n;
    setup_sealed(&f);
    sealed_by = &seal;
    add(&f, "1");
    add(&f, "2");
    start_with(&f, true, 0, 100, 10000);
    cr_assert_str_eq(types_of(&f.sent), "BES");
    cr_assert(slice_is(bound(&f.sent, 1, &n), "\0\0\0\0\0\0\1\2", 8));
    cr_assert(slice_is(bound(&f.sent, 2, &n), "\0\0\0\0\0\0\3\4", 8));
    cr_assert(slice_is(bound(&f.sent, 3, &n), "\0\0\5\6", 4));
    cr_assert_not(feed(&f, "2"));
    row(&f, "2", "x");
    cr_assert(feed(&f, "CZ"));
    cr_assert_not(f.batch->failed, "%s", f.batch->why);
    cr_assert(f.batch->news.loaded == 0x304 && f.batch->news.process == 0x506);
    teardown(&f);
}

Test(batch, under_a_seal_no_row_is_no_answer) {
    static const char *const replies[] = {"2CZ", "2EZ", "2Z", "2CSZ", "C2SCZ"};
    sealed_by = &seal;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct fixture f;
        setup_sealed(&f);
        add(&f, "1");
        start_with(&f, true, 0, 100, 10000);
        cr_assert(feed(&f, replies[i]));
        cr_assert(f.batch->failed, "%s", replies[i]);
        cr_assert_eq(f.batch->unproved, i == 0, "%s", replies[i]);
        teardown(&f);
    }
}

Test(batch, sends_each_key_once) {
    struct fixture f;
    struct frame fr;
    struct msg_bind m;
    struct slice v;
    size_t walk = 0;
    setup(&f, FORM_IN, BYTES(""));
    add(&f, "7");
    add(&f, "8");
    add(&f, "007");
    start_with(&f, true, 0, 100, 10000);
    cr_assert_eq(f.batch->n_members, 3);
    cr_assert_eq(f.batch->n_keys, 2);
    size_t at = 0;
    do {
        cr_assert_eq(frame_read(f.sent.data + at, f.sent.len - at, &fr), FRAME_OK);
        at += fr.size;
    } while (fr.type != F_BIND);
    cr_assert(msg_bind_read(fr.body, fr.body_len, &m));
    cr_assert_eq(msg_bind_param_format(&m, 0), 1);
    cr_assert(msg_bind_next_param(&m, &walk, &v));
    cr_assert(
        slice_is(v, "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\7\0\0\0\4\0\0\0\x08", 36));
    teardown(&f);
}

Test(batch, takes_no_more_keys_than_it_may) {
    struct fixture f;
    setup(&f, FORM_IN, BYTES(""));
    add(&f, "1");
    add(&f, "2");
    add(&f, "1");
    add(&f, "3");
    start_with(&f, false, 1, 2, 10000);
    cr_assert_eq(f.batch->n_members, 3);
    cr_assert_eq(f.group->n_waiting, 1);
    cr_assert_eq(f.group->first, f.lookups[3]);
    cr_assert_null(f.group->first->previous_waiting);
    teardown(&f);
}

// Two parts: equal only when both are, and an array for each.
Test(batch, a_key_of_two_parts) {
    static const uint32_t types[] = {OID_INT4, 25};
    static const char *const values[][2] = {{"1", "a"}, {"1", "b"}, {"01", "a"}, {"2", "a"}};
    struct vet_result r = {.answered = true, .ok = true};
    struct fixture f;
    enum reason why;
    struct shape_text v;
    struct frame fr;
    struct msg_bind m;
    struct slice array;
    size_t walk = 0, at = 0;
    setup(&f, FORM_LATERAL, BYTES(""));
    struct slice text = text_slice("SELECT a FROM t WHERE id = 1 AND name = 'x'");
    struct shape *s = shape_simple(&f.shapes, text, &v, &why);
    s->keys = 3;
    f.group = group_for_simple(&f.groups, &f.identities, s,
                               session_identity_current(&f.identities, &f.session), text, &v, NULL);
    put_vetting(f.group, &r, 2, types, 1);
    cr_assert_null(group_vetted(&f.groups, f.group, 1, 1));
    for (int i = 0; i < 4; i++) {
        struct lookup *l = add(&f, "1");
        l->simple = true;
        l->raw[0] = text_slice(values[i][0]);
        l->raw[1] = text_slice(values[i][1]);
        cr_assert(group_read_key(f.group, l->raw, l->keys));
    }
    start_with(&f, true, 0, 100, 10000);
    cr_assert(f.batch->n_members == 4 && f.batch->n_keys == 3);
    for (; frame_read(f.sent.data + at, f.sent.len - at, &fr) == FRAME_OK && fr.type != F_BIND; at += fr.size)
        ;
    cr_assert(msg_bind_read(fr.body, fr.body_len, &m));
    cr_assert(msg_bind_param_format(&m, 0) == 1 && msg_bind_param_format(&m, 1) == 0);
    cr_assert(msg_bind_next_param(&m, &walk, &array) && get_u32(array.data + 12) == 3);
    cr_assert(msg_bind_next_param(&m, &walk, &array));
    cr_assert(slice_is(array, "{\"a\",\"b\",\"a\"}", 13));
    teardown(&f);
}

// ---- what comes back

Test(batch, in_form_gives_each_its_row) {
    struct fixture f;
    setup(&f, FORM_IN, BYTES(""));
    static const char *const keys[] = {"1", "2", "3", "1"};
    for (int i = 0; i < 4; i++)
        add(&f, keys[i]);
    start(&f);
    feed(&f, "31tT2");
    row(&f, "3", "three");
    row(&f, "1", "one");
    cr_assert(feed(&f, "C12SCZ"));
    cr_assert_not(f.batch->failed, "%s", f.batch->why);
    cr_assert_str_eq(answer(&f, 0), "2DoneC1Z");
    cr_assert_str_eq(answer(&f, 1), "2C0Z", "no row has its key");
    cr_assert_str_eq(answer(&f, 2), "2DthreeC1Z");
    cr_assert_str_eq(answer(&f, 3), "2DoneC1Z", "the same key twice");
    teardown(&f);
}

Test(batch, lateral_form_keeps_the_order_of_rows) {
    struct fixture f;
    setup(&f, FORM_LATERAL, BYTES(""));
    add(&f, "50");
    add(&f, "60");
    add(&f, "70");
    start(&f);
    feed(&f, "31t");
    describe(&f, "n", 1);
    feed(&f, "2");
    row(&f, "1", "x");
    row(&f, "3", "c");
    row(&f, "1", "a");
    row(&f, "3", "b");
    row(&f, "1", "y");
    cr_assert(feed(&f, "C12SCZ"));
    cr_assert_not(f.batch->failed, "%s", f.batch->why);
    cr_assert_str_eq(answer(&f, 0), "2DxDaDyC3Z");
    cr_assert_str_eq(answer(&f, 1), "2C0Z");
    cr_assert_str_eq(answer(&f, 2), "2DcDbC2Z");
    teardown(&f);
}

Test(batch, each_gets_the_messages_that_it_asked_for) {
    struct fixture f;
    setup(&f, FORM_IN, BYTES(""));
    static const char *const wanted[] = {"2DoneC1Z", "2TDoneC1Z", "12DoneC1Z", "12TDoneC1Z", "TDoneC1Z"};
    for (int i = 0; i < 5; i++) {
        struct lookup *l = add(&f, "1");
        l->has_describe = i == 1 || i == 3;
        l->simple = i == 4;
    }
    start(&f);
    f.lookups[2]->has_parse = f.lookups[3]->has_parse = true;
    feed(&f, "31tT2");
    row(&f, "1", "one");
    cr_assert(feed(&f, "C12SCZ"));
    for (unsigned i = 0; i < 5; i++)
        cr_assert_str_eq(answer(&f, i), wanted[i]);
    teardown(&f);
}

// The description of a portal has the formats of its Bind, and the added column is not in it.
Test(batch, the_description_is_the_members_own) {
    static const struct {
        struct slice formats, wanted; // wanted: the formats of its two columns
    } cases[] = {{LIT(""), LIT("\0\0")}, {LIT("\0\1"), LIT("\1\1")}, {LIT("\0\0\0\1"), LIT("\0\1")}};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        struct buf out = buf_make(1000);
        struct frame fr;
        setup_columns(&f, FORM_LATERAL, cases[i].formats, 2);
        add(&f, "1")->has_describe = true;
        start(&f);
        feed(&f, "31t");
        describe(&f, "n", 2);
        feed(&f, "2C12SCZ");
        cr_assert_not(f.batch->failed, "%s", f.batch->why);
        batch_answer(f.batch, f.batch->members[0], 0, 'I', &out);
        cr_assert_eq(frame_read(out.data + 5, out.len - 5, &fr), FRAME_OK);
        cr_assert_eq(fr.type, B_ROW_DESCRIPTION);
        cr_assert_eq(fr.body_len, 2 + 2 * 20);
        cr_assert_eq(get_u16(fr.body), 2);
        for (size_t column = 0; column < 2; column++)
            cr_assert_eq(fr.body[2 + 20 * (column + 1) - 1], cases[i].wanted.data[column]);
        buf_free(&out);
        teardown(&f);
    }
}

Test(batch, binary_tags_are_read_in_their_width) {
    static const struct {
        enum fold_form form;
        struct slice row;
    } cases[] = {{FORM_IN, LIT("\0\2\0\0\0\4\0\0\0\7\0\0\0\1x")},
                 {FORM_LATERAL, LIT("\0\2\0\0\0\x08\0\0\0\0\0\0\0\2\0\0\0\1x")}};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        struct buf b = buf_make(1000);
        setup(&f, cases[i].form, BYTES("\0\1"));
        add(&f, "6");
        add(&f, "7");
        start(&f);
        feed(&f, "31tT2");
        size_t at = write_begin(&b, B_DATA_ROW);
        buf_put(&b, cases[i].row.data, cases[i].row.len);
        write_end(&b, at);
        feed_bytes(&f, &b);
        cr_assert(feed(&f, "C12SCZ"));
        cr_assert_not(f.batch->failed, "%s", f.batch->why);
        cr_assert_str_eq(answer(&f, 0), "2C0Z");
        cr_assert_str_eq(answer(&f, 1), "2DxC1Z");
        teardown(&f);
    }
}

// ---- what fails

// Any message but the next expected one, and any end before the last.
static const char *const broken[] = {
    "Z",          "3Z",         "31Z",        "31tZ",        "31tTZ",      "31tT2Z",       "1Z",
    "32Z",        "31TZ",       "3121Z",      "E",           "3EZ",        "31EZ",         "31tEZ",
    "31tTEZ",     "31tT2EZ",    "31tT2CEZ",   "31tT2CCZ",    "31tT2sZ",    "31tT2NCZ",     "31tT2CZ",
    "31tT2C12CZ", "31tT2C12SZ", "31tT2C2SCZ", "31tT2C12DCZ", "31tT2C1SCZ", "31tT2C12SECZ", "31tT2C12EZ",
    "N31tT2CZ",   "33tT2CZ",    "31tnCZ",     "31tT2IZ",     "31tTT2CZ",   "31tT2CDZ",     "31tT22CZ",
};

Test(batch, any_other_reply_fails) {
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct fixture f;
        setup(&f, FORM_IN, BYTES(""));
        add(&f, "1");
        start(&f);
        bool ended = feed(&f, broken[i]);
        cr_assert_eq(ended, broken[i][strlen(broken[i]) - 1] == 'Z', "%s", broken[i]);
        cr_assert(f.batch->failed, "%s", broken[i]);
        cr_assert_not_null(f.batch->why);
        teardown(&f);
    }
}

static const struct {
    const char *name;
    enum fold_form form;
    const char *tags[3];
    bool fails;
} tags[] = {
    {"its own keys", FORM_IN, {"1", "2", NULL}, false},
    {"a key that was not asked for", FORM_IN, {"1", "3", NULL}, true},
    {"a unique key twice", FORM_IN, {"1", "1", NULL}, true},
    {"no key", FORM_IN, {"", NULL, NULL}, true},
    {"a key that is no number", FORM_IN, {"x", NULL, NULL}, true},
    {"ordinals", FORM_LATERAL, {"1", "2", "1"}, false},
    {"ordinal 0", FORM_LATERAL, {"0", NULL, NULL}, true},
    {"an ordinal too high", FORM_LATERAL, {"3", NULL, NULL}, true},
    {"an ordinal below zero", FORM_LATERAL, {"-1", NULL, NULL}, true},
    {"a huge ordinal", FORM_LATERAL, {"4294967297", NULL, NULL}, true},
};

Test(batch, a_row_that_belongs_to_nobody_fails) {
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct fixture f;
        setup(&f, tags[i].form, BYTES(""));
        add(&f, "1");
        add(&f, "2");
        start(&f);
        feed(&f, "31tT2");
        for (int at = 0; at < 3 && tags[i].tags[at]; at++)
            row(&f, tags[i].tags[at], "x");
        feed(&f, "C12SCZ");
        cr_assert_eq(f.batch->failed, tags[i].fails, "%s", tags[i].name);
        teardown(&f);
    }
}

static bool row_fails(struct slice body) {
    struct fixture f;
    struct buf b = buf_make(1000);
    setup(&f, FORM_IN, BYTES(""));
    add(&f, "1");
    start(&f);
    feed(&f, "31tT2");
    size_t at = write_begin(&b, B_DATA_ROW);
    buf_put(&b, body.data, body.len);
    write_end(&b, at);
    feed_bytes(&f, &b);
    bool failed = f.batch->failed;
    teardown(&f);
    return failed;
}

Test(batch, a_row_of_another_shape_fails) {
    cr_assert_not(row_fails(BYTES("\0\2\0\0\0\1"
                                  "1\0\0\0\1x")));
    cr_assert(row_fails(BYTES("\0\1\0\0\0\1"
                              "1")),
              "a column less");
    cr_assert(row_fails(BYTES("\0\3\0\0\0\1"
                              "1\0\0\0\1x\0\0\0\1x")),
              "a column more");
    cr_assert(row_fails(BYTES("\0\0")), "no column");
    cr_assert(row_fails(BYTES("\0\2\xff\xff\xff\xff\0\0\0\1x")), "the key is NULL");
    cr_assert(row_fails(BYTES("\0\2\0\0\0\x7f"
                              "1")),
              "a value longer than the row");
    cr_assert(row_fails(BYTES("\0\2\0")), "cut");
    cr_assert(row_fails(BYTES("")), "empty");
}

Test(batch, a_description_of_another_shape_fails) {
    struct fixture f;
    setup(&f, FORM_IN, BYTES(""));
    add(&f, "1");
    start(&f);
    feed(&f, "31t");
    describe(&f, "id", 0); // the added column alone
    cr_assert(f.batch->failed);
    teardown(&f);

    setup(&f, FORM_IN, BYTES(""));
    add(&f, "1");
    start(&f);
    feed(&f, "31t");
    describe(&f, "id", 3); // the original has one
    cr_assert(f.batch->failed);
    teardown(&f);
}

// A lender whose statement has other columns saw other definitions.
Test(batch, columns_must_be_those_seen_before) {
    struct fixture f;
    setup(&f, FORM_IN, BYTES(""));
    add(&f, "1");
    start(&f);
    feed(&f, "31tT2C12SCZ");
    cr_assert_not(f.batch->failed);
    batch_destroy(f.batch);
    add(&f, "1");
    start(&f);
    feed(&f, "31t");
    describe(&f, "id", 2);
    cr_assert(f.batch->failed);
    teardown(&f);
}

// A check that says anything else than the stamp fails the batch, whatever rows came before.
Test(batch, what_was_vetted_must_be_as_it_was) {
    static const struct {
        const char *row[5]; // user, name, pg_class row; when the configuration was read, process
        bool changed, shadowed;
    } cases[] = {
        {{"10", "16384", "7", "0000000000000005", "77"}, false, false},
        {{"10", "16384", "7", "0000000000000006", "78"}, false, false},
        {{"11", "16384", "7", "0000000000000005", "77"}, true, false},
        {{"10", "16385", "7", "0000000000000005", "77"}, true, true},
        {{"10", NULL, "7", "0000000000000005", "77"}, true, true},
        {{"10", "16384", "8", "0000000000000005", "77"}, true, false},
        {{"10", "16385", "8", "0000000000000005", "77"}, true, false},
        {{"10", "16384", NULL, "0000000000000005", "77"}, true, false},
        {{NULL, "16384", "7", "0000000000000005", "77"}, true, false},
        {{"10", "16384", "", "0000000000000005", "77"}, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct buf b = buf_make(1000);
        setup(&f, FORM_IN, BYTES(""));
        add(&f, "1");
        start(&f);
        feed(&f, "31tT2");
        row(&f, "1", "one");
        feed(&f, "C12");
        put_text_row(&b, cases[i].row, 5);
        feed_bytes(&f, &b);
        cr_assert(feed(&f, "CZ"));
        cr_assert_eq(f.batch->failed, cases[i].changed, "case %zu", i);
        cr_assert_eq(f.batch->changed, cases[i].changed, "case %zu", i);
        cr_assert_eq(f.batch->shadowed, cases[i].shadowed, "case %zu", i);
        teardown(&f);
    }
}

Test(batch, an_answer_too_large_fails) {
    struct fixture f;
    setup(&f, FORM_LATERAL, BYTES(""));
    add(&f, "1");
    start_with(&f, false, 1, 100, 64);
    feed(&f, "31tT2");
    row(&f, "1", "0123456789012345678901234567890");
    cr_assert_not(f.batch->failed);
    row(&f, "1", "0123456789012345678901234567890");
    cr_assert(f.batch->failed);
    cr_assert(feed(&f, "C12SCZ"));
    teardown(&f);
}

// ---- what changes meanwhile

static void forget(struct fixture *f) {
    group_forget(f->group);
}

static void refuse(struct fixture *f) {
    group_set_state(f->group, GROUP_REFUSED);
}

static void vet_anew(struct fixture *f) {
    group_forget(f->group);
    vet(&f->groups, f->group, FORM_IN, 1); // the same statement, under the same definitions
}

// Adds keys of so many bytes until no more is taken. Returns how many.
static unsigned fill(struct batch *b, size_t len) {
    char text[200];
    unsigned n = 0;
    for (; n < 1000; n++) {
        snprintf(text, sizeof text, "%0*u", (int)len, n);
        struct key k = {.kind = KEY_RAW, .len = (uint32_t)len, .of.raw = (const uint8_t *)text};
        if (!batch_add_key(b, &k))
            break;
    }
    return n;
}

// What it holds is known before it is sent: its keys take their share of the room, and the answer gets the rest.
Test(batch, keys_loaded_ahead_and_their_answer_fit_into_the_room) {
    static const size_t rooms[] = {4096, 16384, 65536};
    struct fixture f;
    setup(&f, FORM_IN, BYTES(""));
    for (unsigned i = 0; i < 3; i++) {
        for (size_t len = 10; len < 100; len += 80) {
            struct batch *b = batch_create_ahead(f.group, 500, rooms[i]);
            unsigned n = fill(b, len);
            cr_assert(n >= 10 && n < 500, "room %zu, keys of %zu bytes: %u", rooms[i], len, n);
            cr_assert_leq(batch_bytes(b) + b->data.limit, rooms[i] + sizeof *b + 512);
            cr_assert_geq(b->data.limit, rooms[i] / 2);
            batch_destroy(b);
        }
    }
    struct batch *b = batch_create_ahead(f.group, 500, (size_t)1 << 20);
    cr_assert_eq(fill(b, 50), 500, "where there is room all keys are taken");
    batch_destroy(b);
    teardown(&f);
}

Test(batch, a_group_vetted_anew_voids_it) {
    static void (*const changes[])(struct fixture *) = {forget, refuse, vet_anew};
    static const char replies[] = "31tT2CZ";
    for (size_t i = 0; i < 3; i++) {
        for (size_t when = 0; when < sizeof replies - 1; when++) {
            struct fixture f;
            setup(&f, FORM_IN, BYTES(""));
            add(&f, "1");
            start(&f);
            for (size_t at = 0; at < sizeof replies - 1; at++) {
                char type[2] = {replies[at], 0};
                if (at == when)
                    changes[i](&f);
                cr_assert_eq(feed(&f, type), *type == 'Z');
            }
            cr_assert(f.batch->failed, "change %zu before reply %zu", i, when);
            teardown(&f);
        }
    }
}

Test(batch, a_member_that_left_changes_nothing_for_the_others) {
    struct fixture f;
    setup(&f, FORM_IN, BYTES(""));
    add(&f, "1");
    add(&f, "2");
    start(&f);
    f.batch->members[0] = NULL;
    feed(&f, "31tT2");
    row(&f, "1", "one");
    row(&f, "2", "two");
    cr_assert(feed(&f, "C12SCZ"));
    cr_assert_not(f.batch->failed);
    cr_assert_str_eq(answer(&f, 1), "2DtwoC1Z");
    teardown(&f);
}
