// SPDX-License-Identifier: PostgreSQL
#include "batching/report/naming.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/columns.h"
#include "batching/base/hash.h"
#include "batching/trust/vet.h"

struct name {
    uint64_t key;
    size_t len;
    char text[];
};

static uint64_t key_of_column(uint64_t database, uint32_t table, uint16_t attribute) {
    uint64_t place[3] = {database, table, attribute};
    return XXH3_64bits(place, sizeof place);
}

static uint64_t key_of_label(uint64_t database, uint64_t source, uint16_t at) {
    uint64_t place[4] = {database, source, at, 1};
    return XXH3_64bits(place, sizeof place);
}

static void forget(struct naming *n, struct name **at) {
    if (*at)
        account_set(n->memory, &n->weighs, n->weighs - (sizeof **at + (*at)->len + 1 + MEMORY_BLOCK));
    free(*at);
    *at = NULL;
}

static void put(struct naming *n, uint64_t key, struct slice text) {
    struct name **at = &n->of[key % NAMING];
    if (!text.len || text.len > NAMING_LONGEST ||
        (*at && (*at)->key == key && (*at)->len == text.len && memcmp((*at)->text, text.data, text.len) == 0))
        return;
    forget(n, at);
    *at = malloc(sizeof **at + text.len + 1);
    if (!*at)
        return;
    **at = (struct name){key, text.len};
    memcpy((*at)->text, text.data, text.len);
    (*at)->text[text.len] = 0;
    account_set(n->memory, &n->weighs, n->weighs + sizeof **at + text.len + 1 + MEMORY_BLOCK);
}

static const char *get(const struct naming *n, uint64_t key) {
    const struct name *at = n->of[key % NAMING];
    return at && at->key == key ? at->text : NULL;
}

void naming_finish(struct naming *n) {
    for (unsigned i = 0; i < NAMING; i++)
        forget(n, &n->of[i]);
    memset(n->seen, 0, sizeof n->seen);
}

void naming_of_links(struct naming *n, uint64_t database, const struct vet_result *r) {
    const char *at = r->names;
    for (unsigned i = 0; at && i < r->n_links; i++) {
        const char *end = strchr(at, '\n');
        size_t len = end ? (size_t)(end - at) : strlen(at);
        put(n, key_of_column(database, r->links[i].table, r->links[i].attribute),
            (struct slice){(const uint8_t *)at, len});
        at = end ? end + 1 : NULL;
    }
}

#define FIELD 18 // bytes of a field's description behind its name

void naming_of_result(struct naming *n, uint64_t database, const struct trail_columns *c, const uint8_t *body,
                      size_t len) {
    uint64_t result = c->source ^ database, *seen = &n->seen[result % NAMING_SEEN];
    size_t at = 2;
    if (*seen == result)
        return;
    *seen = result;
    for (unsigned i = 0, kept = 0; i < c->n_row && kept < c->n; i++) {
        const uint8_t *end = at < len ? memchr(body + at, 0, len - at) : NULL;
        if (!end)
            return;
        if (c->columns[kept].at == i) {
            put(n, key_of_label(database, c->source, (uint16_t)i),
                (struct slice){body + at, (size_t)(end - body) - at});
            kept++;
        }
        at = (size_t)(end - body) + 1 + FIELD;
    }
}

const char *naming_of_column(const struct naming *n, uint64_t database, uint32_t table, uint16_t attribute) {
    return get(n, key_of_column(database, table, attribute));
}

#define COLUMNS 32 // that are looked for

const char *naming_of_table(const struct naming *n, uint64_t database, uint32_t table) {
    const char *found = NULL;
    for (uint16_t i = 1; table && !found && i <= COLUMNS; i++)
        found = naming_of_column(n, database, table, i);
    return found;
}

const char *naming_label(const struct naming *n, uint64_t database, const struct trail_columns *c,
                         unsigned column) {
    return get(n, key_of_label(database, c->source, c->columns[column].at));
}

size_t naming_table_end(const char *name) {
    size_t end = 0;
    bool quoted = false;
    for (size_t i = 0; name[i]; i++) {
        quoted ^= name[i] == '"';
        if (name[i] == '.' && !quoted)
            end = i;
    }
    return end;
}
