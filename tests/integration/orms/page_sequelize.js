// SPDX-License-Identifier: PostgreSQL
//
// Sequelize over node-postgres. Argument: `pool` or `transactions`; `loop`: lazily, one after the other.
'use strict';
const { Sequelize, DataTypes } = require('sequelize');
const { N, PORT, bookOf, serve, serveLoop, tagOf, tokenOf, version } = require('./pages.js');

const db = new Sequelize('orms', 'app', '', { host: '127.0.0.1', port: PORT, dialect: 'postgres', logging: false, pool: { min: N, max: N } });
const plain = { timestamps: false, underscored: true };
const Author = db.define('Author', { name: DataTypes.TEXT, email: DataTypes.TEXT, token: DataTypes.UUID }, { ...plain, tableName: 'authors' });
const Profile = db.define('Profile', { bio: DataTypes.TEXT }, { ...plain, tableName: 'profiles' });
const Book = db.define('Book', { title: DataTypes.TEXT, price: DataTypes.DECIMAL(10, 2), position: DataTypes.INTEGER, published: DataTypes.DATEONLY },
    { ...plain, tableName: 'books' });
const Review = db.define('Review', { stars: DataTypes.INTEGER }, { ...plain, tableName: 'reviews' });
const Tag = db.define('Tag', { name: DataTypes.STRING(40) }, { ...plain, tableName: 'tags' });
Author.hasMany(Book, { foreignKey: 'author_id' });
Author.hasOne(Profile, { foreignKey: 'author_id' });
Book.belongsTo(Author, { foreignKey: 'author_id' });
Book.hasMany(Review, { foreignKey: 'book_id' });
Book.belongsToMany(Tag, { through: 'book_tags', foreignKey: 'book_id', otherKey: 'tag_id', timestamps: false });
Tag.belongsToMany(Book, { through: 'book_tags', foreignKey: 'tag_id', otherKey: 'book_id', timestamps: false });

const author = i => Author.build({ id: i }, { isNewRecord: false });
const book = i => Book.build({ id: bookOf(i), author_id: i }, { isNewRecord: false });
const page = {
    author: (i, o) => Author.findByPk(i, o),
    books: (i, o) => author(i).getBooks({ order: ['position'], ...o }),
    belongs_to: (i, o) => book(i).getAuthor(o),
    profile: (i, o) => author(i).getProfile(o),
    tags: (i, o) => book(i).getTags({ joinTableAttributes: [], order: ['id'], ...o }),
    review_count: (i, o) => Review.count({ where: { book_id: bookOf(i) }, ...o }),
    best: (i, o) => Review.max('stars', { where: { book_id: bookOf(i) }, ...o }),
    tag_by_name: (i, o) => Tag.findOne({ where: { name: tagOf(i) }, ...o }),
    author_by_token: (i, o) => Author.findOne({ where: { token: tokenOf(i) }, ...o }),
    included: (i, o) => Book.findByPk(bookOf(i), { include: [{ model: Review, separate: false }], order: [[Review, 'id', 'ASC']], ...o }),
};
const within = process.argv[2] === 'transactions' ? ask => i => db.transaction(transaction => ask(i, { transaction })) : ask => i => ask(i, {});

async function loop() {
    const rows = [];
    for (const a of await Author.findAll({ order: ['id'], limit: N })) {
        const books = await a.getBooks(), profile = await a.getProfile(), reviews = [];
        for (const b of books) reviews.push(await b.getReviews());
        rows.push([a, books, profile, reviews]);
    }
    return rows;
}

if (process.argv[2] === 'loop') serveLoop(loop, version('sequelize'), () => db.close());
else serve(Object.fromEntries(Object.entries(page).map(([kind, ask]) => [kind, within(ask)])), version('sequelize'),
    () => db.close());
