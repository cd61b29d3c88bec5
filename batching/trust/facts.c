// SPDX-License-Identifier: PostgreSQL
//
// The query that collects the names, the reader of its answer, and the look-up of a statement's names.
#include "batching/trust/facts.h"

#include <stdlib.h>
#include <string.h>

#include "batching/statement/server_types.h"
#include "batching/trust/own_settings.h"
#include "batching/trust/vet.h"
#include "batching/trust/write_set.h"
#include "batching/trust/writes.h"

#define FRESH 1000000 // microseconds: a younger stamp is not asked for again
// Microseconds between two questions, in addition to PAUSE_FACTOR times what the last one took.
#define PAUSE        10000
#define PAUSE_FACTOR 20
#define PAUSE_FAILED 1000000

// ---- the question
//
// Fixed OIDs in the queries. Languages: 12 internal, 13 c. Types: 2279 trigger. Catalogues: 1247 pg_type,
// 1255 pg_proc, 1259 pg_class, 2602 pg_amop, 2603 pg_amproc, 2604 pg_attrdef, 2605 pg_cast, 2606
// pg_constraint, 2616 pg_opclass, 2617 pg_operator, 2618 pg_rewrite, 2620 pg_trigger, 2753 pg_opfamily, 3256
// pg_policy. 16384 is FirstNormalObjectId.
//
// The parts of the names query:
//   f  the functions of users.
//   u  what depends on them, found step by step as in vet_query.c. `ids` are functions, operators, types,
//      operator classes, and views that something else may read; `rels` are relations. A default, a
//      constraint or an index is represented by the relation or type that it belongs to.
//   t  the relations that pass a write on to those of u.
// The query looks only at what depends on users' functions, and finds it by indexes. A cast between two types
// of the server's own could be used anywhere: it is reported as an empty name.
// The server's own set_config (2078) changes the session, too. A table counts where a default, a check or a
// policy calls it. A domain that calls it could be used anywhere.
static const char names_query[] =
    "WITH RECURSIVE f AS (SELECT p.oid, p.proname FROM pg_catalog.pg_proc p WHERE p.oid "
    "OPERATOR(pg_catalog.>=) 16384 AND (p.prolang OPERATOR(pg_catalog.<>) ALL "
    "('{12,13}'::pg_catalog.oid[]) OR p.prorettype OPERATOR(pg_catalog.=) 2279)), u_steps(n, ids, rels, "
    "front) AS ( SELECT 0, z.ids, '{}'::pg_catalog.oid[], z.ids FROM (SELECT ARRAY(SELECT DISTINCT "
    "d.refobjid FROM f JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 1255 AND "
    "d.refobjid OPERATOR(pg_catalog.=) f.oid) AS ids OFFSET 0) AS z UNION ALL SELECT s.n "
    "OPERATOR(pg_catalog.+) 1, pg_catalog.array_cat(s.ids, x.front), pg_catalog.array_cat(s.rels, "
    "t.ids), x.front FROM (SELECT * FROM u_steps AS z WHERE z.front OPERATOR(pg_catalog.<>) '{}' LIMIT "
    "1) AS s CROSS JOIN LATERAL (SELECT pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid "
    "OPERATOR(pg_catalog.=) ANY ('{1255,2617,1247,2616,2753}'::pg_catalog.oid[])) AS others, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 1259) AS classes, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 2604) AS defaults, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 2606) AS constraints, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 2618) AS rules, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 2620) AS triggers, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 3256) AS policies, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 2605) AS casts, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 2602) AS amops, "
    "pg_catalog.array_agg(d.objid) FILTER (WHERE d.classid OPERATOR(pg_catalog.=) 2603) AS amprocs FROM "
    "pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) ANY "
    "('{1255,2617,1247,2616,2753,1259}') AND d.refobjid OPERATOR(pg_catalog.=) ANY (s.front) OFFSET 0) "
    "AS d CROSS JOIN LATERAL (SELECT ARRAY( SELECT a.adrelid FROM pg_catalog.pg_attrdef a WHERE a.oid "
    "OPERATOR(pg_catalog.=) ANY (d.defaults) UNION SELECT v.id FROM pg_catalog.pg_constraint c CROSS "
    "JOIN LATERAL (VALUES (c.conrelid), (c.confrelid)) AS v(id) WHERE c.oid OPERATOR(pg_catalog.=) ANY "
    "(d.constraints) UNION SELECT e.ev_class FROM pg_catalog.pg_rewrite e WHERE e.oid "
    "OPERATOR(pg_catalog.=) ANY (d.rules) UNION SELECT t.tgrelid FROM pg_catalog.pg_trigger t WHERE "
    "t.oid OPERATOR(pg_catalog.=) ANY (d.triggers) UNION SELECT o.polrelid FROM pg_catalog.pg_policy o "
    "WHERE o.oid OPERATOR(pg_catalog.=) ANY (d.policies) UNION SELECT i.indrelid FROM "
    "pg_catalog.pg_index i WHERE i.indexrelid OPERATOR(pg_catalog.=) ANY (d.classes) UNION SELECT "
    "pg_catalog.unnest(d.classes)) AS ids OFFSET 0) AS t CROSS JOIN LATERAL (SELECT ARRAY(SELECT v.id "
    "FROM ( SELECT pg_catalog.unnest(d.others) UNION SELECT c.contypid FROM pg_catalog.pg_constraint c "
    "WHERE c.oid OPERATOR(pg_catalog.=) ANY (d.constraints) UNION SELECT w.id FROM pg_catalog.pg_cast c "
    "CROSS JOIN LATERAL (VALUES (c.castsource), (c.casttarget)) AS w(id) WHERE c.oid "
    "OPERATOR(pg_catalog.=) ANY (d.casts) UNION SELECT a.amopfamily FROM pg_catalog.pg_amop a WHERE "
    "a.oid OPERATOR(pg_catalog.=) ANY (d.amops) UNION SELECT a.amprocfamily FROM pg_catalog.pg_amproc a "
    "WHERE a.oid OPERATOR(pg_catalog.=) ANY (d.amprocs) UNION SELECT w.id FROM pg_catalog.pg_class c "
    "CROSS JOIN LATERAL (VALUES (c.reltype), (CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'v' THEN c.oid "
    "END)) AS w(id) WHERE c.oid OPERATOR(pg_catalog.=) ANY (t.ids) ) AS v(id) WHERE v.id "
    "OPERATOR(pg_catalog.>=) 16384 AND v.id OPERATOR(pg_catalog.<>) ALL (s.ids)) AS front OFFSET 0) AS "
    "x), u AS (SELECT z.ids, pg_catalog.array_cat(z.rels, ARRAY(SELECT a.adrelid FROM "
    "pg_catalog.pg_attrdef a WHERE a.adbin::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 %' "
    "UNION SELECT c.conrelid FROM pg_catalog.pg_constraint c WHERE c.contype OPERATOR(pg_catalog.=) 'c' "
    "AND c.conbin::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 %' UNION SELECT o.polrelid "
    "FROM pg_catalog.pg_policy o WHERE o.polqual::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 "
    "%' OR o.polwithcheck::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 %')) AS rels FROM "
    "u_steps AS z ORDER BY z.n DESC LIMIT 1), t_steps(n, ids, front) AS ( SELECT 0, u.rels, u.rels FROM "
    "u UNION ALL SELECT s.n OPERATOR(pg_catalog.+) 1, pg_catalog.array_cat(s.ids, x.front), x.front FROM "
    "(SELECT * FROM t_steps AS z WHERE z.front OPERATOR(pg_catalog.<>) '{}' LIMIT 1) AS s CROSS JOIN "
    "LATERAL (SELECT ARRAY(SELECT v.id FROM ( SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE "
    "i.inhrelid OPERATOR(pg_catalog.=) ANY (s.front) UNION SELECT i.inhrelid FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) c.oid WHERE c.oid "
    "OPERATOR(pg_catalog.=) ANY (s.front) AND c.relhassubclass UNION SELECT f.confrelid FROM "
    "pg_catalog.pg_constraint f WHERE f.conrelid OPERATOR(pg_catalog.=) ANY (s.front) AND f.contype "
    "OPERATOR(pg_catalog.=) 'f' AND (f.confdeltype OPERATOR(pg_catalog.=) ANY "
    "('{c,n,d}'::pg_catalog.\"char\"[]) OR f.confupdtype OPERATOR(pg_catalog.=) ANY "
    "('{c,n,d}'::pg_catalog.\"char\"[]))) AS v(id) WHERE v.id OPERATOR(pg_catalog.<>) ALL (s.ids)) AS "
    "front OFFSET 0) AS x), t AS (SELECT z.ids FROM t_steps AS z ORDER BY z.n DESC LIMIT 1) SELECT CASE "
    "WHEN n.x OPERATOR(pg_catalog.~) '^[ -~]*$' THEN n.x END FROM ( SELECT f.proname::pg_catalog.text "
    "FROM f UNION SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.=) ANY "
    "((SELECT u.ids FROM u)::pg_catalog.oid[]) UNION SELECT o.oprname FROM pg_catalog.pg_operator o "
    "WHERE o.oid OPERATOR(pg_catalog.=) ANY ((SELECT u.ids FROM u)::pg_catalog.oid[]) UNION SELECT "
    "y.typname FROM pg_catalog.pg_type y WHERE y.oid OPERATOR(pg_catalog.=) ANY ((SELECT u.ids FROM "
    "u)::pg_catalog.oid[]) UNION SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid "
    "OPERATOR(pg_catalog.=) ANY ((SELECT t.ids FROM t)::pg_catalog.oid[]) UNION SELECT c.relname FROM "
    "pg_catalog.pg_rewrite e JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) e.ev_class WHERE "
    "e.oid OPERATOR(pg_catalog.>=) 16384 AND c.relkind OPERATOR(pg_catalog.<>) 'm' UNION SELECT "
    "c.relname FROM pg_catalog.pg_foreign_table e JOIN pg_catalog.pg_class c ON c.oid "
    "OPERATOR(pg_catalog.=) e.ftrelid UNION SELECT '' FROM pg_catalog.pg_cast k WHERE k.oid "
    "OPERATOR(pg_catalog.>=) 16384 AND k.castsource OPERATOR(pg_catalog.<) 16384 AND k.casttarget "
    "OPERATOR(pg_catalog.<) 16384 AND (k.castfunc OPERATOR(pg_catalog.=) ANY (SELECT f.oid FROM f) OR "
    "k.castfunc OPERATOR(pg_catalog.=) ANY ((SELECT u.ids FROM u)::pg_catalog.oid[])) UNION SELECT '' "
    "FROM pg_catalog.pg_constraint c WHERE c.contypid OPERATOR(pg_catalog.<>) 0 AND "
    "c.conbin::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 %' UNION SELECT '' FROM "
    "pg_catalog.pg_type y WHERE y.typdefaultbin::pg_catalog.text OPERATOR(pg_catalog.~~) '%:funcid 2078 "
    "%' LIMIT 16385) AS n(x)";

// Tables come and go (temporary ones do all the time), so only the full stamp counts them. Each number has
// its place in the stamp (trust in writes.h).
static const char stamp[] =
    "pg_catalog.concat_ws(',', (SELECT COALESCE(pg_catalog.max(c.oid), 0) FROM pg_catalog.pg_proc c), "
    "(SELECT COALESCE(pg_catalog.max(c.oid), 0) FROM pg_catalog.pg_trigger c), (SELECT "
    "COALESCE(pg_catalog.max(c.oid), 0) FROM pg_catalog.pg_rewrite c), (SELECT "
    "COALESCE(pg_catalog.max(c.oid), 0) FROM pg_catalog.pg_attrdef c), (SELECT "
    "COALESCE(pg_catalog.max(c.oid), 0) FROM pg_catalog.pg_constraint c), (SELECT "
    "COALESCE(pg_catalog.max(c.oid), 0) FROM pg_catalog.pg_policy c), (SELECT "
    "COALESCE(pg_catalog.max(c.oid), 0) FROM pg_catalog.pg_operator c), (SELECT "
    "COALESCE(pg_catalog.max(c.oid), 0) FROM pg_catalog.pg_cast c))";
static const char tables_stamp[] = "(SELECT pg_catalog.max(c.oid) FROM pg_catalog.pg_class c), ',', (SELECT "
                                   "pg_catalog.max(c.oid) FROM pg_catalog.pg_type c)";

const char *facts_stamp_expression(void) {
    return stamp;
}

static void put_full_stamp(struct buf *out) {
    buf_put_text(out, "pg_catalog.concat(");
    buf_put_text(out, stamp);
    buf_put_text(out, ", '|', ");
    buf_put_text(out, tables_stamp);
    buf_put_text(out, ")");
}

// The stamp does not show a change to an object that keeps its OID. So the names are asked for again after a
// while.
static bool may_be_stale(const struct facts *f, uint64_t now, uint64_t generation, uint64_t max_age) {
    return !facts_are_known(f, generation) || now - f->named > max_age;
}

bool facts_are_due(const struct facts *f, uint64_t now, uint64_t generation, bool again) {
    if (f->asking.on || now < f->next)
        return false;
    return !facts_are_known(f, generation) || (again && now - f->checked > FRESH);
}

bool facts_ask(struct facts *f, uint64_t now, uint64_t generation, uint64_t max_age, struct buf *out) {
    bound_write(out, true, VET_LOCK_TIMEOUT);
    buf_put_text(out, "; ");
    buf_put_text(out, vet_settings());
    buf_put_text(out, "; SELECT ");
    put_full_stamp(out);
    buf_put_text(out, "; ");
    buf_put_text(out, names_query);
    bool whole = may_be_stale(f, now, generation, max_age);
    if (!whole) {
        buf_put_text(out, " WHERE ");
        put_full_stamp(out);
        buf_put_text(out, " OPERATOR(pg_catalog.<>) '");
        buf_put_text(out, f->stamp); // digits and signs only, see take_stamp
        buf_put_text(out, "'");
    }
    if (out->failed)
        return false;
    f->asking.on = true;
    f->asking.whole = whole;
    f->asking.since = now;
    f->asking.generation = generation;
    f->asking.result = 0;
    f->asking.bad = false;
    f->asking.stamp[0] = 0;
    return true;
}

// ---- names

static void set_free(struct name_set *s) {
    free(s->names);
    *s = (struct name_set){0};
}

// Operators that a statement can use without writing them: IN, BETWEEN, LIKE, ORDER BY and others imply them.
static bool is_implicit(const char *name) {
    static const char *const operators[] = {"=", "<>",  "<",   ">",    "<=", ">=", "~~",
                                            "~", "!~~", "~~*", "!~~*", "!~", "~*", "!~*"};
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(name, operators[i]) == 0)
            return true;
    return type_is_built_in(name);
}

static bool set_grow(struct name_set *s) {
    unsigned room = s->room ? s->room * 2 : 64;
    uint64_t *grown = room <= FACTS_MAX_NAMES ? realloc(s->names, room * sizeof *grown) : NULL;
    if (!grown)
        return false;
    s->names = grown;
    s->room = room;
    return true;
}

static void set_add(struct name_set *s, struct slice name) {
    char text[64];
    if (!name.data) {
        s->foreign = true;
        return;
    }
    size_t len = name.len < sizeof text ? name.len : sizeof text - 1;
    memcpy(text, name.data, len);
    text[len] = 0;
    if (!len || is_implicit(text) || (s->n == s->room && !set_grow(s)))
        s->all = true;
    else
        s->names[s->n++] = write_table(name);
}

static int compare_digests(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_plain_ascii(const char *name) {
    while (*name >= ' ' && *name <= '~')
        name++;
    return !*name;
}

static bool set_has(const struct name_set *s, const char *name) {
    if (!is_plain_ascii(name))
        return s->foreign;
    uint64_t digest = write_table((struct slice){(const uint8_t *)name, strlen(name)});
    return s->n && bsearch(&digest, s->names, s->n, sizeof *s->names, compare_digests);
}

// ---- the answer

void facts_free(struct facts *f) {
    set_free(&f->set);
    set_free(&f->asking.set);
    *f = (struct facts){0};
}

static bool take_stamp(char *to, struct slice value) {
    if (!value.data || !value.len || value.len >= FACTS_MAX_STAMP)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if ((value.data[i] < '0' || value.data[i] > '9') && value.data[i] != ',' && value.data[i] != '|')
            return false;
    memcpy(to, value.data, value.len);
    to[value.len] = 0;
    return true;
}

enum { RESULT_BOUND, RESULT_SETTINGS, RESULT_STAMP, RESULT_NAMES, N_RESULTS };

void facts_row(struct facts *f, struct slice row) {
    struct slice value;
    if (f->asking.result < RESULT_STAMP)
        return;
    if (f->asking.result > RESULT_NAMES || !msg_row_column(row.data, row.len, 0, &value))
        f->asking.bad = true;
    else if (f->asking.result == RESULT_NAMES)
        set_add(&f->asking.set, value);
    else
        f->asking.bad |= !take_stamp(f->asking.stamp, value);
}

void facts_next(struct facts *f) {
    f->asking.result++;
}

static bool set_equals(const struct name_set *a, const struct name_set *b) {
    return a->all == b->all && a->foreign == b->foreign && a->n == b->n &&
           (!a->n || memcmp(a->names, b->names, a->n * sizeof *a->names) == 0);
}

static void take_names(struct facts *f) {
    if (f->asking.set.n)
        qsort(f->asking.set.names, f->asking.set.n, sizeof *f->asking.set.names, compare_digests);
    f->editions += f->named && !set_equals(&f->set, &f->asking.set);
    set_free(&f->set);
    f->set = f->asking.set;
    f->asking.set = (struct name_set){0};
    f->named = f->asking.since;
}

void facts_answered(struct facts *f, uint64_t now, bool ok) {
    ok = ok && !f->asking.bad && f->asking.result == N_RESULTS && *f->asking.stamp;
    uint64_t took = now > f->asking.since ? now - f->asking.since : 0;
    f->asking.on = false;
    f->next = now + (ok ? PAUSE + took * PAUSE_FACTOR : PAUSE_FAILED);
    if (ok && (f->asking.whole || strcmp(f->stamp, f->asking.stamp) != 0))
        take_names(f);
    set_free(&f->asking.set);
    f->known = ok;
    f->generation = f->asking.generation;
    f->checked = f->asking.since;
    memcpy(f->stamp, f->asking.stamp, sizeof f->stamp);
}

// The question is dropped. What was known before is as good as before.
void facts_lost(struct facts *f, uint64_t now) {
    f->asking.on = false;
    f->next = now + PAUSE_FAILED;
    set_free(&f->asking.set);
}

void facts_check_stamp(struct facts *f, struct slice value) {
    size_t len = strcspn(f->stamp, "|");
    if (f->known && !slice_is(value, f->stamp, len))
        f->known = false;
}

// ---- statements

bool facts_say_clean(const struct facts *f, uint64_t generation, const struct parsed *p) {
    const struct name_set *s = &f->set;
    bool dirty = !facts_are_known(f, generation) || s->all;
    for (int i = 0; i < p->n_relations && !dirty; i++)
        dirty = set_has(s, p->relations[i].name);
    for (int i = 0; i < p->n_columns && !dirty; i++)
        dirty = set_has(s, p->columns[i].name);
    for (int i = 0; i < p->n_functions && !dirty; i++)
        dirty = set_has(s, p->functions[i].name);
    for (int i = 0; i < p->n_operators && !dirty; i++)
        dirty = set_has(s, p->operators[i]);
    return !dirty;
}
