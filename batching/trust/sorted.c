// SPDX-License-Identifier: PostgreSQL
#include "batching/trust/sorted.h"

#include <stdio.h>

#include "batching/statement/quote.h"

bool sorted_matters(const struct parsed *p, uint32_t keys) {
    bool matters = false;
    for (int i = 0; i < p->n_keys; i++)
        matters |= keys >> i & 1 && p->keys[i].ordered;
    return matters;
}

// The columns that have one value in all rows.
static int fixed_columns(const struct parsed *p, uint32_t fixed, const char **names) {
    int n = 0;
    for (int i = 0; i < p->n_keys && i < SHAPE_MAX_KEYS; i++) {
        const struct parsed_key *k = &p->keys[i];
        if (fixed >> i & 1 && k->top && k->column && !k->array && !k->range && !k->nullable)
            names[n++] = k->column;
    }
    return n;
}

// 20, 21, 23, 2950: int8, int2, int4, uuid. An operator class that is not the default one, or another collation,
// may tell more rows apart than ORDER BY.
bool sorted_question(const struct parsed *p, uint32_t keys, uint32_t fixed, struct buf *out) {
    const char *names[SHAPE_MAX_KEYS], *sort[PARSED_MAX_SORT];
    if (!sorted_matters(p, keys) || p->n_relations != 1) {
        buf_put_text(out, ", NULL");
        return true;
    }
    for (int i = 0; i < p->n_sort; i++)
        sort[i] = p->sort[i];
    buf_put_text(out,
                 ", (SELECT pg_catalog.concat(i.indexrelid, ':', i.xmin) FROM pg_catalog.pg_index i JOIN "
                 "pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indrelid WHERE c.oid "
                 "OPERATOR(pg_catalog.=) pg_catalog.to_regclass(");
    if (!quote_relation(out, &p->relations[0]))
        return false;
    buf_put_text(
        out,
        ") AND (c.relkind OPERATOR(pg_catalog.=) 'p' OR NOT c.relhassubclass) AND i.indisunique AND "
        "i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS (SELECT "
        "1 FROM ROWS FROM (pg_catalog.unnest(i.indkey::pg_catalog.int2[]), "
        "pg_catalog.unnest(i.indcollation::pg_catalog.oid[]), "
        "pg_catalog.unnest(i.indclass::pg_catalog.oid[])) WITH ORDINALITY AS k(num, coll, opc, n) "
        "JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum "
        "OPERATOR(pg_catalog.=) k.num JOIN pg_catalog.pg_opclass o ON o.oid OPERATOR(pg_catalog.=) k.opc "
        "WHERE k.n OPERATOR(pg_catalog.<=) i.indnkeyatts AND NOT (o.opcdefault AND k.coll "
        "OPERATOR(pg_catalog.=) a.attcollation AND (a.attnotnull AND a.attname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, sort, p->n_sort, quote_next_text))
        return false;
    buf_put_text(out, ") OR a.atttypid OPERATOR(pg_catalog.=) ANY ('{20,21,23,2950}'::pg_catalog.oid[]) AND "
                      "a.attname OPERATOR(pg_catalog.=) ANY (");
    if (!quote_names(out, names, fixed_columns(p, fixed, names), quote_next_text))
        return false;
    buf_put_text(out, ")))) ORDER BY i.indexrelid LIMIT 1)");
    return true;
}

void sorted_check(uint32_t index, struct buf *out) {
    char number[16];
    snprintf(number, sizeof number, "%lu", (unsigned long)index);
    buf_put_text(out,
                 ", (SELECT i.xmin FROM pg_catalog.pg_index i WHERE i.indexrelid OPERATOR(pg_catalog.=) ");
    buf_put_text(out, number);
    buf_put_text(out, ")");
}
