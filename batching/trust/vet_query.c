// SPDX-License-Identifier: PostgreSQL
//
// The SQL of the catalogue queries, put together from parts. Names are qualified: the session's search_path
// decides what the lookup's names mean, and nothing else.
#include "batching/trust/vet_query.h"

#include <stdio.h>

#include "batching/statement/functions.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/quote.h"
#include "batching/statement/shape.h"
#include "batching/trust/facts.h"
#include "batching/trust/vet_own.h"
#include "protocol/buf.h"

// ---- lists

static const char *next_column(const void *list, int i) {
    return ((const struct parsed_column *)list)[i].name;
}

static const char *next_function_schema(const void *list, int i) {
    return ((const struct parsed_function *)list)[i].schema;
}

static bool put_relation_names(struct buf *out, const struct parsed *p) {
    buf_put_text(out, "ARRAY[");
    for (int i = 0; i < p->n_relations; i++) {
        if (i)
            buf_put_u8(out, ',');
        if (!quote_relation(out, &p->relations[i]))
            return false;
    }
    buf_put_text(out, "]::pg_catalog.text[]");
    return true;
}

static void put_flags(struct buf *out, const struct parsed *p, bool (*flag)(const struct parsed *p, int i),
                      int n) {
    buf_put_text(out, "ARRAY[");
    for (int i = 0; i < n; i++) {
        buf_put_text(out, i ? "," : "");
        buf_put_text(out, flag(p, i) ? "true" : "false");
    }
    buf_put_text(out, "]::pg_catalog.bool[]");
}

static bool is_maybe_cte(const struct parsed *p, int i) {
    return p->relations[i].maybe_cte;
}

// ---- the catalogue's facts about a lookup, one column each; "t" speaks against it
//
// Fixed OIDs: 11 pg_catalog in pg_namespace.dat, 12 internal and 13 c in pg_language.dat.

// r: the relations. A name of the statement's own WITH need not be a relation. If a relation has that name,
// it is judged as well. b: their columns.
static const char with_r[] =
    "WITH RECURSIVE r AS (SELECT u.c AS cte, u.n, c.oid, c.relkind, c.relpersistence, c.relrowsecurity, "
    "c.relhassubclass, c.relnamespace FROM ROWS FROM (pg_catalog.unnest(";
static const char with_flags[] = "), pg_catalog.unnest(";
static const char with_columns[] =
    ")) WITH ORDINALITY AS u(x, c, n) LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) "
    "pg_catalog.to_regclass(u.x)), b AS (SELECT r.n, a.attrelid, a.attname, a.attnum, a.atttypid FROM r JOIN "
    "pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) r.oid AND a.attnum "
    "OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped), ";

// y: the types of these columns, of their elements, and of what domains are made of. k: what inherits from
// the relations. w: the tables whose writes reach the relations: themselves, the rest of their inheritance
// trees, and the tables that their foreign keys cascade from. What else a write may run is known on the
// writer's side, see facts.h.
//
// Each set is an array that is built step by step: every step looks up, by an index, what the last one has
// found (s.front), and the last step has all. The reason is the planner: it does not know how large such sets
// are and expects many rows where they are joined. In a database with many partitions the query would look so
// expensive that the server would compile it (jit).
#define CHILDREN                                                                                             \
    "SELECT i.inhrelid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_inherits i ON i.inhparent "             \
    "OPERATOR(pg_catalog.=) c.oid "                                                                          \
    "WHERE c.oid OPERATOR(pg_catalog.=) ANY (s.front) AND c.relhassubclass"
// `wide`: where the set begins when all that is below the statement is known, see vet_own.h.
static const struct {
    const char *name, *first, *wide, *bound, *next;
} closures[] = {
    {"y", "SELECT DISTINCT b.atttypid FROM b", NULL, "",
     "SELECT v.id FROM pg_catalog.pg_type t CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype)) AS "
     "v(id) WHERE t.oid OPERATOR(pg_catalog.=) ANY (s.front) AND v.id OPERATOR(pg_catalog.<>) 0 AND v.id "
     "OPERATOR(pg_catalog.<>) ALL (s.ids)"},
    {"k", "SELECT r.oid FROM r WHERE r.relhassubclass",
     "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY ((SELECT o.rels FROM "
     "o)::pg_catalog.oid[]) AND c.relhassubclass",
     "", CHILDREN " AND i.inhrelid OPERATOR(pg_catalog.<>) ALL (s.ids)"},
    {"w", "SELECT r.oid FROM r WHERE r.oid IS NOT NULL", "SELECT pg_catalog.unnest(o.rels) FROM o",
     "WHERE pg_catalog.cardinality(z.ids) OPERATOR(pg_catalog.<=) 512 ",
     "SELECT v.id FROM (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid "
     "OPERATOR(pg_catalog.=) ANY (s.front) UNION " CHILDREN
     " UNION SELECT f.confrelid FROM pg_catalog.pg_constraint f WHERE f.conrelid OPERATOR(pg_catalog.=) ANY "
     "(s.front) AND f.contype OPERATOR(pg_catalog.=) 'f' AND (f.confdeltype OPERATOR(pg_catalog.=) ANY "
     "('{c,n,d}'::pg_catalog.\"char\"[]) OR f.confupdtype OPERATOR(pg_catalog.=) ANY "
     "('{c,n,d}'::pg_catalog.\"char\"[]))) AS v(id) WHERE v.id OPERATOR(pg_catalog.<>) ALL (s.ids)"},
};

static void put_parts(struct buf *out, const char *const *parts) {
    for (; *parts; parts++)
        buf_put_text(out, *parts);
}

static void put_closures(struct buf *out, bool wide) {
    for (size_t i = 0; i < sizeof closures / sizeof *closures; i++) {
        const char *name = closures[i].name;
        const char *parts[] = {name,
                               "_steps(ids, front) AS (SELECT z.ids, z.ids FROM (SELECT ARRAY(",
                               wide && closures[i].wide ? closures[i].wide : closures[i].first,
                               ") AS ids OFFSET 0) AS z UNION ALL SELECT pg_catalog.array_cat(s.ids, "
                               "x.front), x.front FROM (SELECT * FROM ",
                               name,
                               "_steps AS z ",
                               closures[i].bound,
                               "LIMIT 1) AS s CROSS JOIN LATERAL (SELECT ARRAY(",
                               closures[i].next,
                               ") AS front OFFSET 0) AS x WHERE x.front OPERATOR(pg_catalog.<>) '{}'), ",
                               name,
                               " AS (SELECT z.ids FROM ",
                               name,
                               "_steps AS z ORDER BY pg_catalog.cardinality(z.ids) DESC LIMIT 1), ",
                               NULL};
        put_parts(out, parts);
    }
}

// g: types of users whose functions are as good as the server's own.
static const char with_types[] =
    "g AS (SELECT t.oid, t.typarray, t.typtype FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.=) "
    "ANY ((SELECT y.ids FROM y)::pg_catalog.oid[]) AND t.typnamespace OPERATOR(pg_catalog.<>) 11 AND "
    "t.typtype OPERATOR(pg_catalog.=) ANY ('{b,e,r,m,d}'::pg_catalog.\"char\"[]) AND NOT EXISTS (SELECT 1 "
    "FROM pg_catalog.pg_proc f WHERE f.oid OPERATOR(pg_catalog.=) ANY (ARRAY[t.typinput, t.typoutput, "
    "t.typreceive, t.typsend]::pg_catalog.oid[]) AND f.pronamespace OPERATOR(pg_catalog.<>) 11 AND f.prolang "
    "OPERATOR(pg_catalog.<>) 12 AND f.provolatile OPERATOR(pg_catalog.<>) 'i')) SELECT EXISTS (SELECT 1 FROM "
    "r WHERE r.oid IS NULL AND NOT r.cte), EXISTS (SELECT 1 FROM r WHERE r.relkind OPERATOR(pg_catalog.<>) "
    "ALL ('{r,p,m}'::pg_catalog.\"char\"[])), EXISTS (SELECT 1 FROM r WHERE r.relpersistence "
    "OPERATOR(pg_catalog.<>) ALL ('{p,u}'::pg_catalog.\"char\"[])), EXISTS (SELECT 1 FROM r WHERE "
    "r.relrowsecurity), EXISTS (SELECT 1 FROM r JOIN pg_catalog.pg_namespace n ON n.oid "
    "OPERATOR(pg_catalog.=) r.relnamespace WHERE pg_catalog.left(n.nspname::pg_catalog.text, 3) "
    "OPERATOR(pg_catalog.=) 'pg_' AND n.oid OPERATOR(pg_catalog.<>) pg_catalog.pg_my_temp_schema() OR "
    "n.nspname OPERATOR(pg_catalog.=) 'information_schema'), EXISTS (SELECT "
    "1 FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY ((SELECT k.ids FROM "
    "k)::pg_catalog.oid[]) AND c.relkind OPERATOR(pg_catalog.<>) ALL ('{r,p,m}'::pg_catalog.\"char\"[])), ";

// Looks for names that are not columns. The names that the statement makes itself are not asked about.
static bool put_column_facts(struct buf *out, const struct parsed *p) {
    buf_put_text(out, "EXISTS (SELECT 1 FROM pg_catalog.unnest(");
    if (!quote_names(out, p->columns, p->n_columns, next_column))
        return false;
    buf_put_text(out, ") AS u(x) WHERE u.x OPERATOR(pg_catalog.<>) ALL (");
    if (!quote_names(out, p->labels, p->n_labels, quote_next_text))
        return false;
    buf_put_text(out, ") AND NOT EXISTS (SELECT 1 FROM b WHERE b.attname OPERATOR(pg_catalog.=) u.x))");
    return true;
}

// The question about a plain read leaves out names that stand alone. A label that it sorts by is the
// statement's own, and another label must not make another question.
static bool put_read_columns(struct buf *out, const struct parsed *p) {
    const char *comma = "";
    buf_put_text(out, "ARRAY[");
    for (int i = 0; i < p->n_columns; i++) {
        if (p->columns[i].bare)
            continue;
        buf_put_text(out, comma);
        if (!quote_literal(out, p->columns[i].name))
            return false;
        comma = ",";
    }
    buf_put_text(out, "]::pg_catalog.name[]");
    return true;
}

// A function can be written like a column: t.f means f(t) where t has no such column. A lookup has no (x).f,
// where x may be anything. So it could only be a function of a row.
static bool put_column_function_facts(struct buf *out, const struct parsed *p, bool read) {
    buf_put_text(out,
                 "EXISTS (SELECT 1 FROM pg_catalog.pg_proc f WHERE (f.pronamespace OPERATOR(pg_catalog.<>) "
                 "11 OR f.provolatile OPERATOR(pg_catalog.=) 'v') AND f.pronargs OPERATOR(pg_catalog.>=) 1 "
                 "AND f.pronargs OPERATOR(pg_catalog.-) f.pronargdefaults OPERATOR(pg_catalog.<=) 1 AND ");
    if (p->reason == REASON_NONE)
        buf_put_text(out, "(f.provariadic OPERATOR(pg_catalog.<>) 0 OR EXISTS (SELECT 1 FROM "
                          "pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.=) f.proargtypes[0] AND "
                          "t.typtype OPERATOR(pg_catalog.=) ANY ('{c,p,d}'::pg_catalog.\"char\"[]))) AND ");
    buf_put_text(out, "f.proname OPERATOR(pg_catalog.=) ANY (");
    if (!(read ? put_read_columns(out, p) : quote_names(out, p->columns, p->n_columns, next_column)))
        return false;
    buf_put_text(out, "))");
    return true;
}

// What speaks against a function f that is called under the name u, and may be folded (u.ok). It must be the
// server's own, with a result that depends only on arguments and settings, or belong to an extension that is
// as good.
static const char strict_function[] =
    "CASE WHEN f.pronamespace OPERATOR(pg_catalog.=) 11 THEN f.provolatile OPERATOR(pg_catalog.<>) "
    "'i' AND NOT (u.ok AND f.provolatile OPERATOR(pg_catalog.=) 's') ELSE f.provolatile "
    "OPERATOR(pg_catalog.<>) 'i' OR f.prokind OPERATOR(pg_catalog.<>) ALL "
    "('{f,a}'::pg_catalog.\"char\"[]) OR f.prolang OPERATOR(pg_catalog.<>) ALL "
    "('{12,13}'::pg_catalog.oid[]) "
    // An aggregate is what its parts are: the extension citext has its own max.
    "OR f.prokind OPERATOR(pg_catalog.=) 'a' AND EXISTS (SELECT 1 FROM pg_catalog.pg_aggregate a JOIN "
    "pg_catalog.pg_proc h ON h.oid OPERATOR(pg_catalog.=) ANY (ARRAY[a.aggtransfn, a.aggfinalfn, "
    "a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, "
    "a.aggmfinalfn]::pg_catalog.oid[]) WHERE a.aggfnoid OPERATOR(pg_catalog.=) f.oid AND (h.provolatile "
    "OPERATOR(pg_catalog.<>) 'i' OR h.prolang OPERATOR(pg_catalog.<>) ALL "
    "('{12,13}'::pg_catalog.oid[]))) END";
// The same for one that only its own session's statement calls; what it calls itself is another question
// (vet_own.h).
static const char own_function[] =
    "(f.provolatile OPERATOR(pg_catalog.=) 'v' OR f.prokind OPERATOR(pg_catalog.=) 'p')";

// Functions that return sets, but for those on the list.
static bool put_other_sets(struct buf *out) {
    int n;
    const char *const *names = functions_that_return_rows(&n);
    buf_put_text(out, "f.proretset AND (f.pronamespace OPERATOR(pg_catalog.<>) 11 OR f.proname "
                      "OPERATOR(pg_catalog.<>) ALL (");
    if (!quote_names(out, names, n, quote_next_text))
        return false;
    buf_put_text(out, ")) OR ");
    return true;
}

// Judges functions, and types that are cast to. Each must be known. `sets`: it may return sets, whichever it is,
// and nothing speaks against one of the server's with a good flag; else those on the list may. `bad`: what else
// speaks against a function.
static bool put_function_facts(struct buf *out, const struct parsed *p,
                               bool (*flag)(const struct parsed *p, int i), bool sets, const char *bad) {
    if (!p->n_functions) { // the server would plan all of it
        buf_put_text(out, "false");
        return true;
    }
    buf_put_text(out, "EXISTS (SELECT 1 FROM ROWS FROM (pg_catalog.unnest(");
    if (!quote_names(out, p->functions, p->n_functions, next_function_schema))
        return false;
    buf_put_text(out, "), pg_catalog.unnest(");
    if (!quote_names(out, p->functions, p->n_functions, quote_next_function))
        return false;
    buf_put_text(out, "), pg_catalog.unnest(");
    put_flags(out, p, flag, p->n_functions);
    buf_put_text(out, ")) AS u(s, x, ok) LEFT JOIN LATERAL (SELECT ");
    if (sets)
        buf_put_text(out, "NOT (u.ok AND f.pronamespace OPERATOR(pg_catalog.=) 11) AND (");
    else if (!put_other_sets(out))
        return false;
    buf_put_text(out, bad);
    buf_put_text(out, sets ? ")" : "");
    buf_put_text(
        out,
        " FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON "
        "n.oid OPERATOR(pg_catalog.=) f.pronamespace WHERE f.proname OPERATOR(pg_catalog.=) u.x AND CASE "
        "WHEN u.s IS NULL THEN pg_catalog.pg_function_is_visible(f.oid) ELSE n.nspname "
        "OPERATOR(pg_catalog.=) u.s END UNION ALL SELECT t.typnamespace OPERATOR(pg_catalog.<>) 11 AND "
        "(t.typtype OPERATOR(pg_catalog.<>) ALL ('{b,e,r,m}'::pg_catalog.\"char\"[]) OR EXISTS (SELECT 1 "
        "FROM pg_catalog.pg_proc f WHERE f.oid OPERATOR(pg_catalog.=) ANY (ARRAY[t.typinput, t.typoutput, "
        "t.typreceive, t.typsend]::pg_catalog.oid[]) AND f.pronamespace OPERATOR(pg_catalog.<>) 11 AND "
        "f.prolang OPERATOR(pg_catalog.<>) 12 AND f.provolatile OPERATOR(pg_catalog.<>) 'i')) FROM "
        "pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace "
        "WHERE t.typname OPERATOR(pg_catalog.=) u.x AND t.typtype OPERATOR(pg_catalog.<>) 'c' AND CASE WHEN "
        "u.s IS NULL THEN pg_catalog.pg_type_is_visible(t.oid) ELSE n.nspname OPERATOR(pg_catalog.=) u.s "
        "END) AS z(bad) ON true WHERE z.bad IS NOT FALSE)");
    return true;
}

// Operators that are not the server's own must be immutable, and must not stand for types of the server's own
// alone. 16384: FirstNormalObjectId.
static bool put_operator_facts(struct buf *out, const struct parsed *p) {
    buf_put_text(out,
                 "EXISTS (SELECT 1 FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc f ON f.oid "
                 "OPERATOR(pg_catalog.=) o.oprcode JOIN pg_catalog.pg_type r ON r.oid OPERATOR(pg_catalog.=) "
                 "o.oprright LEFT JOIN pg_catalog.pg_type l ON l.oid OPERATOR(pg_catalog.=) o.oprleft WHERE "
                 "o.oid OPERATOR(pg_catalog.>=) 16384 AND o.oprname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->operators, p->n_operators, quote_next_text))
        return false;
    buf_put_text(out,
                 ") AND (f.provolatile OPERATOR(pg_catalog.=) 'v' OR o.oprnamespace OPERATOR(pg_catalog.<>) "
                 "11 AND (f.provolatile OPERATOR(pg_catalog.<>) 'i' OR r.typnamespace OPERATOR(pg_catalog.=) "
                 "11 AND (l.oid IS NULL OR l.typnamespace OPERATOR(pg_catalog.=) 11))))");
    return true;
}

// A cast that runs a user's function matters if the statement can have a value of its source type: the type
// of a column or of its parts; a whole row; a constant or parameter; what functions and operators with these
// names take and return; a type that the statement names. And its target must be wanted by the server's own
// code or by one of these.
static const char common_types[] =
    "16,17,18,19,20,21,23,25,26,114,700,701,705,790,1042,1043,1082,1083,1114,1184,1186,1266,1700,2950,3802";

static void put_declared_types(struct buf *out, const struct shape *s) {
    char number[16];
    for (unsigned i = 0; i < s->n_types && i < SHAPE_MAX_VALUES; i++) {
        snprintf(number, sizeof number, ",%u", (unsigned)s->types[i]);
        buf_put_text(out, number);
    }
}

// Tells whether a parameter is declared to be of a type whose values are checked by something of a user's: a
// domain, a row that may have one, or an array of these.
static void put_declared_facts(struct buf *out, const struct shape *s) {
    static const char plain[] = " OPERATOR(pg_catalog.<>) ALL ('{b,e,r,m}'::pg_catalog.\"char\"[])";
    buf_put_text(out, "EXISTS (SELECT 1 FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.oid "
                      "OPERATOR(pg_catalog.=) t.typelem WHERE t.oid OPERATOR(pg_catalog.=) ANY ('{0");
    put_declared_types(out, s);
    buf_put_text(out, "}'::pg_catalog.oid[]) AND (t.typtype");
    buf_put_text(out, plain);
    buf_put_text(out, " OR e.typtype");
    buf_put_text(out, plain);
    buf_put_text(out, "))");
}

// Types with the names that are called, and what functions of these names take and return.
static bool put_called_types(struct buf *out, const struct parsed *p) {
    if (!p->n_functions)
        return true;
    buf_put_text(out, " UNION ALL SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typname "
                      "OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->functions, p->n_functions, quote_next_function))
        return false;
    buf_put_text(
        out,
        ") UNION ALL SELECT v.id FROM pg_catalog.pg_proc f CROSS JOIN LATERAL (SELECT f.prorettype UNION ALL "
        "SELECT pg_catalog.unnest(f.proargtypes)) AS v(id) WHERE f.proname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->functions, p->n_functions, quote_next_function))
        return false;
    buf_put_text(out, ")");
    return true;
}

// h: these types, in an array.
static bool put_types_at_hand(struct buf *out, const struct shape *s) {
    const struct parsed *p = s->parsed;
    buf_put_text(out, "h AS (SELECT ARRAY(SELECT pg_catalog.unnest('{");
    buf_put_text(out, common_types);
    put_declared_types(out, s);
    buf_put_text(out, "}'::pg_catalog.oid[]) UNION ALL SELECT v.id FROM pg_catalog.pg_type t CROSS JOIN "
                      "LATERAL (VALUES (t.oid), (t.typarray)) AS v(id) WHERE t.oid OPERATOR(pg_catalog.=) "
                      "ANY ((SELECT y.ids FROM y)::pg_catalog.oid[]) UNION ALL SELECT c.reltype FROM r JOIN "
                      "pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.oid");
    if (!put_called_types(out, p))
        return false;
    buf_put_text(out, " UNION ALL SELECT v.id FROM pg_catalog.pg_operator o CROSS JOIN LATERAL (VALUES "
                      "(o.oprresult), (CASE WHEN o.oid OPERATOR(pg_catalog.>=) 16384 THEN o.oprleft END), "
                      "(CASE WHEN o.oid OPERATOR(pg_catalog.>=) 16384 THEN o.oprright END)) AS v(id) WHERE "
                      "o.oprname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->operators, p->n_operators, quote_next_text))
        return false;
    buf_put_text(out, ")) AS ids), ");
    return true;
}

// Casts of users that may do anything.
#define CHANGING_CASTS                                                                                       \
    "EXISTS (SELECT 1 FROM pg_catalog.pg_cast x JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) "  \
    "x.castfunc WHERE x.oid OPERATOR(pg_catalog.>=) 16384 AND f.provolatile OPERATOR(pg_catalog.<>) 'i'"

static void put_cast_facts(struct buf *out, const struct shape *s) {
    buf_put_text(out, ", ");
    if (s->parsed->foreign_types) {
        put_declared_facts(out, s);
        buf_put_text(out, " OR ");
    }
    buf_put_text(
        out, CHANGING_CASTS
        " AND f.pronamespace OPERATOR(pg_catalog.<>) 11 AND (x.castsource OPERATOR(pg_catalog.=) ANY "
        "((SELECT h.ids FROM h)::pg_catalog.oid[])");
    if (s->parsed->rare_types)
        buf_put_text(out, " OR x.castsource OPERATOR(pg_catalog.<) 16384");
    buf_put_text(out, ") AND (x.casttarget OPERATOR(pg_catalog.<) 16384 OR x.casttarget "
                      "OPERATOR(pg_catalog.=) ANY ((SELECT h.ids FROM h)::pg_catalog.oid[])))");
}

// Output functions could run code of a user's. Composite types hide the types of their parts.
static const char type_facts[] =
    ", EXISTS (SELECT 1 FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.=) ANY ((SELECT y.ids FROM "
    "y)::pg_catalog.oid[]) AND (t.typtype OPERATOR(pg_catalog.=) 'c' OR t.typnamespace "
    "OPERATOR(pg_catalog.<>) 11 AND t.oid OPERATOR(pg_catalog.<>) ALL (SELECT g.oid FROM g))), (SELECT "
    "pg_catalog.string_agg(pg_catalog.concat(g.oid, ':', g.typarray), ',') FROM g JOIN pg_catalog.pg_type t "
    "ON t.oid OPERATOR(pg_catalog.=) g.oid WHERE g.typtype OPERATOR(pg_catalog.<>) 'd' AND g.typarray "
    "OPERATOR(pg_catalog.<>) 0 AND t.typdelim OPERATOR(pg_catalog.=) ','), ";

// Asks for the key's column, and whether it alone is unique. A unique index of a table with children says
// nothing about the children. For a partitioned table it does.
static bool put_key_facts(struct buf *out, const struct parsed *p, int key) {
    if (key < 0 || p->n_relations != 1) {
        buf_put_text(out, "NULL, false");
        return true;
    }
    buf_put_text(out, "(SELECT b.atttypid FROM b WHERE b.attname OPERATOR(pg_catalog.=) ");
    if (!quote_literal(out, p->keys[key].column))
        return false;
    buf_put_text(
        out,
        "), EXISTS (SELECT 1 FROM r JOIN b ON b.attrelid OPERATOR(pg_catalog.=) r.oid JOIN "
        "pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) r.oid WHERE (r.relkind "
        "OPERATOR(pg_catalog.=) 'p' OR NOT r.relhassubclass) AND i.indisunique AND i.indimmediate AND "
        "i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts OPERATOR(pg_catalog.=) "
        "1 AND i.indkey[0] OPERATOR(pg_catalog.=) b.attnum AND b.attname OPERATOR(pg_catalog.=) ");
    if (!quote_literal(out, p->keys[key].column))
        return false;
    buf_put_text(out, ")");
    return true;
}

// Asks for the columns that supply the key candidates' values, and behind that for their names, one in each line. Rank 0
// is their own column, 1 what it references, 2 what references either.
static bool put_link_facts(struct buf *out, const struct parsed *p) {
    struct buf relations = buf_make(1024), columns = buf_make((size_t)SHAPE_MAX_KEYS * 256);
    bool ok = true, any = false;
    char number[32];
    buf_put_text(out, ", (WITH c AS (SELECT q.k, b.attrelid AS id, b.attnum AS num FROM ROWS FROM "
                      "(pg_catalog.unnest(ARRAY[");
    for (int i = 0; i < p->n_keys && i < SHAPE_MAX_KEYS && ok; i++) {
        if (!p->keys[i].column)
            continue;
        snprintf(number, sizeof number, any ? ",%d" : "%d", i);
        buf_put_text(out, number);
        snprintf(number, sizeof number, any ? ",%d" : "%d", p->keys[i].relation + 1);
        buf_put_text(&relations, number);
        buf_put_text(&columns, any ? "," : "");
        ok = quote_literal(&columns, p->keys[i].column);
        any = true;
    }
    buf_put_text(out, "]::pg_catalog.int4[]), pg_catalog.unnest(ARRAY[");
    buf_put(out, relations.data, relations.len);
    buf_put_text(out, "]::pg_catalog.int4[]), pg_catalog.unnest(ARRAY[");
    buf_put(out, columns.data, columns.len);
    ok = ok && !relations.failed && !columns.failed;
    buf_free(&relations);
    buf_free(&columns);
    buf_put_text(
        out,
        "]::pg_catalog.name[])) AS q(k, n, x) JOIN b ON b.attname OPERATOR(pg_catalog.=) q.x AND q.n "
        "OPERATOR(pg_catalog.=) ANY (ARRAY[0, b.n]::pg_catalog.int8[])), t AS (SELECT c.k, c.id, c.num, 0 AS "
        "rank FROM c UNION ALL SELECT c.k, f.confrelid, f.confkey[pg_catalog.array_position(f.conkey, "
        "c.num)], 1 FROM c JOIN pg_catalog.pg_constraint f ON f.conrelid OPERATOR(pg_catalog.=) c.id AND "
        "f.contype OPERATOR(pg_catalog.=) 'f' AND c.num OPERATOR(pg_catalog.=) ANY (f.conkey)), "
        // pg_constraint has no index by the referenced table. So the query finds what references a table by
        // what depends on it (pg_depend). 1259 pg_class, 2606 pg_constraint.
        "l AS (SELECT t.k, t.id, t.num, t.rank FROM t UNION ALL SELECT t.k, f.conrelid, "
        "f.conkey[pg_catalog.array_position(f.confkey, t.num)], 2 FROM pg_catalog.pg_constraint f JOIN t ON "
        "f.confrelid OPERATOR(pg_catalog.=) t.id AND t.num OPERATOR(pg_catalog.=) ANY (f.confkey) WHERE "
        "f.contype OPERATOR(pg_catalog.=) 'f' AND f.conparentid OPERATOR(pg_catalog.=) 0 AND f.oid "
        "OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.refclassid "
        "OPERATOR(pg_catalog.=) 1259 AND d.classid OPERATOR(pg_catalog.=) 2606 AND d.refobjid "
        "OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT t.id FROM t)) LIMIT 256))) SELECT "
        "pg_catalog.concat(pg_catalog.string_agg(pg_catalog.concat(z.k, ':', z.id, ':', z.num, ':', z.rank), "
        "',' ORDER BY z.rank, z.k, z.id, z.num), pg_catalog.chr(10), pg_catalog.string_agg(COALESCE("
        "pg_catalog.translate((pg_catalog.pg_identify_object(1259, z.id, z.num)).identity, "
        "pg_catalog.chr(10), ' '), ''), pg_catalog.chr(10) ORDER BY z.rank, z.k, z.id, z.num)) FROM (SELECT "
        "l.k, l.id, l.num, pg_catalog.min(l.rank) AS rank FROM l GROUP BY l.k, l.id, l.num ORDER BY 4, 1, 2, "
        "3 LIMIT 64) AS z)");
    return ok;
}

// Gives their number and then their names, or no names when there are too many. A write to a table whose name
// is not plain counts for all tables, see writes.c.
static const char few_writers[] = "(SELECT pg_catalog.cardinality(w.ids) FROM w) OPERATOR(pg_catalog.<=) 512";
static const char trees[] =
    " AND NOT EXISTS (SELECT 1 FROM r WHERE r.relhassubclass) AND NOT EXISTS (SELECT 1 FROM "
    "pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT r.oid FROM r WHERE "
    "r.oid IS NOT NULL)))";
static const char wide_trees[] =
    " AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY ((SELECT "
    "o.rels FROM o)::pg_catalog.oid[]) AND c.relhassubclass) AND NOT EXISTS (SELECT 1 FROM "
    "pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) ANY ((SELECT o.rels FROM "
    "o)::pg_catalog.oid[]))";
static const char writer_names[] =
    " THEN (SELECT pg_catalog.concat(pg_catalog.count(z.x), pg_catalog.chr(10), pg_catalog.string_agg(z.x, "
    "pg_catalog.chr(10))) FROM (SELECT CASE WHEN c.relname OPERATOR(pg_catalog.~) '^[ -~]+$' THEN "
    "c.relname::pg_catalog.text END FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY "
    "((SELECT w.ids FROM w)::pg_catalog.oid[])) AS z(x)) END";

static void put_writer_facts(struct buf *out, bool wide) {
    if (wide) {
        buf_put_text(out, ", CASE WHEN NOT ");
        vet_own_put_unknown(out);
        buf_put_text(out, " AND ");
    } else {
        buf_put_text(out, ", CASE WHEN ");
    }
    buf_put_text(out, few_writers);
    buf_put_text(out, wide ? wide_trees : trees);
    buf_put_text(out, writer_names);
}

// What the lookup's own session needs to know besides, see vet_own.h.
static bool put_own_facts(struct buf *out, const struct parsed *p) {
    buf_put_text(out, ", ");
    if (!put_function_facts(out, p, function_is_foldable, false, own_function))
        return false;
    buf_put_text(out, ", ");
    vet_own_put_facts(out);
    return true;
}

bool vet_query(const struct shape *s, int key, bool wide, struct buf *out) {
    const struct parsed *p = s->parsed;
    buf_put_text(out, with_r);
    if (!put_relation_names(out, p))
        return false;
    buf_put_text(out, with_flags);
    put_flags(out, p, is_maybe_cte, p->n_relations);
    buf_put_text(out, with_columns);
    if (wide) {
        if (!vet_own_put_below(out, p))
            return false;
        buf_put_text(out, ", ");
    }
    put_closures(out, wide);
    if (!put_types_at_hand(out, s))
        return false;
    buf_put_text(out, with_types);
    if (!put_column_facts(out, p))
        return false;
    buf_put_text(out, ", ");
    if (!put_column_function_facts(out, p, false))
        return false;
    buf_put_text(out, ", ");
    if (!put_function_facts(out, p, function_is_foldable, false, strict_function))
        return false;
    buf_put_text(out, ", ");
    if (!put_operator_facts(out, p))
        return false;
    put_cast_facts(out, s);
    buf_put_text(out, type_facts);
    if (!put_key_facts(out, p, key) || !put_link_facts(out, p))
        return false;
    put_writer_facts(out, wide);
    buf_put_text(out, ", NOT EXISTS (SELECT 1 FROM r WHERE r.relhassubclass OR r.relkind "
                      "OPERATOR(pg_catalog.<>) ALL ('{r,m}'::pg_catalog.\"char\"[]))");
    return (!wide || put_own_facts(out, p)) && !out->failed;
}

// ---- plain reads

// Looks for relations that are neither the server's own nor good.
static bool put_read_relations(struct buf *out, const struct parsed *p, const char *good) {
    buf_put_text(out, "NOT EXISTS (SELECT 1 FROM ROWS FROM (pg_catalog.unnest(");
    if (!put_relation_names(out, p))
        return false;
    buf_put_text(out, with_flags);
    put_flags(out, p, is_maybe_cte, p->n_relations);
    buf_put_text(out, ")) AS u(x, cte) LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) "
                      "pg_catalog.to_regclass(u.x) WHERE (c.relnamespace OPERATOR(pg_catalog.=) 11 OR ");
    buf_put_text(out, good);
    buf_put_text(out, ") IS NOT TRUE AND NOT (u.cte AND c.oid IS NULL))");
    return true;
}

static const char plain_tables[] =
    "c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m}'::pg_catalog.\"char\"[]) AND NOT c.relrowsecurity AND "
    "c.relpersistence OPERATOR(pg_catalog.<>) 't'";
static const char read_tables[] = "c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m,v}'::pg_catalog.\"char\"[])";

// Is it plain by its own names, or does all that is below it only read?
static bool put_wide_read(struct buf *out, const struct parsed *p) {
    buf_put_text(out, " OR (WITH RECURSIVE r AS (SELECT c.oid FROM pg_catalog.unnest(");
    if (!put_relation_names(out, p))
        return false;
    buf_put_text(out, ") AS u(x) JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) "
                      "pg_catalog.to_regclass(u.x) WHERE c.relnamespace OPERATOR(pg_catalog.<>) 11), ");
    if (!vet_own_put_below(out, p))
        return false;
    buf_put_text(out, " SELECT NOT ");
    if (!put_function_facts(out, p, function_is_read_only, true, own_function))
        return false;
    buf_put_text(out, " AND ");
    vet_own_put_verdict(out);
    buf_put_text(out, ")");
    return true;
}

static bool put_read_names(struct buf *out, const struct parsed *p, bool wide) {
    if (wide) {
        buf_put_text(out, " AND (");
        if (!put_read_relations(out, p, plain_tables))
            return false;
    }
    buf_put_text(out, " AND NOT ");
    if (!put_function_facts(out, p, function_is_read_only, true, strict_function))
        return false;
    if (wide && !put_wide_read(out, p))
        return false;
    buf_put_text(out, wide ? ")" : "");
    return true;
}

// Of a wide question: does it read nothing of a user's but tables?
static bool put_bare_read(struct buf *out, const struct parsed *p, bool wide) {
    if (!wide)
        return true;
    buf_put_text(out, ", ");
    if (!put_read_relations(out, p, plain_tables))
        return false;
    buf_put_text(out, " AND NOT ");
    return put_function_facts(out, p, function_is_read_only, true, strict_function);
}

bool vet_read_query(const struct shape *s, bool wide, struct buf *out) {
    const struct parsed *p = s->parsed;
    buf_put_text(out, "SELECT ");
    if (!put_read_relations(out, p, wide ? read_tables : plain_tables) || !put_read_names(out, p, wide))
        return false;
    buf_put_text(out, " AND NOT ");
    if (!put_column_function_facts(out, p, true))
        return false;
    buf_put_text(out,
                 " AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc f ON f.oid "
                 "OPERATOR(pg_catalog.=) o.oprcode WHERE o.oprnamespace OPERATOR(pg_catalog.<>) 11 AND "
                 "f.provolatile OPERATOR(pg_catalog.<>) 'i' AND o.oprname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, p->operators, p->n_operators, quote_next_text))
        return false;
    buf_put_text(out, "))");
    if (p->n_types_named) // it does not look into which of them a text means
        buf_put_text(out, " AND NOT " CHANGING_CASTS ")");
    if (p->foreign_types) {
        buf_put_text(out, " AND NOT ");
        put_declared_facts(out, s);
    }
    buf_put_text(out, ", ");
    buf_put_text(out, facts_stamp_expression());
    return put_bare_read(out, p, wide) && !out->failed;
}
