// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/trail.h"

#include <stdlib.h>
#include <string.h>

#include "batching/ahead/canon.h"
#include "batching/base/hash.h"

// ---- results

void trail_init(struct trail *t, size_t max_bytes) {
    *t = (struct trail){.max_bytes = max_bytes};
}

static void result_free(struct trail *t, struct trail_result *r) {
    t->bytes -= r->bytes;
    t->n_results--;
    for (unsigned i = 0; i < r->columns.n; i++)
        cells_free(&r->cells[i]);
    for (unsigned i = 0; i < TRAIL_MAX_TARGETS; i++)
        free(r->targets[i].asked);
    free(r->cells);
    free(r->given);
    free(r);
}

void trail_clear(struct trail *t) {
    while (t->results) {
        struct trail_result *r = t->results;
        t->results = r->next;
        result_free(t, r);
    }
    free(t->recorder.first);
    t->bytes -= t->recorder.first ? t->recorder.first_len : 0;
    memset(&t->recorder, 0, offsetof(struct trail_recorder, columns));
    t->recorder.first = NULL;
    t->recorder.result = NULL;
    memset(t->recorder.lists, 0, sizeof t->recorder.lists);
}

bool trail_is_whole(const struct trail *t, const struct trail_result *r) {
    for (unsigned i = 0; i < TRAIL_MAX_ARRAYS; i++)
        if (t->recorder.lists[i] == r)
            return false;
    return t->recorder.result != r;
}

bool trail_is_recording(const struct trail *t) {
    bool any = t->recorder.on || t->recorder.result;
    for (unsigned i = 0; i < TRAIL_MAX_ARRAYS; i++)
        any |= t->recorder.lists[i] != NULL;
    return any;
}

void trail_charge(struct trail *t, struct trail_result *r, size_t bytes) {
    r->bytes += bytes;
    t->bytes += bytes;
}

bool trail_is_older(const struct trail *t, const struct trail_result *r) {
    for (const struct trail_result *o = t->results; o; o = o->next)
        if (trail_is_same_kind(o, r) && o->serial > r->serial)
            return true;
    return false;
}

// Tells whether all lookups that follow it have gone through all of it.
static bool is_over(const struct trail_result *r) {
    bool any = false;
    for (unsigned i = 0; i < TRAIL_MAX_TARGETS; i++) {
        if (r->targets[i].who && r->targets[i].n_asked < r->n_rows)
            return false;
        any |= r->targets[i].who != 0;
    }
    return any;
}

// How little would be lost with it; 0: it stays.
static unsigned dispensable(const struct trail *t, const struct trail_result *r) {
    if (r == t->results || !trail_is_whole(t, r))
        return 0;
    return !trail_is_older(t, r) ? 1 : !is_over(r) ? 2 : 3;
}

static bool make_room(struct trail *t) {
    struct trail_result **which = NULL;
    unsigned most = 1;
    for (struct trail_result **at = &t->results; *at; at = &(*at)->next) {
        unsigned n = dispensable(t, *at);
        if (n < most)
            continue;
        which = at; // among equals it is the one that was used longest ago
        most = n;
    }
    if (!which)
        return false;
    struct trail_result *r = *which;
    *which = r->next;
    result_free(t, r);
    return true;
}

struct trail_result *trail_add(struct trail *t, const struct trail_columns *c) {
    while (t->n_results >= TRAIL_MAX_RESULTS && make_room(t))
        ;
    size_t bytes = offsetof(struct trail_result, columns) + trail_columns_size(c);
    struct trail_result *r = calloc(1, bytes);
    struct cells *cells = r ? calloc(c->n, sizeof *cells) : NULL;
    if (!cells) {
        free(r);
        return NULL;
    }
    memcpy(&r->columns, c, trail_columns_size(c));
    for (unsigned i = 0; i < c->n; i++)
        cells_init(&cells[i], t->max_bytes / 2);
    r->cells = cells;
    if (!t->recorder.serial)
        t->recorder.serial = ++t->serial;
    r->serial = t->recorder.serial;
    r->next = t->results;
    t->results = r;
    t->n_results++;
    trail_charge(t, r, bytes + c->n * sizeof *cells);
    return r;
}

// A result that takes more rows now and then must not grow long: its indexes are made anew each time.
#define AGAIN 256 // rows

static void drop_index(struct trail *t, struct trail_result *r) {
    for (unsigned i = 0; i < r->columns.n; i++) {
        struct cells *c = &r->cells[i];
        size_t bytes = c->index ? r->n_slots * sizeof *c->index + r->n_rows * sizeof *c->equal : 0;
        r->bytes -= bytes;
        t->bytes -= bytes;
        free(c->index);
        free(c->equal);
        c->index = c->equal = NULL;
        c->distinct = 0;
    }
    r->n_slots = 0;
}

struct trail_result *trail_open_again(struct trail *t, const struct trail_columns *c) {
    struct trail_result *r = t->results;
    while (r && (r->columns.batch != c->batch || r->columns.source != c->source || r->columns.n != c->n ||
                 r->full || r->given || r->n_rows >= AGAIN))
        r = r->next;
    if (r)
        drop_index(t, r);
    return r;
}

// Which rows were asked for is known of as many as there were. Out of memory, that is forgotten.
void trail_close_again(struct trail *t, struct trail_result *r, uint32_t before) {
    size_t old = before / 64 + 1, now = r->n_rows / 64 + 1;
    for (unsigned i = 0; now > old && i < TRAIL_MAX_TARGETS; i++) {
        struct trail_target *target = &r->targets[i];
        uint64_t *asked = target->asked ? realloc(target->asked, now * sizeof *asked) : NULL;
        if (!asked) {
            free(target->asked);
            *target = (struct trail_target){0};
            continue;
        }
        memset(asked + old, 0, (now - old) * sizeof *asked);
        target->asked = asked;
    }
    trail_touch(t, r);
}

void trail_remove(struct trail *t, struct trail_result *r) {
    struct trail_result **at = &t->results;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    result_free(t, r);
}

// ---- rows

static bool is_kept(const struct trail_result *r, unsigned column) {
    return r->columns.columns[column].kind != TRAIL_NOTHING;
}

// Bytes of all values, with room for so many rows.
static size_t values_bytes(const struct trail_result *r, uint32_t rows) {
    size_t bytes = 0;
    for (unsigned i = 0; i < r->columns.n; i++)
        bytes += is_kept(r, i) ? cells_bytes(&r->cells[i], r->columns.columns[i].kind, rows) : 0;
    return bytes;
}

// Tells whether lookups have followed the column in another result of the same statement.
static bool is_wanted(const struct trail *t, const struct trail_result *r, unsigned column) {
    for (const struct trail_result *o = t->results; o; o = o->next)
        if (o != r && o->columns.source == r->columns.source && column < o->columns.n &&
            trail_is_followed(o, column))
            return true;
    return false;
}

// Gives up the column that takes most, of those that are the least likely keys: texts and others of more than
// so many bytes. Returns false when there is none.
static bool shed(struct trail *t, struct trail_result *r, size_t least) {
    struct cells *most = NULL;
    unsigned column = 0;
    for (unsigned i = 0; i < r->columns.n; i++) {
        const struct trail_column *c = &r->columns.columns[i];
        bool text = c->kind == TRAIL_TEXT || c->kind == TRAIL_OTHER;
        if (!text || r->cells[i].texts.len < least * r->n_rows || is_wanted(t, r, i) ||
            (most && r->cells[i].texts.cap <= most->texts.cap))
            continue;
        most = &r->cells[i];
        column = i;
    }
    if (!most)
        return false;
    size_t bytes = cells_bytes(most, r->columns.columns[column].kind, r->max_rows);
    t->bytes -= bytes;
    r->bytes -= bytes;
    cells_free(most);
    r->columns.columns[column].kind = TRAIL_NOTHING;
    return true;
}

#define SHARE 4  // a result that takes more than such a part of all gives up
#define LONG  64 // texts that have more bytes than this on average

// Bytes that are missing to have room for so many rows.
static size_t missing(const struct trail_result *r, uint32_t rows) {
    return values_bytes(r, rows) - values_bytes(r, r->max_rows);
}

// Values before other results: a list goes before one of long ago. But for texts that are no likely keys.
static bool find_room(struct trail *t, struct trail_result *r, uint32_t rows) {
    while (r->bytes + missing(r, rows) > t->max_bytes / SHARE && shed(t, r, LONG))
        ;
    while (t->bytes + missing(r, rows) > t->max_bytes && make_room(t))
        ;
    while (t->bytes + missing(r, rows) > t->max_bytes && shed(t, r, 0))
        ;
    return t->bytes + missing(r, rows) <= t->max_bytes;
}

static bool result_grow(struct trail *t, struct trail_result *r) {
    uint32_t max = r->max_rows ? r->max_rows * 2 : 16;
    if (max > TRAIL_MAX_ROWS || !find_room(t, r, max))
        return false;
    size_t more = missing(r, max);
    for (unsigned i = 0; i < r->columns.n; i++)
        if (is_kept(r, i) && !cells_grow(&r->cells[i], r->columns.columns[i].kind, r->max_rows, max))
            return false;
    r->max_rows = max;
    trail_charge(t, r, more);
    return true;
}

static void note_hash(struct trail_result *r, const struct trail_column *c, const struct key *k) {
    struct key form = canon_of(c, k);
    uint64_t hash = key_hash(&form, 0);
    r->filter[c->kind][hash >> 6 & 1] |= (uint64_t)1 << (hash & 63);
}

void trail_add_row(struct trail *t, struct trail_result *r, const struct key *keys) {
    if (r->full || (r->n_rows == r->max_rows && !result_grow(t, r))) {
        r->full = true;
        return;
    }
    for (unsigned i = 0; i < r->columns.n; i++) {
        const struct trail_column *c = &r->columns.columns[i];
        struct cells *cells = &r->cells[i];
        if (!is_kept(r, i))
            continue;
        if (r->n_rows < TRAIL_SMALL && keys[i].kind != KEY_NULL)
            note_hash(r, c, &keys[i]);
        trail_charge(t, r, cells_put(cells, c->kind, r->n_rows, r->max_rows, &keys[i]));
    }
    r->n_rows++;
    r->full = t->bytes > t->max_bytes && !find_room(t, r, r->max_rows);
}

struct key trail_value(const struct trail_result *r, uint32_t row, unsigned column) {
    return cells_get(&r->cells[column], r->columns.columns[column].kind, row);
}

void trail_drop_unfollowed(struct trail *t, uint64_t source) {
    for (struct trail_result **at = &t->results; *at;) {
        struct trail_result *r = *at;
        if (r->followed || r->columns.source != source || !trail_is_whole(t, r)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        result_free(t, r);
    }
}

// ---- who follows it

uint64_t trail_origin(const struct trail_result *r, unsigned column) {
    const struct trail_column *c = &r->columns.columns[column];
    uint64_t place[2] = {c->table ? c->table : r->columns.source, c->table ? c->attribute : 65536u + c->at};
    return XXH3_64bits(place, sizeof place) | 1;
}

struct trail_target *trail_target(struct trail_result *r, uint64_t who, unsigned column, bool add) {
    struct trail_target *t = &r->targets[0];
    for (unsigned i = 0; i < TRAIL_MAX_TARGETS; i++) {
        if (r->targets[i].who == who && r->targets[i].column == column)
            return &r->targets[i];
        if (r->targets[i].last_use < t->last_use)
            t = &r->targets[i];
    }
    if (!add)
        return NULL;
    r->forgets |= t->who != 0;
    free(t->asked);
    *t = (struct trail_target){.who = who,
                               .whole = !r->forgets,
                               .column = column,
                               .last_use = ++r->uses,
                               .asked = calloc(r->n_rows / 64 + 1, sizeof *t->asked)};
    if (t->asked)
        return t;
    *t = (struct trail_target){0};
    return NULL;
}

bool trail_is_followed(const struct trail_result *r, unsigned column) {
    for (unsigned i = 0; i < TRAIL_MAX_TARGETS; i++)
        if (r->targets[i].who && r->targets[i].column == column)
            return true;
    return false;
}

uint32_t trail_turn(struct trail *t, uint64_t who, bool next) {
    unsigned at = (unsigned)(XXH3_64bits(&who, sizeof who) % TRAIL_TURNS);
    if (t->turns[at].who != who) {
        t->turns[at].who = who;
        t->turns[at].n += 1u << 16; // none of its targets goes on
    }
    return t->turns[at].n += next;
}

void trail_note_asked(struct trail_result *r, struct trail_target *t, uint32_t row, uint32_t turn,
                      bool beside) {
    uint8_t run = (uint8_t)(t->run < UINT8_MAX ? t->run + 1 : t->run);
    if (!t->any || row != t->last_row)
        t->run = beside ? run : t->run / 4;
    t->longest = t->run > t->longest ? t->run : t->longest;
    t->n_asked += !trail_was_asked(t, row);
    t->asked[row / 64] |= (uint64_t)1 << (row % 64);
    t->last_row = row;
    t->any = true;
    t->last_turn = turn;
    t->last_use = ++r->uses;
}

static void move_to_front(struct trail *t, struct trail_result *r) {
    struct trail_result **at = &t->results;
    while (*at && *at != r)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = r->next;
    r->next = t->results;
    t->results = r;
}

// Of the elements of its arrays it is not known which were given with which row.
static void hold_back(struct trail *t, struct trail_result *r, bool rows) {
    size_t n = r->n_rows / 64 + 1;
    r->given = rows ? calloc(n, sizeof *r->given) : NULL;
    r->forgets |= !r->given;
    if (r->given)
        trail_charge(t, r, n * sizeof *r->given);
}

void trail_hold_back(struct trail *t, uint64_t serial, uint64_t source, uint32_t n_answers) {
    for (struct trail_result *r = t->results; r; r = r->next) {
        if (r->serial != serial)
            continue;
        hold_back(t, r, r->columns.source == source);
        r->n_answers = n_answers;
    }
}

void trail_note_given(struct trail *t, uint64_t serial, uint32_t row, uint32_t n) {
    struct trail_result *r = t->results;
    while (r && (r->serial != serial || !r->given))
        r = r->next;
    for (; r && n && row < r->n_rows; row++, n--)
        r->given[row / 64] |= (uint64_t)1 << (row % 64);
}

void trail_note_read(struct trail *t, uint64_t serial, uint64_t now) {
    for (struct trail_result *r = t->results, *next; r; r = next) {
        next = r->next;
        if (r->serial != serial)
            continue;
        r->columns.unread = false;
        r->columns.at = now;
        move_to_front(t, r);
    }
}

void trail_touch(struct trail *t, struct trail_result *r) {
    r->followed = true;
    move_to_front(t, r);
}
