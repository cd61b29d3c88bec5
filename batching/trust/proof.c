// SPDX-License-Identifier: PostgreSQL
//
// The layout of a proof's bytes, the query, and the reader of its answer.
#include "batching/trust/proof.h"

#include <stdlib.h>
#include <string.h>

void proof_table_init(struct proof_table *t) {
    *t = (struct proof_table){.next_id = 1};
}

static size_t bytes_of(size_t len) {
    return sizeof(struct proof) + len + MEMORY_BLOCK;
}

static void proof_free(struct proof_table *t, struct proof *p) {
    account_sub(t->memory, bytes_of(p->len));
    HASH_DEL(t->table, p);
    free(p);
}

void proof_table_finish(struct proof_table *t) {
    struct proof *p, *next;
    HASH_ITER(hh, t->table, p, next) {
        proof_free(t, p);
    }
}

struct proof *proof_ref(struct proof *p) {
    p->refs++;
    return p;
}

void proof_unref(struct proof_table *t, struct proof *p) {
    if (p && !--p->refs)
        proof_free(t, p);
}

static struct proof *proof_of(struct proof_table *t, const struct buf *b) {
    struct proof *p = NULL;
    if (b->failed)
        return NULL;
    HASH_FIND(hh, t->table, b->data, b->len, p);
    if (p)
        return proof_ref(p);
    if (t->memory && account_is_full(t->memory, bytes_of(b->len)))
        return NULL;
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
    account_add(t->memory, bytes_of(p->len));
    return p;
}

// ---- the bytes
//
// First the users and the server, then items of a kind, a name and a value. Each string has its length in
// front.

// OWN: the value was given by the session itself, not by its log-in or the configuration.
enum item_kind { ITEM_VALUE = 'v', ITEM_RESET_VALUE = 'r', ITEM_OWN = 'o' };

static void put_sized(struct buf *b, struct slice s) {
    buf_put_u32(b, s.data ? (uint32_t)s.len : UINT32_MAX); // NULL is not empty
    buf_put(b, s.data, s.len);
}

static void put_item(struct buf *b, enum item_kind kind, struct slice name, struct slice value) {
    buf_put_u8(b, (uint8_t)kind);
    put_sized(b, name);
    // Statements name it in lower case; the server writes DateStyle.
    for (size_t i = b->failed ? 0 : name.len; i > 0; i--) {
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

#define N_USER_FIELDS 5 // name and OID of the two users, and the server's start time

static size_t users_end(const struct proof *p) {
    size_t at = 0;
    for (int i = 0; i < N_USER_FIELDS; i++)
        take_sized(p, &at);
    return at;
}

// ---- reading

// Every name is qualified, because the session's search_path must not choose what is called. For the same
// reason the query has no operator: the comparison happens here. The names are asked for before and after the
// OIDs, in case a role is renamed in between. Times are written so that no setting changes their form.
#define ROLE_OID(user) "pg_catalog.quote_ident(" user ")::pg_catalog.regrole::pg_catalog.oid"
#define TIME(time)     "pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog." time "()), 'hex')"
// clang-format off
#define USERS                                                                                                \
    "SELECT CURRENT_USER, SESSION_USER, pg_catalog.pg_my_temp_schema(), "                                    \
    ROLE_OID("CURRENT_USER") ", " ROLE_OID("SESSION_USER") ", "                                              \
    TIME("pg_postmaster_start_time") ", " TIME("statement_timestamp") ", CURRENT_USER, SESSION_USER, "                                        \
    "pg_catalog.pg_backend_pid()"
// clang-format on
#define USERS_AND_SETTINGS USERS "; SHOW ALL"

enum { N_USERS = 9, N_SHOWN = 3, N_SOURCES = 5 }; // columns

const char *proof_query(bool with_sources) {
    return with_sources ? USERS_AND_SETTINGS
               "; SELECT name, setting, reset_val, context, source FROM pg_catalog.pg_show_all_settings()"
                        : USERS_AND_SETTINGS;
}

void proof_reader_start(struct proof_reader *r) {
    buf_free(&r->bytes);
    *r = (struct proof_reader){.bytes = buf_make(PROOF_MAX_BYTES)};
}

static bool is_left_out(struct slice name) {
    static const char *const prefixes[] = {"transaction_", "plpgsql.", "tcp_"};
    if (slice_is(name, "transaction_timeout", 19)) // a limit like statement_timeout, new in PostgreSQL 17
        return false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (name.len > strlen(prefixes[i]) && memcmp(name.data, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

// No session can change such a setting. Some of them are shown in another form than their reset value.
static bool is_fixed(struct slice context) {
    return slice_is(context, "internal", 8) || slice_is(context, "postmaster", 10) ||
           slice_is(context, "sighup", 6);
}

static void take_process(struct proof_reader *r, struct slice row) {
    struct slice pid;
    if (!msg_row_column(row.data, row.len, N_USERS, &pid))
        return;
    for (size_t i = 0; i < pid.len && i < 9 && pid.data[i] >= '0' && pid.data[i] <= '9'; i++)
        r->process = r->process * 10 + (uint32_t)(pid.data[i] - '0');
}

bool proof_read_time(struct slice text, uint64_t *time) {
    *time = 0;
    for (size_t i = 0; i < text.len && i < 16; i++) {
        uint8_t c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *time = *time << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return text.len == 16;
}

static bool are_oids(struct slice a, struct slice b) {
    return a.len && b.len && !slice_is(a, "0", 1) && !slice_is(b, "0", 1);
}

static void take_users(struct proof_reader *r, const struct slice *column) {
    uint64_t started;
    put_sized(&r->bytes, column[0]);
    put_sized(&r->bytes, column[1]);
    put_sized(&r->bytes, column[3]);
    put_sized(&r->bytes, column[4]);
    put_sized(&r->bytes, column[5]);
    r->refused |= !slice_is(column[2], "0", 1) || !are_oids(column[3], column[4]) ||
                  !proof_read_time(column[5], &started) || !proof_read_time(column[6], &r->asked) ||
                  !slice_same(column[0], column[7]) || !slice_same(column[1], column[8]);
}

static void take_sources(struct proof_reader *r, const struct slice *column) {
    if (!is_fixed(column[3]) && !slice_same(column[1], column[2]))
        put_item(&r->bytes, ITEM_RESET_VALUE, column[0], column[2]);
    if (slice_is(column[4], "session", 7))
        put_item(&r->bytes, ITEM_OWN, column[0], column[4]);
}

void proof_reader_row(struct proof_reader *r, struct slice row) {
    static const unsigned n_columns[] = {N_USERS, N_SHOWN, N_SOURCES};
    struct slice column[N_USERS];
    for (unsigned i = 0; i < n_columns[r->result < 2 ? r->result : 2]; i++) {
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
    else
        take_sources(r, column);
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
