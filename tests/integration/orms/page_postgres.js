// SPDX-License-Identifier: PostgreSQL
//
// postgres.js with tagged templates. Argument: `pool`, `one` (a single connection, which pipelines), `unsafe` (texts, not prepared),
// `transactions` (sql.begin around each).
'use strict';
const postgres = require('postgres');
const { N, PORT, asked, bookOf, serve, tagOf, tokenOf, version } = require('./pages.js');

const how = process.argv[2];
const sql = postgres({ host: '127.0.0.1', port: PORT, user: 'app', database: 'orms', max: how === 'one' ? 1 : N });

const templates = {
    author: (q, i) => q`SELECT id, tenant_id, name, email, token, deleted_at FROM authors WHERE id = ${i}`,
    books: (q, i) => q`SELECT id, title, price, position, published FROM books WHERE author_id = ${i} ORDER BY position`,
    profile: (q, i) => q`SELECT id, bio FROM profiles WHERE author_id = ${i} LIMIT 1`,
    tags: (q, i) => q`SELECT t.id, t.name FROM tags t JOIN book_tags bt ON bt.tag_id = t.id WHERE bt.book_id = ${bookOf(i)} ORDER BY t.id`,
    review_count: (q, i) => q`SELECT count(*) FROM reviews WHERE book_id = ${bookOf(i)}`,
    average: (q, i) => q`SELECT avg(stars), max(stars) FROM reviews WHERE book_id = ${bookOf(i)}`,
    has_five: (q, i) => q`SELECT EXISTS (SELECT 1 FROM reviews WHERE book_id = ${bookOf(i)} AND stars = 5)`,
    tag_by_name: (q, i) => q`SELECT id, name FROM tags WHERE name = ${tagOf(i)}`,
    author_by_token: (q, i) => q`SELECT id, name FROM authors WHERE token = ${tokenOf(i)}`,
    book_at: (q, i) => q`SELECT id, title FROM books WHERE author_id = ${i} AND position = ${i % 4 + 1}`,
    last_book: (q, i) => q`SELECT id, title FROM books WHERE author_id = ${i} AND deleted_at IS NULL ORDER BY id DESC LIMIT 1`,
};

function requests() {
    if (how === 'unsafe') return asked((text, values) => sql.unsafe(text, values));
    const within = how === 'transactions' ? ask => i => sql.begin(q => ask(q, i)) : ask => i => ask(sql, i);
    return Object.fromEntries(Object.entries(templates).map(([kind, ask]) => [kind, within(ask)]));
}

serve(requests(), version('postgres'), () => sql.end());
