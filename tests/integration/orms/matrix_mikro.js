// SPDX-License-Identifier: PostgreSQL
//
// The matrix' pages with MikroORM (knex and node-postgres below), an entity manager for each page as its documentation wants it for each request.
'use strict';
const { MikroORM, EntitySchema } = require('@mikro-orm/core');
const { PostgreSqlDriver } = require('@mikro-orm/postgresql');
const { N, STEP, PORT, each, serve } = require('./matrix.js');

const id = { type: 'number', primary: true }, uuid = { type: 'uuid', primary: true }, text = { type: 'text' }, number = { type: 'number' };
const entities = [];
function entity(name, tableName, properties) {
    entities.push(new EntitySchema({ name, tableName, properties }));
}
const many = (of, mappedBy, by = 'id') => ({ reference: '1:m', entity: of, mappedBy, orderBy: { [by]: 'asc' } });
const one = (of, fieldName) => ({ reference: 'm:1', entity: of, fieldName });
const its = (of, mappedBy) => ({ reference: '1:1', entity: of, mappedBy, owner: false, lazy: true });
const time = name => ({ type: 'Date', columnType: 'timestamptz', fieldName: name, nullable: true });
entity('Author', 'authors', { id, tenantId: { ...number, fieldName: 'tenant_id' }, name: text, bio: { ...text, lazy: true }, born: { type: 'date' }, createdAt: time('created_at'),
    deletedAt: time('deleted_at'), books: many('Book', 'author'), awards: many('Award', 'author'), infos: many('BookInfo', 'author') });
entity('Profile', 'profiles', { id, site: text, author: one('Author', 'author_id') });
entity('Award', 'awards', { id, name: text, author: one('Author', 'author_id') });
entity('Book', 'books', { id, tenantId: { ...number, fieldName: 'tenant_id' }, title: text, price: { type: 'decimal' }, published: { type: 'date' }, deletedAt: time('deleted_at'),
    author: one('Author', 'author_id'), reviews: many('Review', 'book'),
    tags: { reference: 'm:n', entity: 'Tag', pivotTable: 'book_tags', joinColumn: 'book_id', inverseJoinColumn: 'tag_id' } });
entity('Review', 'reviews', { id, stars: number, body: text, book: one('Book', 'book_id') });
entity('Tag', 'tags', { id, name: { type: 'string' } });
entity('Comment', 'comments', { id, commentableType: { type: 'string', fieldName: 'commentable_type' }, commentableId: { ...number, fieldName: 'commentable_id' }, body: text });
entity('Category', 'categories', { id, name: text, parent: { ...one('Category', 'parent_id'), nullable: true }, children: many('Category', 'parent') });
entity('Account', 'accounts', { id: uuid, owner: text, position: number, entries: many('Entry', 'account', 'position') });
entity('Entry', 'entries', { id: uuid, amount: { type: 'decimal' }, position: number, account: one('Account', 'account_id') });
entity('BookInfo', 'book_infos', { id, title: text, authorName: { ...text, fieldName: 'author_name' }, author: one('Author', 'author_id') });
entity('AuthorTotal', 'author_totals', { id, nBooks: { type: 'bigint', fieldName: 'n_books' }, total: { type: 'decimal' }, author: one('Author', 'author_id') });
entity('Audit', 'audits', { id, authorId: { ...number, fieldName: 'author_id' }, what: text });

const orderBy = { id: 'asc' };
const authors = (em, n = N, where = {}) => em.find('Author', where, { orderBy, limit: n });
const items = async collection => (await collection.init()).getItems();
const titles = async a => (await items(a.books)).map(b => b.title);
const manyAndOne = async (em, a) => [a.name, await titles(a), (await em.findOne('Profile', { author: a.id })).site];

async function up(c) {
    if (!c.parent) return [c.name];
    return [c.name, ...await up(await c.parent.__helper.init())];
}

async function below(c) {
    return [c.name, await each(items(c.children), below)];
}

async function commented(em, c) {
    const subject = await em.findOne(c.commentableType, c.commentableId);
    return [c.body, c.commentableType === 'Book' ? subject.title : subject.name];
}

function audited(em) {
    return each(authors(em), async a => {
        const row = [a.name, await titles(a)];
        em.persist(em.create('Audit', { authorId: a.id, what: 'seen' }));
        await em.flush();
        return row;
    });
}

async function keyset(em) {
    const page = [];
    for (let last = 0; page.length < N;) {
        for (const a of await authors(em, STEP, { id: { $gt: last } })) {
            page.push([a.name, await titles(a)]);
            last = a.id;
        }
    }
    return page;
}

const pages = {
    to_many: em => each(authors(em), async a => [a.name, await titles(a)]),
    to_one: em => each(em.find('Book', {}, { orderBy, limit: 4 * N }), async b => [b.title, (await b.author.__helper.init()).name]),
    nested: em => each(authors(em, N / 2), async a => [a.name, await each(items(a.books), async b => [b.title, (await items(b.reviews)).map(r => r.body)])]),
    many_to_many: em => each(em.find('Book', {}, { orderBy, limit: N }), async b => [b.title, (await items(b.tags)).map(t => t.name).sort()]),
    counts: em => each(authors(em), async a => [a.name, await a.books.loadCount()]),
    latest: em => each(authors(em), async a => [a.name, (await em.findOne('Book', { author: a.id }, { orderBy: { published: 'desc', id: 'desc' } })).title]),
    polymorphic: async em => [await each(em.find('Comment', {}, { orderBy, limit: N }), c => commented(em, c)), await each(authors(em, N / 2), async a => [a.name,
        (await em.find('Comment', { commentableType: 'Author', commentableId: a.id }, { orderBy })).map(c => c.body)])],
    tree: async em => [await each(em.find('Category', {}, { orderBy: { id: 'desc' }, limit: N }), up), await below(await em.findOne('Category', { parent: null }))],
    tenant: em => each(authors(em, N, { tenantId: 1, deletedAt: null }), async a => [a.name,
        (await em.find('Book', { author: a.id, tenantId: 1, deletedAt: null }, { orderBy })).map(b => b.title)]),
    write: audited,
    write_in_transaction: em => em.transactional(audited),
    relations: async em => [await each(authors(em, N / 2), a => manyAndOne(em, a)),
        await each(em.fork().find('Author', {}, { orderBy, limit: N }), async a => [...await manyAndOne(em, a), (await items(a.awards)).map(w => w.name)])],
    keyset,
    after_write: em => em.transactional(async inner => {
        inner.persist(inner.create('Audit', { authorId: 1, what: 'begun' }));
        await inner.flush();
        return each(authors(inner), async a => [a.name, await titles(a)]);
    }),
    deferred: em => each(authors(em), async a => [a.name, (await em.populate(a, ['bio'])) && a.bio]),
    refresh: em => each(authors(em), async a => (await em.findOne('Author', a.id, { refresh: true })).name),
    view: em => each(authors(em), async a => [a.name, (await items(a.infos)).map(i => [i.title, i.authorName]), (await em.findOne('AuthorTotal', { author: a.id })).nBooks]),
    uuid: async em => [await each(em.find('Account', {}, { orderBy: { position: 'asc' }, limit: N }), async a => [a.owner, (await items(a.entries)).map(e => e.amount)]),
        await each(em.fork().find('Entry', {}, { orderBy: { position: 'asc' }, limit: N }), async e => [e.amount, (await e.account.__helper.init()).owner])],
};

async function main() {
    const orm = await MikroORM.init({ driver: PostgreSqlDriver, host: '127.0.0.1', port: PORT, user: 'app', password: '', dbName: 'matrix', entities,
        discovery: { disableDynamicFileAccess: true } });
    await serve(Object.fromEntries(Object.entries(pages).map(([name, page]) => [name, () => page(orm.em.fork())])), '@mikro-orm/core', () => orm.close());
}

main();
