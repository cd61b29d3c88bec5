// SPDX-License-Identifier: PostgreSQL
//
// The lookups of mappers and drivers, each with parameters and with constants in the text: which of their
// values may be keys, in what form they are folded, and that the folded text still parses.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/statement/rewrite.h"
#include "batching/statement/parse.h"
#include "batching/statement/parsed.h"
#include "tests/unit/bytes.h"

// Keys: the other side of each candidate, in the order of appearance; in_form as struct parsed says it.
static const struct {
    const char *what;
    const char *extended; // NULL: it is sent with constants only
    const char *simple;   // NULL: as with parameters
    const char *keys;
    bool in_form;
} lookups[] = {
    // SQLAlchemy
    {"1 belongs_to",
     "SELECT authors.id AS authors_id, authors.name AS authors_name \nFROM authors \nWHERE authors.id = $1",
     "SELECT authors.id AS authors_id, authors.name AS authors_name \nFROM authors \nWHERE authors.id = 2",
     "authors.id", true},
    {"2 belongs_to, cast", "SELECT authors.id AS authors_id \nFROM authors \nWHERE authors.id = $1::INTEGER",
     NULL, "authors.id", true},
    {"3 has_many", "SELECT books.id AS books_id FROM books WHERE $1 = books.author_id",
     "SELECT books.id AS books_id FROM books WHERE 1 = books.author_id", "books.author_id", true},
    {"5 has_many, cast", "SELECT books.id AS books_id FROM books WHERE $1::INTEGER = books.author_id", NULL,
     "books.author_id", true},
    {"6 order_by",
     "SELECT books.id AS books_id FROM books WHERE $1 = books.author_id ORDER BY books.position",
     "SELECT books.id AS books_id FROM books WHERE 1 = books.author_id ORDER BY books.position",
     "books.author_id", false},
    {"7 soft delete", "SELECT books.id FROM books WHERE $1 = books.author_id AND books.deleted_at IS NULL",
     "SELECT books.id FROM books WHERE 1 = books.author_id AND books.deleted_at IS NULL", "books.author_id",
     true},
    {"8 has_one", "SELECT profiles.id AS profiles_id FROM profiles WHERE $1 = profiles.author_id",
     "SELECT profiles.id AS profiles_id FROM profiles WHERE 1 = profiles.author_id", "profiles.author_id",
     true},
    {"9 many-to-many",
     "SELECT tags.id AS tags_id, tags.name AS tags_name FROM tags, book_tags WHERE $1 = book_tags.book_id "
     "AND tags.id = "
     "book_tags.tag_id",
     "SELECT tags.id AS tags_id, tags.name AS tags_name FROM tags, book_tags WHERE 1 = book_tags.book_id AND "
     "tags.id = "
     "book_tags.tag_id",
     "book_tags.book_id", false},
    {"11 first()",
     "SELECT authors.id AS authors_id FROM authors WHERE authors.id = $1::INTEGER LIMIT $2::INTEGER",
     "SELECT authors.id AS authors_id FROM authors WHERE authors.id = 1 \n LIMIT 1", "authors.id", false},
    {"12 by unique text",
     "SELECT tags.id AS tags_id FROM tags WHERE tags.name = $1::VARCHAR LIMIT $2::INTEGER",
     "SELECT tags.id AS tags_id FROM tags WHERE tags.name = 'tag1' LIMIT 1", "tags.name", false},
    {"13 count of a subselect",
     "SELECT count(*) AS count_1 FROM (SELECT books.id AS books_id FROM books WHERE books.author_id = $1) AS "
     "anon_1",
     "SELECT count(*) AS count_1 FROM (SELECT books.id AS books_id FROM books WHERE books.author_id = 1) AS "
     "anon_1",
     "books.author_id", false},
    {"14 count", "SELECT count(books.id) AS count_1 FROM books WHERE books.author_id = $1",
     "SELECT count(books.id) AS count_1 FROM books WHERE books.author_id = 1", "books.author_id", false},
    {"15 exists", "SELECT EXISTS (SELECT 1 FROM books WHERE books.author_id = $1) AS anon_1",
     "SELECT EXISTS (SELECT 1 FROM books WHERE books.author_id = 1) AS anon_1", "books.author_id", false},
    {"17 aggregate", "SELECT max(reviews.stars) AS max_1 FROM reviews WHERE reviews.book_id = $1",
     "SELECT max(reviews.stars) AS max_1 FROM reviews WHERE reviews.book_id = 1", "reviews.book_id", false},
    {"18 deferred column", "SELECT authors.name AS authors_name FROM authors WHERE authors.id = $1",
     "SELECT authors.name AS authors_name FROM authors WHERE authors.id = 1", "authors.id", true},
    // Peewee
    {"22, 23 belongs_to",
     "SELECT \"t1\".\"id\" FROM \"authors\" AS \"t1\" WHERE (\"t1\".\"id\" = $1) LIMIT $2 OFFSET $3",
     "SELECT \"t1\".\"id\" FROM \"authors\" AS \"t1\" WHERE (\"t1\".\"id\" = 2) LIMIT 1 OFFSET 0", "t1.id",
     false},
    {"24 has_many", "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = $1)",
     "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = 1)", "t1.author_id", true},
    {"25 soft delete",
     "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE ((\"t1\".\"author_id\" = $1) AND "
     "(\"t1\".\"deleted_at\" IS NULL)) "
     "ORDER BY \"t1\".\"title\"",
     "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE ((\"t1\".\"author_id\" = 1) AND "
     "(\"t1\".\"deleted_at\" IS NULL)) "
     "ORDER BY \"t1\".\"title\"",
     "t1.author_id", false},
    {"28 by unique text",
     "SELECT \"t1\".\"id\" FROM \"tags\" AS \"t1\" WHERE (\"t1\".\"name\" = $1) LIMIT $2 OFFSET $3",
     "SELECT \"t1\".\"id\" FROM \"tags\" AS \"t1\" WHERE (\"t1\".\"name\" = 'it''s') LIMIT 1 OFFSET 0",
     "t1.name", false},
    {"29 count",
     "SELECT COUNT(1) FROM (SELECT 1 FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = $1)) AS "
     "\"_wrapped\" LIMIT $2",
     "SELECT COUNT(1) FROM (SELECT 1 FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = 1)) AS "
     "\"_wrapped\" LIMIT 1",
     "t1.author_id", false},
    {"31 first by order",
     "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = $1) ORDER BY \"t1\".\"id\" "
     "DESC LIMIT $2",
     "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = 1) ORDER BY \"t1\".\"id\" "
     "DESC LIMIT 1",
     "t1.author_id", false},
    // PonyORM
    {"33 has_many", NULL, "SELECT \"id\", \"author_id\", \"title\" \nFROM \"books\"\nWHERE \"author_id\" = 1",
     "author_id", true},
    {"34 many-to-many", NULL,
     "SELECT \"T1\".\"tag_id\"\nFROM \"book_tags\" \"T1\"\nWHERE \"T1\".\"book_id\" = 1", "T1.book_id", true},
    {"35 nested has_many", NULL,
     "SELECT \"id\", \"book_id\", \"stars\" FROM \"reviews\" WHERE \"book_id\" = 48", "book_id", true},
    {"36 has_one", NULL,
     "SELECT \"id\", \"author_id\", \"bio\" FROM \"profiles\" WHERE \"author_id\" = 1 LIMIT 2", "author_id",
     false},
    {"37 by pk", NULL, "SELECT \"id\", \"name\", \"email\" FROM \"authors\" WHERE \"id\" = 1", "id", true},
    {"39 count", NULL, "SELECT COUNT(*) FROM \"books\" WHERE \"author_id\" = 1", "author_id", false},
    // Django
    {"41 ForeignKey", "SELECT \"a\".\"id\" FROM \"a\" WHERE \"a\".\"id\" = $1 LIMIT 21",
     "SELECT \"a\".\"id\" FROM \"a\" WHERE \"a\".\"id\" = 2 LIMIT 21", "a.id", false},
    {"41 ForeignKey, negative", NULL, "SELECT \"a\".\"id\" FROM \"a\" WHERE \"a\".\"id\" =  -2 LIMIT 21",
     "a.id", false},
    {"42 reverse", NULL, "SELECT \"app_book\".\"id\" FROM \"app_book\" WHERE \"app_book\".\"author_id\" = 1",
     "app_book.author_id", true},
    {"44 many-to-many", NULL,
     "SELECT \"tag\".\"id\" FROM \"tag\" INNER JOIN \"book_tags\" ON (\"tag\".\"id\" = "
     "\"book_tags\".\"tag_id\") WHERE "
     "\"book_tags\".\"book_id\" = 1",
     "book_tags.book_id", false},
    {"45 generic", NULL,
     "SELECT \"c\".\"id\" FROM \"c\" WHERE (\"c\".\"content_type_id\" = 7 AND \"c\".\"object_id\" = 1)",
     "c.content_type_id c.object_id", true},
    {"46 count", NULL,
     "SELECT COUNT(*) AS \"__count\" FROM \"app_book\" WHERE \"app_book\".\"author_id\" = 1",
     "app_book.author_id", false},
    {"48 first", NULL,
     "SELECT \"b\".\"id\" FROM \"b\" WHERE \"b\".\"author_id\" = 1 ORDER BY \"b\".\"id\" ASC LIMIT 1",
     "b.author_id", false},
    {"an IN of one, negative", NULL, "SELECT \"b\".\"id\" FROM \"b\" WHERE \"b\".\"author_id\" IN ( -1)",
     "b.author_id", true},
    // Rails
    {"50 belongs_to", "SELECT \"posts\".* FROM \"posts\" WHERE \"posts\".\"id\" = $1 LIMIT $2",
     "SELECT \"posts\".* FROM \"posts\" WHERE \"posts\".\"id\" = 1 LIMIT 1 /*application='x'*/", "posts.id",
     false},
    {"51 two blanks", "SELECT  \"products\".* FROM \"products\" WHERE \"products\".\"id\" = $1 LIMIT $2",
     NULL, "products.id", false},
    {"52 has_many", "SELECT \"op\".* FROM \"op\" WHERE \"op\".\"order_id\" = $1",
     "SELECT \"op\".* FROM \"op\" WHERE \"op\".\"order_id\" = 1", "op.order_id", true},
    {"53 default order",
     "SELECT  \"u\".* FROM \"u\" WHERE \"u\".\"id\" = $1 ORDER BY \"u\".\"id\" ASC LIMIT $2", NULL, "u.id",
     false},
    {"54 has_one", "SELECT \"p\".* FROM \"p\" WHERE \"p\".\"person_id\" = $1 LIMIT $2", NULL, "p.person_id",
     false},
    {"56 polymorphic",
     "SELECT \"t\".* FROM \"t\" WHERE \"t\".\"taggable_id\" = $1 AND \"t\".\"taggable_type\" = $2", NULL,
     "t.taggable_id t.taggable_type", true},
    {"57 through",
     "SELECT \"tags\".* FROM \"tags\" INNER JOIN \"taggings\" ON \"tags\".\"id\" = \"taggings\".\"tag_id\" "
     "WHERE "
     "\"taggings\".\"user_id\" = $1",
     NULL, "taggings.user_id", false},
    {"58 through, comment", NULL,
     "SELECT \"tags\".* FROM \"tags\" INNER JOIN \"taggings\" ON \"tags\".\"id\" = \"taggings\".\"tag_id\" "
     "WHERE "
     "\"taggings\".\"taggable_id\" = 1 AND \"taggings\".\"taggable_type\" = 'User' AND (taggings.context = "
     "'tags' AND "
     "taggings.tagger_id IS NULL) /*application='PosgresqlGems'*/",
     "taggings.taggable_id taggings.taggable_type taggings.context", false},
    {"59 count", "SELECT COUNT(*) FROM \"comments\" WHERE \"comments\".\"article_id\" = $1",
     "SELECT COUNT(*) FROM \"comments\" WHERE \"comments\".\"article_id\" = 799", "comments.article_id",
     false},
    {"60 exists", "SELECT 1 AS one FROM \"items\" WHERE \"items\".\"id\" = $1 LIMIT $2", NULL, "items.id",
     false},
    {"61 two keys",
     "SELECT  1 AS one FROM \"artworks\" WHERE \"artworks\".\"artist_id\" = $1 AND \"artworks\".\"title\" = "
     "$2 LIMIT $3",
     NULL, "artworks.artist_id artworks.title", false},
    {"63 literal and bind",
     "SELECT 1 AS one FROM \"games\" INNER JOIN \"enrollments\" ON \"games\".\"id\" = "
     "\"enrollments\".\"game_id\" WHERE "
     "\"enrollments\".\"user_id\" = $1 AND \"games\".\"id\" = 5 LIMIT 1",
     NULL, "enrollments.user_id", false},
    {"64 soft delete",
     "SELECT \"books\".* FROM \"books\" WHERE \"books\".\"deleted_at\" IS NULL AND \"books\".\"author_id\" = "
     "$1",
     NULL, "books.author_id", true},
    {"65 tenant", "SELECT \"b\".* FROM \"b\" WHERE \"b\".\"tenant_id\" = $1 AND \"b\".\"author_id\" = $2",
     NULL, "b.tenant_id b.author_id", true},
    // JVM
    {"67 has_many", "select b1_0.author_id,b1_0.id,b1_0.title from book b1_0 where b1_0.author_id=$1", NULL,
     "b1_0.author_id", true},
    {"69 batch of one", "select p1_0.id,p1_0.age from person p1_0 where p1_0.id = any ($1)",
     "select p1_0.id,p1_0.age from person p1_0 where p1_0.id = any ('{7}')", "p1_0.id[]", true},
    {"70 two keys", "select r1_0.ID from KEYCLOAK_ROLE r1_0 where r1_0.NAME=$1 and r1_0.CLIENT=$2", NULL,
     "r1_0.name r1_0.client", true},
    {"71 Hibernate 5", "select b0_.author_id as author_i3_1_0_ from book b0_ where b0_.author_id=$1", NULL,
     "b0_.author_id", true},
    {"73 restriction", "select b1_0.id from book b1_0 where b1_0.author_id=$1 and (b1_0.deleted_at is null)",
     NULL, "b1_0.author_id", true},
    {"74 existsById", "select count(*) from category c1_0 where c1_0.id=$1", NULL, "c1_0.id", false},
    {"75 EclipseLink", "SELECT ID, NAME FROM AUTHOR WHERE (ID = $1)", NULL, "id", true},
    // .NET
    {"78 FirstOrDefault", "SELECT p.\"Id\", p.\"Name\"\nFROM \"Products\" AS p\nWHERE p.\"Id\" = $1\nLIMIT 1",
     NULL, "p.Id", false},
    {"80 Single", "SELECT b.\"Id\"\nFROM \"Blogs\" AS b\nWHERE b.\"Id\" = $1\nLIMIT 2", NULL, "b.Id", false},
    {"82 Include",
     "SELECT t.\"Id\", o0.\"OrderId\" FROM (SELECT o.\"Id\" FROM \"Orders\" AS o WHERE o.\"Id\" = $1 LIMIT "
     "1) AS t LEFT JOIN "
     "\"OrderDetails\" AS o0 ON t.\"Id\" = o0.\"OrderId\" ORDER BY t.\"Id\"",
     NULL, "o.Id", false},
    {"83 Dapper",
     "SELECT o.\"Id\" FROM \"Orders\" o WHERE o.\"CustomerId\" = $1 ORDER BY o.\"CreatedOn\" DESC OFFSET $2 "
     "ROWS FETCH NEXT $3 "
     "ROWS ONLY",
     "SELECT o.\"Id\" FROM \"Orders\" o WHERE o.\"CustomerId\" = 5 ORDER BY o.\"CreatedOn\" DESC OFFSET 0 "
     "ROWS FETCH NEXT 10 "
     "ROWS ONLY",
     "o.CustomerId", false},
    // Go
    {"84 First",
     "SELECT * FROM \"users\" WHERE \"users\".\"id\" = $1 AND \"users\".\"deleted_at\" IS NULL ORDER BY "
     "\"users\".\"id\" LIMIT $2",
     NULL, "users.id", false},
    {"85 First, older",
     "SELECT * FROM \"users\" WHERE id = $1 AND \"users\".\"deleted_at\" IS NULL ORDER BY \"users\".\"id\" "
     "LIMIT 1",
     NULL, "id", false},
    {"87 no blanks",
     "SELECT * FROM \"users\" WHERE email=$1 AND \"users\".\"deleted_at\" IS NULL ORDER BY \"users\".\"id\" "
     "LIMIT $2",
     NULL, "email", false},
    {"88 semicolon", "SELECT * FROM status_records WHERE request_id=$1 ORDER BY created_at DESC LIMIT 1;",
     "SELECT * FROM status_records WHERE request_id='a1' ORDER BY created_at DESC LIMIT 1;", "request_id",
     false},
    {"89 count", "SELECT count(*) FROM orders WHERE customer_id = $1", NULL, "customer_id", false},
    {"90 plain", "SELECT id, name, role FROM staff WHERE name = $1", NULL, "name", true},
    {"92 bun", NULL, "SELECT \"book\".\"id\" FROM \"books\" AS \"book\" WHERE (\"book\".\"author_id\" = 1)",
     "book.author_id", true},
    // Node
    {"93, 94 findUnique",
     "SELECT \"public\".\"posts\".\"id\" FROM \"public\".\"posts\" WHERE (\"public\".\"posts\".\"id\" = $1 "
     "AND 1=1) LIMIT $2 "
     "OFFSET $3 /* method='GET',traceparent='00-e984-01' */",
     NULL, "public.posts.id", false},
    {"95 include",
     "SELECT \"public\".\"authors\".\"id\" FROM \"public\".\"authors\" WHERE \"public\".\"authors\".\"id\" "
     "IN ($1) OFFSET $2",
     NULL, "public.authors.id", false},
    {"98 findByPk", NULL,
     "SELECT \"Post\".\"id\" FROM \"posts\" AS \"Post\" LEFT OUTER JOIN \"comments\" AS \"comments\" ON "
     "\"Post\".\"id\" = "
     "\"comments\".\"postId\" WHERE \"Post\".\"id\" = 50000 ORDER BY \"comments\".\"id\" ASC;",
     "Post.id", false},
    {"99 lazy getter", NULL,
     "SELECT \"id\", \"authorId\" FROM \"Books\" AS \"Book\" WHERE \"Book\".\"authorId\" = 1;",
     "Book.authorId", true},
    {"100 findOne",
     "SELECT \"Post\".\"id\" AS \"Post_id\" FROM \"posts\" \"Post\" WHERE ((\"Post\".\"id\" = $1)) LIMIT 1",
     NULL, "Post.id", false},
    {"100 second pass",
     "SELECT \"Post\".\"id\" FROM \"posts\" \"Post\" WHERE ( ((\"Post\".\"id\" = $1)) ) AND ( "
     "\"Post\".\"id\" IN ($2) )",
     NULL, "Post.id Post.id", true},
    {"102 key in ON",
     "SELECT \"category\".\"id\" FROM \"category\" \"category\" INNER JOIN \"pc\" \"pc\" ON "
     "\"pc\".\"postId\" = $1 AND "
     "\"pc\".\"categoryId\"=\"category\".\"id\"",
     NULL, "pc.postId", false},
    {"103 MikroORM", NULL,
     "select \"b0\".* from \"book\" as \"b0\" where \"b0\".\"author_id\" in "
     "('091f4c46-0000-4000-8000-000000000000') order by "
     "\"b0\".\"author_id\" asc",
     "b0.author_id", false},
    {"105 findById", "select \"posts\".* from \"posts\" where \"posts\".\"id\" = $1", NULL, "posts.id", true},
    {"106 one parent",
     "select \"comments\".* from \"comments\" where \"comments\".\"post_id\" in ($1) order by "
     "\"comments\".\"id\" asc",
     NULL, "comments.post_id", false},
    {"108 Drizzle",
     "select \"posts\".\"id\" from \"posts\" inner join \"authors\" on \"authors\".\"id\" = "
     "\"posts\".\"author_id\" where "
     "\"posts\".\"id\" = $1 limit $2",
     NULL, "posts.id", false},
    {"109 plain", "SELECT * FROM posts WHERE id = $1", NULL, "id", true},
    {"110 no blanks", "select * from authors where id=$1", NULL, "id", true},
    // PHP
    {"111 find", "select * from \"albums\" where \"id\" = $1 limit 1",
     "select * from \"albums\" where \"id\" = '16' limit 1", "id", false},
    {"111 raw list", NULL, "select * from \"users\" where \"users\".\"id\" in (11)", "users.id", true},
    {"112 many-to-many",
     "select \"photos\".*, \"ap\".\"album_id\" as \"pivot_album_id\" from \"photos\" inner join \"ap\" on "
     "\"photos\".\"id\" = "
     "\"ap\".\"photo_id\" where \"ap\".\"album_id\" = $1",
     NULL, "ap.album_id", false},
    {"114 key twice",
     "select * from \"books\" where \"books\".\"author_id\" = $1 and \"books\".\"author_id\" is not null",
     NULL, "books.author_id", true},
    {"117 Doctrine", "SELECT t0.id AS id_1, t0.title AS title_2 FROM Article t0 WHERE t0.id = $1", NULL,
     "t0.id", true},
    {"120 composite key",
     "SELECT t0.id AS id_1 FROM composite_key_entity t0 WHERE t0.id = $1 AND t0.title = $2", NULL,
     "t0.id t0.title", true},
    // Elixir, Rust, by hand
    {"121 Ecto", "SELECT p0.\"id\", p0.\"title\" FROM \"posts\" AS p0 WHERE (p0.\"id\" = $1)", NULL, "p0.id",
     true},
    {"121 preload of one",
     "SELECT c0.\"id\" FROM \"comments\" AS c0 WHERE (c0.\"post_id\" = ANY($1)) ORDER BY c0.\"post_id\"",
     NULL, "c0.post_id[]", false},
    {"124 sqlx", "SELECT COUNT(*) as count FROM votes WHERE user_id = $1", NULL, "user_id", false},
    {"composite, as rows", "SELECT a FROM t WHERE (t.x, t.y) IN (($1, $2))",
     "SELECT a FROM t WHERE (t.x, t.y) = (5, 'a')", "t.x t.y", true},
    {"typed literals", NULL,
     "SELECT a FROM t WHERE b > DATE '2020-01-01' AND c = '2020-01-01'::date AND d < INTERVAL '1 day' AND "
     "e::varchar(10) = 'x'",
     "c -", true},
    {"positions", NULL,
     "SELECT DISTINCT ON (1) a, 5 FROM t WHERE id = 7 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 3 OFFSET 4", "id",
     false},
};

#define N_LOOKUPS (sizeof lookups / sizeof *lookups)

// The column as it is written, without quotes and with its table where there is but one; "-" for anything
// else.
static void put_other(struct buf *b, const struct parsed *p, const struct parsed_key *k) {
    for (const char *c = k->column_sql; c && *c; c++)
        if (*c != '"')
            buf_put_u8(b, (uint8_t)*c);
    if (!k->column_sql)
        buf_put_text(b, "-");
    if (k->array)
        buf_put_text(b, "[]");
    cr_expect(k->relation < p->n_relations);
}

static void expect_keys(const char *what, const struct shape *s, const char *wanted, bool in_form) {
    struct buf b = buf_make(1000);
    const struct parsed *p = s->parsed;
    cr_assert_eq(s->reason, REASON_NONE, "%s: %s", what, reason_name(s->reason));
    for (int i = 0; i < p->n_keys && !p->keys[i].range; i++) { // those beside the key come last
        if (i)
            buf_put_u8(&b, ' ');
        put_other(&b, p, &p->keys[i]);
    }
    buf_put_u8(&b, 0);
    cr_expect_str_eq((char *)b.data, wanted, "%s: %s", what, (char *)b.data);
    cr_expect_eq(p->in_form, in_form, "%s: form", what);
    buf_free(&b);
}

// What is sent is SQL, and reads the tables that the original reads.
static void expect_folded(const char *what, const struct shape *s, uint32_t keys,
                          const struct slice *values) {
    struct buf out = buf_make(10000);
    for (int form = 0; form < 3; form++) {
        if (form == 2 && (keys != 1 || !rewrite_in_possible(s, 0)))
            break;
        buf_reset(&out);
        cr_assert(form ? rewrite_folded(s, keys, form == 1 ? FORM_LATERAL : FORM_IN, values, &out)
                       : rewrite_original(s, keys, values, &out));
        buf_put_u8(&out, 0);
        struct parsed *p = parse_statement((char *)out.data, 10000, 100);
        cr_expect_eq(p->kind, STATEMENT_READ, "%s: %s", what, (char *)out.data);
        cr_expect_eq(p->n_relations, s->parsed->n_relations, "%s: %s", what, (char *)out.data);
        parsed_destroy(p);
    }
    buf_free(&out);
}

static void expect_all_masks(const char *what, const struct shape *s, const struct slice *values) {
    for (uint32_t keys = 1; keys < 1u << s->parsed->n_keys; keys++)
        expect_folded(what, s, keys, values);
}

Test(lazyloads, with_parameters) {
    struct shape_cache c;
    enum reason why;
    shape_cache_init(&c, 200, 10000);
    for (size_t i = 0; i < N_LOOKUPS; i++) {
        if (!lookups[i].extended)
            continue;
        struct shape *s = shape_extended(&c, text_slice(lookups[i].extended), 0, NULL, &why);
        cr_assert_not_null(s);
        expect_keys(lookups[i].what, s, lookups[i].keys, lookups[i].in_form);
        expect_all_masks(lookups[i].what, s, NULL);
    }
    shape_cache_finish(&c);
}

// Only the values of a shape differ, so the same keys must come out of both.
Test(lazyloads, with_constants) {
    struct shape_cache c;
    struct shape_text v;
    enum reason why;
    struct slice values[SHAPE_MAX_VALUES];
    shape_cache_init(&c, 200, 10000);
    for (size_t i = 0; i < N_LOOKUPS; i++) {
        if (!lookups[i].simple)
            continue;
        struct slice text = text_slice(lookups[i].simple);
        struct shape *s = shape_simple(&c, text, &v, &why);
        cr_assert(s, "%s: %s", lookups[i].what, reason_name(why));
        for (int at = 0; at < v.n_values; at++)
            values[at] = (struct slice){text.data + v.values[at].at, v.values[at].len};
        expect_keys(lookups[i].what, s, lookups[i].keys, lookups[i].in_form);
        expect_all_masks(lookups[i].what, s, values);
    }
    shape_cache_finish(&c);
}
