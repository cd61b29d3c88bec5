// SPDX-License-Identifier: PostgreSQL
//
// node-postgres over a Pool. Argument: `unnamed` (query with values), `named` (prepared), `transactions` (BEGIN … COMMIT around each),
// `one` (one client that pipelines by itself: its queue, one at a time).
'use strict';
const pg = require('pg');
const { N, PORT, asked, serve, version } = require('./pages.js');

const how = process.argv[2];
const pool = new pg.Pool({ host: '127.0.0.1', port: PORT, user: 'app', database: 'orms', max: how === 'one' ? 1 : N });

async function run(text, values, kind) {
    if (how === 'transactions') {
        const client = await pool.connect();
        try {
            await client.query('BEGIN');
            const got = await client.query(text, values);
            await client.query('COMMIT');
            return got.rows;
        } finally {
            client.release();
        }
    }
    return (await pool.query(how === 'named' ? { name: kind, text, values } : { text, values })).rows;
}

serve(asked(run), version('pg'), () => pool.end());
