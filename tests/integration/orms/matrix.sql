-- SPDX-License-Identifier: PostgreSQL
--
-- What the pages of the matrix are about (../orm_matrix.py), with the names that mappers expect. No page changes what a page shows.
CREATE TABLE authors (id serial PRIMARY KEY, tenant_id int NOT NULL, name text NOT NULL, bio text, born date, created_at timestamptz,
                      deleted_at timestamptz);
INSERT INTO authors SELECT i, i % 3 + 1, 'author ' || i, 'bio ' || repeat(md5(i::text), 3), '1950-01-01'::date + i * 31,
       '2024-01-01Z'::timestamptz + i * interval '1 day', CASE WHEN i % 10 = 0 THEN '2024-06-01Z'::timestamptz END FROM generate_series(1, 400) i;
CREATE TABLE profiles (id serial PRIMARY KEY, author_id int NOT NULL UNIQUE REFERENCES authors, site text);
INSERT INTO profiles SELECT i, 401 - i, 'https://example.org/' || i FROM generate_series(1, 400) i;
CREATE TABLE awards (id serial PRIMARY KEY, author_id int NOT NULL REFERENCES authors, name text);
INSERT INTO awards SELECT i, i * 7 % 400 + 1, 'award ' || i FROM generate_series(1, 600) i;
CREATE INDEX ON awards (author_id);
-- Of 200 books in a row each author of 50 has four, in turn.
CREATE TABLE books (id serial PRIMARY KEY, author_id int NOT NULL REFERENCES authors, tenant_id int NOT NULL, title text, price numeric(10,2),
                    published date, deleted_at timestamptz);
INSERT INTO books SELECT i, a, a % 3 + 1, 'book ' || i, i * 0.37, '2020-01-01'::date + i * 17 % 1000,
       CASE WHEN i % 6 = 0 THEN '2024-06-01Z'::timestamptz END FROM generate_series(1, 1600) i, LATERAL (SELECT (i - 1) / 200 * 50 + i * 13 % 50 + 1 AS a) x;
CREATE INDEX ON books (author_id);
CREATE TABLE reviews (id bigserial PRIMARY KEY, book_id int NOT NULL REFERENCES books, stars int, body text);
INSERT INTO reviews SELECT i, i * 7 % 1600 + 1, i % 5 + 1, 'review ' || i FROM generate_series(1, 4000) i;
CREATE INDEX ON reviews (book_id);
CREATE TABLE tags (id serial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE);
INSERT INTO tags SELECT i, 'tag-' || i FROM generate_series(1, 50) i;
CREATE TABLE book_tags (book_id int NOT NULL REFERENCES books, tag_id int NOT NULL REFERENCES tags, PRIMARY KEY (book_id, tag_id));
INSERT INTO book_tags SELECT b, (b * 7 + k * 11) % 50 + 1 FROM generate_series(1, 1600) b, generate_series(0, 2) k;
-- Django's kinds, for its relations to any model.
CREATE TABLE django_content_type (id serial PRIMARY KEY, app_label varchar(100) NOT NULL, model varchar(100) NOT NULL, UNIQUE (app_label, model));
INSERT INTO django_content_type VALUES (1, '__main__', 'author'), (2, '__main__', 'book');
CREATE TABLE comments (id serial PRIMARY KEY, commentable_type varchar(20) NOT NULL, commentable_id int NOT NULL, content_type_id int NOT NULL
                       REFERENCES django_content_type, body text);
INSERT INTO comments SELECT i, CASE WHEN i % 3 = 0 THEN 'Book' ELSE 'Author' END, i * 11 % 100 + 1, CASE WHEN i % 3 = 0 THEN 2 ELSE 1 END,
       'comment ' || i FROM generate_series(1, 600) i;
CREATE INDEX ON comments (commentable_id, commentable_type);
CREATE TABLE categories (id serial PRIMARY KEY, parent_id int REFERENCES categories, name text);
INSERT INTO categories SELECT i, CASE WHEN i > 1 THEN (i + 2) / 4 END, 'category ' || i FROM generate_series(1, 85) i;
CREATE INDEX ON categories (parent_id);
CREATE TABLE accounts (id uuid PRIMARY KEY, owner text, position int);
INSERT INTO accounts SELECT md5(i::text)::uuid, 'owner ' || i, i FROM generate_series(1, 200) i;
CREATE TABLE entries (id uuid PRIMARY KEY, account_id uuid NOT NULL REFERENCES accounts, amount numeric(10,2), position int);
INSERT INTO entries SELECT md5('entry' || i)::uuid, md5((i * 7 % 200 + 1)::text)::uuid, i * 1.5, i FROM generate_series(1, 600) i;
CREATE INDEX ON entries (account_id);
CREATE VIEW book_infos AS SELECT b.id, b.author_id, b.title, a.name AS author_name FROM books b JOIN authors a ON a.id = b.author_id;
CREATE VIEW author_totals AS SELECT author_id AS id, author_id, count(*) AS n_books, sum(price) AS total FROM books GROUP BY author_id;
CREATE TABLE audits (id serial PRIMARY KEY, author_id int NOT NULL, what text NOT NULL);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
ANALYZE
