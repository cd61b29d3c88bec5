// SPDX-License-Identifier: PostgreSQL
//
// The matrix' pages with TypeORM over node-postgres, its lazy relations.
'use strict';
require('reflect-metadata');
const { DataSource, EntitySchema, IsNull, MoreThan } = require('typeorm');
const { N, STEP, PORT, each, serve } = require('./matrix.js');

const id = { type: 'int', primary: true, generated: true }, uuid = { type: 'uuid', primary: true }, text = { type: 'text' }, int = { type: 'int' };
const date = { type: 'date' }, time = { type: 'timestamptz', nullable: true }, numeric = { type: 'numeric', precision: 10, scale: 2 };
const entities = [];
function entity(name, tableName, columns, relations = {}) {
    entities.push(new EntitySchema({ name, tableName, columns, relations }));
}
const many = (target, inverseSide) => ({ type: 'one-to-many', target, inverseSide, lazy: true });
const one = (target, name, inverseSide, type = 'many-to-one') => ({ type, target, joinColumn: { name }, inverseSide, lazy: true });
const its = (target, inverseSide) => ({ type: 'one-to-one', target, inverseSide, lazy: true });
entity('Author', 'authors', { id, tenantId: { ...int, name: 'tenant_id' }, name: text, bio: text, born: date, createdAt: { ...time, name: 'created_at' },
    deletedAt: { ...time, name: 'deleted_at' } }, { books: many('Book', 'author'), profile: its('Profile', 'author'), awards: many('Award', 'author'),
    infos: many('BookInfo', 'author'), totals: its('AuthorTotal', 'author') });
entity('Profile', 'profiles', { id, site: text }, { author: one('Author', 'author_id', 'profile', 'one-to-one') });
entity('Award', 'awards', { id, name: text }, { author: one('Author', 'author_id', 'awards') });
entity('Book', 'books', { id, tenantId: { ...int, name: 'tenant_id' }, title: text, price: numeric, published: date, deletedAt: { ...time, name: 'deleted_at' } },
    { author: one('Author', 'author_id', 'books'), reviews: many('Review', 'book'), tags: { type: 'many-to-many', target: 'Tag', lazy: true,
        joinTable: { name: 'book_tags', joinColumn: { name: 'book_id' }, inverseJoinColumn: { name: 'tag_id' } } } });
entity('Review', 'reviews', { id: { type: 'bigint', primary: true }, stars: int, body: text }, { book: one('Book', 'book_id', 'reviews') });
entity('Tag', 'tags', { id, name: { type: 'varchar', length: 40 } });
entity('Comment', 'comments', { id, commentableType: { type: 'varchar', name: 'commentable_type' }, commentableId: { ...int, name: 'commentable_id' }, body: text });
entity('Category', 'categories', { id, name: text }, { parent: one('Category', 'parent_id', 'children'), children: many('Category', 'parent') });
entity('Account', 'accounts', { id: uuid, owner: text, position: int }, { entries: many('Entry', 'account') });
entity('Entry', 'entries', { id: uuid, amount: numeric, position: int }, { account: one('Account', 'account_id', 'entries') });
entity('BookInfo', 'book_infos', { id, title: text, authorName: { ...text, name: 'author_name' } }, { author: one('Author', 'author_id', 'infos') });
entity('AuthorTotal', 'author_totals', { id, nBooks: { type: 'bigint', name: 'n_books' }, total: numeric }, { author: one('Author', 'author_id', 'totals', 'one-to-one') });
entity('Audit', 'audits', { id, authorId: { ...int, name: 'author_id' }, what: text });

const db = new DataSource({ type: 'postgres', host: '127.0.0.1', port: PORT, username: 'app', database: 'matrix', entities });
const order = { id: 'ASC' };
const authors = (n = N, where = {}, m = db) => m.getRepository('Author').find({ order, take: n, where });
const sorted = async rows => (await rows).sort((a, b) => (a.position || a.id) - (b.position || b.id));
const titles = async a => (await sorted(a.books)).map(b => b.title);
const manyAndOne = async a => [a.name, await titles(a), (await a.profile).site];

async function up(c) {
    const parent = await c.parent;
    return [c.name, ...parent ? await up(parent) : []];
}

async function below(c) {
    return [c.name, await each(sorted(c.children), below)];
}

async function commented(c) {
    const subject = await db.getRepository(c.commentableType).findOneBy({ id: c.commentableId });
    return [c.body, c.commentableType === 'Book' ? subject.title : subject.name];
}

const audited = m => each(authors(N, {}, m), async a => {
    const row = [a.name, await titles(a)];
    await m.getRepository('Audit').save({ authorId: a.id, what: 'seen' });
    return row;
});

async function keyset() {
    const page = [];
    for (let last = 0; page.length < N;) {
        for (const a of await authors(STEP, { id: MoreThan(last) })) {
            page.push([a.name, await titles(a)]);
            last = a.id;
        }
    }
    return page;
}

async function main() {
    await db.initialize();
    const r = name => db.getRepository(name), ofAuthor = a => ({ author: { id: a.id } });
    const books = n => r('Book').find({ order, take: n });
    await serve({
        to_many: () => each(authors(), async a => [a.name, await titles(a)]),
        to_one: () => each(books(4 * N), async b => [b.title, (await b.author).name]),
        nested: () => each(authors(N / 2), async a => [a.name, await each(sorted(a.books), async b => [b.title, (await sorted(b.reviews)).map(x => x.body)])]),
        many_to_many: () => each(books(N), async b => [b.title, (await sorted(b.tags)).map(t => t.name)]),
        counts: () => each(authors(), async a => [a.name, await r('Book').countBy(ofAuthor(a))]),
        latest: () => each(authors(), async a => [a.name, (await r('Book').findOne({ where: ofAuthor(a), order: { published: 'DESC', id: 'DESC' } })).title]),
        polymorphic: async () => [await each(r('Comment').find({ order, take: N }), commented), await each(authors(N / 2), async a => [a.name,
            (await r('Comment').find({ where: { commentableType: 'Author', commentableId: a.id }, order })).map(c => c.body)])],
        tree: async () => [await each(r('Category').find({ order: { id: 'DESC' }, take: N }), up), await below(await r('Category').findOneBy({ parent: IsNull() }))],
        tenant: () => each(authors(N, { tenantId: 1, deletedAt: IsNull() }), async a => [a.name,
            (await r('Book').find({ where: { ...ofAuthor(a), tenantId: 1, deletedAt: IsNull() }, order })).map(b => b.title)]),
        write: () => audited(db),
        write_in_transaction: () => db.transaction(audited),
        relations: async () => [await each(authors(N / 2), manyAndOne), await each(authors(), async a => [...await manyAndOne(a), (await sorted(a.awards)).map(w => w.name)])],
        keyset,
        after_write: () => db.transaction(async m => {
            await m.getRepository('Audit').save({ authorId: 1, what: 'begun' });
            return each(authors(N, {}, m), async a => [a.name, await titles(a)]);
        }),
        deferred: () => each(r('Author').find({ select: { id: true, name: true }, order, take: N }), async a => [a.name,
            (await r('Author').findOne({ select: { bio: true }, where: { id: a.id } })).bio]),
        refresh: () => each(authors(), async a => (await r('Author').findOneByOrFail({ id: a.id })).name),
        view: () => each(authors(), async a => [a.name, (await sorted(a.infos)).map(i => [i.title, i.authorName]), (await a.totals).nBooks]),
        uuid: async () => [await each(r('Account').find({ order: { position: 'ASC' }, take: N }), async a => [a.owner, (await sorted(a.entries)).map(e => e.amount)]),
            await each(r('Entry').find({ order: { position: 'ASC' }, take: N }), async e => [e.amount, (await e.account).owner])],
    }, 'typeorm', () => db.destroy());
}

main();
