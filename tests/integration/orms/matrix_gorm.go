// SPDX-License-Identifier: PostgreSQL

// The matrix' pages with GORM (jinzhu/gorm, which Debian has) over lib/pq, its pool as it is by default.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jinzhu/gorm"
	_ "github.com/jinzhu/gorm/dialects/postgres"
)

type Author struct {
	ID        int
	TenantID  int
	Name      string
	Bio       string
	Born      time.Time
	CreatedAt time.Time
	DeletedAt *time.Time
	Books     []Book
	Awards    []Award
	BookInfos []BookInfo
	Comments  []Comment `gorm:"polymorphic:Commentable;polymorphic_value:Author"`
}

type Profile struct {
	ID       int
	AuthorID int
	Site     string
}

type Award struct {
	ID       int
	AuthorID int
	Name     string
}

type Book struct {
	ID        int
	AuthorID  int
	Author    Author
	TenantID  int
	Title     string
	Price     string
	Published time.Time
	DeletedAt *time.Time
	Reviews   []Review
	Tags      []Tag `gorm:"many2many:book_tags"`
}

type Review struct {
	ID     int64
	BookID int
	Stars  int
	Body   string
}

type Tag struct {
	ID   int
	Name string
}

type Comment struct {
	ID              int
	CommentableType string
	CommentableID   int
	Body            string
}

type Category struct {
	ID       int
	ParentID *int
	Name     string
	Children []Category `gorm:"foreignkey:ParentID"`
}

type Account struct {
	ID       string
	Owner    string
	Position int
	Entries  []Entry
}

type Entry struct {
	ID        string
	AccountID string
	Account   Account
	Amount    string
	Position  int
}

type BookInfo struct {
	ID         int
	AuthorID   int
	Title      string
	AuthorName string
}

type AuthorTotal struct {
	ID       int
	AuthorID int
	NBooks   int64
	Total    string
}

type Audit struct {
	ID       int
	AuthorID int
	What     string
}

type row = []interface{}

var n = 60

const step = 20

// A row that has been deleted softly is not found.
func check(db *gorm.DB) {
	if db.Error != nil && !gorm.IsRecordNotFoundError(db.Error) {
		panic(db.Error)
	}
}

func authors(db *gorm.DB, n int) []Author {
	var out []Author
	check(db.Order("id").Limit(n).Find(&out))
	return out
}

func books(db *gorm.DB, a *Author) []Book {
	var out []Book
	check(db.Model(a).Order("id").Related(&out))
	return out
}

func titles(db *gorm.DB, a *Author) []string {
	out := []string{}
	for _, b := range books(db, a) {
		out = append(out, b.Title)
	}
	return out
}

// A row for each author of the list.
func eachAuthor(db *gorm.DB, list []Author, of func(a *Author) row) row {
	page := row{}
	for i := range list {
		page = append(page, append(row{list[i].Name}, of(&list[i])...))
	}
	return page
}

func manyAndOne(db *gorm.DB, a *Author) row {
	var p Profile
	check(db.Model(a).Related(&p))
	return row{titles(db, a), p.Site}
}

func toMany(db *gorm.DB) row {
	return eachAuthor(db, authors(db, n), func(a *Author) row { return row{titles(db, a)} })
}

func toOne(db *gorm.DB) row {
	var list []Book
	check(db.Order("id").Limit(4 * n).Find(&list))
	page := row{}
	for i := range list {
		var a Author
		check(db.Model(&list[i]).Related(&a))
		page = append(page, row{list[i].Title, a.Name})
	}
	return page
}

func nested(db *gorm.DB) row {
	return eachAuthor(db, authors(db, n/2), func(a *Author) row {
		out := row{}
		for _, b := range books(db, a) {
			var reviews []Review
			check(db.Model(&b).Order("id").Related(&reviews))
			bodies := row{b.Title}
			for _, r := range reviews {
				bodies = append(bodies, r.Body)
			}
			out = append(out, bodies)
		}
		return out
	})
}

func manyToMany(db *gorm.DB) row {
	var list []Book
	check(db.Order("id").Limit(n).Find(&list))
	page := row{}
	for i := range list {
		var tags []Tag
		check(db.Model(&list[i]).Order("tags.id").Related(&tags, "Tags"))
		names := row{list[i].Title}
		for _, t := range tags {
			names = append(names, t.Name)
		}
		page = append(page, names)
	}
	return page
}

func counts(db *gorm.DB) row {
	return eachAuthor(db, authors(db, n), func(a *Author) row { return row{db.Model(a).Association("Books").Count()} })
}

func latest(db *gorm.DB) row {
	return eachAuthor(db, authors(db, n), func(a *Author) row {
		var b Book
		check(db.Where("author_id = ?", a.ID).Order("published DESC, id DESC").Limit(1).Take(&b))
		return row{b.Title}
	})
}

func polymorphic(db *gorm.DB) row {
	var list []Comment
	check(db.Order("id").Limit(n).Find(&list))
	page := row{}
	for _, c := range list {
		if c.CommentableType == "Book" {
			var b Book
			check(db.First(&b, c.CommentableID))
			page = append(page, row{c.Body, b.Title})
		} else {
			var a Author
			check(db.First(&a, c.CommentableID))
			page = append(page, row{c.Body, a.Name})
		}
	}
	return append(page, eachAuthor(db, authors(db, n/2), func(a *Author) row {
		var comments []Comment
		check(db.Model(a).Order("id").Related(&comments, "Comments"))
		out := row{}
		for _, c := range comments {
			out = append(out, c.Body)
		}
		return out
	}))
}

func up(db *gorm.DB, c Category) row {
	if c.ParentID == nil {
		return row{c.Name}
	}
	var parent Category
	check(db.First(&parent, *c.ParentID))
	return append(row{c.Name}, up(db, parent)...)
}

func below(db *gorm.DB, c Category) row {
	var children []Category
	check(db.Model(&c).Order("id").Related(&children, "Children"))
	out := row{c.Name}
	for _, child := range children {
		out = append(out, below(db, child))
	}
	return out
}

func tree(db *gorm.DB) row {
	var leaves []Category
	check(db.Order("id DESC").Limit(n).Find(&leaves))
	page := row{}
	for _, c := range leaves {
		page = append(page, up(db, c))
	}
	var root Category
	check(db.Where("parent_id IS NULL").Take(&root))
	return append(page, below(db, root))
}

func tenant(db *gorm.DB) row {
	var list []Author
	check(db.Where("tenant_id = ?", 1).Order("id").Limit(n).Find(&list))
	return eachAuthor(db, list, func(a *Author) row {
		var live []Book
		check(db.Model(a).Where("tenant_id = ?", 1).Order("id").Related(&live))
		out := row{}
		for _, b := range live {
			out = append(out, b.Title)
		}
		return out
	})
}

func audited(db *gorm.DB) row {
	return eachAuthor(db, authors(db, n), func(a *Author) row {
		out := row{titles(db, a)}
		check(db.Create(&Audit{AuthorID: a.ID, What: "seen"}))
		return out
	})
}

func inTransaction(page func(db *gorm.DB) row) func(db *gorm.DB) row {
	return func(db *gorm.DB) row {
		var out row
		err := db.Transaction(func(tx *gorm.DB) error {
			out = page(tx)
			return nil
		})
		if err != nil {
			panic(err)
		}
		return out
	}
}

func relations(db *gorm.DB) row {
	two := eachAuthor(db, authors(db, n/2), func(a *Author) row { return manyAndOne(db, a) })
	return append(two, eachAuthor(db, authors(db, n), func(a *Author) row {
		out := manyAndOne(db, a)
		var awards []Award
		check(db.Model(a).Order("id").Related(&awards))
		for _, w := range awards {
			out = append(out, w.Name)
		}
		return out
	})...)
}

func keyset(db *gorm.DB) row {
	page, last := row{}, 0
	for len(page) < n {
		var list []Author
		check(db.Where("id > ?", last).Order("id").Limit(step).Find(&list))
		page = append(page, eachAuthor(db, list, func(a *Author) row { return row{titles(db, a)} })...)
		last = list[len(list)-1].ID
	}
	return page
}

func afterWrite(db *gorm.DB) row {
	check(db.Create(&Audit{AuthorID: 1, What: "begun"}))
	return toMany(db)
}

func deferred(db *gorm.DB) row {
	var list []Author
	check(db.Select("id, name").Order("id").Limit(n).Find(&list))
	return eachAuthor(db, list, func(a *Author) row {
		var with Author
		check(db.Select("bio").First(&with, a.ID))
		return row{with.Bio}
	})
}

func refresh(db *gorm.DB) row {
	return eachAuthor(db, authors(db, n), func(a *Author) row {
		check(db.First(a))
		return row{a.Bio}
	})
}

func view(db *gorm.DB) row {
	return eachAuthor(db, authors(db, n), func(a *Author) row {
		var infos []BookInfo
		var totals AuthorTotal
		check(db.Model(a).Order("id").Related(&infos))
		check(db.Where("author_id = ?", a.ID).First(&totals))
		out := row{totals.NBooks}
		for _, i := range infos {
			out = append(out, i.Title, i.AuthorName)
		}
		return out
	})
}

func uuids(db *gorm.DB) row {
	var accounts []Account
	check(db.Order("position").Limit(n).Find(&accounts))
	page := row{}
	for i := range accounts {
		var entries []Entry
		check(db.Model(&accounts[i]).Order("position").Related(&entries))
		out := row{accounts[i].Owner}
		for _, e := range entries {
			out = append(out, e.Amount)
		}
		page = append(page, out)
	}
	var entries []Entry
	check(db.Order("position").Limit(n).Find(&entries))
	for i := range entries {
		var a Account
		check(db.Model(&entries[i]).Related(&a))
		page = append(page, row{entries[i].Amount, a.Owner})
	}
	return page
}

var pages = map[string]func(db *gorm.DB) row{"to_many": toMany, "to_one": toOne, "nested": nested, "many_to_many": manyToMany, "counts": counts,
	"latest": latest, "polymorphic": polymorphic, "tree": tree, "tenant": tenant, "write": audited, "write_in_transaction": inTransaction(audited),
	"relations": relations, "keyset": keyset, "after_write": inTransaction(afterWrite), "deferred": deferred, "refresh": refresh, "view": view, "uuid": uuids}

func say(what map[string]interface{}) {
	text, err := json.Marshal(what)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func main() {
	if value := os.Getenv("ORM_N"); value != "" {
		n, _ = strconv.Atoi(value)
	}
	db, err := gorm.Open("postgres", "host=127.0.0.1 sslmode=disable user=app dbname=matrix port="+os.Getenv("ORM_PORT"))
	if err != nil {
		panic(err)
	}
	say(map[string]interface{}{"version": "jinzhu 1.9"})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		say(map[string]interface{}{"page": pages[strings.TrimSpace(in.Text())](db)})
	}
}
