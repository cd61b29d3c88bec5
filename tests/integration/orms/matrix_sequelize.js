// SPDX-License-Identifier: PostgreSQL
//
// The matrix' pages with Sequelize over node-postgres: its pool of five, of which a page uses one connection.
'use strict';
const { Sequelize, DataTypes, Op } = require('sequelize');
const { N, STEP, PORT, each, serve } = require('./matrix.js');

const db = new Sequelize('matrix', 'app', '', { host: '127.0.0.1', port: PORT, dialect: 'postgres', logging: false });
const table = (name, tableName, columns) => db.define(name, columns, { tableName, timestamps: false, underscored: true });
const { TEXT, INTEGER, BIGINT, DECIMAL, DATEONLY, DATE, STRING, UUID } = DataTypes;
const Author = table('Author', 'authors', { tenantId: INTEGER, name: TEXT, bio: TEXT, born: DATEONLY, createdAt: DATE, deletedAt: DATE });
const Profile = table('Profile', 'profiles', { site: TEXT });
const Award = table('Award', 'awards', { name: TEXT });
const Book = table('Book', 'books', { tenantId: INTEGER, title: TEXT, price: DECIMAL(10, 2), published: DATEONLY, deletedAt: DATE });
const Review = table('Review', 'reviews', { id: { type: BIGINT, primaryKey: true }, stars: INTEGER, body: TEXT });
const Tag = table('Tag', 'tags', { name: STRING(40) });
const Comment = table('Comment', 'comments', { commentableType: STRING(20), commentableId: INTEGER, body: TEXT });
const Category = table('Category', 'categories', { name: TEXT });
const Account = table('Account', 'accounts', { id: { type: UUID, primaryKey: true }, owner: TEXT, position: INTEGER });
const Entry = table('Entry', 'entries', { id: { type: UUID, primaryKey: true }, amount: DECIMAL(10, 2), position: INTEGER });
const BookInfo = table('BookInfo', 'book_infos', { title: TEXT, authorName: TEXT });
const AuthorTotal = table('AuthorTotal', 'author_totals', { nBooks: BIGINT, total: DECIMAL });
const Audit = table('Audit', 'audits', { authorId: INTEGER, what: TEXT });
Author.hasMany(Book, { foreignKey: 'author_id' });
Author.hasOne(Profile, { foreignKey: 'author_id' });
Author.hasMany(Award, { foreignKey: 'author_id' });
Author.hasMany(Comment, { foreignKey: 'commentable_id', constraints: false, scope: { commentable_type: 'Author' } });
Author.hasMany(BookInfo, { foreignKey: 'author_id' });
Author.hasOne(AuthorTotal, { foreignKey: 'author_id' });
Book.belongsTo(Author, { foreignKey: 'author_id' });
Book.hasMany(Review, { foreignKey: 'book_id' });
Book.belongsToMany(Tag, { through: 'book_tags', foreignKey: 'book_id', otherKey: 'tag_id', timestamps: false });
Tag.belongsToMany(Book, { through: 'book_tags', foreignKey: 'tag_id', otherKey: 'book_id', timestamps: false });
Comment.belongsTo(Author, { foreignKey: 'commentable_id', constraints: false });
Comment.belongsTo(Book, { foreignKey: 'commentable_id', constraints: false });
Category.belongsTo(Category, { as: 'parent', foreignKey: 'parent_id' });
Category.hasMany(Category, { as: 'children', foreignKey: 'parent_id' });
Account.hasMany(Entry, { foreignKey: 'account_id' });
Entry.belongsTo(Account, { foreignKey: 'account_id' });

const order = ['id'];
const authors = (n = N, where = {}) => Author.findAll({ order, limit: n, where });
const titles = async (a, o = {}) => (await a.getBooks({ order, ...o })).map(b => b.title);
const manyAndOne = async a => [a.name, await titles(a), (await a.getProfile()).site];

async function up(c) {
    const parent = await c.getParent();
    return [c.name, ...parent ? await up(parent) : []];
}

async function below(c) {
    return [c.name, await each(c.getChildren({ order }), below)];
}

async function commented(c) {
    return [c.body, c.commentableType === 'Book' ? (await c.getBook()).title : (await c.getAuthor()).name];
}

function audited(transaction) {
    return each(Author.findAll({ order, limit: N, transaction }), async a => {
        const row = [a.name, await titles(a, { transaction })];
        await Audit.create({ authorId: a.id, what: 'seen' }, { transaction });
        return row;
    });
}

async function keyset() {
    const page = [];
    for (let last = 0; page.length < N;) {
        for (const a of await Author.findAll({ where: { id: { [Op.gt]: last } }, order, limit: STEP })) {
            page.push([a.name, await titles(a)]);
            last = a.id;
        }
    }
    return page;
}

serve({
    to_many: () => each(authors(), async a => [a.name, await titles(a)]),
    to_one: () => each(Book.findAll({ order, limit: 4 * N }), async b => [b.title, (await b.getAuthor()).name]),
    nested: () => each(authors(N / 2), async a => [a.name, await each(a.getBooks({ order }), async b => [b.title, (await b.getReviews({ order })).map(r => r.body)])]),
    many_to_many: () => each(Book.findAll({ order, limit: N }), async b => [b.title, (await b.getTags({ order })).map(t => t.name)]),
    counts: () => each(authors(), async a => [a.name, await a.countBooks()]),
    latest: () => each(authors(), async a => [a.name, (await a.getBooks({ order: [['published', 'DESC'], ['id', 'DESC']], limit: 1 }))[0].title]),
    polymorphic: async () => [await each(Comment.findAll({ order, limit: N }), commented),
        await each(authors(N / 2), async a => [a.name, (await a.getComments({ order })).map(c => c.body)])],
    tree: async () => [await each(Category.findAll({ order: [['id', 'DESC']], limit: N }), up), await below(await Category.findOne({ where: { parent_id: null } }))],
    tenant: () => each(authors(N, { tenantId: 1, deletedAt: null }), async a => [a.name, await titles(a, { where: { tenantId: 1, deletedAt: null } })]),
    write: () => audited(),
    write_in_transaction: () => db.transaction(audited),
    relations: async () => [await each(authors(N / 2), manyAndOne),
        await each(authors(), async a => [...await manyAndOne(a), (await a.getAwards({ order })).map(w => w.name)])],
    keyset,
    after_write: () => db.transaction(async transaction => {
        await Audit.create({ authorId: 1, what: 'begun' }, { transaction });
        return each(Author.findAll({ order, limit: N, transaction }), async a => [a.name, await titles(a, { transaction })]);
    }),
    deferred: () => each(Author.findAll({ attributes: ['id', 'name'], order, limit: N }), async a => [a.name, (await a.reload({ attributes: ['bio'] })).bio]),
    refresh: () => each(authors(), async a => (await a.reload()).name),
    view: () => each(authors(), async a => [a.name, (await a.getBookInfos({ order })).map(i => [i.title, i.authorName]), (await a.getAuthorTotal()).nBooks]),
    uuid: async () => [await each(Account.findAll({ order: ['position'], limit: N }), async a => [a.owner, (await a.getEntries({ order: ['position'] })).map(e => e.amount)]),
        await each(Entry.findAll({ order: ['position'], limit: N }), async e => [e.amount, (await e.getAccount()).owner])],
}, 'sequelize', () => db.close());
