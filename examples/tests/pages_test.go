// SPDX-License-Identifier: PostgreSQL
//
// pgfold test -- go test pages_test.go
package pages

import (
	"database/sql"
	"os"
	"testing"

	_ "github.com/lib/pq"
)

func titles(t *testing.T, db *sql.DB, query string, args ...interface{}) int {
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func open(t *testing.T) *sql.DB {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestLazy(t *testing.T) {
	db := open(t)
	defer db.Close()
	rows, err := db.Query("SELECT id FROM author ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		titles(t, db, "SELECT title FROM book WHERE author_id = $1 ORDER BY id", id)
	}
}

func TestEager(t *testing.T) {
	db := open(t)
	defer db.Close()
	if titles(t, db, "SELECT a.name, b.title FROM author a JOIN book b ON b.author_id = a.id ORDER BY b.id") != 4 {
		t.Fatal("not four books")
	}
}
