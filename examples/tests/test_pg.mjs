// SPDX-License-Identifier: PostgreSQL
//
// pgfold test -- node --test test_pg.mjs
import assert from 'node:assert'
import { createRequire } from 'node:module'
import test from 'node:test'

const { Pool } = createRequire(process.env.NODE_MODULES ?? import.meta.url)('pg')

async function withPool(use) {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL })
  try {
    await use(pool)
  } finally {
    await pool.end()
  }
}

test('lazy', () => withPool(async (pool) => {
  const authors = (await pool.query('SELECT id, name FROM author ORDER BY id')).rows
  for (const a of authors)
    a.books = (await pool.query('SELECT title FROM book WHERE author_id = $1 ORDER BY id', [a.id])).rows
  assert.equal(authors.length, 3)
}))

test('eager', () => withPool(async (pool) => {
  const authors = (await pool.query('SELECT id, name FROM author ORDER BY id')).rows
  const books = await pool.query('SELECT author_id, title FROM book WHERE author_id = ANY ($1) ORDER BY id', [authors.map((a) => a.id)])
  for (const a of authors)
    a.books = books.rows.filter((b) => b.author_id === a.id)
  assert.equal(authors.length, 3)
}))
