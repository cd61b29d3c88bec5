// SPDX-License-Identifier: PostgreSQL
//
// How a stamp is asked for, built and checked. All names in the queries are qualified, and pgfold itself does
// the comparing. So the session's search_path decides what the statement's own names mean, and nothing else.
// 16384 is FirstNormalObjectId (src/include/access/transam.h).
#include "batching/trust/stamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/statement/quote.h"
#include "batching/trust/facts.h"
#include "batching/trust/proof.h"
#include "batching/trust/sorted.h"

#define MAX_CHECK   ((size_t)1 << 17)
#define MAX_COLUMNS 300 // names of columns in a question; more than a stamp may hold
#define MAX_OBJECTS 256 // objects of one kind in a stamp; a statement with more is refused

static const char user_sql[] = "pg_catalog.quote_ident(CURRENT_USER)::pg_catalog.regrole::pg_catalog.oid";
static const char news_sql[] =
    ", pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.pg_conf_load_time()), 'hex'), "
    "pg_catalog.pg_backend_pid()";
static const char now_sql[] =
    ", pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.transaction_timestamp()), 'hex')";
#define N_NEWS 2 // columns, and one more for the time where there is a seal
// Casts are part of the stamp because the server does not plan again after a new cast.
static const char casts_sql[] = "(SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.max(x.oid), "
                                "':', pg_catalog.max(x.xmin::pg_catalog.text)) FROM pg_catalog.pg_cast x "
                                "WHERE x.oid OPERATOR(pg_catalog.>=) 16384)";

// A schema in front of pg_catalog can get an operator at any time, which replaces the server's own for the
// same types. pg_catalog stands behind other schemas only where search_path names it.
static const char path_sql[] = ", pg_catalog.strpos(pg_catalog.lower(pg_catalog.current_setting("
                               "'search_path')), 'pg_catalog') OPERATOR(pg_catalog.<) 2";

const char *stamp_domains_expression(void) {
    return "(SELECT pg_catalog.concat(pg_catalog.count(*), ':', "
           "COALESCE(pg_catalog.max(k.oid::pg_catalog.int8), 0)) FROM pg_catalog.pg_constraint k WHERE "
           "k.contypid OPERATOR(pg_catalog.>) 0::pg_catalog.oid)";
}

struct stamp *stamp_ref(struct stamp *st) {
    st->refs++;
    return st;
}

size_t stamp_bytes(const struct stamp *st) {
    return st ? sizeof *st + st->check.cap + st->check_ahead.cap + st->sealed.cap + st->guard.cap +
                    st->expected.cap + 6 * MEMORY_BLOCK
              : 0;
}

void stamp_unref(struct stamp *st) {
    if (!st || --st->refs)
        return;
    buf_free(&st->check);
    buf_free(&st->check_ahead);
    buf_free(&st->sealed);
    buf_free(&st->guard);
    buf_free(&st->expected);
    free(st);
}

// ---- the question

// Such a parameter is no key, and the server takes its type from what it is compared with: any column.
static bool has_untyped_parameter(const struct shape *s) {
    const struct parsed *p = s->parsed;
    for (int n = 1; n <= p->n_params && s->protocol == SHAPE_EXTENDED; n++) {
        bool key = false;
        for (int i = 0; i < p->n_keys; i++)
            key |= p->keys[i].param == n;
        if (!key && ((unsigned)n > s->n_types || !s->types[n - 1]))
            return true;
    }
    return false;
}

// The columns whose types decide the types of the folded statement's parameters: those that keys are compared
// with, or all. `sorted`: and those by which rows are told apart, since NULLs are not.
static int columns_of(const struct shape *s, bool sorted, const char **names) {
    const struct parsed *p = s->parsed;
    int n = 0;
    bool all = has_untyped_parameter(s);
    for (int i = 0; i < p->n_keys && n < MAX_COLUMNS; i++) {
        all |= !p->keys[i].column && !p->keys[i].limits;
        if (p->keys[i].column)
            names[n++] = p->keys[i].column;
    }
    for (int i = 0; all && i < p->n_columns && n < MAX_COLUMNS; i++)
        names[n++] = p->columns[i].name;
    for (int i = 0; sorted && !all && i < p->n_sort; i++)
        names[n++] = p->sort[i];
    return n;
}

static bool put_relations(struct buf *out, const struct parsed *p) {
    buf_put_text(out, "ARRAY[");
    for (int i = 0; i < p->n_relations; i++) {
        buf_put_text(out, i ? ",pg_catalog.to_regclass(" : "pg_catalog.to_regclass(");
        if (!quote_relation(out, &p->relations[i]))
            return false;
        buf_put_text(out, ")");
    }
    buf_put_text(out, "]::pg_catalog.oid[]");
    return true;
}

static bool put_attributes_question(const struct shape *s, bool sorted, struct buf *out) {
    const char *names[MAX_COLUMNS];
    int n = columns_of(s, sorted, names);
    buf_put_text(out, ", (SELECT pg_catalog.string_agg(pg_catalog.concat(a.attrelid, ':', a.attnum, ':', "
                      "a.xmin), ',' ORDER BY a.attrelid, a.attnum) FROM pg_catalog.pg_attribute a WHERE "
                      "a.attrelid OPERATOR(pg_catalog.=) ANY (");
    if (!put_relations(out, s->parsed))
        return false;
    buf_put_text(out, ") AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND a.attname "
                      "OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, names, n, quote_next_text))
        return false;
    buf_put_text(out, "))");
    return true;
}

bool stamp_question(const struct shape *s, uint32_t keys, uint32_t fixed, struct buf *out) {
    const struct parsed *p = s->parsed;
    buf_put_text(out, "SELECT ");
    buf_put_text(out, user_sql);
    buf_put_text(out, ", (SELECT pg_catalog.string_agg(pg_catalog.concat(c.oid, ':', c.xmin), ',' ORDER BY "
                      "u.n) FROM pg_catalog.unnest(");
    if (!put_relations(out, p))
        return false;
    buf_put_text(out, ") WITH ORDINALITY AS u(id, n) LEFT JOIN pg_catalog.pg_class c ON c.oid "
                      "OPERATOR(pg_catalog.=) u.id)");
    if (!put_attributes_question(s, sorted_matters(p, keys), out))
        return false;
    buf_put_text(out, ", (SELECT pg_catalog.string_agg(pg_catalog.concat(f.oid, ':', f.xmin), ',' ORDER BY "
                      "f.oid) FROM pg_catalog.pg_proc f WHERE f.oid OPERATOR(pg_catalog.>=) 16384 AND "
                      "f.proname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->functions, p->n_functions, quote_next_function))
        return false;
    buf_put_text(out, ")), (SELECT pg_catalog.count(*) FROM pg_catalog.pg_operator o WHERE o.oprnamespace "
                      "OPERATOR(pg_catalog.<>) 11 AND o.oprname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->operators, p->n_operators, quote_next_text))
        return false;
    buf_put_text(out, ")), ");
    buf_put_text(out, casts_sql);
    buf_put_text(out, path_sql);
    return sorted_question(p, keys, fixed, out) && !out->failed;
}

// ---- the answer

// An object of the catalogue: its OID, or its relation's OID and its number there. And the transaction that
// wrote its row.
struct object {
    uint32_t id, number, xmin;
};

struct objects {
    struct object list[MAX_OBJECTS];
    unsigned n;
};

// Takes a number, or nothing (0), and the separator behind it. The last number has no separator.
static bool take_number(struct slice *s, uint8_t separator, uint32_t *n) {
    uint64_t value = 0;
    size_t i = 0;
    for (; i < s->len && s->data[i] >= '0' && s->data[i] <= '9' && value <= UINT32_MAX; i++)
        value = value * 10 + (uint64_t)(s->data[i] - '0');
    bool ends = i == s->len;
    if (value > UINT32_MAX || (!ends && s->data[i] != separator))
        return false;
    *n = (uint32_t)value;
    *s = (struct slice){s->data + i + !ends, s->len - i - !ends};
    return true;
}

// Takes a list such as "16400:3:733,…", with or without the middle number.
static bool take_objects(struct slice list, bool numbered, struct objects *o) {
    o->n = 0;
    while (list.data && list.len) {
        struct object x = {0};
        if (o->n == MAX_OBJECTS || !take_number(&list, ':', &x.id) ||
            (numbered && !take_number(&list, ':', &x.number)) || !take_number(&list, ',', &x.xmin))
            return false;
        o->list[o->n++] = x;
    }
    return true;
}

// ---- the check

// The SQL that is being written, together with the row that it must give.
struct writing {
    struct stamp *st;
    uint16_t n;
};

static void put_number(struct buf *out, uint32_t n) {
    char digits[16];
    snprintf(digits, sizeof digits, "%lu", (unsigned long)n);
    buf_put_text(out, digits);
}

static void expect_number(struct writing *w, uint32_t n) {
    char digits[16];
    int len = snprintf(digits, sizeof digits, "%lu", (unsigned long)n);
    buf_put_u32(&w->st->expected, (uint32_t)len);
    buf_put(&w->st->expected, digits, (size_t)len);
    w->n++;
}

// Adds the column that begins at `from` in the check to the guard.
static void put_guard(struct writing *w, size_t from, const char *expected) {
    struct buf *out = &w->st->guard, *check = &w->st->check;
    from += 2; // the comma
    buf_put_text(out, out->len ? " AND pg_catalog.concat(" : "pg_catalog.concat(");
    buf_put(out, check->data + from, check->failed ? 0 : check->len - from);
    buf_put_text(out, ") OPERATOR(pg_catalog.=) '");
    buf_put_text(out, expected);
    buf_put_text(out, "'");
}

static void expect_pair(struct writing *w, size_t from, uint32_t a, uint32_t b) {
    char text[32];
    int len = snprintf(text, sizeof text, "%lu:%lu", (unsigned long)a, (unsigned long)b);
    buf_put_u32(&w->st->expected, (uint32_t)len);
    buf_put(&w->st->expected, text, (size_t)len);
    w->n++;
    put_guard(w, from, text);
}

static void expect_null(struct writing *w) {
    buf_put_u32(&w->st->expected, UINT32_MAX);
    w->n++;
}

enum field { FIELD_ID, FIELD_XMIN };

// Writes "column = ANY ('{1,2}'::type)".
static void put_any(struct buf *out, const char *column, const struct objects *o, enum field field,
                    const char *type) {
    buf_put_text(out, column);
    buf_put_text(out, " OPERATOR(pg_catalog.=) ANY ('{");
    for (unsigned i = 0; i < o->n; i++) {
        const struct object *x = &o->list[i];
        buf_put_text(out, i ? "," : "");
        put_number(out, field == FIELD_ID ? x->id : x->xmin);
    }
    buf_put_text(out, "}'::pg_catalog.");
    buf_put_text(out, type);
    buf_put_text(out, "[])");
}

// Writes the names, each with the OID that it had. A name that was no relation must still be none.
static bool put_names_check(struct writing *w, const struct parsed *p, const struct objects *relations) {
    struct buf *out = &w->st->check;
    for (int i = 0; i < p->n_relations; i++) {
        buf_put_text(out, ", pg_catalog.to_regclass(");
        if (!quote_relation(out, &p->relations[i]))
            return false;
        buf_put_text(out, ")::pg_catalog.oid");
        if (relations->list[i].id)
            expect_number(w, relations->list[i].id);
        else
            expect_null(w);
    }
    w->st->n_relations = (uint16_t)p->n_relations;
    return true;
}

// Keeps objects that exist, each once.
static void keep_distinct(struct objects *o) {
    unsigned n = 0;
    for (unsigned i = 0; i < o->n; i++) {
        bool found = !o->list[i].id;
        for (unsigned k = 0; k < n && !found; k++)
            found = o->list[k].id == o->list[i].id;
        if (!found)
            o->list[n++] = o->list[i];
    }
    o->n = n;
}

// Counts how many rows are unchanged. A later xmin equals none of the earlier ones.
static void put_relations_check(struct writing *w, const struct objects *relations) {
    struct buf *out = &w->st->check;
    if (relations->n == 1) { // the cheapest way: FROM pg_class c
        buf_put_text(out, ", c.xmin");
        expect_number(w, relations->list[0].xmin);
        return;
    }
    buf_put_text(out, ", (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class r WHERE ");
    put_any(out, "r.oid", relations, FIELD_ID, "oid");
    put_any(out, " AND r.xmin", relations, FIELD_XMIN, "xid");
    buf_put_text(out, ")");
    expect_number(w, relations->n);
}

static bool put_attributes_check(struct writing *w, const struct shape *s, bool sorted,
                                 const struct objects *attributes) {
    struct buf *out = &w->st->check;
    const char *names[MAX_COLUMNS];
    int n = columns_of(s, sorted, names);
    if (!attributes->n)
        return true;
    if (attributes->n == 1) {
        buf_put_text(
            out, ", (SELECT a.xmin FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) ");
        put_number(out, attributes->list[0].id);
        buf_put_text(out, " AND a.attnum OPERATOR(pg_catalog.=) ");
        put_number(out, attributes->list[0].number);
        buf_put_text(out, ")");
        expect_number(w, attributes->list[0].xmin);
        return true;
    }
    buf_put_text(out, ", (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a WHERE ");
    put_any(out, "a.attrelid", attributes, FIELD_ID, "oid");
    put_any(out, " AND a.xmin", attributes, FIELD_XMIN, "xid");
    buf_put_text(out, " AND a.attname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, names, n, quote_next_text))
        return false;
    buf_put_text(out, "))");
    expect_number(w, attributes->n);
    return true;
}

// Checks the functions of users with these names: their number, and that they are unchanged.
static bool put_functions_check(struct writing *w, const struct parsed *p, const struct objects *functions) {
    struct buf *out = &w->st->check;
    if (!p->n_functions)
        return true;
    buf_put_text(out, ", (SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc f WHERE f.oid "
                      "OPERATOR(pg_catalog.>=) 16384 AND f.proname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->functions, p->n_functions, quote_next_function))
        return false;
    buf_put_text(out, "))");
    expect_number(w, functions->n);
    if (!functions->n)
        return true;
    buf_put_text(out, ", (SELECT pg_catalog.count(*) FROM pg_catalog.pg_proc f WHERE ");
    put_any(out, "f.oid", functions, FIELD_ID, "oid");
    put_any(out, " AND f.xmin", functions, FIELD_XMIN, "xid");
    buf_put_text(out, ")");
    expect_number(w, functions->n);
    return true;
}

static bool put_operators_check(struct writing *w, const struct parsed *p, struct slice n,
                                struct slice casts) {
    struct buf *out = &w->st->check;
    uint32_t number;
    if (!n.data || !take_number(&n, 0, &number) || !casts.data)
        return false;
    buf_put_text(out, ", (SELECT pg_catalog.count(*) FROM pg_catalog.pg_operator o WHERE o.oprnamespace "
                      "OPERATOR(pg_catalog.<>) 11 AND o.oprname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->operators, p->n_operators, quote_next_text))
        return false;
    buf_put_text(out, ")), ");
    expect_number(w, number);
    buf_put_text(out, casts_sql);
    buf_put_u32(&w->st->expected, (uint32_t)casts.len);
    buf_put(&w->st->expected, casts.data, casts.len);
    w->n++;
    return true;
}

// The columns of the answer to the question.
enum {
    ANSWER_USER,
    ANSWER_RELATIONS,
    ANSWER_ATTRIBUTES,
    ANSWER_FUNCTIONS,
    ANSWER_OPERATORS,
    ANSWER_CASTS,
    ANSWER_OWN_FIRST, // "t": nothing stands in front of pg_catalog
    ANSWER_SORTED,    // the index by which rows are told apart
};

struct answer {
    struct slice column[STAMP_COLUMNS];
    uint32_t user;
    struct objects relations, attributes, functions, sorted;
    struct objects below; // scratch
};

static bool read_answer(struct answer *a, const struct shape *s, struct slice row) {
    for (unsigned i = 0; i < STAMP_COLUMNS; i++)
        if (!msg_row_column(row.data, row.len, i, &a->column[i]))
            return false;
    struct slice user = a->column[ANSWER_USER];
    return user.data && take_number(&user, 0, &a->user) &&
           take_objects(a->column[ANSWER_RELATIONS], false, &a->relations) &&
           take_objects(a->column[ANSWER_ATTRIBUTES], true, &a->attributes) &&
           take_objects(a->column[ANSWER_FUNCTIONS], false, &a->functions) &&
           take_objects(a->column[ANSWER_SORTED], false, &a->sorted) &&
           (int)a->relations.n == s->parsed->n_relations;
}

// Where the objects below a statement are, and which column tells what they belong to: the rules and policies
// of a relation must be as many as they were, too.
static const struct {
    const char *catalogue, *of;
} below_catalogues[BELOW_CHECKS] = {
    [BELOW_RELATIONS] = {"pg_class", NULL},
    [BELOW_RULES] = {"pg_rewrite", "x.ev_class"},
    [BELOW_POLICIES] = {"pg_policy", "x.polrelid"},
    [BELOW_FUNCTIONS] = {"pg_proc", NULL},
};

// No check of a domain is changed: it is dropped, and another one has another OID.
static bool put_domains_check(struct writing *w, struct answer *a, const struct stamp_below *below) {
    struct objects *o = &a->below;
    if (!take_objects(below->list[BELOW_CHECKS], false, o) || o->n != 1)
        return false;
    size_t from = w->st->check.len;
    buf_put_text(&w->st->check, ", ");
    buf_put_text(&w->st->check, stamp_domains_expression());
    expect_pair(w, from, o->list[0].id, o->list[0].xmin);
    return true;
}

static bool put_below_check(struct writing *w, struct answer *a, const struct stamp_below *below) {
    struct buf *out = &w->st->check;
    struct objects *relations = &a->relations, *o = &a->below; // the statement's own ones are written already
    if (!take_objects(below->list[BELOW_RELATIONS], false, relations))
        return false;
    for (unsigned i = 0; i < BELOW_CHECKS; i++) {
        if (!take_objects(below->list[i], false, o))
            return false;
        if (!o->n && !below_catalogues[i].of)
            continue;
        size_t from = out->len;
        buf_put_text(
            out, ", (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.count(*) FILTER (WHERE ");
        put_any(out, "x.xmin", o, FIELD_XMIN, "xid");
        buf_put_text(out, ")) FROM pg_catalog.");
        buf_put_text(out, below_catalogues[i].catalogue);
        buf_put_text(out, " x WHERE ");
        put_any(out, below_catalogues[i].of ? below_catalogues[i].of : "x.oid",
                below_catalogues[i].of ? relations : o, FIELD_ID, "oid");
        buf_put_text(out, ")");
        expect_pair(w, from, o->n, o->n);
    }
    return put_domains_check(w, a, below);
}

static void put_sorted_check(struct writing *w, const struct objects *sorted) {
    w->st->sorted = sorted->n == 1;
    if (!w->st->sorted)
        return;
    sorted_check(sorted->list[0].id, &w->st->check);
    expect_number(w, sorted->list[0].xmin);
}

// `relation`: the one that the check looks up by itself (put_relations_check); 0: there are several.
static void put_from(struct buf *out, uint32_t relation) {
    if (!relation)
        return;
    buf_put_text(out, " FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ");
    put_number(out, relation);
}

// The seal's condition holds what a change of the table itself would not tell. All else about a plain
// statement of one table makes the server analyse it again. The user is compared by name: no two roles have
// one name at a time, so a user with the name that belongs to the OID now is that user. Asking for the name
// of an OID is cheaper than for the OID of a name.
static bool put_sealed(struct stamp *st, const struct parsed *p, const struct answer *a) {
    struct buf *out = &st->sealed;
    buf_put_text(out, "pg_catalog.pg_get_userbyid('");
    put_number(out, a->user);
    buf_put_text(out, "'::pg_catalog.oid) OPERATOR(pg_catalog.=) CURRENT_USER AND pg_catalog.to_regclass(");
    if (!quote_relation(out, &p->relations[0]))
        return false;
    buf_put_text(out, ")::pg_catalog.oid OPERATOR(pg_catalog.=) '");
    put_number(out, a->relations.list[0].id);
    buf_put_text(out, "'::pg_catalog.oid");
    return true;
}

// What the check is made for.
struct stamped {
    const struct shape *shape;
    bool plain, alone;
    const struct stamp_below *below;
};

static void end_check(struct stamp *st, uint32_t relation) {
    buf_put_text(&st->check, news_sql);
    if (st->sealed.len)
        buf_put_text(&st->check, now_sql);
    buf_put(&st->check_ahead, st->check.data, st->check.failed ? 0 : st->check.len);
    buf_put_text(&st->check_ahead, ", ");
    buf_put_text(&st->check_ahead, facts_stamp_expression());
    put_from(&st->check, relation);
    put_from(&st->check_ahead, relation);
}

static bool write_check(struct writing *w, const struct stamped *of, struct answer *a) {
    const struct shape *s = of->shape;
    const struct parsed *p = s->parsed;
    struct buf *out = &w->st->check;
    buf_put_text(out, "SELECT ");
    buf_put_text(out, user_sql);
    expect_number(w, a->user);
    if (!put_names_check(w, p, &a->relations))
        return false;
    keep_distinct(&a->relations);
    put_relations_check(w, &a->relations);
    if (!a->relations.n || !put_attributes_check(w, s, a->sorted.n == 1, &a->attributes) ||
        !put_functions_check(w, p, &a->functions) ||
        (!of->plain && !put_operators_check(w, p, a->column[ANSWER_OPERATORS], a->column[ANSWER_CASTS])))
        return false;
    put_sorted_check(w, &a->sorted);
    if (of->plain && of->alone && p->n_relations == 1 && !p->n_functions && !put_sealed(w->st, p, a))
        return false;
    uint32_t one = a->relations.n == 1 ? a->relations.list[0].id : 0;
    if (of->below && !put_below_check(w, a, of->below))
        return false;
    end_check(w->st, one);
    return !out->failed && !w->st->check_ahead.failed && !w->st->sealed.failed && !w->st->guard.failed &&
           !w->st->expected.failed;
}

static XXH128_hash_t digest(const struct stamp *st, const struct buf *check) {
    XXH128_hash_t h = XXH3_128bits(check->data, check->len);
    return XXH3_128bits_withSeed(st->expected.data, st->expected.len, h.low64 ^ h.high64);
}

static bool fill(struct stamp *st, struct stamped *of, struct slice row) {
    struct answer *a = calloc(1, sizeof *a);
    struct writing w = {.st = st};
    buf_put_u16(&st->expected, 0);
    bool ok = a && read_answer(a, of->shape, row);
    of->plain &= ok && slice_is(a->column[ANSWER_OWN_FIRST], "t", 1);
    ok = ok && write_check(&w, of, a);
    free(a);
    if (!ok)
        return false;
    st->expected.data[0] = (uint8_t)(w.n >> 8);
    st->expected.data[1] = (uint8_t)w.n;
    st->digest = digest(st, &st->check);
    st->digest_ahead = digest(st, &st->check_ahead);
    return true;
}

struct stamp *stamp_create(const struct shape *s, struct slice row, bool plain, bool alone,
                           const struct stamp_below *below) {
    struct stamped of = {s, plain, alone, below};
    struct stamp *st = calloc(1, sizeof *st);
    if (!st)
        return NULL;
    *st = (struct stamp){.refs = 1,
                         .check = buf_make(MAX_CHECK),
                         .check_ahead = buf_make(MAX_CHECK),
                         .sealed = buf_make(MAX_CHECK),
                         .guard = buf_make(MAX_CHECK),
                         .expected = buf_make(MAX_CHECK)};
    if (fill(st, &of, row))
        return st;
    stamp_unref(st);
    return NULL;
}

// ---- the verdict

static unsigned n_news(const struct stamp *st) {
    return N_NEWS + (st->sealed.len > 0);
}

static bool take_news(const struct stamp *st, struct slice row, unsigned at, struct stamp_news *news) {
    struct slice value;
    uint32_t process;
    unsigned n = get_u16(row.data);
    if (!msg_row_column(row.data, row.len, at, &value) || !proof_read_time(value, &news->loaded) ||
        !msg_row_column(row.data, row.len, at + 1, &value) || !value.data ||
        !take_number(&value, 0, &process))
        return false;
    news->process = process;
    if (st->sealed.len &&
        (!msg_row_column(row.data, row.len, at + N_NEWS, &value) || !proof_read_time(value, &news->now)))
        return false;
    at += n_news(st);
    return n == at || msg_row_column(row.data, row.len, at, &news->facts);
}

enum stamp_verdict stamp_judge(const struct stamp *st, struct slice row, struct stamp_news *news) {
    struct slice got, wanted;
    bool shadowed = false;
    unsigned n = get_u16(st->expected.data), has = row.len < 2 ? 0 : get_u16(row.data);
    *news = (struct stamp_news){0};
    if (has != n + n_news(st) && has != n + n_news(st) + 1)
        return STAMP_CHANGED;
    for (unsigned i = 0; i < n; i++) {
        if (!msg_row_column(row.data, row.len, i, &got) ||
            !msg_row_column(st->expected.data, st->expected.len, i, &wanted))
            return STAMP_CHANGED;
        if (slice_same(got, wanted))
            continue;
        if (i < 1 || i > st->n_relations || !wanted.data)
            return STAMP_CHANGED;
        shadowed = true;
    }
    if (!take_news(st, row, n, news))
        return STAMP_CHANGED;
    return shadowed ? STAMP_SHADOWED : STAMP_SAME;
}
