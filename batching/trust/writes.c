// SPDX-License-Identifier: PostgreSQL
//
// The table of databases, the log of their writes, and what a statement may write to.
#include "batching/trust/writes.h"

#include <stdlib.h>
#include <string.h>

#include "batching/statement/functions.h"
#include "batching/statement/parse.h"
#include "batching/trust/facts.h"
#include "batching/trust/write_set.h"
#include "protocol/message.h"

// ---- databases

#define DATABASE_BYTES 63 // PostgreSQL cuts the names of a start-up packet to this length

// The protocol says: "If the database name is not specified, it defaults to the user name". An empty name
// does, too.
static struct slice database_name(struct slice params) {
    struct slice user = {0}, database = {0};
    const uint8_t *at = params.data, *end = at ? at + params.len : NULL;
    while (at < end && *at) {
        const uint8_t *zero = memchr(at, 0, (size_t)(end - at));
        const uint8_t *value = zero ? zero + 1 : end;
        const uint8_t *value_end = value < end ? memchr(value, 0, (size_t)(end - value)) : NULL;
        if (!value_end)
            break;
        struct slice name = {at, (size_t)(zero - at)};
        if (slice_is(name, "user", 4))
            user = (struct slice){value, (size_t)(value_end - value)};
        else if (slice_is(name, "database", 8))
            database = (struct slice){value, (size_t)(value_end - value)};
        at = value_end + 1;
    }
    struct slice name = database.len ? database : user;
    name.len = name.len < DATABASE_BYTES ? name.len : DATABASE_BYTES;
    return name;
}

struct database *database_for(struct database **table, struct slice startup_params) {
    struct slice name = database_name(startup_params);
    struct database *d;
    HASH_FIND(hh, *table, name.data, name.len, d);
    if (d) {
        d->refs++;
        return d;
    }
    d = calloc(1, sizeof *d + name.len);
    if (!d)
        return NULL;
    d->refs = 1;
    d->len = name.len;
    if (name.len)
        memcpy(d->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, *table, d->name, d->len, d);
    if (!d->hh.tbl) {
        free(d);
        return NULL;
    }
    return d;
}

void database_unref(struct database **table, struct database *d) {
    if (!d || --d->refs)
        return;
    HASH_DEL(*table, d);
    facts_free(&d->facts);
    free(d);
}

void database_note(struct database *d, uint64_t table) {
    d->last[d->seq++ % WRITES_LOG] = table;
}

bool database_has_changed(const struct database *d, uint64_t seq, const struct write_set *set) {
    if (d->seq == seq)
        return false;
    if (set->all || d->seq - seq > WRITES_LOG)
        return true;
    for (uint64_t at = seq; at != d->seq; at++)
        if (write_set_contains(set, d->last[at % WRITES_LOG]))
            return true;
    return false;
}

// ---- statements

// Sorted. Functions that a write may call besides those that a read may call. They change sequences, or
// nothing.
static const char *const other_functions[] = {
    "array_append",     "array_cat",
    "array_prepend",    "array_remove",
    "clock_timestamp",  "currval",
    "encode",           "gen_random_uuid",
    "jsonb_set",        "lastval",
    "nextval",          "random",
    "setval",           "statement_timestamp",
    "to_tsvector",      "transaction_timestamp",
    "uuid_generate_v4",
};

static int compare_names(const void *a, const void *b) {
    return strcmp(a, *(const char *const *)b);
}

static bool is_other_function(const struct parsed_function *f) {
    return bsearch(f->name, other_functions, sizeof other_functions / sizeof *other_functions,
                   sizeof *other_functions, compare_names);
}

// Such a function of the server runs a text, and may be written like a column of it.
static bool is_attribute_notation(const struct parsed *p) {
    for (int i = 0; i < p->n_columns; i++)
        if (strcmp(p->columns[i].name, "ts_stat") == 0)
            return true;
    return false;
}

bool writes_named_tables_only(const struct parsed *p) {
    if (is_attribute_notation(p))
        return false;
    for (int i = 0; i < p->n_functions; i++)
        if (!function_is_plain(&p->functions[i]) && !is_other_function(&p->functions[i]))
            return false;
    return true;
}

// Sessions in other encodings may see the other bytes of a name differently. The catalogue is asked for plain
// names only.
static bool is_plain_name(const char *name) {
    while (*name >= ' ' && *name <= '~')
        name++;
    return !*name;
}

bool writes_tell_tables(const struct parsed *p) {
    if (!p || p->kind != STATEMENT_WRITE || !p->n_relations || p->n_relations > WRITES_PENDING ||
        p->foreign_types) // the check of a domain may do anything
        return false;
    for (int i = 0; i < p->n_relations; i++)
        if (!is_plain_name(p->relations[i].name))
            return false;
    return writes_named_tables_only(p);
}

static void add_pending(struct pending_writes *w, uint64_t table) {
    for (unsigned i = 0; i < w->n; i++)
        if (w->tables[i] == table)
            return;
    if (table == WRITES_ALL || w->n == WRITES_PENDING)
        w->all = true;
    else if (!w->all)
        w->tables[w->n++] = table;
}

static void sent_to(struct database *d, struct pending_writes *w, uint64_t table) {
    database_note(d, table);
    add_pending(w, table);
}

void writes_sent(struct database *d, struct pending_writes *w, const struct parsed *p) {
    if (!writes_tell_tables(p)) {
        sent_to(d, w, WRITES_ALL);
        return;
    }
    for (int i = 0; i < p->n_relations; i++) {
        const char *name = p->relations[i].name;
        sent_to(d, w, write_table((struct slice){(const uint8_t *)name, strlen(name)}));
    }
}

void writes_returned(struct database *d, const struct pending_writes *w) {
    if (w->all)
        database_note(d, WRITES_ALL);
    for (unsigned i = 0; i < w->n && !w->all; i++)
        database_note(d, w->tables[i]);
}

void writes_ended(struct database *d, struct pending_writes *w) {
    writes_returned(d, w);
    *w = (struct pending_writes){0};
}
