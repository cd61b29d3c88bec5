// SPDX-License-Identifier: PostgreSQL
//
// A hash table in order of insertion: the first is the oldest.
#include "batching/trust/finding.h"

#include <stdlib.h>
#include <string.h>

#include "batching/trust/vet.h"

void finding_table_init(struct finding_table *t, unsigned max) {
    *t = (struct finding_table){.max = max};
}

static void remove_finding(struct finding_table *t, struct finding *f) {
    HASH_DEL(t->table, f);
    t->n--;
    account_set(t->memory, &f->weighs, 0);
    vetting_destroy(f->vetting);
    shape_unref(f->shape);
    free(f);
}

void finding_table_finish(struct finding_table *t) {
    while (t->table)
        remove_finding(t, t->table);
}

const struct finding *finding_get(const struct finding_table *t, struct slice key) {
    struct finding *f;
    HASH_FIND(hh, t->table, key.data, key.len, f);
    return f;
}

static bool add_finding(struct finding_table *t, struct finding *f) {
    HASH_ADD_KEYPTR(hh, t->table, f->key, f->key_len, f);
    t->n += f->hh.tbl != NULL;
    return f->hh.tbl;
}

static bool lacks_bytes(const struct finding_table *t) {
    return t->memory && (account_is_full(t->memory, 0) || account_is_short(t->memory, 0));
}

static void weigh(struct finding_table *t, struct finding *f) {
    account_set(t->memory, &f->weighs, sizeof *f + f->key_len + MEMORY_BLOCK + vetting_bytes(f->vetting));
}

// Makes an empty finding in place of an older one with this key. Returns NULL when memory is out.
static struct finding *make_finding(struct finding_table *t, struct slice key, uint64_t vetted_at,
                                    uint64_t generation) {
    struct finding *f;
    HASH_FIND(hh, t->table, key.data, key.len, f);
    if (f)
        remove_finding(t, f);
    while (t->n && (t->n >= t->max || lacks_bytes(t)))
        remove_finding(t, t->table);
    f = calloc(1, sizeof *f + key.len);
    if (!f)
        return NULL;
    memcpy(f->key, key.data, key.len);
    f->key_len = key.len;
    f->vetted_at = vetted_at;
    f->generation = generation;
    if (add_finding(t, f))
        return f;
    free(f);
    return NULL;
}

void finding_put(struct finding_table *t, struct slice key, struct shape *shape, struct vetting *v,
                 uint64_t vetted_at, uint64_t generation) {
    struct finding *f = make_finding(t, key, vetted_at, generation);
    if (!f) {
        vetting_destroy(v);
        return;
    }
    f->vetting = v;
    f->shape = shape_ref(shape);
    weigh(t, f);
}

void finding_put_read(struct finding_table *t, struct slice key, bool plain, bool bare, uint64_t vetted_at,
                      uint64_t generation) {
    struct finding *f = make_finding(t, key, vetted_at, generation);
    if (!f)
        return;
    f->plain = plain;
    f->bare = bare;
    weigh(t, f);
}
