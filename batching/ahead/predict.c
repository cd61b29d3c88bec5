// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/predict.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/ahead.h"
#include "batching/statement/shape.h"

// ---- values

// A key as the trail has it: a text without the quotes' doubling. False: it is none that a trail may have.
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

// Room for the plain values of a key.
struct texts {
    uint8_t of[KEY_MAX_PARTS][2 * TRAIL_MAX_TEXT];
};

// The reverse: what a lookup for this value would send. `scratch` holds twice TRAIL_MAX_TEXT.
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

// A value whose type may not be known, as whatever it can be. In binary its width tells.
static bool value_is_in(struct trail *t, const struct group_part *part, uint32_t declared,
                        struct slice value) {
    static const uint32_t types[] = {OID_INT8, OID_UUID, OID_INT4, OID_INT2};
    unsigned n = part->format == 1 ? 4 : 2; // any integer's text is that of an int8
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

// In place of the one that was used longest ago.
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

// Does the catalogue say that the column supplies the part's values?
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

// Is the part's value that of the column, as the client writes it?
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

// Is this how lookups have gone before?
static bool is_learnt(const struct shape *s, unsigned part, uint64_t origin) {
    for (unsigned i = 0; s->associations && i < AHEAD_ASSOCIATIONS; i++)
        if (s->associations[i].sure && s->associations[i].origin[part] == origin)
            return true;
    return false;
}

static bool is_supplied(const struct group *g, unsigned part, const struct trail_result *r, unsigned column) {
    return is_linked(g, part, &r->columns.columns[column]) ||
           is_learnt(g->shape, part, trail_origin(r, column));
}

// The column that has the part's value in the same row: one that supplies it, or the lead's, since equal values
// are mostly the same thing, or any; -1: none.
static int find_column(struct guess *w, const struct group *g, unsigned part, const struct key *value) {
    int found = -1;
    bool supplied = false;
    unsigned n = w->result->columns.n, lead = (unsigned)w->columns[w->lead];
    for (unsigned i = 0; i < n && !supplied; i++) {
        unsigned column = (lead + i) % n;
        if (!is_in_row(w, g, part, column, value))
            continue;
        supplied = is_supplied(g, part, w->result, column);
        if (found < 0 || supplied)
            found = (int)column;
    }
    return found;
}

// The values of the other parts in the same row.
static void find_columns(struct guess *w, const struct group *g, const struct key *values) {
    w->fits = 1;
    for (unsigned part = 0; part < g->n_parts; part++) {
        if (part != w->lead)
            w->columns[part] = find_column(w, g, part, &values[part]);
        w->fits += part != w->lead && w->columns[part] >= 0;
    }
}

#define MAX_EQUAL 64 // rows with the lead's value that are looked at

// Of the rows with the lead's value, from w->row on, the first that has most of the others.
static void find_row(struct guess *w, const struct group *g, const struct key *values) {
    struct guess at = *w;
    unsigned n = 0;
    do {
        find_columns(&at, g, values);
        if (!n || at.fits > w->fits)
            *w = at;
    } while (w->fits < g->n_parts && ++n < MAX_EQUAL &&
             trail_next_equal(at.result, (unsigned)at.columns[at.lead], &at.row));
}

// Who asks for the values that no column supplies.
static uint64_t who_asks(const struct guess *w, const struct group *g, const struct key *values) {
    uint64_t who = g->id * KEY_MAX_PARTS + w->lead;
    for (unsigned part = 0; part < g->n_parts; part++)
        if (w->columns[part] < 0)
            who = key_hash(&values[part], who);
    return who;
}

// The group's own column where it holds what was asked for, and nothing else: in its own answers, and in
// those to lookups of another shape by the same column.
static bool is_echo(const struct group *g, unsigned part, struct trail_result *r, unsigned column) {
    const struct trail_column *c = &r->columns.columns[column];
    unsigned own = 0; // of each key its own column comes first
    while (own < g->n_links && g->links[own].key != g->parts[part].key)
        own++;
    if (own == g->n_links || g->links[own].table != c->table || g->links[own].attribute != c->attribute)
        return false;
    return r->columns.group == g->id || trail_distinct(r, column) == 1;
}

#define MAX_TURNS 1024 // rows with equal values that are told apart

// Do the columns have the same values there?
static bool is_same_key(const struct guess *w, unsigned n_parts, uint32_t row, uint32_t other) {
    for (unsigned part = 0; part < n_parts; part++) {
        if (w->columns[part] < 0)
            continue;
        struct key a = trail_value(w->result, row, (unsigned)w->columns[part]);
        struct key b = trail_value(w->result, other, (unsigned)w->columns[part]);
        if (a.kind == KEY_NULL || b.kind == KEY_NULL || !key_equal(&a, &b))
            return false;
    }
    return true;
}

// A row of a list answers one lookup, but for the group's own answers, which have what was asked for.
static bool counts_rows(const struct group *g, const struct trail_result *r) {
    return r->columns.group != g->id;
}

// The row for which it is asked now: the next one with its values that it was not asked for yet, or one before.
// False: there is none.
static bool find_turn(struct guess *w, const struct group *g, const struct trail_target *target) {
    uint32_t row = w->row, first = w->row;
    bool found = false;
    unsigned n = 0;
    if (!target || !counts_rows(g, w->result))
        return !w->result->forgets;
    do {
        if (trail_was_asked(target, row) || !is_same_key(w, g->n_parts, row, first))
            continue;
        w->row = row;
        found = true;
        if (!target->any || row > target->last_row)
            break;
    } while (++n < MAX_TURNS && trail_next_equal(w->result, (unsigned)w->columns[w->lead], &row));
    return found && target->whole;
}

// What speaks for a place at which the key was found.
static struct guess weigh(struct trail *t, const struct group *g, const struct key *values, unsigned lead,
                          const struct trail_place *p) {
    struct guess w = {.trail = t, .result = p->result, .lead = lead, .row = p->row, .turns = true};
    uint64_t origins[KEY_MAX_PARTS];
    w.columns[lead] = (int)p->column;
    find_row(&w, g, values);
    origins_of(&w, g->n_parts, origins);
    w.association = find_association(g->shape, origins);
    w.who = who_asks(&w, g, values);
    w.distinct = g->n_parts > 1 ? trail_distinct(p->result, p->column) : 0;
    const struct trail_target *target = trail_target(p->result, w.who, p->column, false);
    (void)find_turn(&w, g, target);
    w.seconded = target && target->any && !is_same_key(&w, g->n_parts, target->last_row, w.row);
    w.backwards = w.seconded && target->last_row > w.row;
    w.goes_on = target && trail_goes_on(target, w.row) ? 1u + target->run : 0;
    w.habit = target ? target->longest : 0;
    w.linked = is_linked(g, lead, &p->result->columns.columns[p->column]);
    w.known = w.linked || (w.association && w.association->sure);
    w.own = p->result->columns.group == g->id;
    return w;
}

#define SURE_RUN 2u // steps beside each other that are no chance

static bool goes_on(const struct guess *w) {
    return w->goes_on >= SURE_RUN;
}

// A total order, of those that may be followed at all. All of the key comes from one row; in the list that the
// loop goes through now, or in which it did before; else in the newest.
static bool is_better(const struct guess *a, const struct guess *b) {
    if (!b->result || a->fits != b->fits)
        return !b->result || a->fits > b->fits;
    if (goes_on(a) != goes_on(b))
        return goes_on(a);
    if (a->known != b->known)
        return a->known;
    if (a->own != b->own)
        return b->own;
    if ((a->habit >= SURE_RUN) != (b->habit >= SURE_RUN))
        return a->habit > b->habit;
    if (a->seconded != b->seconded)
        return a->seconded;
    if (a->linked != b->linked)
        return a->linked;
    if (a->trail == b->trail && a->result != b->result)
        return a->result->serial > b->result->serial;
    return a->distinct > b->distinct;
}

static void note_place(const struct guess *w) {
    unsigned column = (unsigned)w->columns[w->lead];
    struct trail_target *target = trail_target(w->result, w->who, column, true);
    if (target)
        trail_note_asked(w->result, target, w->row);
}

#define MAX_PLACES 48 // looked at for one lookup,
#define MAX_CHANCE 4  // in each result, of those that nothing speaks for

struct places {
    struct guess all[MAX_PLACES];
    unsigned n, fits; // the most of any
};

static void weigh_part(struct trail *t, const struct group *g, const struct key *values, unsigned lead,
                       struct places *s) {
    enum trail_kind kind = trail_kind_of(g->parts[lead].type);
    struct trail_place p = {0};
    const struct trail_result *last = NULL;
    unsigned n = 0;
    if (kind == TRAIL_NOTHING || kind == TRAIL_OTHER)
        return;
    while (s->n < MAX_PLACES && trail_find(t, kind, &values[lead], &p)) {
        n = p.result == last ? n : 0;
        last = p.result;
        bool chance = !is_supplied(g, lead, p.result, p.column);
        if (is_echo(g, lead, p.result, p.column) || (chance && n++ >= MAX_CHANCE))
            continue;
        struct guess *w = &s->all[s->n++];
        *w = weigh(t, g, values, lead, &p);
        s->fits = w->fits > s->fits ? w->fits : s->fits;
    }
}

static bool is_same_way(const struct guess *a, const struct guess *b) {
    return a->lead == b->lead && a->result->columns.source == b->result->columns.source &&
           memcmp(a->columns, b->columns, sizeof a->columns) == 0;
}

// A later result of the same statement has it, too, and it is not this one that the loop goes through.
static bool is_outdated(struct places *s, struct guess *w) {
    bool newer = false;
    for (const struct guess *o = s->all; o < s->all + s->n; o++) {
        if (!is_same_way(o, w))
            continue;
        w->habit = o->habit > w->habit ? o->habit : w->habit;
        newer |= o->result->serial > w->result->serial && (goes_on(o) || !goes_on(w));
    }
    return newer;
}

// Noted where it has most parts of the key, whichever is followed.
static void choose(struct places *s, struct guess *best) {
    for (struct guess *w = s->all; w < s->all + s->n; w++)
        if (!is_outdated(s, w) && (w->known || w->seconded) && is_better(w, best))
            *best = *w;
    for (const struct guess *w = s->all; w < s->all + s->n; w++)
        if (w->fits == s->fits || w->known)
            note_place(w);
}

static bool plain_values(const struct group *g, const struct key *keys, struct texts *texts,
                         struct key *values) {
    for (unsigned i = 0; i < g->n_parts; i++)
        if (!plain_value(&keys[i], texts->of[i], &values[i]))
            return false;
    return true;
}

bool predict_locate(struct trail *t, struct group *g, const struct key *keys, struct guess *guess) {
    struct texts texts;
    struct key values[KEY_MAX_PARTS];
    struct places places;
    places.n = places.fits = 0;
    if (!plain_values(g, keys, &texts, values))
        return false;
    for (unsigned lead = 0; lead < g->n_parts && t->results; lead++)
        weigh_part(t, g, values, lead, &places);
    bool cut = guess->cut || places.n == MAX_PLACES;
    choose(&places, guess);
    guess->cut = cut;
    return guess->trail == t;
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
    if (!a->sure && guess->linked)
        a->linked = true;
    a->sure = true;
    a->lead = (uint8_t)guess->lead;
    association_asked(a, now);
    trail_touch(guess->trail, guess->result);
    guess->association = a;
    return true;
}

// Where the parts' columns are in a result of the association; false: one of them is missing.
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

// The part by which the association's places are found.
static unsigned lead_of(const struct group *g, const struct association *a) {
    unsigned lead = a->lead;
    if (lead < g->n_parts && a->origin[lead])
        return lead;
    lead = 0;
    while (lead + 1 < g->n_parts && (!a->origin[lead] || is_other(&g->parts[lead])))
        lead++;
    return lead;
}

static unsigned n_origins(const struct association *a) {
    unsigned n = 0;
    for (unsigned part = 0; part < KEY_MAX_PARTS; part++)
        n += a->origin[part] != 0;
    return n;
}

// Does the column of a result have the key, as the association or another way? It is found in *w.
static bool find_again(struct trail *t, const struct group *g, const struct association *a,
                       const struct key *values, struct guess *w, struct trail_result *r, unsigned column) {
    uint64_t origins[KEY_MAX_PARTS];
    unsigned lead = lead_of(g, a);
    *w = (struct guess){.trail = t, .result = r, .lead = lead};
    if (r->columns.columns[column].kind != trail_kind_of(g->parts[lead].type) || is_echo(g, lead, r, column))
        return false;
    bool same = trail_origin(r, column) == a->origin[lead];
    bool linked = is_linked(g, lead, &r->columns.columns[column]);
    if ((!same && !linked && !trail_is_followed(r, column)) ||
        !trail_find_row(t, r, column, &values[lead], &w->row))
        return false;
    w->columns[lead] = (int)column;
    find_row(w, g, values);
    origins_of(w, g->n_parts, origins);
    w->who = who_asks(w, g, values);
    w->known = memcmp(origins, a->origin, sizeof origins) == 0;
    w->linked = same || linked;
    return w->linked || trail_target(r, w->who, column, false);
}

// It came before the batch was loaded for it. What others have loaded must have been sent after it was given.
static bool is_before(const struct trail_result *r, const struct batch *b, bool own) {
    return own ? r->columns.loads < b->ahead.number : r->columns.at <= b->started;
}

static bool has_turn(struct guess *w, const struct group *g, const struct asked_entry *asked, bool own) {
    const struct trail_target *target = trail_target(w->result, w->who, (unsigned)w->columns[w->lead], false);
    bool counts = own && counts_rows(g, w->result);
    return w->result->serial > (counts ? asked->base : asked->lists) && find_turn(w, g, target);
}

bool predict_has_read(struct trail *t, const struct group *g, const struct key *keys, const struct batch *b,
                      const struct asked_entry *asked, bool own, bool first) {
    const struct association *a = &g->shape->associations[b->ahead.association];
    struct texts texts;
    struct key values[KEY_MAX_PARTS];
    struct guess w;
    bool has = false;
    if (!plain_values(g, keys, &texts, values) ||
        (own && (int32_t)((uint32_t)b->ahead.number - asked->loads) <= 0))
        return false;
    for (struct trail_result *r = t->results; r; r = r->next) {
        for (unsigned i = 0; !r->columns.unread && trail_is_whole(t, r) && i < r->columns.n; i++) {
            if (!find_again(t, g, a, values, &w, r, i) || w.fits < n_origins(a))
                continue;
            if (!first && !is_before(r, b, own) && w.linked && counts_rows(g, r))
                return false; // the client has read it anew since
            has |= is_before(r, b, own) && has_turn(&w, g, asked, own);
        }
    }
    return has;
}

// Noted in every result that may predict it again.
bool predict_relocate(struct trail *t, struct group *g, const struct key *keys, unsigned association,
                      struct guess *guess) {
    struct association *a = &g->shape->associations[association];
    struct texts texts;
    struct key values[KEY_MAX_PARTS];
    struct guess w;
    *guess = (struct guess){.trail = t, .association = a};
    if (!plain_values(g, keys, &texts, values))
        return false;
    for (struct trail_result *r = t->results; r; r = r->next) {
        for (unsigned i = 0; trail_is_whole(t, r) && i < r->columns.n; i++) {
            if (!find_again(t, g, a, values, &w, r, i))
                continue;
            const struct trail_target *target = trail_target(r, w.who, i, false);
            (void)find_turn(&w, g, target);
            w.backwards = target && target->any && target->last_row > w.row;
            w.goes_on = target && trail_goes_on(target, w.row) ? 1u + target->run : 0;
            w.association = a;
            note_place(&w);
            bool first = !guess->result || goes_on(&w) > goes_on(guess);
            if (w.known && w.fits >= n_origins(a) &&
                (first || (goes_on(&w) == goes_on(guess) && r->serial > guess->result->serial)))
                *guess = w;
        }
    }
    return guess->result != NULL;
}

// ---- the coming keys

struct gathering {
    const struct guess *guess;
    const struct group *g;
    const struct key *asked;
    struct batch *b;
    bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys);
    void *arg;
};

// What a row's key is made of, until the batch has copied it.
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

// The row's key; false: it is none that a lookup of the group would send.
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

// Was the row's value asked for? In an answer of the group's own: in whichever row that has it.
static bool is_over(const struct gathering *x, struct trail_result *r, uint32_t row, unsigned column,
                    const struct trail_target *target) {
    uint32_t first;
    struct key value = trail_value(r, row, column);
    if (trail_was_asked(target, row) || value.kind == KEY_NULL)
        return true;
    return !counts_rows(x->g, r) &&
           (!trail_find_row(x->guess->trail, r, column, &value, &first) || trail_was_asked(target, first));
}

// The rows with these values that were not asked for yet.
static uint16_t count_turns(const struct gathering *x, struct trail_result *r, const int *columns,
                            uint32_t row, const struct trail_target *target) {
    struct guess w = {.result = r, .lead = x->guess->lead};
    unsigned lead = (unsigned)columns[w.lead], n = 0, seen = 0;
    struct key value = trail_value(r, row, lead);
    uint32_t at;
    memcpy(w.columns, columns, sizeof w.columns);
    if (!counts_rows(x->g, r) || !trail_find_row(x->guess->trail, r, lead, &value, &at))
        return counts_rows(x->g, r) ? 0 : 1;
    do
        n += !trail_was_asked(target, at) && is_same_key(&w, x->g->n_parts, at, row);
    while (++seen < MAX_TURNS && trail_next_equal(r, lead, &at));
    return (uint16_t)n;
}

static bool is_asked(const struct gathering *x, const struct key *keys) {
    for (unsigned i = 0; i < x->g->n_parts; i++)
        if (!key_equal(&keys[i], &x->asked[i]))
            return false;
    return true;
}

static void gather_rows(struct gathering *x, struct trail_result *r, const int *columns, int64_t from,
                        int step) {
    struct scratch scratch;
    struct key keys[KEY_MAX_PARTS];
    unsigned lead = (unsigned)columns[x->guess->lead];
    const struct trail_target *target = trail_target(r, x->guess->who, lead, true);
    for (int64_t at = from; target && at >= 0 && at < r->n_rows; at += step) {
        uint32_t row = (uint32_t)at, n = x->b->n_keys;
        if (is_over(x, r, row, lead, target) || !key_of_row(x, r, row, columns, &scratch, keys) ||
            is_asked(x, keys) || x->skip(x->arg, r, keys))
            continue;
        if (!batch_add_key(x->b, keys))
            return;
        if (x->b->n_keys == n)
            continue;
        x->b->ahead.left[n] = count_turns(x, r, columns, row, target);
        x->b->ahead.n_left += x->b->ahead.left[n];
    }
}

// The result of the same statement that came next after this one.
static struct trail_result *next_of_source(const struct trail *t, uint64_t source, uint64_t serial) {
    struct trail_result *next = NULL;
    for (struct trail_result *r = t->results; r; r = r->next)
        if (r->columns.source == source && r->serial > serial && (!next || r->serial < next->serial))
            next = r;
    return next;
}

// The loop will come to the rows of the later results of this statement, one after the other.
static void gather_later(struct gathering *x) {
    const struct trail *t = x->guess->trail;
    struct trail_result *r = x->guess->result;
    uint64_t source = r->columns.source;
    int columns[KEY_MAX_PARTS];
    while (x->b->n_keys < x->b->max_keys && (r = next_of_source(t, source, r->serial)))
        if (trail_is_whole(t, r) && columns_in(x->guess->association, r, x->g->n_parts, columns))
            gather_rows(x, r, columns, 0, 1);
}

// The other rows of the key at hand, if they are not held.
static unsigned count_again(struct gathering *x) {
    struct trail_result *r = x->guess->result;
    unsigned lead = (unsigned)x->guess->columns[x->guess->lead];
    const struct trail_target *target = trail_target(r, x->guess->who, lead, true);
    if (!target || !counts_rows(x->g, r) || x->skip(x->arg, r, x->asked))
        return 0;
    return count_turns(x, r, x->guess->columns, x->guess->row, target);
}

void predict_gather(const struct guess *guess, const struct group *g, const struct key *keys, struct batch *b,
                    bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys),
                    void *arg) {
    struct gathering x = {guess, g, keys, b, skip, arg};
    b->ahead.again = count_again(&x);
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

// Counted when they go out: what becomes of them, and when, makes no difference.
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
        n = age / 10 * 8 / a->gap; // more would be too old before they are asked for
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

// A pause between two loops is none between two of its lookups, and one of the application's own is rare.
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
    if (n_keys >= COST_KEYS) // of fewer it is mostly the way there and back
        a->cost = average(a->cost, (took > lone ? took - lone : 0) * 1000 / n_keys);
}

// What one pause in the loop has made stale counts once. A pause now and then is no reason to stop: only
// where one batch after the other serves for nothing, nothing is loaded for a while.
void association_ended(struct association *a, uint64_t now, unsigned n_keys, unsigned n_served, bool late) {
    unsigned share = n_keys <= LEAST ? 2 : 4; // where little is loaded, more of it must be of use
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
