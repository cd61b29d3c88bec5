// SPDX-License-Identifier: PostgreSQL
//
// Everything a struct parsed points to lies in its builder's chunks and is given back with them. Lists are
// searched one entry after the other: their ceiling keeps the worst text at about a million comparisons.
#include "batching/parsed.h"

#include <stdlib.h>
#include <string.h>

#include "batching/memory.h"

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

#define CHUNK_SIZE 2000

static const struct parsed no_memory = {.kind = STATEMENT_OTHER, .reason = REASON_MEMORY};

struct parsed *parsed_no_memory(void) {
    return (struct parsed *)&no_memory;
}

struct builder *builder_create(void) {
    struct builder *b = calloc(1, sizeof *b);
    if (b)
        b->p = (struct parsed){.kind = STATEMENT_OTHER, .reason = REASON_NOT_SELECT};
    return b;
}

void builder_destroy(struct builder *b) {
    for (struct chunk *c = b->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(b);
}

void parsed_destroy(struct parsed *p) {
    if (p && p != &no_memory)
        builder_destroy((struct builder *)p);
}

size_t parsed_bytes(const struct parsed *p) {
    if (!p || p == &no_memory)
        return 0;
    const struct builder *b = (const struct builder *)p;
    size_t bytes = sizeof *b + MEMORY_BLOCK;
    for (const struct chunk *c = b->chunks; c; c = c->next)
        bytes += sizeof *c + c->size + MEMORY_BLOCK;
    return bytes;
}

static bool add_chunk(struct builder *b, size_t size) {
    struct chunk *c = malloc(sizeof *c + size);
    if (!c) {
        b->no_memory = true;
        return false;
    }
    c->next = b->chunks;
    c->used = 0;
    c->size = size;
    b->chunks = c;
    return true;
}

void *builder_alloc(struct builder *b, size_t size) {
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!b->chunks || b->chunks->size - b->chunks->used < size)
        if (!add_chunk(b, size > CHUNK_SIZE ? size : CHUNK_SIZE))
            return NULL;
    void *at = b->chunks->bytes + b->chunks->used;
    b->chunks->used += size;
    return memset(at, 0, size);
}

char *builder_text(struct builder *b, const char *s) {
    size_t len = strlen(s) + 1;
    char *copy = builder_alloc(b, len);
    return copy ? memcpy(copy, s, len) : NULL;
}

static char *text_or_null(struct builder *b, const char *s) {
    return s && *s ? builder_text(b, s) : NULL;
}

static bool same(const char *stored, const char *s) {
    return strcmp(stored ? stored : "", s ? s : "") == 0;
}

// Room for one entry more behind n. The old array stays in its chunk: doubling wastes no more than the array.
static void *grow(struct builder *b, void *list, int n, int *room, size_t size, int max) {
    if (n < *room)
        return list;
    if (n >= max) {
        b->overflow = true;
        return NULL;
    }
    int wanted = n ? n * 2 : 4;
    if (wanted > max)
        wanted = max;
    void *grown = builder_alloc(b, (size_t)wanted * size);
    if (!grown)
        return NULL;
    if (n)
        memcpy(grown, list, (size_t)n * size);
    *room = wanted;
    return grown;
}

#define GROW(b, list, max) grow(b, (b)->p.list, (b)->p.n_##list, &(b)->room_##list, sizeof *(b)->p.list, max)

static void fold_case(char *s) {
    for (; s && *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s + ('a' - 'A'));
}

void builder_setting(struct builder *b, const char *name, const char *value) {
    struct parsed_setting *list = GROW(b, settings, PARSED_MAX_NAMES);
    if (!list)
        return;
    b->p.settings = list;
    struct parsed_setting *s = &list[b->p.n_settings++];
    s->name = builder_text(b, name);
    s->value = value ? builder_text(b, value) : NULL;
    fold_case(s->name);
}

void builder_relation(struct builder *b, const char *schema, const char *name, const char *alias) {
    for (int i = 0; i < b->p.n_relations; i++) {
        const struct parsed_relation *r = &b->p.relations[i];
        if (same(r->schema, schema) && same(r->name, name) && same(r->alias, alias))
            return;
    }
    struct parsed_relation *list = GROW(b, relations, PARSED_MAX_NAMES);
    if (!list)
        return;
    b->p.relations = list;
    list[b->p.n_relations++] = (struct parsed_relation){
        .schema = text_or_null(b, schema), .name = builder_text(b, name), .alias = text_or_null(b, alias)};
}

void builder_cte(struct builder *b, const char *name) {
    for (int i = 0; i < b->p.n_relations; i++) {
        struct parsed_relation *r = &b->p.relations[i];
        if (!r->schema && same(r->name, name))
            r->maybe_cte = true;
    }
}

void builder_column(struct builder *b, const char *qualifier, const char *name, bool bare) {
    for (int i = 0; i < b->p.n_columns; i++)
        if (same(b->p.columns[i].name, name) && same(b->p.columns[i].qualifier, qualifier)) {
            b->p.columns[i].bare &= bare;
            return;
        }
    struct parsed_column *list = GROW(b, columns, PARSED_MAX_NAMES);
    if (!list)
        return;
    b->p.columns = list;
    list[b->p.n_columns++] = (struct parsed_column){text_or_null(b, qualifier), builder_text(b, name), bare};
}

void builder_function(struct builder *b, const char *schema, const char *name) {
    for (int i = 0; i < b->p.n_functions; i++)
        if (same(b->p.functions[i].name, name) && same(b->p.functions[i].schema, schema))
            return;
    struct parsed_function *list = GROW(b, functions, PARSED_MAX_NAMES);
    if (!list)
        return;
    b->p.functions = list;
    list[b->p.n_functions++] =
        (struct parsed_function){.schema = text_or_null(b, schema), .name = builder_text(b, name)};
}

// One more text in a list without repetition; the list where it now is.
static char **add_text(struct builder *b, char **list, int *n, int *room, const char *text) {
    for (int i = 0; i < *n; i++)
        if (same(list[i], text))
            return list;
    char **grown = grow(b, list, *n, room, sizeof *list, PARSED_MAX_NAMES);
    if (!grown)
        return list;
    grown[(*n)++] = builder_text(b, text);
    return grown;
}

void builder_operator(struct builder *b, const char *name) {
    b->p.operators = add_text(b, b->p.operators, &b->p.n_operators, &b->room_operators, name);
}

void builder_label(struct builder *b, const char *name) {
    b->p.labels = add_text(b, b->p.labels, &b->p.n_labels, &b->room_labels, name);
}

void builder_source(struct builder *b, const char *name) {
    b->sources = add_text(b, b->sources, &b->n_sources, &b->room_sources, name);
}

void builder_param(struct builder *b, int n) {
    if (n < 1 || n > PARSED_MAX_PARAM) {
        b->overflow = true;
        return;
    }
    if (n >= b->room_uses) {
        int room = n * 2 > 16 ? n * 2 : 16;
        int *uses = builder_alloc(b, (size_t)room * sizeof *uses);
        if (!uses)
            return;
        if (b->room_uses)
            memcpy(uses, b->uses, (size_t)b->room_uses * sizeof *uses);
        b->uses = uses;
        b->room_uses = room;
    }
    b->uses[n]++;
    if (n > b->p.n_params)
        b->p.n_params = n;
}

struct parsed_key *builder_key(struct builder *b) {
    if (b->p.n_keys == PARSED_MAX_KEYS)
        return NULL; // candidates only: the others will do
    struct parsed_key *list = GROW(b, keys, PARSED_MAX_KEYS);
    if (!list)
        return NULL;
    b->p.keys = list;
    return &list[b->p.n_keys++];
}

struct parsed *builder_finish(struct builder *b) {
    if (b->no_memory) {
        builder_destroy(b);
        return parsed_no_memory();
    }
    if (b->overflow) {
        b->p.kind = STATEMENT_OTHER;
        b->p.reason = REASON_CONSTRUCT;
        b->p.n_keys = b->p.n_settings = 0;
    }
    return &b->p;
}
