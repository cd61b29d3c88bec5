// SPDX-License-Identifier: PostgreSQL
//
// Knex over node-postgres. Argument: `pool` or `transactions`.
'use strict';
const { N, PORT, bookOf, serve, tagOf, tokenOf, version } = require('./pages.js');
const knex = require('knex')({
    client: 'pg', pool: { min: N, max: N },
    connection: { host: '127.0.0.1', port: PORT, user: 'app', database: 'orms' },
});

const page = {
    author: (k, i) => k('authors').where({ id: i }).first(),
    books: (k, i) => k('books').where('author_id', i).orderBy('position'),
    profile: (k, i) => k('profiles').where({ author_id: i }).first(),
    tags: (k, i) => k('tags').join('book_tags', 'tags.id', 'book_tags.tag_id').where('book_tags.book_id', bookOf(i))
        .select('tags.*').orderBy('tags.id'),
    review_count: (k, i) => k('reviews').where({ book_id: bookOf(i) }).count('*'),
    best: (k, i) => k('reviews').where({ book_id: bookOf(i) }).max('stars'),
    tag_by_name: (k, i) => k('tags').where({ name: tagOf(i) }).first('id', 'name'),
    author_by_token: (k, i) => k('authors').where({ token: tokenOf(i) }).select(),
    of_one: (k, i) => k('profiles').whereIn('author_id', [i]),
};
const within = process.argv[2] === 'transactions' ? ask => i => knex.transaction(t => ask(t, i)) : ask => i => ask(knex, i);

serve(Object.fromEntries(Object.entries(page).map(([kind, ask]) => [kind, within(ask)])), version('knex'),
    () => knex.destroy());
