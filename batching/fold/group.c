// SPDX-License-Identifier: PostgreSQL
//
// The table of groups: how a lookup finds its group, and how the oldest make room.
#include "batching/fold/group.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/base/memory.h"
#include "batching/statement/key.h"
#include "batching/statement/lexer.h"
#include "batching/statement/moving_time.h"
#include "batching/statement/parse.h"
#include "batching/statement/risk.h"
#include "batching/statement/shape.h"
#include "batching/trust/finding.h"
#include "batching/trust/identity.h"
#include "batching/trust/seal.h"
#include "batching/trust/stamp.h"
#include "batching/trust/vet.h"
#include "batching/trust/write_set.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

#define MAX_FINDINGS 2000

#define BIT(state) (1u << (state))

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

// Starts a cache key in t->scratch.
static void begin_key(struct group_table *t, const struct shape *s, const struct identity *i, uint32_t keys) {
    struct {
        const void *shape; // the group holds a reference, so the address stays this shape's
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

struct group *group_of_key(struct group_table *t, uint64_t id, const uint8_t *key, size_t len) {
    buf_reset(&t->scratch);
    buf_put(&t->scratch, key, len);
    struct group *g = table_find(t);
    return g && g->id == id ? g : NULL;
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
static bool put_values(struct group *g, const struct slice *values, int count) {
    size_t bytes = 0, n = (size_t)count;
    for (size_t i = 0; i < n; i++)
        bytes += values[i].len;
    g->values = malloc(n * sizeof *g->values + bytes + 1);
    if (!g->values)
        return false;
    uint8_t *p = (uint8_t *)(g->values + n);
    for (size_t i = 0; i < n; i++) {
        memcpy(p, values[i].data, values[i].len);
        g->values[i] = (struct slice){p, values[i].len};
        p += values[i].len;
    }
    return true;
}

static bool copy_values(struct group *g, struct slice text, const struct shape_text *v) {
    struct slice values[SHAPE_MAX_VALUES];
    for (int i = 0; i < v->n_values; i++)
        values[i] = (struct slice){text.data + v->values[i].at, v->values[i].len};
    return put_values(g, values, v->n_values);
}

static bool copy_formats(struct group *g, const struct msg_bind *bind) {
    g->n_formats = bind->n_result_formats;
    g->formats = malloc((size_t)g->n_formats * 2 + 1);
    if (g->formats && g->n_formats)
        memcpy(g->formats, bind->result_formats, (size_t)g->n_formats * 2);
    return g->formats;
}

// The parameters of the mask's keys, a bit each.
static uint32_t mask_params(const struct parsed *p, uint32_t keys) {
    uint32_t params = 0;
    for (int i = 0; i < p->n_keys; i++)
        if (keys >> i & 1)
            params |= 1u << (p->keys[i].param - 1);
    return params;
}

uint32_t group_type_of_constant(struct slice constant) {
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

// A value such as 'now' means the time at which its transaction started. In a prepared statement it means the
// time of the preparation.
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
                               struct identity *i, struct slice text, const struct shape_text *v,
                               const struct msg_bind *formats) {
    uint32_t keys = s->keys ? s->keys : shape_keys(s), params = mask_params(s->parsed, keys);
    begin_key(t, s, i, keys);
    for (int at = 0; at < v->n_values; at++) {
        if (params >> at & 1) {
            buf_put_u16(&t->scratch, (uint16_t)group_type_of_constant(constant_at(text, v, at)));
            continue;
        }
        buf_put_u32(&t->scratch, (uint32_t)v->values[at].len);
        buf_put(&t->scratch, text.data + v->values[at].at, v->values[at].len);
    }
    if (formats)
        buf_put(&t->scratch, formats->result_formats, (size_t)formats->n_result_formats * 2);
    struct group *g = table_find(t);
    if (g)
        return g;
    g = table_add(t, identities, s, i, keys);
    if (g && (!copy_values(g, text, v) || (formats && !copy_formats(g, formats)))) {
        table_remove(t, g, identities);
        return NULL;
    }
    for (int at = 0; g && at < v->n_values; at++)
        g->moving |= !(params >> at & 1) && is_moving_time(g->values[at], 0);
    for (unsigned at = 0; g && at < g->n_parts; at++) {
        int value = s->parsed->keys[g->parts[at].key].param - 1;
        g->parts[at].quoted = v->values[value].type == TOKEN_STRING;
        g->parts[at].declared = group_type_of_constant(constant_at(text, v, value));
    }
    if (g) {
        take_risks(g);
        group_weigh(g);
    }
    return g;
}

// Copies what the lookups of a group have in common. False: out of memory.
static bool copy_group(struct group *g, const struct group *of) {
    int n = of->values ? of->shape->parsed->n_params : 0;
    memcpy(g->parts, of->parts, sizeof g->parts);
    g->n_parts = of->n_parts;
    g->risk = of->risk;
    g->moving = of->moving;
    g->formats = of->formats ? malloc((size_t)of->n_formats * 2 + 1) : NULL;
    g->n_formats = g->formats ? of->n_formats : 0;
    if (g->n_formats)
        memcpy(g->formats, of->formats, (size_t)g->n_formats * 2);
    return (!of->formats || g->formats) && (!of->values || put_values(g, of->values, n));
}

struct group *group_for_owner(struct group_table *t, struct identity_table *identities, struct group *of,
                              uint64_t owner) {
    uint64_t head = owner | UINT64_C(1) << 63; // other keys begin with an address, which has not this bit
    buf_reset(&t->scratch);
    buf_put(&t->scratch, &head, sizeof head);
    buf_put(&t->scratch, of->cache_key, of->cache_key_len);
    struct group *g = table_find(t);
    if (g)
        return g;
    group_pin(of); // it must not make room
    g = table_add(t, identities, of->shape, of->identity, of->keys);
    group_unpin(of);
    if (g && !copy_group(g, of)) {
        table_remove(t, g, identities);
        return NULL;
    }
    if (g) {
        g->owner = owner;
        group_weigh(g);
    }
    return g;
}

struct group *group_for_read(struct group_table *t, struct identity_table *identities, struct shape *s,
                             struct identity *i) {
    begin_key(t, s, i, 0);
    struct group *g = table_find(t);
    return g ? g : table_add(t, identities, s, i, 0);
}

struct group *group_known_read(struct group_table *t, struct shape *s, struct identity *i) {
    begin_key(t, s, i, 0);
    return table_find(t);
}

struct group *group_for_extended(struct group_table *t, struct identity_table *identities, struct shape *s,
                                 struct identity *i, const struct msg_bind *bind) {
    uint32_t keys = s->keys ? s->keys : shape_keys(s), params = mask_params(s->parsed, keys);
    begin_key(t, s, i, keys);
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
    if (!copy_formats(g, bind)) {
        table_remove(t, g, identities);
        return NULL;
    }
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

void group_set_state(struct group *g, enum group_state state) {
    static const unsigned allowed[] = {
        [GROUP_NEW] = BIT(GROUP_NEW) | BIT(GROUP_VETTING) | BIT(GROUP_READY) | BIT(GROUP_REFUSED),
        [GROUP_VETTING] = BIT(GROUP_NEW) | BIT(GROUP_READY) | BIT(GROUP_REFUSED),
        [GROUP_READY] = BIT(GROUP_NEW) | BIT(GROUP_REFUSED),
        [GROUP_REFUSED] = BIT(GROUP_NEW),
    };
    assert(allowed[g->state] & BIT(state));
    g->state = state;
}

void group_forget(struct group *g) {
    if (g->state != GROUP_VETTING)
        group_set_state(g, GROUP_NEW);
    g->parses = g->described = g->assumed = false;
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
