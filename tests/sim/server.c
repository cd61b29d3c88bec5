// SPDX-License-Identifier: PostgreSQL
#include "tests/sim/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/write.h"

void server_init(struct server *s, struct database *db, unsigned id, const char *user) {
    *s = (struct server){.db = db, .id = id, .txn = 'I', .random = id * 7919u + 1};
    snprintf(s->user, sizeof s->user, "%s", user);
    strcpy(s->now.schema, "public");
    snprintf(s->now.role, sizeof s->now.role, "%s", user);
    s->login = s->saved = s->now;
    s->in = s->out = buf_make((size_t)1 << 26);
}

void server_finish(struct server *s) {
    buf_free(&s->in);
    buf_free(&s->out);
}

static unsigned server_random(struct server *s, unsigned n) {
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(s->random >> 33) % n;
}

// ---- replies

static void reply_error(struct server *s, const char *code, const char *message) {
    write_error(&s->out, "ERROR", code, message, NULL, NULL);
    s->failed = true;
    if (s->txn == 'T')
        s->txn = 'E';
}

static void reply_tag(struct server *s, const char *tag) {
    size_t at = write_begin(&s->out, B_COMMAND_COMPLETE);
    buf_put_str(&s->out, tag);
    write_end(&s->out, at);
}

static void put_column(struct buf *b, const char *name, unsigned attribute, uint32_t type, unsigned size,
                       uint32_t typmod, uint16_t format) {
    buf_put_str(b, name);
    buf_put_u32(b, 16384);
    buf_put_u16(b, (uint16_t)attribute);
    buf_put_u32(b, type);
    buf_put_u16(b, (uint16_t)size);
    buf_put_u32(b, typmod);
    buf_put_u16(b, format);
}

static void reply_one_text_row(struct server *s, const char *column, const char *value, bool describe) {
    size_t at;
    if (describe) {
        at = write_begin(&s->out, B_ROW_DESCRIPTION);
        buf_put_u16(&s->out, 1);
        put_column(&s->out, column, 0, 25, 0xffff, UINT32_MAX, 0);
        write_end(&s->out, at);
    }
    at = write_begin(&s->out, B_DATA_ROW);
    buf_put_u16(&s->out, 1);
    buf_put_u32(&s->out, (uint32_t)strlen(value));
    buf_put_text(&s->out, value);
    write_end(&s->out, at);
}

// ---- lookups

enum lookup_form { PLAIN, FOLDED_IN, FOLDED_LATERAL };

struct select {
    enum lookup_form form;
    bool books;   // else items
    bool limited; // LIMIT 2
    bool has_constant;
    int constant;
    bool bad_constant;
};

static bool starts(const char *s, const char *with) {
    return strncmp(s, with, strlen(with)) == 0;
}

// The statement's text as one of the lookups; false: it is something else.
static bool read_select(const char *text, struct select *q) {
    *q = (struct select){.form = PLAIN};
    const char *inner = text;
    if (starts(text, "SELECT pgfold_k.n,")) {
        q->form = FOLDED_LATERAL;
        inner = strstr(text, "LATERAL (");
        inner = inner ? inner + 9 : "";
    } else if (starts(text, "SELECT \"id\", ")) {
        q->form = FOLDED_IN;
    } else if (!starts(text, "SELECT id, v ") && !starts(text, "SELECT n, title ")) {
        return false;
    }
    const char *key = strstr(inner, "WHERE id = ");
    if (!key) {
        key = strstr(inner, "WHERE author_id = ");
        q->books = key;
    }
    if (!key || strstr(inner, "nowhere"))
        return false;
    key = strstr(key, "= ") + 2;
    q->limited = strstr(key, "LIMIT 2");
    key += *key == '\'';
    q->has_constant = *key == '-' || (*key >= '0' && *key <= '9');
    q->bad_constant = *key == 'x';
    q->constant = atoi(key);
    return true;
}

static unsigned rows_of(const struct select *q, int key) {
    if (!q->books)
        return key > 0 && key % 7 ? 1 : 0;
    unsigned n = key > 0 ? (unsigned)key % 4 : 0;
    return q->limited && n > 2 ? 2 : n;
}

static void put_int(struct buf *b, int64_t v, unsigned width, uint16_t format) {
    char digits[24];
    if (format == 0) {
        snprintf(digits, sizeof digits, "%lld", (long long)v);
        buf_put_u32(b, (uint32_t)strlen(digits));
        buf_put_text(b, digits);
        return;
    }
    buf_put_u32(b, width);
    if (width == 8)
        buf_put_u64(b, (uint64_t)v);
    else
        buf_put_u32(b, (uint32_t)v);
}

static uint16_t format_of(const struct portal *p, unsigned i) {
    return p->n_formats == 0 ? 0 : p->formats[p->n_formats == 1 ? 0 : i];
}

static void put_row(struct server *s, const struct select *q, const struct portal *p, int key, unsigned n,
                    int64_t tag) {
    char value[128];
    unsigned first = q->form != PLAIN;
    snprintf(value, sizeof value, "%s:%s:%s:%d:%u:v%06u:d%04u", q->books ? "books" : "items",
             s->now.temp ? "temp" : s->now.schema, s->now.role, key, n, s->db->version, s->db->definitions);
    if (s->now.temp)
        snprintf(value, sizeof value, "temp:%u:%d:%u:v%06u:d%04u", s->id, key, n, s->db->version,
                 s->db->definitions);
    size_t at = write_begin(&s->out, B_DATA_ROW);
    buf_put_u16(&s->out, (uint16_t)(2 + first));
    if (q->form == FOLDED_LATERAL)
        put_int(&s->out, tag, 8, format_of(p, 0));
    else if (q->form == FOLDED_IN)
        put_int(&s->out, key, 4, format_of(p, 0));
    put_int(&s->out, q->books ? (int)n : key, 4, format_of(p, first));
    buf_put_u32(&s->out, (uint32_t)strlen(value));
    buf_put_text(&s->out, value);
    write_end(&s->out, at);
}

static void describe_select(struct server *s, const struct select *q, const struct portal *p) {
    static const struct portal text = {0};
    unsigned first = q->form != PLAIN;
    p = p ? p : &text;
    size_t at = write_begin(&s->out, B_ROW_DESCRIPTION);
    buf_put_u16(&s->out, (uint16_t)(2 + first));
    if (q->form == FOLDED_LATERAL)
        put_column(&s->out, "n", 0, 20, 8, UINT32_MAX, format_of(p, 0));
    else if (q->form == FOLDED_IN)
        put_column(&s->out, "id", 1, 23, 4, UINT32_MAX, format_of(p, 0));
    put_column(&s->out, q->books ? "n" : "id", 1, 23, 4, UINT32_MAX, format_of(p, first));
    put_column(&s->out, "v", 2, 25, 0xffff, s->db->definitions, format_of(p, first + 1));
    write_end(&s->out, at);
}

// Key 13 raises an error, alone or among others.
static bool put_key_rows(struct server *s, const struct select *q, const struct portal *p, int key,
                         int64_t tag, unsigned *total) {
    if (key == 13) {
        reply_error(s, "22012", "division by zero");
        return false;
    }
    for (unsigned n = 0; n < rows_of(q, key); n++, ++*total)
        put_row(s, q, p, key, n, tag);
    return true;
}

// A folded IN form returns its rows in an order of its own.
static void run_select(struct server *s, const struct select *q, const struct portal *p) {
    unsigned total = 0;
    char tag[32];
    if (q->form == PLAIN) {
        if (p->has_key && !p->is_null && !put_key_rows(s, q, p, p->key, 0, &total))
            return;
    } else {
        s->n_folded++;
        for (unsigned i = 0; i < p->n_keys; i++) {
            unsigned at = q->form == FOLDED_IN ? p->n_keys - 1 - i : i;
            if (!put_key_rows(s, q, p, p->keys[at], (int64_t)at + 1, &total))
                return;
        }
    }
    snprintf(tag, sizeof tag, "SELECT %u", total);
    reply_tag(s, tag);
}

// ---- pgfold's own queries

static void put_text_row(struct server *s, const char *const *values, unsigned n) {
    size_t at = write_begin(&s->out, B_DATA_ROW);
    buf_put_u16(&s->out, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_put_u32(&s->out, values[i] ? (uint32_t)strlen(values[i]) : UINT32_MAX);
        if (values[i])
            buf_put_text(&s->out, values[i]);
    }
    write_end(&s->out, at);
    reply_tag(s, "SELECT 1");
}

static void run_proof(struct server *s) {
    char digest[64], changed[64], roles[64];
    snprintf(digest, sizeof digest, "digest of %s", s->user);
    snprintf(changed, sizeof changed, "\x01search_path=%s", s->now.schema);
    snprintf(roles, sizeof roles, "%s\x01%s", s->now.role, s->user);
    const char *values[] = {digest, strcmp(s->now.schema, "public") ? changed : NULL, roles,
                            s->now.temp ? "99" : "0"};
    put_text_row(s, values, 4);
}

static void run_vet(struct server *s, const char *text) {
    const char *items[] = {"r", "p", "f", "public", "f", "23", "t", "0", "0", "0", "0"};
    if (strstr(text, "author_id"))
        items[6] = "f";
    if (s->now.temp)
        items[1] = "t";
    if (strstr(text, "changer_view"))
        items[0] = "v";
    put_text_row(s, items, 11);
}

static void run_read_vet(struct server *s, const char *text) {
    const char *plain = strstr(text, "changer") || s->now.temp ? "f" : "t";
    put_text_row(s, &plain, 1);
}

static bool run_own(struct server *s, const char *text) {
    bool proof = starts(text, "SELECT pg_catalog.encode"), vet = starts(text, "SELECT c.relkind");
    if (!proof && !vet && !starts(text, "SELECT NOT EXISTS (SELECT 1 FROM pg_catalog.unnest"))
        return false;
    s->n_own++;
    if (proof)
        run_proof(s);
    else if (vet)
        run_vet(s, text);
    else
        run_read_vet(s, text);
    return true;
}

// ---- other statements

static void deallocate(struct server *s, const char *name) {
    for (unsigned i = 1; i < SERVER_MAX_STATEMENTS; i++)
        if (!name || (s->prepared[i].used && strcmp(s->prepared[i].name, name) == 0))
            s->prepared[i].used = false;
}

static void end_transaction(struct server *s, bool keep) {
    if (!keep || s->local)
        s->now = s->saved;
    s->local = false;
    s->saved = s->now;
    s->txn = 'I';
}

static bool run_transaction(struct server *s, const char *text) {
    if (strcmp(text, "BEGIN") == 0) {
        s->saved = s->txn == 'I' && !s->in_unit ? s->now : s->saved;
        s->txn = 'T';
        reply_tag(s, "BEGIN");
    } else if (strcmp(text, "COMMIT") == 0 || strcmp(text, "ROLLBACK") == 0) {
        bool keep = *text == 'C' && s->txn != 'E';
        end_transaction(s, keep);
        reply_tag(s, keep ? "COMMIT" : "ROLLBACK");
    } else {
        return false;
    }
    return true;
}

static bool run_setting(struct server *s, const char *text) {
    if (starts(text, "SET search_path = ")) {
        snprintf(s->now.schema, sizeof s->now.schema, "%.8s", text + 18);
        s->now.schema[strcspn(s->now.schema, ";")] = 0;
        reply_tag(s, "SET");
    } else if (starts(text, "SET LOCAL search_path = ")) {
        // Outside a transaction it has no effect.
        s->local = s->local || s->txn == 'T';
        if (s->txn == 'T')
            snprintf(s->now.schema, sizeof s->now.schema, "%.8s", text + 24);
        reply_tag(s, "SET");
    } else if (starts(text, "SET ROLE ")) {
        snprintf(s->now.role, sizeof s->now.role, "%.8s", text + 9);
        reply_tag(s, "SET");
    } else if (strcmp(text, "RESET search_path") == 0) {
        memcpy(s->now.schema, s->login.schema, sizeof s->now.schema);
        reply_tag(s, "RESET");
    } else if (strcmp(text, "RESET ALL") == 0) { // does not reset the role
        memcpy(s->now.schema, s->login.schema, sizeof s->now.schema);
        reply_tag(s, "RESET");
    } else if (strcmp(text, "DISCARD ALL") == 0) {
        if (s->txn != 'I') {
            reply_error(s, "25001", "DISCARD ALL cannot run inside a transaction block");
            return true;
        }
        s->now = s->login;
        deallocate(s, NULL);
        reply_tag(s, "DISCARD ALL");
    } else {
        return false;
    }
    return true;
}

// Functions and blocks that do to the session what their text does not say.
static bool run_hidden(struct server *s, const char *text, bool describe) {
    if (starts(text, "SELECT changer()") || starts(text, "SELECT v FROM changer_view")) {
        strcpy(s->now.schema, "hidden");
        reply_one_text_row(s, "changer", "", describe);
        reply_tag(s, "SELECT 1");
    } else if (starts(text, "DO ")) {
        strcpy(s->now.schema, "done");
        reply_tag(s, "DO");
    } else if (starts(text, "CREATE TEMP TABLE")) {
        s->now.temp = true;
        reply_tag(s, "CREATE TABLE");
    } else {
        return false;
    }
    return true;
}

static bool run_other(struct server *s, const char *text, bool describe) {
    if (starts(text, "INSERT ")) {
        s->db->version += !s->is_oracle;
        reply_tag(s, "INSERT 0 1");
    } else if (starts(text, "ALTER TABLE")) {
        s->db->definitions += !s->is_oracle;
        reply_tag(s, "ALTER TABLE");
    } else if (starts(text, "SHOW ")) {
        reply_one_text_row(s, "show", text, describe);
        reply_tag(s, "SHOW");
    } else if (starts(text, "DEALLOCATE ")) {
        deallocate(s, strcmp(text + 11, "ALL") ? text + 11 : NULL);
        reply_tag(s, "DEALLOCATE");
    } else if (starts(text, "SELECT 1;")) { // two statements
        reply_one_text_row(s, "one", "1", true);
        reply_tag(s, "SELECT 1");
        return run_setting(s, text + 10);
    } else if (starts(text, "SELECT 1")) {
        reply_one_text_row(s, "one", "1", describe);
        reply_tag(s, "SELECT 1");
    } else if (starts(text, "LISTEN ")) {
        reply_tag(s, "LISTEN");
    } else {
        return false;
    }
    return true;
}

static bool returns_text_row(const char *text) {
    return starts(text, "SHOW ") || starts(text, "SELECT 1") || starts(text, "SELECT changer()") ||
           starts(text, "SELECT v FROM changer_view");
}

// One statement; `p` is its portal.
static void run_statement(struct server *s, const char *text, const struct portal *p, bool describe) {
    struct select q;
    if (s->txn == 'E' && strcmp(text, "COMMIT") != 0 && strcmp(text, "ROLLBACK") != 0) {
        reply_error(s, "25P02", "current transaction is aborted");
        return;
    }
    if (s->trace)
        printf("%s %u, %s, %c: %.60s\n", s->is_oracle ? "oracle" : "server", s->id, s->now.schema, s->txn,
               text);
    if (read_select(text, &q)) {
        if (describe)
            describe_select(s, &q, p);
        run_select(s, &q, p);
        return;
    }
    if (run_own(s, text) || run_transaction(s, text) || run_setting(s, text) ||
        run_hidden(s, text, describe) || run_other(s, text, describe))
        return;
    if (strstr(text, "nowhere"))
        reply_error(s, "42P01", "relation \"nowhere\" does not exist");
    else
        reply_error(s, "42601", "syntax error");
}

// An implicit transaction ends: what failed is undone.
static void end_implicit(struct server *s) {
    if (s->txn == 'I' && s->failed)
        s->now = s->saved;
    if (s->txn == 'I')
        s->saved = s->now;
    s->failed = false;
    s->in_unit = false;
}

static void reply_ready(struct server *s) {
    end_implicit(s);
    if (s->txn == 'I')
        s->portal.used = false;
    write_ready(&s->out, s->txn);
    s->stalled = false;
}

// ---- the simple protocol

static void run_query(struct server *s, const char *text) {
    struct portal p = {0};
    struct select q;
    s->prepared[0].used = false;
    s->portal.used = false;
    if (starts(text, "COPY ") && s->txn != 'E') {
        size_t at = write_begin(&s->out, B_COPY_IN);
        buf_put_u8(&s->out, 0);
        buf_put_u16(&s->out, 0);
        write_end(&s->out, at);
        s->copying = true;
        return;
    }
    if (read_select(text, &q)) {
        p.has_key = q.has_constant;
        p.key = q.constant;
        if (q.bad_constant && s->txn != 'E')
            reply_error(s, "22P02", "invalid input syntax for type integer");
    }
    if (!s->failed)
        run_statement(s, text, &p, true);
    reply_ready(s);
}

static void run_copy(struct server *s, uint8_t type) {
    if (type == F_COPY_DATA)
        return;
    s->copying = false;
    if (type == F_COPY_FAIL) {
        reply_error(s, "57014", "COPY from stdin failed");
    } else {
        s->db->version += !s->is_oracle;
        reply_tag(s, "COPY 1");
    }
    reply_ready(s);
}

// ---- the extended protocol

static void copy_text(char *to, size_t room, struct slice s) {
    snprintf(to, room, "%.*s", (int)s.len, (const char *)s.data);
}

static struct prepared *find_prepared(struct server *s, struct slice name) {
    if (!name.len)
        return s->prepared[0].used ? &s->prepared[0] : NULL;
    for (unsigned i = 1; i < SERVER_MAX_STATEMENTS; i++)
        if (s->prepared[i].used && slice_is(name, s->prepared[i].name, strlen(s->prepared[i].name)))
            return &s->prepared[i];
    return NULL;
}

static struct prepared *free_prepared(struct server *s, struct slice name) {
    if (!name.len)
        return &s->prepared[0];
    for (unsigned i = 1; i < SERVER_MAX_STATEMENTS; i++)
        if (!s->prepared[i].used)
            return &s->prepared[i];
    return NULL;
}

static void run_parse(struct server *s, const struct msg_parse *m) {
    char text[1024];
    copy_text(text, sizeof text, m->text);
    if (!m->name.len)
        s->prepared[0].used = false;
    if (s->txn == 'E' && strcmp(text, "COMMIT") != 0 && strcmp(text, "ROLLBACK") != 0)
        return reply_error(s, "25P02", "current transaction is aborted");
    if (starts(text, "SELEC "))
        return reply_error(s, "42601", "syntax error");
    if (strstr(text, "nowhere"))
        return reply_error(s, "42P01", "relation \"nowhere\" does not exist");
    if (m->name.len && find_prepared(s, m->name))
        return reply_error(s, "42P05", "prepared statement already exists");
    struct prepared *p = free_prepared(s, m->name);
    if (!p)
        return reply_error(s, "53200", "too many statements");
    *p = (struct prepared){
        .used = true, .definitions = s->db->definitions, .n_types = m->n_types < 8 ? m->n_types : 8};
    copy_text(p->name, sizeof p->name, m->name);
    strcpy(p->text, text);
    for (unsigned i = 0; i < p->n_types; i++)
        p->types[i] = get_u32(m->types + (size_t)i * 4);
    write_empty(&s->out, B_PARSE_COMPLETE);
}

static void read_key_array(struct portal *p, struct slice v) {
    uint32_t n = v.len >= 20 ? get_u32(v.data + 12) : 0;
    const uint8_t *at = v.data + 20;
    for (uint32_t i = 0; i < n && i < 1200; i++) {
        uint32_t width = get_u32(at);
        at += 4;
        p->keys[p->n_keys++] = width == 8   ? (int)get_u64(at)
                               : width == 2 ? (int16_t)get_u16(at)
                                            : (int)get_u32(at);
        at += width;
    }
}

static void read_key(struct portal *p, struct slice v, uint16_t format) {
    char digits[24] = {0};
    p->has_key = true;
    p->is_null = !v.data;
    if (p->is_null)
        return;
    if (format == 1) {
        p->key = v.len == 8 ? (int)get_u64(v.data) : v.len == 4 ? (int)get_u32(v.data) : 0;
        p->error = v.len == 8 || v.len == 4 ? NULL : "22P03";
        return;
    }
    snprintf(digits, sizeof digits, "%.*s", (int)(v.len < 20 ? v.len : 20), (const char *)v.data);
    if (!*digits || strspn(digits, "-0123456789 ") != strlen(digits))
        p->error = "22P02";
    p->key = atoi(digits);
}

static void run_bind(struct server *s, const struct msg_bind *m) {
    struct prepared *st = find_prepared(s, m->statement);
    struct portal *p = &s->portal;
    struct select q;
    size_t walk = 0;
    struct slice value;
    *p = (struct portal){0};
    if (!st)
        return reply_error(s, "26000",
                           m->statement.len ? "prepared statement does not exist"
                                            : "unnamed prepared statement does not exist");
    if (s->txn == 'E' && strcmp(st->text, "COMMIT") != 0 && strcmp(st->text, "ROLLBACK") != 0)
        return reply_error(s, "25P02", "current transaction is aborted");
    strcpy(p->text, st->text);
    bool lookup = read_select(st->text, &q);
    // A server says so of every statement; of the clients' own it would make their answers a matter of time.
    if (lookup && q.form != PLAIN && st->definitions != s->db->definitions)
        return reply_error(s, "0A000", "cached plan must not change result type");
    if (m->n_params != (lookup && !q.has_constant ? 1 : 0))
        return reply_error(s, "08P01", "wrong number of parameters");
    if (msg_bind_next_param(m, &walk, &value)) {
        if (q.form != PLAIN)
            read_key_array(p, value);
        else
            read_key(p, value, msg_bind_param_format(m, 0));
    } else if (lookup) {
        read_key(p, (struct slice){0}, 0);
        p->is_null = false;
        p->key = q.constant;
    }
    p->n_formats = m->n_result_formats < 8 ? m->n_result_formats : 8;
    for (unsigned i = 0; i < p->n_formats; i++)
        p->formats[i] = get_u16(m->result_formats + (size_t)i * 2);
    if (p->error)
        return reply_error(s, p->error, "invalid parameter");
    p->used = true;
    write_empty(&s->out, B_BIND_COMPLETE);
}

static void reply_description(struct server *s, const char *text, const struct portal *p) {
    struct select q;
    if (read_select(text, &q)) {
        describe_select(s, &q, p);
    } else if (returns_text_row(text)) {
        size_t at = write_begin(&s->out, B_ROW_DESCRIPTION);
        buf_put_u16(&s->out, 1);
        put_column(&s->out, "text", 0, 25, 0xffff, UINT32_MAX, p ? format_of(p, 0) : 0);
        write_end(&s->out, at);
    } else {
        write_empty(&s->out, B_NO_DATA);
    }
}

static void run_describe(struct server *s, const struct msg_target *m) {
    if (m->kind == 'P') {
        if (!s->portal.used || m->name.len)
            return reply_error(s, "34000", "portal does not exist");
        return reply_description(s, s->portal.text, &s->portal);
    }
    struct prepared *st = find_prepared(s, m->name);
    if (!st)
        return reply_error(s, "26000", "prepared statement does not exist");
    size_t at = write_begin(&s->out, B_PARAMETER_DESCRIPTION);
    buf_put_u16(&s->out, strchr(st->text, '$') ? 1 : 0);
    if (strchr(st->text, '$'))
        buf_put_u32(&s->out, st->n_types && st->types[0] ? st->types[0] : 23);
    write_end(&s->out, at);
    reply_description(s, st->text, NULL);
}

static void run_close(struct server *s, const struct msg_target *m) {
    struct prepared *st = m->kind == 'S' ? find_prepared(s, m->name) : NULL;
    if (st)
        st->used = false;
    if (m->kind == 'P' && !m->name.len)
        s->portal.used = false;
    write_empty(&s->out, B_CLOSE_COMPLETE);
}

static void run_execute(struct server *s) {
    if (!s->portal.used)
        return reply_error(s, "34000", "portal does not exist");
    struct portal p = s->portal;
    run_statement(s, p.text, &p, false);
}

static void run_extended(struct server *s, const struct frame *f) {
    struct msg_parse parse;
    struct msg_bind bind;
    struct msg_target target;
    struct msg_execute execute;
    bool ok = true;
    if (!s->in_unit && s->txn == 'I')
        s->saved = s->now;
    s->in_unit = true;
    if (f->type == F_PARSE && (ok = msg_parse_read(f->body, f->body_len, &parse)))
        run_parse(s, &parse);
    else if (f->type == F_BIND && (ok = msg_bind_read(f->body, f->body_len, &bind)))
        run_bind(s, &bind);
    else if (f->type == F_DESCRIBE && (ok = msg_target_read(f->body, f->body_len, &target)))
        run_describe(s, &target);
    else if (f->type == F_CLOSE && (ok = msg_target_read(f->body, f->body_len, &target)))
        run_close(s, &target);
    else if (f->type == F_EXECUTE && (ok = msg_execute_read(f->body, f->body_len, &execute)))
        run_execute(s);
    if (!ok)
        reply_error(s, "08P01", "malformed message");
    s->skipping = s->failed;
}

// ---- messages

static bool is_lookup(const struct server *s, const struct frame *f) {
    struct select q;
    struct slice text;
    if (f->type == F_QUERY && msg_query_read(f->body, f->body_len, &text))
        return read_select((const char *)text.data, &q);
    // The last one of its unit, so that a cancelled unit leaves the session as its oracle has it.
    return f->type == F_EXECUTE && s->portal.used && !s->skipping && s->in.len > f->size &&
           s->in.data[f->size] == F_SYNC && read_select(s->portal.text, &q);
}

// A lookup may take long; a cancel request that comes meanwhile ends it with an error.
static bool is_busy(struct server *s, const struct frame *f) {
    if (s->busy) {
        s->busy -= s->cancelled ? s->busy : 1;
        return true;
    }
    if (s->stalled || !s->may_stall || s->txn != 'I' || !is_lookup(s, f) || server_random(s, s->may_stall))
        return false;
    s->stalled = true;
    s->busy = 1 + server_random(s, s->stall);
    return true;
}

static bool run_cancelled(struct server *s, const struct frame *f) {
    if (!s->cancelled)
        return false;
    s->cancelled = s->stalled = false;
    if (f->type == F_QUERY)
        s->prepared[0].used = s->portal.used = false;
    reply_error(s, "57014", "canceling statement due to user request");
    if (f->type == F_QUERY)
        reply_ready(s);
    else
        s->skipping = true;
    return true;
}

static void run_message(struct server *s, const struct frame *f) {
    struct slice text;
    if (f->type == F_TERMINATE) {
        s->closed = true;
    } else if (s->copying) {
        run_copy(s, f->type);
    } else if (f->type == F_SYNC) {
        s->skipping = false;
        reply_ready(s);
    } else if (s->skipping || f->type == F_FLUSH || f->type == F_COPY_DATA || f->type == F_COPY_DONE) {
        return;
    } else if (f->type == F_QUERY) {
        if (msg_query_read(f->body, f->body_len, &text)) {
            if (s->txn == 'I')
                s->saved = s->now;
            run_query(s, (const char *)text.data);
        }
    } else {
        run_extended(s, f);
        if (f->type == F_EXECUTE)
            s->stalled = false;
    }
}

bool server_step(struct server *s) {
    struct frame f;
    if (s->closed || frame_read(s->in.data, s->in.len, &f) != FRAME_OK)
        return false;
    if (is_busy(s, &f))
        return true;
    if (!run_cancelled(s, &f))
        run_message(s, &f);
    buf_consume(&s->in, f.size);
    return true;
}

void server_receive(struct server *s, const uint8_t *bytes, size_t len) {
    buf_put(&s->in, bytes, len);
}

void server_cancel(struct server *s) {
    s->cancelled = s->busy || s->stalled;
}

void server_notify(struct server *s, unsigned n) {
    char payload[64];
    snprintf(payload, sizeof payload, "news %u", n);
    size_t at = write_begin(&s->out, B_NOTIFICATION);
    buf_put_u32(&s->out, s->id);
    buf_put_str(&s->out, "channel");
    buf_put_str(&s->out, payload);
    write_end(&s->out, at);
}
