// SPDX-License-Identifier: PostgreSQL
//
// The made-up application: what it sends, first; then how it compares what comes back with its oracle's
// answers.
#include "tests/sim/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/write.h"

void client_init(struct client *c, struct sim_database *db, unsigned id, uint64_t seed, const char *user,
                 bool pipelines) {
    static const unsigned calmness[] = {3, 20, 100, 1000};
    *c = (struct client){.id = id, .random = seed * 2 + 1, .pipelines = pipelines};
    c->calmness = calmness[seed % 4];
    c->sending = c->in = buf_make((size_t)1 << 26);
    server_init(&c->oracle, db, id, user);
    c->oracle.is_oracle = true;
    c->oracle.trace = getenv("SIM_TRACE") != NULL;
}

void client_finish(struct client *c) {
    server_finish(&c->oracle);
    buf_free(&c->sending);
    buf_free(&c->in);
}

static unsigned dice(struct client *c, unsigned n) {
    c->random = c->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(c->random >> 33) % n;
}

// ---- what it sends

// Both lists name the same lookups; `%d` is the key.
static const char *const simple_lookups[] = {
    "SELECT id, v FROM items WHERE id = %d",
    "SELECT n, title FROM books WHERE author_id = %d",
    "SELECT n, title FROM books WHERE author_id = %d LIMIT 2",
    "SELECT id, v FROM items WHERE id = '%d'",
    "SELECT id, v FROM items WHERE slug = 'k%d'",
    "SELECT id, v FROM items WHERE slug = 'k''%d'",
    "SELECT id, v FROM items WHERE id = 'x%d'",
};
static const char *const extended_lookups[] = {
    "SELECT id, v FROM items WHERE id = $1",
    "SELECT n, title FROM books WHERE author_id = $1",
    "SELECT n, title FROM books WHERE author_id = $1 LIMIT 2",
    "SELECT id, v FROM items WHERE slug = $1",
};

static const char *const begins[] = {
    "BEGIN",
    "BEGIN",
    "BEGIN",
    "begin transaction",
    "BEGIN ISOLATION LEVEL READ COMMITTED",
    "BEGIN ISOLATION LEVEL READ UNCOMMITTED READ ONLY",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE",
};
static const char *const ends[] = {"COMMIT", "ROLLBACK", "COMMIT", "ROLLBACK", "COMMIT AND CHAIN"};

// Inside a transaction, beside lookups.
static const char *const insides[] = {
    "SAVEPOINT a",
    "SAVEPOINT b",
    "SAVEPOINT pgfold_guard",
    "RELEASE SAVEPOINT a",
    "ROLLBACK TO SAVEPOINT a",
    "ROLLBACK TO SAVEPOINT b",
    "ROLLBACK TO SAVEPOINT pgfold_guard",
    "SHOW work_mem",
    "SELECT 1",
    "INSERT INTO items VALUES (1)",
    "INSERT INTO books VALUES (1)",
    "SET LOCAL search_path = l",
    "SET search_path = a",
    "SELECT changer()",
    "SELECT id, v FROM nowhere WHERE id = 1",
    "BEGIN",
    "LISTEN channel",
};

static const char *const others[] = {
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SET search_path = a",
    "SET search_path = b",
    "SET search_path = public",
    "SET search_path = public",
    "RESET search_path",
    "RESET ALL",
    "SET LOCAL search_path = l",
    "SET default_transaction_isolation = 'repeatable read'",
    "SET default_transaction_isolation = 'read committed'",
    "SET ROLE boss",
    "SET ROLE alice",
    "DISCARD ALL",
    "DISCARD ALL",
    "INSERT INTO items VALUES (1)",
    "INSERT INTO books VALUES (1)",
    "ALTER TABLE items ADD x int",
    "CREATE TEMP TABLE items (id int)",
    "SELECT changer()",
    "DO $$ BEGIN END $$",
    "SHOW work_mem",
    "SELECT 1",
    "SELECT 1; SET search_path = b",
    "DEALLOCATE ALL",
    "DEALLOCATE s1",
    "SELEC 1",
    "SELECT id, v FROM nowhere WHERE id = 1",
    "LISTEN channel",
    "SELECT v FROM changer_view",
};

// What changes who a session is, one way or another.
static const char *const moods[] = {
    "SET search_path = a",
    "SET search_path = a",
    "SET search_path = public",
    "RESET ALL",
    "DISCARD ALL",
    "SELECT changer()",
    "DO $$ BEGIN END $$",
    "SET ROLE boss",
    "SET ROLE alice",
    "SELECT v FROM changer_view WHERE id = 1",
    "SELECT v FROM changer_view",
};
#define N(a) (sizeof(a) / sizeof(a)[0])

static struct slice slice_of(const char *s) {
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static int draw_key(struct client *c) {
    if (c->looping)
        return c->loop_key;
    return dice(c, 40) == 0 ? 13 : (int)dice(c, 24) - 2;
}

static const char *lookup_text(struct client *c, bool simple, char *room, size_t size) {
    unsigned loop = c->looping ? c->looping->statement : 0;
    if (!simple)
        return extended_lookups[c->looping ? loop : c->focused ? 0 : dice(c, 2 + dice(c, 3))];
    const char *form = simple_lookups[c->looping ? loop : c->focused ? 0 : dice(c, 30) ? dice(c, 6) : 6];
    const char *at = strstr(form, "%d");
    snprintf(room, size, "%.*s%d%s", (int)(at - form), form, draw_key(c), at + 2);
    return room;
}

// Bytes that mean something in an array's text.
static void put_slug(struct client *c, struct buf *b) {
    static const char *const forms[] = {"k%d", "k%d", "k\"%d", "k\\%d", "k,%d", "k{%d", "k'%d", "K%d"};
    char slug[16];
    snprintf(slug, sizeof slug, forms[c->looping ? 0 : dice(c, 8)], draw_key(c));
    buf_put_u16(b, 1);
    buf_put_u16(b, (uint16_t)dice(c, 2));
    buf_put_u16(b, 1);
    buf_put_u32(b, (uint32_t)strlen(slug));
    buf_put_text(b, slug);
}

static void put_parameter(struct client *c, struct buf *b, bool parameter) {
    char digits[16];
    int key = draw_key(c);
    bool binary = dice(c, 2), null = !c->looping && dice(c, 30) == 0;
    if (!parameter) {
        buf_put_u16(b, 0);
        buf_put_u16(b, 0);
        return;
    }
    buf_put_u16(b, 1);
    buf_put_u16(b, binary);
    buf_put_u16(b, 1);
    if (null) {
        buf_put_u32(b, UINT32_MAX);
    } else if (binary) {
        buf_put_u32(b, 4);
        buf_put_u32(b, (uint32_t)key);
    } else {
        snprintf(digits, sizeof digits, c->looping || dice(c, 20) ? "%d" : " %d", key);
        buf_put_u32(b, (uint32_t)strlen(digits));
        buf_put_text(b, digits);
    }
}

// Result formats of the two columns that every lookup has; other statements get one for all.
static void put_formats(struct client *c, struct buf *b, bool lookup) {
    unsigned n = c->focused && lookup ? 0 : dice(c, lookup ? 3 : 2);
    buf_put_u16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++)
        buf_put_u16(b, (uint16_t)(i == 0 && dice(c, 2)));
}

static void put_bind(struct client *c, const char *name, const char *text, bool parameter) {
    struct buf *b = &c->sending;
    size_t at = write_begin(b, F_BIND);
    buf_put_u8(b, 0);
    buf_put_str(b, name);
    if (parameter && text && strstr(text, "slug"))
        put_slug(c, b);
    else
        put_parameter(c, b, parameter);
    put_formats(c, b, !text || (strstr(text, "WHERE") && !strstr(text, "changer")));
    write_end(b, at);
}

static void put_parse(struct client *c, const char *name, const char *text, bool parameter) {
    static const uint32_t int4 = 23;
    write_parse(&c->sending, slice_of(name), slice_of(text), &int4,
                parameter && !strstr(text, "slug") && !c->focused && dice(c, 2));
}

static void put_execute(struct client *c, uint32_t max_rows) {
    size_t at = write_begin(&c->sending, F_EXECUTE);
    buf_put_u8(&c->sending, 0);
    buf_put_u32(&c->sending, max_rows);
    write_end(&c->sending, at);
}

// Execute with what drivers put around it.
static void put_run(struct client *c) {
    if (dice(c, 2))
        write_describe(&c->sending, 'P', slice_of(""));
    if (c->looping && c->looping->plain) {
        put_execute(c, 0);
        return;
    }
    if (dice(c, 10) == 0)
        write_empty(&c->sending, F_FLUSH);
    put_execute(c, dice(c, 6) ? 0 : 1 + dice(c, 2));
    if (dice(c, 10) == 0)
        write_close(&c->sending, dice(c, 3) ? 'P' : 'S', slice_of(""));
    if (dice(c, 10) == 0)
        write_empty(&c->sending, F_FLUSH);
}

static void send_extended_lookup(struct client *c) {
    const char *text = lookup_text(c, false, NULL, 0);
    put_parse(c, "", text, true);
    put_bind(c, "", text, true);
    put_run(c);
}

// A named statement, parsed and described when it is not there yet, sometimes although it is.
static void send_named_lookup(struct client *c, unsigned i) {
    char name[8];
    snprintf(name, sizeof name, "s%u", i);
    if (!c->named[i] || dice(c, 20) == 0) {
        put_parse(c, name, dice(c, 20) ? extended_lookups[i] : "SELECT id, v FROM nowhere WHERE id = $1",
                  true);
        write_describe(&c->sending, 'S', slice_of(name));
        if (dice(c, 8))
            write_empty(&c->sending, F_SYNC);
        c->named[i] = true;
    }
    put_bind(c, name, NULL, true);
    put_run(c);
}

static void send_reused(struct client *c) { // whatever the unnamed statement is by now
    put_bind(c, "", NULL, true);
    put_run(c);
}

static void send_extended_other(struct client *c, const char *text) {
    put_parse(c, "", text, false);
    put_bind(c, "", text, false);
    put_run(c);
}

static void send_copy(struct client *c) {
    write_query(&c->sending, "COPY items FROM STDIN", 21);
    size_t at = write_begin(&c->sending, F_COPY_DATA);
    buf_put_text(&c->sending, "1\n");
    write_end(&c->sending, at);
    write_empty(&c->sending, F_COPY_DONE);
}

static void send_close(struct client *c) {
    unsigned i = dice(c, 3);
    char name[8];
    snprintf(name, sizeof name, "s%u", i);
    write_close(&c->sending, 'S', slice_of(dice(c, 4) ? name : ""));
    c->named[i] = false;
}

static void send_query(struct client *c, const char *text) {
    write_query(&c->sending, text, strlen(text));
}

static void send_lookup(struct client *c) {
    char room[128];
    const char *text;
    switch (c->focused && dice(c, 8) ? 3 : dice(c, 8)) {
    case 0:
    case 1:
    case 2:
        text = lookup_text(c, true, room, sizeof room);
        send_query(c, text);
        return;
    case 3:
    case 4:
        send_extended_lookup(c);
        break;
    case 5:
        send_named_lookup(c, dice(c, 3));
        break;
    case 6:
        send_reused(c);
        break;
    default: // two in one unit
        send_extended_lookup(c);
        send_extended_lookup(c);
        break;
    }
    write_empty(&c->sending, F_SYNC);
}

static const char *other_text(struct client *c) {
    return c->moody ? moods[dice(c, N(moods))] : others[dice(c, N(others))];
}

static void send_other(struct client *c) {
    const char *text = other_text(c);
    switch (dice(c, 12)) {
    case 0:
        if (dice(c, 6) == 0) {
            send_copy(c);
            return;
        }
        send_extended_other(c, text);
        break;
    case 1:
        send_close(c);
        break;
    case 2: // several statements in one unit
        send_extended_other(c, text);
        send_extended_other(c, other_text(c));
        break;
    case 3:
        send_extended_lookup(c);
        send_extended_other(c, text);
        break;
    case 4: // a statement whose Parse is never reached
        put_bind(c, "missing", NULL, true);
        put_parse(c, "s1", text, false);
        break;
    case 5: // parsed now, run later
        put_parse(c, "", text, false);
        break;
    case 6:
    case 7:
        send_extended_other(c, text);
        break;
    default:
        send_query(c, text);
        return;
    }
    write_empty(&c->sending, F_SYNC);
}

// ---- loops

static void send_list(struct client *c, unsigned list) {
    char text[64];
    snprintf(text, sizeof text, "SELECT id, ref, slug FROM lists LIMIT %u", list);
    if (dice(c, 2)) {
        send_query(c, text);
        return;
    }
    put_parse(c, "", text, false);
    put_bind(c, "", text, false);
    if (dice(c, 2))
        write_describe(&c->sending, 'P', slice_of(""));
    put_execute(c, 0);
    write_empty(&c->sending, F_SYNC);
}

// The list, and what its loop will ask for. Now and then it goes backwards.
static void begin_loop(struct client *c, struct sim_loop *l) {
    static const unsigned lists[] = {3, 9, 10, 25, 61, 121};
    bool simple = dice(c, 3) == 0;
    *l = (struct sim_loop){.on = true,
                           .framing = ((uint64_t)dice(c, 1u << 30) << 30) + dice(c, 1u << 30),
                           .list = lists[dice(c, N(lists))],
                           .step = dice(c, 6) ? 1 : -1,
                           .statement = c->focused ? 0 : dice(c, simple ? 5 : 4),
                           .simple = simple,
                           .plain = dice(c, 4)};
    const char *text = simple ? simple_lookups[l->statement] : extended_lookups[l->statement];
    l->column = strstr(text, "slug") ? 0 : strstr(text, "author") ? dice(c, 2) : dice(c, 8) == 0;
    l->row = l->step > 0 ? 0 : (int)l->list - 1;
    send_list(c, l->list);
}

// Every lookup of a loop has the same framing.
static void send_looping(struct client *c, const struct sim_loop *l, int key) {
    uint64_t random = c->random;
    c->random = l->framing;
    c->loop_key = key;
    c->looping = l;
    if (l->simple) {
        char room[128];
        send_query(c, lookup_text(c, true, room, sizeof room));
    } else if (dice(c, 3) == 0 && l->statement < 3) {
        send_named_lookup(c, l->statement);
        write_empty(&c->sending, F_SYNC);
    } else {
        send_extended_lookup(c);
        write_empty(&c->sending, F_SYNC);
    }
    c->looping = NULL;
    c->random = random;
}

// The rows of books that it has just asked for, one item each.
static bool send_inner(struct client *c, struct sim_loop *l) {
    struct sim_loop inner = *l;
    if (l->inner >= l->inner_n)
        return false;
    inner.statement = 0;
    inner.framing++;
    send_looping(c, &inner, (int)l->inner++);
    return true;
}

static int key_of_loop(const struct sim_loop *l) {
    unsigned row = (unsigned)l->row;
    return l->column ? sim_list_reference(l->list, row) : sim_list_id(l->list, row);
}

// The loop's next lookup, or its end, or a lookup that it has sent before. False: nothing was sent.
static bool send_next(struct client *c, struct sim_loop *l) {
    if (send_inner(c, l))
        return true;
    if (dice(c, 30) == 0) // revisits
        l->row -= l->step * (int)dice(c, 4);
    if (dice(c, 30) == 0) // skips
        l->row += l->step * (int)dice(c, 4);
    while (l->row >= 0 && l->row < (int)l->list && !key_of_loop(l))
        l->row += l->step;
    l->on = l->row >= 0 && l->row < (int)l->list && dice(c, 60);
    if (!l->on)
        return false;
    int key = key_of_loop(l);
    bool books = l->statement == 1 || l->statement == 2;
    l->inner_n = books && l->framing % 2 ? sim_rows(true, l->statement == 2, key) : 0;
    l->inner = 0;
    l->row += l->step;
    send_looping(c, l, key);
    return true;
}

static bool send_loop(struct client *c) {
    if (!c->loops || c->oracle.txn == 'E' || dice(c, c->restless ? 8 : 60) == 0)
        return false;
    if (!c->pooled && !c->own_loop.on) {
        if (dice(c, 2))
            return false;
        begin_loop(c, &c->own_loop);
        return true;
    }
    if (!c->pooled)
        return send_next(c, &c->own_loop);
    if (!c->oracle.db->loop.on && dice(c, 3))
        return false;
    if (c->oracle.db->loop.on)
        return send_next(c, &c->oracle.db->loop);
    begin_loop(c, &c->oracle.db->loop);
    return true;
}

// The same kinds again and again, of other keys or of the same.
static void begin_burst(struct client *c, struct sim_burst *b) {
    if (!b->framing || dice(c, 40) == 0) {
        b->framing = ((uint64_t)dice(c, 1u << 30) << 30) + dice(c, 1u << 30);
        b->simple = dice(c, 3) == 0;
        b->n_keys = 3 + dice(c, 5);
        for (unsigned i = 0; i < SIM_KINDS; i++)
            b->statements[i] = i; // of different tables, and one of them twice
    }
    b->on = true;
    b->kind = b->key = 0;
    b->first = (int)dice(c, 3) * 5;
}

// The page's next lookup. False: nothing was sent.
static bool send_burst(struct client *c) {
    struct sim_burst *b = &c->oracle.db->burst;
    if (!c->bursts || c->oracle.txn != 'I' || dice(c, c->restless ? 4 : 40) == 0 || (!b->on && dice(c, 3)))
        return false;
    if (!b->on)
        begin_burst(c, b);
    struct sim_loop l = {.framing = b->framing, .statement = b->statements[b->kind], .simple = b->simple};
    send_looping(c, &l, b->first + (int)b->key);
    if (++b->key < b->n_keys)
        return true;
    b->key = 0;
    b->on = ++b->kind < SIM_KINDS;
    return true;
}

static bool in_transaction(const struct client *c) {
    return c->oracle.txn != 'I';
}

// Units are counted by the messages that end them.
static unsigned long count_units(const struct buf *b, size_t from) {
    unsigned long n = 0;
    struct frame f;
    for (size_t at = from; frame_read(b->data + at, b->len - at, &f) == FRAME_OK; at += f.size)
        n += f.type == F_SYNC || f.type == F_QUERY;
    return n;
}

// Notes which of the units, from this one on, close the unnamed statement.
static void note_closes(struct client *c, size_t from, unsigned long unit) {
    const struct buf *b = &c->sending;
    struct msg_target t;
    struct frame f;
    c->unnamed[unit % 64].closes = false;
    for (size_t at = from; frame_read(b->data + at, b->len - at, &f) == FRAME_OK; at += f.size) {
        c->unnamed[unit % 64].had = c->oracle.prepared[0].used;
        if (f.type == F_CLOSE && msg_target_read(f.body, f.body_len, &t) && t.kind == 'S' && !t.name.len)
            c->unnamed[unit % 64].closes = true;
        if (f.type == F_SYNC || f.type == F_QUERY)
            c->unnamed[++unit % 64].closes = false;
    }
}

static void run_oracle(struct client *c, size_t from) {
    c->oracle.heard = c->heard;
    c->oracle.announced = c->oracle.db->announced;
    c->oracle.strict = !c->pipelines && (c->alone || c->oracle.txn == 'T');
    server_receive(&c->oracle, c->sending.data + from, c->sending.len - from);
    while (server_step(&c->oracle))
        ;
}

// A transaction's first and last statement, and what else stands in it. False: a lookup shall come.
static bool send_transactional(struct client *c) {
    const char *text;
    if (c->writes && dice(c, 3) == 0) {
        send_query(c, dice(c, 2) ? "INSERT INTO items VALUES (1)" : "INSERT INTO books VALUES (1)");
        return true;
    }
    if (!c->transactional)
        return false;
    if (!in_transaction(c))
        text = dice(c, 3) ? begins[c->loops && dice(c, 2) ? 6 : dice(c, N(begins))] : NULL;
    else if (dice(c, 8) == 0)
        text = ends[dice(c, N(ends))];
    else
        text = dice(c, 30) ? NULL : insides[dice(c, N(insides))];
    if (text && dice(c, 3)) {
        send_query(c, text);
    } else if (text) {
        send_extended_other(c, text);
        if (dice(c, 2))
            send_extended_lookup(c);
        write_empty(&c->sending, F_SYNC);
    }
    return text;
}

void client_send(struct client *c, bool calm) {
    size_t from = c->sending.len;
    unsigned long sent = c->sent;
    bool inside = in_transaction(c);
    if (sent == c->answered)
        c->announced = c->oracle.db->announced;
    if (calm && in_transaction(c))
        send_query(c, ends[dice(c, 2)]);
    else if (!calm && (send_burst(c) || send_loop(c)))
        ;
    else if (!calm && send_transactional(c))
        ;
    else if (calm || dice(c, c->calmness))
        send_lookup(c);
    else if (in_transaction(c) && dice(c, 3) == 0)
        send_query(c, ends[dice(c, 2)]);
    else
        send_other(c);
    c->sent = sent + count_units(&c->sending, from);
    note_closes(c, from, sent);
    run_oracle(c, from);
    if (inside || in_transaction(c))
        c->transaction_until = c->sent;
}

// Not when a pipelining client has sent more of a transaction than the server has answered: its oracle could
// not tell what a cancelled statement leaves of it.
bool client_may_cancel(const struct client *c) {
    return !c->pipelines || (c->transaction_until <= c->answered && !in_transaction(c));
}

bool client_may_send(const struct client *c) {
    return !c->gone && !c->said_goodbye &&
           (client_is_answered(c) || (c->pipelines && c->sent - c->answered < 40));
}

void client_say_goodbye(struct client *c) {
    write_empty(&c->sending, F_TERMINATE);
    c->said_goodbye = true;
}

void client_cancels(struct client *c) {
    c->cancel_until = c->sent;
    c->cancelled = c->answered + 1;
}

bool client_is_answered(const struct client *c) {
    return c->sent == c->answered;
}

// ---- what it gets

static bool wrong(struct client *c, const char *what, const struct frame *got, const struct frame *wanted) {
    if (c->failure[0])
        return false;
    int n = snprintf(c->failure, sizeof c->failure, "client %u, unit %lu: %s; got %c", c->id, c->answered,
                     what, got ? got->type : '-');
    for (size_t i = 0; got && i < got->body_len && n < 240; i++)
        n += snprintf(c->failure + n, sizeof c->failure - (size_t)n, "%c",
                      got->body[i] >= ' ' && got->body[i] < 127 ? got->body[i] : '.');
    n += snprintf(c->failure + n, sizeof c->failure - (size_t)n, "; wanted %c", wanted ? wanted->type : '-');
    for (size_t i = 0; wanted && i < wanted->body_len && n < 480; i++)
        n += snprintf(c->failure + n, sizeof c->failure - (size_t)n, "%c",
                      wanted->body[i] >= ' ' && wanted->body[i] < 127 ? wanted->body[i] : '.');
    return false;
}

// The number of `digits` digits at p, which may not be digits.
static unsigned number_at(const uint8_t *p, unsigned digits) {
    unsigned v = 0;
    for (unsigned i = 0; i < digits; i++)
        v = v * 10 + (unsigned)(p[i] - '0');
    return v;
}

static bool between(unsigned v, unsigned low, unsigned high) {
    return v >= low && v <= high;
}

// Rows end with ":v000000:d0000:s00000000".
#define TAIL 24

struct tail {
    unsigned version, definitions, serial;
};

static bool read_tail(const struct frame *f, struct tail *t) {
    const uint8_t *p = f->body + f->body_len - TAIL;
    if (f->body_len < TAIL || p[0] != ':' || p[1] != 'v')
        return false;
    *t = (struct tail){number_at(p + 2, 6), number_at(p + 10, 4), number_at(p + 16, 8)};
    return true;
}

// An answer that had been run before it was asked for may be given for each row that lists have with its key. Its serial number, its schema, role
// and key say which one it is.
static bool is_given_too_often(struct sim_database *db, const struct frame *got, unsigned serial) {
    uint64_t hash = serial * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i + TAIL < got->body_len; i++)
        hash = (hash ^ got->body[i]) * 0x100000001b3u;
    size_t at = hash % SIM_MAX_GIVEN, n = 0;
    for (hash |= 1; db->given[at] && db->given[at] != hash && n < SIM_MAX_GIVEN; n++)
        at = (at + 1) % SIM_MAX_GIVEN;
    if (n == SIM_MAX_GIVEN)
        return false;
    db->given[at] = hash;
    return db->times[at]++ == SIM_MAX_TIMES;
}

// What lookahead promises of a row that was loaded before it was asked for; NULL: it keeps it.
static const char *held_fault(const struct client *c, const struct asking *a, const struct tail *got) {
    const struct sim_database *db = c->oracle.db;
    uint64_t ran = db->ran[got->serial % SIM_MAX_RUNS];
    if (!db->lookahead || (db->lookahead == 1 && !a->frozen))
        return "loaded ahead, which is switched off";
    if (db->books_off && a->table == SIM_BOOKS)
        return "loaded ahead from a table for which that is switched off";
    if (a->serializable)
        return "loaded ahead in a serializable transaction";
    if (got->serial <= a->floor)
        return "loaded before the session did more than read";
    if (a->frozen)
        return NULL;
    if (a->asked > ran + db->ahead_age || (!c->pipelines && c->given > ran + db->ahead_age))
        return "held for too long";
    if (got->version < a->told)
        return "older than a write whose writer has been told";
    if (got->definitions < a->announced)
        return "older than a change of definitions";
    if (a->strict && a->asked > a->heard + db->ahead_gap)
        return "held over a pause";
    return NULL;
}

// Who asks one question after the other is never told what was true before what it was told last.
static bool goes_back(struct client *c, const struct asking *a, const struct frame *got, unsigned version) {
    uint64_t hash = 1 + a->kind;
    for (size_t i = 0; i + TAIL < got->body_len; i++)
        hash = (hash ^ got->body[i]) * 0x100000001b3u;
    bool known = c->seen[hash % CLIENT_SEEN].hash == hash;
    bool back = known && version < c->seen[hash % CLIENT_SEEN].version;
    if (c->pipelines || a->frozen)
        return false;
    c->seen[hash % CLIENT_SEEN].hash = hash;
    c->seen[hash % CLIENT_SEEN].version = version;
    return back;
}

static const char *row_fault(struct client *c, const struct frame *got, const struct frame *wanted) {
    struct sim_database *db = c->oracle.db;
    struct tail g, w;
    if (got->body_len != wanted->body_len)
        return "another answer";
    if (!read_tail(wanted, &w) || !read_tail(got, &g))
        return memcmp(got->body, wanted->body, wanted->body_len) ? "another answer" : NULL;
    const struct asking *a = &c->oracle.askings[w.serial % SIM_ASKINGS];
    if (memcmp(got->body, wanted->body, wanted->body_len - TAIL) != 0)
        return "another answer";
    if (g.version > db->version[a->table] || g.definitions > db->definitions)
        return "an answer from the future";
    if (goes_back(c, a, got, g.version))
        return "older than what was told before";
    if (g.serial > a->serial)
        return g.version < w.version || g.definitions < w.definitions ? "an old answer" : NULL;
    if (c->checked != w.serial + 1) { // its first row
        db->n_held++;
        db->n_frozen += a->frozen;
        c->checked = w.serial + 1;
        if (is_given_too_often(db, got, g.serial))
            return "loaded ahead and given too often";
    }
    return held_fault(c, a, &g);
}

// The last column's type modifier is the version of the definitions.
static bool description_fits(const struct client *c, const struct frame *got, const struct frame *wanted) {
    size_t at = wanted->body_len - 6;
    if (got->body_len != wanted->body_len || wanted->body_len < 6)
        return false;
    if (memcmp(got->body, wanted->body, at) != 0 || memcmp(got->body + at + 4, wanted->body + at + 4, 2) != 0)
        return false;
    // A statement may be described as it was before a change whose end nobody has heard of when it was asked.
    uint32_t g = get_u32(got->body + at), w = get_u32(wanted->body + at);
    uint32_t low = c->announced < w ? c->announced : w;
    return g == w || (w != UINT32_MAX && between(g, low, c->oracle.db->definitions));
}

// The transaction of a statement that was cancelled.
static bool is_aborted(const struct client *c, const struct frame *got, const struct frame *wanted) {
    return c->aborted && got->type == B_READY_FOR_QUERY && got->body[0] == 'E' && wanted->body[0] == 'T';
}

static bool message_fits(const struct client *c, const struct frame *got, const struct frame *wanted) {
    if (got->type != wanted->type)
        return false;
    if (got->type == B_ROW_DESCRIPTION)
        return description_fits(c, got, wanted);
    return got->body_len == wanted->body_len && (!got->body_len || is_aborted(c, got, wanted) ||
                                                 memcmp(got->body, wanted->body, got->body_len) == 0);
}

static bool error_is(const struct frame *f, char field, const char *value) {
    struct slice v;
    return f->type == B_ERROR && msg_error_field(f->body, f->body_len, field, &v) &&
           slice_is(v, value, strlen(value));
}

static bool next_wanted(struct client *c, struct frame *f) {
    return frame_read(c->oracle.out.data, c->oracle.out.len, f) == FRAME_OK;
}

// A unit that was cancelled: what the oracle said up to ReadyForQuery is not awaited any more.
static bool skip_unit(struct client *c, const struct frame *got) {
    struct frame wanted;
    while (next_wanted(c, &wanted) && wanted.type != B_READY_FOR_QUERY)
        buf_consume(&c->oracle.out, wanted.size);
    return next_wanted(c, &wanted) || wrong(c, "nothing was left to cancel", got, NULL);
}

// Inside a transaction it aborts it.
static bool take_cancel(struct client *c, const struct frame *got) {
    c->aborted = c->oracle.txn == 'T' && !c->pipelines; // see client_may_cancel
    if (c->aborted)
        c->oracle.txn = 'E';
    return skip_unit(c, got);
}

// A statement that was parsed before the definitions changed: which of them it meets is a matter of time. What
// is behind it in its unit was skipped, also a Close of the unnamed statement. Then the statement is still there, and a
// transaction is aborted. The oracle may have answered more of what a pipelining client has sent.
static bool take_refusal(struct client *c, const struct frame *got) {
    unsigned at = c->answered % 64;
    struct frame end;
    if (c->unnamed[at].closes)
        c->oracle.prepared[0].used = c->unnamed[at].had;
    if (!take_cancel(c, got))
        return false;
    bool aborts = next_wanted(c, &end) && end.body_len && end.body[0] == 'T';
    c->lost |= c->pipelines && (c->unnamed[at].closes || aborts);
    return true;
}

// Rows of a transaction that is not READ COMMITTED have one version.
static bool snapshot_fits(struct client *c, const struct frame *got, const struct frame *wanted) {
    struct tail g, w;
    if (!read_tail(got, &g) || !read_tail(wanted, &w))
        return true;
    const struct asking *a = &c->oracle.askings[w.serial % SIM_ASKINGS];
    unsigned *snapshot = &c->snapshot[a->table];
    if (!a->frozen)
        return true;
    *snapshot = *snapshot ? *snapshot : g.version + 1;
    return *snapshot == g.version + 1;
}

static bool ends_transaction(const struct frame *got) {
    return got->body_len > 6 && (memcmp(got->body, "COMMIT", 6) == 0 || memcmp(got->body, "ROLLBA", 6) == 0);
}

// A notification may tell of a change: what had run when it was sent is not news. Its last words are "news
// 5".
static void note_floor(struct client *c, const struct frame *got) {
    char digits[16] = {0};
    size_t n = 0;
    while (n < 10 && n + 1 < got->body_len && got->body[got->body_len - 2 - n] != ' ')
        n++;
    memcpy(digits, got->body + got->body_len - 1 - n, n);
    unsigned serial = (unsigned)atoi(digits);
    c->oracle.floor = c->oracle.floor > serial ? c->oracle.floor : serial;
}

static bool take_message(struct client *c, const struct frame *got) {
    struct frame wanted;
    if (got->type == B_NOTIFICATION) {
        c->notifications++;
        note_floor(c, got);
        return true;
    }
    if (c->lost)
        return true;
    if (error_is(got, 'V', "FATAL"))
        return c->fatal = true;
    if (!next_wanted(c, &wanted))
        return wrong(c, "nothing was asked for", got, NULL);
    if (error_is(got, 'C', "57014") && !error_is(&wanted, 'C', "57014"))
        return c->answered < c->cancel_until ? take_cancel(c, got)
                                             : wrong(c, "was not asked to cancel", got, &wanted);
    if (error_is(got, 'C', "0A000") && c->oracle.db->definitions && !error_is(&wanted, 'C', "0A000"))
        return take_refusal(c, got);
    const char *fault = got->type == B_DATA_ROW && wanted.type == B_DATA_ROW ? row_fault(c, got, &wanted)
                        : message_fits(c, got, &wanted)                      ? NULL
                                                                             : "another answer";
    if (fault)
        return wrong(c, fault, got, &wanted);
    if (!c->unseen && got->type == B_COMMAND_COMPLETE && got->body_len == 12 &&
        memcmp(got->body, "ALTER TABLE", 11) == 0)
        c->oracle.db->announced++;
    if (wanted.type == B_DATA_ROW && !snapshot_fits(c, got, &wanted))
        return wrong(c, "another snapshot", got, &wanted);
    if (wanted.type == B_COMMAND_COMPLETE && ends_transaction(got))
        memset(c->snapshot, 0, sizeof c->snapshot);
    if (wanted.type == B_READY_FOR_QUERY)
        c->aborted = false;
    c->answered += wanted.type == B_READY_FOR_QUERY;
    buf_consume(&c->oracle.out, wanted.size);
    return true;
}

bool client_receive(struct client *c, const uint8_t *bytes, size_t len) {
    struct frame f;
    buf_put(&c->in, bytes, len);
    if (c->in.len && frame_header(c->in.data, c->in.len, &f) == FRAME_MALFORMED)
        return wrong(c, "a malformed frame", NULL, NULL);
    while (frame_read(c->in.data, c->in.len, &f) == FRAME_OK) {
        if (!take_message(c, &f))
            return false;
        buf_consume(&c->in, f.size);
    }
    return true;
}
