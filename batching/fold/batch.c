// SPDX-License-Identifier: PostgreSQL
//
// The batch of batch.h: its keys without duplicates, the messages that are sent, the reader of the replies,
// and what each member gets.
#include "batching/fold/batch.h"

#include <stdlib.h>
#include <string.h>

#include "batching/fold/group.h"
#include "batching/fold/lookup_state.h"
#include "batching/fold/savepoint.h"
#include "batching/statement/unit.h"
#include "protocol/write.h"

// ---- keys without duplicates

static bool keys_equal(const struct batch *b, uint32_t key, const struct key *k) {
    const struct key *own = b->keys + (size_t)key * b->n_parts;
    for (uint32_t i = 0; i < b->n_parts; i++)
        if (!key_equal(&own[i], &k[i]))
            return false;
    return true;
}

static uint32_t find_slot(const struct batch *b, const struct key *k, bool *found) {
    uint64_t hash = 0;
    for (uint32_t i = 0; i < b->n_parts; i++)
        hash = key_hash(&k[i], hash);
    uint32_t at = (uint32_t)hash & (b->n_slots - 1);
    for (; b->slots[at]; at = (at + 1) & (b->n_slots - 1)) {
        if (keys_equal(b, b->slots[at] - 1, k)) {
            *found = true;
            return at;
        }
    }
    *found = false;
    return at;
}

#define MAX_KEY_BYTES 65536 // of the raw keys of one batch; the first key may always go

static size_t raw_bytes(const struct batch *b, const struct key *k) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < b->n_parts; i++)
        bytes += k[i].len;
    return bytes;
}

// Returns the index of the key and adds it when it is new. UINT32_MAX: it is new, and n_keys has reached max.
static uint32_t add_key(struct batch *b, const struct key *k, unsigned max) {
    bool found;
    uint32_t at = find_slot(b, k, &found);
    if (found)
        return b->slots[at] - 1;
    size_t bytes = b->key_bytes + raw_bytes(b, k);
    if (b->n_keys == max || (b->n_keys && bytes > MAX_KEY_BYTES))
        return UINT32_MAX;
    b->key_bytes = bytes;
    memcpy(b->keys + (size_t)b->n_keys * b->n_parts, k, b->n_parts * sizeof *k);
    b->slots[at] = ++b->n_keys;
    return b->n_keys - 1;
}

static void take_waiting(struct group *g, struct lookup *l) {
    g->first = l->next_waiting;
    if (g->first)
        g->first->previous_waiting = NULL;
    else
        g->last = NULL;
    l->next_waiting = NULL;
    g->n_waiting--;
}

static void take_members(struct batch *b, unsigned max_keys) {
    struct group *g = b->group;
    while (g->first) {
        struct lookup *l = g->first;
        uint32_t key = add_key(b, l->keys, max_keys);
        if (key == UINT32_MAX)
            return;
        take_waiting(g, l);
        lookup_set_state(l, LOOKUP_BATCHED);
        l->batch = b;
        l->member = b->n_members;
        b->members[b->n_members] = l;
        b->member_key[b->n_members++] = key;
    }
}

// Allocates room for so many members and keys.
static struct batch *create(struct group *g, size_t n_members, size_t n_keys, size_t max_answer) {
    struct batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->n_slots = 4;
    while (b->n_slots < 2 * n_keys)
        b->n_slots *= 2;
    b->group = g;
    b->n_parts = g->n_parts;
    b->data = buf_make(max_answer);
    b->max_members = (uint32_t)n_members;
    b->members = calloc(n_members + 1, sizeof *b->members);
    b->member_key = calloc(n_members + 1, sizeof *b->member_key);
    b->keys = calloc(n_keys * g->n_parts, sizeof *b->keys);
    b->key_rows = calloc(n_keys, sizeof *b->key_rows);
    b->slots = calloc(b->n_slots, sizeof *b->slots);
    if (b->members && b->member_key && b->keys && b->key_rows && b->slots)
        return b;
    batch_destroy(b);
    return NULL;
}

struct batch *batch_create(struct group *g, unsigned max_keys, size_t max_answer) {
    size_t n = g->n_waiting;
    struct batch *b = create(g, n, n < max_keys ? n : max_keys, max_answer);
    if (!b)
        return NULL;
    take_members(b, max_keys);
    b->n_left = b->n_members;
    b->pattern = b->members[0]->bytes;
    b->pattern_len = b->members[0]->len;
    return b;
}

// Bytes that a key takes, beside its own. There are up to four slots for each.
static size_t bytes_per_key(const struct group *g) {
    return g->n_parts * sizeof(struct key) + sizeof(struct batch_key) + 4 * sizeof(uint32_t) + sizeof(bool) +
           sizeof(uint16_t);
}

struct batch *batch_create_ahead(struct group *g, unsigned max, size_t room) {
    size_t each = bytes_per_key(g), share = room / 4;
    size_t own = share < MAX_KEY_BYTES ? share : MAX_KEY_BYTES;
    max = max < share / each ? max : (unsigned)(share / each);
    // One more for a key that is checked, one for one that is known.
    struct batch *b = create(g, 0, max + 2, room - own - max * each);
    if (!b)
        return NULL;
    b->max_keys = max;
    b->own = buf_make(own);
    b->ahead.used = calloc(max + 2, sizeof *b->ahead.used);
    b->ahead.left = calloc(max + 2, sizeof *b->ahead.left);
    if (b->ahead.used && b->ahead.left)
        return b;
    batch_destroy(b);
    return NULL;
}

// The bytes never move: room for all that may come is reserved with the first key.
static bool own_bytes(struct batch *b, struct key *k) {
    if (k->kind != KEY_RAW && k->kind != KEY_DOUBLED)
        return true;
    if (!b->own.data && !buf_reserve(&b->own, b->own.limit))
        return false;
    const uint8_t *at = b->own.data + b->own.len;
    buf_put(&b->own, k->of.raw, k->len);
    k->of.raw = at;
    return !b->own.failed;
}

bool batch_add_key(struct batch *b, const struct key *key) {
    struct key own[KEY_MAX_PARTS];
    uint32_t index;
    if (batch_find_key(b, key, &index))
        return true;
    if (b->n_keys == b->max_keys || b->own.len + raw_bytes(b, key) > b->own.limit)
        return false;
    memcpy(own, key, b->n_parts * sizeof *own);
    for (uint32_t i = 0; i < b->n_parts; i++)
        if (!own_bytes(b, &own[i]))
            return false;
    return add_key(b, own, b->max_keys) != UINT32_MAX;
}

bool batch_find_key(const struct batch *b, const struct key *key, uint32_t *index) {
    bool found;
    uint32_t at = find_slot(b, key, &found);
    if (found)
        *index = b->slots[at] - 1;
    return found;
}

// In the IN form the keys' rows come in any order.
const struct key *batch_suspect(const struct batch *b, bool behind) {
    uint32_t n = b->n_keys;
    while (n && !b->key_rows[n - 1].n_rows)
        n--;
    bool any = b->erred && b->form == FORM_LATERAL && (behind ? n < b->n_keys : n > 0);
    return any ? &b->keys[(behind ? n : n - 1) * b->n_parts] : NULL;
}

bool batch_join(struct batch *b, struct lookup *l, uint32_t key) {
    if (b->n_members == b->max_members) {
        uint32_t max = b->max_members ? 2 * b->max_members : 4;
        struct lookup **members = realloc(b->members, max * sizeof *members);
        if (members)
            b->members = members;
        uint32_t *keys = members ? realloc(b->member_key, max * sizeof *keys) : NULL;
        if (!keys)
            return false;
        b->member_key = keys;
        b->max_members = max;
    }
    lookup_set_state(l, LOOKUP_BATCHED);
    l->batch = b;
    l->joined = b->sent;
    l->member = b->n_members;
    b->members[b->n_members] = l;
    b->member_key[b->n_members++] = key;
    b->n_left++;
    return true;
}

void batch_filled(struct batch *b) {
    free(b->covered);
    b->covered = calloc(b->n_keys + 1, sizeof *b->covered);
}

unsigned batch_drop_uncovered(struct batch *b) {
    unsigned n = 0;
    for (uint32_t key = 0; key < b->n_keys; key++) {
        if (batch_covers(b, key))
            continue;
        n += !b->ahead.used[key];
        b->ahead.n_used += !b->ahead.used[key];
        b->ahead.used[key] = true;
        b->ahead.n_left -= b->ahead.left[key];
        b->ahead.left[key] = 0;
    }
    return n;
}

size_t batch_bytes(const struct batch *b) {
    return sizeof *b + b->data.cap + b->own.cap + b->max_rows * sizeof *b->rows +
           b->n_slots * sizeof *b->slots + derived_bytes(b->derived) +
           b->max_keys * (b->n_parts * sizeof *b->keys + sizeof *b->key_rows + sizeof *b->ahead.used +
                          sizeof *b->ahead.left);
}

void batch_destroy(struct batch *b) {
    if (!b)
        return;
    free(b->members);
    free(b->member_key);
    free(b->keys);
    free(b->key_rows);
    free(b->slots);
    free(b->rows);
    free(b->ahead.used);
    free(b->ahead.left);
    buf_free(&b->own);
    buf_free(&b->data);
    derived_free(b->derived);
    free(b->covered);
    free(b);
}

// ---- what is sent

// The columns that are added in front.
static unsigned n_lead(const struct batch *b) {
    return b->derived ? DERIVED_LEAD : 1;
}

static void put_result_formats(const struct batch *b, struct buf *out) {
    const struct group *g = b->group;
    unsigned lead = g->n_formats <= 1 ? 0 : n_lead(b); // one format holds for the added columns, too
    buf_put_u16(out, (uint16_t)(g->n_formats + lead));
    for (unsigned i = 0; i < lead; i++)
        buf_put_u16(out, 0);
    buf_put(out, g->formats, (size_t)g->n_formats * 2);
}

static void put_array(const struct batch *b, const struct group_part *part, struct buf *out) {
    key_write_array(out, part->type, group_array_format(part), b->keys + (part - b->group->parts), b->n_keys,
                    b->n_parts);
}

static unsigned n_added(const struct batch *b) {
    return b->group->sealed ? SEAL_PARAMS : 0;
}

static void put_added_formats(const struct batch *b, struct buf *out) {
    for (unsigned i = 0; i < n_added(b); i++)
        buf_put_u16(out, 1);
}

static void put_added(const struct batch *b, struct buf *out) {
    if (b->sealed) {
        buf_put_u32(out, 8);
        buf_put_u64(out, b->seal.read);
        buf_put_u32(out, 8);
        buf_put_u64(out, b->seal.loaded);
        buf_put_u32(out, 4);
        buf_put_u32(out, b->seal.process);
        return;
    }
    for (unsigned i = 0; i < n_added(b); i++)
        buf_put_u32(out, UINT32_MAX);
}

static void put_key_arrays(const struct batch *b, struct buf *out) {
    const struct group *g = b->group;
    buf_put_u16(out, (uint16_t)(g->n_parts + n_added(b)));
    for (unsigned i = 0; i < g->n_parts; i++)
        buf_put_u16(out, group_array_format(&g->parts[i]));
    put_added_formats(b, out);
    buf_put_u16(out, (uint16_t)(g->n_parts + n_added(b)));
    for (unsigned i = 0; i < g->n_parts; i++)
        put_array(b, &g->parts[i], out);
    put_added(b, out);
}

// Writes the parameters of one lookup. All members share its values, except the keys.
static bool put_parameters(const struct batch *b, struct buf *out) {
    const struct group *g = b->group;
    struct msg_bind m;
    if (!unit_bind(b->pattern, b->pattern_len, &m))
        return false;
    buf_put_u16(out, (uint16_t)(m.n_params + n_added(b)));
    for (unsigned i = 0; i < m.n_params; i++) {
        const struct group_part *part = group_part_of(g, i);
        buf_put_u16(out, part ? group_array_format(part) : msg_bind_param_format(&m, i));
    }
    put_added_formats(b, out);
    buf_put_u16(out, (uint16_t)(m.n_params + n_added(b)));
    size_t walk = 0;
    struct slice value;
    for (unsigned i = 0; msg_bind_next_param(&m, &walk, &value); i++) {
        const struct group_part *part = group_part_of(g, i);
        if (part) {
            put_array(b, part, out);
            continue;
        }
        buf_put_u32(out, value.data ? (uint32_t)value.len : UINT32_MAX);
        buf_put(out, value.data, value.len);
    }
    put_added(b, out);
    return true;
}

static struct slice statement_name(XXH128_hash_t statement, char *name) {
    group_statement_name(statement, name);
    return (struct slice){(uint8_t *)name, strlen(name)};
}

// Outside a transaction it is the unnamed portal, which ends with the unit.
static const char *portal_of(const struct batch *b) {
    return b->framed ? SAVEPOINT_PORTAL : "";
}

static void write_execute_once(const struct batch *b, struct buf *out) {
    struct slice portal = {(const uint8_t *)portal_of(b), strlen(portal_of(b))};
    write_execute_all(out, portal);
    if (b->framed)
        write_close(out, 'P', portal);
}

XXH128_hash_t batch_statement(const struct batch *b) {
    return b->derived ? b->derived->name : b->group->statement;
}

static void write_statement(struct batch *b, struct buf *out) {
    char name[GROUP_NAME_SIZE];
    struct slice statement = statement_name(b->statement, name);
    if (b->parse && b->derived)
        derived_write_parse(b->derived, out);
    else if (b->parse)
        group_write_parse(b->group, out);
    if (b->describe)
        write_describe(out, 'S', statement);
    size_t at = write_begin(out, F_BIND);
    buf_put_str(out, portal_of(b));
    buf_put_str(out, name);
    if (b->derived)
        derived_write_values(b->derived, out);
    else if (b->group->values)
        put_key_arrays(b, out);
    else if (!put_parameters(b, out))
        out->failed = true;
    put_result_formats(b, out);
    write_end(out, at);
    write_execute_once(b, out);
}

XXH128_hash_t batch_stamp(const struct batch *b) {
    const struct stamp *st = b->group->stamp;
    return b->asks_facts ? st->digest_ahead : st->digest;
}

static void write_stamp(struct batch *b, struct buf *out) {
    char name[GROUP_NAME_SIZE];
    const struct stamp *st = b->group->stamp;
    const struct buf *check = b->asks_facts ? &st->check_ahead : &st->check;
    struct slice statement = statement_name(b->stamp, name);
    if (b->stamp_parse)
        write_parse(out, statement, (struct slice){check->data, check->len}, NULL, 0);
    size_t at = write_begin(out, F_BIND);
    buf_put_str(out, portal_of(b));
    buf_put_str(out, name);
    buf_put_u16(out, 0);
    buf_put_u16(out, 0);
    buf_put_u16(out, 0);
    write_end(out, at);
    write_execute_once(b, out);
}

void batch_write(struct batch *b, const struct batch_prepared *prepared, struct buf *out) {
    char name[GROUP_NAME_SIZE];
    b->open = b->framed ? savepoint_open_replies(b->frame_prepared) : "";
    b->release = b->framed ? savepoint_release_replies(b->frame_prepared) : "";
    if (b->framed)
        savepoint_write_open(out, b->frame_prepared);
    for (unsigned i = 0; i < prepared->n_closes; i++)
        write_close(out, 'S', statement_name(prepared->closes[i], name));
    b->n_closes = prepared->n_closes;
    b->form = b->group->form;
    b->statement = batch_statement(b);
    b->stamp = batch_stamp(b);
    b->vettings = b->group->vettings;
    b->parse = b->describe = !prepared->statement;
    b->stamp_parse = !prepared->stamp;
    b->sealed = prepared->seal;
    if (b->sealed)
        b->seal = *prepared->seal;
    write_statement(b, out);
    if (!b->sealed)
        write_stamp(b, out);
    if (b->framed)
        savepoint_write_release(out, b->frame_prepared);
    write_empty(out, F_SYNC);
}

// ---- what comes back

static void fail(struct batch *b, const char *why) {
    if (!b->failed)
        b->why = why;
    b->failed = true;
}

// The columns behind the added one must be those of the original: names, tables, types and all.
static void take_row_description(struct batch *b, const struct frame *f) {
    const struct group *g = b->group;
    uint16_t n;
    unsigned lead = n_lead(b);
    size_t first = msg_row_description_first(f->body, f->body_len, &n);
    if (!first || n < lead) {
        fail(b, "unexpected row description");
        return;
    }
    for (unsigned i = 1; i < lead; i++) // the name of the next one, its zero, and 18 bytes
        first += strlen((const char *)f->body + 2 + first) + 1 + 18;
    struct buf own = buf_make(g->row_description.len + 65536);
    buf_put_u16(&own, (uint16_t)(n - lead));
    buf_put(&own, f->body + 2 + first, f->body_len - 2 - first);
    if (own.failed || !XXH128_isEqual(row_description_hash(own.data, own.len), g->row_hash))
        fail(b, "the result columns differ from the original's");
    buf_free(&own);
}

// The index of the key that a row belongs to, by its added first column. UINT32_MAX: it belongs to none.
static uint32_t row_key(const struct batch *b, struct slice tag) {
    const struct group *g = b->group;
    uint16_t format = g->n_formats == 1 ? get_u16(g->formats) : 0;
    struct key k;
    if (b->form == FORM_IN) {
        bool found = false;
        if (!key_read(g->column_type, format, tag, &k))
            return UINT32_MAX;
        uint32_t at = find_slot(b, &k, &found);
        // The key column is unique: a second row would mean that the vetting was wrong.
        return found && !b->key_rows[b->slots[at] - 1].n_rows ? b->slots[at] - 1 : UINT32_MAX;
    }
    if (!key_read(OID_INT8, format, tag, &k) || k.kind != KEY_PLAIN)
        return UINT32_MAX;
    uint64_t ordinal = get_u64(k.of.bytes);
    return ordinal >= 1 && ordinal <= b->n_keys ? (uint32_t)ordinal - 1 : UINT32_MAX;
}

static bool rows_have_room(struct batch *b) {
    if (b->n_rows < b->max_rows)
        return true;
    uint32_t max = b->max_rows ? b->max_rows * 2 : 64;
    // A row takes room in `data`, too, and the limit there also bounds the number of rows.
    struct batch_row *rows = realloc(b->rows, max * sizeof *rows);
    if (!rows)
        return false;
    b->rows = rows;
    b->max_rows = max;
    return true;
}

// Keeps a row: `rest` is the lookup's own columns.
static void keep_row(struct batch *b, uint32_t key, uint16_t n_columns, struct slice rest) {
    size_t at = b->data.len, length;
    length = write_begin(&b->data, B_DATA_ROW);
    buf_put_u16(&b->data, n_columns);
    buf_put(&b->data, rest.data, rest.len);
    write_end(&b->data, length);
    if (b->data.failed || !rows_have_room(b)) {
        b->oversized = b->data.failed && !b->failed;
        fail(b, "the answer is larger than batching.max_answer");
        return;
    }
    b->rows[b->n_rows] = (struct batch_row){.at = at, .len = (uint32_t)(b->data.len - at)};
    struct batch_key *k = &b->key_rows[key];
    uint32_t index = ++b->n_rows;
    *(k->last_row ? &b->rows[k->last_row - 1].next : &k->first_row) = index;
    k->last_row = index;
    k->n_rows++;
}

// A key that the batch does not have was not in the list when its client read it.
static void take_derived_row(struct batch *b, const struct msg_row *row) {
    const struct group *g = b->group;
    uint16_t format = g->n_formats == 1 ? get_u16(g->formats) : 0;
    struct slice rest;
    struct key k;
    uint32_t key;
    enum derived_row what = derived_read_row(row, g->parts[0].type, format, &k, &rest);
    if (what == DERIVED_WRONG) {
        fail(b, "unexpected row");
        return;
    }
    if (!b->covered || !batch_find_key(b, &k, &key))
        return;
    b->covered[key] = true;
    if (what == DERIVED_ROW)
        keep_row(b, key, (uint16_t)(row->n_columns - DERIVED_LEAD), rest);
}

static void take_row(struct batch *b, const struct frame *f) {
    struct msg_row row;
    if (!msg_row_read(f->body, f->body_len, &row) || !b->group->row_description.len ||
        row.n_columns - n_lead(b) != get_u16(b->group->row_description.data)) {
        fail(b, "unexpected row");
        return;
    }
    if (b->derived) {
        take_derived_row(b, &row);
        return;
    }
    uint32_t key = row_key(b, row.first);
    if (key == UINT32_MAX) {
        fail(b, "a row belongs to no key of the batch");
        return;
    }
    keep_row(b, key, (uint16_t)(row.n_columns - 1), row.rest);
}

// Tells whether this is the next message in answer to SAVEPOINT, or to RELEASE.
static bool takes_frame(struct batch *b, uint8_t type) {
    const char **frame = *b->open ? &b->open : b->stage == STAGE_END ? &b->release : NULL;
    if (!frame || (uint8_t) * *frame != type)
        return false;
    ++*frame;
    return true;
}

// What the check says of the catalogue behind the statement was also true before the statement.
static void take_check(struct batch *b, const struct frame *f) {
    switch (stamp_judge(b->group->stamp, (struct slice){f->body, f->body_len}, &b->news)) {
    case STAMP_SAME:
        b->stamped = true;
        return;
    case STAMP_SHADOWED:
        b->shadowed = true;
        break;
    case STAMP_CHANGED:
        break;
    }
    b->changed = true;
    fail(b, "what it was vetted by has changed");
}

static bool takes_row(struct batch *b, const struct frame *f) {
    if (f->type != B_DATA_ROW || (b->stage != STAGE_ROWS && b->stage != STAGE_STAMP))
        return false;
    if (b->stage == STAGE_ROWS)
        take_row(b, f);
    else
        take_check(b, f);
    return true;
}

static void skip_stages(struct batch *b) {
    if (b->stage == STAGE_CLOSE && !b->n_closes)
        b->stage = STAGE_PARSE;
    if (b->stage == STAGE_PARSE && !b->parse)
        b->stage = STAGE_DESCRIBE;
    if (b->stage == STAGE_DESCRIBE && !b->describe)
        b->stage = STAGE_BIND;
    if (b->stage == STAGE_ROWS_CLOSE && !b->framed)
        b->stage = STAGE_STAMP_PARSE;
    if (b->stage == STAGE_STAMP_PARSE && b->sealed)
        b->stage = STAGE_END;
    if (b->stage == STAGE_STAMP_PARSE && !b->stamp_parse)
        b->stage = STAGE_STAMP_BIND;
}

// Is it an error of the rows, and not of the statement? Classes 21 (cardinality violation), 22 (data exception) and P0
// (what a function raises).
static bool is_of_rows(const struct frame *f) {
    struct slice code;
    return msg_error_field(f->body, f->body_len, 'C', &code) && code.len == 5 &&
           (memcmp(code.data, "21", 2) == 0 || memcmp(code.data, "22", 2) == 0 ||
            memcmp(code.data, "P0", 2) == 0);
}

// Goes through the stages in order. Each has one message that leads out of it.
static void advance(struct batch *b, const struct frame *f) {
    static const char wanted[] = {B_CLOSE_COMPLETE,
                                  B_PARSE_COMPLETE,
                                  B_PARAMETER_DESCRIPTION,
                                  B_ROW_DESCRIPTION,
                                  B_BIND_COMPLETE,
                                  B_COMMAND_COMPLETE,
                                  B_CLOSE_COMPLETE,
                                  B_PARSE_COMPLETE,
                                  B_BIND_COMPLETE,
                                  B_COMMAND_COMPLETE,
                                  0};
    if (takes_frame(b, f->type))
        return;
    skip_stages(b);
    if (!*b->open && takes_row(b, f))
        return;
    if (*b->open || f->type != (uint8_t)wanted[b->stage]) {
        b->erred = f->type == B_ERROR && b->stage == STAGE_ROWS && is_of_rows(f);
        fail(b, f->type == B_ERROR ? "the server reported an error" : "unexpected message");
        return;
    }
    if (b->stage == STAGE_ROWS_OF)
        take_row_description(b, f);
    if (b->stage == STAGE_CLOSE)
        b->n_closes--;
    else
        b->stage++;
}

// If definitions changed while the batch was under way, its rows can no longer be read as planned.
static bool still_current(const struct batch *b) {
    const struct group *g = b->group;
    return g->state == GROUP_READY && g->vettings == b->vettings;
}

// A row proves that everything was as the seal says.
static void end_sealed(struct batch *b) {
    skip_stages(b);
    if (b->stage != STAGE_END || *b->release)
        return; // it did not run to its end
    b->stamped = b->n_rows > 0;
    b->news.loaded = b->seal.loaded;
    b->news.process = b->seal.process;
    if (b->stamped)
        return;
    b->unproved = true;
    fail(b, "no row says that what it was vetted by is still so");
}

bool batch_feed(struct batch *b, const struct frame *f) {
    b->news.facts = (struct slice){0};
    if (!b->failed && !still_current(b))
        fail(b, "definitions changed");
    if (f->type == B_READY_FOR_QUERY) {
        if (b->sealed && !b->failed)
            end_sealed(b);
        if (b->stage != STAGE_END || *b->release || !b->stamped)
            fail(b, "the answer is incomplete");
        return true;
    }
    if (!b->failed)
        advance(b, f);
    return false;
}

// ---- what a member gets

// The kept description has the format codes of a statement (0). That of a portal has the codes of Bind.
static void put_row_description(const struct group *g, struct buf *out) {
    size_t at = write_begin(out, B_ROW_DESCRIPTION), body = out->len;
    buf_put(out, g->row_description.data, g->row_description.len);
    write_end(out, at);
    if (out->failed || !g->n_formats)
        return;
    uint8_t *p = out->data + body + 2, *end = out->data + out->len;
    for (unsigned i = 0; p < end; i++) {
        p += strlen((char *)p) + 1 + 16;
        memcpy(p, g->formats + (g->n_formats == 1 ? 0 : (size_t)i * 2), 2);
        p += 2;
    }
}

// The protocol says: "If an Execute message terminates before completing the execution of a portal (due to
// reaching a nonzero result-row count), it will send a PortalSuspended message". The server also sends it
// when no row follows the last one.
static void put_rows(const struct batch *b, const struct batch_key *k, uint32_t max_rows, struct buf *out) {
    uint32_t n = 0;
    for (uint32_t row = k->first_row; row && !(max_rows && n == max_rows); row = b->rows[row - 1].next, n++)
        buf_put(out, b->data.data + b->rows[row - 1].at, b->rows[row - 1].len);
    if (max_rows && n == max_rows)
        write_empty(out, B_PORTAL_SUSPENDED);
    else
        write_select_complete(out, k->n_rows);
}

void batch_answer(const struct batch *b, const struct lookup *l, uint32_t key, char status, struct buf *out) {
    const struct batch_key *k = &b->key_rows[key];
    if (l->has_parse)
        write_empty(out, B_PARSE_COMPLETE);
    if (!l->simple)
        write_empty(out, B_BIND_COMPLETE);
    if (l->simple || l->has_describe)
        put_row_description(b->group, out);
    put_rows(b, k, l->max_rows, out);
    for (unsigned closed = 0; closed < l->n_closes; closed++)
        write_empty(out, B_CLOSE_COMPLETE);
    if (!l->more)
        write_ready(out, status);
}
