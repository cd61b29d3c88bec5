// SPDX-License-Identifier: PostgreSQL
//
// Back-pressure: a side is not read while the other one has more than session_buffer bytes to send, except
// for a server connection that runs something for others. A side that is not read cannot block the other:
// each waits for its own events.
//
// Closing is a state: sockets close at once, memory goes back at the end of the turn, when no callback runs
// on it.
#include "proxy/link.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batching/base/memory.h"
#include "batching/session/room.h"
#include "batching/session/session_state.h"
#include "batching/talk/life.h"
#include "protocol/startup.h"
#include "protocol/write.h"
#include "proxy/connector.h"

#define TLS_BYTES     20000 // what OpenSSL keeps for an idle connection, about
#define SMALL_BACKLOG 2048  // bytes: fewer are not worth waiting for

// ---- life

void link_adopt_limits(struct link *l, const struct config *c) {
    side_set_limits(&l->client, c);
    side_set_limits(&l->server, c);
}

static void list(struct link *l) {
    struct proxy *p = l->proxy;
    l->next = p->links;
    if (l->next)
        l->next->previous = l;
    p->links = l;
    p->n_links++;
}

struct link *link_create(struct proxy *p, int fd, const struct link_stage *stage, uv_poll_cb ready) {
    struct link *l = calloc(1, sizeof *l);
    if (!l) {
        close(fd);
        return NULL;
    }
    l->proxy = p;
    l->settings = settings_ref(p->settings);
    l->stage = stage;
    l->id = ++p->next_link;
    l->started = proxy_now();
    l->client.stream.fd = l->server.stream.fd = -1;
    link_adopt_limits(l, l->settings->config);
    side_set_secret(&l->client, true);
    side_set_secret(&l->server, true);
    stream_init_plain(&l->client.stream, fd);
    if (!side_open(&l->client, p->loop, ready, l)) {
        stream_close(&l->client.stream);
        settings_unref(l->settings);
        free(l);
        return NULL;
    }
    list(l);
    gate_enter(p->gate, &l->place, l);
    pace_enter(&l->pace, l, &l->place);
    return l;
}

static void unweigh(struct link *l) {
    account_set(l->memory, &l->weighs, 0);
}

static void link_free(struct link *l) {
    side_free_buffers(&l->client);
    side_free_buffers(&l->server);
    settings_unref(l->settings);
    free(l->address);
    free(l->names);
    free(l);
}

static void unlist(struct link **list, struct link *l, size_t next_at) {
    for (struct link **at = list; *at; at = (struct link **)((char *)*at + next_at)) {
        if (*at == l) {
            *at = *(struct link **)((char *)l + next_at);
            return;
        }
    }
}

static void unlist_everywhere(struct link *l) {
    struct proxy *p = l->proxy;
    if (l->dirty)
        unlist(&p->dirty, l, offsetof(struct link, next_dirty));
    if (l->partial)
        unlist(&p->partial, l, offsetof(struct link, next_partial));
    l->dirty = l->partial = false;
    *(l->previous ? &l->previous->next : &p->links) = l->next;
    if (l->next)
        l->next->previous = l->previous;
    p->n_links--;
    link_leave_place(l);
}

// A log-in that never reached the server has cost it nothing, so it does not count as failed.
static enum pace_end end_of(const struct link *l) {
    return l->address ? PACE_FAILED : PACE_UNREACHED;
}

void link_close(struct link *l) {
    struct proxy *p = l->proxy;
    if (l->state == LINK_CLOSED)
        return;
    l->state = LINK_CLOSED;
    gate_leave(p->gate, &l->place);
    pace_ends(p->pace, &l->pace, end_of(l));
    unweigh(l);
    proxy_is_awake(p);
    l->stage->closes(l);
    unlist_everywhere(l);
    side_close(&l->client);
    side_close(&l->server);
    l->next = p->graveyard;
    p->graveyard = l;
}

void link_bury(struct proxy *p) {
    while (p->graveyard) {
        struct link *l = p->graveyard;
        p->graveyard = l->next;
        link_free(l);
    }
}

bool link_open_server(struct link *l, const struct stream *stream, uv_poll_cb ready) {
    l->server.stream = *stream;
    return side_open(&l->server, l->proxy->loop, ready, l);
}

void link_close_server(struct link *l) {
    side_close(&l->server);
    side_free_buffers(&l->server);
    l->server.eof = l->server.broken = l->server.read_wants_write = l->server.write_wants_read = false;
    l->server.hung_up = false;
    l->end_passed = false;
}

bool link_take_place(struct link *l) {
    struct proxy *p = l->proxy;
    if (l->counted)
        return true;
    if (p->n_sessions >= (unsigned)p->settings->config->max_clients)
        return false;
    l->counted = true;
    p->n_sessions++;
    return true;
}

void link_leave_place(struct link *l) {
    l->proxy->n_sessions -= l->counted;
    l->counted = false;
}

// ---- who it is

void link_note_names(struct link *l, const struct startup *s) {
    struct slice user = {NULL, 0}, application = {NULL, 0};
    startup_param(s, "user", &user);
    startup_param(s, "application_name", &application);
    free(l->names);
    l->names = calloc(1, user.len + application.len + 2);
    if (l->names && user.len)
        memcpy(l->names, user.data, user.len);
    if (l->names && application.len)
        memcpy(l->names + user.len + 1, application.data, application.len);
}

const char *link_user(const struct link *l) {
    return l->names ? l->names : "(nouser)";
}

const char *link_application(const struct link *l) {
    return l->names ? l->names + strlen(l->names) + 1 : "";
}

// Tells gate and pace. A log-in at the server waits for its client only when the server asks for something,
// which login.c notes.
void link_set_state(struct link *l, enum link_state state) {
    struct proxy *p = l->proxy;
    l->state = state;
    if (state == LINK_CLOSING && l->place.taken) // a log-in that failed
        link_leave_place(l);
    bool in = state == LINK_READY || state == LINK_CONSOLE;
    if (in || state == LINK_CLOSING)
        pace_ends(p->pace, &l->pace, in ? PACE_LOGGED_IN : end_of(l));
    if (in || state == LINK_CANCEL)
        gate_leave(p->gate, &l->place);
    else
        gate_waits(p->gate, &l->place,
                   state == LINK_START || state == LINK_CLIENT_TLS || state == LINK_CLOSING);
    p->told |= in || state == LINK_CLOSING;
    if (!in)
        return;
    side_set_secret(&l->client, false);
    side_set_secret(&l->server, false);
}

// ---- the end

// Closes the server's side: it need not wait for a client that reads slowly.
static void end_server(struct link *l) {
    if (l->session)
        session_server_gone(l->session, proxy_now());
    if (l->connector)
        connector_cancel(l->connector);
    l->connector = NULL;
    side_flush(&l->server);
    side_close(&l->server);
    side_free_buffers(&l->server);
}

void link_close_when_sent(struct link *l) {
    if (l->state == LINK_CLOSED)
        return;
    link_set_state(l, LINK_CLOSING);
    l->since = l->closing = proxy_now();
    end_server(l);
    if (!l->client.out.len || l->client.broken)
        link_close(l);
    else
        link_update(l);
}

void link_dismiss(struct link *l, const char *sqlstate, const char *message, const char *hint) {
    if (l->state == LINK_CLIENT_TLS) { // nothing can be said yet
        link_close(l);
        return;
    }
    struct buf b = buf_make(4096);
    write_error(&b, "FATAL", sqlstate, message, NULL, hint);
    link_to_client(l, b.data, b.len, false);
    buf_free(&b);
    link_close_when_sent(l);
}

void link_refuse(struct link *l, const char *sqlstate, const char *message, const char *hint) {
    log_limited(&l->proxy->log, message, LOG_LEVEL_WARNING, l->id, "client refused: %s", message);
    l->proxy->refused++;
    link_dismiss(l, sqlstate, message, hint);
}

// ---- writing

void link_mark_dirty(struct link *l) {
    if (l->dirty || l->state == LINK_CLOSED)
        return;
    l->dirty = true;
    l->next_dirty = l->proxy->dirty;
    l->proxy->dirty = l;
}

// While memory is short, a link with more than its share is waited for.
static bool is_behind(const struct link *l, size_t waiting) {
    const struct engine *e = l->proxy->engine;
    size_t session = engine_max_session(e) / 8;
    return waiting > l->settings->config->session_buffer || waiting > session || waiting > room_share(e);
}

bool link_is_backlogged(const struct link *l, const struct side *s) {
    return s->out.len > SMALL_BACKLOG && is_behind(l, s->out.len);
}

bool link_has_caught_up(const struct link *l, struct side *s) {
    if (!s->behind || link_is_backlogged(l, s))
        return false;
    s->behind = false;
    return true;
}

static void put(struct link *l, struct side *s, const uint8_t *bytes, size_t len, bool more) {
    if (s->broken || !s->poll || l->state == LINK_CLOSED)
        return;
    if (!more && !s->out.len) {
        size_t sent = side_send(s, bytes, len);
        bytes += sent;
        len -= sent;
        if (!len)
            return;
    }
    buf_put(&s->out, bytes, len);
    if (s->out.failed) // the ceiling, or no memory: a part of the stream is lost, so the connection is
        s->eof = s->broken = true;
    if (link_is_backlogged(l, s))
        side_flush(s); // a peer that reads is not behind
    link_mark_dirty(l);
}

void link_to_client(struct link *l, const uint8_t *bytes, size_t len, bool more) {
    put(l, &l->client, bytes, len, more);
    if (l->session)
        session_set_backlogged(l->session, link_is_backlogged(l, &l->client));
}

void link_to_server(struct link *l, const uint8_t *bytes, size_t len, bool more) {
    if (!l->end_passed) // else the server has been told that nothing more comes
        put(l, &l->server, bytes, len, more);
}

// ---- reading

bool link_wants(const struct link *l, const struct side *s) {
    if (s->eof || !s->poll)
        return false;
    return s == &l->client ? l->stage->takes_client(l) : l->stage->takes_server(l);
}

size_t link_offer(struct link *l, const struct side *s, const uint8_t *bytes, size_t len) {
    return s == &l->client ? l->stage->from_client(l, bytes, len) : l->stage->from_server(l, bytes, len);
}

void link_offer_leftover(struct link *l, struct side *s) {
    while (s->in.len && l->state != LINK_CLOSED) {
        size_t taken = link_offer(l, s, s->in.data, s->in.len);
        if (l->state == LINK_CLOSED)
            return;
        buf_consume(&s->in, taken);
        if (!taken)
            break;
    }
    if (!s->in.len && s->in.cap)
        buf_free(&s->in);
}

// ---- what is waited for

// The bytes of its buffers count against its session. Before there is one, they count against all.
static void weigh(struct link *l) {
    struct account *memory = l->session ? session_memory(l->session) : engine_memory(l->proxy->engine);
    if (memory != l->memory)
        unweigh(l);
    l->memory = memory;
    account_set(memory, &l->weighs,
                sizeof *l + l->stage_bytes + l->client.in.cap + l->client.out.cap + l->server.in.cap +
                    l->server.out.cap +
                    TLS_BYTES * (unsigned)(!!l->client.stream.ssl + !!l->server.stream.ssl));
}

// Bytes that wait for the end of the turn are sent there; only others wait for the socket.
void link_update(struct link *l) {
    if (l->state == LINK_CLOSED)
        return;
    weigh(l);
    l->client.behind |= link_is_backlogged(l, &l->client);
    l->server.behind |= link_is_backlogged(l, &l->server);
    if (l->session)
        session_set_backlogged(l->session, link_is_backlogged(l, &l->client));
    bool ends = l->client.eof && !l->end_passed && l->server.poll && !l->server.out.len;
    side_wait(&l->client, link_wants(l, &l->client), l->client.out.len && !l->dirty, l->pace.queued);
    side_wait(&l->server, link_wants(l, &l->server),
              (l->server.out.len || (ends && l->end_waits)) && !l->dirty, true);
}
