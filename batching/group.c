// SPDX-License-Identifier: PostgreSQL
#include "batching/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/write.h"

void group_table_init(struct group_table *t, unsigned max) {
    *t = (struct group_table){.max = max, .scratch = buf_make(1 << 17)};
}

static void group_free(struct group *g, struct identity_table *identities) {
    shape_unref(g->shape);
    identity_unref(identities, g->identity);
    buf_free(&g->text);
    buf_free(&g->row_description);
    free(g->cache_key);
    free(g->formats);
    free(g->values);
    free(g);
}

static void list_remove(struct group_table *t, struct group *g) {
    *(g->newer ? &g->newer->older : &t->newest) = g->older;
    *(g->older ? &g->older->newer : &t->oldest) = g->newer;
}

static void list_push(struct group_table *t, struct group *g) {
    g->newer = NULL;
    g->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = g;
    t->newest = g;
}

static void table_remove(struct group_table *t, struct group *g, struct identity_table *identities) {
    HASH_DEL(t->table, g);
    list_remove(t, g);
    t->n--;
    group_free(g, identities);
}

void group_table_finish(struct group_table *t, struct identity_table *identities) {
    while (t->newest)
        table_remove(t, t->newest, identities);
    buf_free(&t->scratch);
}

static bool group_is_idle(const struct group *g) {
    return !g->n_waiting && !g->in_flight && !g->listed && g->state != GROUP_VETTING;
}

static bool table_has_room(struct group_table *t, struct identity_table *identities) {
    struct group *g = t->oldest;
    for (int tries = 0; t->n >= t->max && g && tries < 16; tries++) {
        struct group *newer = g->newer;
        if (group_is_idle(g))
            table_remove(t, g, identities);
        g = newer;
    }
    return t->n < t->max;
}

static void scratch_start(struct group_table *t, const struct shape *s, const struct identity *i, int key) {
    struct {
        const void *shape; // the group holds a reference, so the address stays the shape's
        uint64_t identity;
        int64_t key;
    } head = {s, i->id, key};
    buf_reset(&t->scratch);
    buf_put(&t->scratch, &head, sizeof head);
}

static struct group *table_find(struct group_table *t) {
    struct group *g = NULL;
    if (!t->scratch.failed)
        HASH_FIND(hh, t->table, t->scratch.data, t->scratch.len, g);
    if (g && g != t->newest) {
        list_remove(t, g);
        list_push(t, g);
    }
    return g;
}

static struct group *table_add(struct group_table *t, struct identity_table *identities, struct shape *s,
                               struct identity *i, int key) {
    if (t->scratch.failed || !table_has_room(t, identities))
        return NULL;
    struct group *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->cache_key = malloc(t->scratch.len);
    if (!g->cache_key) {
        free(g);
        return NULL;
    }
    memcpy(g->cache_key, t->scratch.data, t->scratch.len);
    g->cache_key_len = t->scratch.len;
    g->shape = shape_ref(s);
    g->identity = identity_ref(i);
    g->key = key;
    g->text = buf_make((size_t)1 << 20);
    g->row_description = buf_make((size_t)1 << 20);
    HASH_ADD_KEYPTR(hh, t->table, g->cache_key, g->cache_key_len, g);
    if (!g->hh.tbl) {
        group_free(g, identities);
        return NULL;
    }
    list_push(t, g);
    t->n++;
    return g;
}

// One allocation: the array of slices, and behind it the bytes that they point to.
static bool copy_values(struct group *g, struct slice text, const struct shape_text *v) {
    size_t bytes = 0, n = (size_t)v->n_values;
    for (size_t i = 0; i < n; i++)
        bytes += v->values[i].len;
    g->values = malloc(n * sizeof *g->values + bytes + 1);
    if (!g->values)
        return false;
    uint8_t *p = (uint8_t *)(g->values + n);
    for (size_t i = 0; i < n; i++) {
        size_t len = v->values[i].len;
        memcpy(p, text.data + v->values[i].at, len);
        g->values[i] = (struct slice){p, len};
        p += len;
    }
    return true;
}

struct group *group_for_simple(struct group_table *t, struct identity_table *identities, struct shape *s,
                               struct identity *i, struct slice text, const struct shape_text *v) {
    int key = s->parsed->keys[s->key].param - 1;
    scratch_start(t, s, i, s->key);
    buf_put_u8(&t->scratch, v->values[key].type == TOKEN_STRING);
    for (int at = 0; at < v->n_values; at++) {
        if (at == key)
            continue;
        buf_put_u32(&t->scratch, (uint32_t)v->values[at].len);
        buf_put(&t->scratch, text.data + v->values[at].at, v->values[at].len);
    }
    struct group *g = table_find(t);
    if (g)
        return g;
    g = table_add(t, identities, s, i, s->key);
    if (g && !copy_values(g, text, v)) {
        table_remove(t, g, identities);
        return NULL;
    }
    if (g)
        g->key_quoted = v->values[key].type == TOKEN_STRING;
    return g;
}

struct group *group_for_read(struct group_table *t, struct identity_table *identities, struct shape *s,
                             struct identity *i) {
    scratch_start(t, s, i, GROUP_READ);
    struct group *g = table_find(t);
    return g ? g : table_add(t, identities, s, i, GROUP_READ);
}

// The type that the client's value has, 0 where it is the key column's own; UINT32_MAX: no key's type.
static uint32_t declared_key_type(const struct shape *s) {
    const struct parsed_key *k = &s->parsed->keys[s->key];
    unsigned at = (unsigned)k->param - 1;
    if (at < s->n_types && s->types[at])
        return s->types[at];
    uint32_t cast = k->cast ? key_type_by_name(k->cast) : 0;
    return k->cast && !cast ? UINT32_MAX : cast;
}

struct group *group_for_extended(struct group_table *t, struct identity_table *identities, struct shape *s,
                                 struct identity *i, const struct msg_bind *bind) {
    unsigned key = (unsigned)s->parsed->keys[s->key].param - 1;
    scratch_start(t, s, i, s->key);
    buf_put_u16(&t->scratch, bind->n_result_formats);
    buf_put(&t->scratch, bind->result_formats, (size_t)bind->n_result_formats * 2);
    size_t walk = 0;
    struct slice value;
    for (unsigned at = 0; msg_bind_next_param(bind, &walk, &value); at++) {
        if (at == key)
            continue;
        buf_put_u16(&t->scratch, msg_bind_param_format(bind, at));
        buf_put_u32(&t->scratch, value.data ? (uint32_t)value.len : UINT32_MAX);
        buf_put(&t->scratch, value.data, value.len);
    }
    struct group *g = table_find(t);
    if (g)
        return g;
    g = table_add(t, identities, s, i, s->key);
    if (!g)
        return NULL;
    g->declared_type = declared_key_type(s);
    g->n_formats = bind->n_result_formats;
    g->formats = malloc((size_t)g->n_formats * 2 + 1);
    if (!g->formats) {
        table_remove(t, g, identities);
        return NULL;
    }
    memcpy(g->formats, bind->result_formats, (size_t)g->n_formats * 2);
    return g;
}

static uint32_t parameter_type(const struct group *g, unsigned i) {
    bool is_key = g->values || i + 1 == (unsigned)g->shape->parsed->keys[g->key].param;
    return is_key ? key_array_type(g->key_type) : i < g->shape->n_types ? g->shape->types[i] : 0;
}

static unsigned parameter_count(const struct group *g) {
    return g->values ? 1 : (unsigned)g->shape->parsed->n_params;
}

#define PREPARED_MAX_AGE 60000000 // microseconds

// Equal statements of different groups (other result formats) share what is prepared, as long as the text
// would mean the same if it were read again: constants are read as the session's settings say (TimeZone,
// DateStyle), and a name finds its table when the statement is parsed. The server keeps both, even where a
// table that was created since stands earlier in search_path. What was created past us is seen after a time.
static XXH128_hash_t statement_digest(struct group *g) {
    size_t text_len = g->text.len;
    buf_put_u64(&g->text, g->identity->id);
    buf_put_u64(&g->text, g->generation);
    buf_put_u64(&g->text, g->vetted_at / PREPARED_MAX_AGE);
    for (unsigned i = 0; i < parameter_count(g); i++)
        buf_put_u32(&g->text, parameter_type(g, i));
    XXH128_hash_t h = XXH3_128bits(g->text.data, g->text.len);
    g->text.len = text_len;
    return h;
}

void group_statement_name(XXH128_hash_t statement, char *name) {
    snprintf(name, GROUP_NAME_SIZE, "pgfold_%016llx%016llx", (unsigned long long)statement.high64,
             (unsigned long long)statement.low64);
}

void group_write_parse(const struct group *g, struct buf *out) {
    char name[GROUP_NAME_SIZE];
    uint32_t types[SHAPE_MAX_VALUES];
    unsigned n = parameter_count(g);
    for (unsigned i = 0; i < n; i++)
        types[i] = parameter_type(g, i);
    group_statement_name(g->statement, name);
    write_parse(out, (struct slice){(uint8_t *)name, strlen(name)}, (struct slice){g->text.data, g->text.len},
                types, n);
}

// A literal such as 'now' in a prepared statement means the time of its preparation, in a Query message that
// of its execution.
static bool has_moving_time(const struct group *g) {
    const struct parsed *p = g->shape->parsed;
    for (int i = 0; g->values && i < p->n_params; i++)
        if (text_is_moving_time((const char *)g->values[i].data, g->values[i].len))
            return true;
    return false;
}

static const char *judge(struct group *g, const struct vet_result *r) {
    if (!r->answered)
        return "the table was not found";
    if (!r->ok)
        return r->refusal;
    if (!key_type_known(r->key_type))
        return "its key is not an integer or a uuid";
    g->key_type = g->declared_type ? g->declared_type : r->key_type;
    if (key_type_is_integer(g->key_type) != key_type_is_integer(r->key_type) || !key_type_known(g->key_type))
        return "the parameter's type and the key column's type differ";
    // In the select list the parameter names its column; in an expression its type may be deduced from
    // another place.
    if (g->shape->parsed->keys[g->key].uses > 1)
        return "the key's parameter is used more than once";
    if (has_moving_time(g))
        return "a constant may mean the current time";
    g->column_type = r->key_type;
    if (!g->key_quoted && g->values && !key_type_is_integer(g->key_type))
        return "the constant's type and the key column's type differ";
    g->form = r->key_unique && rewrite_in_possible(g->shape, g->key) ? FORM_IN : FORM_LATERAL;
    buf_reset(&g->text);
    if (!rewrite_folded(g->shape, g->key, g->form, g->key_type, g->values, &g->text))
        return "the folded statement could not be written";
    g->statement = statement_digest(g);
    return g->text.failed ? "the folded statement could not be written" : NULL;
}

const char *group_vetted(struct group *g, const struct vet_result *r, uint64_t now, uint64_t generation) {
    g->vetted_at = now;
    g->generation = generation;
    const char *refusal = judge(g, r);
    g->state = refusal ? GROUP_REFUSED : GROUP_READY;
    g->vettings++;
    buf_reset(&g->row_description);
    return refusal;
}

void group_forget(struct group *g) {
    if (g->state != GROUP_VETTING)
        g->state = GROUP_NEW;
    buf_reset(&g->row_description);
}

XXH128_hash_t row_description_hash(const uint8_t *body, size_t len) {
    XXH3_state_t *state = XXH3_createState();
    XXH128_hash_t hash = {0, 0};
    if (!state)
        return hash;
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, body, 2);
    size_t at = 2;
    while (at < len) {
        const uint8_t *zero = memchr(body + at, 0, len - at);
        size_t name = zero ? (size_t)(zero - body) + 1 - at : 0;
        if (!zero || len - at - name < 18)
            break;
        XXH3_128bits_update(state, body + at, name + 16); // all but the format code
        at += name + 18;
    }
    hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    return hash;
}
