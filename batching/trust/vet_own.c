// SPDX-License-Identifier: PostgreSQL
//
// The SQL of what is below a statement, put together from parts. Names are qualified, as in vet_query.c.
#include "batching/trust/vet_own.h"

#include "batching/statement/parse.h"
#include "batching/statement/quote.h"
#include "batching/trust/stamp.h"
#include "protocol/buf.h"

// The functions that have to be looked into: those of users, those that may do anything, and those of the
// server's that are declared stable and still do more than read (txid_current, table_to_xml), or tell of the
// server and not of rows. 16384 is FirstNormalObjectId, 12 internal and 13 c in pg_language.dat, 2279 trigger
// and 3838 event_trigger in pg_type.dat.
#define SUSPECT                                                                                              \
    "(f.oid OPERATOR(pg_catalog.>=) 16384 OR f.provolatile OPERATOR(pg_catalog.=) 'v' OR "                   \
    "f.provolatile OPERATOR(pg_catalog.=) 's' AND f.proname OPERATOR(pg_catalog.~) "                         \
    "'^(pg_|txid_)|_to_xml' AND f.proname OPERATOR(pg_catalog.<>) ALL "                                      \
    "('{pg_backend_pid,pg_client_encoding,pg_collation_for,pg_column_size,pg_get_userbyid,pg_has_role,pg_"   \
    "my_temp_schema,pg_typeof}'::pg_catalog.name[]))"

static const char with_named[] = "p AS (SELECT f.oid FROM ROWS FROM (pg_catalog.unnest(";
static const char with_names[] = "), pg_catalog.unnest(";
static const char with_visible[] =
    ")) AS u(s, x) JOIN pg_catalog.pg_proc f ON f.proname OPERATOR(pg_catalog.=) u.x JOIN "
    "pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) f.pronamespace WHERE CASE WHEN u.s IS "
    "NULL THEN pg_catalog.pg_function_is_visible(f.oid) ELSE n.nspname OPERATOR(pg_catalog.=) u.s "
    "END AND " SUSPECT ")";

// The steps of o. What a view, a policy or a function with a parsed body consists of is in the catalogue as a
// tree of nodes, whose text names every function and relation by its OID (pg_depend does not have those that
// the server was made with). The body of any other function is a text: each word in it that is the name of
// such a function, a view or a table with policies counts as a use of it.
static const char with_o[] =
    "o_steps(n, rels, procs, bad, front, calls) AS (SELECT 0, z.rels, z.procs, false, z.rels, "
    "z.procs FROM (SELECT ARRAY(SELECT r.oid FROM r WHERE r.oid IS NOT NULL) AS rels, ARRAY(SELECT "
    "p.oid FROM p) AS procs OFFSET 0) AS z UNION ALL SELECT s.n OPERATOR(pg_catalog.+) 1, "
    "pg_catalog.array_cat(s.rels, y.rels), pg_catalog.array_cat(s.procs, y.procs), s.bad OR t.bad, "
    "y.rels, y.procs FROM (SELECT * FROM o_steps AS z WHERE (z.front OPERATOR(pg_catalog.<>) '{}' OR "
    "z.calls OPERATOR(pg_catalog.<>) '{}') AND NOT z.bad AND pg_catalog.cardinality(z.rels) "
    "OPERATOR(pg_catalog.+) pg_catalog.cardinality(z.procs) OPERATOR(pg_catalog.<=) 250 AND z.n "
    "OPERATOR(pg_catalog.<) 32 LIMIT 1) AS s CROSS JOIN LATERAL (SELECT "
    "pg_catalog.string_agg(pg_catalog.concat(f.proargdefaults::pg_catalog.text, ' ', "
    "pg_catalog.to_jsonb(f) OPERATOR(pg_catalog.->>) 'prosqlbody'), ' ') AS tree, "
    "pg_catalog.regexp_split_to_array(pg_catalog.string_agg(pg_catalog.concat(f.prosrc, ' ', "
    "pg_catalog.lower(f.prosrc)), ' ') FILTER (WHERE f.prolang OPERATOR(pg_catalog.<>) ALL "
    "('{12,13}'::pg_catalog.oid[])), '[^[:alnum:]_$]+')::pg_catalog.name[] AS words FROM "
    "pg_catalog.pg_proc f WHERE f.oid OPERATOR(pg_catalog.=) ANY (s.calls) AND f.oid "
    "OPERATOR(pg_catalog.>=) 16384 OFFSET 0) AS b CROSS JOIN LATERAL (SELECT "
    "pg_catalog.concat(b.tree, ' ', (SELECT pg_catalog.string_agg(e.ev_action::pg_catalog.text, ' ') "
    "FROM pg_catalog.pg_rewrite e WHERE e.ev_class OPERATOR(pg_catalog.=) ANY (s.front) AND "
    "e.ev_type OPERATOR(pg_catalog.=) '1'), ' ', (SELECT "
    "pg_catalog.string_agg(l.polqual::pg_catalog.text, ' ') FROM pg_catalog.pg_policy l WHERE "
    "l.polrelid OPERATOR(pg_catalog.=) ANY (s.front) AND l.polcmd OPERATOR(pg_catalog.=) ANY "
    "('{*,r}'::pg_catalog.\"char\"[]))) AS tree, b.words OFFSET 0) AS w CROSS JOIN LATERAL (SELECT "
    "w.tree OPERATOR(pg_catalog.~) "
    "'ROWMARKCLAUSE|TABLESAMPLECLAUSE|NEXTVALUEEXPR|COERCETODOMAIN|CURRENTOFEXPR|ROWCOMPAREEXPR' OR "
    "pg_catalog.length(w.tree) OPERATOR(pg_catalog.>) 1000000 OR COALESCE('execute' "
    "OPERATOR(pg_catalog.=) ANY (w.words) OR 'information_schema' OPERATOR(pg_catalog.=) ANY (w.words), "
    "false) AS bad, ARRAY(SELECT DISTINCT "
    "m.x[1]::pg_catalog.oid FROM pg_catalog.regexp_matches(w.tree, ':relid ([0-9]+)', 'g') AS m(x)) "
    "AS rels, ARRAY(SELECT DISTINCT m.x[1]::pg_catalog.oid FROM pg_catalog.regexp_matches(w.tree, "
    "':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+)', 'g') AS m(x) UNION ALL SELECT "
    "pg_catalog.unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, "
    "a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::pg_catalog.oid[]) FROM "
    "pg_catalog.pg_aggregate a WHERE a.aggfnoid OPERATOR(pg_catalog.=) ANY (s.calls) AND a.aggfnoid "
    "OPERATOR(pg_catalog.>=) 16384 UNION ALL SELECT x.oprcode::pg_catalog.oid FROM "
    "pg_catalog.regexp_matches(w.tree, ':(?:eqop|sortop|opno) ([0-9]+)', 'g') AS m(x) JOIN "
    "pg_catalog.pg_operator x ON x.oid OPERATOR(pg_catalog.=) m.x[1]::pg_catalog.oid WHERE x.oid "
    "OPERATOR(pg_catalog.>=) 16384) AS procs OFFSET 0) AS t CROSS JOIN LATERAL (SELECT ARRAY(SELECT "
    "v.id FROM (SELECT pg_catalog.unnest(t.rels) UNION SELECT c.oid FROM pg_catalog.pg_class c WHERE "
    "c.relname OPERATOR(pg_catalog.=) ANY (w.words) AND (c.oid OPERATOR(pg_catalog.>=) 16384 OR "
    "c.relnamespace OPERATOR(pg_catalog.=) 11) AND c.relkind OPERATOR(pg_catalog.=) ANY "
    "('{r,p,m,v,S,f}'::pg_catalog.\"char\"[])) AS v(id) WHERE v.id "
    "OPERATOR(pg_catalog.<>) ALL (s.rels)) AS rels, ARRAY(SELECT v.id FROM (SELECT f.oid FROM "
    "pg_catalog.pg_proc f WHERE f.oid OPERATOR(pg_catalog.=) ANY (t.procs) AND " SUSPECT
    " UNION SELECT f.oid FROM pg_catalog.pg_proc f WHERE f.proname OPERATOR(pg_catalog.=) ANY "
    "(w.words) AND f.prorettype OPERATOR(pg_catalog.<>) ALL ('{2279,3838}'::pg_catalog.oid[]) AND " SUSPECT
    ") AS v(id) WHERE v.id OPERATOR(pg_catalog.<>) ALL (s.procs)) AS procs OFFSET 0) AS y), o AS "
    "(SELECT z.rels, z.procs, z.bad OR z.front OPERATOR(pg_catalog.<>) '{}' OR z.calls "
    "OPERATOR(pg_catalog.<>) '{}' AS bad FROM o_steps AS z ORDER BY z.n DESC LIMIT 1)";

// The first two speak against it.
static const char rels_fact[] =
    "EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY ((SELECT "
    "o.rels FROM o)::pg_catalog.oid[]) AND (c.relkind OPERATOR(pg_catalog.<>) ALL "
    "('{r,p,m,v}'::pg_catalog.\"char\"[]) OR c.oid OPERATOR(pg_catalog.<) 16384 OR c.relpersistence "
    "OPERATOR(pg_catalog.=) 't' AND c.relnamespace OPERATOR(pg_catalog.<>) "
    "pg_catalog.pg_my_temp_schema()))";
// A function of a user's into which nobody has looked, if it is called without its name: by an operator, a cast
// or the check of a domain.
#define UNSEEN                                                                                               \
    "(f.provolatile OPERATOR(pg_catalog.=) 'v' OR f.oid OPERATOR(pg_catalog.>=) 16384 AND NOT "              \
    "(f.provolatile OPERATOR(pg_catalog.=) 'i' AND f.prolang OPERATOR(pg_catalog.=) ANY "                    \
    "('{12,13}'::pg_catalog.oid[])))"

// A text may use operators and casts that no word in it names, and its words are names only where all are plain
// ASCII without quotes. A parsed body (BEGIN ATOMIC) names the functions of all. Values of a domain may come up anywhere. In C, and in languages other than SQL and
// PL/pgSQL (14 is sql), a body says nothing.
static const char procs_fact[] =
    "(SELECT o.bad FROM o) OR EXISTS (SELECT 1 FROM pg_catalog.pg_proc f WHERE f.oid "
    "OPERATOR(pg_catalog.=) ANY ((SELECT o.procs FROM o)::pg_catalog.oid[]) AND (f.provolatile "
    "OPERATOR(pg_catalog.=) 'v' OR f.oid OPERATOR(pg_catalog.<) 16384 OR f.prolang "
    "OPERATOR(pg_catalog.<>) ALL ('{12,13,14}'::pg_catalog.oid[]) AND f.prolang OPERATOR(pg_catalog.<>) "
    "ALL (ARRAY(SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname OPERATOR(pg_catalog.=) "
    "'plpgsql')) OR f.prolang OPERATOR(pg_catalog.=) ANY ('{12,13}'::pg_catalog.oid[]) AND f.provolatile "
    "OPERATOR(pg_catalog.<>) 'i' OR f.prolang OPERATOR(pg_catalog.<>) ALL ('{12,13}'::pg_catalog.oid[]) AND "
    "(pg_catalog.to_jsonb(f) OPERATOR(pg_catalog.->>) 'prosqlbody') IS NULL AND "
    "(f.prosrc OPERATOR(pg_catalog.~) pg_catalog.concat('[^ -~', pg_catalog.chr(9), pg_catalog.chr(10), "
    "pg_catalog.chr(13), ']|\"|[uU]&') OR EXISTS (SELECT 1 FROM "
    "pg_catalog.pg_operator x JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) x.oprcode WHERE "
    "x.oid "
    "OPERATOR(pg_catalog.>=) 16384 AND " UNSEEN ") OR EXISTS (SELECT 1 FROM pg_catalog.pg_cast x JOIN "
    "pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) x.castfunc WHERE x.oid OPERATOR(pg_catalog.>=) "
    "16384 AND " UNSEEN ")))) OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k CROSS JOIN LATERAL "
    "pg_catalog.regexp_matches(k.conbin::pg_catalog.text, ':(?:funcid|opfuncid) ([0-9]+)', 'g') AS m(x) JOIN "
    "pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) m.x[1]::pg_catalog.oid WHERE k.contypid "
    "OPERATOR(pg_catalog.>) 0::pg_catalog.oid AND " UNSEEN ")";
static const char stamps[] =
    "(SELECT pg_catalog.string_agg(pg_catalog.concat(c.oid, ':', c.xmin), ',') FROM "
    "pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) ANY ((SELECT o.rels FROM "
    "o)::pg_catalog.oid[])), (SELECT pg_catalog.string_agg(pg_catalog.concat(e.oid, ':', e.xmin), "
    "',') FROM pg_catalog.pg_rewrite e WHERE e.ev_class OPERATOR(pg_catalog.=) ANY ((SELECT o.rels "
    "FROM o)::pg_catalog.oid[])), (SELECT pg_catalog.string_agg(pg_catalog.concat(l.oid, ':', "
    "l.xmin), ',') FROM pg_catalog.pg_policy l WHERE l.polrelid OPERATOR(pg_catalog.=) ANY ((SELECT "
    "o.rels FROM o)::pg_catalog.oid[])), (SELECT pg_catalog.string_agg(pg_catalog.concat(f.oid, ':', "
    "f.xmin), ',') FROM pg_catalog.pg_proc f WHERE f.oid OPERATOR(pg_catalog.=) ANY ((SELECT o.procs "
    "FROM o)::pg_catalog.oid[]))";

// Does nothing below depend on when it is asked, on a setting or on the transaction? Views of tables alone, by the server's immutable
// functions: no text is read as a time, and no temporary table is emptied at its end.
static const char steady[] =
    "(SELECT o.procs FROM o) OPERATOR(pg_catalog.=) '{}' AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class c "
    "WHERE "
    "c.oid OPERATOR(pg_catalog.=) ANY ((SELECT o.rels FROM o)::pg_catalog.oid[]) AND (c.relpersistence "
    "OPERATOR(pg_catalog.=) 't' OR c.relrowsecurity)) AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite e "
    "WHERE "
    "e.ev_class OPERATOR(pg_catalog.=) ANY ((SELECT o.rels FROM o)::pg_catalog.oid[]) AND e.ev_type "
    "OPERATOR(pg_catalog.=) '1' AND (e.ev_action::pg_catalog.text OPERATOR(pg_catalog.~) "
    "'SQLVALUEFUNCTION|COERCEVIAIO|XMLEXPR|JSON|TABLEFUNC' OR EXISTS (SELECT 1 FROM "
    "pg_catalog.regexp_matches(e.ev_action::pg_catalog.text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) "
    "([0-9]+)', 'g') "
    "AS m(x) JOIN pg_catalog.pg_proc f ON f.oid OPERATOR(pg_catalog.=) m.x[1]::pg_catalog.oid WHERE "
    "f.provolatile "
    "OPERATOR(pg_catalog.<>) 'i')))";

static const char unknown[] =
    "EXISTS (SELECT 1 FROM pg_catalog.pg_proc f WHERE f.oid OPERATOR(pg_catalog.=) ANY ((SELECT "
    "o.procs FROM o)::pg_catalog.oid[]) AND (f.prolang OPERATOR(pg_catalog.<>) ALL "
    "('{12,13}'::pg_catalog.oid[]) OR f.provolatile OPERATOR(pg_catalog.<>) 'i'))";

static const char *next_schema(const void *list, int i) {
    return ((const struct parsed_function *)list)[i].schema;
}

bool vet_own_put_below(struct buf *out, const struct parsed *p) {
    buf_put_text(out, with_named);
    if (!quote_names(out, p->functions, p->n_functions, next_schema))
        return false;
    buf_put_text(out, with_names);
    if (!quote_names(out, p->functions, p->n_functions, quote_next_function))
        return false;
    buf_put_text(out, with_visible);
    buf_put_text(out, ", ");
    buf_put_text(out, with_o);
    return true;
}

void vet_own_put_verdict(struct buf *out) {
    buf_put_text(out, "NOT (");
    buf_put_text(out, rels_fact);
    buf_put_text(out, " OR ");
    buf_put_text(out, procs_fact);
    buf_put_text(out, ")");
}

void vet_own_put_facts(struct buf *out) {
    buf_put_text(out, rels_fact);
    buf_put_text(out, ", ");
    buf_put_text(out, procs_fact);
    buf_put_text(out, ", ");
    buf_put_text(out, stamps);
    buf_put_text(out, ", ");
    buf_put_text(out, stamp_domains_expression());
    buf_put_text(out, ", ");
    buf_put_text(out, steady);
}

void vet_own_put_unknown(struct buf *out) {
    buf_put_text(out, unknown);
}
