// SPDX-License-Identifier: PostgreSQL
#include "batching/report/loop.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/columns.h"
#include "batching/base/hash.h"
#include "batching/fold/group.h"
#include "batching/report/naming.h"
#include "batching/statement/redact.h"
#include "batching/statement/shape.h"

#define LONGEST 8192 // bytes of all texts

// ---- names

// The catalogue's name of the column that a part of the key is compared with; NULL: it has told none.
static const char *own_name(const struct loop_about *a, unsigned part) {
    const struct group *g = a->group;
    for (unsigned i = 0; g && i < g->n_links; i++)
        if (g->links[i].key == g->parts[part].key && g->links[i].rank == LINK_OWN)
            return naming_of_column(a->names, a->database, g->links[i].table, g->links[i].attribute);
    return NULL;
}

// The candidates that are the key, a mask.
static uint32_t keys_of(const struct loop_about *a) {
    uint32_t keys = a->group ? a->group->keys : a->child->keys;
    return keys || a->child->parsed->n_keys == 0 ? keys : 1;
}

static void put_relation(struct buf *out, const struct parsed *p, int i) {
    if (i < 0 || i >= p->n_relations)
        return;
    if (p->relations[i].schema) {
        buf_put_text(out, p->relations[i].schema);
        buf_put_text(out, ".");
    }
    buf_put_text(out, p->relations[i].name);
}

static void put_child_table(struct buf *out, const struct loop_about *a) {
    const struct parsed *p = a->child->parsed;
    const char *name = a->group && a->group->n_parts ? own_name(a, 0) : NULL;
    uint32_t keys = keys_of(a);
    if (name) {
        buf_put(out, name, naming_table_end(name));
        return;
    }
    for (int i = 0; i < p->n_keys && i < SHAPE_MAX_KEYS; i++)
        if (keys >> i & 1 && p->keys[i].relation >= 0) {
            put_relation(out, p, p->keys[i].relation);
            return;
        }
    put_relation(out, p, 0);
}

static void put_child_columns(struct buf *out, const struct loop_about *a) {
    const struct parsed *p = a->child->parsed;
    uint32_t keys = keys_of(a);
    size_t start = out->len;
    for (int i = 0; i < p->n_keys && i < SHAPE_MAX_KEYS; i++) {
        if (!(keys >> i & 1) || !p->keys[i].column)
            continue;
        buf_put_text(out, out->len > start ? "\n" : "");
        buf_put_text(out, p->keys[i].column);
    }
}

// The relation that a SELECT's rows are of, if they are not of the one that its key's column is in: the first that it
// names.
static void put_rows_table(struct buf *out, const struct loop_about *a) {
    const struct parsed *p = a->child->parsed;
    if (p->n_relations > 1)
        put_relation(out, p, 0);
}

static const char *parent_name(const struct loop_about *a, unsigned part) {
    const struct trail_column *c = &a->list->columns[a->columns[part]];
    return c->table ? naming_of_column(a->names, a->database, c->table, c->attribute) : NULL;
}

// The first part that the list supplies; -1: there is none.
static int first_part(const struct loop_about *a) {
    for (unsigned i = 0; a->list && i < a->group->n_parts; i++)
        if (a->columns[i] >= 0)
            return (int)i;
    return -1;
}

static void put_parent_table(struct buf *out, const struct loop_about *a) {
    int part = first_part(a);
    const struct trail_column *c = part >= 0 ? &a->list->columns[a->columns[part]] : NULL;
    const char *name = c ? naming_of_table(a->names, a->database, c->table) : NULL;
    if (name)
        buf_put(out, name, naming_table_end(name));
    else if (part >= 0 && a->list_shape)
        put_relation(out, a->list_shape->parsed, 0);
}

static void put_parent_columns(struct buf *out, const struct loop_about *a) {
    size_t start = out->len;
    for (unsigned i = 0; a->list && i < a->group->n_parts; i++) {
        const char *name = a->columns[i] >= 0 ? parent_name(a, i) : NULL;
        const char *label = a->columns[i] >= 0 && !name
                                ? naming_label(a->names, a->database, a->list, (unsigned)a->columns[i])
                                : NULL;
        if (!name && !label)
            continue;
        buf_put_text(out, out->len > start ? "\n" : "");
        buf_put_text(out, name ? name + naming_table_end(name) + 1 : label);
    }
}

static void put_statement(struct buf *out, const struct shape *s) {
    if (s)
        redact_text(s->text, s->text_len, LOOP_STATEMENT, out);
}

static void put_text(struct buf *out, const struct loop_about *a, enum loop_text t) {
    switch (t) {
    case LOOP_DATABASE:
        buf_put(out, a->database_name.data, a->database_name.len);
        break;
    case LOOP_APPLICATION:
        buf_put(out, a->application.data, a->application.len);
        break;
    case LOOP_PARENT_TABLE:
        put_parent_table(out, a);
        break;
    case LOOP_PARENT_COLUMNS:
        put_parent_columns(out, a);
        break;
    case LOOP_PARENT_STATEMENT:
        put_statement(out, a->list ? a->list_shape : NULL);
        break;
    case LOOP_CHILD_TABLE:
        put_child_table(out, a);
        break;
    case LOOP_CHILD_COLUMNS:
        put_child_columns(out, a);
        break;
    case LOOP_CHILD_STATEMENT:
        put_statement(out, a->child);
        break;
    case LOOP_ROWS_TABLE:
        put_rows_table(out, a);
        break;
    case LOOP_TEXTS:
        break;
    }
}

// ---- what it is

// Whose key is unique has one row for each. What has a foreign key has many for each row that this names; and what is
// named by one of the list's has one.
static enum loop_direction direction_of(const struct group *g) {
    bool linked = false;
    if (!g || !g->n_parts)
        return LOOP_UNKNOWN;
    if (g->key_unique)
        return LOOP_TO_ONE;
    for (unsigned i = 0; i < g->n_links; i++) {
        if (g->links[i].key == g->parts[0].key && g->links[i].rank == LINK_REFERENCED)
            return LOOP_TO_MANY;
        linked |= g->links[i].key == g->parts[0].key && g->links[i].rank == LINK_OTHER;
    }
    if (linked)
        return LOOP_TO_ONE;
    bool simple = g->n_parts == 1 && g->shape->parsed->n_relations == 1 && g->n_links;
    return simple ? LOOP_TO_MANY : LOOP_UNKNOWN;
}

static bool counts_rows(const struct parsed *p) {
    for (int i = 0; i < p->n_functions; i++)
        if (strcmp(p->functions[i].name, "count") == 0)
            return true;
    return false;
}

static uint64_t id_of(const struct loop *l) {
    static const enum loop_text named[] = {LOOP_DATABASE, LOOP_PARENT_TABLE, LOOP_PARENT_COLUMNS,
                                           LOOP_CHILD_STATEMENT};
    uint64_t id = l->proven;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        id = XXH3_64bits_withSeed(loop_text(l, named[i]), strlen(loop_text(l, named[i])), id);
    return id;
}

bool loop_make(struct loop *l, const struct loop_about *a) {
    struct buf texts = buf_make(LONGEST);
    *l = (struct loop){.key = a->key,
                       .proven = a->list != NULL,
                       .counts = counts_rows(a->child->parsed),
                       .vetted = a->group && !a->group->assumed,
                       .direction = direction_of(a->group)};
    for (unsigned t = 0; t < LOOP_TEXTS; t++) {
        l->text_at[t] = (uint32_t)texts.len;
        put_text(&texts, a, (enum loop_text)t);
        buf_put_u8(&texts, 0);
    }
    if (texts.failed) {
        buf_free(&texts);
        return false;
    }
    l->texts = (char *)texts.data;
    l->text_len = texts.cap;
    l->id = id_of(l);
    return true;
}

void loop_free(struct loop *l) {
    free(l->texts);
    l->texts = NULL;
}

size_t loop_bytes(const struct loop *l) {
    return l->text_len + MEMORY_BLOCK;
}

const char *loop_direction_name(enum loop_direction d) {
    return d == LOOP_TO_ONE ? "to-one" : d == LOOP_TO_MANY ? "to-many" : "unknown";
}
