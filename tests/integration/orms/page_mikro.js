// SPDX-License-Identifier: PostgreSQL
//
// MikroORM (knex and node-postgres below), an entity manager for each lookup.
'use strict';
const { MikroORM, EntitySchema } = require('@mikro-orm/core');
const { PostgreSqlDriver } = require('@mikro-orm/postgresql');
const { N, PORT, bookOf, serve, tagOf, tokenOf, version } = require('./pages.js');

const id = { type: 'number', primary: true };
const Author = new EntitySchema({ name: 'Author', tableName: 'authors', properties: {
    id, name: { type: 'text' }, email: { type: 'text', nullable: true }, token: { type: 'uuid' },
    books: { reference: '1:m', entity: 'Book', mappedBy: 'author' },
} });
const Profile = new EntitySchema({ name: 'Profile', tableName: 'profiles', properties: {
    id, bio: { type: 'text' }, author: { reference: 'm:1', entity: 'Author', fieldName: 'author_id' },
} });
const Book = new EntitySchema({ name: 'Book', tableName: 'books', properties: {
    id, title: { type: 'text' }, price: { type: 'decimal' }, position: { type: 'number' },
    author: { reference: 'm:1', entity: 'Author', fieldName: 'author_id' },
    tags: { reference: 'm:n', entity: 'Tag', pivotTable: 'book_tags', joinColumn: 'book_id', inverseJoinColumn: 'tag_id' },
} });
const Review = new EntitySchema({ name: 'Review', tableName: 'reviews', properties: {
    id, stars: { type: 'number' }, book: { reference: 'm:1', entity: 'Book', fieldName: 'book_id' },
} });
const Tag = new EntitySchema({ name: 'Tag', tableName: 'tags', properties: { id, name: { type: 'string' } } });

async function main() {
    const orm = await MikroORM.init({ driver: PostgreSqlDriver, host: '127.0.0.1', port: PORT, user: 'app', password: '', dbName: 'orms',
        entities: [Author, Profile, Book, Review, Tag], pool: { min: N, max: N }, discovery: { disableDynamicFileAccess: true } });
    const plain = async rows => (await rows).map(r => ({ ...JSON.parse(JSON.stringify(r)) }));
    await serve({
        author: async i => JSON.parse(JSON.stringify(await orm.em.fork().findOne('Author', i))),
        books: i => plain(orm.em.fork().find('Book', { author: i }, { orderBy: { position: 'asc' } })),
        profile: async i => JSON.parse(JSON.stringify(await orm.em.fork().findOne('Profile', { author: i }))),
        with_books: async i => JSON.parse(JSON.stringify(await orm.em.fork().findOne('Author', i, { populate: ['books'], orderBy: { books: { id: 'asc' } } }))),
        with_tags: async i => JSON.parse(JSON.stringify(await orm.em.fork().findOne('Book', bookOf(i), { populate: ['tags'] }))),
        review_count: i => orm.em.fork().count('Review', { book: bookOf(i) }),
        tag_by_name: async i => JSON.parse(JSON.stringify(await orm.em.fork().findOne('Tag', { name: tagOf(i) }))),
        author_by_token: async i => JSON.parse(JSON.stringify(await orm.em.fork().findOne('Author', { token: tokenOf(i) }))),
        transaction: i => orm.em.fork().transactional(async em => JSON.parse(JSON.stringify(await em.findOne('Author', i)))),
    }, version('@mikro-orm/core'), () => orm.close());
}

main();
