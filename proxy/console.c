// SPDX-License-Identifier: PostgreSQL
#include "proxy/console.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "batching/session/session_state.h"
#include "batching/show/shows.h"
#include "protocol/frame.h"
#include "protocol/write.h"
#include "proxy/console_admin.h"
#include "proxy/console_explain.h"
#include "proxy/console_login.h"
#include "proxy/console_rows.h"

#define MESSAGE_MOST 65536     // bytes
#define ANSWER_MOST  (8 << 20) // bytes of one turn's answers
#define NAME_MOST    64

struct prepared { // a statement
    struct prepared *next;
    char name[NAME_MOST];
    struct command command;
    uint8_t *text; // owned: what EXPLAIN is asked about; else NULL
};

struct portal {
    struct portal *next;
    char name[NAME_MOST];
    struct command command;
    uint8_t *text; // as above
    unsigned n_formats;
    uint8_t formats[2 * TABLE_COLUMNS]; // network order
    bool ran;
    struct buf rows; // those that Execute has not fetched yet
    unsigned long n;
    size_t at;
};

struct console {
    struct link *link;
    bool own;    // pgfold's own user, over a Unix socket
    bool old;    // for Debian's exporter, see shows_columns()
    char status; // of ReadyForQuery
    bool skips;  // up to the next Sync
    // A command whose rows are told over several turns; its message stays in the client's buffer meanwhile.
    uint64_t before; // what console_rows() is to go on with; 0: there is none
    size_t begun_at; // of a Query: where the command stands in its text
    uint64_t rests;  // microseconds: until when nothing is taken from it; 0: it does not rest
    struct prepared *prepared;
    struct portal *portals;
    unsigned n_prepared, n_portals;
    struct buf out;
};

// ---- answers

static void put_error(struct console *c, const char *sqlstate, const char *message, const char *hint) {
    write_error(&c->out, "ERROR", sqlstate, message, NULL, hint);
    if (c->status == 'T')
        c->status = 'E';
}

static void put_complete(struct console *c, const char *tag) {
    size_t at = write_begin(&c->out, 'C');
    buf_put_str(&c->out, tag);
    write_end(&c->out, at);
}

static void put_notice(struct console *c, const char *text) {
    size_t at = write_begin(&c->out, 'N');
    const char *const fields[] = {"SNOTICE", "VNOTICE", "C00000"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        buf_put_str(&c->out, fields[i]);
    buf_put_u8(&c->out, 'M');
    buf_put_str(&c->out, "Console usage");
    buf_put_u8(&c->out, 'D');
    buf_put_str(&c->out, text);
    buf_put_u8(&c->out, 0);
    write_end(&c->out, at);
}

// ---- tables

static const struct table_column *columns_of(const struct console *c, const struct command *m,
                                             struct table_column *own) {
    if (m->kind == COMMAND_SHOW)
        return m->show == SHOW_HELP ? NULL : shows_columns(m->show, c->old);
    if (m->kind != COMMAND_PARAMETER && m->kind != COMMAND_VALUE && m->kind != COMMAND_EXPLAIN)
        return NULL;
    own[0] = (struct table_column){m->kind == COMMAND_EXPLAIN ? "QUERY PLAN" : m->key,
                                   m->is_number ? TABLE_INT4 : TABLE_TEXT};
    own[1] = (struct table_column){NULL, TABLE_TEXT};
    return own;
}

static void put_rows(struct console *c, const struct command *m, struct table *t) {
    struct proxy *p = c->link->proxy;
    struct shows_context context = {.engine = p->engine,
                                    .period = &p->period,
                                    .version = "pgfold " PGFOLD_VERSION,
                                    .old = c->old,
                                    .paused = p->paused,
                                    .now = proxy_now()};
    t->like = m->has_like ? m->like : NULL;
    if (m->kind == COMMAND_SHOW) {
        if (!shows_rows(m->show, &context, t))
            c->before = console_rows(p, m->show, c->old, c->before ? c->before : UINT64_MAX, t);
        return;
    }
    if (m->kind == COMMAND_EXPLAIN) {
        console_explain(p->engine, m->statement, t);
        return;
    }
    table_row(t);
    if (m->is_number)
        table_int(t, strtoull(m->value, NULL, 10));
    else
        table_text(t, m->value);
    table_end_row(t);
}

// ---- what is done

// False: an error was written.
static bool do_command(struct console *c, const struct command *m) {
    char err[512] = "";
    if (c->status == 'E' && m->kind != COMMAND_ROLLBACK && m->kind != COMMAND_COMMIT) {
        put_error(c, "25P02",
                  "current transaction is aborted, commands ignored until end of transaction block", NULL);
        return false;
    }
    if (m->kind == COMMAND_UNKNOWN) {
        put_error(c, "42601", m->tag, NULL);
        return false;
    }
    enum console_role role = console_role_of(c->link, link_user(c->link), c->own);
    if (role != CONSOLE_ADMIN && (role == CONSOLE_NOBODY || command_needs_admin(m->kind))) {
        put_error(c, "42501", "only an admin may do that",
                  "Name the user in admin_users of [console] in pgfold's configuration.");
        return false;
    }
    if (command_needs_admin(m->kind) && !console_admin(c->link, m, err, sizeof err)) {
        put_error(c, "F0000", err, NULL);
        return false;
    }
    if (m->kind == COMMAND_BEGIN)
        c->status = 'T';
    if (m->kind == COMMAND_COMMIT || m->kind == COMMAND_ROLLBACK)
        c->status = 'I';
    if (m->kind == COMMAND_SHOW && m->show == SHOW_HELP)
        put_notice(c, shows_help);
    return true;
}

static const char *tag_of(const struct command *m) {
    return m->kind == COMMAND_SHOW || m->kind == COMMAND_PARAMETER ? "SHOW" : m->tag;
}

// One command of a Query message, or what is left of its rows.
static bool run_simple(struct console *c, const struct command *m) {
    struct table_column own[2];
    bool goes_on = c->before;
    if (!goes_on && !do_command(c, m))
        return false;
    const struct table_column *columns = columns_of(c, m, own);
    if (columns) {
        struct table t;
        table_begin(&t, columns, &c->out);
        if (!goes_on)
            table_describe(&t);
        put_rows(c, m, &t);
    }
    if (c->before)
        return true;
    if (m->kind == COMMAND_VALUE)
        write_select_complete(&c->out, 1);
    else
        put_complete(c, tag_of(m));
    return true;
}

static void take_query(struct console *c, struct slice text) {
    struct command m;
    size_t n, at = c->begun_at;
    bool any = at > 0, good = true;
    while (good && at < text.len &&
           (n = command_read((struct slice){text.data + at, text.len - at}, "pgfold " PGFOLD_VERSION, &m))) {
        if (m.kind != COMMAND_EMPTY) {
            any = true;
            good = run_simple(c, &m);
        }
        c->begun_at = c->before ? at : 0;
        if (c->before)
            return;
        at += n;
    }
    if (!any)
        write_empty(&c->out, 'I');
    write_ready(&c->out, c->status);
}

// ---- the extended protocol

static bool name_fits(struct slice name) {
    return name.len < NAME_MOST;
}

static struct prepared *find_prepared(const struct console *c, struct slice name) {
    struct prepared *s = c->prepared;
    while (s && !slice_is(name, s->name, strlen(s->name)))
        s = s->next;
    return s;
}

static struct portal *find_portal(const struct console *c, struct slice name) {
    struct portal *p = c->portals;
    while (p && !slice_is(name, p->name, strlen(p->name)))
        p = p->next;
    return p;
}

static void drop_prepared(struct console *c, struct slice name) {
    for (struct prepared **at = &c->prepared; *at; at = &(*at)->next) {
        struct prepared *s = *at;
        if (!slice_is(name, s->name, strlen(s->name)))
            continue;
        *at = s->next;
        free(s->text);
        free(s);
        c->n_prepared--;
        return;
    }
}

static void drop_portal(struct console *c, struct slice name) {
    for (struct portal **at = &c->portals; *at; at = &(*at)->next) {
        struct portal *p = *at;
        if (!slice_is(name, p->name, strlen(p->name)))
            continue;
        *at = p->next;
        buf_free(&p->rows);
        free(p->text);
        free(p);
        c->n_portals--;
        return;
    }
}

static void fail(struct console *c, const char *sqlstate, const char *message) {
    put_error(c, sqlstate, message, NULL);
    c->skips = true;
}

// What EXPLAIN is asked about outlives the message. False: out of memory.
static bool keep_text(struct command *m, uint8_t **text) {
    struct slice s = m->statement;
    if (m->kind != COMMAND_EXPLAIN)
        return true;
    *text = malloc(s.len);
    if (!*text)
        return false;
    memcpy(*text, s.data, s.len);
    m->statement.data = *text;
    return true;
}

static void take_parse(struct console *c, const struct msg_parse *m) {
    if (!name_fits(m->name) || c->n_prepared >= CONSOLE_STATEMENTS)
        return fail(c, "54000", "too many prepared statements, or too long a name");
    if (m->name.len && find_prepared(c, m->name))
        return fail(c, "42P05", "prepared statement already exists");
    struct prepared *s = calloc(1, sizeof *s);
    if (!s)
        return fail(c, "53200", "out of memory");
    size_t n = command_read(m->text, "pgfold " PGFOLD_VERSION, &s->command);
    struct command rest;
    struct slice behind = {m->text.data + n, m->text.len - n};
    if (n && command_read(behind, "", &rest) && rest.kind != COMMAND_EMPTY) {
        free(s);
        return fail(c, "42601", "cannot insert multiple commands into a prepared statement");
    }
    if (s->command.kind == COMMAND_UNKNOWN) {
        fail(c, "42601", s->command.tag);
        free(s);
        return;
    }
    if (!keep_text(&s->command, &s->text)) {
        free(s);
        return fail(c, "53200", "out of memory");
    }
    drop_prepared(c, m->name);
    memcpy(s->name, m->name.data, m->name.len);
    s->next = c->prepared;
    c->prepared = s;
    c->n_prepared++;
    write_empty(&c->out, '1');
}

static void take_bind(struct console *c, const struct msg_bind *m) {
    const struct prepared *s = find_prepared(c, m->statement);
    if (!s)
        return fail(c, "26000", "prepared statement does not exist");
    if (m->n_params)
        return fail(c, "08P01", "the console's commands have no parameters");
    if (!name_fits(m->portal) || m->n_result_formats > TABLE_COLUMNS || c->n_portals >= CONSOLE_STATEMENTS)
        return fail(c, "54000", "too many portals or result formats, or too long a name");
    drop_portal(c, m->portal);
    struct portal *p = calloc(1, sizeof *p);
    if (!p)
        return fail(c, "53200", "out of memory");
    memcpy(p->name, m->portal.data, m->portal.len);
    p->command = s->command;
    if (!keep_text(&p->command, &p->text)) {
        free(p);
        return fail(c, "53200", "out of memory");
    }
    p->n_formats = m->n_result_formats;
    if (p->n_formats)
        memcpy(p->formats, m->result_formats, (size_t)2 * p->n_formats);
    p->rows = buf_make(ANSWER_MOST);
    p->next = c->portals;
    c->portals = p;
    c->n_portals++;
    write_empty(&c->out, '2');
}

static void describe(struct console *c, const struct command *m, const struct portal *p) {
    struct table_column own[2];
    const struct table_column *columns = columns_of(c, m, own);
    struct table t;
    if (!columns) {
        write_empty(&c->out, 'n');
        return;
    }
    table_begin(&t, columns, &c->out);
    t.formats = p ? p->formats : NULL;
    t.n_formats = p ? p->n_formats : 0;
    table_describe(&t);
}

static void take_describe(struct console *c, const struct msg_target *m) {
    const struct prepared *s = m->kind == 'S' ? find_prepared(c, m->name) : NULL;
    const struct portal *p = m->kind == 'P' ? find_portal(c, m->name) : NULL;
    if (!s && !p)
        return fail(c, m->kind == 'S' ? "26000" : "34000", "what is to be described does not exist");
    if (s) {
        size_t at = write_begin(&c->out, 't');
        buf_put_u16(&c->out, 0);
        write_end(&c->out, at);
    }
    describe(c, s ? &s->command : &p->command, p);
}

// Bytes that one more portal may hold.
static size_t rows_left(const struct console *c) {
    size_t used = 0;
    for (const struct portal *p = c->portals; p; p = p->next)
        used += p->rows.len;
    return used < ANSWER_MOST ? ANSWER_MOST - used : 0;
}

// The portal's rows are made at its first Execute.
static bool run_portal(struct console *c, struct portal *p) {
    struct table_column own[2];
    const struct table_column *columns = columns_of(c, &p->command, own);
    struct table t;
    bool goes_on = c->before;
    if (!goes_on && !do_command(c, &p->command)) {
        p->ran = c->skips = true;
        return false;
    }
    p->ran = true;
    if (!columns)
        return true;
    if (!goes_on)
        p->rows.limit = rows_left(c);
    table_begin(&t, columns, &p->rows);
    t.formats = p->formats;
    t.n_formats = p->n_formats;
    put_rows(c, &p->command, &t);
    return true;
}

// Up to so many rows. True: there are more.
static bool give_rows(struct console *c, struct portal *p, uint32_t max_rows) {
    size_t from = p->at;
    unsigned long given = 0;
    while (p->at < p->rows.len && (!max_rows || given < max_rows)) {
        p->at += 1 + get_u32(p->rows.data + p->at + 1);
        given++;
    }
    if (p->at > from)
        buf_put(&c->out, p->rows.data + from, p->at - from);
    p->n += given;
    if (p->at < p->rows.len)
        return true;
    buf_free(&p->rows);
    p->at = 0;
    return false;
}

static void take_execute(struct console *c, const struct msg_execute *m) {
    struct portal *p = find_portal(c, m->portal);
    if (!p)
        return fail(c, "34000", "portal does not exist");
    if (p->command.kind == COMMAND_EMPTY) {
        write_empty(&c->out, 'I');
        return;
    }
    if ((!p->ran || c->before) && !run_portal(c, p))
        return;
    if (c->before && !p->rows.failed)
        return;
    c->before = 0;
    if (p->rows.failed)
        return fail(c, "53200", "out of memory");
    if (give_rows(c, p, m->max_rows))
        write_empty(&c->out, 's');
    else if (p->command.kind == COMMAND_VALUE)
        write_select_complete(&c->out, p->n);
    else
        put_complete(c, tag_of(&p->command));
}

static void take_close(struct console *c, const struct msg_target *m) {
    if (m->kind == 'S')
        drop_prepared(c, m->name);
    else
        drop_portal(c, m->name);
    write_empty(&c->out, '3');
}

static void take_sync(struct console *c) {
    c->skips = false;
    while (c->status == 'I' && c->portals)
        drop_portal(c, (struct slice){(const uint8_t *)c->portals->name, strlen(c->portals->name)});
    write_ready(&c->out, c->status);
}

// False: it makes no sense.
static bool take_extended(struct console *c, const struct frame *f) {
    struct msg_parse parse;
    struct msg_bind bind;
    struct msg_target target;
    struct msg_execute execute;
    if (f->type == F_PARSE && msg_parse_read(f->body, f->body_len, &parse))
        take_parse(c, &parse);
    else if (f->type == F_BIND && msg_bind_read(f->body, f->body_len, &bind))
        take_bind(c, &bind);
    else if (f->type == F_DESCRIBE && msg_target_read(f->body, f->body_len, &target))
        take_describe(c, &target);
    else if (f->type == F_CLOSE && msg_target_read(f->body, f->body_len, &target))
        take_close(c, &target);
    else if (f->type == F_EXECUTE && msg_execute_read(f->body, f->body_len, &execute))
        take_execute(c, &execute);
    else
        return false;
    return true;
}

// ---- messages

// False: the console is over.
static bool take_message(struct console *c, const struct frame *f) {
    struct slice text;
    if (f->type == F_TERMINATE)
        return false;
    if (f->type == F_SYNC) {
        take_sync(c);
    } else if (f->type == F_QUERY && msg_query_read(f->body, f->body_len, &text)) {
        take_query(c, text);
    } else if (f->type == F_FLUSH || c->skips) {
        return true;
    } else if (!take_extended(c, f)) {
        put_error(c, "08P01", "this message is not understood", NULL);
        return false;
    }
    return true;
}

// What it holds counts with its link.
static void weigh(struct console *c) {
    size_t bytes = sizeof *c + c->n_prepared * sizeof(struct prepared) + c->n_portals * sizeof(struct portal);
    for (const struct prepared *s = c->prepared; s; s = s->next)
        bytes += s->command.statement.len;
    for (const struct portal *p = c->portals; p; p = p->next)
        bytes += p->rows.cap + p->command.statement.len;
    c->link->stage_bytes = bytes;
}

static void on_wake(uv_timer_t *timer) {
    struct proxy *p = timer->data;
    uint64_t now = proxy_now();
    bool any = false;
    proxy_is_awake(p);
    for (struct link *l = p->links, *next; l; l = next) {
        next = l->next;
        if (l->state != LINK_CONSOLE || !l->console->rests)
            continue;
        any |= now < l->console->rests;
        if (now < l->console->rests)
            continue;
        l->console->rests = 0;
        l->resume = true;
        link_mark_dirty(l);
    }
    if (!any)
        uv_timer_stop(timer);
}

static void rest(struct console *c, uint64_t took) {
    struct proxy *p = c->link->proxy;
    c->rests = proxy_now() + 4 * took + 1;
    if (!uv_is_active((uv_handle_t *)&p->consoles_wake))
        uv_timer_start(&p->consoles_wake, on_wake, 1, 1);
}

void consoles_init(struct proxy *p) {
    uv_timer_init(p->loop, &p->consoles_wake);
    p->consoles_wake.data = p;
}

static void send_out(struct console *c) {
    if (c->out.len && !c->out.failed)
        link_to_client(c->link, c->out.data, c->out.len, false);
    buf_free(&c->out);
}

#define SLICE 200 // microseconds of the loop's time that are taken at once

static size_t from_client(struct link *l, const uint8_t *bytes, size_t len) {
    struct console *c = l->console;
    size_t at = 0;
    struct frame f;
    uint64_t begun = proxy_now();
    proxy_is_awake(l->proxy);
    while (c && at < len && !c->rests && !link_is_backlogged(l, &l->client)) {
        enum frame_result r = frame_read(bytes + at, len - at, &f);
        if (r == FRAME_INCOMPLETE && len - at < MESSAGE_MOST)
            break;
        bool good = r == FRAME_OK && f.size <= MESSAGE_MOST && take_message(c, &f);
        bool failed = c->out.failed;
        send_out(c);
        if (!good || failed) {
            link_close_when_sent(l);
            return len;
        }
        if (l->state != LINK_CONSOLE)
            return len;
        weigh(c);
        if (c->before) {
            rest(c, proxy_now() - begun);
            break;
        }
        at += f.size;
        if (proxy_now() > begun + SLICE)
            rest(c, proxy_now() - begun);
    }
    return at;
}

static size_t from_server(struct link *l, const uint8_t *bytes, size_t len) {
    (void)l;
    (void)bytes;
    return len;
}

static bool takes_client(const struct link *l) {
    return l->state == LINK_CONSOLE && !l->console->rests && !link_is_backlogged(l, &l->client);
}

static bool takes_server(const struct link *l) {
    (void)l;
    return false;
}

static bool end_is_due(struct link *l) {
    (void)l;
    return false;
}

static void closes(struct link *l) {
    struct console *c = l->console;
    while (c->portals)
        drop_portal(c, (struct slice){(const uint8_t *)c->portals->name, strlen(c->portals->name)});
    while (c->prepared)
        drop_prepared(c, (struct slice){(const uint8_t *)c->prepared->name, strlen(c->prepared->name)});
    buf_free(&c->out);
    free(c);
    l->console = NULL;
    l->stage_bytes = 0;
    l->proxy->n_consoles--;
}

static const struct link_stage console_stage = {
    .from_client = from_client,
    .from_server = from_server,
    .takes_client = takes_client,
    .takes_server = takes_server,
    .end_is_due = end_is_due,
    .closes = closes,
};

// ---- the beginning

static void put_parameter(struct buf *b, const char *name, const char *value) {
    size_t at = write_begin(b, 'S');
    buf_put_str(b, name);
    buf_put_str(b, value);
    write_end(b, at);
}

// What a server says at the end of a log-in.
static void greet(struct console *c, const struct startup *s) {
    static const char *const parameters[][2] = {{"server_version", "15.0"},
                                                {"server_encoding", "UTF8"},
                                                {"client_encoding", "UTF8"},
                                                {"DateStyle", "ISO, MDY"},
                                                {"TimeZone", "UTC"},
                                                {"IntervalStyle", "postgres"},
                                                {"standard_conforming_strings", "on"},
                                                {"integer_datetimes", "on"},
                                                {"is_superuser", "off"},
                                                {"in_hot_standby", "off"},
                                                {"default_transaction_read_only", "off"}};
    uint8_t secret[4] = {0};
    if (c->own) // else it was done in front of the log-in
        console_negotiate(s, &c->out);
    size_t at = write_begin(&c->out, 'R');
    buf_put_u32(&c->out, 0);
    write_end(&c->out, at);
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        put_parameter(&c->out, parameters[i][0], parameters[i][1]);
    RAND_bytes(secret, sizeof secret);
    at = write_begin(&c->out, 'K');
    buf_put_u32(&c->out, (uint32_t)c->link->id);
    buf_put(&c->out, secret, sizeof secret);
    write_end(&c->out, at);
    write_ready(&c->out, c->status);
    send_out(c);
}

// Debian's exporter reads columns that PgBouncer had long ago. It says `pgbouncer` and nothing of itself.
static bool wants_old_columns(const struct startup *s) {
    struct slice name;
    return startup_param(s, "database", &name) && slice_is(name, "pgbouncer", 9) &&
           !startup_param(s, "application_name", &name);
}

void console_start(struct link *l, const struct startup *startup) {
    struct proxy *p = l->proxy;
    bool own = console_is_own_user(l);
    link_note_names(l, startup);
    if (console_role_of(l, link_user(l), own) == CONSOLE_NOBODY)
        return link_refuse(
            l, "42501", "this user may not use pgfold's console",
            "Name the user in admin_users or stats_users of [console] in pgfold's configuration.");
    if (p->n_consoles >= CONSOLES)
        return link_refuse(l, "53300", "there are too many consoles already", "Close one of them.");
    struct console *c = calloc(1, sizeof *c);
    if (!c)
        return link_refuse(l, "53200", "out of memory", NULL);
    *c = (struct console){.link = l,
                          .own = own,
                          .old = wants_old_columns(startup),
                          .status = 'I',
                          .out = buf_make(ANSWER_MOST)};
    p->n_consoles++;
    l->console = c;
    l->stage = &console_stage;
    link_set_state(l, LINK_CONSOLE);
    greet(c, startup);
    l->resume = true;
    link_mark_dirty(l);
}
