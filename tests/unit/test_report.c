// SPDX-License-Identifier: PostgreSQL
//
// The report: names that are derived from tables, what to write instead, tags, runs, and what is bounded.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/ahead/columns.h"
#include "batching/report/advice.h"
#include "batching/report/report.h"
#include "batching/report/runs.h"
#include "batching/report/tag_text.h"
#include "batching/report/wording.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "batching/trust/vet.h"

static struct slice slice_of(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

// ---- names

Test(report, names_are_derived_from_those_of_tables) {
    static const char *const words[][4] = {
        {"public.author", "author", "authors", "Author"},
        {"book_reviews", "book_review", "book_reviews", "BookReview"},
        {"shop.categories", "category", "categories", "Category"},
        {"people", "person", "people", "Person"},
        {"order_statuses", "order_status", "order_statuses", "OrderStatus"},
        {"public.\"Odd.Name\"", "Odd.Name", "Odd.Names", "Odd.Name"},
        {"boxes", "box", "boxes", "Box"},
        {"address", "address", "addresses", "Address"},
        {"movies", "movie", "movies", "Movie"},
        {"", "", "", ""},
    };
    char out[WORDING_LONGEST];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        wording_singular(words[i][0], out);
        cr_assert_str_eq(out, words[i][1]);
        wording_plural(words[i][0], out);
        cr_assert_str_eq(out, words[i][2]);
        wording_class(words[i][0], out);
        cr_assert_str_eq(out, words[i][3]);
    }
}

Test(report, a_foreign_keys_column_names_its_relation) {
    char out[WORDING_LONGEST];
    cr_assert(wording_relation("author_id", out) && strcmp(out, "author") == 0);
    cr_assert(wording_relation("authorId", out) && strcmp(out, "author") == 0);
    cr_assert(!wording_relation("id", out) && !wording_relation("_id", out));
}

Test(report, names_that_are_too_long_are_cut) {
    char long_name[1000], out[WORDING_LONGEST];
    memset(long_name, 'y', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    wording_plural(long_name, out);
    cr_assert(strlen(out) < WORDING_LONGEST);
    wording_class(long_name, out);
    cr_assert(strlen(out) < WORDING_LONGEST);
}

// ---- what to write

static struct loop loop_with(char *texts, size_t room, enum loop_direction d, const char *parent,
                             const char *columns, const char *child, const char *rows) {
    struct loop l = {.proven = true, .direction = d, .texts = texts};
    const char *of[LOOP_TEXTS] = {[LOOP_PARENT_TABLE] = parent,
                                  [LOOP_PARENT_COLUMNS] = columns,
                                  [LOOP_CHILD_TABLE] = child,
                                  [LOOP_CHILD_COLUMNS] = "author_id",
                                  [LOOP_ROWS_TABLE] = rows};
    size_t at = 0;
    for (unsigned i = 0; i < LOOP_TEXTS; i++) {
        l.text_at[i] = (uint32_t)at;
        at += (size_t)snprintf(texts + at, room - at, "%s", of[i] ? of[i] : "") + 1;
    }
    return l;
}

static void says(const struct loop *l, const char *tool, const char *wanted) {
    for (unsigned i = 0; i < ADVICE_TOOLS; i++) {
        struct buf b = buf_make(1000);
        if (strcmp(advice_tool(i), tool) != 0)
            continue;
        advice_write(l, i, &b);
        buf_put_u8(&b, 0);
        cr_assert_str_eq((char *)b.data, wanted);
        buf_free(&b);
        return;
    }
    cr_assert_fail("%s", tool);
}

Test(report, what_to_write_goes_by_the_direction) {
    char texts[1000];
    struct loop l = loop_with(texts, sizeof texts, LOOP_TO_MANY, "public.authors", "id", "public.books", "");
    says(&l, "SQLAlchemy", "selectinload(Author.books)");
    says(&l, "Django", "prefetch_related(\"books\")");
    says(&l, "Rails", "includes(:books)");
    says(&l, "Eloquent", "with('books')");
    says(&l, "Hibernate", "LEFT JOIN FETCH author.books");
    says(&l, "Prisma", "include: { books: true }");
    l.counts = true;
    says(&l, "Django", "annotate(Count(\"books\"))");
    l = loop_with(texts, sizeof texts, LOOP_TO_MANY, "posts", "id", "post_tags", "tags");
    says(&l, "Rails", "includes(:tags)");
    l = loop_with(texts, sizeof texts, LOOP_TO_ONE, "books", "editor_id", "people", "");
    says(&l, "SQLAlchemy", "joinedload(Book.editor)");
    says(&l, "Django", "select_related(\"editor\")");
    l = loop_with(texts, sizeof texts, LOOP_TO_ONE, "users", "id", "profiles", "");
    says(&l, "Django", "select_related(\"profile\")");
    l.proven = false;
    says(&l, "Eloquent", "Profile::whereIn('author_id', $keys)");
}

// ---- tags

static struct tags empty_tags(void) {
    return (struct tags){.max = 100};
}

static uint16_t read_text(struct tags *t, const char *text, bool *added) {
    struct slice comments[2];
    *added = false;
    if (!tags_comments(slice_of(text), comments))
        return TAGS_NONE;
    return tags_read(t, slice_of(text), tags_digest(t, comments), true, added);
}

// The tags of a text, as one text.
static void has_tags(const char *text, const char *wanted) {
    struct tags t = empty_tags();
    char found[2000] = "";
    const char *at = NULL, *name, *value;
    bool added;
    const struct tag_set *s = tags_at(&t, read_text(&t, text, &added));
    while (s && tags_next(s, &at, &name, &value)) {
        strcat(found, *found ? ";" : "");
        strcat(strcat(strcat(found, name), "="), value);
    }
    cr_assert_str_eq(found, wanted, "%s: %s", text, found);
    tags_finish(&t);
}

Test(report, tags_are_read_as_libraries_write_them) {
    has_tags("SELECT 1 /*controller='a%20b',action='it\\'s',traceparent='00-5bd66ef5-53ce9-01'*/",
             "action=it's;controller=a b");
    has_tags("/*application:Shop,controller:authors,line:/app/x.rb:7:in `index'*/ SELECT 1",
             "application=Shop;controller=authors;line=/app/x.rb:7:in `index'");
    has_tags("/* route=/authors file=x.py:3 */ SELECT 1;", "file=x.py:3;route=/authors");
    has_tags("-- name: GetAuthor :one\nSELECT 1", "name=GetAuthor :one");
    has_tags("SELECT 1 -- a=1, b=2", "a=1;b=2");
    has_tags("/* a=1 */ SELECT 1 /* b=2 */ ; ", "a=1;b=2");
    has_tags("SELECT 1 /* a=1 */ /* b=2 */", "a=1;b=2");
    has_tags("SELECT 1 /*request_id:17,controller:x*/", "controller=x");
}

Test(report, what_is_no_comment_in_front_or_behind_brings_no_tags) {
    static const char *const none[] = {"",
                                       "SELECT 1",
                                       "SELECT '/* a=1 */'",
                                       "SELECT 1 WHERE 'x /* a=1 ' = b */",
                                       "SELECT 1 /* a=1 */ + 2",
                                       "SELECT 'x -- a=1'",
                                       "SELECT 'x\n -- a=1, b=2'",
                                       "SELECT 1 /*+ a=1 */",
                                       "SELECT 1 /* pgfold:allow */",
                                       "SELECT 1 /* only words, no pairs */",
                                       "/* a=1",
                                       "*/",
                                       "/**/",
                                       "--",
                                       "SELECT $$ x /* a=1 $$ */"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        has_tags(none[i], "");
}

Test(report, what_differs_with_each_request_makes_no_other_set) {
    struct tags t = empty_tags();
    struct slice a[2], b[2];
    const char *one = "SELECT 1 /*controller='x',traceparent='00-1'*/",
               *two = "SELECT 1 /*controller='x',traceparent='00-2'*/";
    bool added;
    cr_assert(tags_comments(slice_of(one), a) && tags_comments(slice_of(two), b));
    cr_assert_eq(tags_digest(&t, a), tags_digest(&t, b));
    uint16_t first = read_text(&t, one, &added);
    cr_assert(added && read_text(&t, two, &added) == first && !added);
    cr_assert(read_text(&t, "/* controller=x */ SELECT 2", &added) == first && !added); // in any form
    tags_finish(&t);
}

Test(report, sets_of_tags_are_bounded) {
    struct account memory = {0};
    struct tags t = {.max = 100, .memory = &memory};
    char text[100];
    bool added;
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "/* page=%d */ SELECT 1", i);
        uint16_t number = read_text(&t, text, &added);
        cr_assert(i < 100 ? number > TAGS_OTHER && added : number == TAGS_OTHER && !added, "%d: %d", i,
                  number);
    }
    cr_assert(memory.used == t.weighs && t.weighs < 200000);
    cr_assert_eq(tags_of(&t, "page", slice_of("7")), 9);
    tags_finish(&t);
    cr_assert_eq(memory.used, 0);
}

// Whatever such a name is called. Sets that differ in more than it do not count, nor do names of places.
Test(report, a_name_whose_values_are_always_others_keeps_none) {
    struct tags t = {.max = 1000};
    char text[200];
    bool added;
    uint16_t number = 0, last = 0;
    for (int i = 0; i < 100; i++) {
        last = number;
        snprintf(text, sizeof text, "SELECT 1 /*route='/r%d',seen='%d'*/", i % 2, i);
        number = read_text(&t, text, &added);
        cr_assert(number > TAGS_OTHER && (i < 40 || !added), "%d", i);
    }
    const struct tag_set *s = tags_at(&t, number);
    cr_expect_str_eq(s->text, "route");
    cr_expect_str_eq(s->text + 6, "/r1");
    cr_expect_str_eq(s->text + 10, "seen");
    cr_expect_str_eq(s->text + 15, "(other)");
    cr_expect_neq(number, last);
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "SELECT 1 /*route='/r%d',kind='%d',file='x.rb:%d'*/", i, i, i % 100);
        (void)read_text(&t, text, &added);
        cr_assert(added, "%d", i);
        snprintf(text, sizeof text, "SELECT 1 /*seen='%d',route='/r0'*/", i); // known, whatever it says
        struct slice comments[2];
        cr_assert(tags_comments(slice_of(text), comments));
        uint64_t digest = tags_digest(&t, comments);
        (void)read_text(&t, text, &added);
        cr_assert(!added && tags_known(&t, digest, &number), "%d", i);
    }
    tags_finish(&t);
}

Test(report, a_call_site_is_made_of_tags) {
    static const char *const sites[][2] = {{"file=a.py,line=7", "a.py:7"},
                                           {"source_location=x.rb:3", "x.rb:3"},
                                           {"line:/app/x.rb:7", "/app/x.rb:7"},
                                           {"controller=x", ""},
                                           {"line=7", ""}};
    char out[2000];
    for (size_t i = 0; i < sizeof sites / sizeof *sites; i++) {
        struct tags t = empty_tags();
        const struct tag_set *s = tags_at(&t, tags_set(&t, slice_of(sites[i][0])));
        cr_assert(s && tags_call_site(s, out, sizeof out) == (*sites[i][1] != 0));
        cr_assert_str_eq(out, sites[i][1]);
        tags_finish(&t);
    }
}

// Who has no other tags has its application's name: behind a statement with a comment that is no other page.
Test(report, places_and_applications_tell_no_pages_apart) {
    struct tags t = empty_tags();
    cr_expect_eq(tags_at(&t, tags_of(&t, "application_name", slice_of("shop")))->page, 0);
    cr_expect_eq(tags_at(&t, tags_set(&t, slice_of("file=a.py,line=7")))->page, 0);
    uint64_t page = tags_at(&t, tags_set(&t, slice_of("route=/x,line=7")))->page;
    cr_expect(page && page == tags_at(&t, tags_set(&t, slice_of("route=/x,line=8")))->page);
    tags_finish(&t);
}

// ---- runs and loops

static const struct loop_counts one = {.asked = 1, .sent = 1, .waited = 10, .alone = 10};

Test(report, two_keys_of_one_list_make_a_loop) {
    struct runs r = {0};
    struct run *run = runs_of(&r, 77);
    cr_assert(!run_found(run, 5, 0, 1) && !run_found(run, 5, 0, 1)); // the same again is none
    cr_assert(run_found(run, 5, 0, 2));
    cr_assert(!run_found(run, 5, 1, 3) && !run_found(run, 6, 1, 4)); // another column, another list
    runs_asked(&r, 1);
    r.last = 1;
    runs_asked(&r, 1 + RUNS_PAUSE + 1); // a visit later it is none
    run = runs_of(&r, 77);
    cr_assert(!run_found(run, 6, 1, 5));
}

Test(report, only_different_questions_count) {
    struct runs r = {0};
    struct run *run = runs_of(&r, 77);
    for (int i = 0; i < 20; i++)
        run_count(run, 9, &one);
    cr_assert_eq(run->n_keys, 1);
    cr_assert_eq(run->pending.asked, 20);
    for (uint64_t i = 0; i < 4; i++)
        run_count(run, 10 + i, &one);
    cr_assert_eq(run->n_keys, 5);
    runs_read(&r, 1);
    runs_read(&r, 1); // the same reply
    cr_assert_eq(runs_of(&r, 77)->n_keys, 5);
    r.answers++;
    runs_read(&r, 1); // the list again: another page
    cr_assert_eq(runs_of(&r, 77)->n_keys, 0);
}

static struct shape *shape_of_text(struct shape_cache *c, const char *text) {
    struct shape_text values;
    enum reason why;
    struct shape *s = shape_simple(c, slice_of(text), &values, &why);
    cr_assert_not_null(s);
    return s;
}

Test(report, loops_are_bounded_and_what_is_proved_comes_first) {
    struct account memory = {0};
    struct naming names = {0};
    struct loops l = {.max = 3, .memory = &memory};
    struct shape_cache cache;
    struct loop_place p;
    shape_cache_init(&cache, 10, 10000);
    struct loop_about a = {.names = &names,
                           .child = shape_of_text(&cache, "SELECT name FROM book WHERE author_id = 4711")};
    for (uint64_t i = 1; i <= 3; i++) {
        a.key = i;
        cr_assert(loops_add(&l, &a, false, &p));
        loops_at(&l, &p)->of.asked = 10 * i;
    }
    a.key = 4;
    cr_assert(!loops_add(&l, &a, false, &p) && l.not_listed == 1 && !loops_add(&l, &a, true, &p) &&
              l.not_listed == 1);
    loops_at(&l, &(struct loop_place){2, 1})->of.asked = 0; // nothing of it is left
    cr_assert(loops_add(&l, &a, false, &p) && p.at == 1 && !loops_at(&l, &(struct loop_place){2, 1}));
    cr_assert_str_eq(loop_text(loops_at(&l, &p), LOOP_CHILD_STATEMENT),
                     "SELECT name FROM book WHERE author_id = $1");
    cr_assert_str_eq(loop_text(loops_at(&l, &p), LOOP_CHILD_TABLE), "book");
    cr_assert_str_eq(loop_text(loops_at(&l, &p), LOOP_CHILD_COLUMNS), "author_id");
    loops_clear(&l);
    cr_assert(memory.used == 0 && l.max == 3);
    shape_cache_finish(&cache);
}

Test(report, what_a_candidate_had_goes_to_the_loop_that_is_proved) {
    struct loops l = {.max = 3};
    struct loop of[2] = {{.key = 1}, {.key = 2, .proven = true}};
    struct runs r = {0};
    struct run *run = runs_of(&r, 77);
    l.of = of;
    l.n = 2;
    run_count(run, 1, &one);
    run_count(run, 2, &one);
    run_belongs(run, &l, &(struct loop_place){1, 0});
    run_give(run, &l, 5);
    cr_assert(of[0].of.asked == 2 && of[0].pages == 1);
    run->top = true;
    run->list = 9;
    run_belongs(run, &l, &(struct loop_place){2, 1});
    run_count(run, 3, &one);
    run_give(run, &l, 6);
    cr_assert(of[0].of.asked == 0 && of[0].pages == 0 && of[1].of.asked == 3 && of[1].pages == 1 &&
              l.all.asked == 3);
    run->list = 10; // the same list was read again
    run_give(run, &l, 7);
    cr_assert_eq(of[1].pages, 2);
}

// ---- names of columns

Test(report, names_of_a_result_are_those_of_its_database) {
    struct naming *n = calloc(1, sizeof *n);
    struct buf body = buf_make(100);
    struct trail_columns c;
    buf_put_u16(&body, 1);
    buf_put_str(&body, "total");
    buf_put_u32(&body, 0);
    buf_put_u16(&body, 0);
    buf_put_u32(&body, 23);
    buf_put_u16(&body, 4);
    buf_put_u32(&body, UINT32_MAX);
    buf_put_u16(&body, 0);
    cr_assert(trail_columns_read(&c, body.data, body.len));
    for (uint64_t database = 7; database < 9; database++) { // of two that have the same description
        cr_expect_null(naming_label(n, database, &c, 0));
        naming_of_result(n, database, &c, body.data, body.len);
        cr_expect_str_eq(naming_label(n, database, &c, 0), "total");
    }
    buf_free(&body);
    naming_finish(n);
    free(n);
}

Test(report, the_catalogues_names_are_kept) {
    struct account memory = {0};
    struct naming *n = calloc(1, sizeof *n);
    struct vet_link links[2] = {{0, LINK_OWN, 2, 16400}, {0, LINK_OTHER, 1, 16390}};
    char text[] = "public.\"a.b\".author_id\npublic.author.id";
    struct vet_result r = {.n_links = 2, .links = links, .names = text};
    n->memory = &memory;
    naming_of_links(n, 7, &r);
    const char *name = naming_of_column(n, 7, 16400, 2);
    cr_assert_str_eq(name, "public.\"a.b\".author_id");
    cr_assert_str_eq(name + naming_table_end(name), ".author_id");
    cr_assert_str_eq(naming_of_table(n, 7, 16390), "public.author.id");
    cr_assert_null(naming_of_column(n, 8, 16400, 2)); // another database
    naming_finish(n);
    cr_assert_eq(memory.used, 0);
    free(n);
}

// Else no page would have two statements.
Test(report, tags_that_are_others_each_time_end_no_page) {
    struct runs r = {0};
    uint32_t visit = 0;
    for (uint64_t i = 1; i < 20; i++) {
        visit = r.visit;
        runs_tagged(&r, i);
        cr_expect_eq(r.visit != visit, i > 1 && i < 5, "%d", (int)i);
    }
    for (uint64_t i = 100; i < 110; i++) {
        runs_tagged(&r, i / 2 * 2);
        runs_tagged(&r, 0);
        visit = r.visit;
        runs_tagged(&r, i / 2 * 2);
        cr_expect_eq(r.visit, visit);
    }
    runs_tagged(&r, 200);
    cr_expect_neq(r.visit, visit);
}
