// SPDX-License-Identifier: PostgreSQL
//
// Drizzle. Argument: `pg` or `postgres`, the driver below.
'use strict';
const { drizzle } = require('drizzle-orm/' + (process.argv[2] === 'pg' ? 'node-postgres' : 'postgres-js'));
const { and, asc, count, desc, eq, isNull, max } = require('drizzle-orm');
const t = require('drizzle-orm/pg-core');
const { N, PORT, bookOf, serve, tagOf, tokenOf, version } = require('./pages.js');

const where = { host: '127.0.0.1', port: PORT, user: 'app', database: 'orms', max: N };
const client = process.argv[2] === 'pg' ? new (require('pg').Pool)(where) : require('postgres')(where);
const db = drizzle(client);
const authors = t.pgTable('authors', { id: t.integer('id').primaryKey(), name: t.text('name'), email: t.text('email'), token: t.uuid('token') });
const profiles = t.pgTable('profiles', { id: t.integer('id').primaryKey(), authorId: t.integer('author_id'), bio: t.text('bio') });
const books = t.pgTable('books', {
    id: t.integer('id').primaryKey(), authorId: t.integer('author_id'), title: t.text('title'), price: t.numeric('price'),
    position: t.integer('position'), deletedAt: t.timestamp('deleted_at', { withTimezone: true }),
});
const reviews = t.pgTable('reviews', { id: t.bigint('id', { mode: 'number' }).primaryKey(), bookId: t.integer('book_id'), stars: t.integer('stars') });
const tags = t.pgTable('tags', { id: t.integer('id').primaryKey(), name: t.varchar('name', { length: 40 }) });
const bookTags = t.pgTable('book_tags', { bookId: t.integer('book_id'), tagId: t.integer('tag_id') });

serve({
    author: i => db.select().from(authors).where(eq(authors.id, i)).limit(1),
    books: i => db.select().from(books).where(eq(books.authorId, i)).orderBy(asc(books.position)),
    profile: i => db.select().from(profiles).where(eq(profiles.authorId, i)).limit(1),
    with_author: i => db.select().from(books).innerJoin(authors, eq(authors.id, books.authorId)).where(eq(books.id, bookOf(i))).limit(1),
    tags: i => db.select({ id: tags.id, name: tags.name }).from(tags).innerJoin(bookTags, eq(bookTags.tagId, tags.id))
        .where(eq(bookTags.bookId, bookOf(i))).orderBy(asc(tags.id)),
    review_count: i => db.select({ n: count() }).from(reviews).where(eq(reviews.bookId, bookOf(i))),
    best: i => db.select({ n: max(reviews.stars) }).from(reviews).where(eq(reviews.bookId, bookOf(i))),
    tag_by_name: i => db.select().from(tags).where(eq(tags.name, tagOf(i))),
    author_by_token: i => db.select().from(authors).where(eq(authors.token, tokenOf(i))),
    book_at: i => db.select().from(books).where(and(eq(books.authorId, i), eq(books.position, i % 4 + 1))),
    last_book: i => db.select().from(books).where(and(eq(books.authorId, i), isNull(books.deletedAt))).orderBy(desc(books.id)).limit(1),
}, version('drizzle-orm'), () => client.end());
