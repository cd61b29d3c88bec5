// SPDX-License-Identifier: PostgreSQL
#include "batching/fold/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/statement/risk.h"
#include "batching/fold/savepoint.h"
#include "protocol/write.h"

#define MAX_FINDINGS 2000

void group_table_init(struct group_table *t, unsigned max) {
    *t = (struct group_table){.max = max, .scratch = buf_make(1 << 17)};
    finding_table_init(&t->findings, max < MAX_FINDINGS ? max : MAX_FINDINGS);
}

void group_weigh(struct group *g) {
    size_t constants = 0;
    for (int i = 0; g->values && i < g->shape->parsed->n_params; i++)
        constants += sizeof *g->values + g->values[i].len;
    account_set(g->memory, &g->weighs,
                sizeof *g + g->cache_key_len + constants + g->n_formats * 2u + g->text.cap +
                    g->row_description.cap + g->parameters.cap + stamp_bytes(g->stamp) +
                    g->n_links * sizeof *g->links + g->writers.n * sizeof *g->writers.tables +
                    vetting_bytes(g->vetting) + 6 * MEMORY_BLOCK);
}

static void group_free(struct group *g, struct identity_table *identities) {
    account_set(g->memory, &g->weighs, 0);
    shape_unref(g->shape);
    identity_unref(identities, g->identity);
    buf_free(&g->text);
    stamp_unref(g->stamp);
    buf_free(&g->row_description);
    buf_free(&g->parameters);
    free(g->cache_key);
    free(g->formats);
    free(g->values);
    free(g->links);
    write_set_free(&g->writers);
    vetting_destroy(g->vetting);
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
    finding_table_finish(&t->findings);
    buf_free(&t->scratch);
}

static bool group_is_idle(const struct group *g) {
    return !g->n_waiting && !g->in_flight && !g->held && !g->listed && g->state != GROUP_VETTING;
}

static bool lacks_bytes(const struct group_table *t) {
    size_t more = sizeof(struct group) + t->scratch.len;
    return account_is_full(&t->memory, more) || account_is_short(&t->memory, more);
}

static bool table_has_room(struct group_table *t, struct identity_table *identities) {
    struct group *g = t->oldest;
    for (int tries = 0; g && tries < 16 && (t->n >= t->max || lacks_bytes(t)); tries++) {
        struct group *newer = g->newer;
        if (group_is_idle(g))
            table_remove(t, g, identities);
        g = newer;
    }
    return t->n < t->max && !lacks_bytes(t);
}

void group_table_shrink(struct group_table *t, struct identity_table *identities, unsigned n) {
    struct group *g = t->oldest;
    for (; g && n > 0; n--) {
        struct group *newer = g->newer;
        if (group_is_idle(g))
            table_remove(t, g, identities);
        g = newer;
    }
}

static void scratch_start(struct group_table *t, const struct shape *s, const struct identity *i,
                          uint32_t keys) {
    struct {
        const void *shape; // the group holds a reference, so the address stays the shape's
        uint64_t identity, keys;
    } head = {s, i->id, keys};
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
                               struct identity *i, uint32_t keys) {
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
    g->id = ++t->last_id;
    g->shape = shape_ref(s);
    g->identity = identity_ref(i);
    g->keys = keys;
    g->writers.all = true;
    for (int at = 0; at < s->parsed->n_keys && g->n_parts < KEY_MAX_PARTS; at++)
        if (keys >> at & 1)
            g->parts[g->n_parts++].key = at;
    g->text = buf_make((size_t)1 << 20);
    g->row_description = buf_make((size_t)1 << 20);
    g->parameters = buf_make((size_t)1 << 10);
    HASH_ADD_KEYPTR(hh, t->table, g->cache_key, g->cache_key_len, g);
    if (!g->hh.tbl) {
        group_free(g, identities);
        return NULL;
    }
    list_push(t, g);
    t->n++;
    g->memory = &t->memory;
    group_weigh(g);
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

// The parameters of the mask's keys, a bit each.
static uint32_t mask_params(const struct parsed *p, uint32_t keys) {
    uint32_t params = 0;
    for (int i = 0; i < p->n_keys; i++)
        if (keys >> i & 1)
            params |= 1u << (p->keys[i].param - 1);
    return params;
}

// The type that the server gives a constant: that of a number by its size, none (0) to a string.
static uint32_t constant_type(struct slice constant) {
    struct key k;
    if (constant.data[0] == '\'')
        return 0;
    if (key_read(OID_INT4, 0, constant, &k))
        return OID_INT4;
    return key_read(OID_INT8, 0, constant, &k) ? OID_INT8 : OID_NUMERIC;
}

static struct slice constant_at(struct slice text, const struct shape_text *v, int at) {
    return (struct slice){text.data + v->values[at].at, v->values[at].len};
}

// A value such as 'now' means the time at which its transaction started, in a prepared statement that of its
// preparation.
static bool is_moving_time(struct slice value, uint16_t format) {
    return format == 0 && value.data && text_is_moving_time((const char *)value.data, value.len);
}

static uint32_t declared_type(const struct shape *s, unsigned param) {
    return param < s->n_types ? s->types[param] : 0;
}

// In the simple protocol the values that are no key stay constants.
static void take_risks(struct group *g) {
    const struct parsed *p = g->shape->parsed;
    for (int i = 0; i < p->n_params; i++) {
        const struct group_part *part = g->values ? NULL : group_part_of(g, (unsigned)i);
        for (unsigned at = 0; g->values && at < g->n_parts; at++)
            if (p->keys[g->parts[at].key].param == i + 1)
                part = &g->parts[at];
        if (g->values && !part)
            continue;
        enum risk r = risk_of_param(p, i + 1, part ? part->declared : declared_type(g->shape, (unsigned)i));
        g->risk = r > g->risk ? r : g->risk;
    }
}

struct group *group_for_simple(struct group_table *t, struct identity_table *identities, struct shape *s,
                               struct identity *i, struct slice text, const struct shape_text *v) {
    uint32_t keys = s->keys ? s->keys : shape_keys(s), params = mask_params(s->parsed, keys);
    scratch_start(t, s, i, keys);
    for (int at = 0; at < v->n_values; at++) {
        if (params >> at & 1) {
            buf_put_u16(&t->scratch, (uint16_t)constant_type(constant_at(text, v, at)));
            continue;
        }
        buf_put_u32(&t->scratch, (uint32_t)v->values[at].len);
        buf_put(&t->scratch, text.data + v->values[at].at, v->values[at].len);
    }
    struct group *g = table_find(t);
    if (g)
        return g;
    g = table_add(t, identities, s, i, keys);
    if (g && !copy_values(g, text, v)) {
        table_remove(t, g, identities);
        return NULL;
    }
    for (int at = 0; g && at < v->n_values; at++)
        g->moving |= !(params >> at & 1) && is_moving_time(g->values[at], 0);
    for (unsigned at = 0; g && at < g->n_parts; at++) {
        int value = s->parsed->keys[g->parts[at].key].param - 1;
        g->parts[at].quoted = v->values[value].type == TOKEN_STRING;
        g->parts[at].declared = constant_type(constant_at(text, v, value));
    }
    if (g) {
        take_risks(g);
        group_weigh(g);
    }
    return g;
}

struct group *group_for_read(struct group_table *t, struct identity_table *identities, struct shape *s,
                             struct identity *i) {
    scratch_start(t, s, i, 0);
    struct group *g = table_find(t);
    return g ? g : table_add(t, identities, s, i, 0);
}

struct group *group_for_extended(struct group_table *t, struct identity_table *identities, struct shape *s,
                                 struct identity *i, const struct msg_bind *bind) {
    uint32_t keys = s->keys ? s->keys : shape_keys(s), params = mask_params(s->parsed, keys);
    scratch_start(t, s, i, keys);
    buf_put_u16(&t->scratch, bind->n_result_formats);
    buf_put(&t->scratch, bind->result_formats, (size_t)bind->n_result_formats * 2);
    size_t walk = 0;
    struct slice value;
    for (unsigned at = 0; msg_bind_next_param(bind, &walk, &value); at++) {
        buf_put_u16(&t->scratch, msg_bind_param_format(bind, at));
        if (params >> at & 1)
            continue;
        buf_put_u32(&t->scratch, value.data ? (uint32_t)value.len : UINT32_MAX);
        buf_put(&t->scratch, value.data, value.len);
    }
    struct group *g = table_find(t);
    if (g)
        return g;
    g = table_add(t, identities, s, i, keys);
    if (!g)
        return NULL;
    walk = 0;
    for (unsigned at = 0; msg_bind_next_param(bind, &walk, &value); at++)
        g->moving |= !(params >> at & 1) && is_moving_time(value, msg_bind_param_format(bind, at));
    for (unsigned at = 0; at < g->n_parts; at++) {
        unsigned param = (unsigned)s->parsed->keys[g->parts[at].key].param - 1;
        g->parts[at].format = msg_bind_param_format(bind, param);
        g->parts[at].declared = declared_type(s, param);
    }
    take_risks(g);
    g->n_formats = bind->n_result_formats;
    g->formats = malloc((size_t)g->n_formats * 2 + 1);
    if (!g->formats) {
        table_remove(t, g, identities);
        return NULL;
    }
    if (g->n_formats)
        memcpy(g->formats, bind->result_formats, (size_t)g->n_formats * 2);
    group_weigh(g);
    return g;
}

const struct group_part *group_part_of(const struct group *g, unsigned param) {
    if (g->values)
        return param < g->n_parts ? &g->parts[param] : NULL;
    for (unsigned i = 0; i < g->n_parts; i++)
        if ((unsigned)g->shape->parsed->keys[g->parts[i].key].param == param + 1)
            return &g->parts[i];
    return NULL;
}

uint16_t group_array_format(const struct group_part *part) {
    return key_type_is_plain(part->type) ? 1 : part->format;
}

// Equal statements of different groups (other result formats) share what is prepared, as long as the text
// would mean the same if it were read again: constants are read as the session's settings say (TimeZone,
// DateStyle), and a name finds its table when the statement is parsed. The server keeps both, even where a
// table that was created since stands earlier in search_path: the stamp tells.
static XXH128_hash_t statement_digest(struct group *g) {
    size_t text_len = g->text.len;
    buf_put_u64(&g->text, g->identity->id);
    buf_put_u64(&g->text, g->generation);
    buf_put(&g->text, &g->stamp->digest, sizeof g->stamp->digest);
    for (unsigned i = 0; i < g->n_params; i++)
        buf_put_u32(&g->text, g->params[i]);
    XXH128_hash_t h = XXH3_128bits(g->text.data, g->text.len);
    g->text.len = text_len;
    return h;
}

bool group_is_statement_name(struct slice name) {
    size_t n = strlen("pgfold_");
    if (name.len != n + 32 || memcmp(name.data, "pgfold_", n) != 0)
        return false;
    for (; n < name.len; n++)
        if (!memchr("0123456789abcdef", name.data[n], 16))
            return false;
    return true;
}

void group_statement_name(XXH128_hash_t statement, char *name) {
    snprintf(name, GROUP_NAME_SIZE, "pgfold_%016llx%016llx", (unsigned long long)statement.high64,
             (unsigned long long)statement.low64);
}

#define TIMESTAMPTZ 1184 // src/include/catalog/pg_type.dat

void group_write_parse(const struct group *g, struct buf *out) {
    char name[GROUP_NAME_SIZE];
    group_statement_name(g->statement, name);
    uint32_t types[SHAPE_MAX_VALUES + SEAL_PARAMS];
    unsigned n = g->n_params;
    memcpy(types, g->params, n * sizeof *types);
    if (g->sealed) {
        types[n++] = TIMESTAMPTZ;
        types[n++] = TIMESTAMPTZ;
        types[n++] = OID_INT4;
    }
    write_parse(out, (struct slice){(uint8_t *)name, strlen(name)}, (struct slice){g->text.data, g->text.len},
                types, n);
}

// ---- vetting

static struct slice name_slice(const char *name) {
    return (struct slice){(const uint8_t *)name, strlen(name)};
}

// The types that a member's own statement is parsed with.
static unsigned original_types(const struct group *g, uint32_t *types) {
    if (!g->values) {
        unsigned n = g->shape->n_types < SHAPE_MAX_VALUES ? g->shape->n_types : SHAPE_MAX_VALUES;
        for (unsigned i = 0; i < n; i++)
            types[i] = g->shape->types[i];
        return n;
    }
    for (unsigned i = 0; i < g->n_parts; i++)
        types[i] = g->parts[i].declared;
    return g->n_parts;
}

static int in_key(const struct group *g) {
    int key = g->parts[0].key;
    return g->n_parts == 1 && rewrite_in_possible(g->shape, key) ? key : -1;
}

// A statement of that name may be left from a vetting that failed.
static void write_prepare(struct buf *out, struct slice name, const struct buf *sql, const uint32_t *types,
                          unsigned n_types) {
    write_close(out, 'S', name);
    write_parse(out, name, (struct slice){sql->data, sql->len}, types, n_types);
}

static void write_ask(struct buf *out, struct slice name, const struct buf *sql) {
    struct slice portal = name_slice(SAVEPOINT_PORTAL);
    write_prepare(out, name, sql, NULL, 0);
    size_t at = write_begin(out, F_BIND);
    buf_put_str(out, SAVEPOINT_PORTAL);
    buf_put(out, name.data, name.len);
    buf_put_u8(out, 0);
    buf_put_u16(out, 0);
    buf_put_u16(out, 0);
    buf_put_u16(out, 0);
    write_end(out, at);
    write_execute_all(out, portal);
    write_close(out, 'P', portal);
}

// What is asked about a group, and the statement as a member sends it.
struct questions {
    struct buf stamp, catalogue, original;
};

// One unit: the queries are run, under settings of their own, the statement only described. The stamp comes
// before the catalogue: what is found out behind it is at least as new.
static void write_unit(struct group *g, bool named, const struct questions *q, struct buf *out) {
    struct slice name = name_slice(named ? SAVEPOINT_VET : "");
    uint32_t types[SHAPE_MAX_VALUES];
    unsigned n = original_types(g, types);
    struct buf settings = buf_make(1024);
    buf_put_text(&settings, vet_settings());
    write_ask(out, name, &settings);
    buf_free(&settings);
    write_ask(out, name, &q->stamp);
    write_ask(out, name, &q->catalogue);
    write_prepare(out, name, &q->original, types, n);
    write_describe(out, 'S', name);
    write_close(out, 'S', name);
    write_empty(out, F_SYNC);
}

bool group_write_vet(struct group *g, bool named, struct buf *out) {
    size_t limit = (size_t)1 << 20;
    struct questions q = {buf_make(limit), buf_make(limit), buf_make(limit)};
    vetting_destroy(g->vetting);
    g->vetting = vetting_create();
    bool ok = g->vetting && stamp_question(g->shape, &q.stamp) &&
              vet_query(g->shape, in_key(g), &q.catalogue) &&
              rewrite_original(g->shape, g->keys, g->values, &q.original);
    if (ok)
        write_unit(g, named, &q, out);
    buf_free(&q.stamp);
    buf_free(&q.catalogue);
    buf_free(&q.original);
    return ok && !out->failed;
}

// Takes over the types that the server has told, the keys' as arrays of them.
static bool take_types(struct group *g, const struct vetting *v) {
    g->n_params = v->n_params;
    if (g->n_params != (g->values ? g->n_parts : (unsigned)g->shape->parsed->n_params))
        return false;
    for (unsigned i = 0; i < g->n_params; i++) {
        struct group_part *part = (struct group_part *)group_part_of(g, i);
        g->params[i] = v->params[i];
        if (!part)
            continue;
        bool array = g->shape->parsed->keys[part->key].array;
        part->type = array ? vet_element_type(&v->catalogue, v->params[i]) : v->params[i];
        g->params[i] = vet_array_type(&v->catalogue, part->type);
        if (!part->type || !g->params[i])
            return false;
    }
    return true;
}

static bool take_columns(struct group *g, const struct vetting *v) {
    buf_reset(&g->row_description);
    buf_put(&g->row_description, v->row_description.data, v->row_description.len);
    g->row_hash = row_description_hash(g->row_description.data, g->row_description.len);
    g->source = 0;
    return !g->row_description.failed;
}

// The key column's values come back with the rows, and must be told by their bytes.
static bool in_form_fits(const struct group *g, const struct vet_result *r) {
    uint32_t type = g->parts[0].type;
    return in_key(g) >= 0 && r->key_unique && key_type_is_plain(type) && key_type_is_plain(r->key_type) &&
           key_type_is_integer(type) == key_type_is_integer(r->key_type);
}

// An operator of a user's is not taken for that of a plain type. Casts, operators elsewhere and what makes
// its parts one type may be a user's.
static bool compares_key_only(const struct parsed *p, const struct parsed_key *key) {
    return p->n_operator_uses == 1 && !p->n_functions && !p->mixes && p->n_types_named == (key->cast != NULL);
}

// What the folded statement will be checked by. It is made once for all groups that share what vetting has
// found.
static bool take_stamp(struct group *g, struct vetting *v) {
    const struct parsed *p = g->shape->parsed;
    int key = in_key(g);
    bool plain = g->form == FORM_IN && key >= 0 && compares_key_only(p, &p->keys[key]);
    if (!v->made)
        v->made =
            stamp_create(g->shape, (struct slice){v->stamp.data, v->stamp.len}, plain, v->catalogue.alone);
    stamp_unref(g->stamp);
    g->stamp = v->made ? stamp_ref(v->made) : NULL;
    return g->stamp;
}

static XXH128_hash_t types_hash(const struct vetting *v) {
    struct buf b = buf_make(2 + 4 * SHAPE_MAX_VALUES);
    buf_put_u16(&b, (uint16_t)v->n_params);
    for (unsigned i = 0; i < v->n_params; i++)
        buf_put_u32(&b, v->params[i]);
    XXH128_hash_t h = b.failed ? (XXH128_hash_t){0} : XXH3_128bits(b.data, b.len);
    buf_free(&b);
    return h;
}

static bool write_folded(struct group *g) {
    const struct stamp *st = g->stamp;
    g->sealed = g->form == FORM_IN && st->sealed.len;
    if (!g->sealed)
        return rewrite_folded(g->shape, g->keys, g->form, g->values, &g->text);
    return rewrite_sealed(g->shape, g->keys, g->values, (struct slice){st->sealed.data, st->sealed.len},
                          g->n_params + 1, &g->text);
}

static const char *judge(struct group *g, struct vetting *v) {
    static const char not_written[] = "the folded statement could not be written";
    if (!v->catalogue.answered)
        return "the catalogue could not be asked";
    if (!v->catalogue.ok)
        return v->catalogue.refusal;
    if (v->failed || !v->described)
        return "the server could not prepare the statement";
    if (g->moving)
        return "a constant may mean the current time";
    if (!take_types(g, v))
        return "the type of its key is not one of those that can be sent as an array";
    if (g->n_formats > 1 && g->n_formats != get_u16(v->row_description.data))
        return "the number of result formats does not fit";
    g->form = in_form_fits(g, &v->catalogue) ? FORM_IN : FORM_LATERAL;
    g->column_type = v->catalogue.key_type;
    if (!take_stamp(g, v))
        return "the catalogue did not tell what its tables are";
    g->types_hash = types_hash(v);
    buf_reset(&g->text);
    if (!take_columns(g, v) || !write_folded(g))
        return not_written;
    g->statement = statement_digest(g);
    return g->text.failed ? not_written : NULL;
}

// Of what vetting has found, what lookahead goes by. Out of memory: no links, all writers.
static void take_facts(struct group *g, const struct vet_result *r) {
    free(g->links);
    write_set_free(&g->writers);
    g->n_links = 0;
    g->links = r->n_links ? malloc(r->n_links * sizeof *g->links) : NULL;
    if (g->links) {
        memcpy(g->links, r->links, r->n_links * sizeof *g->links);
        g->n_links = r->n_links;
    }
    g->writers = write_set_copy(&r->writers);
}

static const char *take_vetting(struct group *g, struct vetting *v, uint64_t vetted_at, uint64_t generation) {
    g->vetted_at = vetted_at;
    g->generation = generation;
    buf_reset(&g->row_description);
    const char *refusal = judge(g, v);
    g->state = refusal ? GROUP_REFUSED : GROUP_READY;
    take_facts(g, &v->catalogue);
    g->vettings++;
    return refusal;
}

// All that vetting depends on. Of the constants that are put back into the statement it is their types, as
// which the server reads them: those decide which operators are meant.
static struct slice finding_key(struct group_table *t, const struct group *g) {
    scratch_start(t, g->shape, g->identity, g->keys);
    for (unsigned i = 0; i < g->n_parts; i++) {
        buf_put_u32(&t->scratch, g->parts[i].declared);
        buf_put_u16(&t->scratch, g->parts[i].format);
    }
    for (int i = 0; g->values && i < g->shape->parsed->n_params; i++)
        buf_put_u32(&t->scratch, constant_type(g->values[i]));
    return (struct slice){t->scratch.data, t->scratch.failed ? 0 : t->scratch.len};
}

// A statement that the server could not prepare may have failed for one of its values.
static bool is_worth_keeping(const struct vetting *v) {
    return v->catalogue.answered && !v->failed && v->described;
}

const char *group_vetted(struct group_table *t, struct group *g, uint64_t now, uint64_t generation) {
    const char *refusal = take_vetting(g, g->vetting, now, generation);
    struct slice key = finding_key(t, g);
    if (key.len && is_worth_keeping(g->vetting))
        finding_put(&t->findings, key, g->shape, g->vetting, now, generation);
    else
        vetting_destroy(g->vetting);
    g->vetting = NULL;
    group_weigh(g);
    return refusal;
}

// All that the verdict about a read depends on: the question's text and whose names it means. Of the
// statement's text nothing else matters to it. Nothing is prepared for it, so a digest will do.
static struct slice read_key(struct group_table *t, struct group *g) {
    if (!g->has_question) {
        struct buf sql = buf_make((size_t)1 << 20);
        g->has_question = vet_read_query(g->shape, &sql);
        if (g->has_question)
            g->question = XXH3_128bits(sql.data, sql.len);
        buf_free(&sql);
    }
    scratch_start(t, NULL, g->identity, 0);
    buf_put(&t->scratch, &g->question, sizeof g->question);
    return (struct slice){t->scratch.data, t->scratch.failed || !g->has_question ? 0 : t->scratch.len};
}

static void take_verdict(struct group *g, bool plain, uint64_t vetted_at, uint64_t generation) {
    g->state = plain ? GROUP_READY : GROUP_REFUSED;
    g->vetted_at = vetted_at;
    g->generation = generation;
}

void group_read_vetted(struct group_table *t, struct group *g, bool plain, bool answered, uint64_t now,
                       uint64_t generation) {
    take_verdict(g, plain, now, generation);
    struct slice key = answered ? read_key(t, g) : (struct slice){0};
    if (key.len)
        finding_put_read(&t->findings, key, plain, plain ? now : 0, generation); // a refusal is asked again
}

// Once vetted, a lookup is vetted itself: a batch that erred may have been right to. A read is not doubted.
void group_inherit(struct group_table *t, struct group *g, uint64_t oldest, uint64_t generation) {
    bool read = group_is_read(g);
    if (g->state != GROUP_NEW || (g->vettings && !read))
        return;
    struct slice key = read ? read_key(t, g) : finding_key(t, g);
    const struct finding *f = key.len ? finding_get(&t->findings, key) : NULL;
    if (!f || f->generation != generation || f->vetted_at < oldest)
        return;
    if (read)
        take_verdict(g, f->plain, f->vetted_at, generation);
    else
        (void)take_vetting(g, f->vetting, f->vetted_at, generation);
    group_weigh(g);
}

bool group_read_key(const struct group *g, const struct slice *raw, struct key *keys) {
    for (unsigned i = 0; i < g->n_parts; i++) {
        const struct group_part *part = &g->parts[i];
        struct slice value = raw[i];
        if (g->shape->parsed->keys[part->key].array &&
            !key_array_element(part->format, raw[i], part->type, &value))
            return false;
        bool ok = key_type_is_plain(part->type) ? key_read(part->type, part->format, value, &keys[i])
                                                : key_read_raw(value, part->quoted, &keys[i]);
        if (!ok || (!key_type_is_plain(part->type) && is_moving_time(value, part->format)) ||
            risk_of_value(part->type, part->format, value))
            return false;
    }
    return true;
}

void group_forget(struct group *g) {
    if (g->state != GROUP_VETTING)
        g->state = GROUP_NEW;
    g->parses = g->described = false;
    buf_reset(&g->row_description);
}

static XXH128_hash_t columns_hash(const uint8_t *body, size_t len, bool origins) {
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
        XXH3_128bits_update(state, body + at, name);
        size_t skip = origins ? 0 : 6;                                  // table and attribute
        XXH3_128bits_update(state, body + at + name + skip, 16 - skip); // all but the format code
        at += name + 18;
    }
    hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

XXH128_hash_t row_description_hash(const uint8_t *body, size_t len) {
    return columns_hash(body, len, true);
}

XXH128_hash_t row_types_hash(const uint8_t *body, size_t len) {
    return columns_hash(body, len, false);
}
