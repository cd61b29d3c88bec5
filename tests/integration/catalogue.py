# SPDX-License-Identifier: PostgreSQL
"""The statements that must be folded and those that must not: what object-relational mappers and hand-written resolvers send for
one id, variants in the same spirit, and statements whose answer depends on more than rows.

A row is a statement with $1, $2 …, its values, and the framings (framings.py) in which its drivers send it. A value that
varies is a list, one that does not is a single text. Used by test_catalogue.py and by the differential tester.
"""
import hashlib
import uuid

N = 10  # lookups of a burst

SCHEMA = '''
CREATE EXTENSION citext;
CREATE EXTENSION file_fdw;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN posint AS int CHECK (VALUE >= 0);
CREATE DOMAIN shorttext AS text CHECK (length(VALUE) < 100);
CREATE TYPE pair AS (a int, b text);

CREATE TABLE authors (id int PRIMARY KEY, tenant_id int, name text UNIQUE, email varchar(80), bio text, deleted_at timestamptz);
INSERT INTO authors SELECT i, i % 3, 'author ' || i, 'a' || i || '@example.org', repeat('b', i % 20), CASE WHEN i % 7 = 0 THEN
       '2024-01-01'::timestamptz END FROM generate_series(1, 40) i;
CREATE TABLE profiles (id int PRIMARY KEY, author_id int UNIQUE, person_id int, bio text);
INSERT INTO profiles SELECT i, i, i, 'bio ' || i FROM generate_series(1, 30) i;
CREATE TABLE books (id int PRIMARY KEY, author_id int, tenant_id int, title text, price numeric(10,2), position int, isbn char(13),
                    category_id int, deleted_at timestamptz);
INSERT INTO books SELECT i, i % 12 + 1, i % 3, 'book ' || i % 50, i * 1.5, 100 - i, 'isbn' || i, i % 4, CASE WHEN i % 5 = 0 THEN
       '2024-01-01'::timestamptz END FROM generate_series(1, 120) i;
CREATE INDEX ON books (author_id);
CREATE TABLE reviews (id bigserial PRIMARY KEY, book_id int, stars int, body text);
INSERT INTO reviews (book_id, stars, body) SELECT i % 20 + 1, i % 6, CASE WHEN i % 4 > 0 THEN 'review ' || i END FROM generate_series(1, 100) i;
CREATE TABLE tags (id int PRIMARY KEY, name text UNIQUE);
INSERT INTO tags SELECT i, 'tag' || i FROM generate_series(1, 20) i;
CREATE TABLE book_tags (book_id int, tag_id int, PRIMARY KEY (book_id, tag_id));
INSERT INTO book_tags SELECT b, t FROM generate_series(1, 30) b, generate_series(1, 20) t WHERE (b * 7 + t) % 5 = 0;
CREATE TABLE comments (id int PRIMARY KEY, commentable_type varchar(20), commentable_id int, post_id int, article_id int, parent_id int,
                       body text, created_at timestamptz);
INSERT INTO comments SELECT i, CASE WHEN i % 2 = 0 THEN 'Post' ELSE 'Article' END, i % 15, i % 11, i % 9, i / 3, 'comment ' || i,
       '2024-01-01'::timestamptz + i * interval '1 day' FROM generate_series(1, 120) i;
CREATE TABLE app_author (id int PRIMARY KEY, name varchar(50), bio text);
INSERT INTO app_author SELECT i, 'author ' || i, 'bio ' || i FROM generate_series(1, 30) i;
CREATE TABLE app_book (id int PRIMARY KEY, author_id int, title varchar(50));
INSERT INTO app_book SELECT i, i % 10 + 1, 'title ' || i FROM generate_series(1, 60) i;
CREATE TABLE app_profile (id int PRIMARY KEY, author_id int UNIQUE, url text);
INSERT INTO app_profile SELECT i, i, 'http://' || i FROM generate_series(1, 20) i;
CREATE TABLE app_comment (id int PRIMARY KEY, content_type_id int, object_id int, body text);
INSERT INTO app_comment SELECT i, i % 3 + 6, i % 14, 'c' || i FROM generate_series(1, 90) i;
CREATE TABLE posts (id int PRIMARY KEY, title text, author_id int, user_id int);
INSERT INTO posts SELECT i, 'post ' || i, i % 10, i % 8 FROM generate_series(1, 50) i;
CREATE TABLE order_products (id int PRIMARY KEY, order_id int, product text);
INSERT INTO order_products SELECT i, i % 10 + 1, 'product ' || i FROM generate_series(1, 50) i;
CREATE TABLE users (id bigint PRIMARY KEY, email varchar(100) UNIQUE, name text, deleted_at timestamptz, tenant_id int);
INSERT INTO users SELECT i, 'u' || i || '@example.org', 'user ' || i, NULL, i % 2 FROM generate_series(1, 50) i;
CREATE TABLE taggings (id int PRIMARY KEY, tag_id int, taggable_id int, taggable_type varchar(20), context varchar(20), tagger_id int,
                       user_id int);
INSERT INTO taggings SELECT i, i % 20 + 1, i % 12, CASE WHEN i % 3 = 0 THEN 'User' ELSE 'Post' END, 'tags', NULL, i % 10
       FROM generate_series(1, 100) i;
CREATE TABLE artworks (id int PRIMARY KEY, artist_id int, title text);
INSERT INTO artworks SELECT i, i % 10 + 1, 'art ' || i FROM generate_series(1, 40) i;
CREATE TABLE games (id int PRIMARY KEY, name text);
INSERT INTO games SELECT i, 'game ' || i FROM generate_series(1, 10) i;
CREATE TABLE enrollments (id int PRIMARY KEY, user_id int, game_id int);
INSERT INTO enrollments SELECT i, i % 12, i % 10 + 1 FROM generate_series(1, 70) i;
CREATE TABLE book (id int PRIMARY KEY, author_id int, title varchar(255), deleted_at timestamptz);
INSERT INTO book SELECT i, i % 10 + 1, 'title ' || i, NULL FROM generate_series(1, 60) i;
CREATE TABLE ubook (id uuid PRIMARY KEY, author_id uuid, title text);
INSERT INTO ubook SELECT md5('b' || i)::uuid, md5((i % 10 + 1)::text)::uuid, 'title ' || i FROM generate_series(1, 60) i;
CREATE TABLE person (id bigint PRIMARY KEY, age int, name varchar(255), date_birthday date);
INSERT INTO person SELECT i, 20 + i, 'person ' || i, '1980-01-01'::date + i::int FROM generate_series(1, 30) i;
CREATE TABLE category (id int PRIMARY KEY, name varchar(255), parent_id int);
INSERT INTO category SELECT i, 'category ' || i, i / 2 FROM generate_series(1, 30) i;
CREATE TABLE keycloak_role (id varchar(36) PRIMARY KEY, name varchar(255), client varchar(36), description varchar(255));
INSERT INTO keycloak_role SELECT md5(i::text), 'role' || i % 15, 'client' || i % 3, NULL FROM generate_series(1, 45) i;
CREATE TABLE customer (id int PRIMARY KEY, name varchar(50));
INSERT INTO customer SELECT i, 'customer ' || i FROM generate_series(1, 30) i;
CREATE TABLE author (id int PRIMARY KEY, name varchar(50));
INSERT INTO author SELECT i, 'author ' || i FROM generate_series(1, 30) i;
CREATE TABLE staff (id int PRIMARY KEY, name text, role text);
INSERT INTO staff SELECT i, 'staff ' || i, 'role ' || i % 3 FROM generate_series(1, 30) i;
CREATE TABLE "Products" ("Id" int PRIMARY KEY, "Name" text, "CategoryId" int);
INSERT INTO "Products" SELECT i, 'product ' || i, i % 4 FROM generate_series(1, 30) i;
CREATE TABLE "Orders" ("Id" int PRIMARY KEY, "CustomerId" int, "CreatedOn" timestamptz);
INSERT INTO "Orders" SELECT i, i % 11, '2024-01-01'::timestamptz + i * interval '1 hour' FROM generate_series(1, 60) i;
CREATE TABLE "OrderDetails" ("Id" int PRIMARY KEY, "OrderId" int, "Quantity" int);
INSERT INTO "OrderDetails" SELECT i, i % 30 + 1, i FROM generate_series(1, 90) i;
CREATE TABLE accessibility_request_status_records (id uuid PRIMARY KEY, request_id uuid, status text, created_at timestamptz);
INSERT INTO accessibility_request_status_records SELECT md5('s' || i)::uuid, md5((i % 10 + 1)::text)::uuid, 'status ' || i,
       '2024-01-01'::timestamptz + i * interval '1 minute' FROM generate_series(1, 60) i;
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total numeric(12,2), state text, created_at timestamptz);
INSERT INTO orders SELECT i, i % 11, i * 3.25, CASE WHEN i % 3 = 0 THEN 'open' ELSE 'paid' END, '2024-01-01'::timestamptz + i * interval '1 hour'
       FROM generate_series(1, 80) i;
CREATE TABLE "Books" ("id" int PRIMARY KEY, "title" text, "authorId" int);
INSERT INTO "Books" SELECT i, 'title ' || i, i % 10 FROM generate_series(1, 50) i;
CREATE TABLE post_categories ("postId" int, "categoryId" int, PRIMARY KEY ("postId", "categoryId"));
INSERT INTO post_categories SELECT p, c FROM generate_series(1, 20) p, generate_series(1, 12) c WHERE (p + c) % 4 = 0;
CREATE TABLE albums (id bigint PRIMARY KEY, title varchar(255));
INSERT INTO albums SELECT i, 'album ' || i FROM generate_series(1, 30) i;
CREATE TABLE photos (id bigint PRIMARY KEY, url varchar(255));
INSERT INTO photos SELECT i, 'photo ' || i FROM generate_series(1, 60) i;
CREATE TABLE album_photo (album_id bigint, photo_id bigint, PRIMARY KEY (album_id, photo_id));
INSERT INTO album_photo SELECT a, p FROM generate_series(1, 20) a, generate_series(1, 60) p WHERE (a * 3 + p) % 13 = 0;
CREATE TABLE articles (id int PRIMARY KEY, title varchar(255), category_id int);
INSERT INTO articles SELECT i, 'article ' || i, i % 9 FROM generate_series(1, 50) i;
CREATE TABLE composite_key_entity (id int, title varchar(255), PRIMARY KEY (id, title));
INSERT INTO composite_key_entity SELECT i, 'title ' || j FROM generate_series(1, 12) i, generate_series(1, 3) j;
CREATE TABLE saml20_sp_remote (entity_id varchar(255) PRIMARY KEY, entity_data text);
INSERT INTO saml20_sp_remote SELECT 'https://sp' || i || '.example.org', 'data ' || i FROM generate_series(1, 30) i;
CREATE TABLE res_partner (id int PRIMARY KEY, name varchar, active bool, parent_id int, lang varchar);
INSERT INTO res_partner SELECT i, 'partner ' || i, i % 6 > 0, i / 4, 'en_US' FROM generate_series(1, 40) i;

CREATE TABLE kinds (id int PRIMARY KEY, t text, v varchar(20), c char(8), u uuid, n numeric, n2 numeric(10,2), d date, ts timestamp,
                    tz timestamptz, e mood, b bool, ba bytea, i inet, f8 float8, f4 float4, i2 int2, i8 int8,
                    nm name, tm time, iv interval, o oid, j jsonb, ar int[], body text);
INSERT INTO kinds SELECT i, 'text ' || i % 15, 'var ' || i % 15, 'ch' || i % 15,
       md5((i % 15)::text)::uuid, ((i % 15) || CASE WHEN i % 2 = 0 THEN '.50' ELSE '.5' END)::numeric, i % 15 + 0.25, '2024-01-01'::date + i % 15,
       '2024-01-01'::timestamp + i % 15 * interval '1 hour', '2024-01-01 00:00+00'::timestamptz + i % 15 * interval '1 hour',
       (ARRAY['sad', 'ok', 'happy']::mood[])[i % 3 + 1], i % 2 = 0, decode(md5((i % 15)::text), 'hex'),
       ('10.0.0.' || i % 15)::inet, CASE WHEN i % 15 = 0 THEN 'NaN' WHEN i % 15 = 1 THEN CASE WHEN i % 2 = 0 THEN '-0' ELSE '0' END
       ELSE ((i % 15) * 0.5)::text END::float8, (i % 15) * 0.5, i % 15, i % 15, 'name ' || i % 15, '10:00'::time + i % 15 * interval '1 minute',
       i % 15 * interval '1 day', i % 15, jsonb_build_object('k', i % 15), ARRAY[i % 15], 'row ' || i
       FROM (SELECT generate_series(1, 60)) g(i) CROSS JOIN LATERAL (SELECT 1) x;
CREATE TABLE kinds2 (id int PRIMARY KEY, ci citext, dom posint, dt shorttext, body text);
INSERT INTO kinds2 SELECT i, CASE WHEN i % 2 = 0 THEN 'Case ' ELSE 'case ' END || i % 15, i % 15, 'short ' || i % 15, 'row ' || i FROM generate_series(1, 60) i;

CREATE TABLE part (id int, region int, body text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
INSERT INTO part SELECT i, i % 2 + 1, 'part ' || i FROM generate_series(1, 40) i;
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, count(*) AS n, sum(total) AS total FROM orders GROUP BY customer_id;
CREATE TABLE child_of_authors (extra text) INHERITS (authors);
CREATE SCHEMA shop;
CREATE TABLE shop.item (id int PRIMARY KEY, name text, shop_id int);
INSERT INTO shop.item SELECT i, 'item ' || i, i % 7 FROM generate_series(1, 40) i;
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Odd ""Table""" ("Key Id" int PRIMARY KEY, "select" text);
INSERT INTO "Odd Schema"."Odd ""Table""" SELECT i, 'odd ' || i FROM generate_series(1, 40) i;

CREATE TABLE secured (id int PRIMARY KEY, owner text, body text);
INSERT INTO secured SELECT i, 'x', 'secured ' || i FROM generate_series(1, 40) i;
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON secured USING (owner = 'x');
CREATE VIEW author_view AS SELECT id, name, current_user AS seen_by FROM authors;
CREATE VIEW plain_view AS SELECT id, name FROM authors;
CREATE FUNCTION user_fn(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1 + 1';
CREATE FUNCTION stable_fn(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT name FROM authors WHERE id = $1';
CREATE FUNCTION rows_fn(int) RETURNS SETOF authors LANGUAGE sql STABLE AS 'SELECT * FROM authors WHERE id = $1';
CREATE FUNCTION setting_fn(int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT current_user::text';
CREATE FUNCTION same(int, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''my.fn'', $2, false); RETURN $1::text = $2; END';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = text, FUNCTION = same);
CREATE FUNCTION my_add(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE AGGREGATE my_sum(int) (SFUNC = my_add, STYPE = int, INITCOND = '0');
CREATE SEQUENCE counter;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE far (id int) SERVER files OPTIONS (program 'seq 1 40');
GRANT USAGE ON SCHEMA shop, "Odd Schema" TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA public, shop, "Odd Schema" TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
ANALYZE
'''


class Row:
    """`args`: (type, values). `why`: None where the statement must be folded, else why it must not. `moving`: its answer differs
    from run to run. `first`: sent on each connection beforehand; such a row has connections of its own. `unordered`: the order of its
    rows is PostgreSQL's choice."""

    def __init__(self, name, sql, args, framings, why=None, moving=False, first=(), unordered=False):
        self.name, self.sql, self.args, self.framings = name, sql, args, framings
        self.why, self.moving, self.first, self.unordered = why, moving, first, unordered

    def values(self, i):
        """Of the i-th lookup."""
        return [(kind, v[i % len(v)] if isinstance(v, list) else v) for kind, v in self.args]

    def __repr__(self):
        return self.name


def ints(*numbers):
    return [str(n) for n in numbers]


IDS = ints(1, 2, 3, 5, 8, 3, 9, 10, 9999, 7)  # one twice, one that is nowhere
ID = ("int4", IDS)
BIG = ("int8", IDS)
UUIDS = [str(uuid.UUID(hashlib.md5(k.encode()).hexdigest())) for k in IDS]
UUID = ("uuid", UUIDS)
ONE, TWO, ZERO = ("int8", "1"), ("int8", "2"), ("int8", "0")


def text(pattern, kind="text"):
    return (kind, [pattern % i for i in IDS])


PSY2, PSY = ["simple"], ["simple", "psycopg", "psycopg named"]
PONY, DJANGO, RAILS, JVM = ["simple"], ["simple", "psycopg"], ["ruby", "simple"], ["pgjdbc", "pgjdbc named"]
NET, GO, LIBPQ, PRISMA = ["npgsql"], ["pgx"], ["lib/pq"], ["prisma", "pg"]
NODE, PJS, PHP, ELIXIR, RUST = ["pg"], ["postgres.js"], ["pdo"], ["postgrex"], ["sqlx"]
ANY = ["simple", "pg", "asyncpg"]

AUTHOR = ("SELECT authors.id AS authors_id, authors.tenant_id AS authors_tenant_id, authors.name AS authors_name, authors.email AS authors_email, "
          "authors.deleted_at AS authors_deleted_at \nFROM authors \n")
BOOK = ("SELECT books.id AS books_id, books.author_id AS books_author_id, books.title AS books_title, books.price AS books_price \n"
        "FROM books \n")
PEEWEE_AUTHOR = 'SELECT "t1"."id", "t1"."name", "t1"."email", "t1"."deleted_at" FROM "authors" AS "t1" '
PEEWEE_BOOK = 'SELECT "t1"."id", "t1"."author_id", "t1"."title" FROM "books" AS "t1" '

KNOWN = [
    # SQLAlchemy
    Row("1 sqlalchemy belongs_to", AUTHOR + "WHERE authors.id = $1", [ID], PSY2),
    Row("2 sqlalchemy belongs_to cast", AUTHOR + "WHERE authors.id = $1::INTEGER", [ID], PSY[1:]),
    Row("3 sqlalchemy has_many", BOOK + "WHERE $1 = books.author_id", [ID], PSY2),
    Row("5 sqlalchemy has_many cast", BOOK + "WHERE $1::INTEGER = books.author_id", [ID], PSY[1:] + ["asyncpg"]),
    Row("6 sqlalchemy has_many order", BOOK + "WHERE $1 = books.author_id ORDER BY books.position", [ID], PSY2),
    Row("7 sqlalchemy soft delete", BOOK + "WHERE $1 = books.author_id AND books.deleted_at IS NULL", [ID], PSY2),
    Row("8 sqlalchemy has_one", "SELECT profiles.id AS profiles_id, profiles.author_id AS profiles_author_id, profiles.bio AS profiles_bio \n"
        "FROM profiles \nWHERE $1 = profiles.author_id", [ID], PSY2),
    Row("9 sqlalchemy many-to-many", "SELECT tags.id AS tags_id, tags.name AS tags_name \nFROM tags, book_tags \n"
        "WHERE $1 = book_tags.book_id AND tags.id = book_tags.tag_id", [ID], PSY2),
    Row("9b sqlalchemy many-to-many cast", "SELECT tags.id AS tags_id, tags.name AS tags_name \nFROM tags, book_tags \n"
        "WHERE $1::INTEGER = book_tags.book_id AND tags.id = book_tags.tag_id", [ID], PSY[1:] + ["asyncpg"]),
    Row("11 sqlalchemy first", AUTHOR + "WHERE authors.id = $1 \n LIMIT $2", [ID, ONE], PSY2),
    Row("11b sqlalchemy first cast", AUTHOR + "WHERE authors.id = $1::INTEGER \n LIMIT $2::INTEGER", [ID, ONE], PSY[1:]),
    Row("12 sqlalchemy by text", "SELECT tags.id AS tags_id, tags.name AS tags_name \nFROM tags \nWHERE tags.name = $1 \n LIMIT $2",
        [text("tag%s"), ONE], PSY2),
    Row("12b sqlalchemy by text cast", "SELECT tags.id AS tags_id, tags.name AS tags_name \nFROM tags \nWHERE tags.name = $1::VARCHAR \n"
        " LIMIT $2::INTEGER", [text("tag%s"), ONE], PSY[1:]),
    Row("13 sqlalchemy count", "SELECT count(*) AS count_1 \nFROM (SELECT books.id AS books_id, books.author_id AS books_author_id \nFROM books "
        "\nWHERE books.author_id = $1) AS anon_1", [ID], PSY),
    Row("14 sqlalchemy scalar count", "SELECT count(books.id) AS count_1 \nFROM books \nWHERE books.author_id = $1", [ID], PSY),
    Row("15 sqlalchemy exists", "SELECT EXISTS (SELECT 1 \nFROM books \nWHERE books.author_id = $1) AS anon_1", [ID], PSY),
    Row("17 sqlalchemy max", "SELECT max(reviews.stars) AS max_1 \nFROM reviews \nWHERE reviews.book_id = $1", [ID], PSY),
    Row("18 sqlalchemy deferred", "SELECT authors.name AS authors_name \nFROM authors \nWHERE authors.id = $1", [ID], PSY),
    # Peewee
    Row("22 peewee belongs_to", PEEWEE_AUTHOR + 'WHERE ("t1"."id" = $1) LIMIT $2 OFFSET $3', [ID, ONE, ZERO], PSY),
    Row("24 peewee has_many", PEEWEE_BOOK + 'WHERE ("t1"."author_id" = $1)', [ID], PSY),
    Row("25 peewee soft delete", PEEWEE_BOOK + 'WHERE (("t1"."author_id" = $1) AND ("t1"."deleted_at" IS NULL)) ORDER BY "t1"."title", "t1"."id"',
        [ID], PSY),
    Row("28 peewee by text", 'SELECT "t1"."id", "t1"."name" FROM "tags" AS "t1" WHERE ("t1"."name" = $1) LIMIT $2 OFFSET $3',
        [text("tag%s"), ONE, ZERO], PSY),
    Row("29 peewee count", 'SELECT COUNT(1) FROM (SELECT 1 FROM "books" AS "t1" WHERE ("t1"."author_id" = $1)) AS "_wrapped" LIMIT $2',
        [ID, ONE], PSY),
    Row("31 peewee first", PEEWEE_BOOK + 'WHERE ("t1"."author_id" = $1) ORDER BY "t1"."id" DESC LIMIT $2', [ID, ONE], PSY),
    # Pony
    Row("33 pony has_many", 'SELECT "id", "author_id", "title", "deleted_at"\nFROM "books"\nWHERE "author_id" = $1', [ID], PONY),
    Row("34 pony many-to-many", 'SELECT "T1"."tag_id"\nFROM "book_tags" "T1"\nWHERE "T1"."book_id" = $1', [ID], PONY),
    Row("35 pony nested", 'SELECT "id", "book_id", "stars"\nFROM "reviews"\nWHERE "book_id" = $1', [ID], PONY),
    Row("36 pony has_one", 'SELECT "id", "author_id", "bio"\nFROM "profiles"\nWHERE "author_id" = $1\nLIMIT 2', [ID], PONY),
    Row("37 pony pk", 'SELECT "id", "name", "email"\nFROM "authors"\nWHERE "id" = $1', [ID], PONY),
    Row("39 pony count", 'SELECT COUNT(*)\nFROM "books"\nWHERE "author_id" = $1', [ID], PONY),
    Row("40 pony is_empty", 'SELECT "id", "author_id", "title", "deleted_at"\nFROM "books"\nWHERE "author_id" = $1\nLIMIT 1', [ID], PONY),
    # Django
    Row("41 django fk", 'SELECT "app_author"."id", "app_author"."name" FROM "app_author" WHERE "app_author"."id" = $1 LIMIT 21', [ID], DJANGO),
    Row("42 django reverse", 'SELECT "app_book"."id", "app_book"."title", "app_book"."author_id" FROM "app_book" WHERE "app_book"."author_id" = $1',
        [ID], DJANGO),
    Row("43 django one to one", 'SELECT "app_profile"."id", "app_profile"."author_id" FROM "app_profile" WHERE "app_profile"."author_id" = $1 LIMIT 21',
        [ID], DJANGO),
    Row("44 django many-to-many", 'SELECT "tags"."id", "tags"."name" FROM "tags" INNER JOIN "book_tags" ON ("tags"."id" = "book_tags"."tag_id") '
        'WHERE "book_tags"."book_id" = $1', [ID], DJANGO),
    Row("45 django generic fk", 'SELECT "app_comment"."id", "app_comment"."body" FROM "app_comment" WHERE ("app_comment"."content_type_id" = $1 AND '
        '"app_comment"."object_id" = $2)', [("int4", "7"), ID], DJANGO),
    Row("46 django count", 'SELECT COUNT(*) AS "__count" FROM "app_book" WHERE "app_book"."author_id" = $1', [ID], DJANGO),
    Row("48 django first", 'SELECT "app_book"."id", "app_book"."title" FROM "app_book" WHERE "app_book"."author_id" = $1 ORDER BY "app_book"."id" ASC LIMIT 1',
        [ID], DJANGO),
    Row("49 django deferred", 'SELECT "app_author"."id", "app_author"."bio" FROM "app_author" WHERE "app_author"."id" = $1 LIMIT 21', [ID], DJANGO),
    # Rails
    Row("50 rails find", 'SELECT "posts".* FROM "posts" WHERE "posts"."id" = $1 LIMIT $2', [ID, ONE], RAILS),
    Row("51 rails find 5.2", 'SELECT  "users".* FROM "users" WHERE "users"."id" = $1 LIMIT $2', [BIG, ONE], RAILS),
    Row("52 rails has_many", 'SELECT "order_products".* FROM "order_products" WHERE "order_products"."order_id" = $1', [ID], RAILS),
    Row("53 rails find ordered", 'SELECT  "users".* FROM "users" WHERE "users"."id" = $1 ORDER BY "users"."id" ASC LIMIT $2', [BIG, ONE], RAILS),
    Row("54 rails has_one", 'SELECT "profiles".* FROM "profiles" WHERE "profiles"."person_id" = $1 LIMIT $2', [ID, ONE], RAILS),
    Row("56 rails polymorphic", 'SELECT "taggings".* FROM "taggings" WHERE "taggings"."taggable_id" = $1 AND "taggings"."taggable_type" = $2',
        [ID, ("varchar", "Post")], RAILS),
    Row("57 rails through", 'SELECT "tags".* FROM "tags" INNER JOIN "taggings" ON "tags"."id" = "taggings"."tag_id" WHERE "taggings"."user_id" = $1',
        [ID], RAILS, unordered=True),
    Row("58 rails log tags", 'SELECT "tags".* FROM "tags" INNER JOIN "taggings" ON "tags"."id" = "taggings"."tag_id" WHERE "taggings"."taggable_id" = $1 '
        'AND "taggings"."taggable_type" = \'User\' AND (taggings.context = \'tags\' AND taggings.tagger_id IS NULL) '
        "/*application='PosgresqlGems'*/", [ID], PSY2, unordered=True),
    Row("59 rails count", 'SELECT COUNT(*) FROM "comments" WHERE "comments"."article_id" = $1', [ID], RAILS),
    Row("60 rails exists", 'SELECT 1 AS one FROM "authors" WHERE "authors"."id" = $1 LIMIT $2', [ID, ONE], RAILS),
    Row("61 rails exists two keys", 'SELECT  1 AS one FROM "artworks" WHERE "artworks"."artist_id" = $1 AND "artworks"."title" = $2 LIMIT $3',
        [ID, ("text", ["art %d" % (int(i) - 1) for i in IDS]), ONE], RAILS),
    Row("63 rails exists through", 'SELECT 1 AS one FROM "games" INNER JOIN "enrollments" ON "games"."id" = "enrollments"."game_id" WHERE '
        '"enrollments"."user_id" = $1 AND "games"."id" = 5 LIMIT 1', [ID], RAILS),
    Row("64 rails soft delete", 'SELECT "books".* FROM "books" WHERE "books"."deleted_at" IS NULL AND "books"."author_id" = $1', [ID], RAILS),
    Row("65 rails tenant", 'SELECT "books".* FROM "books" WHERE "books"."tenant_id" = $1 AND "books"."author_id" = $2', [("int4", "1"), ID], RAILS),
    # JVM
    Row("67 hibernate has_many", "select b1_0.author_id,b1_0.id,b1_0.title from book b1_0 where b1_0.author_id=$1", [ID], JVM),
    Row("68 hibernate find", "select a1_0.id,a1_0.name from authors a1_0 where a1_0.id=$1", [ID], JVM),
    Row("69 hibernate any of one", "select p1_0.id,p1_0.age,p1_0.name from person p1_0 where p1_0.id = any ($1)",
        [("int8[]", ["{%s}" % i for i in IDS])], JVM),
    Row("70 hibernate two keys", "select r1_0.ID,r1_0.NAME,r1_0.DESCRIPTION from KEYCLOAK_ROLE r1_0 where r1_0.NAME=$1 and r1_0.CLIENT=$2",
        [text("role%s", "varchar"), ("varchar", "client1")], JVM),
    Row("71 hibernate 5", "select books0_.author_id as author_i3_1_0_, books0_.id as id1_1_0_, books0_.id as id1_1_1_, books0_.title as title2_1_1_ "
        "from book books0_ where books0_.author_id=$1", [ID], JVM),
    Row("73 hibernate restriction", "select b1_0.author_id,b1_0.id,b1_0.title from book b1_0 where b1_0.author_id=$1 and (b1_0.deleted_at is null)",
        [ID], JVM),
    Row("74 hibernate exists", "select count(*) from category c1_0 where c1_0.id=$1", [ID], JVM),
    Row("75 eclipselink", "SELECT ID, NAME FROM AUTHOR WHERE (ID = $1)", [ID], JVM),
    Row("76 ebean", "select t0.id, t0.name from customer t0 where t0.id = $1", [ID], JVM),
    Row("76b ebean any", "select t0.id, t0.name from customer t0 where t0.id = any($1)", [("int4[]", ["{%s}" % i for i in IDS])], JVM),
    Row("77 jooq", 'select "author"."id", "author"."name" from "author" where "author"."id" = $1', [ID], JVM),
    # .NET
    Row("78 ef first", 'SELECT p."Id", p."Name", p."CategoryId"\nFROM "Products" AS p\nWHERE p."Id" = $1\nLIMIT 1', [ID], NET),
    Row("80 ef single", 'SELECT p."Id", p."Name"\nFROM "Products" AS p\nWHERE p."Id" = $1\nLIMIT 2', [ID], NET),
    Row("82 ef include", 'SELECT t."Id", t."CustomerId", o0."Id", o0."OrderId", o0."Quantity"\nFROM (\n    SELECT o."Id", o."CustomerId"\n'
        '    FROM "Orders" AS o\n    WHERE o."Id" = $1\n    LIMIT 1\n) AS t\nLEFT JOIN "OrderDetails" AS o0 ON t."Id" = o0."OrderId"\n'
        'ORDER BY t."Id", o0."Id"', [ID], NET),
    Row("83 dapper", 'SELECT o."Id", o."CreatedOn" FROM "Orders" AS o WHERE o."CustomerId" = $1 ORDER BY o."CreatedOn" DESC OFFSET $2 ROWS '
        'FETCH NEXT $3 ROWS ONLY', [ID, ("int8", "0"), ("int8", "3")], NET),
    # Go
    Row("84 gorm first", 'SELECT * FROM "users" WHERE "users"."id" = $1 AND "users"."deleted_at" IS NULL ORDER BY "users"."id" LIMIT $2',
        [BIG, ONE], GO),
    Row("85 gorm older", 'SELECT * FROM "users" WHERE id = $1 AND "users"."deleted_at" IS NULL ORDER BY "users"."id" LIMIT 1', [BIG], GO),
    Row("87 gorm by email", 'SELECT * FROM "users" WHERE email=$1 AND "users"."deleted_at" IS NULL ORDER BY "users"."id" LIMIT $2',
        [text("u%s@example.org", "varchar"), ONE], GO),
    Row("88 resolver", "SELECT * FROM accessibility_request_status_records WHERE request_id=$1 ORDER BY created_at DESC LIMIT 1;", [UUID], LIBPQ),
    Row("89 count", "SELECT count(*) FROM orders WHERE customer_id = $1", [ID], GO),
    Row("90 pgx by name", "SELECT id, name, role FROM staff WHERE name = $1", [text("staff %s")], GO),
    Row("92 bun", 'SELECT "book"."id", "book"."title" FROM "books" AS "book" WHERE ("book"."author_id" = $1)', [ID], PSY2),
    # Node
    Row("93 prisma findUnique", 'SELECT "public"."posts"."id", "public"."posts"."title" FROM "public"."posts" WHERE ("public"."posts"."id" = $1 AND 1=1) '
        'LIMIT $2 OFFSET $3', [ID, ONE, ZERO], PRISMA),
    Row("94 prisma trace", 'SELECT "public"."posts"."id" FROM "public"."posts" WHERE ("public"."posts"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3 '
        "/* method='GET',route='%2Fposts%2Fff4c',traceparent='00-e984-01' */", [ID, ONE, ZERO], PRISMA),
    Row("95 prisma include", 'SELECT "public"."authors"."id", "public"."authors"."name" FROM "public"."authors" WHERE "public"."authors"."id" IN ($1) '
        'OFFSET $2', [ID, ZERO], PRISMA),
    Row("98 sequelize include", 'SELECT "Post"."id", "Post"."title", "comments"."id" AS "comments.id" FROM "posts" AS "Post" LEFT OUTER JOIN "comments" AS '
        '"comments" ON "Post"."id" = "comments"."post_id" WHERE "Post"."id" = $1 ORDER BY "comments"."id" ASC;', [ID], PSY2),
    Row("99 sequelize getter", 'SELECT "id", "title", "authorId" FROM "Books" AS "Book" WHERE "Book"."authorId" = $1;', [ID], PSY2),
    Row("100 typeorm findOne", 'SELECT "Post"."id" AS "Post_id", "Post"."title" AS "Post_title" FROM "posts" "Post" WHERE (("Post"."id" = $1)) LIMIT 1',
        [ID], NODE),
    Row("100b typeorm second pass", 'SELECT "Post"."id" AS "Post_id", "Post"."title" AS "Post_title" FROM "posts" "Post" WHERE ( (("Post"."id" = $1)) ) '
        'AND ( "Post"."id" IN ($2) )', [ID, ID], NODE),
    Row("102 typeorm many-to-many", 'SELECT "category"."id" AS "category_id", "category"."name" AS "category_name" FROM "category" "category" INNER JOIN '
        '"post_categories" "post_categories" ON "post_categories"."postId" = $1 AND "post_categories"."categoryId"="category"."id"', [ID], NODE),
    Row("103 mikro-orm", 'select "b0".* from "ubook" as "b0" where "b0"."author_id" in ($1) order by "b0"."author_id" asc', [UUID], PSY2),
    Row("105 objection", 'select "posts".* from "posts" where "posts"."id" = $1', [ID], NODE),
    Row("106 objection related", 'select "comments".* from "comments" where "comments"."post_id" in ($1) order by "comments"."id" asc', [ID], NODE),
    Row("108 drizzle", 'select "posts"."id", "posts"."title" from "posts" inner join "authors" on "authors"."id" = "posts"."author_id" where '
        '"posts"."id" = $1 limit $2', [ID, ONE], NODE + PJS),
    Row("109 pg", "SELECT * FROM posts WHERE id = $1", [ID], NODE),
    Row("110 postgres.js", "select * from authors where id=$1", [ID], PJS),
    # PHP
    Row("111 eloquent find", 'select * from "albums" where "id" = $1 limit 1', [BIG], PHP),
    Row("112 eloquent many-to-many", 'select "photos".*, "album_photo"."album_id" as "pivot_album_id", "album_photo"."photo_id" as "pivot_photo_id" from '
        '"photos" inner join "album_photo" on "photos"."id" = "album_photo"."photo_id" where "album_photo"."album_id" = $1', [BIG], PHP, unordered=True),
    Row("114 eloquent has_many", 'select * from "books" where "books"."author_id" = $1 and "books"."author_id" is not null', [ID], PHP),
    Row("115 eloquent belongs_to", 'select * from "authors" where "authors"."id" = $1 limit 1', [ID], PHP),
    Row("117 doctrine find", "SELECT t0.id AS id_1, t0.title AS title_2 FROM articles t0 WHERE t0.id = $1", [ID], PHP),
    Row("118 doctrine collection", "SELECT t0.id AS id_1, t0.title AS title_2 FROM articles t0 WHERE t0.category_id = $1", [ID], PHP),
    Row("120 doctrine composite", "SELECT t0.id AS id_1, t0.title AS title_2 FROM composite_key_entity t0 WHERE t0.id = $1 AND t0.title = $2",
        [ID, ("varchar", ["title %d" % (i % 4) for i in range(N)])], PHP),
    # others
    Row("121 ecto get", 'SELECT p0."id", p0."title" FROM "posts" AS p0 WHERE (p0."id" = $1)', [ID], ELIXIR),
    Row("122 diesel", 'SELECT "posts"."id", "posts"."title", "posts"."user_id" FROM "posts" WHERE ("posts"."user_id" = $1)', [ID], ["sqlx", "ruby"]),
    Row("124 sqlx count", "SELECT COUNT(*) as count FROM orders WHERE customer_id = $1", [ID], RUST),
    Row("125 odoo", 'SELECT "res_partner"."id", "res_partner"."name" FROM "res_partner" WHERE "res_partner"."id" IN ($1)', [ID], PSY2),
    Row("127 pdo", "SELECT entity_id, entity_data FROM saml20_sp_remote WHERE entity_id = $1", [text("https://sp%s.example.org", "varchar")], PHP),
]

KIND_VALUES = {
    "t": text("text %s"), "v": text("var %s", "varchar"), "c": text("ch%s", "bpchar"), "u": UUID,
    "n": ("numeric", ["1.5", "2.50", "3.500", "4.5", "5.50", "6.5", "0.5", "99.1", "7.5", "8.50"]),
    "n2": ("numeric", ["1.25", "2.250", "3.25", "4.25", "5.25", "6.25", "0.25", "99.0", "7.25", "8.25"]),
    "d": ("date", ["2024-01-%02d" % i for i in range(1, N + 1)]),
    "ts": ("timestamp", ["2024-01-01 %02d:00:00" % i for i in range(N)]),
    "tz": ("timestamptz", ["2024-01-01 %02d:00:00+%02d" % (i + 2, i % 3) for i in range(N)]),
    "e": ("enum", ["sad", "ok", "happy", "ok", "sad"] * 2), "dom": ("int4", IDS), "dt": text("short %s"),
    "b": ("bool", ["t", "f"] * 5), "ba": ("bytea", ["\\x" + hashlib.md5(i.encode()).hexdigest() for i in IDS]),
    "i": ("inet", ["10.0.0.%s" % i for i in range(N)]),
    "f8": ("float8", ["0.5", "1.0", "1.5", "2.0", "2.5", "0.0", "3.0", "3.5", "1e3", "4.0"]),
    "i2": ("int2", IDS), "i8": ("int8", IDS), "nm": text("name %s", "name"), "tm": ("time", ["10:%02d:00" % i for i in range(N)]),
    "iv": ("interval", ["%d days" % i for i in range(N)]), "o": ("oid", IDS), "ci": ("citext", ["CASE %s" % i for i in IDS]),
    "j": ("jsonb", ['{"k": %s}' % i for i in IDS]),
}
EDGE_VALUES = {
    "f8": ("float8", ["NaN", "-0", "0", "Infinity", "-Infinity", "0.5", "1e-300", "1", "nan", "2"]),
    "t": ("text", ["", "it's", "a\\b", '"', "{1}", "NULL", "a,b", " text 1", "text 1", "ünï"]),
    "v": ("varchar", ["", "var 1", "var 1 ", " var 1", "VAR 1", "null", "x" * 30, "{", "}", "'"]),
    "c": ("bpchar", ["ch1", "ch1 ", "ch1      ", "ch2", " ch1", "", "CH1", "ch1x", "ch3", "ch14"]),
    "n": ("numeric", ["0.5", "0.50", "0.500", "1.5", "-0", "0", "1e0", "100000000000000000000000", "-1.5", "NaN"]),
    "i8": ("int8", ["9223372036854775807", "-9223372036854775808", "0", "1", "2", "-1", "3", "2147483648", "4", "5"]),
    "i": ("inet", ["10.0.0.1", "10.0.0.1/32", "10.0.0.2", "10.0.0.1/24", "10.0.0.3", "::1", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"]),
    "t null": ("text", ["text 1", None, "text 2", None, "text 3", "text 4", "text 5", "text 6", "text 7", None]),
}


def kind_rows():
    for column, arg in KIND_VALUES.items():
        simple_too = ["simple", "pg", "asyncpg", "psycopg"] if column in "tvcund" else ["simple", "pg", "npgsql"] if column != "b" else ["pg", "npgsql"]
        table = "kinds2" if column in ("ci", "dom", "dt") else "kinds"
        yield Row("kind " + column, "SELECT id, %s, body FROM %s WHERE %s = $1 ORDER BY id" % (column, table, column), [arg], simple_too)
    for column, arg in EDGE_VALUES.items():
        yield Row("edge " + column, "SELECT id, body, %s FROM kinds WHERE $1 = %s ORDER BY id" % ((column.split()[0],) * 2), [arg], ["simple", "pg", "asyncpg"])
    for column in ("d", "ts", "tz", "n", "u", "b", "iv", "tm", "v"):
        kind, values = KIND_VALUES[column]
        cast = "varchar" if kind == "varchar" else kind
        yield Row("cast " + column, "SELECT id, body FROM kinds k WHERE k.%s = $1::%s ORDER BY k.id" % (column, cast), [(kind, values)], ["simple", "pg"])


UNSEEN = list(kind_rows()) + [
    # spelling
    Row("no blanks", "select id,name from authors where id=$1", [ID], ANY),
    Row("upper case", "SELECT ID, NAME FROM AUTHORS WHERE AUTHORS.ID = $1", [ID], ANY),
    Row("semicolon", "SELECT name FROM authors WHERE id = $1 ;  ", [ID], ANY),
    Row("tabs and lines", "SELECT\tname\r\n\tFROM\tauthors\r\n\tWHERE\tid\t=\t$1\r\n", [ID], ANY),
    Row("comment before", "/* resolver: author */ SELECT name, id FROM authors WHERE id = $1", [ID], ANY),
    Row("line comment", "-- load author\nSELECT id, email FROM authors -- here\nWHERE id = $1 -- there", [ID], ANY),
    Row("comment within", "SELECT id /* the key */, name FROM /**/ authors WHERE /* /* nested */ */ id = $1", [ID], ANY),
    Row("parentheses", "SELECT bio FROM authors WHERE ((((id)) = (($1))))", [ID], ANY),
    Row("schema", "SELECT name FROM shop.item WHERE id = $1", [ID], ANY),
    Row("schema in columns", 'SELECT shop.item.name, "shop"."item"."id" FROM "shop"."item" WHERE "shop"."item"."id" = $1', [ID], ANY),
    Row("odd names", 'SELECT "t"."Key Id", "t"."select" FROM "Odd Schema"."Odd ""Table""" AS "t" WHERE "t"."Key Id" = $1', [ID], ANY),
    Row("alias of one letter", "SELECT a.* FROM authors a WHERE a.id = $1", [ID], ANY),
    Row("column aliases of the table", "SELECT x.a, x.c FROM authors AS x(a, b, c) WHERE x.a = $1", [ID], ANY),
    Row("reversed", "SELECT id, title FROM books WHERE $1 = id", [ID], ANY),
    Row("only", "SELECT name FROM ONLY authors WHERE id = $1", [ID], ANY),
    Row("true and", "SELECT id, name FROM tags WHERE TRUE AND id = $1", [ID], ANY),
    Row("key cast with CAST", "SELECT name, id FROM tags WHERE id = CAST($1 AS integer)", [ID], ANY),
    Row("key cast int8", "SELECT name AS n FROM tags WHERE id = $1::bigint", [BIG], ANY),
    Row("column cast", "SELECT name AS casted FROM tags WHERE id::text = $1", [("text", IDS)], ANY),
    Row("text to int literal", "SELECT name AS lit FROM tags WHERE id = '7' AND name = $1", [text("tag%s")], ANY),
    Row("select list constants", "SELECT 'author' AS __typename, 1 AS one, NULL AS nothing, id FROM authors WHERE id = $1", [ID], ANY),
    Row("no columns needed", "SELECT 1 FROM authors WHERE id = $1", [ID], ANY),
    Row("not null beside", "SELECT id, title FROM books WHERE author_id = $1 AND title IS NOT NULL ORDER BY 1", [ID], ANY),
    Row("like beside", "SELECT id, title FROM books WHERE author_id = $1 AND title LIKE 'book 1%' ORDER BY id", [ID], ANY),
    Row("between beside", "SELECT id, price FROM books WHERE author_id = $1 AND price BETWEEN 10 AND 100.5 ORDER BY id", [ID], ANY),
    Row("in list beside", "SELECT id, stars FROM reviews WHERE book_id = $1 AND stars IN (1, 2, 3) ORDER BY id", [ID], ANY),
    Row("not in beside", "SELECT id, stars FROM reviews WHERE book_id = $1 AND stars NOT IN (4, 5) ORDER BY id DESC", [ID], ANY),
    Row("range parameter", "SELECT id, stars FROM reviews WHERE book_id = $1 AND stars >= $2 ORDER BY id", [ID, ("int4", "2")], ANY),
    Row("or beside", "SELECT id, title FROM books WHERE author_id = $1 AND (deleted_at IS NULL OR price > 50) ORDER BY id", [ID], ANY),
    Row("key below or", "SELECT id, name FROM authors WHERE id = $1 OR name = 'author 1' ORDER BY id", [ID], ANY),
    Row("key below not", "SELECT id FROM games WHERE NOT (id = $1) ORDER BY id", [ID], ANY),
    Row("keys in or", "SELECT id, parent_id FROM category WHERE id = $1 OR parent_id = $2 ORDER BY id", [ID, ID], ANY),
    Row("is distinct beside", "SELECT id, title FROM books WHERE author_id = $1 AND deleted_at IS NOT DISTINCT FROM NULL ORDER BY id", [ID], ANY),
    # values
    Row("in of one", "SELECT id, name FROM authors WHERE id IN ($1)", [ID], ANY),
    Row("any of array", "SELECT id, name FROM authors WHERE id = ANY (ARRAY[$1])", [ID], ["simple"]),
    Row("any of array cast", "SELECT id, name FROM authors WHERE id = ANY (ARRAY[$1::int])", [ID], ["pg", "asyncpg"]),
    Row("any of parameter", "SELECT id, name FROM authors WHERE id = ANY ($1)", [("int4[]", ["{%s}" % i for i in IDS])], ["pg", "asyncpg", "psycopg"]),
    Row("any of parameter cast", "SELECT id, name FROM authors WHERE id = ANY ($1::int[])", [("int4[]", ["{%s}" % i for i in IDS])], ["pg", "npgsql"]),
    Row("any uuid", "SELECT id, title FROM ubook WHERE author_id = ANY ($1) ORDER BY title", [("uuid[]", ["{%s}" % i for i in UUIDS])], ["pg", "asyncpg"]),
    Row("any text", "SELECT id, name FROM tags WHERE name = ANY ($1)", [("text[]", ["{tag%s}" % i for i in IDS])], ["pg", "asyncpg"]),
    Row("two keys", "SELECT * FROM book_tags WHERE book_id = $1 AND tag_id = $2", [ID, ("int4", ints(*range(1, N + 1)))], ANY),
    Row("two keys one set", "SELECT id, body FROM part WHERE id = $1 AND region = $2", [ID, ("int4", ["1", "2"] * 5)], ANY),
    Row("two keys row", "SELECT book_id FROM book_tags WHERE (book_id, tag_id) = ($1, $2)", [ID, ("int4", ints(*range(1, N + 1)))], ANY),
    Row("three keys", "SELECT id, context FROM taggings WHERE taggable_id = $1 AND taggable_type = $2 AND tag_id = $3 ORDER BY id",
        [ID, ("varchar", ["User", "Post"] * 5), ("int4", ints(*range(2, N + 2)))], ANY),
    Row("tenant and id vary", "SELECT id, name FROM authors WHERE tenant_id = $2 AND id = $1", [ID, ("int4", ints(*[i % 3 for i in range(N)]))], ANY),
    Row("text key unique", "SELECT id, name, email FROM authors WHERE name = $1", [text("author %s")], ANY),
    Row("varchar key", "SELECT id, email FROM users WHERE email = $1", [text("u%s@example.org", "varchar")], ANY),
    Row("text key join", "SELECT a.id, p.bio FROM authors a JOIN profiles p ON p.author_id = a.id WHERE a.name = $1", [text("author %s")], ANY),
    Row("partitioned", "SELECT id, region, body FROM part WHERE id = $1 ORDER BY region", [ID], ANY),
    Row("beside odd types", "SELECT id, body FROM kinds2 WHERE id = $1", [ID], ANY),
    Row("materialised view", "SELECT n, total FROM totals WHERE customer_id = $1", [ID], ANY),
    # limits and order
    Row("limit constant", "SELECT id, title FROM books WHERE author_id = $1 ORDER BY position LIMIT 3", [ID], ANY),
    Row("limit bind", "SELECT id, title FROM books WHERE author_id = $1 ORDER BY position LIMIT $2", [ID, TWO], ["pg", "asyncpg"]),
    Row("limit offset binds", "SELECT id, title FROM books WHERE author_id = $1 ORDER BY position DESC LIMIT $2 OFFSET $3", [ID, TWO, ONE], ["pg", "asyncpg"]),
    Row("limit before", "SELECT id, title FROM books WHERE author_id = $2 ORDER BY position LIMIT $1", [TWO, ID], ["pg", "asyncpg"]),
    Row("offset only", "SELECT id, title FROM books WHERE author_id = $1 ORDER BY position OFFSET 2", [ID], ANY),
    Row("fetch first", "SELECT id, title FROM books WHERE author_id = $1 ORDER BY id FETCH FIRST 2 ROWS ONLY", [ID], ANY),
    Row("fetch first row", "SELECT id, title FROM books WHERE author_id = $1 ORDER BY id DESC FETCH FIRST ROW ONLY", [ID], ANY),
    Row("limit all", "SELECT id, title FROM books WHERE author_id = $1 ORDER BY id LIMIT ALL", [ID], ANY),
    Row("order nulls", "SELECT id, body FROM reviews WHERE book_id = $1 ORDER BY body DESC NULLS LAST, id", [ID], ANY),
    Row("order by expression", "SELECT id, title FROM books WHERE author_id = $1 ORDER BY -position, id", [ID], ANY),
    Row("order by alias", "SELECT id AS x, title AS y FROM books WHERE author_id = $1 ORDER BY y, x", [ID], ANY),
    Row("order by collate", 'SELECT id, title FROM books WHERE author_id = $1 ORDER BY title COLLATE "C", id', [ID], ANY),
    # joins
    Row("inner join", "SELECT b.id, b.title, a.name FROM books b JOIN authors a ON a.id = b.author_id WHERE b.id = $1", [ID], ANY),
    Row("left join", "SELECT a.id, p.bio FROM authors a LEFT JOIN profiles p ON p.author_id = a.id WHERE a.id = $1", [ID], ANY),
    Row("right join", "SELECT a.id, p.bio FROM profiles p RIGHT JOIN authors a ON p.author_id = a.id WHERE a.id = $1", [ID], ANY),
    Row("full join", "SELECT a.id, p.id AS pid FROM authors a FULL JOIN profiles p ON p.id = a.id WHERE a.id = $1", [ID], ANY),
    Row("join using", "SELECT id, name, body FROM tags JOIN kinds USING (id) WHERE id = $1", [ID], ANY),
    Row("natural join", "SELECT * FROM book_tags NATURAL JOIN (SELECT id AS tag_id, name FROM tags) t WHERE book_id = $1 ORDER BY tag_id", [ID], ANY),
    Row("cross join", "SELECT a.id, t.name FROM authors a CROSS JOIN tags t WHERE a.id = $1 AND t.id = 3", [ID], ANY),
    Row("comma join", "SELECT b.id, r.stars FROM books b, reviews r WHERE r.book_id = b.id AND b.id = $1 ORDER BY r.id", [ID], ANY),
    Row("three tables", "SELECT r.id, b.title, a.name FROM reviews r JOIN books b ON b.id = r.book_id JOIN authors a ON a.id = b.author_id "
        "WHERE r.book_id = $1 ORDER BY r.id", [ID], ANY),
    Row("self join", "SELECT c.id, p.name AS parent FROM category c LEFT JOIN category p ON p.id = c.parent_id WHERE c.id = $1", [ID], ANY),
    Row("key in on", "SELECT t.id, t.name FROM tags t JOIN book_tags bt ON bt.tag_id = t.id AND bt.book_id = $1 ORDER BY t.id", [ID], ANY),
    Row("key in left on", "SELECT t.id, bt.book_id FROM tags t LEFT JOIN book_tags bt ON bt.tag_id = t.id AND bt.book_id = $1 ORDER BY t.id, 2", [ID], ANY),
    Row("nested joins", "SELECT a.id, b.id, r.id FROM authors a LEFT JOIN (books b JOIN reviews r ON r.book_id = b.id) ON b.author_id = a.id "
        "WHERE a.id = $1 ORDER BY 1, 2, 3", [ID], ANY),
    Row("same names", "SELECT a.id, b.id, a.name, t.name FROM authors a, books b, tags t WHERE b.author_id = a.id AND t.id = b.id AND a.id = $1 ORDER BY b.id", [ID], ANY),
    Row("lateral", "SELECT a.name, l.title FROM authors a, LATERAL (SELECT title FROM books b WHERE b.author_id = a.id ORDER BY id LIMIT 2) l WHERE a.id = $1", [ID], ANY),
    Row("left join lateral", "SELECT a.name, l.n FROM authors a LEFT JOIN LATERAL (SELECT count(*) AS n FROM books b WHERE b.author_id = a.id) l ON true WHERE a.id = $1", [ID], ANY),
    # aggregates
    Row("count star", "SELECT count(*) FROM books WHERE author_id = $1", [ID], ANY),
    Row("count distinct", "SELECT count(DISTINCT title) FROM books WHERE author_id = $1", [ID], ANY),
    Row("sum avg min max", "SELECT sum(price), avg(price), min(id), max(title) FROM books WHERE author_id = $1", [ID], ANY),
    Row("filter", "SELECT count(*) FILTER (WHERE deleted_at IS NULL) AS live, count(*) AS total FROM books WHERE author_id = $1", [ID], ANY),
    Row("coalesce sum", "SELECT COALESCE(SUM(total), 0) AS total FROM orders WHERE customer_id = $1", [ID], ANY),
    Row("bool_or", "SELECT bool_or(stars > 4), every(stars > 0) FROM reviews WHERE book_id = $1", [ID], ANY),
    Row("array_agg ordered", "SELECT array_agg(id ORDER BY id DESC) FROM books WHERE author_id = $1", [ID], ANY),
    Row("string_agg ordered", "SELECT string_agg(title, ', ' ORDER BY id) FROM books WHERE author_id = $1", [ID], ANY),
    Row("group by", "SELECT category_id, count(*) FROM books WHERE author_id = $1 GROUP BY category_id ORDER BY category_id", [ID], ANY),
    Row("group by having", "SELECT title, count(*) AS n FROM books WHERE author_id = $1 GROUP BY title HAVING count(*) > 0 ORDER BY title", [ID], ANY),
    Row("group by join", "SELECT t.name, count(*) FROM tags t JOIN book_tags bt ON bt.tag_id = t.id WHERE bt.book_id = $1 GROUP BY t.name ORDER BY t.name", [ID], ANY),
    Row("distinct", "SELECT DISTINCT category_id FROM books WHERE author_id = $1 ORDER BY category_id", [ID], ANY),
    Row("distinct on", "SELECT DISTINCT ON (category_id) category_id, id FROM books WHERE author_id = $1 ORDER BY category_id, id", [ID], ANY),
    Row("window", "SELECT id, row_number() OVER (ORDER BY position) FROM books WHERE author_id = $1 ORDER BY id", [ID], ANY),
    Row("window partition", "SELECT id, rank() OVER w, sum(price) OVER w FROM books WHERE author_id = $1 WINDOW w AS (PARTITION BY category_id ORDER BY id) ORDER BY id",
        [ID], ANY),
    # subselects
    Row("exists", "SELECT EXISTS (SELECT 1 FROM books WHERE author_id = $1)", [ID], ANY),
    Row("not exists", "SELECT NOT EXISTS (SELECT * FROM reviews r WHERE r.book_id = $1 AND r.stars = 5) AS none", [ID], ANY),
    Row("exists in where", "SELECT a.id, a.name FROM authors a WHERE EXISTS (SELECT 1 FROM books b WHERE b.author_id = a.id AND b.id = $1)", [ID], ANY),
    Row("in subselect", "SELECT id, title FROM books WHERE author_id IN (SELECT id FROM authors WHERE id = $1) ORDER BY id", [ID], ANY),
    Row("derived table", "SELECT x.id, x.title FROM (SELECT id, title, author_id FROM books WHERE deleted_at IS NULL) AS x WHERE x.author_id = $1 ORDER BY x.id", [ID], ANY),
    Row("key in derived table", "SELECT count(*) FROM (SELECT DISTINCT category_id FROM books WHERE author_id = $1) AS q", [ID], ANY),
    Row("scalar subselect", "SELECT a.name, (SELECT count(*) FROM books b WHERE b.author_id = a.id) AS n FROM authors a WHERE a.id = $1", [ID], ANY),
    Row("key in scalar subselect", "SELECT (SELECT name FROM authors WHERE id = $1) AS name", [ID], ANY),
    Row("key three deep", "SELECT * FROM (SELECT * FROM (SELECT id, title FROM books WHERE id = $1) a) b", [ID], ANY),
    Row("array subselect", "SELECT a.id, ARRAY(SELECT b.id FROM books b WHERE b.author_id = a.id ORDER BY b.id) FROM authors a WHERE a.id = $1", [ID], ANY),
    Row("cte", "WITH a AS (SELECT id, name FROM authors WHERE id = $1) SELECT a.name, b.title FROM a JOIN books b ON b.author_id = a.id ORDER BY b.id", [ID], ANY),
    Row("cte key outside", "WITH counts AS (SELECT author_id, count(*) AS n FROM books GROUP BY author_id) SELECT n FROM counts WHERE author_id = $1", [ID], ANY),
    Row("cte materialized", "WITH a AS MATERIALIZED (SELECT id, name FROM authors WHERE id = $1) SELECT * FROM a", [ID], ANY),
    Row("two ctes", "WITH a AS (SELECT id FROM authors WHERE id = $1), b AS (SELECT * FROM books WHERE author_id IN (SELECT id FROM a)) SELECT id, title FROM b ORDER BY id",
        [ID], ANY),
    Row("union all", "SELECT id, name FROM authors WHERE id = $1 UNION ALL SELECT id, name FROM tags WHERE id = 3", [ID], ["pg", "asyncpg", "simple"]),
    Row("union", "SELECT id, title FROM books WHERE author_id = $1 UNION SELECT id, title FROM posts WHERE author_id = $1 ORDER BY 1, 2", [ID], ["pg", "asyncpg"]),
    Row("except", "SELECT tag_id FROM book_tags WHERE book_id = $1 EXCEPT SELECT tag_id FROM book_tags WHERE book_id = 2 ORDER BY 1", [ID], ANY),
    Row("intersect", "SELECT tag_id FROM book_tags WHERE book_id = $1 INTERSECT SELECT tag_id FROM book_tags WHERE book_id = 6 ORDER BY 1", [ID], ANY),
    # expressions
    Row("lower", "SELECT id, lower(name), upper(name) FROM authors WHERE id = $1", [ID], ANY),
    Row("lower of key column", "SELECT id, email FROM users WHERE lower(email) = $1", [text("u%s@example.org")], ANY),
    Row("concat operator", "SELECT id, name || ' <' || email || '>' AS label FROM authors WHERE id = $1", [ID], ANY),
    Row("coalesce", "SELECT id, COALESCE(body, 'none') AS body FROM reviews WHERE book_id = $1 ORDER BY id", [ID], ANY),
    Row("case", "SELECT id, CASE WHEN price > 50 THEN 'dear' ELSE 'cheap' END AS level FROM books WHERE author_id = $1 ORDER BY id", [ID], ANY),
    Row("nullif greatest", "SELECT id, NULLIF(stars, 0), GREATEST(stars, 2) FROM reviews WHERE book_id = $1 ORDER BY id", [ID], ANY),
    Row("arithmetic", "SELECT id, price * 1.19 AS gross, position + 1 AS next FROM books WHERE id = $1", [ID], ANY),
    Row("result cast", "SELECT id::text, price::int, title::varchar(4) FROM books WHERE id = $1", [ID], ANY),
    Row("jsonb", "SELECT id, j ->> 'k' AS k, j FROM kinds WHERE id = $1", [ID], ANY),
    Row("array element", "SELECT id, ar[1], ar FROM kinds WHERE id = $1", [ID], ANY),
    Row("json_agg", "SELECT COALESCE(json_agg(t.name ORDER BY t.id), '[]') FROM tags t JOIN book_tags bt ON bt.tag_id = t.id WHERE bt.book_id = $1", [ID], ANY),
    Row("jsonb_build_object", "SELECT jsonb_build_object('id', id, 'name', name) FROM authors WHERE id = $1", [ID], ANY),
    Row("date_part", "SELECT id, extract(year FROM ts), date_trunc('month', ts) FROM kinds WHERE id = $1", [ID], ANY),
    Row("length substring", "SELECT length(name), substring(name from 1 for 3), position('a' in name), trim(name) FROM authors WHERE id = $1", [ID], ANY),
    Row("round abs mod", "SELECT round(price, 1), abs(position), mod(id, 7) FROM books WHERE id = $1", [ID], ANY),
    Row("ilike regexp", "SELECT id, title ILIKE 'BOOK 1%', title ~ '^book' FROM books WHERE author_id = $1 ORDER BY id", [ID], ANY),
    Row("row constructor of all", "SELECT row_to_json(authors) FROM authors WHERE id = $1", [ID], ANY),
    Row("set-returning in the list", "SELECT id, generate_series(1, 2) FROM authors WHERE id = $1", [ID], ANY),
    Row("unnest in the list", "SELECT id, unnest(ar) FROM kinds WHERE id = $1", [ID], ANY),
    Row("key in the list", "SELECT $1::int AS asked, name FROM authors WHERE id = $1", [ID], ["pg"]),
]

STABLE = "its answer depends on the session or the clock"
VOLATILE = "it calls a volatile function"
USER = "it calls a function of the user's"
LOCKS = "it locks rows"
EFFECT = "it has an effect"
FORM = "it is no single SELECT"
OTHERS = "the relation is no ordinary table"
SHAPE = "its answer depends on the order or place of rows"

Q, QE = ["simple"], ["simple", "pg"]


def refused(name, sql, why, args=None, framings=None, **kw):
    return Row("refused: " + name, sql, args or [ID], framings or QE, why, **kw)


REFUSED = [
    refused("20 for update", "SELECT authors.id FROM authors WHERE authors.id = $1 FOR UPDATE", LOCKS),
    refused("for share", "SELECT id, name FROM authors WHERE id = $1 FOR SHARE", LOCKS),
    refused("for no key update", "SELECT id, bio FROM authors WHERE id = $1 FOR NO KEY UPDATE", LOCKS),
    refused("for key share", "SELECT email FROM authors WHERE id = $1 FOR KEY SHARE", LOCKS),
    refused("for update of", "SELECT a.id FROM authors a JOIN books b ON b.author_id = a.id WHERE b.id = $1 FOR UPDATE OF a", LOCKS),
    # Other cases lock the row at the same time.
    refused("for update skip locked", "SELECT id, tenant_id FROM authors WHERE id = $1 FOR UPDATE SKIP LOCKED", LOCKS, moving=True),
    refused("for update nowait", "SELECT tenant_id FROM authors WHERE id = $1 FOR UPDATE NOWAIT", LOCKS, moving=True),
    refused("for update in derived table", "SELECT x.id FROM (SELECT id FROM authors WHERE id = $1 FOR UPDATE) x", LOCKS),
    refused("for update in cte", "WITH x AS (SELECT id FROM authors WHERE id = $1 FOR UPDATE) SELECT id FROM x", LOCKS),
    refused("for update in subselect", "SELECT id FROM books WHERE author_id IN (SELECT id FROM authors WHERE id = $1 FOR SHARE) ORDER BY id", LOCKS),
    refused("now", "SELECT id, now() FROM authors WHERE id = $1", STABLE, moving=True),
    refused("now in where", "SELECT id FROM comments WHERE post_id = $1 AND created_at < now() ORDER BY id", STABLE),
    refused("current_timestamp", "SELECT id, CURRENT_TIMESTAMP FROM authors WHERE id = $1", STABLE, moving=True),
    refused("current_date", "SELECT id, current_date FROM authors WHERE id = $1", STABLE),
    refused("current_date in where", "SELECT id FROM kinds WHERE id = $1 AND d <= CURRENT_DATE", STABLE),
    refused("localtime", "SELECT id, LOCALTIME FROM authors WHERE id = $1", STABLE, moving=True),
    refused("localtimestamp", "SELECT id FROM kinds WHERE id = $1 AND ts < LOCALTIMESTAMP(0)", STABLE),
    refused("constant now", "SELECT id FROM kinds WHERE id = $1 AND tz < 'now'", STABLE),
    refused("constant today cast", "SELECT id FROM kinds WHERE id = $1 AND d < 'today'::date", STABLE),
    refused("transaction_timestamp", "SELECT transaction_timestamp() FROM authors WHERE id = $1", STABLE, moving=True),
    refused("statement_timestamp", "SELECT statement_timestamp() FROM authors WHERE id = $1", STABLE, moving=True),
    refused("clock_timestamp", "SELECT clock_timestamp() FROM authors WHERE id = $1", VOLATILE, moving=True),
    refused("timeofday", "SELECT timeofday() FROM authors WHERE id = $1", VOLATILE, moving=True),
    refused("age", "SELECT age(tz) FROM kinds WHERE id = $1", STABLE),
    refused("current_user", "SELECT id, current_user FROM authors WHERE id = $1", STABLE),
    refused("session_user", "SELECT id FROM authors WHERE id = $1 AND session_user <> 'nobody'", STABLE),
    refused("user", "SELECT user, id FROM authors WHERE id = $1", STABLE),
    refused("current_role", "SELECT current_role, id FROM authors WHERE id = $1", STABLE),
    refused("current_catalog", "SELECT current_catalog, id FROM authors WHERE id = $1", STABLE),
    refused("current_schema", "SELECT current_schema, id FROM authors WHERE id = $1", STABLE),
    refused("current_schemas", "SELECT current_schemas(true), id FROM authors WHERE id = $1", STABLE),
    refused("current_setting", "SELECT current_setting('TimeZone'), id FROM authors WHERE id = $1", STABLE),
    refused("current_query", "SELECT current_query(), id FROM authors WHERE id = $1", VOLATILE),
    refused("pg_backend_pid", "SELECT pg_backend_pid(), id FROM authors WHERE id = $1", STABLE, moving=True),
    refused("txid", "SELECT txid_current_if_assigned(), id FROM authors WHERE id = $1", STABLE),
    refused("pg_current_snapshot", "SELECT pg_current_snapshot(), id FROM authors WHERE id = $1", STABLE, moving=True),
    refused("inet_client_port", "SELECT inet_client_port(), id FROM authors WHERE id = $1", STABLE, moving=True),
    refused("random", "SELECT random(), id FROM authors WHERE id = $1", VOLATILE, moving=True),
    refused("random in where", "SELECT id FROM authors WHERE id = $1 AND random() >= 0", VOLATILE),
    refused("order by random", "SELECT id FROM books WHERE author_id = $1 ORDER BY random()", VOLATILE, moving=True),
    refused("gen_random_uuid", "SELECT gen_random_uuid(), id FROM authors WHERE id = $1", VOLATILE, moving=True),
    refused("nextval", "SELECT nextval('counter'), id FROM authors WHERE id = $1", EFFECT, moving=True),
    refused("currval", "SELECT currval('counter'), id FROM authors WHERE id = $1", VOLATILE, moving=True),
    refused("setval", "SELECT setval('counter', 5), id FROM authors WHERE id = $1", EFFECT),
    refused("lastval", "SELECT lastval(), id FROM authors WHERE id = $1", VOLATILE, moving=True),
    refused("set_config", "SELECT set_config('my.x', name, false), id FROM authors WHERE id = $1", EFFECT),
    refused("set_config local", "SELECT set_config('my.x', name, true), id FROM authors WHERE id = $1", EFFECT),
    refused("pg_sleep", "SELECT id FROM authors WHERE id = $1 AND pg_sleep(0.001) IS NOT NULL", VOLATILE),
    refused("advisory lock", "SELECT pg_advisory_xact_lock(id), id FROM authors WHERE id = $1", EFFECT),
    refused("advisory try lock", "SELECT pg_try_advisory_xact_lock(id), id FROM tags WHERE id = $1", EFFECT, moving=True),
    refused("pg_notify", "SELECT pg_notify('x', name), id FROM tags WHERE id = $1", EFFECT),
    refused("pg_table_size", "SELECT pg_table_size('authors') > 0, id FROM authors WHERE id = $1", VOLATILE),
    refused("to_regclass", "SELECT to_regclass('authors'), id FROM authors WHERE id = $1", STABLE),
    refused("has_table_privilege", "SELECT has_table_privilege('authors', 'SELECT'), id FROM authors WHERE id = $1", STABLE),
    refused("lo_get", "SELECT lo_creat(-1) > 0, id FROM authors WHERE id = $1", EFFECT, moving=True),
    refused("query_to_xml", "SELECT query_to_xml('SELECT current_user', false, false, '') IS NULL, id FROM authors WHERE id = $1", VOLATILE),
    refused("user function", "SELECT user_fn(id), id FROM authors WHERE id = $1", USER),
    refused("user function in where", "SELECT id FROM authors WHERE user_fn(id) > 0 AND id = $1", USER),
    refused("stable user function", "SELECT stable_fn(id), id FROM authors WHERE id = $1", USER),
    refused("function as a table", "SELECT f.id, f.name FROM rows_fn(1) f WHERE f.id = $1", USER),
    refused("mislabelled user function", "SELECT setting_fn(id), id FROM authors WHERE id = $1", USER),
    refused("function as a column", "SELECT (authors).user_fn, id FROM authors WHERE id = $1", USER),
    refused("user operator", "SELECT id, name FROM authors WHERE id === name OR id = $1", USER),
    refused("user aggregate", "SELECT my_sum(position) FROM books WHERE author_id = $1", USER),
    refused("operator syntax of a user's", "SELECT id FROM authors WHERE id = $1 AND id OPERATOR(public.===) 'x'", USER),
    refused("view", "SELECT id, name FROM plain_view WHERE id = $1", OTHERS),
    refused("view that depends", "SELECT id, name, seen_by FROM author_view WHERE id = $1", OTHERS),
    refused("view in a join", "SELECT v.id, b.title FROM plain_view v JOIN books b ON b.author_id = v.id WHERE v.id = $1 ORDER BY b.id", OTHERS),
    refused("row security", "SELECT id, body FROM secured WHERE id = $1", OTHERS),
    refused("row security in exists", "SELECT EXISTS (SELECT 1 FROM secured WHERE id = $1)", OTHERS),
    refused("row security in a join", "SELECT s.body FROM secured s JOIN authors a ON a.id = s.id WHERE a.id = $1", OTHERS),
    refused("foreign table", "SELECT id FROM far WHERE id = $1", OTHERS),
    refused("foreign table in a subselect", "SELECT name FROM authors WHERE id IN (SELECT id FROM far WHERE id = $1)", OTHERS),
    refused("temporary table", "SELECT id, name FROM temp_table WHERE id = $1", OTHERS,
            first=("CREATE TEMP TABLE temp_table AS SELECT id, 'temp ' || id AS name FROM authors",)),
    refused("temporary table that shadows", "SELECT id, name FROM staff WHERE id = $1", OTHERS,
            first=("CREATE TEMP TABLE staff AS SELECT id, 'temp ' || id AS name FROM authors",)),
    refused("temporary view", "SELECT id, name FROM temp_view WHERE id = $1", OTHERS,
            first=("CREATE TEMP VIEW temp_view AS SELECT id, name FROM authors",)),
    refused("sequence", "SELECT last_value FROM counter WHERE log_cnt = $1", OTHERS, moving=True),
    refused("pg_class", "SELECT relname FROM pg_class WHERE oid = $1", OTHERS, [("oid", ints(*range(1247, 1257)))]),
    refused("pg_type named", "SELECT typname FROM pg_catalog.pg_type WHERE oid = $1", OTHERS, [("oid", ints(*range(16, 26)))]),
    refused("pg_settings", "SELECT setting FROM pg_settings WHERE name = $1", OTHERS, [("text", ["TimeZone", "DateStyle", "role", "search_path", "port"] * 2)]),
    refused("pg_stat_activity", "SELECT usename FROM pg_stat_activity WHERE pid = $1", OTHERS),
    refused("information_schema", "SELECT table_name FROM information_schema.tables WHERE table_name = $1", OTHERS,
            [("text", ["authors", "books", "tags", "users", "x"] * 2)]),
    refused("catalogue in a subselect", "SELECT name FROM authors WHERE id = $1 AND EXISTS (SELECT 1 FROM pg_class WHERE relname = 'authors')", OTHERS),
    refused("tablesample", "SELECT id FROM authors TABLESAMPLE BERNOULLI (100) WHERE id = $1", SHAPE),
    refused("whole row", "SELECT authors FROM authors WHERE id = $1", SHAPE),
    refused("ctid", "SELECT ctid, id FROM authors WHERE id = $1", SHAPE),
    refused("xmin", "SELECT xmin, id FROM tags WHERE id = $1", SHAPE),
    refused("tableoid", "SELECT tableoid, id FROM authors WHERE id = $1", SHAPE),
    refused("tableoid in where", "SELECT id FROM authors WHERE id = $1 AND tableoid <> 0", SHAPE),
    refused("with ties", "SELECT id, category_id FROM books WHERE author_id = $1 ORDER BY category_id, id FETCH FIRST 2 ROWS WITH TIES", SHAPE),
    refused("recursive cte", "WITH RECURSIVE t AS (SELECT id, parent_id FROM category WHERE id = $1 UNION ALL SELECT c.id, c.parent_id FROM category c "
            "JOIN t ON c.id = t.parent_id) SELECT id FROM t ORDER BY id", SHAPE),
    refused("update returning", "UPDATE authors SET bio = bio WHERE id = $1 RETURNING id", EFFECT),
    refused("delete returning", "DELETE FROM staff WHERE id = $1 + 1000 RETURNING id", EFFECT),
    refused("insert returning", "INSERT INTO games SELECT $1 + 500, 'x' WHERE false RETURNING id", EFFECT),
    refused("data-modifying cte", "WITH u AS (UPDATE authors SET bio = bio WHERE id = $1 RETURNING id) SELECT id FROM u", EFFECT),
    refused("data-modifying cte beside", "WITH u AS (UPDATE posts SET title = title WHERE id = 1) SELECT id, name FROM authors WHERE id = $1", EFFECT),
    refused("select into", "SELECT id, name INTO TEMP into_table FROM authors WHERE id = $1", EFFECT, moving=True,
            first=("SELECT 1",)),
    refused("create table as", "CREATE TEMP TABLE as_table AS SELECT id FROM authors WHERE id = $1", EFFECT, moving=True, framings=Q, first=("SELECT 1",)),
    refused("two statements", "SELECT id FROM authors WHERE id = $1; SELECT name FROM authors WHERE id = 1", FORM, framings=Q),
    refused("set in front", "SET search_path = public; SELECT name FROM authors WHERE id = $1", FORM, framings=Q,
            first=("SET search_path = public",)),  # PostgreSQL 18 reports it when it changes
    refused("cursor", "DECLARE c CURSOR WITH HOLD FOR SELECT id, name FROM authors WHERE id = $1", FORM, framings=Q, moving=True, first=("SELECT 1",)),
    refused("fetch", "FETCH 1 FROM c WHERE id = $1", FORM, framings=Q),
    refused("explain", "EXPLAIN (COSTS OFF) SELECT id FROM authors WHERE id = $1", FORM, framings=Q),
    refused("explain analyze", "EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM authors WHERE id = $1", FORM, framings=Q),
    refused("copy", "COPY (SELECT id, name FROM authors WHERE id = $1) TO STDOUT", FORM, framings=Q),
    refused("values", "VALUES ($1)", FORM),
    refused("table command", "TABLE games", FORM, framings=Q, args=[]),
    refused("sql prepare", "EXECUTE by_id($1)", FORM, framings=Q, first=("PREPARE by_id(int) AS SELECT name FROM authors WHERE id = $1",)),
    refused("array of two", "SELECT id FROM authors WHERE id = ANY ($1) ORDER BY id", SHAPE, [("int4[]", ["{%s,1}" % i for i in IDS])], ["pg", "npgsql"]),
    refused("key as offset", "SELECT id FROM games ORDER BY id OFFSET $1", SHAPE),
    refused("no equality", "SELECT id FROM games WHERE id > $1 ORDER BY id", SHAPE),
    refused("key in a function", "SELECT id FROM games WHERE id = abs($1) ORDER BY id", SHAPE, framings=["simple"]),
    refused("key in having", "SELECT category_id FROM books GROUP BY category_id HAVING count(*) = $1 ORDER BY 1", SHAPE),
    refused("key in a limit", "SELECT id FROM games ORDER BY id LIMIT $1", SHAPE),
]
