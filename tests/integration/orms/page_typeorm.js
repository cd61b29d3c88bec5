// SPDX-License-Identifier: PostgreSQL
//
// TypeORM over node-postgres. Argument: none, or `loop`: lazily, one after the other.
'use strict';
require('reflect-metadata');
const { DataSource, EntitySchema } = require('typeorm');
const { N, PORT, bookOf, serve, serveLoop, tagOf, tokenOf, version } = require('./pages.js');

const id = { type: 'int', primary: true };
const Author = new EntitySchema({
    name: 'Author', tableName: 'authors',
    columns: { id, name: { type: 'text' }, email: { type: 'text', nullable: true }, token: { type: 'uuid' } },
    relations: {
        books: { type: 'one-to-many', target: 'Book', inverseSide: 'author', lazy: true },
        profile: { type: 'one-to-one', target: 'Profile', inverseSide: 'author', lazy: true },
    },
});
const Profile = new EntitySchema({
    name: 'Profile', tableName: 'profiles', columns: { id, bio: { type: 'text' } },
    relations: { author: { type: 'one-to-one', target: 'Author', joinColumn: { name: 'author_id' }, inverseSide: 'profile' } },
});
const Book = new EntitySchema({
    name: 'Book', tableName: 'books',
    columns: { id, title: { type: 'text' }, price: { type: 'numeric' }, position: { type: 'int' }, authorId: { type: 'int', name: 'author_id' } },
    relations: {
        author: { type: 'many-to-one', target: 'Author', joinColumn: { name: 'author_id' }, inverseSide: 'books', lazy: true },
        reviews: { type: 'one-to-many', target: 'Review', inverseSide: 'book', lazy: true },
        tags: { type: 'many-to-many', target: 'Tag', lazy: true,
            joinTable: { name: 'book_tags', joinColumn: { name: 'book_id' }, inverseJoinColumn: { name: 'tag_id' } } },
    },
});
const Review = new EntitySchema({ name: 'Review', tableName: 'reviews',
    columns: { id: { type: 'bigint', primary: true }, stars: { type: 'int' }, bookId: { type: 'int', name: 'book_id' } },
    relations: { book: { type: 'many-to-one', target: 'Book', joinColumn: { name: 'book_id' }, inverseSide: 'reviews', lazy: true } } });
const Tag = new EntitySchema({ name: 'Tag', tableName: 'tags', columns: { id, name: { type: 'varchar', length: 40 } } });

const db = new DataSource({ type: 'postgres', host: '127.0.0.1', port: PORT, username: 'app', database: 'orms', entities: [Author, Profile, Book, Review, Tag],
    extra: { max: N } });
const sorted = rows => rows.sort((a, b) => a.id - b.id);

async function loop() {
    const rows = [], plain = o => JSON.parse(JSON.stringify(o));
    for (const a of await db.getRepository('Author').find({ order: { id: 'ASC' }, take: N })) {
        const books = await a.books, profile = await a.profile, reviews = [];
        for (const b of books) reviews.push(plain(await b.reviews));
        rows.push([a.name, books.map(b => b.title), plain(profile), reviews]);
    }
    return rows;
}

async function main() {
    await db.initialize();
    if (process.argv[2] === 'loop') return serveLoop(loop, version('typeorm'), () => db.destroy());
    const r = name => db.getRepository(name);
    await serve({
        author: i => r('Author').findOneBy({ id: i }),
        books: i => r('Book').find({ where: { authorId: i }, order: { position: 'ASC' } }),
        lazy_books: async i => sorted(await r('Author').create({ id: i }).books),
        lazy_tags: async i => sorted(await r('Book').create({ id: bookOf(i) }).tags),
        lazy_profile: i => r('Author').create({ id: i }).profile,
        review_count: i => r('Review').countBy({ bookId: bookOf(i) }),
        has_five: i => r('Review').existsBy({ bookId: bookOf(i), stars: 5 }),
        tag_by_name: i => r('Tag').findOneBy({ name: tagOf(i) }),
        author_by_token: i => r('Author').findOneBy({ token: tokenOf(i) }),
        transaction: i => db.transaction(m => m.getRepository('Author').findOneBy({ id: i })),
    }, version('typeorm'), () => db.destroy());
}

main();
