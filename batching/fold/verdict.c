// SPDX-License-Identifier: PostgreSQL
//
// The vetting unit and its judge. Findings that hold for many groups are kept in finding.h.
#include "batching/fold/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "batching/fold/group.h"
#include "batching/fold/savepoint.h"
#include "batching/statement/functions.h"
#include "batching/statement/key.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/rewrite.h"
#include "batching/trust/finding.h"
#include "batching/trust/own_settings.h"
#include "batching/trust/sorted.h"
#include "batching/trust/stamp.h"
#include "batching/trust/vet.h"
#include "batching/trust/vet_query.h"
#include "batching/trust/write_set.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

// The digest that names the folded statement. Groups with equal statements (but other result formats) share
// one prepared statement, as long as the text would mean the same if it were read again. Two things decide
// that: constants are read as the session's settings say (TimeZone, DateStyle), and a name finds its table
// when the statement is parsed. The server keeps both, even where a table that was made later stands earlier
// in search_path: the stamp tells.
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

static struct slice slice_of_text(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static struct slice slice_of_buf(const struct buf *b) {
    return (struct slice){b->data, b->len};
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

// A statement of that name may be left from a vetting that failed, so it is closed first.
static void write_prepare(struct buf *out, struct slice name, struct slice sql, const uint32_t *types,
                          unsigned n_types) {
    write_close(out, 'S', name);
    write_parse(out, name, sql, types, n_types);
}

static void write_ask(struct buf *out, struct slice name, struct slice sql) {
    struct slice portal = slice_of_text(SAVEPOINT_PORTAL);
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

// The SQL that asks about a group, and the statement as a member sends it.
struct questions {
    struct buf stamp, catalogue, original;
};

// One unit: the queries run under settings of their own, the statement is only described. The stamp comes
// before the catalogue, so what is found out behind it is at least as new.
static void write_unit(struct group *g, bool named, unsigned lock_timeout, const struct questions *q,
                       struct buf *out) {
    struct slice name = slice_of_text(named ? SAVEPOINT_VET : "");
    uint32_t types[SHAPE_MAX_VALUES];
    unsigned n = original_types(g, types);
    savepoint_write_bound(out, lock_timeout);
    write_ask(out, name, slice_of_text(vet_settings()));
    write_ask(out, name, slice_of_buf(&q->stamp));
    write_ask(out, name, slice_of_buf(&q->catalogue));
    write_prepare(out, name, slice_of_buf(&q->original), types, n);
    write_describe(out, 'S', name);
    write_close(out, 'S', name);
    savepoint_write_bound_end(out, lock_timeout);
}

static bool is_plain_type(const char *name) {
    static const char *const plain[] = {"int2", "int4", "int8", "uuid"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (strcmp(plain[i], name) == 0)
            return true;
    return false;
}

// The keys that are compared as integers or uuids if their columns are such. A type that the server deduces is
// the column's.
static uint32_t fixed_keys(const struct group *g) {
    uint32_t fixed = 0;
    for (unsigned i = 0; i < g->n_parts; i++) {
        const struct group_part *part = &g->parts[i];
        const char *cast = g->shape->parsed->keys[part->key].cast;
        if ((!part->declared || key_type_is_plain(part->declared)) && (!cast || is_plain_type(cast)))
            fixed |= 1u << part->key;
    }
    return fixed;
}

bool group_write_vet(struct group *g, bool named, unsigned lock_timeout, struct buf *out) {
    size_t limit = (size_t)1 << 20;
    struct questions q = {buf_make(limit), buf_make(limit), buf_make(limit)};
    vetting_destroy(g->vetting);
    g->vetting = vetting_create();
    bool ok = g->vetting && stamp_question(g->shape, g->keys, fixed_keys(g), &q.stamp) &&
              vet_query(g->shape, in_key(g), g->shape->wide, &q.catalogue) &&
              rewrite_original(g->shape, g->keys, g->values, &q.original);
    if (ok)
        write_unit(g, named, lock_timeout, &q, out);
    buf_free(&q.stamp);
    buf_free(&q.catalogue);
    buf_free(&q.original);
    return ok && !out->failed;
}

// Takes the types that the server has told, those of keys as arrays of them.
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

static bool copy_columns(struct group *g, const struct vetting *v) {
    buf_reset(&g->row_description);
    buf_put(&g->row_description, v->row_description.data, v->row_description.len);
    g->row_hash = row_description_hash(g->row_description.data, g->row_description.len);
    g->source = 0;
    return !g->row_description.failed;
}

// The key column's values come back with the rows and must be recognised by their bytes.
static bool in_form_fits(const struct group *g, const struct vet_result *r) {
    uint32_t type = g->parts[0].type;
    return in_key(g) >= 0 && r->key_unique && key_type_is_plain(type) && key_type_is_plain(r->key_type) &&
           key_type_is_integer(type) == key_type_is_integer(r->key_type);
}

// For a plain type, the server does not take a user's operator in place of its own. Casts, operators
// elsewhere, and whatever brings its parts to one type may be a user's.
static bool compares_key_only(const struct parsed *p, const struct parsed_key *key) {
    return p->n_operator_uses == 1 && !p->n_functions && !p->mixes && p->n_types_named == (key->cast != NULL);
}

// Makes the stamp by which the folded statement will be checked: once for all groups that share a finding.
static bool make_stamp(struct group *g, struct vetting *v) {
    const struct parsed *p = g->shape->parsed;
    int key = in_key(g);
    bool plain = g->form == FORM_IN && key >= 0 && compares_key_only(p, &p->keys[key]);
    if (!v->made)
        v->made = stamp_create(g->shape, (struct slice){v->stamp.data, v->stamp.len}, plain,
                               v->catalogue.alone, g->level == LEVEL_OWN ? &v->catalogue.below : NULL);
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
    if (st->guard.len)
        return rewrite_guarded(g->shape, g->keys, g->values, (struct slice){st->guard.data, st->guard.len},
                               &g->text);
    if (!g->sealed)
        return rewrite_folded(g->shape, g->keys, g->form, g->values, &g->text);
    return rewrite_sealed(g->shape, g->keys, g->values, (struct slice){st->sealed.data, st->sealed.len},
                          g->n_params + 1, &g->text);
}

// Why the rows of its lookups may not be shared; NULL: they may.
static const char *shared_refusal(const struct group *g, const struct vet_result *r) {
    if (r->refusal)
        return r->refusal;
    return g->shape->parsed->asks_session ? "it asks for the time, the user or a schema" : NULL;
}

static enum vet_level level_of(const struct group *g, const struct vet_result *r) {
    return !shared_refusal(g, r) ? LEVEL_SHARED : r->own ? LEVEL_OWN : LEVEL_NONE;
}

static const char *judge_group(struct group *g, struct vetting *v) {
    static const char not_written[] = "the folded statement could not be written";
    if (!v->catalogue.answered)
        return "the catalogue could not be asked";
    if (!g->level)
        return shared_refusal(g, &v->catalogue);
    if (v->failed || !v->described)
        return "the server could not prepare the statement";
    if (g->moving)
        return "a constant may mean the current time";
    if (!take_types(g, v))
        return "the type of its key is not one of those that can be sent as an array";
    if (g->n_formats > 1 && g->n_formats != get_u16(v->row_description.data))
        return "the number of result formats does not fit";
    g->form = g->level == LEVEL_SHARED && in_form_fits(g, &v->catalogue) ? FORM_IN : FORM_LATERAL;
    g->column_type = v->catalogue.key_type;
    if (!make_stamp(g, v))
        return "the catalogue did not tell what its tables are";
    if (sorted_matters(g->shape->parsed, g->keys) && !g->stamp->sorted) {
        shape_is_unsorted(g->shape);
        return "a value beside the key decides the order of rows that ORDER BY does not tell apart";
    }
    g->types_hash = types_hash(v);
    buf_reset(&g->text);
    if (!copy_columns(g, v) || !write_folded(g))
        return not_written;
    g->statement = statement_digest(g);
    return g->text.failed ? not_written : NULL;
}

// Takes what lookahead needs of the vetting. Without memory: no links, and any write counts.
static void take_facts(struct group *g, const struct vet_result *r) {
    free(g->links);
    write_set_free(&g->writers);
    g->n_links = 0;
    g->key_unique = r->key_unique;
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
    g->level = v->catalogue.answered ? level_of(g, &v->catalogue) : LEVEL_NONE;
    g->steady = v->catalogue.steady && !g->shape->parsed->asks_session;
    g->own_refusal = v->catalogue.may_be_own ? v->catalogue.own_refusal : NULL;
    const char *refusal = judge_group(g, v);
    if (refusal)
        g->level = LEVEL_NONE;
    else if (g->level == LEVEL_OWN && !g->owner)
        refusal = shared_refusal(g, &v->catalogue);
    g->refusal = refusal;
    group_set_state(g, refusal ? GROUP_REFUSED : GROUP_READY);
    take_facts(g, &v->catalogue);
    g->vettings++;
    g->assumed = g->aged = false;
    return refusal;
}

// Is it worth to ask once more, for what is below the statement, too?
static bool asks_wider(struct group *g, const struct vet_result *r) {
    bool wider = r->answered && !r->wide && r->may_be_own && shared_refusal(g, r);
    g->shape->wide |= wider;
    return wider;
}

static void begin_key(struct buf *key, const struct shape *s, const struct identity *i, uint32_t keys) {
    struct {
        const void *shape; // the finding holds a reference, so the address stays this shape's
        XXH128_hash_t base;
        uint64_t keys;
    } head = {s, i->base, keys};
    buf_reset(key);
    buf_put(key, &head, sizeof head);
}

// The key of a finding: everything that vetting depends on. For the constants that are put back into the
// statement, these are the types that the server gives them: they decide which operators are meant.
static struct slice finding_key(struct group_table *t, const struct group *g) {
    begin_key(&t->scratch, g->shape, g->identity, g->keys);
    for (unsigned i = 0; i < g->n_parts; i++) {
        buf_put_u32(&t->scratch, g->parts[i].declared);
        buf_put_u16(&t->scratch, g->parts[i].format);
    }
    for (int i = 0; g->values && i < g->shape->parsed->n_params; i++)
        buf_put_u32(&t->scratch, group_type_of_constant(g->values[i]));
    return (struct slice){t->scratch.data, t->scratch.failed ? 0 : t->scratch.len};
}

// A statement that the server could not prepare may have failed for one of its values.
static bool is_worth_keeping(const struct vetting *v) {
    return v->catalogue.answered && !v->failed && v->described;
}

const char *group_vetted(struct group_table *t, struct group *g, uint64_t now, uint64_t generation) {
    const char *refusal = take_vetting(g, g->vetting, now, generation);
    bool wider = asks_wider(g, &g->vetting->catalogue);
    struct slice key = finding_key(t, g);
    if (key.len && is_worth_keeping(g->vetting) && !wider)
        finding_put(&t->findings, key, g->shape, g->vetting, now, generation);
    else
        vetting_destroy(g->vetting);
    g->vetting = NULL;
    if (wider)
        group_set_state(g, GROUP_NEW);
    group_weigh(g);
    return refusal;
}

static uint32_t guess_type(const struct group_part *part, struct slice raw) {
    struct key k;
    if (part->declared)
        return part->declared;
    if (part->format == 1)
        return raw.len == 4 ? 23 : raw.len == 8 ? 20 : raw.len == 16 ? 2950 : 25;
    if (key_read(20, 0, raw, &k))
        return 20;
    return key_read(2950, 0, raw, &k) ? 2950 : 25;
}

// Writes to the tables that it names.
static void assume_writers(struct group *g) {
    const struct parsed *p = g->shape->parsed;
    uint64_t *tables = malloc(((unsigned)p->n_relations + 1) * sizeof *tables);
    write_set_free(&g->writers);
    for (int i = 0; tables && i < p->n_relations; i++)
        tables[i] =
            write_table((struct slice){(const uint8_t *)p->relations[i].name, strlen(p->relations[i].name)});
    if (tables)
        g->writers = write_set_make(tables, (unsigned)p->n_relations);
}

void group_assume(struct group *g, const struct slice *raw, uint64_t now, uint64_t generation) {
    const struct parsed *p = g->shape->parsed;
    bool may = g->state == GROUP_NEW && functions_are_plain(p) && !p->foreign_types && !p->asks_session;
    for (unsigned i = 0; i < g->n_parts; i++)
        may &= !p->keys[g->parts[i].key].array && raw[i].data;
    if (!may)
        return;
    for (unsigned i = 0; i < g->n_parts; i++)
        g->parts[i].type = guess_type(&g->parts[i], raw[i]);
    g->level = LEVEL_SHARED;
    g->form = FORM_LATERAL;
    g->n_links = 0;
    assume_writers(g);
    g->vetted_at = now;
    g->generation = generation;
    g->vettings++;
    g->aged = false;
    g->assumed = true;
    group_set_state(g, GROUP_READY);
}

// The key of a read's finding: the question's text and whose names it means. Nothing else of the statement
// matters to the verdict. Nothing is prepared for it, so a digest is enough.
static struct slice read_key(struct group_table *t, struct group *g, bool wide) {
    if (!g->has_question || g->question_wide != wide) {
        struct buf sql = buf_make((size_t)1 << 20);
        g->question_wide = wide;
        g->has_question = vet_read_query(g->shape, wide, &sql);
        if (g->has_question)
            g->question = XXH3_128bits(sql.data, sql.len);
        buf_free(&sql);
    }
    begin_key(&t->scratch, NULL, g->identity, 0);
    buf_put(&t->scratch, &g->question, sizeof g->question);
    return (struct slice){t->scratch.data, t->scratch.failed || !g->has_question ? 0 : t->scratch.len};
}

static void take_verdict(struct group *g, bool plain, uint64_t vetted_at, uint64_t generation) {
    group_set_state(g, plain ? GROUP_READY : GROUP_REFUSED);
    g->vetted_at = vetted_at;
    g->generation = generation;
    g->shape->no_plain_read = plain || !g->asked_wide ? 0 : vetted_at;
}

void group_read_vetted(struct group_table *t, struct group *g, bool plain, bool answered, uint64_t now,
                       uint64_t generation) {
    take_verdict(g, plain, now, generation);
    struct slice key = answered ? read_key(t, g, g->asked_wide) : (struct slice){0};
    if (key.len)
        finding_put_read(&t->findings, key, plain, g->bare, plain ? now : 0,
                         generation); // a refusal is asked again
    if (answered && !plain && !g->asked_wide) {
        g->shape->wide = true;
        group_set_state(g, GROUP_NEW);
    }
}

// A batch that erred may have had a reason, so a lookup that was vetted before is vetted itself. A read is
// not doubted.
void group_inherit(struct group_table *t, struct group *g, uint64_t oldest, uint64_t generation) {
    bool read = group_is_read(g);
    if (g->state != GROUP_NEW || (g->vettings && !g->aged && !read))
        return;
    struct slice key = read ? read_key(t, g, g->shape->wide) : finding_key(t, g);
    const struct finding *f = key.len ? finding_get(&t->findings, key) : NULL;
    if (!f || f->generation != generation || f->vetted_at < oldest)
        return;
    if (read) {
        g->bare = f->bare;
        take_verdict(g, f->plain, f->vetted_at, generation);
    } else
        (void)take_vetting(g, f->vetting, f->vetted_at, generation);
    group_weigh(g);
}
