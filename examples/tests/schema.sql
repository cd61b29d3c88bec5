-- SPDX-License-Identifier: PostgreSQL
--
-- What the examples read. Two authors suffice: a list of one row makes no loop.
CREATE TABLE author (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE book (id int PRIMARY KEY, author_id int NOT NULL REFERENCES author, title text NOT NULL);
INSERT INTO author VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Barbara');
INSERT INTO book VALUES (1, 1, 'Notes'), (2, 1, 'Sketches'), (3, 2, 'Compilers'), (4, 3, 'Types');
