// SPDX-License-Identifier: PostgreSQL
//
// node-postgres, one client; page_nested.py says what a page is. Argument: `unnamed`, `named` (prepared) or
// `transactions` (unnamed, a transaction for each page).
'use strict';
const readline = require('node:readline');
const pg = require('pg');

const [how, levels] = [process.argv[2], JSON.parse(process.argv[3])];
const client = new pg.Client({ host: '127.0.0.1', port: Number(process.env.ORM_PORT), user: 'app', database: 'nested' });
let took = [];

const now = () => Number(process.hrtime.bigint()) / 1e6;

async function timed(query) {
    const start = now();
    const { rows } = await client.query(query);
    took.push(now() - start);
    return rows;
}

async function ask(level, value) {
    const query = { text: level.sql.replace('%s', '$1'), values: [value], rowMode: 'array' };
    if (how === 'named') query.name = level.table;
    return timed(query);
}

async function walk(row, depth) {
    if (depth === levels.length) return row;
    const below = [];
    for (const r of await ask(levels[depth], row[levels[depth].from])) below.push(await walk(r, depth + 1));
    return [...row, below];
}

async function main() {
    await client.connect();
    console.log(JSON.stringify({ version: require('pg/package.json').version }));
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const start = now(), page = [];
        took = [];
        if (how === 'transactions') await timed('BEGIN');
        for (const r of await ask(levels[0], JSON.parse(line))) page.push(await walk(r, 1));
        if (how === 'transactions') await timed('COMMIT');
        console.log(JSON.stringify({ ms: now() - start, began: start / 1e3, took, page }));
    }
    await client.end();
}

main();
