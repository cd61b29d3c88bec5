// SPDX-License-Identifier: PostgreSQL
#include "batching/proof.h"

#include <stdlib.h>
#include <string.h>

void proof_table_init(struct proof_table *t) {
    *t = (struct proof_table){.next_id = 1};
}

void proof_table_finish(struct proof_table *t) {
    struct proof *p, *next;
    HASH_ITER(hh, t->table, p, next) {
        HASH_DEL(t->table, p);
        free(p);
    }
}

struct proof *proof_ref(struct proof *p) {
    p->refs++;
    return p;
}

void proof_unref(struct proof_table *t, struct proof *p) {
    if (!p || --p->refs)
        return;
    HASH_DEL(t->table, p);
    free(p);
}

static struct proof *proof_of(struct proof_table *t, const struct buf *b) {
    struct proof *p = NULL;
    if (b->failed)
        return NULL;
    HASH_FIND(hh, t->table, b->data, b->len, p);
    if (p)
        return proof_ref(p);
    p = calloc(1, sizeof *p + b->len);
    if (!p)
        return NULL;
    p->id = t->next_id++;
    p->refs = 1;
    p->len = b->len;
    memcpy(p->bytes, b->data, b->len);
    HASH_ADD_KEYPTR(hh, t->table, p->bytes, p->len, p);
    if (!p->hh.tbl) {
        free(p);
        return NULL;
    }
    return p;
}

// ---- the bytes: two users, then items of a kind, a name and a value; all with their lengths in front

enum item_kind { ITEM_VALUE = 'v', ITEM_RESET_VALUE = 'r' };

static void put_sized(struct buf *b, struct slice s) {
    buf_put_u32(b, s.data ? (uint32_t)s.len : UINT32_MAX); // NULL is not empty
    buf_put(b, s.data, s.len);
}

static void put_item(struct buf *b, enum item_kind kind, struct slice name, struct slice value) {
    buf_put_u8(b, (uint8_t)kind);
    put_sized(b, name);
    for (size_t i = b->failed ? 0 : name.len; i > 0;
         i--) { // as statements name it: the server writes DateStyle
        uint8_t *c = &b->data[b->len - i];
        *c = *c >= 'A' && *c <= 'Z' ? (uint8_t)(*c + 32) : *c;
    }
    put_sized(b, value);
}

static struct slice take_sized(const struct proof *p, size_t *at) {
    uint32_t len = get_u32(p->bytes + *at);
    struct slice s = {p->bytes + *at + 4, len};
    if (len == UINT32_MAX)
        s = (struct slice){0};
    *at += 4 + s.len;
    return s;
}

struct item {
    enum item_kind kind;
    struct slice name, value;
    size_t start, end;
};

static bool next_item(const struct proof *p, size_t *at, struct item *item) {
    if (*at >= p->len)
        return false;
    item->start = *at;
    item->kind = (enum item_kind)p->bytes[(*at)++];
    item->name = take_sized(p, at);
    item->value = take_sized(p, at);
    item->end = *at;
    return true;
}

static size_t users_end(const struct proof *p) {
    size_t at = 0;
    take_sized(p, &at);
    take_sized(p, &at);
    return at;
}

// ---- reading

// Everything is qualified: the session's search_path must not choose what is called. What is compared is
// compared here, for the same reason: there is no operator in it.
#define USERS_AND_SETTINGS                                                                                   \
    "SELECT CURRENT_USER, SESSION_USER, pg_catalog.pg_my_temp_schema(), pg_catalog.pg_backend_pid(); SHOW "  \
    "ALL"

const char *proof_query(bool with_reset_values) {
    return with_reset_values ? USERS_AND_SETTINGS
               "; SELECT name, setting, reset_val, context FROM pg_catalog.pg_show_all_settings()"
                             : USERS_AND_SETTINGS;
}

void proof_reader_start(struct proof_reader *r) {
    buf_free(&r->bytes);
    *r = (struct proof_reader){.bytes = buf_make(PROOF_MAX_BYTES)};
}

static bool is_left_out(struct slice name) {
    static const char *const prefixes[] = {"transaction_", "plpgsql.", "tcp_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (name.len > strlen(prefixes[i]) && memcmp(name.data, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

// No session can change it; some of these are shown in another form than their reset value.
static bool is_fixed(struct slice context) {
    return slice_is(context, "internal", 8) || slice_is(context, "postmaster", 10) ||
           slice_is(context, "sighup", 6);
}

static void take_users(struct proof_reader *r, const struct slice *column) {
    put_sized(&r->bytes, column[0]);
    put_sized(&r->bytes, column[1]);
    r->refused |= !slice_is(column[2], "0", 1);
}

static void take_process(struct proof_reader *r, struct slice row) {
    struct slice pid;
    if (!msg_row_column(row.data, row.len, 3, &pid))
        return;
    for (size_t i = 0; i < pid.len && i < 9 && pid.data[i] >= '0' && pid.data[i] <= '9'; i++)
        r->process = r->process * 10 + (uint32_t)(pid.data[i] - '0');
}

static bool same_value(struct slice a, struct slice b) {
    return !a.data == !b.data && a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

void proof_reader_row(struct proof_reader *r, struct slice row) {
    struct slice column[4];
    for (unsigned i = 0; i < (r->result < 2 ? 3 : 4); i++) {
        if (!msg_row_column(row.data, row.len, i, &column[i])) {
            r->refused = true;
            return;
        }
    }
    if (r->result == 0 && !r->bytes.len) {
        take_users(r, column);
        take_process(r, row);
    } else if (r->result == 0 || !column[0].data)
        r->refused = true;
    else if (is_left_out(column[0]))
        return;
    else if (r->result == 1)
        put_item(&r->bytes, ITEM_VALUE, column[0], column[1]);
    else if (!is_fixed(column[3]) && !same_value(column[1], column[2]))
        put_item(&r->bytes, ITEM_RESET_VALUE, column[0], column[2]);
}

void proof_reader_next(struct proof_reader *r) {
    r->refused |= r->result == 0 && !r->bytes.len;
    r->result++;
}

struct proof *proof_reader_end(struct proof_reader *r, struct proof_table *t, bool ok) {
    struct proof *p = ok && !r->refused && r->result >= 2 ? proof_of(t, &r->bytes) : NULL;
    buf_free(&r->bytes);
    return p;
}

// ---- using

bool proof_setting(const struct proof *p, const char *name, struct slice *value) {
    size_t at = users_end(p);
    struct item item;
    while (next_item(p, &at, &item)) {
        if (item.kind == ITEM_VALUE && slice_is(item.name, name, strlen(name))) {
            *value = item.value;
            return true;
        }
    }
    return false;
}

bool proof_same_users(const struct proof *a, const struct proof *b) {
    size_t len = users_end(a);
    return len == users_end(b) && memcmp(a->bytes, b->bytes, len) == 0;
}

struct proof *proof_without(struct proof_table *t, const struct proof *p,
                            bool (*leave_out)(const void *ctx, struct slice name), const void *ctx) {
    struct buf b = buf_make(PROOF_MAX_BYTES);
    size_t at = users_end(p);
    struct item item;
    buf_put(&b, p->bytes, at);
    while (next_item(p, &at, &item))
        if (!leave_out(ctx, item.name))
            buf_put(&b, p->bytes + item.start, item.end - item.start);
    struct proof *reduced = proof_of(t, &b);
    buf_free(&b);
    return reduced;
}
