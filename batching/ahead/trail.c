// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/trail.h"

#include <stdlib.h>
#include <string.h>

#include "batching/base/hash.h"

// Type OIDs of pg_type.dat.
enum {
    OID_TEXT = 25,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_DATE = 1082,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184
};

enum trail_kind trail_kind_of(uint32_t type) {
    if (type == OID_UUID)
        return TRAIL_UUID;
    if (key_type_is_integer(type))
        return TRAIL_INTEGER;
    if (type == OID_TEXT || type == OID_BPCHAR || type == OID_VARCHAR)
        return TRAIL_TEXT;
    bool other = type == OID_DATE || type == OID_TIMESTAMP || type == OID_TIMESTAMPTZ || type == OID_NUMERIC;
    return other ? TRAIL_OTHER : TRAIL_NOTHING;
}

// ---- columns

#define FIELD     18 // bytes of a field's description behind its name
#define MAX_OTHER 2

static void take_column(struct trail_columns *c, unsigned at, const uint8_t *field) {
    struct trail_column column = {
        .at = (uint16_t)at,
        .table = get_u32(field),
        .attribute = get_u16(field + 4),
        .type = get_u32(field + 6),
        .format = get_u16(field + 16),
    };
    column.kind = trail_kind_of(column.type);
    unsigned room = TRAIL_MAX_COLUMNS - MAX_OTHER, n = c->n - c->n_other;
    if (column.kind == TRAIL_TEXT)
        room -= 4; // ids come behind names at times
    if (column.kind == TRAIL_OTHER)
        room = MAX_OTHER, n = c->n_other++;
    if (column.kind != TRAIL_NOTHING && n < room)
        c->columns[c->n++] = column;
    c->n_other = c->n_other < MAX_OTHER ? c->n_other : MAX_OTHER;
}

bool trail_columns_read(struct trail_columns *c, const uint8_t *body, size_t len) {
    size_t at = 2, at_start;
    c->n = c->n_other = 0;
    c->source = c->group = 0;
    c->loaded = c->unread = false;
    c->n_row = len >= 2 ? get_u16(body) : 0;
    for (unsigned i = 0; i < c->n_row; i++) {
        const uint8_t *zero = at < len ? memchr(body + at, 0, len - at) : NULL;
        size_t field = zero ? (size_t)(zero - body) + 1 : len;
        if (len - field < FIELD)
            return false;
        take_column(c, i, body + field);
        at_start = at;
        at = field + FIELD;
        c->source = XXH3_64bits_withSeed(body + at_start, at - at_start - 2, c->source); // without the format
    }
    return c->n > c->n_other;
}

void trail_columns_format(struct trail_columns *c, unsigned n_formats, const uint8_t *formats) {
    for (unsigned i = 0; i < c->n; i++) {
        unsigned at = n_formats == 1 ? 0 : c->columns[i].at;
        c->columns[i].format = at < n_formats ? get_u16(formats + 2 * (size_t)at) : 0;
    }
}

// ---- results

void trail_init(struct trail *t, size_t max_bytes) {
    *t = (struct trail){.max_bytes = max_bytes};
}

static void result_free(struct trail *t, struct trail_result *r) {
    t->bytes -= r->bytes;
    t->n_results--;
    if (t->recorder.result == r)
        t->recorder = (struct trail_recorder){0};
    for (unsigned i = 0; i < TRAIL_MAX_COLUMNS; i++)
        free(r->index[i]), free(r->equal[i]);
    for (unsigned i = 0; i < TRAIL_MAX_TARGETS; i++)
        free(r->targets[i].asked);
    buf_free(&r->texts);
    free(r->cells);
    free(r->nulls);
    free(r);
}

void trail_clear(struct trail *t) {
    while (t->results) {
        struct trail_result *r = t->results;
        t->results = r->next;
        result_free(t, r);
    }
    t->recorder.on = false;
}

static void charge(struct trail *t, struct trail_result *r, size_t bytes) {
    r->bytes += bytes;
    t->bytes += bytes;
}

// Tells whether the statement has given a result since.
static bool is_older(const struct trail *t, const struct trail_result *r) {
    for (const struct trail_result *o = t->results; o; o = o->next)
        if (o->columns.source == r->columns.source && o->serial > r->serial)
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
    if (r == t->results || r == t->recorder.result)
        return 0;
    return !is_older(t, r) ? 1 : !is_over(r) ? 2 : 3;
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

static struct trail_result *result_create(struct trail *t, const struct trail_columns *c) {
    while (t->n_results >= TRAIL_MAX_RESULTS && make_room(t))
        ;
    struct trail_result *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->columns = *c;
    for (unsigned i = 0; i < c->n; i++)
        r->least[i] = 1; // above the most: there is none yet
    r->serial = ++t->serial;
    r->texts = buf_make(t->max_bytes / 2);
    r->next = t->results;
    t->results = r;
    t->n_results++;
    charge(t, r, sizeof *r);
    return r;
}

static bool result_grow(struct trail *t, struct trail_result *r) {
    uint32_t max = r->max_rows ? r->max_rows * 2 : 16;
    size_t row = r->columns.n * sizeof *r->cells + sizeof *r->nulls, more = (max - r->max_rows) * row;
    while (t->bytes + more > t->max_bytes && make_room(t))
        ;
    if (max > TRAIL_MAX_ROWS || t->bytes + more > t->max_bytes)
        return false;
    struct trail_cell *cells = realloc(r->cells, max * r->columns.n * sizeof *cells);
    if (cells)
        r->cells = cells;
    uint16_t *nulls = cells ? realloc(r->nulls, max * sizeof *nulls) : NULL;
    if (!nulls)
        return false;
    r->nulls = nulls;
    r->max_rows = max;
    charge(t, r, more);
    return true;
}

#define SMALL 16 // rows that are searched without an index, behind a filter

static bool filter_has(const struct trail_result *r, enum trail_kind kind, uint64_t hash) {
    return r->filter[kind][hash >> 6 & 1] >> (hash & 63) & 1;
}

static void filter_add(struct trail_result *r, enum trail_kind kind, uint64_t hash) {
    r->filter[kind][hash >> 6 & 1] |= (uint64_t)1 << (hash & 63);
}

static int64_t integer_of(const struct key *k) {
    return (int64_t)get_u64(k->of.bytes);
}

static void note_range(struct trail_result *r, unsigned column, int64_t v) {
    bool first = r->least[column] > r->most[column];
    r->least[column] = first || v < r->least[column] ? v : r->least[column];
    r->most[column] = first || v > r->most[column] ? v : r->most[column];
}

static bool is_in_range(const struct trail_result *r, unsigned column, const struct key *k) {
    if (r->columns.columns[column].kind != TRAIL_INTEGER)
        return true;
    return k->kind == KEY_PLAIN && integer_of(k) >= r->least[column] && integer_of(k) <= r->most[column];
}

static bool store(struct trail *t, struct trail_result *r, unsigned column, const struct key *k) {
    if (r->n_rows < SMALL)
        filter_add(r, r->columns.columns[column].kind, key_hash(k, 0));
    struct trail_cell *cell = &r->cells[(size_t)r->n_rows * r->columns.n + column];
    if (r->columns.columns[column].kind == TRAIL_INTEGER)
        note_range(r, column, integer_of(k));
    if (k->kind == KEY_PLAIN) {
        memcpy(cell->bytes, k->of.bytes, sizeof cell->bytes);
        return true;
    }
    uint32_t place[2] = {(uint32_t)r->texts.len, k->len};
    size_t before = r->texts.cap;
    buf_put(&r->texts, k->of.raw, k->len);
    charge(t, r, r->texts.cap - before);
    memcpy(cell->bytes, place, sizeof place);
    return !r->texts.failed;
}

static void add_row(struct trail *t, struct trail_result *r, const struct key *keys) {
    if (r->full || (r->n_rows == r->max_rows && !result_grow(t, r))) {
        r->full = true;
        return;
    }
    r->nulls[r->n_rows] = 0;
    for (unsigned i = 0; i < r->columns.n; i++)
        if (keys[i].kind == KEY_NULL || !store(t, r, i, &keys[i]))
            r->nulls[r->n_rows] |= (uint16_t)(1u << i);
    r->full = t->bytes > t->max_bytes;
    r->n_rows++;
}

void trail_drop_unfollowed(struct trail *t, uint64_t source) {
    for (struct trail_result **at = &t->results; *at;) {
        struct trail_result *r = *at;
        if (r->followed || r->columns.source != source || r == t->recorder.result) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        result_free(t, r);
    }
}

// ---- recording

void trail_begin(struct trail *t, const struct trail_columns *c) {
    t->recorder.columns = *c;
    t->recorder.on = c->n > 0;
    t->recorder.n_rows = 0;
    t->recorder.result = NULL;
}

static void read_value(const struct trail_column *c, struct slice value, struct key *k) {
    *k = (struct key){.kind = KEY_NULL};
    if (!value.data)
        return;
    if (c->kind == TRAIL_INTEGER || c->kind == TRAIL_UUID) {
        if (!key_read(c->type, c->format, value, k))
            k->kind = KEY_NULL;
    } else if (value.len && value.len <= TRAIL_MAX_TEXT) {
        *k = (struct key){.kind = KEY_RAW, .len = (uint32_t)value.len, .of.raw = value.data};
    }
}

// The kept columns of a row, which come in the order in which they are kept. False: it is no such row.
static bool read_row(const struct trail_columns *c, const uint8_t *body, size_t len, struct key *keys) {
    if (len < 2 || get_u16(body) != c->n_row)
        return false;
    size_t at = 2;
    for (unsigned i = 0, kept = 0; kept < c->n; i++) {
        uint32_t size = len - at >= 4 ? get_u32(body + at) : UINT32_MAX - 1;
        bool null = size == UINT32_MAX;
        at += 4;
        if (at > len || (!null && size > len - at))
            return false;
        struct slice value = {null ? NULL : body + at, null ? 0 : size};
        if (c->columns[kept].at == i)
            read_value(&c->columns[kept], value, &keys[kept]), kept++;
        at += value.len;
    }
    return true;
}

// Until there is a second one it stays in the recorder.
static void keep_first(struct trail_recorder *r, const struct key *keys) {
    memcpy(r->first, keys, r->columns.n * sizeof *keys);
    for (unsigned i = 0; i < r->columns.n; i++) {
        if (keys[i].kind != KEY_RAW)
            continue;
        memcpy(r->first_text[i], keys[i].of.raw, keys[i].len);
        r->first[i].of.raw = r->first_text[i];
    }
}

void trail_row(struct trail *t, const uint8_t *body, size_t len) {
    struct trail_recorder *r = &t->recorder;
    struct key keys[TRAIL_MAX_COLUMNS];
    if (!r->on)
        return;
    if (!read_row(&r->columns, body, len, keys)) {
        r->on = false;
        return;
    }
    if (!r->n_rows++) {
        keep_first(r, keys);
        return;
    }
    if (r->n_rows == 2) {
        r->result = result_create(t, &r->columns);
        if (r->result)
            add_row(t, r->result, r->first);
    }
    if (r->result)
        add_row(t, r->result, keys);
    r->on = r->result && !r->result->full;
}

void trail_end(struct trail *t) {
    t->recorder.on = false;
    t->recorder.result = NULL;
}

// ---- finding

static bool is_plain(enum trail_kind kind) {
    return kind == TRAIL_INTEGER || kind == TRAIL_UUID;
}

struct key trail_value(const struct trail_result *r, uint32_t row, unsigned column) {
    struct key k = {.kind = KEY_NULL};
    if (r->nulls[row] >> column & 1)
        return k;
    const struct trail_cell *cell = &r->cells[(size_t)row * r->columns.n + column];
    if (is_plain(r->columns.columns[column].kind)) {
        k.kind = KEY_PLAIN;
        memcpy(k.of.bytes, cell->bytes, sizeof k.of.bytes);
        return k;
    }
    uint32_t place[2];
    memcpy(place, cell->bytes, sizeof place);
    return (struct key){.kind = KEY_RAW, .len = place[1], .of.raw = r->texts.data + place[0]};
}

static bool row_has(const struct trail_result *r, uint32_t row, unsigned column, const struct key *value) {
    struct key k = trail_value(r, row, column);
    return k.kind != KEY_NULL && key_equal(&k, value);
}

// A slot holds the row, counted from 1, and some bits of the hash that its place does not need.
#define ROW_BITS 17
_Static_assert(TRAIL_MAX_ROWS < 1 << ROW_BITS, "a slot has room for each row");

static uint32_t slot_tag(uint64_t hash) {
    return (uint32_t)(hash >> (32 + ROW_BITS)) << ROW_BITS;
}

static bool slot_has(const struct trail_result *r, uint32_t slot, uint32_t tag, unsigned column,
                     const struct key *value, uint32_t *row) {
    *row = (slot & ((1u << ROW_BITS) - 1)) - 1;
    return (slot ^ tag) >> ROW_BITS == 0 && row_has(r, *row, column, value);
}

static uint32_t *slot_of(const struct trail_result *r, uint32_t *slots, uint32_t n, unsigned column,
                         const struct key *value) {
    uint64_t hash = key_hash(value, 0);
    uint32_t at = (uint32_t)hash & (n - 1), row;
    while (slots[at] && !slot_has(r, slots[at], slot_tag(hash), column, value, &row))
        at = (at + 1) & (n - 1);
    return &slots[at];
}

// From the last row to the first, which stands for those that have the same value.
static void fill_index(struct trail_result *r, unsigned column, uint32_t *slots, uint32_t n,
                       uint32_t *equal) {
    for (uint32_t row = r->n_rows; row-- > 0;) {
        struct key k = trail_value(r, row, column);
        if (k.kind == KEY_NULL)
            continue;
        uint32_t *slot = slot_of(r, slots, n, column, &k);
        equal[row] = *slot & ((1u << ROW_BITS) - 1);
        r->distinct[column] += !*slot;
        *slot = (row + 1) | slot_tag(key_hash(&k, 0));
    }
}

static bool make_index(struct trail_result *r, unsigned column) {
    uint32_t n = 8;
    while (n < 2 * r->n_rows)
        n *= 2;
    uint32_t *slots = calloc(n, sizeof *slots), *equal = calloc(r->n_rows, sizeof *equal);
    if (!slots || !equal) {
        free(slots);
        free(equal);
        return false;
    }
    fill_index(r, column, slots, n, equal);
    r->index[column] = slots;
    r->equal[column] = equal;
    r->n_slots = n;
    return true;
}

bool trail_is_whole(const struct trail *t, const struct trail_result *r) {
    return r != t->recorder.result;
}

// From *row on.
static bool scan_column(const struct trail_result *r, unsigned column, const struct key *value,
                        uint32_t *row) {
    bool text = !is_plain(r->columns.columns[column].kind);
    const struct trail_cell *cell = r->cells + (size_t)*row * r->columns.n + column;
    for (; *row < r->n_rows; ++*row, cell += r->columns.n) {
        bool maybe = text || memcmp(cell->bytes, value->of.bytes, sizeof cell->bytes) == 0;
        if (maybe && row_has(r, *row, column, value))
            return true;
    }
    return false;
}

uint32_t trail_distinct(struct trail_result *r, unsigned column) {
    uint32_t n = 0, row;
    if (r->distinct[column] || r->n_rows > SMALL)
        return r->distinct[column];
    for (uint32_t i = 0; i < r->n_rows; i++) {
        struct key k = trail_value(r, i, column);
        row = 0;
        n += k.kind != KEY_NULL && scan_column(r, column, &k, &row) && row == i;
    }
    r->distinct[column] = n;
    return n;
}

bool trail_find_row(struct trail *t, struct trail_result *r, unsigned column, const struct key *value,
                    uint32_t *row) {
    if (!is_in_range(r, column, value))
        return false;
    *row = 0;
    if (r->n_rows <= SMALL)
        return scan_column(r, column, value, row);
    if (!r->index[column]) {
        if (!make_index(r, column))
            return false;
        charge(t, r, r->n_slots * sizeof *r->index[column] + r->n_rows * sizeof *r->equal[column]);
    }
    uint32_t slot = *slot_of(r, r->index[column], r->n_slots, column, value);
    *row = (slot & ((1u << ROW_BITS) - 1)) - 1;
    return slot != 0;
}

bool trail_next_equal(const struct trail_result *r, unsigned column, uint32_t *row) {
    if (r->n_rows <= SMALL) {
        struct key k = trail_value(r, *row, column);
        ++*row;
        return k.kind != KEY_NULL && scan_column(r, column, &k, row);
    }
    uint32_t next = r->equal[column] ? r->equal[column][*row] : 0;
    *row = next - 1;
    return next != 0;
}

static bool find_in_result(struct trail *t, enum trail_kind kind, const struct key *value, uint64_t hash,
                           struct trail_place *p) {
    if (p->result->n_rows <= SMALL && !filter_has(p->result, kind, hash))
        return false;
    for (; p->column < p->result->columns.n; p->column++)
        if (p->result->columns.columns[p->column].kind == kind &&
            trail_find_row(t, p->result, p->column, value, &p->row))
            return true;
    return false;
}

bool trail_find(struct trail *t, enum trail_kind kind, const struct key *value, struct trail_place *p) {
    uint64_t hash = key_hash(value, 0);
    if (p->result) {
        p->column++;
    } else {
        p->result = t->results;
        p->column = 0;
    }
    for (; p->result; p->result = p->result->next, p->column = 0)
        if (trail_is_whole(t, p->result) && find_in_result(t, kind, value, hash, p))
            return true;
    return false;
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

void trail_note_asked(struct trail_result *r, struct trail_target *t, uint32_t row) {
    uint8_t run = (uint8_t)(t->run < UINT8_MAX ? t->run + 1 : t->run);
    if (!t->any || row != t->last_row)
        t->run = trail_goes_on(t, row) ? run : t->run / 4;
    t->longest = t->run > t->longest ? t->run : t->longest;
    t->n_asked += !trail_was_asked(t, row);
    t->asked[row / 64] |= (uint64_t)1 << (row % 64);
    t->last_row = row;
    t->any = true;
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

void trail_note_read(struct trail *t, uint64_t serial, uint64_t now) {
    for (struct trail_result *r = t->results; r; r = r->next)
        if (r->serial == serial) {
            r->columns.unread = false;
            r->columns.at = now;
            move_to_front(t, r);
            return;
        }
}

void trail_touch(struct trail *t, struct trail_result *r) {
    r->followed = true;
    move_to_front(t, r);
}
