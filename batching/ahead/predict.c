// SPDX-License-Identifier: PostgreSQL
//
// Values are compared in the trail's form. Each place where a key is found gets a rank, and the best is
// followed.
#include "batching/ahead/predict.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/ahead.h"
#include "batching/statement/shape.h"

// ---- values

// Brings a key into the trail's form: a text without doubled quotes. Returns false when a trail cannot have
// it.
static bool plain_value(const struct key *k, uint8_t *scratch, struct key *out) {
    *out = *k;
    if (k->kind == KEY_PLAIN || k->kind == KEY_RAW)
        return true;
    if (k->kind != KEY_DOUBLED || k->len > 2 * TRAIL_MAX_TEXT)
        return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->len; i++, n++) {
        scratch[n] = k->of.raw[i];
        i += k->of.raw[i] == '\'';
    }
    *out = (struct key){.kind = KEY_RAW, .len = n, .of.raw = scratch};
    return true;
}

// The reverse: the key that a lookup for this value would send. `scratch` has room for twice TRAIL_MAX_TEXT.
// Returns false when there is none.
static bool key_of_value(const struct group_part *part, bool literal, const struct key *value,
                         uint8_t *scratch, struct key *out) {
    *out = *value;
    if (value->kind == KEY_PLAIN && part->type != OID_UUID) {
        int64_t v = (int64_t)get_u64(value->of.bytes);
        bool int4 = v >= INT32_MIN && v <= INT32_MAX;
        // A constant of the simple protocol has the first type that holds it.
        if (literal && part->declared == OID_INT8)
            return !int4;
        return part->type == OID_INT8 || (part->type == OID_INT4 && int4) ||
               (part->type == OID_INT2 && v >= INT16_MIN && v <= INT16_MAX);
    }
    if (value->kind != KEY_RAW || !part->quoted)
        return value->kind != KEY_NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < value->len; i++) {
        if (value->of.raw[i] == '\'')
            scratch[n++] = '\'';
        scratch[n++] = value->of.raw[i];
    }
    *out = (struct key){.kind = KEY_DOUBLED, .len = n, .of.raw = scratch};
    return true;
}

static bool is_in(struct trail *t, enum trail_kind kind, const struct key *k) {
    struct trail_place place = {0};
    return kind != TRAIL_NOTHING && trail_find(t, kind, k, &place);
}

static bool text_is_in(struct trail *t, struct slice value, bool quoted) {
    uint8_t scratch[2 * TRAIL_MAX_TEXT];
    struct key k, text;
    return value.len <= sizeof scratch && key_read_raw(value, quoted, &k) &&
           plain_value(&k, scratch, &text) && is_in(t, TRAIL_TEXT, &text);
}

// Tells whether a value is in the trail. Its type may not be known, so it is tried as whatever it can be. In
// binary its width tells.
static bool value_is_in(struct trail *t, const struct group_part *part, uint32_t declared,
                        struct slice value) {
    static const uint32_t types[] = {OID_INT8, OID_UUID, OID_INT4, OID_INT2};
    unsigned n = part->format == 1 ? 4 : 2; // any integer's text can be read as int8
    struct key k;
    if (!value.data)
        return false;
    for (unsigned i = 0; i < n; i++)
        if ((part->format == 0 || !declared || declared == types[i]) &&
            key_read(types[i], part->format, value, &k) && is_in(t, trail_kind_of(types[i]), &k))
            return true;
    return (!declared || trail_kind_of(declared) == TRAIL_TEXT) && text_is_in(t, value, part->quoted);
}

bool predict_is_plausible(struct trail *t, const struct group *g, const struct slice *raw) {
    for (unsigned i = 0; i < g->n_parts && t->results; i++) {
        const struct group_part *part = &g->parts[i];
        struct slice value = raw[i];
        uint32_t declared = part->declared;
        if (g->shape->parsed->keys[part->key].array) {
            declared = key_element_type(declared);
            if (!key_array_element(part->format, raw[i], declared, &value))
                continue;
        }
        if (value_is_in(t, part, declared, value))
            return true;
    }
    return false;
}

// ---- associations

static void origins_of(const struct guess *w, unsigned n_parts, uint64_t *origins) {
    memset(origins, 0, KEY_MAX_PARTS * sizeof *origins);
    for (unsigned i = 0; i < n_parts; i++)
        if (w->columns[i] >= 0)
            origins[i] = trail_origin(w->result, (unsigned)w->columns[i]);
}

static struct association *find_association(struct shape *s, const uint64_t *origins) {
    for (unsigned i = 0; s->associations && i < AHEAD_ASSOCIATIONS; i++)
        if (memcmp(s->associations[i].origin, origins, sizeof s->associations[i].origin) == 0)
            return &s->associations[i];
    return NULL;
}

// The new one takes the place of the one that was used longest ago.
static struct association *add_association(struct shape *s, const uint64_t *origins) {
    size_t bytes = AHEAD_ASSOCIATIONS * sizeof *s->associations;
    if (!s->associations) {
        s->associations = calloc(1, bytes);
        account_set(s->memory, &s->weighs, s->weighs + (s->associations ? bytes + MEMORY_BLOCK : 0));
    }
    if (!s->associations)
        return NULL;
    struct association *oldest = s->associations;
    for (unsigned i = 1; i < AHEAD_ASSOCIATIONS; i++)
        if (s->associations[i].last_asked < oldest->last_asked)
            oldest = &s->associations[i];
    *oldest = (struct association){0};
    memcpy(oldest->origin, origins, sizeof oldest->origin);
    return oldest;
}

// Tells whether the catalogue says that the column supplies the part's values.
static bool is_linked(const struct group *g, unsigned part, const struct trail_column *c) {
    for (unsigned i = 0; c->table && i < g->n_links; i++)
        if (g->links[i].key == g->parts[part].key && g->links[i].table == c->table &&
            g->links[i].attribute == c->attribute)
            return true;
    return false;
}

// ---- where a key comes from

static bool is_other(const struct group_part *part) {
    return trail_kind_of(part->type) == TRAIL_OTHER;
}

// Tells whether the part's value is that of the column, written as this client writes it.
static bool is_spelled(struct guess *w, const struct group_part *part, unsigned index, unsigned column,
                       const struct key *value) {
    const struct trail_column *c = &w->result->columns.columns[column];
    struct key k = trail_value(w->result, w->row, column);
    struct slice read = {k.of.raw, k.len}, sent = {value->of.raw, value->len};
    return c->type == part->type && c->format <= part->format && k.kind == KEY_RAW &&
           value->kind == KEY_RAW &&
           spelling_find(read, sent, c->format < part->format, &w->spellings[index]);
}

static bool is_in_row(struct guess *w, const struct group *g, unsigned part, unsigned column,
                      const struct key *value) {
    if (w->result->columns.columns[column].kind != trail_kind_of(g->parts[part].type))
        return false;
    if (is_other(&g->parts[part]))
        return is_spelled(w, &g->parts[part], part, column, value);
    struct key k = trail_value(w->result, w->row, column);
    return k.kind != KEY_NULL && key_equal(&k, value);
}

// Finds the columns that have the values of the other parts in the same row.
static void find_other_columns(struct guess *w, const struct group *g, const struct key *values) {
    for (unsigned part = 0; part < g->n_parts; part++) {
        if (part == w->lead)
            continue;
        w->columns[part] = -1;
        for (unsigned i = 0; i < w->result->columns.n && w->columns[part] < 0; i++)
            if ((int)i != w->columns[w->lead] && is_in_row(w, g, part, i, &values[part]))
                w->columns[part] = (int)i;
    }
}

// Tells whether the column only repeats what was asked for: it is the group's own key column, in the group's
// own answers, or in answers to lookups of another shape by the same column.
static bool is_echo(const struct group *g, unsigned part, struct trail_result *r, unsigned column) {
    const struct trail_column *c = &r->columns.columns[column];
    unsigned own = 0; // of each key its own column comes first
    while (own < g->n_links && g->links[own].key != g->parts[part].key)
        own++;
    if (own == g->n_links || g->links[own].table != c->table || g->links[own].attribute != c->attribute)
        return false;
    return r->columns.group == g->id || trail_distinct(r, column) == 1;
}

#define LINKED  2u
#define KNOWN   4u // linked, or learnt
#define ALREADY 1u // the lookup before went by it, too

// Weighs what speaks for a place where the key was found.
static struct guess rank_place(struct trail *t, const struct group *g, const struct key *values,
                               unsigned lead, const struct trail_place *p) {
    struct guess w = {.trail = t, .result = p->result, .lead = lead, .row = p->row, .turns = true};
    uint64_t origins[KEY_MAX_PARTS];
    w.columns[lead] = (int)p->column;
    find_other_columns(&w, g, values);
    origins_of(&w, g->n_parts, origins);
    w.association = find_association(g->shape, origins);
    w.distinct = g->n_parts > 1 ? trail_distinct(p->result, p->column) : 0;
    const struct trail_target *target = trail_target(p->result, g->id, p->column, false);
    w.seconded = target && target->any && target->last_row != p->row;
    w.backwards = w.seconded && target->last_row > p->row;
    if (is_linked(g, lead, &p->result->columns.columns[p->column]))
        w.rank = KNOWN | LINKED;
    else if (w.association && w.association->sure)
        w.rank = KNOWN;
    w.rank |= w.seconded ? ALREADY : 0;
    return w;
}

// When one statement has several results, the client goes through the last one now.
static bool is_better(const struct guess *a, const struct guess *b) {
    const struct trail_result *ra = a->result, *rb = b->result;
    if (rb && a->trail == b->trail && ra->columns.source == rb->columns.source && ra->serial != rb->serial &&
        a->lead == b->lead && memcmp(a->columns, b->columns, sizeof a->columns) == 0)
        return ra->serial > rb->serial;
    if (!rb || a->rank != b->rank)
        return !rb || a->rank > b->rank;
    return a->distinct > b->distinct;
}

static void note_place(const struct group *g, const struct trail_place *p) {
    struct trail_target *target = trail_target(p->result, g->id, p->column, true);
    if (target)
        trail_note_asked(target, p->row);
}

#define MAX_PLACES 16 // places looked at for one lookup

static void rank_part(struct trail *t, const struct group *g, const struct key *values, unsigned lead,
                      struct guess *best) {
    enum trail_kind kind = trail_kind_of(g->parts[lead].type);
    struct trail_place p = {0};
    if (kind == TRAIL_NOTHING || kind == TRAIL_OTHER)
        return;
    for (unsigned n = 0; n < MAX_PLACES && trail_find(t, kind, &values[lead], &p); n++) {
        if (is_echo(g, lead, p.result, p.column))
            continue;
        struct guess w = rank_place(t, g, values, lead, &p);
        note_place(g, &p);
        if (is_better(&w, best))
            *best = w;
    }
}

bool predict_locate(struct trail *t, struct group *g, const struct key *keys, struct guess *guess) {
    uint8_t scratch[KEY_MAX_PARTS][2 * TRAIL_MAX_TEXT];
    struct key values[KEY_MAX_PARTS];
    for (unsigned i = 0; i < g->n_parts; i++)
        if (!plain_value(&keys[i], scratch[i], &values[i]))
            return false;
    for (unsigned lead = 0; lead < g->n_parts && t->results; lead++)
        rank_part(t, g, values, lead, guess);
    return guess->trail == t && guess->rank;
}

bool predict_follow(struct group *g, uint64_t now, struct guess *guess) {
    uint64_t origins[KEY_MAX_PARTS];
    struct association *a = guess->association;
    if (!a) {
        origins_of(guess, g->n_parts, origins);
        a = add_association(g->shape, origins);
    }
    if (!a)
        return false;
    if (!a->sure && guess->rank & LINKED)
        a->linked = true;
    a->sure = true;
    association_asked(a, now);
    trail_touch(guess->trail, guess->result);
    guess->association = a;
    return true;
}

// Finds where the parts' columns are in a result of the association. Returns false when one is missing.
static bool columns_in(const struct association *a, const struct trail_result *r, unsigned n_parts,
                       int *columns) {
    bool all = true;
    for (unsigned part = 0; part < n_parts; part++) {
        columns[part] = -1;
        for (unsigned i = 0; a->origin[part] && i < r->columns.n; i++)
            if (trail_origin(r, i) == a->origin[part])
                columns[part] = (int)i;
        all &= !a->origin[part] || columns[part] >= 0;
    }
    return all;
}

// Tells whether the column may supply the part's values, or has supplied them.
static bool is_supplier(const struct group *g, unsigned part, struct trail_result *r, unsigned column) {
    return is_linked(g, part, &r->columns.columns[column]) || trail_target(r, g->id, column, false);
}

// The first part that comes from a column.
static unsigned lead_of(const struct group *g, const struct association *a) {
    unsigned lead = 0;
    while (lead + 1 < g->n_parts && (!a->origin[lead] || is_other(&g->parts[lead])))
        lead++;
    return lead;
}

bool predict_has_read(struct trail *t, const struct group *g, const struct key *keys,
                      const struct association *a, uint64_t lists, uint64_t by) {
    uint8_t scratch[2 * TRAIL_MAX_TEXT];
    struct key value;
    uint32_t row;
    unsigned lead = lead_of(g, a);
    enum trail_kind kind = trail_kind_of(g->parts[lead].type);
    if (!plain_value(&keys[lead], scratch, &value))
        return false;
    for (struct trail_result *r = t->results; r; r = r->next) {
        if (r->serial <= lists || r->columns.at > by || r->columns.unread || !trail_is_whole(t, r))
            continue;
        for (unsigned i = 0; i < r->columns.n; i++)
            if (r->columns.columns[i].kind == kind && !is_echo(g, lead, r, i) &&
                (trail_origin(r, i) == a->origin[lead] || is_supplier(g, lead, r, i)) &&
                trail_find_row(t, r, i, &value, &row))
                return true;
    }
    return false;
}

// Returns false when the lookup at hand has another value than its row of the list.
static bool learn_spellings(struct guess *w, const struct group *g, const struct key *keys) {
    uint8_t scratch[2 * TRAIL_MAX_TEXT];
    struct key value;
    for (unsigned part = 0; part < g->n_parts; part++)
        if (w->columns[part] >= 0 && is_other(&g->parts[part]) &&
            (!plain_value(&keys[part], scratch, &value) ||
             !is_spelled(w, &g->parts[part], part, (unsigned)w->columns[part], &value)))
            return false;
    return true;
}

// The key is noted in every result that may predict it again.
bool predict_relocate(struct trail *t, struct group *g, const struct key *keys, unsigned association,
                      struct guess *guess) {
    struct association *a = &g->shape->associations[association];
    uint8_t scratch[2 * TRAIL_MAX_TEXT];
    struct key value;
    unsigned lead = lead_of(g, a);
    *guess = (struct guess){.trail = t, .association = a};
    if (!plain_value(&keys[lead], scratch, &value))
        return false;
    guess->lead = lead;
    enum trail_kind kind = trail_kind_of(g->parts[lead].type);
    for (struct trail_result *r = t->results; r; r = r->next) {
        for (unsigned i = 0; trail_is_whole(t, r) && i < r->columns.n; i++) {
            struct trail_place p = {r, i, 0};
            bool same = trail_origin(r, i) == a->origin[lead];
            if (r->columns.columns[i].kind != kind || is_echo(g, lead, r, i) ||
                (!same && !is_supplier(g, lead, r, i)) || !trail_find_row(t, r, i, &value, &p.row))
                continue;
            const struct trail_target *target = trail_target(r, g->id, i, false);
            bool backwards = target && target->any && target->last_row > p.row;
            note_place(g, &p);
            if (same && (!guess->result || r->serial > guess->result->serial)) {
                guess->result = r;
                guess->row = p.row;
                guess->backwards = backwards;
            }
        }
    }
    if (!guess->result)
        return false;
    (void)columns_in(a, guess->result, g->n_parts, guess->columns);
    return guess->columns[lead] >= 0 && learn_spellings(guess, g, keys);
}

// ---- the coming keys

struct gathering {
    const struct guess *guess;
    const struct group *g;
    const struct key *asked;
    struct batch *b;
    bool (*skip)(void *arg, const struct key *keys);
    void *arg;
};

// Room for a row's key, until the batch has copied it.
struct scratch {
    uint8_t spelled[KEY_MAX_PARTS][SPELLING_MAX], doubled[KEY_MAX_PARTS][2 * TRAIL_MAX_TEXT];
};

static bool respell(const struct gathering *x, unsigned part, struct key *value, uint8_t *out) {
    if (value->kind != KEY_RAW)
        return false;
    size_t n = spelling_write(&x->guess->spellings[part], (struct slice){value->of.raw, value->len}, out);
    *value = (struct key){.kind = KEY_RAW, .len = (uint32_t)n, .of.raw = out};
    return n > 0;
}

// Makes the row's key. Returns false when no lookup of the group would send it.
static bool key_of_row(const struct gathering *x, const struct trail_result *r, uint32_t row,
                       const int *columns, struct scratch *scratch, struct key *keys) {
    for (unsigned i = 0; i < x->g->n_parts; i++) {
        keys[i] = x->asked[i];
        if (columns[i] < 0)
            continue;
        struct key value = trail_value(r, row, (unsigned)columns[i]);
        if (is_other(&x->g->parts[i]) && !respell(x, i, &value, scratch->spelled[i]))
            return false;
        if (!key_of_value(&x->g->parts[i], x->g->values != NULL, &value, scratch->doubled[i], &keys[i]))
            return false;
    }
    return true;
}

// Tells whether the row's value was asked for, in any row that has it.
static bool is_over(const struct gathering *x, struct trail_result *r, uint32_t row, unsigned column,
                    const struct trail_target *target) {
    uint32_t first;
    if (trail_was_asked(target, row))
        return true;
    struct key value = trail_value(r, row, column);
    return value.kind == KEY_NULL || !trail_find_row(x->guess->trail, r, column, &value, &first) ||
           trail_was_asked(target, first);
}

static void gather_rows(struct gathering *x, struct trail_result *r, const int *columns, int64_t from,
                        int step) {
    struct scratch scratch;
    struct key keys[KEY_MAX_PARTS];
    unsigned lead = (unsigned)columns[x->guess->lead];
    const struct trail_target *target = trail_target(r, x->g->id, lead, true);
    for (int64_t at = from; target && at >= 0 && at < r->n_rows; at += step) {
        uint32_t row = (uint32_t)at;
        if (is_over(x, r, row, lead, target) || !key_of_row(x, r, row, columns, &scratch, keys) ||
            x->skip(x->arg, keys))
            continue;
        if (!batch_add_key(x->b, keys))
            return;
    }
}

// The next result of the same statement after this one.
static struct trail_result *next_of_source(const struct trail *t, uint64_t source, uint64_t serial) {
    struct trail_result *next = NULL;
    for (struct trail_result *r = t->results; r; r = r->next)
        if (r->columns.source == source && r->serial > serial && (!next || r->serial < next->serial))
            next = r;
    return next;
}

// The loop will come to the rows of this statement's later results, one result after the other.
static void gather_later(struct gathering *x) {
    const struct trail *t = x->guess->trail;
    struct trail_result *r = x->guess->result;
    uint64_t source = r->columns.source;
    int columns[KEY_MAX_PARTS];
    while (x->b->n_keys < x->b->max_keys && (r = next_of_source(t, source, r->serial)))
        if (trail_is_whole(t, r) && columns_in(x->guess->association, r, x->g->n_parts, columns))
            gather_rows(x, r, columns, 0, 1);
}

void predict_gather(const struct guess *guess, const struct group *g, const struct key *keys, struct batch *b,
                    bool (*skip)(void *arg, const struct key *keys), void *arg) {
    struct gathering x = {guess, g, keys, b, skip, arg};
    if (!guess->backwards)
        gather_rows(&x, guess->result, guess->columns, (int64_t)guess->row + 1, 1);
    if (!guess->backwards)
        gather_later(&x);
    if (guess->backwards || (guess->turns && !b->n_keys))
        gather_rows(&x, guess->result, guess->columns, (int64_t)guess->row - 1, -1);
}

// ---- how many

#define FIRST_LINKED 100
#define FIRST_LEARNT 25
#define LEAST        4
#define COST_KEYS    16
#define FAILURES     4 // in a row
#define FIRST_PAUSE  100000
#define LAST_PAUSE   60000000

static uint32_t average(uint32_t old, uint64_t value) {
    uint32_t v = value < UINT32_MAX / 8 ? (uint32_t)value : UINT32_MAX / 8;
    return old ? (uint32_t)((old * 7u + v) / 8) : v;
}

static uint64_t next_pause(uint64_t pause) {
    return !pause ? FIRST_PAUSE : 2 * pause < LAST_PAUSE ? 2 * pause : LAST_PAUSE;
}

static bool is_in_vain(const struct association *a) {
    return a->unserved >= FAILURES;
}

// Batches count when they are sent, so it makes no difference what becomes of them, and when.
static bool is_resting(const struct association *a, uint64_t now) {
    return is_in_vain(a) && now < a->last_sent + (a->pause ? a->pause : FIRST_PAUSE);
}

void association_sent(struct association *a, uint64_t now) {
    if (is_in_vain(a))
        a->pause = next_pause(a->pause ? a->pause : FIRST_PAUSE);
    else
        a->unserved++;
    a->last_sent = now;
}

void association_served(struct association *a) {
    a->unserved = 0;
}

unsigned association_window(const struct association *a, uint64_t now, uint64_t age, unsigned max) {
    uint64_t n = a->window ? a->window : a->linked ? FIRST_LINKED : FIRST_LEARNT;
    if (now < a->off_until || is_resting(a, now))
        return 0;
    n = is_in_vain(a) ? LEAST : n;
    if (age && a->gap && n * a->gap > age / 10 * 8)
        n = age / 10 * 8 / a->gap; // more would be too old when they are asked for
    if (a->cost && n * a->cost > PREDICT_LATENCY * UINT64_C(1000))
        n = PREDICT_LATENCY * UINT64_C(1000) / a->cost;
    n = n < LEAST ? LEAST : n;
    return n < max ? (unsigned)n : max;
}

bool association_is_low(const struct association *a, unsigned left) {
    unsigned half = a->window / 2;
    uint64_t needed = a->gap ? 2 * (uint64_t)a->latency / a->gap + 1 : half;
    return left <= (needed < half ? needed : half);
}

// A pause between two loops is not a gap between two lookups, so long gaps are left out. A pause inside a
// loop, from the application's own work, is rare; it is cut to four times the average.
void association_asked(struct association *a, uint64_t now) {
    uint64_t gap = now - a->last_asked, most = a->gap ? UINT64_C(4) * a->gap + 100 : UINT64_MAX;
    if (a->last_asked && gap < 100000)
        a->gap = average(a->gap, !gap ? 1 : gap < most ? gap : most);
    a->last_asked = now;
}

void association_grow(struct association *a, unsigned max) {
    a->window = a->window >= max / 2 ? max : 2 * a->window;
    a->pause = 0;
    a->failures = 0;
    a->useful = true;
}

void association_loaded(struct association *a, uint64_t took, uint64_t lone, unsigned n_keys) {
    a->latency = average(a->latency, took);
    if (n_keys >= COST_KEYS) // a smaller batch takes mostly the way there and back
        a->cost = average(a->cost, (took > lone ? took - lone : 0) * 1000 / n_keys);
}

// What one pause of the loop has made stale counts once. A pause now and then is no reason to stop loading.
// Only when successive batches are of no use, nothing is loaded for a while.
void association_ended(struct association *a, uint64_t now, unsigned n_keys, unsigned n_served, bool late) {
    unsigned share = n_keys <= LEAST ? 2 : 4; // of a small batch, a larger part must be of use
    if (share * n_served >= n_keys) {
        a->failures = 0;
        if (a->window < FIRST_LINKED) // a loop that skips rows gets back what a pause has cost it
            a->window *= 2;
        return;
    }
    if (now == a->last_ended || now < a->off_until)
        return;
    a->last_ended = now;
    uint32_t half = a->window / 2 > LEAST ? a->window / 2 : LEAST;
    a->window = 2 * n_served > half ? 2 * n_served : half;
    if (late && n_served)
        return; // the guess was right
    a->useful = false;
    if (++a->failures < FAILURES)
        return;
    a->window = LEAST;
    a->pause = next_pause(a->pause);
    a->off_until = now + a->pause;
}
