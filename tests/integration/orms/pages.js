// SPDX-License-Identifier: PostgreSQL
//
// What the Node pages have in common; pages.py says what a page is.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');

const N = Number(process.env.ORM_N || 24);
const PORT = Number(process.env.ORM_PORT);
const IDS = Array.from({ length: N }, (_, i) => i + 1);

const bookOf = i => i * 4 - 1;
const tagOf = i => 'tag-' + (i % 50 + 1);

function tokenOf(i) {
    const hex = crypto.createHash('md5').update(String(i)).digest('hex');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function say(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}

// requests: {kind: async function of i}. Each kind is asked for all authors at once.
async function serve(requests, version, end) {
    say({ ready: true, version });
    for await (const _ of readline.createInterface({ input: process.stdin })) {
        const start = process.hrtime.bigint(), page = {};
        for (const [kind, ask] of Object.entries(requests)) page[kind] = await Promise.all(IDS.map(i => ask(i)));
        say({ ms: Number(process.hrtime.bigint() - start) / 1e6, lookups: N * Object.keys(requests).length, page });
    }
    await end();
}

// loop(): a page that touches one thing after the other, [author, books, profile, reviews of each book] of each author.
async function serveLoop(loop, version, end) {
    say({ ready: true, version });
    for await (const _ of readline.createInterface({ input: process.stdin })) {
        const start = process.hrtime.bigint(), page = await loop();
        say({ ms: Number(process.hrtime.bigint() - start) / 1e6, lookups: page.reduce((n, row) => n + 2 + row[3].length, 0), page: { loop: page } });
    }
    await end();
}

const SQL = {
    author: ['SELECT id, tenant_id, name, email, token, deleted_at FROM authors WHERE id = $1', i => [i]],
    books: ['SELECT id, title, price, position, published FROM books WHERE author_id = $1 ORDER BY position', i => [i]],
    profile: ['SELECT id, bio FROM profiles WHERE author_id = $1 LIMIT 1', i => [i]],
    tags: ['SELECT t.id, t.name FROM tags t JOIN book_tags bt ON bt.tag_id = t.id WHERE bt.book_id = $1 ORDER BY t.id', i => [bookOf(i)]],
    review_count: ['SELECT count(*) FROM reviews WHERE book_id = $1', i => [bookOf(i)]],
    average: ['SELECT avg(stars), max(stars) FROM reviews WHERE book_id = $1', i => [bookOf(i)]],
    has_five: ['SELECT EXISTS (SELECT 1 FROM reviews WHERE book_id = $1 AND stars = 5)', i => [bookOf(i)]],
    tag_by_name: ['SELECT id, name FROM tags WHERE name = $1', i => [tagOf(i)]],
    author_by_token: ['SELECT id, name FROM authors WHERE token = $1', i => [tokenOf(i)]],
    book_at: ['SELECT id, title FROM books WHERE author_id = $1 AND position = $2', i => [i, i % 4 + 1]],
    last_book: ['SELECT id, title FROM books WHERE author_id = $1 AND deleted_at IS NULL ORDER BY id DESC LIMIT 1', i => [i]],
};

// The installed version of a library, whatever it exports.
function version(library) {
    return JSON.parse(fs.readFileSync(path.join(__dirname, 'node_modules', library, 'package.json'))).version;
}

// {kind: run(text, values)} for a driver that takes the texts as they are.
function asked(run) {
    return Object.fromEntries(Object.entries(SQL).map(([kind, [text, values]]) => [kind, i => run(text, values(i), kind)]));
}

module.exports = { N, PORT, IDS, SQL, bookOf, tagOf, tokenOf, serve, serveLoop, asked, version };
