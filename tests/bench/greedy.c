// SPDX-License-Identifier: PostgreSQL
//
// What one client can make the event loop do: the time that the engine takes for 64 kB of what it sends, of
// one turn and of each byte, with a server that answers everything at once. No sockets, and CPU time instead
// of the wall's, so that it can be read on a busy machine; the engine's clock is that time, as on a loop that
// does nothing else. "another": how many of its statements a client gets done beside, of those that it gets
// done alone, when it waits for each answer.
//
//   cc … tests/bench/greedy.c libbatching.a libprotocol.a -lpg_query -lprotobuf-c -lxxhash; ./a.out [MB]
//   [NAME]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batching/session/session.h"
#include "batching/flow/turn.h"
#include "batching/session/engine.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "protocol/frame.h"
#include "protocol/write.h"

#define CHUNK 65536

struct side {
    struct buf replies;
    bool resume;
};

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    (void)owner, (void)bytes, (void)len, (void)more;
}

static void answer(struct buf *b, const struct frame *f) {
    static const struct {
        uint8_t type, reply;
    } replies[] = {{F_PARSE, B_PARSE_COMPLETE},
                   {F_BIND, B_BIND_COMPLETE},
                   {F_CLOSE, B_CLOSE_COMPLETE},
                   {F_DESCRIBE, B_NO_DATA}};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
        if (replies[i].type == f->type)
            write_empty(b, replies[i].reply);
    if (f->type == F_EXECUTE || f->type == F_QUERY)
        write_select_complete(b, 0);
    if (f->type == F_SYNC || f->type == F_QUERY)
        write_ready(b, 'I');
}

static size_t rest; // of a frame that was not whole

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    struct side *s = owner;
    struct frame f;
    (void)more;
    size_t at = rest < len ? rest : len;
    rest -= at;
    while (at < len && frame_header(bytes + at, len - at, &f) == FRAME_OK) {
        answer(&s->replies, &f);
        rest = f.size > len - at ? f.size - (len - at) : 0;
        at += f.size - rest;
    }
}

static void resume(void *owner) {
    ((struct side *)owner)->resume = true;
}

static bool cancel(void *owner) {
    (void)owner;
    return true;
}

static void finished(void *owner) {
    (void)owner;
}

static void log_nothing(void *ctx, enum reason reason, uint64_t session, const char *message) {
    (void)ctx, (void)reason, (void)session, (void)message;
}

static const struct engine_effects effects = {to_client, to_server, resume, cancel, finished, log_nothing};

// ---- what is sent

typedef void attack(struct buf *b, unsigned i);

static void query(struct buf *b, const char *text) {
    write_query(b, text, strlen(text));
}

static char *filled(const char *start, const char *unit, size_t size, const char *end) {
    static char text[1 << 17];
    size_t n = (size_t)sprintf(text, "%s", start), len = strlen(unit);
    for (; n + len + strlen(end) + 1 < size; n += len)
        memcpy(text + n, unit, len);
    strcpy(text + n, end);
    return text;
}

static void unit(struct buf *b, const char *name, const char *text) {
    static const uint8_t bind[8] = {0};
    write_parse(b, (struct slice){(const uint8_t *)name, strlen(name)},
                (struct slice){(const uint8_t *)text, strlen(text)}, NULL, 0);
    size_t at = write_begin(b, F_BIND);
    buf_put_u8(b, 0);
    buf_put_str(b, name);
    buf_put(b, bind, 6);
    write_end(b, at);
    write_execute_all(b, (struct slice){0});
    write_empty(b, F_SYNC);
}

static char *new_text(const char *unit, size_t size, unsigned i) {
    char start[64];
    sprintf(start, "SELECT c%u", i);
    return filled(start, unit, size, " FROM t WHERE id = 1");
}

static void new_8k(struct buf *b, unsigned i) {
    query(b, new_text(", a.some_column AS x", 8190, i));
}
static void new_8k_worst(struct buf *b, unsigned i) {
    query(b, new_text(",a+a", 8190, i));
}
static void new_8k_extended(struct buf *b, unsigned i) {
    unit(b, "", new_text(", a.some_column AS x", 8190, i));
}
static void new_2k(struct buf *b, unsigned i) {
    query(b, new_text(", a.some_column AS x", 2000, i));
}
static void new_tiny(struct buf *b, unsigned i) {
    char text[64];
    sprintf(text, "SELECT 1 AS c%u", i);
    query(b, text);
}
static void new_60k(struct buf *b, unsigned i) {
    query(b, new_text(", a.some_column AS x", 60000, i));
}
static void new_60k_extended(struct buf *b, unsigned i) {
    unit(b, "", new_text(", a.some_column AS x", 60000, i));
}
static void commented_60k(struct buf *b, unsigned i) {
    (void)i;
    unit(b, "", filled("SELECT a", ",a", 60000, " FROM t WHERE id = 1 /* x */"));
}
static void in_60k(struct buf *b, unsigned i) {
    (void)i;
    query(b, filled("SELECT a FROM t WHERE id IN (1", ",1", 60000, ")"));
}
static void garbage_60k(struct buf *b, unsigned i) {
    (void)i;
    query(b, filled("SELECT ", ",a", 60000, ""));
}
static void lookups(struct buf *b, unsigned i) {
    char text[64];
    sprintf(text, "SELECT a FROM t WHERE id = %u", i);
    query(b, text);
}
static void lookups_extended(struct buf *b, unsigned i) {
    (void)i;
    unit(b, "", "SELECT a FROM t WHERE id = 1");
}
static void insert_16k(struct buf *b, unsigned i) {
    char start[64];
    sprintf(start, "INSERT INTO t (a, b) VALUES (%u, 2)", i);
    query(b, filled(start, ", (1234, 'some text')", 16000, ""));
}
static void insert_16k_words(struct buf *b, unsigned i) {
    static char text[20000];
    int n = sprintf(text, "INSERT INTO t VALUES (a");
    for (unsigned k = 0; n < 16000; k++)
        n += sprintf(text + n, ",w%x", k * 7 + i);
    strcpy(text + n, ")");
    query(b, text);
}
static void syncs(struct buf *b, unsigned i) {
    (void)i;
    write_empty(b, F_SYNC);
}
static void flushes(struct buf *b, unsigned i) {
    (void)i;
    write_empty(b, F_FLUSH);
}
static void empty(struct buf *b, unsigned i) {
    (void)i;
    query(b, "");
}
static void closes(struct buf *b, unsigned i) {
    char name[16];
    sprintf(name, "s%u", i);
    write_close(b, 'S', (struct slice){(const uint8_t *)name, strlen(name)});
}
static void closes_sync(struct buf *b, unsigned i) {
    closes(b, i);
    write_empty(b, F_SYNC);
}
static void executes(struct buf *b, unsigned i) {
    (void)i;
    write_execute_all(b, (struct slice){(const uint8_t *)"p", 1});
}
static void begin_commit(struct buf *b, unsigned i) {
    query(b, i % 2 ? "COMMIT" : "BEGIN");
}
static void savepoints(struct buf *b, unsigned i) {
    char text[64];
    sprintf(text, "SAVEPOINT s%u", i);
    query(b, text);
}
static void discard_all(struct buf *b, unsigned i) {
    (void)i;
    query(b, "DISCARD ALL");
}
static void sets(struct buf *b, unsigned i) {
    char text[64];
    sprintf(text, "SET app.x = '%u'", i);
    query(b, text);
}
static void prepares(struct buf *b, unsigned i) {
    char name[16];
    sprintf(name, "s%u", i);
    write_parse(b, (struct slice){(const uint8_t *)name, strlen(name)},
                (struct slice){(const uint8_t *)"SELECT 1", 8}, NULL, 0);
    write_empty(b, F_SYNC);
}
static void prepare_and_forget(struct buf *b, unsigned i) {
    if (i % 1000)
        prepares(b, i);
    else
        query(b, "DEALLOCATE ALL");
}
static void many_types(struct buf *b, unsigned i) {
    static uint32_t types[1000];
    types[0] = i;
    write_parse(b, (struct slice){0}, (struct slice){(const uint8_t *)"SELECT a FROM t WHERE id = $1", 29},
                types, 1000);
    write_empty(b, F_SYNC);
}
static void many_parameters(struct buf *b, unsigned i) {
    static char text[1 << 17];
    int n = sprintf(text, "SELECT %u", i);
    for (unsigned k = 1; n < 8000; k++)
        n += sprintf(text + n, ",$%u", k);
    unit(b, "", text);
}
static void wide_bind(struct buf *b, unsigned i) {
    if (!i)
        write_parse(b, (struct slice){0}, (struct slice){(const uint8_t *)"SELECT a FROM t WHERE id=$1", 27},
                    NULL, 0);
    size_t at = write_begin(b, F_BIND);
    buf_put_u16(b, 0);
    buf_put_u16(b, 16000);
    for (int k = 0; k < 16000; k++)
        buf_put_u16(b, 0);
    buf_put_u16(b, 7000);
    for (int k = 0; k < 7000; k++)
        buf_put_u32(b, 0xffffffff);
    buf_put_u16(b, 0);
    write_end(b, at);
    write_execute_all(b, (struct slice){0});
    write_empty(b, F_SYNC);
}
static void calls(struct buf *b, unsigned i) {
    (void)i;
    size_t at = write_begin(b, F_FUNCTION_CALL);
    buf_put_u32(b, 1);
    buf_put_u32(b, 0);
    buf_put_u16(b, 0);
    write_end(b, at);
}
static void pipeline(struct buf *b, unsigned i) {
    struct buf one = buf_make(1000);
    unit(&one, "", "SELECT a FROM t WHERE id = 1");
    buf_put(b, one.data, one.len - 5);
    if (i % 400 == 399)
        write_empty(b, F_SYNC);
    buf_free(&one);
}

#define A(f)                                                                                                 \
    { #f, f }
static const struct {
    const char *name;
    attack *put;
} attacks[] = {A(new_tiny),
               A(new_2k),
               A(new_8k),
               A(new_8k_extended),
               A(new_8k_worst),
               A(new_60k),
               A(new_60k_extended),
               A(commented_60k),
               A(in_60k),
               A(garbage_60k),
               A(insert_16k),
               A(insert_16k_words),
               A(lookups),
               A(lookups_extended),
               A(pipeline),
               A(syncs),
               A(flushes),
               A(empty),
               A(closes),
               A(closes_sync),
               A(executes),
               A(begin_commit),
               A(savepoints),
               A(discard_all),
               A(sets),
               A(prepares),
               A(prepare_and_forget),
               A(many_types),
               A(many_parameters),
               A(wide_bind),
               A(calls)};

// ---- the loop

struct client {
    struct session *session;
    struct side side;
    struct buf in;
    size_t taken;
    unsigned sent;
};

static struct engine *new_engine(void) {
    struct engine_limits limits = {.max_keys = 500,
                                   .max_in_flight = 2,
                                   .max_waiting = 1024,
                                   .max_shapes = 10000,
                                   .max_groups = 10000,
                                   .max_statements = 2000,
                                   .max_answer = 8 << 20,
                                   .max_text = 65536,
                                   .vet_max_age = 60000000,
                                   .timeout = 30000000,
                                   .parse_budget = 250000};
    return engine_create(&limits, &effects, NULL);
}

static void open_client(struct engine *e, struct client *c) {
    static const char params[] = "user\0alice\0";
    *c = (struct client){.in = buf_make(1 << 22), .side = {.replies = buf_make(1 << 26)}};
    c->session = session_create(e, &c->side, (struct slice){(const uint8_t *)"server", 6},
                                (struct slice){(const uint8_t *)params, sizeof params}, false, e->now);
}

static void close_client(struct client *c) {
    session_destroy(c->session, c->session->engine->now);
    buf_free(&c->in);
    buf_free(&c->side.replies);
}

// One read of what it sends.
static void from_client(struct client *c) {
    size_t len = c->in.len - c->taken < CHUNK ? c->in.len - c->taken : CHUNK;
    if (session_takes_client(c->session))
        c->taken += session_from_client(c->session, c->in.data + c->taken, len, c->session->engine->now);
}

static void from_server(struct client *c) {
    struct buf replies = c->side.replies;
    c->side.replies = buf_make(1 << 26);
    if (session_from_server(c->session, replies.data, replies.len, c->session->engine->now) < replies.len)
        exit(1);
    buf_free(&replies);
}

static void fill(struct client *c, attack *put) {
    buf_consume(&c->in, c->taken);
    c->taken = 0;
    while (c->in.len < 2 * CHUNK)
        put(&c->in, c->sent++);
}

// The greedy one alone: each of its turns.
static void alone(const char *name, attack *put, size_t bytes) {
    struct engine *e = new_engine();
    struct client c;
    double spent = 0, longest = 0;
    size_t idle = 0, n = 0;
    open_client(e, &c);
    rest = 0;
    while (n < bytes && idle < 10 && spent < 2e9) {
        fill(&c, put);
        double since = cpu();
        engine_wakes(e, (uint64_t)(spent / 1000) + 1);
        from_client(&c);
        from_server(&c);
        engine_turn(e, e->now);
        engine_sleeps(e, e->now, UINT64_MAX);
        double took = cpu() - since;
        spent += took;
        longest = took > longest ? took : longest;
        n += c.taken;
        idle = c.taken ? 0 : idle + 1;
    }
    printf("%-18s %8.1f ns a byte %9.0f ns a unit %8.0f us longest turn %7lu not parsed", name,
           spent / (double)n, spent / c.sent, longest / 1000,
           (unsigned long)e->counters.forwarded[REASON_NOT_PARSED]);
    close_client(&c);
    engine_destroy(e);
}

#define THINKS 20000.0 // nanoseconds of the other client between its statements,
#define SERVER 50000.0 // of its server,
#define SYSTEM 10000.0 // and of the system for each event

struct beside {
    struct engine *engine;
    struct client other, greedy;
    double at; // when something of the other's comes
    bool asked;
    unsigned n;
};

// Its statement or its answer.
static void other_speaks(struct beside *b) {
    if (b->asked) {
        from_server(&b->other);
        b->n++;
    } else {
        buf_reset(&b->other.in);
        b->other.taken = 0;
        lookups(&b->other.in, b->n);
        from_client(&b->other);
    }
}

static double one_turn(struct beside *b, attack *put, double t) {
    bool speaks = b->at <= t;
    if (put)
        fill(&b->greedy, put);
    b->greedy.side.resume = false;
    double since = cpu(), system = 0;
    engine_wakes(b->engine, (uint64_t)(t / 1000) + 1);
    if (speaks) {
        other_speaks(b);
        system += SYSTEM;
    }
    if (put && b->greedy.side.replies.len) {
        from_server(&b->greedy);
        system += SYSTEM;
    }
    do {
        b->greedy.side.resume = false;
        if (put && session_takes_client(b->greedy.session)) {
            from_client(&b->greedy);
            system += SYSTEM;
        }
        engine_turn(b->engine, (uint64_t)((t + cpu() - since + system) / 1000) + 1);
    } while (b->greedy.side.resume);
    t += cpu() - since + system;
    if (speaks) {
        b->at = t + (b->asked ? THINKS : SERVER);
        b->asked = !b->asked;
    }
    return t;
}

// Statements a second of a client that waits for its answers, beside the greedy one. put NULL: beside none.
static double other_beside(attack *put) {
    struct beside b = {.engine = new_engine()};
    double t = 1e9;
    open_client(b.engine, &b.other);
    open_client(b.engine, &b.greedy);
    rest = 0;
    while (t < 2e9) {
        t = one_turn(&b, put, t);
        uint64_t due = engine_deadline(b.engine);
        engine_sleeps(b.engine, (uint64_t)(t / 1000) + 1, due);
        double next = (double)due * 1000 < b.at ? (double)due * 1000 : b.at;
        if (!put || (!session_takes_client(b.greedy.session) && !b.greedy.side.replies.len))
            t = next > t ? next : t;
    }
    close_client(&b.other);
    close_client(&b.greedy);
    engine_destroy(b.engine);
    return b.n;
}

int main(int argc, char **argv) {
    size_t megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 8;
    double most = other_beside(NULL);
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        if (argc >= 3 && !strstr(attacks[i].name, argv[2]))
            continue;
        alone(attacks[i].name, attacks[i].put, megabytes << 20);
        printf("  another: %3.0f %%\n", 100 * other_beside(attacks[i].put) / most);
        fflush(stdout);
    }
    return 0;
}
