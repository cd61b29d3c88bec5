// SPDX-License-Identifier: PostgreSQL
#include "batching/report/advice.h"

#include <string.h>

#include "batching/report/wording.h"

enum kind { TO_MANY, TO_ONE, COUNT, APART, KINDS };

// P, p: the parent's model and its name; C, t: the child's model and its table; r: the relation; k: the child's key.
// APART: where the parent is not known.
static const struct {
    const char *tool, *of[KINDS];
} words[ADVICE_TOOLS] = {
    {"SQLAlchemy",
     {"selectinload({P}.{r})", "joinedload({P}.{r})",
      "select({P}, func.count({C}.{k})).outerjoin({P}.{r}).group_by({P})",
      "select({C}).where({C}.{k}.in_(keys))"}},
    {"Django",
     {"prefetch_related(\"{r}\")", "select_related(\"{r}\")", "annotate(Count(\"{r}\"))",
      "{C}.objects.filter({k}__in=keys)"}},
    {"Rails",
     {"includes(:{r})", "includes(:{r})", "{C}.where({k}: keys).group(:{k}).count", "{C}.where({k}: keys)"}},
    {"Eloquent", {"with('{r}')", "with('{r}')", "withCount('{r}')", "{C}::whereIn('{k}', $keys)"}},
    {"Hibernate",
     {"LEFT JOIN FETCH {p}.{r}", "LEFT JOIN FETCH {p}.{r}",
      "SELECT p, COUNT(c) FROM {P} p LEFT JOIN p.{r} c GROUP BY p", "FROM {C} c WHERE c.{k} IN (:keys)"}},
    {"TypeORM",
     {"relations: { {r}: true }", "relations: { {r}: true }",
      "loadRelationCountAndMap(\"{p}.n_{r}\", \"{p}.{r}\")", "where: { {k}: In(keys) }"}},
    {"Prisma",
     {"include: { {r}: true }", "include: { {r}: true }", "include: { _count: { select: { {r}: true } } }",
      "where: { {k}: { in: keys } }"}},
    {"DataLoader",
     {"new DataLoader(keys => SELECT … FROM {t} WHERE {k} = ANY (keys))",
      "new DataLoader(keys => SELECT … FROM {t} WHERE {k} = ANY (keys))",
      "new DataLoader(keys => SELECT {k}, count(*) FROM {t} WHERE {k} = ANY (keys) GROUP BY {k})",
      "new DataLoader(keys => SELECT … FROM {t} WHERE {k} = ANY (keys))"}},
    {"SQL",
     {"WHERE {k} = ANY ($1), or a join", "a join, or WHERE {k} = ANY ($1)",
      "SELECT {k}, count(*) … WHERE {k} = ANY ($1) GROUP BY {k}", "WHERE {k} = ANY ($1)"}},
};

const char *advice_tool(unsigned i) {
    return words[i].tool;
}

static enum kind kind_of(const struct loop *l) {
    bool parent = l->proven && *loop_text(l, LOOP_PARENT_TABLE) && l->direction != LOOP_UNKNOWN;
    if (!parent)
        return APART;
    return l->counts ? COUNT : l->direction == LOOP_TO_ONE ? TO_ONE : TO_MANY;
}

// The table that the rows are of.
static const char *rows_of(const struct loop *l) {
    const char *rows = loop_text(l, LOOP_ROWS_TABLE);
    return *rows ? rows : loop_text(l, LOOP_CHILD_TABLE);
}

static void first_line(const char *lines, char *out) {
    char line[WORDING_LONGEST];
    size_t n = strcspn(lines, "\n");
    n = n < sizeof line - 1 ? n : sizeof line - 1;
    memcpy(line, lines, n);
    line[n] = 0;
    wording_bare(line, out);
}

static void name_relation(const struct loop *l, char *out) {
    char column[WORDING_LONGEST];
    first_line(loop_text(l, LOOP_PARENT_COLUMNS), column);
    if (kind_of(l) != TO_ONE)
        wording_plural(rows_of(l), out);
    else if (!wording_relation(column, out))
        wording_singular(rows_of(l), out);
}

static void put_name(const struct loop *l, char what, struct buf *out) {
    char name[WORDING_LONGEST] = "";
    switch (what) {
    case 'P':
        wording_class(loop_text(l, LOOP_PARENT_TABLE), name);
        break;
    case 'p':
        wording_singular(loop_text(l, LOOP_PARENT_TABLE), name);
        break;
    case 'C':
        wording_class(rows_of(l), name);
        break;
    case 't':
        buf_put_text(out, loop_text(l, LOOP_CHILD_TABLE));
        return;
    case 'r':
        name_relation(l, name);
        break;
    default:
        first_line(loop_text(l, LOOP_CHILD_COLUMNS), name);
    }
    buf_put_text(out, *name ? name : "key");
}

void advice_write(const struct loop *l, unsigned i, struct buf *out) {
    for (const char *at = words[i].of[kind_of(l)]; *at; at++) {
        if (at[0] == '{' && at[1] && at[2] == '}') {
            put_name(l, at[1], out);
            at += 2;
        } else {
            buf_put_u8(out, (uint8_t)*at);
        }
    }
}

const char *advice_in_general(void) {
    return "Load the rows of all keys with the list: SQLAlchemy selectinload(), Django prefetch_related() or "
           "select_related(), Rails includes(), Eloquent with(), Hibernate JOIN FETCH, TypeORM relations, "
           "Prisma "
           "include, a DataLoader, or in SQL a join or WHERE … = ANY (…).";
}
