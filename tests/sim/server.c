// SPDX-License-Identifier: PostgreSQL
//
// The made-up server: replies and rows, then what each statement does, then the messages of the protocol.
#include "tests/sim/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "protocol/write.h"

void server_init(struct server *s, struct sim_database *db, unsigned id, const char *user) {
    *s = (struct server){.db = db, .id = id, .txn = 'I', .random = id * 7919u + 1};
    snprintf(s->user, sizeof s->user, "%s", user);
    strcpy(s->now.schema, "public");
    snprintf(s->now.role, sizeof s->now.role, "%s", user);
    s->now.level = strcmp(user, "bob") ? 'c' : 'r'; // ALTER ROLE bob SET default_transaction_isolation
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
    if (s->trace)
        printf("%s %u, %s, %c: error %s\n", s->is_oracle ? "oracle" : "server", s->id, s->now.schema, s->txn,
               code);
    s->failed = true;
    if (s->txn == 'T')
        s->txn = 'E';
}

static void reply_tag(struct server *s, const char *tag) {
    size_t at = write_begin(&s->out, B_COMMAND_COMPLETE);
    buf_put_str(&s->out, tag);
    write_end(&s->out, at);
}

enum { ITEMS = 16384, BOOKS, LISTS };

static void put_column(struct buf *b, const char *name, uint32_t table, unsigned attribute, uint32_t type,
                       unsigned size, uint32_t typmod, uint16_t format) {
    buf_put_str(b, name);
    buf_put_u32(b, table);
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
        put_column(&s->out, column, 0, 0, 25, 0xffff, UINT32_MAX, 0);
        write_end(&s->out, at);
    }
    at = write_begin(&s->out, B_DATA_ROW);
    buf_put_u16(&s->out, 1);
    buf_put_u32(&s->out, (uint32_t)strlen(value));
    buf_put_text(&s->out, value);
    write_end(&s->out, at);
}

// ---- lookups

enum lookup_form { PLAIN, FOLDED_IN, FOLDED_LATERAL, DERIVED };

static const char list_text[] = "SELECT id, ref, slug FROM lists LIMIT ";

struct select {
    enum lookup_form form;
    bool books;   // else items
    bool limited; // LIMIT 2
    bool slug;    // its key is a text
    bool has_constant;
    int constant;
    bool bad_constant;
    unsigned list, column; // DERIVED: the list in whose column, from 1, its keys are
};

static bool starts(const char *s, const char *with) {
    return strncmp(s, with, strlen(with)) == 0;
}

// The slug of key 5 is k5; one with something between, as in k,5, is that of another row.
static int key_of_slug(const char *slug) {
    static const char marks[] = "\"\\,{'";
    const char *mark = slug[0] && slug[1] ? strchr(marks, slug[1]) : NULL;
    if (*slug != 'k')
        return -1;
    bool doubled = mark && slug[1] == '\'' && slug[2] == '\''; // in a constant
    int key = atoi(slug + 1 + (mark != NULL) + doubled);
    return mark && key > 0 ? key + 1000 * (int)(mark - marks + 1) : key;
}

// The statement's text as one of the lookups; false: it is something else.
static bool read_select(const char *text, struct select *q) {
    *q = (struct select){.form = PLAIN};
    const char *inner = text;
    if (starts(text, "SELECT pgfold_k.pgfold_v")) {
        const char *list = strstr(text, list_text), *column = strstr(text, "pgfold_p.pgfold_c");
        inner = strstr(text, "pgfold_o.* FROM (");
        if (!list || !column || !inner || strstr(text, "SELECT pgfold_q.*"))
            return false; // of a list of several levels
        q->form = DERIVED;
        q->list = (unsigned)atoi(list + sizeof list_text - 1);
        q->column = (unsigned)atoi(column + 17);
    } else if (starts(text, "SELECT pgfold_k.pgfold_n,")) {
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
    if (!key) {
        key = strstr(inner, "WHERE slug = ");
        q->slug = key;
    }
    if (!key || strstr(inner, "nowhere"))
        return false;
    key = strstr(key, "= ") + 2;
    if (q->slug && *key == '\'') {
        q->has_constant = true;
        q->constant = key_of_slug(key + 1);
        return true;
    }
    q->limited = strstr(key, "LIMIT 2");
    key += *key == '\'';
    q->has_constant = *key == '-' || (*key >= '0' && *key <= '9');
    q->bad_constant = *key == 'x';
    q->constant = atoi(key);
    return true;
}

unsigned sim_rows(bool books, bool limited, int key) {
    if (!books)
        return key > 0 && key % 7 ? 1 : 0;
    unsigned n = key > 0 ? (unsigned)key % 4 : 0;
    return limited && n > 2 ? 2 : n;
}

static unsigned rows_of(const struct select *q, int key) {
    return sim_rows(q->books, q->limited, key);
}

static enum sim_table table_of(const struct select *q) {
    return q->books ? SIM_BOOKS : SIM_ITEMS;
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

// Does the transaction see the data as they were at its first query?
static bool is_frozen(const struct server *s) {
    return s->txn == 'T' && s->level != 'c';
}

// The columns in front of a lookup's own.
static unsigned n_lead(const struct select *q) {
    return q->form == PLAIN ? 0 : q->form == DERIVED ? 2 : 1;
}

// The key, and whether it has a row.
static void put_lead(struct server *s, const struct select *q, const struct portal *p, int key,
                     bool has_row) {
    char slug[16];
    snprintf(slug, sizeof slug, "k%d", key);
    if (q->slug) {
        buf_put_u32(&s->out, (uint32_t)strlen(slug));
        buf_put_text(&s->out, slug);
    } else {
        put_int(&s->out, key, 4, format_of(p, 0));
    }
    buf_put_u32(&s->out, has_row ? 1 : UINT32_MAX);
    if (has_row)
        buf_put_u8(&s->out, format_of(p, 1) ? 1 : 't');
}

// An oracle's last number is that of what its client knew.
static void put_row(struct server *s, const struct select *q, const struct portal *p, int key, unsigned n,
                    int64_t tag) {
    char value[128], where[48];
    unsigned first = n_lead(q);
    enum sim_table table = table_of(q);
    snprintf(where, sizeof where, "%s:%s", q->books ? "books" : "items", s->now.schema);
    if (s->now.temp)
        snprintf(where, sizeof where, "temp:%u", s->id);
    snprintf(value, sizeof value, "%s:%s:%d:%u:%c%u:v%06u:d%04u:s%08u", where, s->now.role, key, n,
             is_frozen(s) ? s->level : 'c', s->now.own,
             is_frozen(s) ? s->snapshot[table] : s->db->version[table], s->db->definitions,
             s->is_oracle ? s->n_askings - 1 : s->db->serial);
    size_t at = write_begin(&s->out, B_DATA_ROW);
    buf_put_u16(&s->out, (uint16_t)(2 + first));
    if (q->form == FOLDED_LATERAL)
        put_int(&s->out, tag, 8, format_of(p, 0));
    else if (q->form == FOLDED_IN)
        put_int(&s->out, key, 4, format_of(p, 0));
    else if (q->form == DERIVED)
        put_lead(s, q, p, key, true);
    put_int(&s->out, q->books ? (int)n : key, 4, format_of(p, first));
    buf_put_u32(&s->out, (uint32_t)strlen(value));
    buf_put_text(&s->out, value);
    write_end(&s->out, at);
}

static void describe_select(struct server *s, const struct select *q, const struct portal *p) {
    static const struct portal text = {0};
    unsigned first = n_lead(q);
    p = p ? p : &text;
    size_t at = write_begin(&s->out, B_ROW_DESCRIPTION);
    buf_put_u16(&s->out, (uint16_t)(2 + first));
    if (q->form == DERIVED) {
        put_column(&s->out, "pgfold_v1", 0, 0, q->slug ? 25 : 23, 4, UINT32_MAX, format_of(p, 0));
        put_column(&s->out, "pgfold_m", 0, 0, 16, 1, UINT32_MAX, format_of(p, 1));
    }
    if (q->form == FOLDED_LATERAL)
        put_column(&s->out, "n", 0, 0, 20, 8, UINT32_MAX, format_of(p, 0));
    else if (q->form == FOLDED_IN)
        put_column(&s->out, "id", ITEMS, 1, 23, 4, UINT32_MAX, format_of(p, 0));
    put_column(&s->out, q->books ? "n" : "id", q->books ? BOOKS : ITEMS, 1, 23, 4, UINT32_MAX,
               format_of(p, first));
    put_column(&s->out, "v", q->books ? BOOKS : ITEMS, 2, 25, 0xffff, s->db->definitions,
               format_of(p, first + 1));
    write_end(&s->out, at);
}

// Key 13 raises an error, alone or among others.
static bool put_key_rows(struct server *s, const struct select *q, const struct portal *p, int key,
                         int64_t tag, unsigned *total) {
    if (key == 13) {
        reply_error(s, "22012", "division by zero");
        return false;
    }
    for (unsigned n = 0; n < rows_of(q, key) && !(p->max_rows && n == p->max_rows); n++, ++*total)
        put_row(s, q, p, key, n, tag);
    return true;
}

static void take_snapshot(struct server *s) {
    if (!s->has_snapshot)
        memcpy(s->snapshot, s->db->version, sizeof s->snapshot);
    s->has_snapshot = s->txn == 'T';
}

static void note_run(struct server *s, const struct select *q) {
    enum sim_table table = table_of(q);
    struct sim_database *db = s->db;
    if (!s->is_oracle) {
        db->ran[++db->serial % SIM_MAX_RUNS] = db->now;
        return;
    }
    s->askings[s->n_askings++ % SIM_ASKINGS] =
        (struct asking){.serial = db->serial,
                        .floor = s->floor > s->wrote_at[table] ? s->floor : s->wrote_at[table],
                        .told = db->told[table],
                        .announced = s->announced,
                        .table = table,
                        .kind = (q->limited ? 1u : 0) + (q->slug ? 2u : 0),
                        .frozen = is_frozen(s),
                        .serializable = is_frozen(s) && s->level == 's',
                        .strict = s->strict,
                        .asked = db->now,
                        .heard = s->heard};
}

// The key of a row of the list; 0: it has none.
static int key_of_list(const struct select *q, unsigned row) {
    return q->column == 2 ? sim_list_reference(q->list, row) : sim_list_id(q->list, row);
}

static bool is_first_of_list(const struct select *q, unsigned row) {
    for (unsigned i = 0; i < row; i++)
        if (key_of_list(q, i) == key_of_list(q, row))
            return false;
    return true;
}

// Now and then the list is not what it was when its client has read it: then some keys are not looked up.
static bool run_derived(struct server *s, const struct select *q, const struct portal *p, unsigned *total) {
    bool other = server_random(s, 4) == 0;
    for (unsigned row = 0; row < q->list; row++) {
        int key = key_of_list(q, row);
        if (!key || !is_first_of_list(q, row) || (other && row % 3 == 0))
            continue;
        if (!put_key_rows(s, q, p, key, 0, total))
            return false;
        if (rows_of(q, key))
            continue;
        size_t at = write_begin(&s->out, B_DATA_ROW);
        buf_put_u16(&s->out, 4);
        put_lead(s, q, p, key, false);
        buf_put_u32(&s->out, UINT32_MAX);
        buf_put_u32(&s->out, UINT32_MAX);
        write_end(&s->out, at);
    }
    return true;
}

// A folded IN form returns its rows in an order of its own.
static void run_select(struct server *s, const struct select *q, const struct portal *p) {
    unsigned total = 0;
    char tag[32];
    take_snapshot(s);
    note_run(s, q);
    s->holds |= s->txn == 'T' && !q->books;
    if (q->form == PLAIN) {
        if (p->has_key && !p->is_null && !put_key_rows(s, q, p, p->key, 0, &total))
            return;
    } else if (q->form == DERIVED) {
        s->n_folded++;
        if (!run_derived(s, q, p, &total))
            return;
    } else {
        s->n_folded++;
        for (unsigned i = 0; i < p->n_keys; i++) {
            unsigned at = q->form == FOLDED_IN ? p->n_keys - 1 - i : i;
            bool wrong = s->wrong && at > 0 && at + 1 == p->n_keys;
            if (wrong && q->form == FOLDED_IN)
                continue;
            if (!put_key_rows(s, q, p, p->keys[wrong ? 0 : at], (int64_t)at + 1, &total))
                return;
        }
    }
    if (p->max_rows && total == p->max_rows) {
        write_empty(&s->out, B_PORTAL_SUSPENDED);
        return;
    }
    snprintf(tag, sizeof tag, "SELECT %u", total);
    reply_tag(s, tag);
}

// ---- lists

int sim_list_id(unsigned list, unsigned row) { // every other one goes past the key that raises an error
    return (int)row + (list % 2 ? 20 : 1);
}

int sim_list_reference(unsigned list, unsigned row) {
    int id = sim_list_id(list, row);
    return id % 11 ? id * 3 % 17 : 0;
}

static void describe_list(struct server *s, const struct portal *p) {
    static const struct portal text = {0};
    p = p ? p : &text;
    size_t at = write_begin(&s->out, B_ROW_DESCRIPTION);
    buf_put_u16(&s->out, 3);
    put_column(&s->out, "id", LISTS, 1, 23, 4, UINT32_MAX, format_of(p, 0));
    put_column(&s->out, "ref", LISTS, 2, 23, 4, UINT32_MAX, format_of(p, 1));
    put_column(&s->out, "slug", LISTS, 3, 25, 0xffff, UINT32_MAX, format_of(p, 2));
    write_end(&s->out, at);
}

static bool run_list(struct server *s, const char *text, const struct portal *p, bool describe) {
    char slug[16], tag[32];
    if (!starts(text, list_text))
        return false;
    unsigned n = (unsigned)atoi(text + sizeof list_text - 1);
    take_snapshot(s);
    if (describe)
        describe_list(s, p);
    for (unsigned row = 0; row < n; row++) {
        int id = sim_list_id(n, row), ref = sim_list_reference(n, row);
        size_t at = write_begin(&s->out, B_DATA_ROW);
        buf_put_u16(&s->out, 3);
        put_int(&s->out, id, 4, format_of(p, 0));
        if (ref)
            put_int(&s->out, ref, 4, format_of(p, 1));
        else
            buf_put_u32(&s->out, UINT32_MAX);
        snprintf(slug, sizeof slug, "k%d", id);
        buf_put_u32(&s->out, (uint32_t)strlen(slug));
        buf_put_text(&s->out, slug);
        write_end(&s->out, at);
    }
    snprintf(tag, sizeof tag, "SELECT %u", n);
    reply_tag(s, tag);
    return true;
}

// ---- pgfold's own queries

static const char own_vet[] = "WITH RECURSIVE r AS";

static void put_values(struct server *s, const char *const *values, unsigned n) {
    size_t at = write_begin(&s->out, B_DATA_ROW);
    buf_put_u16(&s->out, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_put_u32(&s->out, values[i] ? (uint32_t)strlen(values[i]) : UINT32_MAX);
        if (values[i])
            buf_put_text(&s->out, values[i]);
    }
    write_end(&s->out, at);
}

static void put_text_row(struct server *s, const char *const *values, unsigned n) {
    put_values(s, values, n);
    reply_tag(s, "SELECT 1");
}

static const char *level_name(char level) {
    return level == 'c' ? "read committed" : level == 'r' ? "repeatable read" : "serializable";
}

static void run_proof(struct server *s, const char *text) {
    const char *users[] = {
        s->now.role, s->user, s->now.temp ? "99" : "0", "10", "10", "0002f00000000000", "0003000000000000",
        s->now.role, s->user};
    const char *schema[] = {"search_path", s->now.schema, "Sets the schema search order."};
    const char *isolation[] = {"transaction_isolation", s->txn == 'I' ? "read committed" : "?", NULL};
    const char *level[] = {"default_transaction_isolation", level_name(s->now.level), NULL};
    const char *idle[] = {"idle_in_transaction_session_timeout", s->id % 8 ? "0" : "5s", NULL};
    const char *reset[] = {"search_path", s->now.schema, s->login.schema, "user",
                           strcmp(s->now.schema, s->login.schema) == 0 ? "client" : "session"};
    put_text_row(s, users, 9);
    put_values(s, schema, 3);
    put_values(s, level, 3);
    put_values(s, idle, 3);
    put_values(s, isolation, 3);
    reply_tag(s, "SHOW");
    if (strstr(text, "reset_val"))
        put_text_row(s, reset, 5);
}

// Twelve facts that may speak against it, types, the key column's type, whether it is unique, what supplies
// keys, and whose writes matter.
static void run_vet(struct server *s, const char *text) {
    const char *items[] = {"f", "f", "f", "f",  "f",  "f", "f",  "f",       "f",
                           "f", "f", "f", NULL, "23", "t", NULL, "1\nitems"};
    const char *links = "0:16384:1:0,0:16386:1:2,0:16385:1:2";
    if (strstr(text, "author_id")) {
        items[14] = "f";
        items[16] = "1\nbooks";
        links = "0:16385:3:0,0:16386:2:2";
    } else if (strstr(text, "slug")) {
        links = "0:16384:3:0,0:16386:3:2";
    }
    if (s->linked)
        items[15] = links;
    if (s->all_write)
        items[16] = NULL;
    if (s->now.temp)
        items[2] = "t";
    if (strstr(text, "changer_view"))
        items[1] = "t";
    put_text_row(s, items, 17);
}

// A stamp's question and check, of which copy_statement() has left the name, which of the two it is, the
// table and whether operators are asked for. A table is another one in each schema, and changes with the
// definitions.
static const char own_stamp[] = "SELECT pg_catalog.quote_ident(CURRENT_USER)";

static void run_stamp(struct server *s, const char *text) {
    char user[16], table[16], xmin[24], both[48];
    unsigned schema = 0;
    for (const char *p = s->now.schema; *p; p++)
        schema = schema * 31 + (unsigned char)*p;
    snprintf(user, sizeof user, "%u", 100u + (unsigned char)s->now.role[0]);
    snprintf(table, sizeof table, "%u",
             16384u + schema % 5000 * 4 + 2 * s->now.temp + !strstr(text, "items"));
    snprintf(xmin, sizeof xmin, "%u", 700 + s->db->definitions);
    snprintf(both, sizeof both, "%s:%s", table, xmin);
    if (strstr(text, " question")) {
        const char *answer[] = {user, both, NULL, NULL, "0", "0::", "t", NULL};
        put_text_row(s, answer, 8);
    } else {
        const char *load = "0000000000000001";
        bool operators = strstr(text, "pg_operator");
        char process[16];
        snprintf(process, sizeof process, "%u", 1 + s->id);
        const char *with[] = {user, table, xmin, "0", "0::", load, process, "1"},
                   *without[] = {user, table, xmin, load, process, "1"};
        put_text_row(s, operators ? with : without, operators ? 8 : 6);
    }
}

// The stamp, and the names by which writes may run more than they say.
static void run_facts(struct server *s) {
    static const char *const names[] = {"changer", "changer_view"};
    char stamp[32];
    const char *value = stamp;
    snprintf(stamp, sizeof stamp, "%lu|1,1", (unsigned long)s->db->definitions);
    put_text_row(s, &value, 1);
    put_values(s, names, 1);
    put_values(s, names + 1, 1);
    reply_tag(s, "SELECT 2");
}

static void run_read_vet(struct server *s, const char *text) {
    const char *plain = strstr(text, "changer") || s->now.temp ? "f" : "t";
    put_text_row(s, &plain, 1);
}

static const char own_settings[] = "SELECT pg_catalog.set_config(";

static void run_settings(struct server *s) {
    const char *value = "off";
    put_text_row(s, &value, 1);
}

// What makes a process hear of others' changes.
static const char own_fresh[] = "SELECT WHERE ";

// What bounds the waits of a unit of pgfold's, alone or in front of others in a Query.
static bool run_bound(struct server *s, const char **text) {
    if (!starts(*text, "SET LOCAL lock_timeout = ") && !starts(*text, "SET lock_timeout = ") &&
        !starts(*text, "SET statement_timeout = 0"))
        return false;
    const char *next = strstr(*text, "; ");
    reply_tag(s, "SET");
    if (next)
        *text = next + 2;
    return !next;
}

static bool run_own(struct server *s, const char *text) {
    if (run_bound(s, &text))
        return true;
    if (starts(text, own_fresh)) {
        reply_tag(s, "SELECT 0");
        return true;
    }
    if (starts(text, own_settings)) {
        const char *next = strstr(text, "; ");
        run_settings(s);
        if (!next)
            return true;
        text = next + 2;
    }
    if (starts(text, "SELECT pg_catalog.concat(")) {
        run_facts(s);
        return true;
    }
    bool proof = starts(text, "SELECT CURRENT_USER"), vet = starts(text, own_vet);
    if (starts(text, own_stamp)) {
        run_stamp(s, text);
        return true;
    }
    if (!proof && !vet && !starts(text, "SELECT NOT EXISTS (SELECT 1 FROM ROWS FROM"))
        return false;
    s->n_own++;
    if (proof)
        run_proof(s, text);
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

// The isolation that a text names; otherwise: what it is without.
static char level_of(const char *text, char otherwise) {
    for (const char *p = text; *p; p++)
        if (strncasecmp(p, "read committed", 14) == 0 || strncasecmp(p, "read uncommitted", 16) == 0)
            return 'c';
        else if (strncasecmp(p, "repeatable read", 15) == 0)
            return 'r';
        else if (strncasecmp(p, "serializable", 12) == 0)
            return 's';
    return otherwise;
}

static void start_transaction(struct server *s, char level) {
    s->txn = 'T';
    s->level = level;
    s->has_snapshot = false;
    s->n_savepoints = 0;
    s->now.own = s->saved.own = 0;
    memset(s->now.wrote, 0, sizeof s->now.wrote);
    memset(s->saved.wrote, 0, sizeof s->saved.wrote);
}

static void commit_write(struct server *s, enum sim_table table) {
    if (!s->is_oracle)
        s->committed[table] = ++s->db->version[table];
}

static void end_transaction(struct server *s, bool keep, bool chain) {
    for (int table = 0; keep && table < SIM_TABLES; table++)
        if (s->now.wrote[table])
            commit_write(s, (enum sim_table)table);
    if (!keep || s->local)
        s->now = s->saved;
    s->now.own = 0;
    memset(s->now.wrote, 0, sizeof s->now.wrote);
    s->local = false;
    s->saved = s->now;
    s->txn = 'I';
    s->has_snapshot = false;
    s->n_savepoints = 0;
    s->holds = false;
    s->own.used = false; // also where the next one begins at once
    if (chain)
        start_transaction(s, s->level);
}

static void begin(struct server *s, const char *text) {
    if (s->txn == 'I') {
        s->saved = s->in_unit ? s->saved : s->now;
        start_transaction(s, level_of(text, s->now.level));
    } else {
        s->level = level_of(text, s->level); // a warning, no more
    }
    reply_tag(s, "BEGIN");
}

static void run_savepoint(struct server *s, const char *name) {
    if (s->n_savepoints == SERVER_MAX_SAVEPOINTS)
        return reply_error(s, "54000", "too many savepoints");
    struct savepoint *p = &s->savepoints[s->n_savepoints++];
    *p = (struct savepoint){.state = s->now, .local = s->local};
    snprintf(p->name, sizeof p->name, "%s", name);
    reply_tag(s, "SAVEPOINT");
}

// Both leave what came after the savepoint of that name; ROLLBACK TO keeps the savepoint itself.
static void leave_savepoint(struct server *s, const char *name, bool back) {
    unsigned n = s->n_savepoints;
    while (n && strcmp(s->savepoints[n - 1].name, name) != 0)
        n--;
    if (!n)
        return reply_error(s, "3B001", "savepoint does not exist");
    s->n_savepoints = back ? n : n - 1;
    if (back) {
        s->now = s->savepoints[n - 1].state;
        s->local = s->savepoints[n - 1].local;
        s->txn = 'T';
    }
    reply_tag(s, back ? "ROLLBACK" : "RELEASE");
}

static bool ends_transaction(const char *text) {
    return starts(text, "COMMIT") || starts(text, "ROLLBACK");
}

static bool run_transaction(struct server *s, const char *text) {
    bool savepoint = starts(text, "SAVEPOINT "), release = starts(text, "RELEASE SAVEPOINT "),
         back = starts(text, "ROLLBACK TO SAVEPOINT ");
    if ((savepoint || release || back) && s->txn == 'I') {
        reply_error(s, "25P01", "can only be used in transaction blocks");
    } else if (savepoint) {
        run_savepoint(s, text + 10);
    } else if (release || back) {
        leave_savepoint(s, text + (back ? 22 : 18), back);
    } else if (starts(text, "BEGIN") || starts(text, "begin")) {
        begin(s, text);
    } else if (starts(text, "SET TRANSACTION ")) {
        s->level = level_of(text, s->level);
        reply_tag(s, "SET");
    } else if (ends_transaction(text)) {
        bool keep = *text == 'C' && s->txn != 'E', chain = strstr(text, "AND CHAIN");
        if (chain && s->txn == 'I') {
            reply_error(s, "25P01", "can only be used in transaction blocks");
            return true;
        }
        end_transaction(s, keep, chain);
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
    } else if (starts(text, "SET default_transaction_isolation = ")) {
        s->now.level = level_of(text, 'c');
        reply_tag(s, "SET");
    } else if (starts(text, "SET ROLE ")) {
        snprintf(s->now.role, sizeof s->now.role, "%.8s", text + 9);
        reply_tag(s, "SET");
    } else if (strcmp(text, "RESET search_path") == 0) {
        memcpy(s->now.schema, s->login.schema, sizeof s->now.schema);
        reply_tag(s, "RESET");
    } else if (strcmp(text, "RESET ALL") == 0) { // does not reset the role
        memcpy(s->now.schema, s->login.schema, sizeof s->now.schema);
        s->now.level = s->login.level;
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

// Others see it when its transaction has ended; the version says only that there was one.
static void run_write(struct server *s, enum sim_table table, const char *tag) {
    if (s->txn == 'T') {
        s->db->version[table] += !s->is_oracle;
        s->now.own++;
        s->now.wrote[table] = true;
    } else {
        commit_write(s, table);
    }
    reply_tag(s, tag);
}

static bool run_other(struct server *s, const char *text, bool describe) {
    if (starts(text, "INSERT ")) {
        run_write(s, strstr(text, "books") ? SIM_BOOKS : SIM_ITEMS, "INSERT 0 1");
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

// A read that changes nothing and hides nothing.
static bool is_plain(const char *text) {
    struct select q;
    return read_select(text, &q) || starts(text, list_text) || starts(text, "SHOW ") ||
           strcmp(text, "SELECT 1") == 0 || starts(text, own_fresh);
}

// Begins or ends a transaction in READ COMMITTED that has only read, or is a savepoint in it: nothing is dropped.
static bool is_light_boundary(const struct server *s, const char *text) {
    static const char *const words[] = {"BEGIN", "begin", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"};
    bool is = false, wrote = false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        is |= starts(text, words[i]);
    for (unsigned i = 0; i < SIM_TABLES; i++)
        wrote |= s->now.wrote[i];
    bool fixed = strstr(text, "REPEATABLE") || strstr(text, "SERIALIZABLE");
    bool inside = starts(text, "SAVEPOINT") || starts(text, "RELEASE"); // whatever its snapshot
    return is && !wrote && !fixed && (s->txn == 'I' || s->level == 'c' || inside);
}

// One statement; `p` is its portal.
static void run_statement(struct server *s, const char *text, const struct portal *p, bool describe) {
    struct select q;
    if (s->txn == 'E' && !ends_transaction(text)) {
        reply_error(s, "25P02", "current transaction is aborted");
        return;
    }
    if (s->trace)
        printf("%s %u, %s, %c: %.60s\n", s->is_oracle ? "oracle" : "server", s->id, s->now.schema, s->txn,
               text);
    if (starts(text, "INSERT ")) // what was read from the other table stays
        s->wrote_at[strstr(text, "books") ? SIM_BOOKS : SIM_ITEMS] = s->db->serial;
    else if (!is_plain(text) && !is_light_boundary(s, text))
        s->floor = s->db->serial;
    if (read_select(text, &q)) {
        if (describe)
            describe_select(s, &q, p);
        run_select(s, &q, p);
        return;
    }
    if (run_list(s, text, p, describe) || run_own(s, text) || run_transaction(s, text) ||
        run_setting(s, text) || run_hidden(s, text, describe) || run_other(s, text, describe))
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
        s->portal.used = s->own.used = false;
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
        s->floor = s->db->serial;
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
        run_write(s, SIM_ITEMS, "COPY 1");
    }
    reply_ready(s);
}

// ---- the extended protocol

static void copy_text(char *to, size_t room, struct slice s) {
    snprintf(to, room, "%.*s", (int)s.len, (const char *)s.data);
}

// The catalogue query is long; of its text a few names tell.
static void copy_statement(char *to, size_t room, struct slice s) {
    static const char *const names[] = {"author_id", "changer_view", "slug"};
    copy_text(to, room, s);
    if (starts(to, own_stamp)) {
        strcpy(to, own_stamp);
        strcat(to, memmem(s.data, s.len, "WITH ORDINALITY", 15) ? " question" : " check");
        strcat(to, memmem(s.data, s.len, "items", 5) ? " items" : " books");
        strcat(to, memmem(s.data, s.len, "pg_operator", 11) ? " pg_operator" : "");
    }
    if (!starts(to, own_vet))
        return;
    strcpy(to, own_vet);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (memmem(s.data, s.len, names[i], strlen(names[i])))
            strcat(to, names[i]);
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
    copy_statement(text, sizeof text, m->text);
    if (!m->name.len)
        s->prepared[0].used = false;
    if (s->txn == 'E' && !ends_transaction(text))
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

static int key_of_slice(struct slice v) {
    char slug[24];
    snprintf(slug, sizeof slug, "%.*s", (int)(v.len < 20 ? v.len : 20), (const char *)v.data);
    return key_of_slug(slug);
}

static void read_text_array(struct portal *p, struct slice v) {
    for (size_t i = 1; i + 1 < v.len && p->n_keys < 1200;) {
        char slug[24] = {0};
        size_t n = 0;
        if (v.data[i] != '"') { // NULL
            p->keys[p->n_keys++] = 0;
            i += 5;
            continue;
        }
        for (i++; v.data[i] != '"'; i++) {
            i += v.data[i] == '\\';
            if (n < 20)
                slug[n++] = (char)v.data[i];
        }
        p->keys[p->n_keys++] = key_of_slug(slug);
        i += 2;
    }
}

static void read_key_array(struct portal *p, struct slice v, bool slug) {
    if (v.data[0] == '{') {
        read_text_array(p, v);
        return;
    }

    uint32_t n = v.len >= 20 ? get_u32(v.data + 12) : 0;
    const uint8_t *at = v.data + 20;
    for (uint32_t i = 0; i < n && i < 1200; i++) {
        uint32_t width = get_u32(at);
        at += 4;
        if (width == UINT32_MAX) { // NULL, which is equal to nothing
            p->keys[p->n_keys++] = 0;
            continue;
        }
        p->keys[p->n_keys++] = slug         ? key_of_slice((struct slice){at, width})
                               : width == 8 ? (int)get_u64(at)
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

static struct portal *find_portal(struct server *s, struct slice name) {
    return name.len ? &s->own : &s->portal;
}

static void run_bind(struct server *s, const struct msg_bind *m) {
    struct prepared *st = find_prepared(s, m->statement);
    struct portal *p = find_portal(s, m->portal);
    struct select q;
    size_t walk = 0;
    struct slice value;
    if (m->portal.len && p->used)
        return reply_error(s, "42P03", "portal already exists");
    *p = (struct portal){0};
    if (!st)
        return reply_error(s, "26000",
                           m->statement.len ? "prepared statement does not exist"
                                            : "unnamed prepared statement does not exist");
    if (s->txn == 'E' && !ends_transaction(st->text))
        return reply_error(s, "25P02", "current transaction is aborted");
    strcpy(p->text, st->text);
    bool lookup = read_select(st->text, &q);
    // A server says so of every statement; of the clients' own it would make their answers a matter of time.
    if (lookup && q.form != PLAIN && st->definitions != s->db->definitions)
        return reply_error(s, "0A000", "cached plan must not change result type");
    bool derived = lookup && q.form == DERIVED;
    if (!derived && m->n_params != (lookup && !q.has_constant ? 1 : 0))
        return reply_error(s, "08P01", "wrong number of parameters");
    if (!derived && msg_bind_next_param(m, &walk, &value)) {
        if (q.form != PLAIN)
            read_key_array(p, value, q.slug);
        else if (lookup && q.slug && value.data)
            p->has_key = true, p->key = key_of_slice(value);
        else
            read_key(p, value, msg_bind_param_format(m, 0));
    } else if (lookup && !derived) {
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
    } else if (starts(text, list_text)) {
        describe_list(s, p);
    } else if (returns_text_row(text)) {
        size_t at = write_begin(&s->out, B_ROW_DESCRIPTION);
        buf_put_u16(&s->out, 1);
        put_column(&s->out, "text", 0, 0, 25, 0xffff, UINT32_MAX, p ? format_of(p, 0) : 0);
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
        buf_put_u32(&s->out, st->n_types && st->types[0] ? st->types[0] : strstr(st->text, "slug") ? 25 : 23);
    write_end(&s->out, at);
    reply_description(s, st->text, NULL);
}

static void run_close(struct server *s, const struct msg_target *m) {
    struct prepared *st = m->kind == 'S' ? find_prepared(s, m->name) : NULL;
    if (st)
        st->used = false;
    if (m->kind == 'P')
        find_portal(s, m->name)->used = false;
    write_empty(&s->out, B_CLOSE_COMPLETE);
}

static void run_execute(struct server *s, const struct msg_execute *m) {
    struct portal p = *find_portal(s, m->portal);
    if (!p.used)
        return reply_error(s, "34000", "portal does not exist");
    p.max_rows = m->max_rows;
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
        run_execute(s, &execute);
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
        s->busy -= s->cancelled ? s->busy : !s->locked;
        return true;
    }
    if (s->stalled || !s->may_stall || s->txn == 'E' || !is_lookup(s, f) || server_random(s, s->may_stall))
        return false;
    s->stalled = true;
    s->busy = 1 + server_random(s, s->stall);
    s->locked = s->locks && server_random(s, 2);
    return true;
}

// The statement that a message runs is a lookup, folded or not, or the catalogue query.
static bool runs(const struct server *s, const struct frame *f, struct select *q, bool *ours) {
    struct slice text;
    if (s->skipping || s->copying || s->failed || s->txn == 'E')
        return false;
    if (f->type == F_QUERY && msg_query_read(f->body, f->body_len, &text))
        return read_select((const char *)text.data, q);
    if (f->type != F_EXECUTE || !s->portal.used)
        return false;
    *ours = starts(s->portal.text, own_vet);
    if (*ours)
        return true;
    bool lookup = read_select(s->portal.text, q);
    *ours = lookup && q->form != PLAIN;
    return lookup;
}

#define HANGS 5000000 // microseconds

static void begin_hanging(struct server *s, const struct frame *f) {
    struct select q = {.books = true};
    bool ours = false;
    if (s->hung || s->is_oracle || !runs(s, f, &q, &ours))
        return;
    bool waits = s->db->queued && !q.books && !s->holds;
    if (!waits && (!ours || !s->may_hang || server_random(s, s->may_hang)))
        return;
    s->hanging = true;
    s->hangs_for_us = ours;
    s->hangs_until = waits ? 0 : s->db->now + HANGS;
}

// Hangs behind a lock, or for another reason, until that is over or a cancel request comes.
static bool is_hanging(struct server *s, const struct frame *f) {
    if (!s->hanging)
        begin_hanging(s, f);
    if (!s->hanging)
        return false;
    bool over = s->hangs_until ? s->db->now >= s->hangs_until : !s->db->queued;
    if (!over && !s->cancelled)
        return true;
    s->hanging = false;
    s->hung = true;
    return false;
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
    if (is_busy(s, &f) || is_hanging(s, &f))
        return true;
    if (!run_cancelled(s, &f))
        run_message(s, &f);
    buf_consume(&s->in, f.size);
    s->hung = false;
    return true;
}

void server_receive(struct server *s, const uint8_t *bytes, size_t len) {
    buf_put(&s->in, bytes, len);
}

void server_cancel(struct server *s) {
    s->cancelled = s->busy || s->stalled || s->hanging;
}

void server_notify(struct server *s) {
    char payload[64];
    snprintf(payload, sizeof payload, "news %u", s->db->serial);
    size_t at = write_begin(&s->out, B_NOTIFICATION);
    buf_put_u32(&s->out, s->id);
    buf_put_str(&s->out, "channel");
    buf_put_str(&s->out, payload);
    write_end(&s->out, at);
}
