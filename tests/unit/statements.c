// SPDX-License-Identifier: PostgreSQL
//
// Statements that mappers and drivers send for one id, as they are on the wire.
#include "tests/unit/statements.h"

const char *const statements[] = {
    // SQLAlchemy
    "SELECT authors.id AS authors_id, authors.tenant_id AS authors_tenant_id, authors.name AS authors_name, "
    "authors.email AS authors_email, authors.deleted_at AS authors_deleted_at \nFROM authors \nWHERE "
    "authors.id = 2",
    "SELECT authors.id AS authors_id FROM authors WHERE authors.id = $1::INTEGER",
    "SELECT authors.id AS authors_id FROM authors WHERE authors.id IN ($1::INTEGER, $2::INTEGER)",
    "SELECT books.id AS books_id, books.title AS books_title \nFROM books \nWHERE 1 = books.author_id",
    "SELECT books.author_id AS books_author_id, books.id AS books_id FROM books WHERE books.author_id IN (1, "
    "2, 7)",
    "SELECT books.id AS books_id FROM books WHERE $1::INTEGER = books.author_id",
    "SELECT books.id AS books_id FROM books WHERE 1 = books.author_id ORDER BY books.position",
    "SELECT books.id AS books_id FROM books WHERE 1 = books.author_id AND books.deleted_at IS NULL",
    "SELECT tags.id AS tags_id, tags.name AS tags_name FROM tags, book_tags "
    "WHERE 1 = book_tags.book_id AND tags.id = book_tags.tag_id",
    "SELECT books_1.id AS books_1_id, tags.id AS tags_id FROM books AS books_1 JOIN book_tags AS book_tags_1 "
    "ON books_1.id = book_tags_1.book_id JOIN tags ON tags.id = book_tags_1.tag_id WHERE books_1.id IN (1, "
    "2)",
    "SELECT authors.id AS authors_id FROM authors WHERE authors.id = 1 \n LIMIT 1",
    "SELECT authors.id AS authors_id FROM authors WHERE authors.id = $1::INTEGER LIMIT $2::INTEGER",
    "SELECT tags.id AS tags_id, tags.name AS tags_name FROM tags WHERE tags.name = 'tag1' LIMIT 1",
    "SELECT tags.id AS tags_id FROM tags WHERE tags.name = $1::VARCHAR LIMIT $2::INTEGER",
    "SELECT count(*) AS count_1 FROM (SELECT books.id AS books_id FROM books WHERE books.author_id = 1) AS "
    "anon_1",
    "SELECT count(books.id) AS count_1 FROM books WHERE books.author_id = 1",
    "SELECT EXISTS (SELECT 1 FROM books WHERE books.author_id = 1) AS anon_1",
    "SELECT max(reviews.stars) AS max_1 FROM reviews WHERE reviews.book_id = 1",
    "SELECT authors.id AS authors_id FROM authors WHERE authors.id = 1 FOR UPDATE",
    "SELECT books.id, anon_1.authors_id AS anon_1_authors_id FROM (SELECT authors.id AS authors_id FROM "
    "authors "
    "WHERE authors.id < 8) AS anon_1 JOIN books ON anon_1.authors_id = books.author_id",
    // Peewee
    "SELECT \"t1\".\"id\", \"t1\".\"name\", \"t1\".\"email\", \"t1\".\"deleted_at\" FROM \"authors\" AS "
    "\"t1\" "
    "WHERE (\"t1\".\"id\" = 2) LIMIT 1 OFFSET 0",
    "SELECT \"t1\".\"id\" FROM \"authors\" AS \"t1\" WHERE (\"t1\".\"id\" = $1) LIMIT $2 OFFSET $3",
    "SELECT \"t1\".\"id\", \"t1\".\"author_id\" FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = 1)",
    "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" IN (SELECT \"t2\".\"id\" FROM "
    "\"authors\" AS \"t2\" WHERE (\"t2\".\"id\" < 8)))",
    "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE ((\"t1\".\"author_id\" = 1) AND "
    "(\"t1\".\"deleted_at\" IS "
    "NULL)) ORDER BY \"t1\".\"title\"",
    "SELECT \"t1\".\"id\", \"t1\".\"name\" FROM \"tags\" AS \"t1\" WHERE (\"t1\".\"name\" = 'tag1') LIMIT 1 "
    "OFFSET 0",
    "SELECT COUNT(1) FROM (SELECT 1 FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = 1)) AS "
    "\"_wrapped\" LIMIT 1",
    "SELECT \"t1\".\"id\" FROM \"books\" AS \"t1\" WHERE (\"t1\".\"author_id\" = 1) ORDER BY \"t1\".\"id\" "
    "DESC LIMIT 1",
    // PonyORM
    "SELECT \"id\", \"name\", \"email\"\nFROM \"authors\"\nWHERE \"id\" IN (2, 5, 7, 10, 12, 4, 9, 11, 1, 6, "
    "8, 3)",
    "SELECT \"id\", \"author_id\", \"title\", \"deleted_at\"\nFROM \"books\"\nWHERE \"author_id\" = 1",
    "SELECT \"T1\".\"tag_id\"\nFROM \"book_tags\" \"T1\"\nWHERE \"T1\".\"book_id\" = 1",
    "SELECT \"id\", \"author_id\", \"bio\" FROM \"profiles\" WHERE \"author_id\" = 1 LIMIT 2",
    "SELECT COUNT(*) FROM \"books\" WHERE \"author_id\" = 1",
    // Django
    "SELECT \"app_author\".\"id\", \"app_author\".\"name\" FROM \"app_author\" WHERE \"app_author\".\"id\" = "
    "2 LIMIT 21",
    "SELECT \"app_book\".\"id\" FROM \"app_book\" WHERE \"app_book\".\"author_id\" IN (1, 2, 3)",
    "SELECT \"tag\".\"id\" FROM \"tag\" INNER JOIN \"book_tags\" ON (\"tag\".\"id\" = "
    "\"book_tags\".\"tag_id\") "
    "WHERE \"book_tags\".\"book_id\" = 1",
    "SELECT (\"book_tags\".\"book_id\") AS \"_prefetch_related_val_book_id\", \"tag\".\"id\" FROM \"tag\" "
    "INNER JOIN "
    "\"book_tags\" ON (\"tag\".\"id\" = \"book_tags\".\"tag_id\") WHERE \"book_tags\".\"book_id\" IN (1, 2, "
    "3)",
    "SELECT \"app_comment\".\"id\" FROM \"app_comment\" WHERE (\"app_comment\".\"content_type_id\" = 7 AND "
    "\"app_comment\".\"object_id\" = 1)",
    "SELECT COUNT(*) AS \"__count\" FROM \"app_book\" WHERE \"app_book\".\"author_id\" = 1",
    "SELECT \"app_book\".\"id\" FROM \"app_book\" WHERE \"app_book\".\"author_id\" = 1 ORDER BY "
    "\"app_book\".\"id\" ASC "
    "LIMIT 1",
    "SELECT \"app_author\".\"id\" FROM \"app_author\" WHERE \"app_author\".\"id\" IN ( -1,1099511627776)",
    // Rails
    "SELECT \"posts\".* FROM \"posts\" WHERE \"posts\".\"id\" = $1 LIMIT $2",
    "SELECT  \"products\".* FROM \"products\" WHERE \"products\".\"id\" = $1 LIMIT $2",
    "SELECT \"order_products\".* FROM \"order_products\" WHERE \"order_products\".\"order_id\" = $1",
    "SELECT  \"users\".* FROM \"users\" WHERE \"users\".\"id\" = $1 ORDER BY \"users\".\"id\" ASC LIMIT $2",
    "SELECT \"taggings\".* FROM \"taggings\" WHERE \"taggings\".\"taggable_id\" = $1 AND "
    "\"taggings\".\"taggable_type\" = $2",
    "SELECT \"tags\".* FROM \"tags\" INNER JOIN \"taggings\" ON \"tags\".\"id\" = \"taggings\".\"tag_id\" "
    "WHERE \"taggings\".\"user_id\" = $1",
    "SELECT \"tags\".* FROM \"tags\" INNER JOIN \"taggings\" ON \"tags\".\"id\" = \"taggings\".\"tag_id\" "
    "WHERE "
    "\"taggings\".\"taggable_id\" = 1 AND \"taggings\".\"taggable_type\" = 'User' AND (taggings.context = "
    "'tags' AND "
    "taggings.tagger_id IS NULL) /*application='PosgresqlGems'*/",
    "SELECT 1 AS one FROM \"items\" WHERE \"items\".\"id\" = $1 LIMIT $2",
    "SELECT  1 AS one FROM \"artworks\" WHERE \"artworks\".\"artist_id\" = $1 AND \"artworks\".\"title\" = "
    "$2 LIMIT $3",
    "SELECT 1 AS one FROM \"games\" INNER JOIN \"enrollments\" ON \"games\".\"id\" = "
    "\"enrollments\".\"game_id\" WHERE "
    "\"enrollments\".\"user_id\" = $1 AND \"games\".\"id\" = 5 LIMIT 1",
    "SELECT \"books\".* FROM \"books\" WHERE \"books\".\"deleted_at\" IS NULL AND \"books\".\"author_id\" = "
    "$1",
    // JVM
    "select b1_0.author_id,b1_0.id,b1_0.title from book b1_0 where b1_0.author_id=$1",
    "select p1_0.id,p1_0.age,p1_0.name from person p1_0 where p1_0.id = any ($1)",
    "select r1_0.ID from KEYCLOAK_ROLE r1_0 where r1_0.NAME=$1 and r1_0.CLIENT=$2",
    "select books0_.author_id as author_i3_1_0_, books0_.id as id1_1_0_ from book books0_ where "
    "books0_.author_id=$1",
    "select b1_0.id from book b1_0 where b1_0.author_id=$1 and (b1_0.deleted_at is null)",
    "select count(*) from category c1_0 where c1_0.id=$1",
    "SELECT ID, NAME FROM AUTHOR WHERE (ID = $1)",
    // .NET
    "SELECT p.\"Id\", p.\"Name\"\nFROM \"Products\" AS p\nWHERE p.\"Id\" = $1\nLIMIT 1",
    "SELECT t.\"Id\", o0.\"OrderId\" FROM (SELECT o.\"Id\" FROM \"Orders\" AS o WHERE o.\"Id\" = $1 LIMIT 1) "
    "AS t "
    "LEFT JOIN \"OrderDetails\" AS o0 ON t.\"Id\" = o0.\"OrderId\" ORDER BY t.\"Id\"",
    "SELECT o.\"Id\" FROM \"Orders\" o WHERE o.\"CustomerId\" = $1 ORDER BY o.\"CreatedOn\" DESC OFFSET $2 "
    "ROWS "
    "FETCH NEXT $3 ROWS ONLY",
    // Go
    "SELECT * FROM \"users\" WHERE \"users\".\"id\" = $1 AND \"users\".\"deleted_at\" IS NULL ORDER BY "
    "\"users\".\"id\" LIMIT $2",
    "SELECT * FROM \"users\" WHERE email=$1 AND \"users\".\"deleted_at\" IS NULL ORDER BY \"users\".\"id\" "
    "LIMIT 1",
    "SELECT * FROM accessibility_request_status_records WHERE request_id=$1 ORDER BY created_at DESC LIMIT "
    "1;",
    "SELECT id, name, role FROM staff WHERE name = $1",
    "SELECT \"book\".\"id\" FROM \"books\" AS \"book\" WHERE (\"book\".\"author_id\" = 1)",
    // Node
    "SELECT \"public\".\"posts\".\"id\" FROM \"public\".\"posts\" WHERE (\"public\".\"posts\".\"id\" = $1 "
    "AND 1=1) LIMIT $2 "
    "OFFSET $3 /* method='GET',route='%2Fposts%2Fff4c',traceparent='00-e984-01' */",
    "SELECT \"public\".\"authors\".\"id\" FROM \"public\".\"authors\" WHERE \"public\".\"authors\".\"id\" IN "
    "($1) OFFSET $2",
    "SELECT \"t0\".\"id\", \"User_comments\".\"__prisma_data__\" FROM \"public\".\"User\" AS \"t0\" LEFT "
    "JOIN LATERAL (SELECT "
    "COALESCE(JSONB_AGG(\"__prisma_data__\"), '[]') AS \"__prisma_data__\" FROM (SELECT 1 AS "
    "\"__prisma_data__\" FROM "
    "\"Comment\" AS \"t1\" WHERE \"t0\".\"id\" = \"t1\".\"authorId\") AS \"t2\") AS \"User_comments\" ON "
    "true",
    "SELECT \"Post\".\"id\" FROM \"posts\" AS \"Post\" LEFT OUTER JOIN \"comments\" AS \"comments\" ON "
    "\"Post\".\"id\" = "
    "\"comments\".\"postId\" WHERE \"Post\".\"id\" = 50000 ORDER BY \"comments\".\"id\" ASC;",
    "SELECT \"id\", \"title\", \"authorId\" FROM \"Books\" AS \"Book\" WHERE \"Book\".\"authorId\" = 1;",
    "SELECT \"Post\".\"id\" AS \"Post_id\" FROM \"posts\" \"Post\" WHERE ((\"Post\".\"id\" = $1)) LIMIT 1",
    "SELECT \"Post\".\"id\" FROM \"posts\" \"Post\" WHERE ( ((\"Post\".\"id\" = $1)) ) AND ( \"Post\".\"id\" "
    "IN ($2) )",
    "SELECT \"category\".\"id\" FROM \"category\" \"category\" INNER JOIN \"post_categories\" "
    "\"post_categories\" ON "
    "\"post_categories\".\"postId\" = $1 AND \"post_categories\".\"categoryId\"=\"category\".\"id\"",
    "select \"b0\".* from \"book\" as \"b0\" where \"b0\".\"author_id\" in "
    "('091f4c46-0000-4000-8000-000000000000') "
    "order by \"b0\".\"author_id\" asc",
    "select \"comments\".* from \"comments\" where \"comments\".\"post_id\" in ($1) order by "
    "\"comments\".\"id\" asc",
    "select \"posts\".\"id\" from \"posts\" inner join \"authors\" on \"authors\".\"id\" = "
    "\"posts\".\"author_id\" where "
    "\"posts\".\"id\" = $1 limit $2",
    "select * from authors where id=$1",
    // PHP
    "select * from \"albums\" where \"id\" = '16' limit 1",
    "select \"photos\".*, \"album_photo\".\"album_id\" as \"pivot_album_id\" from \"photos\" inner join "
    "\"album_photo\" on "
    "\"photos\".\"id\" = \"album_photo\".\"photo_id\" where \"album_photo\".\"album_id\" = $1",
    "select * from \"books\" where \"books\".\"author_id\" = $1 and \"books\".\"author_id\" is not null",
    "SELECT t0.id AS id_1, t0.title AS title_2 FROM composite_key_entity t0 WHERE t0.id = $1 AND t0.title = "
    "$2",
    // Elixir, Rust, Odoo
    "SELECT p0.\"id\", p0.\"title\" FROM \"posts\" AS p0 WHERE (p0.\"id\" = $1)",
    "SELECT c0.\"id\" FROM \"comments\" AS c0 WHERE (c0.\"post_id\" = ANY($1)) ORDER BY c0.\"post_id\"",
    "SELECT COUNT(*) as count FROM votes WHERE user_id = $1",
    "SELECT \"res_partner\".\"id\" FROM \"res_partner\" WHERE \"res_partner\".\"id\" IN (1, 2, 3)",
};

const size_t n_statements = sizeof statements / sizeof *statements;
