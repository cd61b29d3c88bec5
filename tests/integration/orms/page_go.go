// SPDX-License-Identifier: PostgreSQL
//
// Go. Argument: `pool` (pgx, goroutines over a pool), `batch` (pgx.Batch on one connection: one Sync), `simple` (pgx, simple protocol), `pq`
// (lib/pq below database/sql), `transactions` (pgx, Begin … Commit around each).
package main

import (
	"bufio"
	"context"
	"crypto/md5"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
	_ "github.com/lib/pq"
)

type kind struct {
	name, text string
	values     func(i int) []interface{}
}

type rows [][]interface{}

func bookOf(i int) int { return i*4 - 1 }

func tokenOf(i int) string {
	h := fmt.Sprintf("%x", md5.Sum([]byte(strconv.Itoa(i))))
	return h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

var kinds = []kind{
	{"author", "SELECT id, tenant_id, name, email FROM authors WHERE id = $1", func(i int) []interface{} { return []interface{}{i} }},
	{"books", "SELECT id, title, position FROM books WHERE author_id=$1 ORDER BY position;", func(i int) []interface{} { return []interface{}{i} }},
	{"profile", "SELECT id, bio FROM profiles WHERE author_id = $1 ORDER BY profiles.id LIMIT 1", func(i int) []interface{} { return []interface{}{i} }},
	{"tags", "SELECT t.id, t.name FROM tags t JOIN book_tags bt ON bt.tag_id = t.id WHERE bt.book_id = $1 ORDER BY t.id",
		func(i int) []interface{} { return []interface{}{bookOf(i)} }},
	{"review_count", "SELECT count(*) FROM reviews WHERE book_id = $1", func(i int) []interface{} { return []interface{}{bookOf(i)} }},
	{"has_five", "SELECT EXISTS (SELECT 1 FROM reviews WHERE book_id = $1 AND stars = 5)", func(i int) []interface{} { return []interface{}{bookOf(i)} }},
	{"tag_by_name", "SELECT id, name FROM tags WHERE name = $1", func(i int) []interface{} { return []interface{}{"tag-" + strconv.Itoa(i%50+1)} }},
	{"author_by_token", "SELECT id, name FROM authors WHERE token = $1", func(i int) []interface{} { return []interface{}{tokenOf(i)} }},
	{"book_at", "SELECT id, title FROM books WHERE author_id = $1 AND position = $2", func(i int) []interface{} { return []interface{}{i, i%4 + 1} }},
	{"last_book", `SELECT id, title FROM "books" WHERE author_id = $1 AND "books"."deleted_at" IS NULL ORDER BY "books"."id" DESC LIMIT $2`,
		func(i int) []interface{} { return []interface{}{i, 1} }},
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func collect(r pgx.Rows, err error) rows {
	check(err)
	defer r.Close()
	got := rows{}
	for r.Next() {
		v, err := r.Values()
		check(err)
		got = append(got, v)
	}
	check(r.Err())
	return got
}

// What one kind of lookup brings for all authors, asked for at once by one function for each.
func atOnce(n int, ask func(i int) rows) []rows {
	got := make([]rows, n)
	var all sync.WaitGroup
	for i := 1; i <= n; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			got[i-1] = ask(i)
		}(i)
	}
	all.Wait()
	return got
}

func openPool(n int, simple bool) *pgxpool.Pool {
	config, err := pgxpool.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%s user=app dbname=orms sslmode=disable pool_max_conns=%d pool_min_conns=%d",
		os.Getenv("ORM_PORT"), n, n))
	check(err)
	config.ConnConfig.PreferSimpleProtocol = simple
	pool, err := pgxpool.ConnectConfig(context.Background(), config)
	check(err)
	return pool
}

func pooled(n int, how string) func(k kind) []rows {
	pool := openPool(n, how == "simple")
	return func(k kind) []rows {
		return atOnce(n, func(i int) rows {
			ctx := context.Background()
			if how != "transactions" {
				return collect(pool.Query(ctx, k.text, k.values(i)...))
			}
			tx, err := pool.Begin(ctx)
			check(err)
			got := collect(tx.Query(ctx, k.text, k.values(i)...))
			check(tx.Commit(ctx))
			return got
		})
	}
}

func batched(n int) func(k kind) []rows {
	pool := openPool(1, false)
	return func(k kind) []rows {
		batch := &pgx.Batch{}
		for i := 1; i <= n; i++ {
			batch.Queue(k.text, k.values(i)...)
		}
		results := pool.SendBatch(context.Background(), batch)
		got := make([]rows, n)
		for i := range got {
			got[i] = collect(results.Query())
		}
		check(results.Close())
		return got
	}
}

func libpq(n int) func(k kind) []rows {
	db, err := sql.Open("postgres", "host=127.0.0.1 port="+os.Getenv("ORM_PORT")+" user=app dbname=orms sslmode=disable")
	check(err)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return func(k kind) []rows {
		return atOnce(n, func(i int) rows {
			r, err := db.Query(k.text, k.values(i)...)
			check(err)
			defer r.Close()
			columns, err := r.Columns()
			check(err)
			got := rows{}
			for r.Next() {
				row, into := make([]interface{}, len(columns)), make([]interface{}, len(columns))
				for c := range row {
					into[c] = &row[c]
				}
				check(r.Scan(into...))
				for c, v := range row {
					if b, is := v.([]byte); is {
						row[c] = string(b)
					}
				}
				got = append(got, row)
			}
			check(r.Err())
			return got
		})
	}
}

func main() {
	n := 24
	if s := os.Getenv("ORM_N"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	var ask func(k kind) []rows
	switch how := os.Args[1]; how {
	case "batch":
		ask = batched(n)
	case "pq":
		ask = libpq(n)
	default:
		ask = pooled(n, how)
	}
	out := json.NewEncoder(os.Stdout)
	check(out.Encode(map[string]interface{}{"ready": true, "version": "pgx 4"}))
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		start, page := time.Now(), map[string][]rows{}
		for _, k := range kinds {
			page[k.name] = ask(k)
		}
		ms := float64(time.Since(start).Nanoseconds()) / 1e6
		check(out.Encode(map[string]interface{}{"ms": ms, "lookups": n * len(kinds), "page": page}))
	}
}
