// SPDX-License-Identifier: PostgreSQL
//
// Everything that a struct parsed points to lies in its builder's chunks and is freed with them. All lists
// share one index to find an entry, so a text of many names costs no more than its length.
#include "batching/statement/parsed.h"

#include <stdlib.h>
#include <string.h>

#include "batching/base/hash.h"
#include "batching/base/memory.h"
#include "batching/statement/parse.h"

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

#define CHUNK_SIZE 2000

enum list { RELATIONS, COLUMNS, FUNCTIONS, OPERATORS, LABELS, SOURCES };

// An entry of a list: its number there, and the hash of its content. All zero: none.
struct entry {
    uint32_t hash;
    uint8_t list, used;
    uint16_t at;
};

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
    free(b->index);
    free(b->uses);
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

// Makes room for one entry behind n. The old array stays in its chunk: doubling wastes no more than the
// array.
static void *grow_list(struct builder *b, void *list, int n, int *room, size_t size, int max) {
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

#define GROW(b, list, max)                                                                                   \
    grow_list(b, (b)->p.list, (b)->p.n_##list, &(b)->room_##list, sizeof *(b)->p.list, max)

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

// ---- lists without repetition

#define FIRST_INDEX 64 // a power of two

static uint32_t hash_of(enum list list, const char *const *said) {
    uint64_t h = list;
    for (int i = 0; i < 3; i++)
        h = XXH3_64bits_withSeed(said[i] ? said[i] : "", said[i] ? strlen(said[i]) : 0, h);
    return (uint32_t)h;
}

static bool says(const struct builder *b, const struct entry *e, const char *const *said) {
    const struct parsed_relation *r = e->list == RELATIONS ? &b->p.relations[e->at] : NULL;
    switch ((enum list)e->list) {
    case RELATIONS:
        return same(r->name, said[0]) && same(r->schema, said[1]) && same(r->alias, said[2]);
    case COLUMNS:
        return same(b->p.columns[e->at].name, said[0]) && same(b->p.columns[e->at].qualifier, said[1]);
    case FUNCTIONS:
        return same(b->p.functions[e->at].name, said[0]) && same(b->p.functions[e->at].schema, said[1]);
    case OPERATORS:
        return same(b->p.operators[e->at], said[0]);
    case LABELS:
        return same(b->p.labels[e->at], said[0]);
    default:
        return same(b->sources[e->at], said[0]);
    }
}

// The place of the entry, or a free one. There always is one.
static struct entry *index_place(const struct builder *b, uint32_t hash, enum list list,
                                 const char *const *said) {
    for (uint32_t i = hash;; i++) {
        struct entry *e = &b->index[i & (b->room_index - 1)];
        if (!e->used || (said && e->hash == hash && e->list == list && says(b, e, said)))
            return e;
    }
}

static bool grow_index(struct builder *b) {
    struct entry *old = b->index;
    uint32_t n = b->room_index;
    if (2 * (b->n_indexed + 1) <= n)
        return true;
    struct entry *grown = calloc(n ? 2 * (size_t)n : FIRST_INDEX, sizeof *grown);
    if (!grown) {
        b->no_memory = true;
        return false;
    }
    b->index = grown;
    b->room_index = n ? 2 * n : FIRST_INDEX;
    for (uint32_t i = 0; i < n; i++)
        if (old[i].used)
            *index_place(b, old[i].hash, (enum list)old[i].list, NULL) = old[i];
    free(old);
    return true;
}

// The number of the entry with this content. -1: it is new and becomes number `next`, if the list has room.
static int find_or_add(struct builder *b, enum list list, int next, const char *s1, const char *s2,
                       const char *s3) {
    const char *said[] = {s1, s2, s3};
    if (b->no_memory || !grow_index(b)) // a list may lack what the index has
        return -1;
    uint32_t hash = hash_of(list, said);
    struct entry *e = index_place(b, hash, list, said);
    if (e->used)
        return e->at;
    if (next < PARSED_MAX_NAMES) {
        *e = (struct entry){hash, (uint8_t)list, true, (uint16_t)next};
        b->n_indexed++;
    }
    return -1;
}

void builder_relation(struct builder *b, const char *schema, const char *name, const char *alias) {
    if (find_or_add(b, RELATIONS, b->p.n_relations, name, schema, alias) >= 0)
        return;
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
    int at = find_or_add(b, COLUMNS, b->p.n_columns, name, qualifier, NULL);
    if (at >= 0) {
        b->p.columns[at].bare &= bare;
        return;
    }
    struct parsed_column *list = GROW(b, columns, PARSED_MAX_NAMES);
    if (!list)
        return;
    b->p.columns = list;
    list[b->p.n_columns++] = (struct parsed_column){text_or_null(b, qualifier), builder_text(b, name), bare};
}

void builder_function(struct builder *b, const char *schema, const char *name) {
    if (find_or_add(b, FUNCTIONS, b->p.n_functions, name, schema, NULL) >= 0)
        return;
    struct parsed_function *list = GROW(b, functions, PARSED_MAX_NAMES);
    if (!list)
        return;
    b->p.functions = list;
    list[b->p.n_functions++] =
        (struct parsed_function){.schema = text_or_null(b, schema), .name = builder_text(b, name)};
}

// Adds one text to a list without repetition. Returns the list, which may have moved.
static char **add_text(struct builder *b, enum list which, char **list, int *n, int *room, const char *text) {
    if (find_or_add(b, which, *n, text, NULL, NULL) >= 0)
        return list;
    char **grown = grow_list(b, list, *n, room, sizeof *list, PARSED_MAX_NAMES);
    if (!grown)
        return list;
    grown[(*n)++] = builder_text(b, text);
    return grown;
}

void builder_operator(struct builder *b, const char *name) {
    b->p.n_operator_uses++;
    b->p.operators = add_text(b, OPERATORS, b->p.operators, &b->p.n_operators, &b->room_operators, name);
}

void builder_label(struct builder *b, const char *name) {
    b->p.labels = add_text(b, LABELS, b->p.labels, &b->p.n_labels, &b->room_labels, name);
}

void builder_source(struct builder *b, const char *name) {
    b->sources = add_text(b, SOURCES, b->sources, &b->n_sources, &b->room_sources, name);
}

// ---- the end

void builder_param(struct builder *b, int n) {
    if (n < 1 || n > PARSED_MAX_PARAM) {
        b->overflow = true;
        return;
    }
    if (n >= b->room_uses) {
        int room = n * 2 > 16 ? n * 2 : 16;
        int *uses = calloc((size_t)room, sizeof *uses);
        if (!uses) {
            b->no_memory = true;
            return;
        }
        if (b->room_uses)
            memcpy(uses, b->uses, (size_t)b->room_uses * sizeof *uses);
        free(b->uses);
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
    free(b->index);
    free(b->uses);
    b->index = NULL;
    b->uses = NULL;
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
