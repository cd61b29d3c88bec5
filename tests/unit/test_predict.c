// SPDX-License-Identifier: PostgreSQL
//
// From one lookup's key to the keys that come next: which list it is in, what follows, and how many are
// loaded. Lists are recorded row by row; what is predicted is read as "3 4 5".
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "batching/ahead/gather.h"
#include "batching/ahead/pace.h"
#include "batching/ahead/predict.h"
#include "batching/ahead/reach.h"
#include "batching/ahead/recorder.h"
#include "batching/ahead/values.h"
#include "batching/statement/shape.h"
#include "batching/ahead/ahead.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/trust/vet.h"
#include "tests/unit/bytes.h"
#include "tests/unit/replies.h"
#include "tests/unit/vetted.h"

enum {
    OID_BYTEA = 17,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_DATE = 1082,
    OID_TIMESTAMPTZ = 1184,
    OID_CITEXT = 16400, // a type of an extension, and an enum
    OID_MOOD = 16401
};

struct fixture {
    struct shape_cache shapes;
    struct identity_table identities;
    struct session_identity session;
    struct group_table groups;
    struct group *group;
    struct trail trail;
    uint64_t now, shape; // shape: of the lookups whose answers are recorded
    uint16_t family;
};

// A READY group of the statement, all of whose candidates vary, with parameters of this type. The catalogue
// says, when `linked`, that column 1 of table 1000 supplies its first key.
static void setup(struct fixture *f, const char *text, uint32_t type, bool linked) {
    enum reason why;
    struct msg_bind m = {0};
    struct vet_result r = {.answered = true, .ok = true, .writers = {.all = true}};
    *f = (struct fixture){.now = 1000};
    shape_cache_init(&f->shapes, 10, 1000);
    identity_table_init(&f->identities);
    session_identity_init(&f->session, text_slice("server"), BYTES(""));
    group_table_init(&f->groups, 10);
    struct shape *s = shape_extended(&f->shapes, text_slice(text), 0, NULL, &why);
    uint32_t types[4] = {type, type, type, type};
    for (int i = 0; i < 8; i++) {
        for (int key = 0; key < s->parsed->n_keys; key++)
            shape_watch(s, key, (struct slice){(const uint8_t *)"12345678" + i, 1});
        (void)shape_keys(s);
    }
    f->group = group_for_extended(&f->groups, &f->identities, s,
                                  session_identity_current(&f->identities, &f->session), &m);
    cr_assert_eq(f->group->n_parts, (unsigned)s->parsed->n_keys);
    if (type >= OID_CITEXT) {
        r.types[0] = (struct vet_type){type, type + 100};
        r.n_types = 1;
    }
    if (linked) {
        r.links = malloc(sizeof *r.links);
        *r.links = (struct vet_link){0, LINK_OWN, 1, 1000};
        r.n_links = 1;
    }
    put_vetting(f->group, &r, (unsigned)s->parsed->n_keys, types, 1);
    cr_assert_null(group_vetted(&f->groups, f->group, 1, 1));
    trail_init(&f->trail, 100000);
}

static void teardown(struct fixture *f) {
    trail_clear(&f->trail);
    group_table_finish(&f->groups, &f->identities);
    session_identity_finish(&f->identities, &f->session);
    identity_table_finish(&f->identities);
    shape_cache_finish(&f->shapes);
}

static const char one[] = "SELECT a FROM t WHERE id = $1", two[] = "SELECT a FROM t WHERE b = $1 AND c = $2";

// A result of two columns of this table, of this type.
static void begin(struct fixture *f, uint32_t table, uint32_t type) {
    struct trail_columns c = {.source = table, .shape = f->shape, .n_row = 2, .n = 2};
    for (uint16_t i = 0; i < 2; i++)
        c.columns[i] = (struct trail_column){.at = i,
                                             .attribute = (uint16_t)(i + 1),
                                             .table = table,
                                             .type = type,
                                             .kind = (uint8_t)trail_kind_of(type)};
    trail_begin(&f->trail, &c);
}

static void row(struct fixture *f, const char *first, const char *second) {
    struct buf b = buf_make(1000);
    const char *values[] = {first, second};
    put_text_row(&b, values, 2);
    trail_row(&f->trail, b.data + 5, b.len - 5);
    buf_free(&b);
}

// Ids from `first` on, and their hundredfold.
static void record(struct fixture *f, uint32_t table, int first, int n) {
    begin(f, table, OID_INT8);
    for (int i = first; i < first + n; i++) {
        char id[16], other[16];
        snprintf(id, sizeof id, "%d", i);
        snprintf(other, sizeof other, "%d", 100 * i);
        row(f, id, other);
    }
    trail_end(&f->trail);
}

static struct key integer(long v) {
    char text[32];
    struct key k;
    snprintf(text, sizeof text, "%ld", v);
    cr_assert(key_read(OID_INT8, 0, text_slice(text), &k));
    return k;
}

static bool nothing_held(void *arg, const struct trail_result *list, const struct key *keys, unsigned turns) {
    (void)arg;
    (void)turns;
    (void)list;
    (void)keys;
    return false;
}

static void put_key(char *text, size_t room, const struct key *k) {
    size_t n = strlen(text);
    if (k->kind == KEY_PLAIN)
        snprintf(text + n, room - n, "%ld", (long)get_u64(k->of.bytes));
    else if (k->kind != KEY_NULL)
        snprintf(text + n, room - n, "%.*s", (int)k->len, (const char *)k->of.raw);
}

// The keys that come behind this one, at most `max`: "3 4 5", of several parts "3/300 …"; "-": it is not
// known from where it comes.
static const char *behind_keys(struct fixture *f, const struct key *keys, unsigned max) {
    static char text[400];
    struct guess guess = {0};
    f->now += 100;
    text[0] = 0;
    if (!predict_locate(&f->trail, f->group, keys, &guess) || !predict_follow(f->group, &guess))
        return "-";
    association_asked(guess.association, f->now, 1, 0);
    struct batch *b = batch_create_ahead(f->group, max, 10000);
    predict_gather(&guess, f->group, keys, b, nothing_held, NULL, NULL);
    for (uint32_t i = 0; i < b->n_keys; i++) {
        for (uint32_t part = 0; part < b->n_parts; part++) {
            size_t n = strlen(text);
            snprintf(text + n, sizeof text - n, "%s", part ? "/" : i ? " " : "");
            put_key(text, sizeof text, &b->keys[i * b->n_parts + part]);
        }
    }
    batch_destroy(b);
    return text;
}

static const char *behind(struct fixture *f, long key, unsigned max) {
    struct key k = integer(key);
    return behind_keys(f, &k, max);
}

// ---- what is followed

Test(predict, a_linked_column_is_followed_at_once) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record(&f, 1000, 1, 6);
    expect_text(behind(&f, 2, 10), "3 4 5 6");
    cr_assert(f.group->shape->associations[0].linked);
    expect_text(behind(&f, 99, 10), "-");
    teardown(&f);
}

// Each lookup by it answers with the value that it asked for: the other values are those of other lookups.
Test(predict, its_own_column_with_one_value_supplies_nothing) {
    struct fixture f;
    setup(&f, one, OID_INT8, true);
    for (int id = 1; id <= 3; id++) {
        char text[8];
        snprintf(text, sizeof text, "%d", id);
        begin(&f, 1000, OID_INT8);
        row(&f, text, "100");
        row(&f, text, "200");
        trail_end(&f.trail);
    }
    expect_text(behind(&f, 1, 10), "-");
    record(&f, 1000, 1, 3);
    expect_text(behind(&f, 1, 10), "2 3");
    teardown(&f);
}

Test(predict, another_column_is_learnt_by_the_second_lookup) {
    struct fixture f;
    setup(&f, one, OID_INT4, false);
    record(&f, 1000, 1, 6);
    expect_text(behind(&f, 200, 10), "-");
    expect_text(behind(&f, 200, 10), "-"); // the same row is no second one
    expect_text(behind(&f, 300, 10), "400 500 600");
    record(&f, 1000, 11, 3);
    expect_text(behind(&f, 1100, 2), "1200 1300"); // once learnt, the first one suffices
    teardown(&f);
}

Test(predict, a_link_outweighs_chance) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record(&f, 2000, 1, 4); // later, of a table that nothing links
    record(&f, 1000, 1, 4);
    record(&f, 2000, 3, 9);
    expect_text(behind(&f, 3, 10), "4");
    teardown(&f);
}

// Ids of two tables are the same numbers: each step through the linked list is one through the other, too.
Test(predict, steps_that_are_chance_do_not_outweigh_the_next_linked_list) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record(&f, 2000, 1, 40); // nothing links its table
    record(&f, 1000, 1, 10);
    for (int i = 1; i <= 10; i++)
        (void)behind(&f, i, 20);
    record(&f, 1000, 11, 4);
    expect_text(behind(&f, 11, 20), "12 13 14");
    teardown(&f);
}

Test(predict, a_loop_that_goes_backwards) {
    struct fixture f;
    setup(&f, one, OID_INT4, false);
    record(&f, 1000, 1, 6);
    expect_text(behind(&f, 6, 10), "-");
    expect_text(behind(&f, 5, 10), "4 3 2 1");
    teardown(&f);
}

Test(predict, what_was_asked_for_does_not_come_again) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record(&f, 1000, 1, 6);
    expect_text(behind(&f, 3, 10), "4 5 6");
    expect_text(behind(&f, 5, 10), "6");
    expect_text(behind(&f, 4, 10), "2 1"); // backwards, past 3
    teardown(&f);
}

Test(predict, the_second_part_comes_from_the_same_row_or_stays) {
    struct fixture f;
    setup(&f, two, OID_INT4, true);
    record(&f, 1000, 1, 4);
    struct key same_row[] = {integer(2), integer(200)}, constant[] = {integer(2), integer(7)};
    expect_text(behind_keys(&f, same_row, 10), "3/300 4/400");
    teardown(&f);
    setup(&f, two, OID_INT4, true);
    record(&f, 1000, 1, 4);
    expect_text(behind_keys(&f, constant, 10), "3/7 4/7");
    teardown(&f);
}

// The rows of a composite key, of which one column has few values: (1, 11), (2, 12), (1, 13) …
static void record_pairs(struct fixture *f, uint32_t table, int n) {
    begin(f, table, OID_INT8);
    for (int i = 0; i < n; i++) {
        char group[16], no[16];
        snprintf(group, sizeof group, "%d", i % 2 + 1);
        snprintf(no, sizeof no, "%d", 11 + i);
        row(f, group, no);
    }
    trail_end(&f->trail);
}

Test(predict, rows_with_an_equal_first_part_are_others) {
    static const int sizes[] = {6, 60};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        setup(&f, two, OID_INT4, true);
        record_pairs(&f, 1000, sizes[i]);
        struct key first[] = {integer(1), integer(11)}, third[] = {integer(1), integer(13)};
        expect_text(behind_keys(&f, first, 3), "2/12 1/13 2/14");
        expect_text(behind_keys(&f, third, 3), "2/14 1/15 2/16");
        teardown(&f);
    }
}

// 2 stands in both columns: alone in one of them, and beside another in the next row.
Test(predict, only_rows_with_all_parts_count) {
    struct fixture f;
    setup(&f, two, OID_INT4, true);
    begin(&f, 1000, OID_INT8);
    row(&f, "2", "1");
    row(&f, "3", "2");
    row(&f, "4", "3");
    trail_end(&f.trail);
    struct key first[] = {integer(2), integer(1)}, second[] = {integer(3), integer(2)};
    expect_text(behind_keys(&f, first, 10), "3/2 4/3");
    expect_text(behind_keys(&f, second, 10), "4/3");
    teardown(&f);
}

Test(predict, equal_values_come_from_one_column) {
    struct fixture f;
    setup(&f, two, OID_INT4, true);
    begin(&f, 1000, OID_INT8);
    row(&f, "2", "2");
    row(&f, "3", "30");
    row(&f, "4", "40");
    trail_end(&f.trail);
    struct key twice[] = {integer(2), integer(2)}, others[] = {integer(3), integer(30)};
    expect_text(behind_keys(&f, twice, 10), "3/3 4/4");
    expect_text(behind_keys(&f, others, 10), "4/40");
    teardown(&f);
}

// ---- kinds of rows

// Ids of two kinds in a row, from `first` on: of three one after the other the last is of kind 2.
static void record_kinds(struct fixture *f, int first, int n) {
    begin(f, 1000, OID_INT8);
    for (int i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", first + i);
        row(f, id, i % 3 == 2 ? "2" : "1");
    }
    trail_end(&f->trail);
}

// The loop for one kind passes over the rows of the other. What it has passed over tells the column.
Test(predict, rows_of_another_kind_are_passed_over) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record_kinds(&f, 10, 12);
    expect_text(behind(&f, 10, 4), "11 12 13 14"); // nothing tells yet
    expect_text(behind(&f, 11, 4), "12 13 14 15");
    expect_text(behind(&f, 13, 4), "14 16 17 19");
    record_kinds(&f, 30, 9);
    expect_text(behind(&f, 30, 9), "31 33 34 36 37");
    teardown(&f);
}

// A loop that asks for rows of the other kind, too, gets all of them. The second time no kind is looked for any more.
Test(predict, a_column_that_was_no_kind) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    for (int first = 10; first <= 50; first += 20) {
        record_kinds(&f, first, 12);
        for (int i = first; i <= first + 3; i++)
            if (i != first + 2)
                (void)behind(&f, i, 4);
        cr_assert_eq(f.group->shape->associations[0].kind != 0, first < 50);
        const char *next = behind(&f, first + 5, 4);
        expect_text(next, first == 10 ? "16 17 18 19" : first == 30 ? "36 37 38 39" : "56 57 58 59");
        cr_assert_eq(f.group->shape->associations[0].kind, 0);
    }
    teardown(&f);
}

Test(predict, rows_that_are_skipped_by_chance_are_no_kind) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record(&f, 1000, 1, 12); // the second column is another one in each row
    for (int i = 1; i <= 8; i++)
        if (i % 3)
            (void)behind(&f, i, 2);
    expect_text(behind(&f, 8, 4), "9 10 11 12");
    cr_assert_eq(f.group->shape->associations[0].kind, 0);
    teardown(&f);
}

// ---- which list

Test(predict, the_newest_list_of_a_statement) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record(&f, 1000, 1, 6);
    for (int i = 1; i <= 6; i++)
        (void)behind(&f, i, 10);
    record(&f, 1000, 3, 9);
    expect_text(behind(&f, 3, 3), "4 5 6");
    teardown(&f);
}

Test(predict, the_list_that_the_loop_goes_through) {
    struct fixture f;
    setup(&f, one, OID_INT4, false);
    for (int time = 0; time < 3; time++) {
        static const char *const mixed[] = {"6", "3", "1", "5", "2", "4"};
        record(&f, 2000, 1, 6); // 1 2 3 4 …
        begin(&f, 3000, OID_INT8);
        for (int i = 0; i < 6; i++)
            row(&f, mixed[i], "9");
        row(&f, "7", "9");
        trail_end(&f.trail);
        (void)behind(&f, 1, 10);
        (void)behind(&f, 2, 10);
        expect_text(behind(&f, 3, 10), "4 5 6");
        for (int i = 4; i <= 6; i++)
            (void)behind(&f, i, 10);
        for (int i = 0; i < 3; i++) // it has left that list for the other one
            (void)behind(&f, atoi(mixed[i]), 10);
        cr_assert_eq(f.trail.results->columns.source, 3000, "it follows that one");
    }
    teardown(&f);
}

// Answers of another statement may have a list's columns.
Test(predict, a_list_and_answers_of_other_lookups) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    for (int time = 0; time < 2; time++) {
        record(&f, 1000, 1, 9);
        (void)behind(&f, 1, 10);
        expect_text(behind(&f, 2, 10), "3 4 5 6 7 8 9");
        expect_text(behind(&f, 3, 10), "4 5 6 7 8 9");
        f.shape = 77;
        record(&f, 1000, 2, 4);
        record(&f, 1000, 20, 4);
        f.shape = 0;
        for (int i = 4; i < 9; i++)
            (void)behind(&f, i, 10);
    }
    record(&f, 1000, 1, 9);
    f.shape = 77;
    record(&f, 1000, 1, 4);
    expect_text(behind(&f, 1, 10), "2 3 4 5 6 7 8 9");
    teardown(&f);
}

// Answers of two columns: of the table 1000 and of 2000. The first is the key's own, the second names keys, too.
static struct guess find_named(struct fixture *f, const char *const (*rows)[2], unsigned n,
                               uint16_t attribute) {
    struct trail_columns c = {.source = 1, .shape = f->shape, .family = f->family, .n_row = 2, .n = 2};
    struct key five = integer(5);
    struct value_texts texts;
    struct value value;
    for (uint16_t i = 0; i < 2; i++)
        c.columns[i] = (struct trail_column){.at = i, .attribute = i ? 1 : attribute, .type = OID_INT8};
    c.columns[0].table = 1000;
    c.columns[1].table = 2000;
    c.columns[0].kind = c.columns[1].kind = (uint8_t)trail_kind_of(OID_INT8);
    trail_begin(&f->trail, &c);
    for (unsigned i = 0; i < n; i++)
        row(f, rows[i][0], rows[i][1]);
    trail_end(&f->trail);
    struct guess w = {.trail = &f->trail, .result = f->trail.results, .columns = {1}};
    cr_assert(values_of_key(f->group, &five, &texts, &value));
    cr_assert(trail_find_row(&f->trail, w.result, 1, &value.forms, &w.row));
    return w;
}

Test(predict, answers_that_repeat_what_was_asked_for) {
    static const char *const joined[][2] = {{"5", "5"}, {"6", "6"}, {"5", "5"}};
    static const char *const named[][2] = {{"5", "5"}, {"6", "6"}, {"7", "5"}};
    static const char *const equal[][2] = {{"1", "5"}, {"2", "5"}};
    struct fixture f;
    setup(&f, one, OID_INT8, true);
    f.group->links = realloc(f.group->links, 2 * sizeof *f.group->links);
    f.group->links[1] = (struct vet_link){0, LINK_OTHER, 1, 2000};
    f.group->n_links = 2;
    f.family = f.group->shape->family;
    uint64_t shapes[] = {shape_digest(f.group->shape), 77}; // 77: the same statement, sent in another way
    for (unsigned i = 0; i < 2; i++) {
        f.shape = shapes[i];
        struct guess w = find_named(&f, joined, 3, 1);
        cr_expect_not(place_find_turn(&w, f.group, NULL));
        w = find_named(&f, named, 3, 1);
        cr_expect(place_find_turn(&w, f.group, NULL));
        cr_expect_eq(w.row, 2);
        w = find_named(&f, equal, 2, 2);
        cr_expect_not(place_find_turn(&w, f.group, NULL), "the own column is not among them");
        w = find_named(&f, named, 3, 2);
        cr_expect(place_find_turn(&w, f.group, NULL), "more values than answers");
        trail_hold_back(&f.trail, w.result->serial, 1, 2);
        trail_note_given(&f.trail, w.result->serial, 0, 3);
        cr_expect_not(place_find_turn(&w, f.group, NULL), "two answers");
    }
    f.family++;
    struct guess w = find_named(&f, joined, 3, 1);
    cr_expect(place_find_turn(&w, f.group, NULL), "answers of another statement are a list");
    teardown(&f);
}

static void record_values(struct fixture *f, const char *const *values, unsigned n) {
    begin(f, 1000, OID_INT8);
    for (unsigned i = 0; i < n; i++)
        row(f, values[i], "0");
    trail_end(&f->trail);
}

// Who remembers what it has asks for each value of the list once, so its loop passes over the others. Another list that has the same
// values beside each other by chance is none.
Test(predict, a_loop_that_asks_for_each_value_once) {
    static const char *const repeated[] = {"9", "9", "9", "8", "8", NULL, "8", "7", "9", "7", "4", "4"};
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    for (int time = 0; time < 2; time++) {
        f.shape = 77;
        record(&f, 1000, 6, 4);
        f.shape = 0;
        record_values(&f, repeated, 12);
        (void)behind(&f, 9, 10);
        (void)behind(&f, 8, 10);
        expect_text(behind(&f, 7, 10), "9 4"); // 9 stands behind it once more
    }
    teardown(&f);
}

// What was loaded for an earlier list, and how far the loop has gone through it, does not count beside a list that was read since.
Test(predict, a_list_that_was_read_since) {
    static const char *const newer[] = {"7", "2", "1"};
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    f.shape = 77;
    record(&f, 1000, 1, 9);
    f.trail.results->columns.loaded = true;
    for (int i = 1; i <= 5; i++)
        (void)behind(&f, i, 10);
    f.shape = 0;
    record_values(&f, newer, 3);
    expect_text(behind(&f, 7, 10), "2 1");
    teardown(&f);
}

// What was loaded ahead and was not given yet is nothing that the client has read. That the keys stand there is chance.
Test(predict, rows_that_the_client_was_not_given) {
    for (int given = 0; given < 2; given++) {
        struct fixture f;
        setup(&f, one, OID_INT4, false);
        record(&f, 1000, 1, 9);
        f.shape = 77;
        record(&f, 2000, 95, 600);
        trail_hold_back(&f.trail, f.trail.results->serial, 2000, 600);
        if (given)
            trail_note_given(&f.trail, f.trail.results->serial, 0, 600);
        (void)behind(&f, 100, 3);
        (void)behind(&f, 300, 3);
        expect_text(behind(&f, 600, 3), given ? "601 602 603" : "700 800 900");
        teardown(&f);
    }
}

// Both columns have the keys, and in neither do they stand beside each other.
Test(predict, the_column_in_which_fewer_rows_are_passed_over) {
    static const char *const rows[][2] = {{"1", "4"},  {"2", "80"}, {"3", "7"},  {"4", "81"}, {"5", "10"},
                                          {"6", "82"}, {"7", "13"}, {"8", "83"}, {"9", "16"}, {"10", "84"}};
    struct fixture f;
    setup(&f, one, OID_INT4, false);
    begin(&f, 1000, OID_INT8);
    for (unsigned i = 0; i < 10; i++)
        row(&f, rows[i][0], rows[i][1]);
    trail_end(&f.trail);
    expect_text(behind(&f, 4, 10), "-");
    expect_text(behind(&f, 7, 2), "81 10");
    expect_text(behind(&f, 10, 2), "82 13");
    teardown(&f);
}

// An old list whose two rows were asked for does not go on in the first of them.
Test(predict, the_next_short_list) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    for (int time = 0; time < 3; time++) {
        record(&f, 1000, 1, 2);
        expect_text(behind(&f, 1, 10), "2");
        expect_text(behind(&f, 2, 10), "");
    }
    teardown(&f);
}

// A loop for each value that no list has, in turn.
Test(predict, two_lists_in_turn) {
    struct fixture f;
    setup(&f, two, OID_INT4, false);
    for (int time = 0; time < 2; time++) {
        record(&f, 2000, 1, 5);
        begin(&f, 3000, OID_INT8);
        for (int i = 0; i < 5; i++) {
            char id[16];
            snprintf(id, sizeof id, "%d", "41352"[i] - '0');
            row(&f, id, "9");
        }
        trail_end(&f.trail);
        for (int i = 0; i < 5; i++) {
            struct key in_order[] = {integer(i + 1), integer(77)},
                       mixed[] = {integer("41352"[i] - '0'), integer(88)};
            const char *next = behind_keys(&f, in_order, 1);
            cr_assert(time == 0 || i == 4 || (next[0] == '2' + i && strcmp(next + 1, "/77") == 0), "%s",
                      next);
            next = behind_keys(&f, mixed, 1);
            cr_assert(time == 0 || i == 4 || (next[0] == "41352"[i + 1] && strcmp(next + 1, "/88") == 0),
                      "%s", next);
        }
    }
    teardown(&f);
}

// ---- what comes

Test(predict, no_more_than_there_is_room_for) {
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record(&f, 1000, 1, 60);
    expect_text(behind(&f, 1, 3), "2 3 4");
    teardown(&f);
}

// ---- values

Test(predict, values_that_the_parameter_cannot_have) {
    static const struct {
        uint32_t type;
        const char *keys;
    } cases[] = {{OID_INT2, "2 32767 -32768"},
                 {OID_INT4, "2 32767 -32768 32768 -32769 2147483647"},
                 {OID_INT8, "2 32767 -32768 32768 -32769 2147483647 2147483648"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        setup(&f, one, cases[i].type, true);
        begin(&f, 1000, OID_INT8);
        row(&f, "1", NULL);
        row(&f, "2", NULL);
        row(&f, NULL, NULL);
        row(&f, "32767", NULL);
        row(&f, "-32768", NULL);
        row(&f, "32768", NULL);
        row(&f, "-32769", NULL);
        row(&f, "2147483647", NULL);
        row(&f, "2147483648", NULL);
        trail_end(&f.trail);
        expect_text(behind(&f, 1, 10), cases[i].keys);
        teardown(&f);
    }
}

// A quote in a constant stands twice, and once in a result.
Test(predict, texts_between_quotes) {
    struct fixture f;
    setup(&f, one, OID_TEXT, true);
    f.group->parts[0].quoted = true;
    begin(&f, 1000, OID_TEXT);
    row(&f, "it's", "a");
    row(&f, "''", "a");
    row(&f, "plain", "a");
    trail_end(&f.trail);
    struct key k = {.kind = KEY_DOUBLED, .len = 5, .of.raw = (const uint8_t *)"it''s"};
    expect_text(behind_keys(&f, &k, 10), "'''' plain");
    teardown(&f);
}

// A value of three rows and, of the lookup, the first row's and what is expected of the other two.
struct way {
    uint32_t listed;
    uint16_t format;
    struct slice rows[3];
    uint32_t type;
    uint16_t sent_format;
    bool quoted;
    struct slice sent[3]; // no data: nothing is sent for that row
};

static void record_way(struct fixture *f, const struct way *way) {
    struct trail_columns c = {.source = 1000, .n_row = 1, .n = 1};
    c.columns[0] = (struct trail_column){.format = way->format,
                                         .attribute = 1,
                                         .table = 1000,
                                         .type = way->listed,
                                         .kind = (uint8_t)trail_kind_of(way->listed)};
    trail_begin(&f->trail, &c);
    for (unsigned i = 0; i < 3; i++) {
        struct buf b = buf_make(1000);
        buf_put_u16(&b, 1);
        buf_put_u32(&b, (uint32_t)way->rows[i].len);
        buf_put(&b, way->rows[i].data, way->rows[i].len);
        trail_row(&f->trail, b.data, b.len);
        buf_free(&b);
    }
    trail_end(&f->trail);
}

static struct key sent_key(const struct way *way, unsigned i) {
    struct key k;
    bool plain = key_type_is_plain(way->type);
    cr_assert(plain ? key_read(way->type, way->sent_format, way->sent[i], &k)
                    : key_read_raw(way->sent[i], way->quoted, &k));
    return k;
}

// The keys that are loaded are, byte by byte, what the client is going to send.
static void expect_way(const struct way *way, size_t number) {
    struct fixture f;
    struct guess guess = {0};
    setup(&f, one, way->type, true);
    f.group->parts[0].format = way->sent_format;
    f.group->parts[0].quoted = way->quoted;
    record_way(&f, way);
    struct key first = sent_key(way, 0);
    cr_expect(values_are_in(&f.trail, f.group, &way->sent[0], NULL), "way %zu", number);
    cr_assert(predict_locate(&f.trail, f.group, &first, &guess), "way %zu", number);
    cr_assert(predict_follow(f.group, &guess));
    struct batch *b = batch_create_ahead(f.group, 10, 10000);
    predict_gather(&guess, f.group, &first, b, nothing_held, NULL, NULL);
    unsigned n = 0;
    for (unsigned i = 1; i < 3; i++) {
        if (!way->sent[i].data)
            continue;
        struct key k = sent_key(way, i);
        cr_expect(n < b->n_keys && key_equal(&b->keys[n], &k), "way %zu, row %u", number, i);
        n++;
    }
    cr_expect_eq(b->n_keys, n, "way %zu", number);
    batch_destroy(b);
    teardown(&f);
}

#define NOTHING                                                                                              \
    { NULL, 0 }
#define UUID_A  "00112233-4455-6677-8899-aabbccddeeff"
#define UUID_B  "10112233-4455-6677-8899-aabbccddeeff"
#define BYTES_A "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
#define BYTES_B "\x10\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"

// What the type of the parameter does not have is left out: it would be an error of all that is loaded.
static const struct way ways[] = {
    {OID_TEXT, 0, {LIT("5"), LIT("7"), LIT("x")}, OID_INT4, 0, false, {LIT("5"), LIT("7"), NOTHING}},
    {OID_TEXT, 1, {LIT("5"), LIT("70000"), LIT("08")}, OID_INT2, 1, false, {LIT("\0\5"), NOTHING, NOTHING}},
    {OID_TEXT,
     0,
     {LIT("5"), LIT("3000000000"), LIT("-1")},
     OID_INT4,
     1,
     false,
     {LIT("\0\0\0\5"), NOTHING, LIT("\xff\xff\xff\xff")}},
    {OID_INT4, 0, {LIT("5"), LIT("-7"), LIT("0")}, OID_TEXT, 0, true, {LIT("5"), LIT("-7"), LIT("0")}},
    {OID_INT8,
     1,
     {LIT("\0\0\0\0\0\0\0\5"), LIT("\0\0\0\1\0\0\0\0"), LIT("\0\0\0\0\0\0\0\0")},
     OID_TEXT,
     1,
     false,
     {LIT("5"), LIT("4294967296"), LIT("0")}},
    {OID_UUID,
     0,
     {LIT(UUID_A), LIT(UUID_B), LIT(UUID_A)},
     OID_TEXT,
     0,
     true,
     {LIT(UUID_A), LIT(UUID_B), NOTHING}},
    {OID_UUID,
     1,
     {LIT(BYTES_A), LIT(BYTES_B), LIT(BYTES_A)},
     OID_TEXT,
     1,
     false,
     {LIT(UUID_A), LIT(UUID_B), NOTHING}},
    {OID_TEXT,
     0,
     {LIT(UUID_A), LIT("x"), LIT(UUID_B)},
     OID_UUID,
     1,
     false,
     {LIT(BYTES_A), NOTHING, LIT(BYTES_B)}},
    {OID_TEXT,
     0,
     {LIT(UUID_A), LIT("00112233"), LIT(UUID_B)},
     OID_UUID,
     0,
     true,
     {LIT(UUID_A), NOTHING, LIT(UUID_B)}},
    {OID_OID,
     0,
     {LIT("5"), LIT("4294967295"), LIT("6")},
     OID_OID,
     1,
     false,
     {LIT("\0\0\0\5"), LIT("\xff\xff\xff\xff"), LIT("\0\0\0\6")}},
    {OID_OID,
     1,
     {LIT("\0\0\0\5"), LIT("\xff\xff\xff\xff"), LIT("\0\0\0\6")},
     OID_OID,
     0,
     false,
     {LIT("5"), LIT("4294967295"), LIT("6")}},
    {OID_OID, 0, {LIT("5"), LIT("4294967295"), LIT("6")}, OID_INT4, 0, false, {LIT("5"), NOTHING, LIT("6")}},
    {OID_INT8, 0, {LIT("5"), LIT("-1"), LIT("4294967296")}, OID_OID, 0, false, {LIT("5"), NOTHING, NOTHING}},
    {OID_NUMERIC,
     0,
     {LIT("1.50"), LIT("3.00"), LIT("NaN")},
     OID_NUMERIC,
     0,
     false,
     {LIT("1.50"), LIT("3.00"), LIT("NaN")}},
    {OID_NUMERIC,
     0,
     {LIT("1.50"), LIT("3.00"), LIT("NaN")},
     OID_NUMERIC,
     1,
     false,
     {LIT("\0\2\0\0\0\0\0\2\0\1\x13\x88"), LIT("\0\1\0\0\0\0\0\2\0\3"), NOTHING}},
    {OID_NUMERIC,
     0,
     {LIT("1.50"), LIT("3.00"), LIT("17.20")},
     OID_NUMERIC,
     0,
     false,
     {LIT("1.5"), LIT("3"), LIT("17.2")}},
    {OID_NUMERIC, 0, {LIT("5"), LIT("7"), LIT("7.5")}, OID_INT8, 0, false, {LIT("5"), LIT("7"), NOTHING}},
    {OID_INT8,
     0,
     {LIT("5"), LIT("10000"), LIT("-7")},
     OID_NUMERIC,
     0,
     false,
     {LIT("5"), LIT("10000"), LIT("-7")}},
    {OID_INT4,
     0,
     {LIT("5"), LIT("10000"), LIT("-7")},
     OID_NUMERIC,
     1,
     false,
     {LIT("\0\1\0\0\0\0\0\0\0\5"), LIT("\0\1\0\1\0\0\0\0\0\1"), LIT("\0\1\0\0\x40\0\0\0\0\7")}},
    {OID_DATE,
     0,
     {LIT("2024-01-02"), LIT("2000-01-01"), LIT("infinity")},
     OID_DATE,
     0,
     true,
     {LIT("2024-01-02"), LIT("2000-01-01"), LIT("infinity")}},
    {OID_DATE,
     0,
     {LIT("2000-01-03"), LIT("2000-01-01"), LIT("infinity")},
     OID_DATE,
     1,
     false,
     {LIT("\0\0\0\2"), LIT("\0\0\0\0"), NOTHING}},
    {OID_DATE,
     1,
     {LIT("\0\0\0\2"), LIT("\0\0\0\0"), LIT("\x7f\xff\xff\xff")},
     OID_DATE,
     0,
     false,
     {LIT("2000-01-03"), LIT("2000-01-01"), NOTHING}},
    {OID_TIMESTAMPTZ,
     0,
     {LIT("2024-01-01 01:01:00+00"), LIT("2024-01-01 02:02:00+00"), LIT("2024-01-01 02:02:00.5+00")},
     OID_TIMESTAMPTZ,
     0,
     true,
     {LIT("2024-01-01T01:01:00+00:00"), LIT("2024-01-01T02:02:00+00:00"),
      LIT("2024-01-01T02:02:00.500000+00:00")}},
    {OID_TIMESTAMPTZ,
     0,
     {LIT("2000-01-01 00:00:00+00"), LIT("2000-01-01 01:00:00+01"), LIT("2000-01-01 00:00:01+00")},
     OID_TIMESTAMPTZ,
     1,
     false,
     {LIT("\0\0\0\0\0\0\0\0"), NOTHING, LIT("\0\0\0\0\0\x0f\x42\x40")}},
    {OID_BYTEA,
     0,
     {LIT("\\x0102"), LIT("\\x61"), LIT("\\xff")},
     OID_BYTEA,
     1,
     false,
     {LIT("\1\2"), LIT("a"), LIT("\xff")}},
    {OID_BYTEA,
     1,
     {LIT("\1\2"), LIT("a"), LIT("\xff")},
     OID_BYTEA,
     0,
     true,
     {LIT("\\x0102"), LIT("\\x61"), LIT("\\xff")}},
    {OID_CITEXT,
     0,
     {LIT("Code 1"), LIT("CODE 2"), LIT("it's")},
     OID_CITEXT,
     1,
     false,
     {LIT("Code 1"), LIT("CODE 2"), LIT("it's")}},
    {OID_MOOD, 1, {LIT("sad"), LIT("ok"), LIT("x")}, OID_TEXT, 0, true, {LIT("sad"), LIT("ok"), LIT("x")}},
};

Test(predict, keys_of_all_types_and_formats) {
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        expect_way(&ways[i], i);
}

// A text of the list may be no value of such a type.
Test(predict, a_text_is_no_key_of_a_type_that_may_refuse_it) {
    static const struct way way = {OID_TEXT, 0,    {LIT("sad"), LIT("ok"), LIT("x")}, OID_MOOD,
                                   0,        true, {LIT("sad"), LIT("ok"), LIT("x")}};
    struct fixture f;
    struct guess guess = {0};
    setup(&f, one, OID_MOOD, true);
    f.group->parts[0].quoted = true;
    record_way(&f, &way);
    struct key k = sent_key(&way, 0);
    cr_assert_not(predict_locate(&f.trail, f.group, &k, &guess));
    teardown(&f);
}

// Digits in a text are numbers by chance: one lookup is not enough.
Test(predict, a_value_of_another_kind_is_learnt_by_the_second_lookup) {
    struct fixture f;
    setup(&f, one, OID_INT4, false);
    record_way(&f, &ways[0]);
    begin(&f, 1000, OID_TEXT);
    for (int i = 1; i < 7; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        row(&f, id, "x");
    }
    trail_end(&f.trail);
    expect_text(behind(&f, 1, 10), "-");
    expect_text(behind(&f, 2, 10), "3 4 5 6");
    teardown(&f);
}

// A price is no id.
Test(predict, numbers_with_decimal_places_are_no_integers) {
    static const struct way way = {OID_NUMERIC, 0,     {LIT("5.00"), LIT("7.00"), LIT("8.00")}, OID_INT4,
                                   0,           false, {LIT("5"), LIT("7"), LIT("8")}};
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    record_way(&f, &way);
    f.group->parts[0].declared = OID_INT4;
    cr_expect_not(values_are_in(&f.trail, f.group, &way.sent[0], NULL));
    expect_text(behind(&f, 5, 10), "-");
    teardown(&f);
}

// Only the values of its own kind are looked for beside the one that leads to a row.
Test(predict, beside_a_key_nothing_is_converted) {
    struct fixture f;
    setup(&f, two, OID_TEXT, true);
    begin(&f, 1000, OID_TEXT);
    f.trail.recorder.columns.columns[1].type = OID_INT4;
    f.trail.recorder.columns.columns[1].kind = TRAIL_INTEGER;
    row(&f, "a", "1");
    row(&f, "b", "2");
    row(&f, "c", "3");
    trail_end(&f.trail);
    struct key keys[2];
    cr_assert(key_read_raw(text_slice("a"), false, &keys[0]) &&
              key_read_raw(text_slice("1"), false, &keys[1]));
    expect_text(behind_keys(&f, keys, 10), "b/1 c/1");
    teardown(&f);
}

Test(predict, what_a_value_may_be_before_its_type_is_known) {
    static const struct {
        struct slice value;
        uint16_t format;
        bool plausible;
    } cases[] = {{LIT("3"), 0, true},
                 {LIT("33"), 0, false},
                 {LIT("\0\0\0\3"), 1, true},
                 {LIT("\0\0\0\0\0\0\0\3"), 1, true},
                 {LIT("\0\0\0\x21"), 1, false},
                 {{NULL, 0}, 0, false},
                 {LIT(""), 0, false}};
    struct fixture f;
    setup(&f, one, OID_INT4, true);
    cr_assert_not(values_are_in(&f.trail, f.group, &cases[0].value, NULL));
    record(&f, 1000, 1, 6);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f.group->parts[0].format = cases[i].format;
        cr_expect_eq(values_are_in(&f.trail, f.group, &cases[i].value, NULL), cases[i].plausible, "case %zu",
                     i);
    }
    teardown(&f);
}

// ---- how many

Test(predict, the_first_window) {
    struct association first = {0}, seconded = {0};
    association_begin(&first, false, 200);
    cr_assert_eq(association_window(&first, 1, 0, 500), 8);
    association_begin(&first, true, 10000);
    cr_assert_eq(association_window(&first, 1, 0, 500), 8, "it has begun");
    cr_assert_eq(association_window(&seconded, 1, 0, 500), 25);
    cr_assert_eq(association_window(&seconded, 1, 0, 7), 7);
    struct association far = {0}, farther = {0}, farthest = {0};
    association_begin(&far, false, 1000);
    association_begin(&farther, true, 5000);
    association_begin(&farthest, true, 100000);
    cr_assert_eq(association_window(&far, 1, 0, 500), 18);
    cr_assert_eq(association_window(&farther, 1, 0, 500), 75);
    cr_assert_eq(association_window(&farthest, 1, 0, 500), 125);
}

Test(predict, windows_grow_up_to_the_limit) {
    struct association a = {.window = 30};
    association_grow(&a, 500);
    cr_assert_eq(a.window, 60);
    for (int i = 0; i < 10; i++)
        association_grow(&a, 500);
    cr_assert_eq(association_window(&a, 1, 0, 500), 500);
    cr_assert_eq(association_window(&a, 1, 0, 100), 100);
}

// A batch of few keys failed for one of them: the next ones are smaller.
Test(predict, windows_halve_when_a_key_raises_an_error) {
    struct association a = {.window = 200, .useful = true};
    association_sent(&a, 1);
    association_erred(&a, 2, 100);
    cr_assert_eq(a.window, 50);
    cr_assert_eq(a.unserved, 0);
    association_erred(&a, 3, 6);
    cr_assert_eq(a.window, 4);
    for (unsigned i = 0; i < 4; i++)
        association_erred(&a, 10 + i, 4);
    cr_assert_eq(association_window(&a, 20, 0, 500), 0);
}

// What would be too old before it is asked for is not loaded; nor what takes too long.
Test(predict, what_a_key_costs) {
    struct association a = {0};
    association_loaded(&a, 5000, 1000, 0); // a batch that failed before it had keys
    cr_assert_eq(a.cost, 0);
    association_loaded(&a, 5000, 1000, 100);
    cr_assert_eq(a.cost, 20000, "the first time may be all noise");
    association_loaded(&a, 5000, 1000, 100);
    cr_assert_eq(a.cost, 20000);
    for (int i = 0; i < 3; i++)
        association_loaded(&a, 101000, 1000, 100); // the machine was busy: it rises slowly
    cr_assert_eq(a.cost, 22500);
    association_loaded(&a, 1500, 1000, 100);
    cr_assert_eq(a.cost, 13750);
    association_loaded(&a, 9000, 1000, 4); // so few keys say only what a key costs at most
    cr_assert_eq(a.cost, 13750);
    association_loaded(&a, 1030, 1000, 4);
    cr_assert_eq(a.cost, 10625);
}

// A machine that was busy when the first batch came makes no loop dear.
Test(predict, a_noisy_first_cost_is_forgotten) {
    struct association a = {0};
    association_loaded(&a, 60000, 10000, 20);
    association_loaded(&a, 10400, 10000, 20);
    cr_assert_eq(a.cost, 20000);
}

Test(predict, windows_that_age_and_cost_limit) {
    struct association a = {.window = 400};
    for (uint64_t now = 1000; now < 20000; now += 1000)
        association_asked(&a, now, 1, 0);
    cr_assert_eq(a.gap, 1000);
    cr_assert_eq(association_window(&a, 20000, 100000, 500), 80);
    cr_assert_eq(association_window(&a, 20000, 0, 500), 400, "a fixed snapshot does not age");
    association_asked(&a, 1000000, 1, 0); // another loop
    cr_assert_eq(a.gap, 1000);
    association_asked(&a, 1011000, 1, 10000); // its client has waited for ten of them
    cr_assert_eq(a.gap, 1000);
    association_asked(&a, 1012000, 2, 99); // another client
    cr_assert_eq(a.gap, 1000);
    struct association slow = {.window = 400};
    association_loaded(&slow, 200000, 0, 100); // two milliseconds for a key
    cr_assert_eq(association_window(&slow, 1, 0, 500), PACE_LATENCY / 1000);
    slow.gap = 5000;
    slow.window = 8;
    cr_assert_eq(association_window(&slow, 1, 100000, 500), 8);
    cr_assert_eq(association_all(&slow, 1, 500), PACE_LATENCY / 1000, "only the server's time counts");
    slow.off_until = 2;
    cr_assert_eq(association_all(&slow, 1, 500), 0);
}

Test(predict, waste_shrinks_the_window_and_ends_in_a_pause) {
    struct association a = {.window = 400};
    uint64_t now = 1000000;
    association_ended(&a, now, 400, 100, false);
    cr_assert_eq(a.window, 400, "a quarter is enough");
    unsigned n = 0;
    for (; association_window(&a, ++now, 0, 500) && n < 20; n++) {
        uint32_t before = a.window;
        association_ended(&a, now, before, 0, false);
        cr_assert(a.window < before || a.off_until);
    }
    cr_assert_lt(n, 20);
    uint64_t first = a.off_until - now;
    now = a.off_until;
    cr_assert_gt(association_window(&a, now, 0, 500), 0, "tried again");
    association_ended(&a, now, 4, 0, false);
    cr_assert_gt(a.off_until - now, first, "and given up for longer");
    association_grow(&a, 500);
    cr_assert_eq(a.pause, 0, "success ends it");
}

// The application does something else for a while, and goes on: the loop is one.
Test(predict, pauses_within_a_loop_do_not_end_it) {
    struct association a = {.window = 400, .gap = 100, .last_asked = 1000, .useful = true};
    uint64_t now = 1000000;
    for (unsigned i = 0; i < 20; i++)
        association_ended(&a, ++now, a.window, 1, true);
    cr_assert_gt(association_window(&a, now, 0, 500), 0);
    cr_assert(a.useful);
    for (unsigned i = 0; i < 20; i++)
        association_ended(&a, ++now, a.window, 0, true);
    cr_assert_eq(association_window(&a, now, 0, 500), 0, "nothing of it is ever in time");
    association_asked(&a, 51000, 1, 0);
    cr_assert_lt(a.gap, 200, "one pause says little of the pace");
}

// Loops that are broken off behind two or three rows are not worth five statements; a trial now and then is.
Test(predict, loops_that_do_not_get_far) {
    struct association a = {0};
    cr_expect(reach_is_enough(&a, 0, 5), "it is not known");
    reach_learn(&a, 2);
    cr_expect(reach_is_enough(&a, 0, 5), "one is no rule");
    reach_learn(&a, 20);
    cr_expect(reach_is_enough(&a, 0, 5));
    for (int i = 0; i < 12; i++)
        reach_learn(&a, 2);
    cr_expect_not(reach_is_enough(&a, 0, 5));
    cr_expect(reach_is_enough(&a, 0, 2));
    cr_expect(reach_is_enough(&a, 9, 5), "this loop is longer");
    unsigned n = 0;
    while (!reach_is_enough(&a, 0, 5))
        n++;
    cr_expect(n > 40 && n < 400, "%u lookups until a trial", n);
    for (int i = 0; i < 12; i++)
        reach_learn(&a, 0);
    cr_expect_not(reach_is_enough(&a, 0, 2));
    reach_learn(&a, 500);
    cr_expect(reach_is_enough(&a, 0, 5));
}

Test(predict, more_is_loaded_before_the_last_is_asked_for) {
    struct association a = {.window = 100, .gap = 100, .latency = 1000};
    cr_assert(association_is_low(&a, 21));
    cr_assert_not(association_is_low(&a, 22));
    a.latency = 1000000;
    cr_assert_not(association_is_low(&a, 51), "half of the window at most");
    cr_assert(association_is_low(&a, 50));
}
