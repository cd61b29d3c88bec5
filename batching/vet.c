// SPDX-License-Identifier: PostgreSQL
//
// The query returns one row of plain facts; the judgement is made here, where it can be tested. Names are
// qualified, since the session's search_path must decide what the lookup's names mean, and nothing else.
#include "batching/vet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A string literal whose reading depends on no setting: quotes doubled, backslashes refused.
static bool put_literal(struct buf *out, const char *text) {
    if (strchr(text, '\\'))
        return false;
    buf_put_u8(out, '\'');
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            buf_put_u8(out, '\'');
        buf_put_u8(out, (uint8_t)*p);
    }
    buf_put_u8(out, '\'');
    return true;
}

static void put_identifier(struct buf *out, const char *name) {
    buf_put_u8(out, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            buf_put_u8(out, '"');
        buf_put_u8(out, (uint8_t)*p);
    }
    buf_put_u8(out, '"');
}

// to_regclass reads its text as SQL reads a name.
static bool put_relation(struct buf *out, const struct parsed_relation *r) {
    struct buf name = buf_make(1024);
    if (r->schema) {
        put_identifier(&name, r->schema);
        buf_put_u8(&name, '.');
    }
    put_identifier(&name, r->name);
    buf_put_u8(&name, 0);
    bool ok = !name.failed && put_literal(out, (const char *)name.data);
    buf_free(&name);
    return ok;
}

static bool put_list(struct buf *out, const char *const *items, int n, const char *type) {
    buf_put_text(out, "ARRAY[");
    for (int i = 0; i < n; i++) {
        if (i)
            buf_put_u8(out, ',');
        if (!put_literal(out, items[i]))
            return false;
    }
    buf_put_text(out, "]::pg_catalog.");
    buf_put_text(out, type);
    buf_put_text(out, "[]");
    return true;
}

static bool put_columns(struct buf *out, const struct parsed *p) {
    const char **names = calloc((size_t)p->n_columns + 1, sizeof *names);
    if (!names)
        return false;
    for (int i = 0; i < p->n_columns; i++)
        names[i] = p->columns[i].name;
    bool ok = put_list(out, names, p->n_columns, "name");
    free(names);
    return ok;
}

// 11 is the OID of pg_catalog, fixed in pg_namespace.dat.
static const char select_list[] =
    "SELECT c.relkind, c.relpersistence, c.relrowsecurity, n.nspname, c.relhassubclass, a.atttypid, "
    "EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND "
    "i.indimmediate "
    "AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = "
    "a.attnum), ";

bool vet_query(const struct shape *s, int key, struct buf *out) {
    const struct parsed *p = s->parsed;
    if (p->n_relations != 1)
        return false;
    buf_put_text(out, select_list);
    // columns that are no columns of the table: a function in column notation, for one
    buf_put_text(out, "(SELECT pg_catalog.count(*) FROM pg_catalog.unnest(");
    if (!put_columns(out, p))
        return false;
    buf_put_text(
        out, ") AS u(x) WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute b WHERE b.attrelid = c.oid "
             "AND b.attname = u.x AND b.attnum > 0 AND NOT b.attisdropped)), ");
    // operators of these names that are not the server's own and not immutable, or that stand for its own
    // types
    buf_put_text(
        out,
        "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc f "
        "ON f.oid = o.oprcode JOIN pg_catalog.pg_type r ON r.oid = o.oprright LEFT JOIN pg_catalog.pg_type l "
        "ON l.oid = o.oprleft WHERE o.oprname = ANY (");
    if (!put_list(out, (const char *const *)p->operators, p->n_operators, "name"))
        return false;
    buf_put_text(out, ") AND (f.provolatile = 'v' OR o.oprnamespace <> 11 AND (f.provolatile <> 'i' OR "
                      "r.typnamespace = 11 AND (l.oid IS NULL OR l.typnamespace = 11)))), ");
    // implicit casts and output functions that could run code of a user's
    buf_put_text(
        out, "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_cast x JOIN pg_catalog.pg_proc f ON f.oid = "
             "x.castfunc "
             "WHERE x.castcontext = 'i' AND f.pronamespace <> 11 AND f.provolatile <> 'i'), "
             "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute b JOIN pg_catalog.pg_type t "
             "ON t.oid = b.atttypid JOIN pg_catalog.pg_proc f ON f.oid = t.typoutput OR f.oid = t.typsend "
             "WHERE b.attrelid = c.oid AND b.attnum > 0 AND NOT b.attisdropped AND f.pronamespace <> 11 "
             "AND f.provolatile <> 'i') "
             "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
             "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attname = ");
    if (!put_literal(out, p->keys[key].column))
        return false;
    buf_put_text(out, " WHERE c.oid = pg_catalog.to_regclass(");
    if (!put_relation(out, &p->relations[0]))
        return false;
    buf_put_text(out, ")");
    return !out->failed;
}

static bool column_is(struct slice row, unsigned i, const char *text) {
    struct slice v;
    return msg_row_column(row.data, row.len, i, &v) && v.data && slice_is(v, text, strlen(text));
}

static uint32_t column_oid(struct slice row, unsigned i) {
    struct slice v;
    if (!msg_row_column(row.data, row.len, i, &v) || !v.data || v.len > 10)
        return 0;
    char digits[12] = {0};
    memcpy(digits, v.data, v.len);
    return (uint32_t)strtoul(digits, NULL, 10);
}

static const char *refusal(struct slice row) {
    if (!column_is(row, 0, "r") && !column_is(row, 0, "p") && !column_is(row, 0, "m"))
        return "it is not an ordinary, partitioned or materialised table";
    if (!column_is(row, 1, "p") && !column_is(row, 1, "u"))
        return "it is a temporary table";
    if (!column_is(row, 2, "f"))
        return "it has row-level security";
    if (column_is(row, 3, "pg_catalog") || column_is(row, 3, "information_schema") ||
        column_is(row, 3, "pg_toast"))
        return "it belongs to a system schema";
    if (!column_is(row, 7, "0"))
        return "the statement names something that is no column of the table";
    if (!column_is(row, 8, "0"))
        return "one of its operators may be a user's own";
    if (!column_is(row, 9, "0") || !column_is(row, 10, "0"))
        return "a cast or a type may run a user's own function";
    return NULL;
}

void vet_row(struct slice row, struct vet_result *r) {
    r->answered = true;
    r->key_type = column_oid(row, 5);
    // A unique index of a table with children says nothing about the children; of a partitioned table it
    // does.
    r->key_unique = column_is(row, 6, "t") && (column_is(row, 0, "p") || column_is(row, 4, "f"));
    r->refusal = r->key_type ? refusal(row) : "the key's column was not found";
    r->ok = !r->refusal;
}

// ---- plain reads

// Sorted. Aggregates and functions that ORMs write into their selects; each is immutable, or stable without a
// look at anything but the clock, the time zone and its arguments.
static const char *const plain_functions[] = {
    "abs",
    "array_agg",
    "array_length",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "ceil",
    "ceiling",
    "char_length",
    "concat",
    "concat_ws",
    "count",
    "date",
    "date_part",
    "date_trunc",
    "dense_rank",
    "every",
    "extract",
    "first_value",
    "floor",
    "greatest",
    "initcap",
    "json_agg",
    "json_array_elements",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "lag",
    "last_value",
    "lead",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "md5",
    "min",
    "mod",
    "now",
    "ntile",
    "octet_length",
    "percent_rank",
    "position",
    "power",
    "rank",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "row_to_json",
    "rpad",
    "rtrim",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "stddev",
    "string_agg",
    "strpos",
    "substr",
    "substring",
    "sum",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_timestamp",
    "trim",
    "trunc",
    "unnest",
    "upper",
    "variance",
    "version",
};

static int compare_names(const void *a, const void *b) {
    return strcmp(a, *(const char *const *)b);
}

bool vet_functions_plain(const struct parsed *p) {
    for (int i = 0; i < p->n_functions; i++) {
        const struct parsed_function *f = &p->functions[i];
        if (f->schema && strcmp(f->schema, "pg_catalog") != 0)
            return false;
        if (!bsearch(f->name, plain_functions, sizeof plain_functions / sizeof *plain_functions,
                     sizeof *plain_functions, compare_names))
            return false;
    }
    return true;
}

static bool put_function_names(struct buf *out, const struct parsed *p) {
    const char **names = calloc((size_t)p->n_functions + 1, sizeof *names);
    if (!names)
        return false;
    for (int i = 0; i < p->n_functions; i++)
        names[i] = p->functions[i].name;
    bool ok = put_list(out, names, p->n_functions, "name");
    free(names);
    return ok;
}

static bool put_relation_names(struct buf *out, const struct parsed *p) {
    buf_put_text(out, "ARRAY[");
    for (int i = 0; i < p->n_relations; i++) {
        if (i)
            buf_put_u8(out, ',');
        if (!put_relation(out, &p->relations[i]))
            return false;
    }
    buf_put_text(out, "]::pg_catalog.text[]");
    return true;
}

// Names that are written like columns may be functions: t.f is f(t) where t has no such column.
bool vet_read_query(const struct shape *s, struct buf *out) {
    const struct parsed *p = s->parsed;
    buf_put_text(out, "SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.unnest(");
    if (!put_relation_names(out, p))
        return false;
    buf_put_text(
        out,
        ") AS u(x) LEFT JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(u.x) WHERE "
        "(c.relnamespace = 11 "
        "OR c.relkind IN ('r', 'p', 'm') AND NOT c.relrowsecurity AND c.relpersistence <> 't') IS NOT TRUE) "
        "AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_proc f WHERE f.pronamespace <> 11 AND f.proname = ANY "
        "(");
    if (!put_function_names(out, p))
        return false;
    buf_put_text(out, ") OR f.pronamespace <> 11 AND f.pronargs = 1 AND f.proname = ANY (");
    if (!put_columns(out, p))
        return false;
    buf_put_text(out, ")) AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc f "
                      "ON f.oid = o.oprcode "
                      "WHERE o.oprnamespace <> 11 AND f.provolatile <> 'i' AND o.oprname = ANY (");
    if (!put_list(out, (const char *const *)p->operators, p->n_operators, "name"))
        return false;
    buf_put_text(out, "))");
    return !out->failed;
}

bool vet_read_row(struct slice row) {
    return column_is(row, 0, "t");
}
