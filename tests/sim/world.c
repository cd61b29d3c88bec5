// SPDX-License-Identifier: PostgreSQL
//
// The world's steps: bytes are moved, time passes, and things go wrong, each with some chance. Then what must
// hold at any time is checked: check(), and when all is idle check_idle().
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/session/room.h"
#include "batching/ahead/ahead.h"
#include "batching/flow/cancel.h"
#include "batching/flow/turn.h"
#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/owed.h"
#include "batching/session/pipeline.h"
#include "batching/session/session.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "batching/trust/writes.h"

static unsigned dice(struct world *w, unsigned n) {
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w->random >> 33) % n;
}

__attribute__((format(printf, 2, 3))) static void broken(struct world *w, const char *format, ...) {
    va_list args;
    if (w->failure[0])
        return;
    va_start(args, format);
    vsnprintf(w->failure, sizeof w->failure, format, args);
    va_end(args);
}

// ---- effects

static void trace(const struct connection *c, const char *where, const uint8_t *bytes, size_t len) {
    struct frame f;
    if (!getenv("SIM_TRACE"))
        return;
    printf("%lu: connection %u to %s: ", c->world->steps, c->id, where);
    for (size_t at = 0; at < len && frame_header(bytes + at, len - at, &f) == FRAME_OK; at += f.size)
        printf("%c%.*s", f.type, f.type == B_ERROR && at + f.size <= len && f.size > 24 ? 5 : 0,
               (const char *)bytes + at + 20);
    printf("\n");
}

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    struct connection *c = owner;
    (void)more;
    if (c->lending || !c->session)
        broken(c->world, "bytes for the client of connection %u, which is gone", c->id);
    alloc_disarm();
    trace(c, "client", bytes, len);
    // A statement that was prepared without the server means something else by now, and an open transaction
    // or the rest of a unit would go on without it.
    static const char fatal[] = "VFATAL\0C0A000";
    c->lost_statement |= memmem(bytes, len, fatal, sizeof fatal - 1) != NULL;
    buf_put(&c->to_client, bytes, len);
    told_got(&c->told, bytes, len);
    c->client.heard = c->world->now;
    if (len && bytes[0] != B_NOTIFICATION)
        c->client.given = c->world->now;
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    struct connection *c = owner;
    (void)more;
    alloc_disarm();
    trace(c, "server", bytes, len);
    buf_put(&c->to_server, bytes, len);
}

static void resume_client(void *owner) {
    ((struct connection *)owner)->resume = true;
}

static bool relay_cancel(void *owner) {
    ((struct connection *)owner)->signals += 2;
    return true;
}

static void finished(void *owner) {
    struct connection *c = owner;
    if (!c->lending && !c->client.gone)
        broken(c->world, "connection %u is finished while its client is there", c->id);
    c->finished = true;
}

static void engine_log(void *ctx, enum reason reason, uint64_t session, const char *message) {
    const struct world *w = ctx;
    if (getenv("SIM_TRACE"))
        printf("%lu: session %lu: %s: %s\n", w->steps, (unsigned long)session, reason_name(reason), message);
}

static const struct engine_effects effects = {
    .to_client = to_client,
    .to_server = to_server,
    .resume_client = resume_client,
    .relay_cancel = relay_cancel,
    .finished = finished,
    .log = engine_log,
};

static void answered(void *ctx, const struct session *s, const struct answered *a) {
    struct world *w = ctx;
    struct connection *c = s->owner;
    const char *fault = told_reported(&c->told, a, w->now);
    w->answered[a->outcome]++;
    if (fault)
        broken(w, "%s: outcome %d, reason %s", fault, (int)a->outcome, reason_name(a->reason));
    if (c->lending)
        broken(w, "a statement was answered whose client is gone");
}

// Memory runs out inside the engine alone.
static void enter(struct world *w) {
    if (w->options.failing_malloc)
        alloc_arm(&w->random, 200);
}

static void leave(void) {
    alloc_disarm();
}

// ---- connections

static const char *const users[] = {"alice", "alice", "bob"};

static void connection_open(struct world *w, struct connection *c) {
    static const char address[] = "127.0.0.1:5432";
    const char *user = users[w->options.moody || w->options.bursts ? 0 : dice(w, 3)];
    *c = (struct connection){.world = w, .used = true, .id = w->next_id++, .waits_since = w->now};
    c->from_client = c->from_server = c->to_client = c->to_server = buf_make((size_t)1 << 26);
    c->slow = w->options.slow_readers && dice(w, 3) == 0;
    client_init(&c->client, &w->db, c->id, w->random >> 16, user, w->options.pipelines && dice(w, 2));
    if (w->options.calm && c->client.calmness < 100)
        c->client.calmness = 100;
    c->client.moody = w->options.moody;
    c->client.transactional = w->options.transactional && dice(w, 4);
    if (w->options.moody)
        c->client.calmness = 25;
    if (w->options.quiet && dice(w, 4))
        c->client.calmness = 200;
    c->client.focused = w->options.focused && dice(w, 8);
    c->client.alone = w->options.connections == 1;
    c->client.loops = w->options.loops && dice(w, 6);
    c->client.restless = dice(w, 3) == 0;
    c->client.writes = dice(w, 4) == 0;
    c->client.pooled = w->options.pooled && dice(w, 6);
    c->client.bursts = w->options.bursts && dice(w, 6);
    server_init(&c->server, &w->db, c->id, user);
    c->server.may_stall = w->options.stalls ? 4 : 0;
    c->server.stall = 60;
    c->server.locks = w->options.locks;
    c->server.may_hang = w->options.hangs ? 20 : 0;
    c->server.wrong = w->options.wrong;
    c->server.linked = w->options.linked;
    c->server.all_write = w->options.all_write;
    c->server.trace = getenv("SIM_TRACE") != NULL;
    char params[48];
    int n = snprintf(params, sizeof params, "user%c%s%cdatabase%csim%c", 0, user, 0, 0, 0);
    c->session = session_create(w->engine, c, (struct slice){(const uint8_t *)address, sizeof address - 1},
                                (struct slice){(const uint8_t *)params, (size_t)n}, false, w->now);
}

static void connection_close(struct connection *c) {
    struct world *w = c->world;
    w->units += c->client.answered;
    enter(w);
    session_destroy(c->session, w->now);
    leave();
    c->session = NULL;
    client_finish(&c->client);
    server_finish(&c->server);
    buf_free(&c->from_client);
    buf_free(&c->from_server);
    buf_free(&c->to_client);
    buf_free(&c->to_server);
    c->used = false;
}

// As proxy/link.c does it: what the client sent before it said goodbye is still owed to the server.
static void client_leaves(struct connection *c) {
    struct world *w = c->world;
    c->client.gone = true;
    c->lending = true;
    enter(w);
    bool lends = session_client_gone(c->session, w->now);
    leave();
    if (!lends)
        connection_close(c);
}

static void server_leaves(struct connection *c) {
    enter(c->world);
    session_server_gone(c->session, c->world->now);
    leave();
    if (!c->lending)
        client_receive(&c->client, c->to_client.data, c->to_client.len);
    if (c->client.failure[0])
        broken(c->world, "%s", c->client.failure);
    connection_close(c);
}

// ---- moving bytes

static size_t piece(struct world *w, size_t have) {
    size_t most = dice(w, 4) ? have : 1 + dice(w, 40);
    return most < have ? most : have;
}

static void move(struct world *w, struct buf *from, struct buf *to) {
    size_t n = piece(w, from->len);
    buf_put(to, from->data, n);
    buf_consume(from, n);
}

typedef size_t take_function(struct session *s, const uint8_t *bytes, size_t len, uint64_t now);

// Offers the bytes in a block of exactly their size, so that a read past them is seen.
static size_t offer(struct world *w, struct connection *c, const struct buf *b, take_function *take) {
    uint8_t *copy = malloc(b->len);
    memcpy(copy, b->data, b->len);
    enter(w);
    size_t taken = take(c->session, copy, b->len, w->now);
    leave();
    free(copy);
    if (taken > b->len)
        broken(w, "more was taken than was there");
    return taken;
}

static void feed(struct world *w, struct connection *c, struct buf *b, take_function *take) {
    while (b->len) {
        size_t taken = offer(w, c, b, take);
        buf_consume(b, taken);
        if (!taken)
            break;
    }
}

static bool is_backlogged(struct connection *c) {
    return c->to_client.len > 4000;
}

static void feed_client(struct world *w, struct connection *c) {
    if (!c->lending && session_takes_client(c->session))
        feed(w, c, &c->from_client, session_from_client);
}

static void feed_server(struct world *w, struct connection *c) {
    if (!is_backlogged(c) || session_server_is_lending(c->session))
        feed(w, c, &c->from_server, session_from_server);
}

// ---- what may happen

static void step_client_sends(struct world *w, struct connection *c) {
    size_t had = c->client.sending.len;
    if (client_may_send(&c->client) && !w->draining)
        client_send(&c->client, false);
    else if (client_may_send(&c->client) && c->client.oracle.txn != 'I')
        client_send(&c->client, true); // nobody ends with a transaction open
    told_sent(&c->told, c->client.sending.data + had, c->client.sending.len - had);
}

static void step_client_bytes(struct world *w, struct connection *c) {
    if (c->lending)
        return;
    move(w, &c->client.sending, &c->from_client);
    feed_client(w, c);
}

static void step_server_bytes(struct world *w, struct connection *c) {
    move(w, &c->server.out, &c->from_server);
    feed_server(w, c);
}

static void step_to_server(struct world *w, struct connection *c) {
    size_t n = piece(w, c->to_server.len);
    server_receive(&c->server, c->to_server.data, n);
    buf_consume(&c->to_server, n);
    for (unsigned i = dice(w, 6); i > 0 && server_step(&c->server); i--)
        ;
}

// Who has all its answers knows that its writes have ended.
static void note_told(struct world *w, const struct connection *c) {
    for (int table = 0; table < SIM_TABLES && client_is_answered(&c->client); table++)
        if (w->db.told[table] < c->server.committed[table])
            w->db.told[table] = c->server.committed[table];
}

static void step_to_client(struct world *w, struct connection *c) {
    bool was = is_backlogged(c);
    if (c->lending || (c->slow && !w->draining && dice(w, 8)))
        return;
    size_t n = piece(w, c->to_client.len);
    c->client.unseen = c->session->opaque;
    if (!client_receive(&c->client, c->to_client.data, n))
        broken(w, "%s", c->client.failure);
    buf_consume(&c->to_client, n);
    note_told(w, c);
    if (was && !is_backlogged(c))
        feed_server(w, c);
}

static void step_notify(struct world *w, struct connection *c) {
    (void)w;
    if (c->server.txn == 'I' && !c->server.in_unit && !c->server.copying && !c->server.busy &&
        !c->server.closed)
        server_notify(&c->server);
}

// All that its client has sent is where it can be cancelled.
static bool is_stuck(const struct connection *c) {
    const struct server *s = &c->server;
    bool waits = s->busy ? s->locked : !s->in.len;
    return waits && !client_is_answered(&c->client) && !c->client.sending.len && !c->to_server.len &&
           !s->out.len && !c->from_server.len && !c->to_client.len &&
           (!c->from_client.len || c->session->hold.lookups);
}

// Where there are locks, a cancel request must not be in vain: it is not repeated.
static bool may_cancel(const struct world *w, const struct connection *c) {
    if (!w->options.cancels || c->lending || !client_may_cancel(&c->client))
        return false;
    return w->options.locks ? is_stuck(c) && c->client.cancelled != c->client.answered + 1 : !w->draining;
}

static void step_cancel(struct world *w, struct connection *c) {
    if (!may_cancel(w, c))
        return;
    client_cancels(&c->client);
    enter(w);
    bool relay = session_cancel(c->session, w->now);
    leave();
    if (relay)
        server_cancel(&c->server);
}

// A cancel request of the engine's reaches the server some time later, and once more after that.
static void step_signal(struct world *w, struct connection *c) {
    if (!c->signals)
        return;
    server_cancel(&c->server);
    if (--c->signals % 2)
        return;
    enter(w);
    session_cancel_done(c->session, w->now);
    leave();
}

static void step_disconnect(struct world *w, struct connection *c) {
    if (!w->options.disconnects || w->draining || c->lending || dice(w, 8))
        return;
    switch (dice(w, 3)) {
    case 0:
        if (client_may_send(&c->client))
            client_say_goodbye(&c->client);
        return;
    case 1:
        client_leaves(c);
        return;
    default:
        server_leaves(c);
        return;
    }
}

static void step_partial(struct world *w, struct connection *c) {
    if (c->lending)
        return;
    enter(w);
    bool again = session_partial_expired(c->session, w->now);
    leave();
    if (again)
        feed_client(w, c);
}

// What effects have left for later, as the proxy does it at the end of a turn.
static void settle(struct world *w, struct connection *c) {
    if (c->resume) {
        c->resume = false;
        feed_client(w, c);
    }
    c->session->backlogged = is_backlogged(c);
    if (c->lending && c->finished) {
        connection_close(c);
    } else if (c->session->failed) {
        if (!w->options.failing_malloc && !(c->lost_statement && w->db.definitions))
            broken(w, "the session of connection %u failed", c->id);
        connection_close(c);
    } else if (c->client.lost && !c->lending) {
        client_leaves(c);
    } else if (c->server.closed && !c->server.out.len && !c->from_server.len) {
        server_leaves(c);
    }
}

// Somebody past the proxy changes a table that a transaction has read: he waits for it, and all others for
// him.
static void step_queue(struct world *w) {
    bool held = false;
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++)
        held |= w->connections[i].used && w->connections[i].server.holds;
    w->db.queued = held && (w->db.queued || dice(w, 40) == 0);
}

#define LONGEST 1500000 // microseconds

// Nobody waits long unless it is its own statement that hangs.
static void check_waits(struct world *w) {
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++) {
        struct connection *c = &w->connections[i];
        const struct server *s = &c->server;
        if (!c->used)
            continue;
        bool own = s->hanging && !s->hangs_for_us;
        if (c->lending || client_is_answered(&c->client) || own || c->answered != c->client.answered)
            c->waits_since = w->now;
        c->answered = c->client.answered;
        if (w->now > c->waits_since + LONGEST)
            broken(w,
                   "the client of connection %u waits long for what is not its own: lookups %u (state %d), "
                   "owed %u "
                   "(kind %d, last %d), hold %d, await %d, hanging %d, for us %d, bytes %zu %zu %zu %zu",
                   c->id, c->session->order.n,
                   c->session->order.first ? (int)c->session->order.first->state : -1, c->session->owed.n,
                   c->session->owed.n ? (int)owed_head(c->session)->kind : -1,
                   c->session->owed.n ? (int)owed_last(c->session)->kind : -1, c->session->hold.lookups,
                   (int)c->session->hold.await.kind, s->hanging, s->hangs_for_us, c->from_client.len,
                   c->to_server.len, c->from_server.len, c->to_client.len);
    }
}

static uint64_t pass_time(struct world *w) {
    if (w->options.hangs)
        return dice(w, 4000);
    return dice(w, w->options.quiet ? 200 : 10) ? dice(w, 300) : dice(w, 10000);
}

static void step_turn(struct world *w) {
    w->now += pass_time(w);
    w->db.now = w->now;
    if (w->options.hangs) {
        step_queue(w);
        check_waits(w);
    }
    if (w->options.outsiders && dice(w, 20) == 0) // a write that does not pass through the proxy
        w->db.version[dice(w, SIM_TABLES)]++;
    if (w->options.outsiders &&
        dice(w, 300) == 0) // nor does this change of definitions: only a batch's stamp tells
        w->db.definitions++;
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++) {
            if (w->connections[i].used)
                settle(w, &w->connections[i]);
        }
        enter(w);
        engine_turn(w->engine, w->now);
        if (w->steps % 97 == 0) {
            room_age(w->engine);
            room_rest(w->engine);
        }
        leave();
        for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++)
            again |= w->connections[i].used && w->connections[i].resume;
    }
}

// Many clients speak at once.
static void step_burst(struct world *w) {
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++) {
        struct connection *c = &w->connections[i];
        if (!c->used || dice(w, 4) == 0)
            continue;
        step_client_sends(w, c);
        step_client_bytes(w, c);
    }
    if (dice(w, 2))
        step_turn(w);
}

static bool all_are_answered(const struct world *w) {
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++)
        if (w->connections[i].used && !client_is_answered(&w->connections[i].client))
            return false;
    return true;
}

// A page asks for its next kind when it has been told of the last one.
static void step_page(struct world *w) {
    for (unsigned n = 0; n < 40 && !all_are_answered(w) && !w->failure[0]; n++) {
        for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++) {
            struct connection *c = &w->connections[i];
            static void (*const all[])(struct world *, struct connection *) = {
                step_client_bytes, step_to_server, step_server_bytes, step_to_client};
            for (unsigned k = 0; k < 4 && c->used; k++)
                all[k](w, c);
        }
        step_turn(w);
    }
    step_burst(w);
}

static void step_connection(struct world *w, struct connection *c) {
    static void (*const often[])(struct world *, struct connection *) = {
        step_client_sends, step_client_bytes, step_to_server, step_server_bytes, step_to_client, step_signal};
    static void (*const seldom[])(struct world *, struct connection *) = {step_notify, step_cancel,
                                                                          step_disconnect, step_partial};
    unsigned first = w->options.bursty && dice(w, 30) ? 1 : 0;
    if (dice(w, 60))
        often[first + dice(w, 6 - first)](w, c);
    else
        seldom[dice(w, 4)](w, c);
}

static void step(struct world *w) {
    if (w->options.with_list || w->options.early_commit) // the server counts as far
        w->engine->distance = (struct distance){.began = w->now, .least = 5000};
    struct connection *c = &w->connections[dice(w, w->options.connections)];
    if (dice(w, 30) == 0)
        step_turn(w);
    else if (dice(w, 40) == 0)
        step_burst(w);
    else if (w->options.pages && dice(w, 40) == 0)
        step_page(w);
    else if (c->used)
        step_connection(w, c);
    else if (!w->draining)
        connection_open(w, c);
    w->steps++;
}

// ---- invariants

static void check_ahead_lists(struct world *w, const struct ahead *a, unsigned long *loaded) {
    size_t bytes = 0;
    const struct batch *lists[] = {a->held, a->loading};
    for (int i = 0; i < 2; i++) {
        for (const struct batch *b = lists[i]; b; b = b->ahead.next) {
            if (b->ahead.home != a || b->ahead.ended != (i == 0) || b->ahead.n_used > b->n_keys ||
                !b->group->held)
                broken(w, "a batch that was loaded ahead is in the wrong list");
            *loaded += b->n_keys - b->ahead.n_used;
            bytes += i == 0 ? b->ahead.bytes : 0;
        }
    }
    if (bytes != a->held_bytes)
        broken(w, "%zu bytes are held and %zu counted", bytes, a->held_bytes);
}

// Each key that was loaded ahead is held, or it has had its end, which is one of three.
static void check_ahead(struct world *w) {
    const struct engine *e = w->engine;
    const struct engine_counters *n = &e->counters;
    const struct ahead *newer = NULL;
    unsigned long loaded = 0;
    size_t bytes = 0;
    for (const struct ahead *a = e->aheads.newest; a; newer = a, a = a->older) {
        if (a->newer != newer || !a->session || a->session->ahead != a ||
            (newer && newer->last_used < a->last_used))
            broken(w, "what sessions have read and loaded is not linked in order");
        check_ahead_lists(w, a, &loaded);
        bytes += a->charged;
    }
    if (e->aheads.oldest != newer || bytes != e->aheads.bytes)
        broken(w, "%zu bytes are kept for sessions and %zu counted", bytes, e->aheads.bytes);
    for (const struct batch *b = e->batches; b; b = b->next)
        if (b->ahead.home && !b->ahead.home->session)
            loaded += b->n_keys - b->ahead.n_used; // under way for one that is gone
    if (n->ahead_keys + n->ahead_again != n->ahead_answers + n->ahead_unused + n->ahead_stale + loaded)
        broken(w, "%lu keys were loaded ahead: %lu given, %lu unused, %lu stale, %lu there",
               (unsigned long)n->ahead_keys, (unsigned long)n->ahead_answers, (unsigned long)n->ahead_unused,
               (unsigned long)n->ahead_stale, loaded);
}

// What all hold is what each holds; and no account passes its ceiling by more than what one unit adds to it.
#define ONE_UNIT 120000
static void check_memory(struct world *w) {
    const struct engine *e = w->engine;
    size_t sum = e->shapes.memory.used + e->groups.memory.used + e->identities.memory.used +
                 e->followers.memory.used + e->bursts.memory.used + e->report.loops.weighs +
                 e->report.names.weighs + e->report.tags.weighs;
    for (const struct database *d = e->databases; d; d = d->hh.next)
        sum += d->weighs;
    for (const struct session *s = e->sessions; s; s = s->next) {
        sum += s->memory.used;
        if (s->memory.used < s->queue_memory.used + s->names_memory.used ||
            s->names_memory.claimed > (size_t)1 << 40)
            broken(w, "a session's accounts do not fit: %zu, %zu, %zu", s->memory.used, s->queue_memory.used,
                   s->names_memory.used);
        if (s->memory.limit && s->memory.used > s->memory.limit + ONE_UNIT)
            broken(w, "a session holds %zu bytes and may %zu: queue %zu, names %zu, ahead %zu",
                   s->memory.used, s->memory.limit, s->queue_memory.used, s->names_memory.used,
                   s->ahead ? s->ahead->charged : 0);
    }
    if (sum != e->memory.used)
        broken(w, "%zu bytes are in accounts and %zu in that of all", sum, e->memory.used);
    if (e->shapes.memory.limit && e->shapes.memory.used > e->shapes.memory.limit + ONE_UNIT)
        broken(w, "shapes hold %zu bytes and may %zu", e->shapes.memory.used, e->shapes.memory.limit);
    if (e->groups.memory.limit && e->groups.memory.used > e->groups.memory.limit + ONE_UNIT)
        broken(w, "groups hold %zu bytes and may %zu", e->groups.memory.used, e->groups.memory.limit);
    if (e->counters.miscounted)
        broken(w, "a session has ended with bytes in its accounts");
}

static void check_group(struct world *w, const struct group *g) {
    unsigned n = 0;
    for (const struct lookup *l = g->first; l; l = l->next_waiting, n++) {
        if (l->state != LOOKUP_WAITING || l->group != g)
            broken(w, "a lookup in a group's queue does not wait there");
        if (l->next_waiting ? l->next_waiting->previous_waiting != l : g->last != l)
            broken(w, "a group's queue is not linked both ways");
    }
    if (n != g->n_waiting)
        broken(w, "a group has %u lookups in its queue and counts %u", n, g->n_waiting);
    if (n && !g->listed && !g->in_flight)
        broken(w, "a group's queue waits for nothing");
    if (g->in_flight > 100000)
        broken(w, "a group's count of lookups under way fell below zero");
}

static void check_session(struct world *w, const struct session *s) {
    unsigned n = 0, forward = 0, framed = 0;
    bool sent = true, all_sent = true;
    for (const struct lookup *l = s->order.first; l; l = l->next, n++) {
        if (l->state == LOOKUP_SENT && !sent)
            broken(w, "a lookup was sent before an earlier one");
        sent = l->state == LOOKUP_SENT;
        all_sent &= sent;
        if (l->session != s || (l->next ? l->next->previous != l : s->order.last != l))
            broken(w, "a session's lookups are not linked both ways");
        if (l->state == LOOKUP_BATCHED && (!l->batch || l->batch->members[l->member] != l))
            broken(w, "a lookup and its batch do not know each other");
    }
    if (s->order.first && s->order.first->state == LOOKUP_ANSWERED && pipeline_is_answered(s->order.first))
        broken(w, "an answer waits for nothing");
    if (n != s->order.n)
        broken(w, "session %lu has %u lookups and counts %u", (unsigned long)s->id, n, s->order.n);
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        forward += o->kind == OWED_FORWARD;
        framed += (o->framed && !o->undone) || o->kind == OWED_REPAIR;
        if (framed && (o->kind == OWED_FORWARD || o->kind == OWED_LOOKUP))
            broken(w, "a statement of the client's was sent behind what may abort its transaction");
    }
    if (framed != s->frame.n)
        broken(w, "a session's count of framed units is wrong");
    if (forward != s->n_forward)
        broken(w, "a session's count of forwarded units is wrong");
    if (forward && !all_sent)
        broken(w, "a unit was forwarded past lookups that wait");
}

// What is relayed unread is not known.
static void check_told(struct world *w) {
    const struct engine_counters *n = &w->engine->counters;
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++) {
        const struct connection *c = &w->connections[i];
        if (c->used && !c->lending && !c->session->opaque && !c->session->failed && !told_fits(&c->told))
            broken(w, "connection %u was answered %lu statements and told of %lu", c->id, c->told.statements,
                   c->told.reported);
    }
    if (n->folded != w->answered[OUTCOME_FOLDED] + w->answered[OUTCOME_AHEAD] ||
        n->alone != w->answered[OUTCOME_ALONE])
        broken(w, "%lu lookups were folded and %lu alone, and other numbers are counted",
               w->answered[OUTCOME_FOLDED] + w->answered[OUTCOME_AHEAD], w->answered[OUTCOME_ALONE]);
}

static void check(struct world *w) {
    const struct engine *e = w->engine;
    check_ahead(w);
    check_memory(w);
    check_told(w);
    for (const struct group *g = e->groups.newest; g; g = g->older)
        check_group(w, g);
    for (const struct session *s = e->sessions; s; s = s->next)
        check_session(w, s);
    if (e->counters.differences && !w->options.wrong)
        broken(w, "a difference was found where there is none");
    if (e->groups.n > e->groups.max || e->shapes.n > e->shapes.max)
        broken(w, "a cache holds more than it may");
}

static bool is_idle(const struct world *w) {
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++) {
        const struct connection *c = &w->connections[i];
        if (c->used && (c->lending || !client_is_answered(&c->client) || c->client.oracle.txn != 'I'))
            return false;
    }
    return true;
}

// All clients have their answers: nothing may be left of what was under way.
static void check_idle(struct world *w) {
    const struct engine *e = w->engine;
    if (e->batches)
        broken(w, "a batch is left over");
    for (const struct group *g = e->groups.newest; g; g = g->older)
        if (g->n_waiting || g->in_flight || g->state == GROUP_VETTING)
            broken(w, "a group is not idle: %u wait, %u under way, state %d", g->n_waiting, g->in_flight,
                   g->state);
    for (const struct session *s = e->sessions; s; s = s->next)
        if (!s->opaque && (s->owed.n || s->order.n || s->cancel.under_way || s->hold.lookups ||
                           s->hold.full || s->expect.n || s->frame.n || s->frame.repair_due))
            broken(w, "session %lu is not idle: owed %u, lookups %u, held %d %d, expected %u",
                   (unsigned long)s->id, s->owed.n, s->order.n, s->hold.lookups, s->hold.full, s->expect.n);
}

static void describe_stuck(struct world *w) {
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++) {
        const struct connection *c = &w->connections[i];
        if (!c->used || (!c->lending && client_is_answered(&c->client)))
            continue;
        const struct session *s = c->session;
        broken(w,
               "connection %u waits for ever: %lu of %lu answered, lookups %u (state %d), owed %u (kind %d), "
               "hold %d "
               "%d, opaque %d, in_unit %d, lending %d, busy %u, bytes %zu %zu %zu %zu",
               c->id, c->client.answered, c->client.sent, s->order.n,
               s->order.first ? (int)s->order.first->state : -1, s->owed.n,
               s->owed.n ? (int)owed_at(s, 0)->kind : -1, s->hold.lookups, s->hold.full, s->opaque,
               s->in_unit, c->lending, c->server.busy, c->from_client.len, c->to_server.len,
               c->from_server.len, c->to_client.len);
    }
}

// ---- a run

static void world_start(struct world *w, uint64_t seed) {
    w->seed = seed; // the rest is zero
    w->random = seed * 0x9e3779b97f4a7c15u + 1;
    w->now = 1;
    const struct world_options *o = &w->options;
    static const struct table_name off[] = {{"public", "books"}};
    struct engine_limits limits = {.observe = o->observe,
                                   .dry = o->observe && o->dry,
                                   .window = o->window,
                                   .max_keys = o->max_keys,
                                   .max_in_flight = o->max_in_flight,
                                   .max_waiting = o->max_waiting,
                                   .max_shapes = o->max_shapes,
                                   .max_groups = o->max_groups,
                                   .max_statements = 100,
                                   .max_answer = o->max_answer,
                                   .max_text = 4096,
                                   .timeout = o->timeout,
                                   .patience = o->patience,
                                   .vet_max_age = 1000000,
                                   .parse_budget = o->parse_budget,
                                   .verify = o->verify,
                                   .never_slower = o->never_slower,
                                   .check_one_in = o->check_one_in,
                                   .lookahead = o->lookahead,
                                   .ahead_gap = o->ahead_gap,
                                   .ahead_age = o->ahead_age,
                                   .ahead_keys = o->ahead_keys,
                                   .with_list = o->with_list,
                                   .early_commit = o->early_commit,
                                   .ahead_session = o->ahead_session,
                                   .ahead_memory = o->ahead_memory,
                                   .max_session = o->max_session,
                                   .max_memory = o->max_memory,
                                   .ahead_off = off,
                                   .n_ahead_off = o->books_off};
    w->db.now = w->now;
    w->db.lookahead = o->lookahead;
    w->db.ahead_gap = o->ahead_gap;
    w->db.ahead_age = o->ahead_age;
    w->db.books_off = o->books_off;
    w->engine = engine_create(&limits, &effects, w);
    w->engine->observer = (struct answered_observer){answered, w};
}

// Clients send no more; everything that is under way must come to its end.
static void world_drain(struct world *w) {
    w->draining = true;
    for (unsigned i = 0; i < 200000 && !w->failure[0]; i++) {
        step(w);
        check(w);
        if (i % 64 == 0 && is_idle(w))
            break;
    }
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++)
        w->connections[i].server.hangs_until = w->connections[i].server.hangs_until ? 1 : 0;
    // What is only for ourselves; a request to end it may have to be sent several times.
    for (unsigned i = 0; i < (w->options.locks ? 100000 : 3000) && !w->failure[0]; i++)
        step(w);
    step_turn(w);
    if (!is_idle(w))
        describe_stuck(w);
    if (!w->failure[0])
        check_idle(w);
}

static void report(const struct world *w) {
    const struct engine_counters *c = &w->engine->counters;
    printf("ahead: batches %lu, with lists %lu, with bursts %lu, which answered %lu; keys %lu, answers %lu, "
           "unused %lu, stale %lu; held rows seen "
           "%lu, frozen %lu\n",
           (unsigned long)c->ahead_batches, (unsigned long)c->ahead_with_list,
           (unsigned long)c->ahead_with_burst, (unsigned long)c->ahead_with_burst_answers,
           (unsigned long)c->ahead_keys, (unsigned long)c->ahead_answers, (unsigned long)c->ahead_unused,
           (unsigned long)c->ahead_stale, w->db.n_held, w->db.n_frozen);
    printf("lookups %lu, alone %lu, folded %lu, batches %lu, failed %lu, vets %lu, proofs %lu, ended early "
           "%lu\n",
           (unsigned long)c->lookups, (unsigned long)c->alone, (unsigned long)c->folded,
           (unsigned long)c->batches, (unsigned long)c->failed, (unsigned long)c->vets,
           (unsigned long)c->proofs, (unsigned long)c->early_ends);
    for (int i = 0; i < REASON_COUNT; i++)
        if (c->forwarded[i])
            printf("  %s %lu\n", reason_name((enum reason)i), (unsigned long)c->forwarded[i]);
}

static void world_end(struct world *w) {
    w->held = w->db.n_held;
    w->frozen = w->db.n_frozen;
    w->again = w->engine->counters.ahead_again;
    w->folded = (unsigned long)w->engine->counters.folded;
    w->checked = (unsigned long)w->engine->counters.checked;
    w->differences = (unsigned long)w->engine->counters.differences;
    if (getenv("SIM_TRACE"))
        report(w);
    for (unsigned i = 0; i < WORLD_MAX_CONNECTIONS; i++)
        if (w->connections[i].used)
            connection_close(&w->connections[i]);
    check_ahead(w);
    if (w->engine->aheads.newest || w->engine->aheads.bytes)
        broken(w, "something is kept for a session that is gone");
    w->held_back = (unsigned long)w->engine->counters.held_back;
    engine_forget(w->engine);
    if (w->engine->memory.used || w->engine->counters.miscounted)
        broken(w, "%zu bytes are counted when nothing is left", w->engine->memory.used);
    engine_destroy(w->engine);
}

bool world_run(struct world *w, uint64_t seed, unsigned steps) {
    long live = alloc_live();
    world_start(w, seed);
    for (unsigned i = 0; i < steps && !w->failure[0]; i++) {
        step(w);
        check(w);
    }
    if (!w->failure[0])
        world_drain(w);
    world_end(w);
    if (alloc_live() != live)
        broken(w, "%ld blocks of memory were not given back", alloc_live() - live);
    return !w->failure[0];
}
