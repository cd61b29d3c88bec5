// SPDX-License-Identifier: PostgreSQL
//
// How the answers of vetting are judged. The queries (vet_query.c) return one row of plain facts, so the
// judgement is C code that can be tested.
#include "batching/trust/vet.h"

#include <stdlib.h>
#include <string.h>

#include "batching/base/memory.h"
#include "batching/statement/key.h"
#include "batching/statement/lexer.h"
#include "batching/statement/shape.h"
#include "batching/trust/stamp.h"
#include "batching/trust/write_set.h"
#include "batching/trust/writes.h"
#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"

// ---- the catalogue's facts about a lookup, one column each; "t" speaks against it

static bool column_is(struct slice row, unsigned i, const char *text) {
    struct slice v;
    return msg_row_column(row.data, row.len, i, &v) && v.data && slice_is(v, text, strlen(text));
}

static uint32_t column_oid(struct slice row, unsigned i) {
    struct slice v;
    if (!msg_row_column(row.data, row.len, i, &v) || !v.data || v.len > 10)
        return 0;
    char digits[12] = {0};
    memcpy(digits, v.data, v.len);
    return (uint32_t)strtoul(digits, NULL, 10);
}

// Reads "16400:16399,…": types and their array types.
static void read_types(struct slice list, struct vet_result *r) {
    char text[512];
    if (!list.data || list.len >= sizeof text)
        return;
    memcpy(text, list.data, list.len);
    text[list.len] = 0;
    for (const char *at = text; *at && r->n_types < VET_MAX_TYPES; at += *at == ',') {
        char *colon, *end;
        unsigned long type = strtoul(at, &colon, 10);
        if (*colon != ':')
            return;
        unsigned long array = strtoul(colon + 1, &end, 10);
        r->types[r->n_types++] = (struct vet_type){(uint32_t)type, (uint32_t)array};
        at = end;
    }
}

// Reads a decimal number of at most `max`, and `end` behind it.
static bool read_number(struct slice *s, char end, unsigned long max, unsigned long *n) {
    size_t i = 0;
    for (*n = 0; i < s->len && s->data[i] >= '0' && s->data[i] <= '9' && *n <= max; i++)
        *n = *n * 10 + (unsigned long)(s->data[i] - '0');
    bool ok = i && *n <= max && (i == s->len || s->data[i] == (uint8_t)end);
    i += ok && i < s->len;
    s->data += i;
    s->len -= i;
    return ok;
}

// Reads "0:16400:1:0,…": candidate, table, attribute and rank; and keeps the lines behind it.
static void read_links(struct slice list, struct vet_result *r) {
    unsigned long key, table, attribute, rank;
    const uint8_t *end = list.data ? memchr(list.data, '\n', list.len) : NULL;
    if (end) {
        struct slice names = {end + 1, (size_t)(list.data + list.len - end) - 1};
        list.len = (size_t)(end - list.data);
        r->names = names.len ? strndup((const char *)names.data, names.len) : NULL;
    }
    r->links = list.data && list.len ? malloc(VET_MAX_LINKS * sizeof *r->links) : NULL;
    while (r->links && r->n_links < VET_MAX_LINKS && list.len &&
           read_number(&list, ':', SHAPE_MAX_KEYS - 1, &key) && read_number(&list, ':', UINT32_MAX, &table) &&
           read_number(&list, ':', INT16_MAX, &attribute) && read_number(&list, ',', LINK_OTHER, &rank))
        r->links[r->n_links++] =
            (struct vet_link){(uint8_t)key, (uint8_t)rank, (uint16_t)attribute, (uint32_t)table};
}

// Reads "2\nbooks\nauthors": the number of names, and the names.
static void read_writers(struct slice list, struct vet_result *r) {
    unsigned long n = 0;
    unsigned found = 0;
    r->writers = (struct write_set){.all = true};
    if (!list.data || !read_number(&list, '\n', WRITE_SET_MAX, &n))
        return;
    uint64_t *tables = malloc((n + 1) * sizeof *tables);
    while (tables && found < n && list.len) {
        const uint8_t *end = memchr(list.data, '\n', list.len);
        size_t len = end ? (size_t)(end - list.data) : list.len;
        tables[found++] = write_table((struct slice){list.data, len});
        list.data += len + (end != NULL);
        list.len -= len + (end != NULL);
    }
    if (tables && found == n && !list.len)
        r->writers = write_set_make(tables, found);
    else
        free(tables);
}

// In the order of the query's columns.
static const char *const refusals[] = {
    "a table was not found",
    "it reads something that is no ordinary, partitioned or materialised table",
    "it reads a temporary table",
    "a table has row-level security",
    "a table belongs to a system schema",
    "a table has children that are foreign tables",
    "it names something that is no column of its tables",
    "a column bears the name of a user's function",
    "it calls a function that may depend on more than its arguments, or is a user's own",
    "one of its operators may be a user's own",
    "a cast may run a user's own function",
    "a type may run a user's own function",
};
#define VIEWS      1
#define N_REFUSALS (sizeof refusals / sizeof *refusals)
#define N_FACTS    (N_REFUSALS + 6)

// Those that keep a lookup from being shared and mean nothing to its own session.
static const bool only_shared[N_REFUSALS] = {[VIEWS] = true, [2] = true, [3] = true, [8] = true};

// The columns behind the facts, if the question was a wide one.
static const char *const own_refusals[] = {
    "it calls a function that may do more than read, or one that returns a set",
    "something below it belongs to another server, another session or a system schema",
    "something below it may do more than read",
};
#define N_OWN (sizeof own_refusals / sizeof *own_refusals)

// Copies the lists: one allocation. Without memory the verdict is lost.
static bool take_below(struct slice row, struct stamp_below *b) {
    struct slice list[N_BELOW];
    for (unsigned i = 0; i < N_BELOW; i++) {
        if (!msg_row_column(row.data, row.len, N_FACTS + N_OWN + i, &list[i]))
            return false;
        b->len += list[i].len;
    }
    b->bytes = malloc(b->len + 1);
    size_t at = 0;
    for (unsigned i = 0; i < N_BELOW && b->bytes; i++) {
        b->list[i] = (struct slice){b->bytes + at, list[i].len};
        if (list[i].len)
            memcpy(b->bytes + at, list[i].data, list[i].len);
        at += list[i].len;
    }
    return b->bytes;
}

static void read_own(struct slice row, struct vet_result *r) {
    struct slice v;
    r->wide = msg_row_column(row.data, row.len, N_FACTS, &v);
    for (unsigned i = 0; r->wide && i < N_OWN && !r->own_refusal; i++)
        if (!column_is(row, N_FACTS + i, "f"))
            r->own_refusal = own_refusals[i];
    r->own = r->may_be_own && r->wide && !r->own_refusal && take_below(row, &r->below);
    r->steady = r->own && column_is(row, N_FACTS + N_OWN + N_BELOW, "t");
    for (unsigned i = 0; i < N_REFUSALS; i++)
        r->steady &= i == VIEWS || column_is(row, i, "f");
}

void vet_row(struct slice row, struct vet_result *r) {
    struct slice types, links, writers;
    vet_result_free(r);
    r->answered = r->may_be_own = true;
    for (unsigned i = 0; i < N_REFUSALS; i++) {
        if (column_is(row, i, "f"))
            continue;
        r->refusal = r->refusal ? r->refusal : refusals[i];
        r->may_be_own &= only_shared[i] && column_is(row, i, "t");
    }
    read_own(row, r);
    if (msg_row_column(row.data, row.len, N_REFUSALS, &types))
        read_types(types, r);
    r->key_type = column_oid(row, N_REFUSALS + 1);
    r->key_unique = column_is(row, N_REFUSALS + 2, "t");
    if (msg_row_column(row.data, row.len, N_REFUSALS + 3, &links))
        read_links(links, r);
    r->writers.all = true;
    if (msg_row_column(row.data, row.len, N_REFUSALS + 4, &writers))
        read_writers(writers, r);
    r->alone = column_is(row, N_REFUSALS + 5, "t");
    r->ok = !r->refusal;
}

void vet_names_forget(struct vet_result *r) {
    free(r->names);
    r->names = NULL;
}

void vet_result_free(struct vet_result *r) {
    free(r->links);
    free(r->names);
    free(r->below.bytes);
    write_set_free(&r->writers);
    *r = (struct vet_result){.writers = {.all = true}};
}

uint32_t vet_array_type(const struct vet_result *r, uint32_t type) {
    for (unsigned i = 0; i < r->n_types; i++)
        if (r->types[i].type == type)
            return r->types[i].array;
    return key_array_type(type);
}

uint32_t vet_element_type(const struct vet_result *r, uint32_t array) {
    for (unsigned i = 0; i < r->n_types; i++)
        if (r->types[i].array == array)
            return r->types[i].type;
    return key_element_type(array);
}

// ---- what the server makes of the statement

struct vetting *vetting_create(void) {
    struct vetting *v = calloc(1, sizeof *v);
    if (v)
        *v = (struct vetting){.catalogue = {.writers = {.all = true}},
                              .row_description = buf_make((size_t)1 << 20),
                              .stamp = buf_make((size_t)1 << 17)};
    return v;
}

size_t vetting_bytes(const struct vetting *v) {
    if (!v)
        return 0;
    return sizeof *v + v->row_description.cap + v->stamp.cap + stamp_bytes(v->made) +
           (v->catalogue.links ? VET_MAX_LINKS * sizeof *v->catalogue.links : 0) +
           v->catalogue.writers.n * sizeof *v->catalogue.writers.tables + v->catalogue.below.len +
           (v->catalogue.names ? strlen(v->catalogue.names) + MEMORY_BLOCK : 0) + 6 * MEMORY_BLOCK;
}

void vetting_destroy(struct vetting *v) {
    if (v) {
        vet_result_free(&v->catalogue);
        buf_free(&v->row_description);
        buf_free(&v->stamp);
        stamp_unref(v->made);
    }
    free(v);
}

static bool take_params(struct vetting *v, const struct frame *f) {
    unsigned n = f->body_len >= 2 ? get_u16(f->body) : 0;
    if (n > SHAPE_MAX_VALUES || f->body_len != 2 + (size_t)n * 4)
        return false;
    v->n_params = n;
    for (unsigned i = 0; i < n; i++)
        v->params[i] = get_u32(f->body + 2 + (size_t)i * 4);
    return true;
}

static bool take_description(struct vetting *v, const struct frame *f) {
    uint16_t n;
    // A SELECT of no columns has a description, too, but nothing could be folded back by it.
    if (!msg_row_description_first(f->body, f->body_len, &n))
        return false;
    buf_reset(&v->row_description);
    buf_put(&v->row_description, f->body, f->body_len);
    v->described = !v->row_description.failed;
    return v->described;
}

// The width of a row tells which query it answers. The answer of the settings has one column.
static void take_answer(struct vetting *v, struct slice row) {
    unsigned n = row.len >= 2 ? get_u16(row.data) : 0;
    if (n == STAMP_COLUMNS) {
        buf_reset(&v->stamp);
        buf_put(&v->stamp, row.data, row.len);
    } else if (n > 1) {
        vet_row(row, &v->catalogue);
    }
}

void vetting_feed(struct vetting *v, const struct frame *f) {
    bool ok = true;
    switch (f->type) {
    case B_DATA_ROW:
        take_answer(v, (struct slice){f->body, f->body_len});
        break;
    case B_PARAMETER_DESCRIPTION:
        ok = take_params(v, f);
        break;
    case B_ROW_DESCRIPTION:
        ok = take_description(v, f);
        break;
    case B_ERROR:
    case B_NO_DATA:
        ok = false;
        break;
    default:
        break;
    }
    v->failed |= !ok;
}

// ---- plain reads

bool vet_read_row(struct slice row) {
    return column_is(row, 0, "t");
}

bool vet_read_is_bare(struct slice row) {
    struct slice bare;
    return vet_read_row(row) && (!msg_row_column(row.data, row.len, 2, &bare) || column_is(row, 2, "t"));
}

bool vet_read_facts(struct slice row, struct slice *stamp) {
    return msg_row_column(row.data, row.len, 1, stamp) && stamp->data;
}
