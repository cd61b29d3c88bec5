// SPDX-License-Identifier: PostgreSQL
//
// The matrix' pages with Objection over Knex and node-postgres.
'use strict';
const knex = require('knex');
const { Model } = require('objection');
const { N, STEP, PORT, each, serve } = require('./matrix.js');

const db = knex({ client: 'pg', connection: { host: '127.0.0.1', port: PORT, user: 'app', database: 'matrix' } });
Model.knex(db);

class Author extends Model {
    static get tableName() { return 'authors'; }
    static get relationMappings() {
        return {
            books: hasMany(Book, 'authors.id', 'books.author_id'), profile: { ...hasMany(Profile, 'authors.id', 'profiles.author_id'), relation: Model.HasOneRelation },
            awards: hasMany(Award, 'authors.id', 'awards.author_id'), infos: hasMany(BookInfo, 'authors.id', 'book_infos.author_id'),
            totals: { ...hasMany(AuthorTotal, 'authors.id', 'author_totals.author_id'), relation: Model.HasOneRelation },
            comments: { ...hasMany(Comment, 'authors.id', 'comments.commentable_id'), filter: { commentable_type: 'Author' } },
        };
    }
}

class Profile extends Model {
    static get tableName() { return 'profiles'; }
}

class Award extends Model {
    static get tableName() { return 'awards'; }
}

class Book extends Model {
    static get tableName() { return 'books'; }
    static get relationMappings() {
        return {
            author: belongsTo(Author, 'books.author_id', 'authors.id'), reviews: hasMany(Review, 'books.id', 'reviews.book_id'),
            tags: { relation: Model.ManyToManyRelation, modelClass: Tag, join: { from: 'books.id', through: { from: 'book_tags.book_id', to: 'book_tags.tag_id' }, to: 'tags.id' } },
        };
    }
}

class Review extends Model {
    static get tableName() { return 'reviews'; }
}

class Tag extends Model {
    static get tableName() { return 'tags'; }
}

class Comment extends Model {
    static get tableName() { return 'comments'; }
}

class Category extends Model {
    static get tableName() { return 'categories'; }
    static get relationMappings() {
        return { parent: belongsTo(Category, 'categories.parent_id', 'categories.id'), children: hasMany(Category, 'categories.id', 'categories.parent_id') };
    }
}

class Account extends Model {
    static get tableName() { return 'accounts'; }
    static get relationMappings() {
        return { entries: hasMany(Entry, 'accounts.id', 'entries.account_id') };
    }
}

class Entry extends Model {
    static get tableName() { return 'entries'; }
    static get relationMappings() {
        return { account: belongsTo(Account, 'entries.account_id', 'accounts.id') };
    }
}

class BookInfo extends Model {
    static get tableName() { return 'book_infos'; }
}

class AuthorTotal extends Model {
    static get tableName() { return 'author_totals'; }
}

class Audit extends Model {
    static get tableName() { return 'audits'; }
}

function hasMany(modelClass, from, to) {
    return { relation: Model.HasManyRelation, modelClass, join: { from, to } };
}

function belongsTo(modelClass, from, to) {
    return { relation: Model.BelongsToOneRelation, modelClass, join: { from, to } };
}

const authors = (n = N, trx = undefined) => Author.query(trx).orderBy('id').limit(n);
const titles = async (a, trx = undefined) => (await a.$relatedQuery('books', trx).orderBy('id')).map(b => b.title);
const manyAndOne = async a => [a.name, await titles(a), (await a.$relatedQuery('profile')).site];

async function up(c) {
    if (c.parent_id === null) return [c.name];
    return [c.name, ...await up(await c.$relatedQuery('parent'))];
}

async function below(c) {
    return [c.name, await each(c.$relatedQuery('children').orderBy('id'), below)];
}

async function commented(c) {
    return [c.body, c.commentable_type === 'Book' ? (await Book.query().findById(c.commentable_id)).title : (await Author.query().findById(c.commentable_id)).name];
}

const audited = trx => each(authors(N, trx), async a => {
    const row = [a.name, await titles(a, trx)];
    await Audit.query(trx).insert({ author_id: a.id, what: 'seen' });
    return row;
});

async function keyset() {
    const page = [];
    for (let last = 0; page.length < N;) {
        for (const a of await Author.query().where('id', '>', last).orderBy('id').limit(STEP)) {
            page.push([a.name, await titles(a)]);
            last = a.id;
        }
    }
    return page;
}

serve({
    to_many: () => each(authors(), async a => [a.name, await titles(a)]),
    to_one: () => each(Book.query().orderBy('id').limit(4 * N), async b => [b.title, (await b.$relatedQuery('author')).name]),
    nested: () => each(authors(N / 2), async a => [a.name, await each(a.$relatedQuery('books').orderBy('id'),
        async b => [b.title, (await b.$relatedQuery('reviews').orderBy('id')).map(r => r.body)])]),
    many_to_many: () => each(Book.query().orderBy('id').limit(N), async b => [b.title, (await b.$relatedQuery('tags').orderBy('tags.id')).map(t => t.name)]),
    counts: () => each(authors(), async a => [a.name, await a.$relatedQuery('books').resultSize()]),
    latest: () => each(authors(), async a => [a.name, (await a.$relatedQuery('books').orderBy('published', 'desc').orderBy('id', 'desc').first()).title]),
    polymorphic: async () => [await each(Comment.query().orderBy('id').limit(N), commented),
        await each(authors(N / 2), async a => [a.name, (await a.$relatedQuery('comments').orderBy('id')).map(c => c.body)])],
    tree: async () => [await each(Category.query().orderBy('id', 'desc').limit(N), up), await below(await Category.query().whereNull('parent_id').first())],
    tenant: () => each(Author.query().where({ tenant_id: 1 }).whereNull('deleted_at').orderBy('id').limit(N),
        async a => [a.name, (await a.$relatedQuery('books').where({ tenant_id: 1 }).whereNull('deleted_at').orderBy('id')).map(b => b.title)]),
    write: () => audited(),
    write_in_transaction: () => Model.transaction(audited),
    relations: async () => [await each(authors(N / 2), manyAndOne),
        await each(authors(), async a => [...await manyAndOne(a), (await a.$relatedQuery('awards').orderBy('id')).map(w => w.name)])],
    keyset,
    after_write: () => Model.transaction(async trx => {
        await Audit.query(trx).insert({ author_id: 1, what: 'begun' });
        return each(authors(N, trx), async a => [a.name, await titles(a, trx)]);
    }),
    deferred: () => each(Author.query().select('id', 'name').orderBy('id').limit(N), async a => [a.name, (await a.$query().select('bio')).bio]),
    refresh: () => each(authors(), async a => (await a.$query()).name),
    view: () => each(authors(), async a => [a.name, (await a.$relatedQuery('infos').orderBy('id')).map(i => [i.title, i.author_name]), (await a.$relatedQuery('totals')).n_books]),
    uuid: async () => [await each(Account.query().orderBy('position').limit(N), async a => [a.owner, (await a.$relatedQuery('entries').orderBy('position')).map(e => e.amount)]),
        await each(Entry.query().orderBy('position').limit(N), async e => [e.amount, (await e.$relatedQuery('account')).owner])],
}, 'objection', () => db.destroy());
