// SPDX-License-Identifier: PostgreSQL
//
// Checkouts of a node-postgres pool that become somebody's for a while; test_tenants.py says which. One line of JSON on the standard
// input: {port, pool, named, checkouts: [{first, lookups: [[text, id], …], last}, …]}. Prints the answers, checkout by checkout.
'use strict';
const pg = require('pg');

async function answer(client, text, id, named) {
    try {
        const got = await client.query({ text, values: [id], rowMode: 'array', ...(named ? { name: text } : {}) });
        return got.rows;
    } catch (e) {
        if (!e.code) throw e;
        return e.code;
    }
}

async function checkout(pool, { first, lookups, last }, named) {
    const client = await pool.connect();
    try {
        for (const text of first) await client.query(text);
        const got = [];
        for (const [text, id] of lookups) got.push(await answer(client, text, id, named));
        for (const text of last) await client.query(text);
        return got;
    } finally {
        client.release();
    }
}

async function main() {
    const job = JSON.parse(require('node:fs').readFileSync(0));
    const pool = new pg.Pool({ host: '127.0.0.1', port: job.port, user: 'clerk', database: 'app', max: job.pool });
    const got = await Promise.all(job.checkouts.map(c => checkout(pool, c, job.named)));
    console.log(JSON.stringify(got));
    await pool.end();
}

main();
