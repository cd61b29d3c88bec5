// SPDX-License-Identifier: PostgreSQL
//
// Bytes of a side are read into one buffer of the whole proxy and looked at there; only what is left over
// (the first part of a message) or cannot be sent at once is copied into a buffer of the side, which an idle
// side does not have.
//
// Back-pressure: a side is not read while the other one has more than session_buffer bytes to send, except
// for a server connection that runs something for others. A side that is not read cannot block the other:
// each waits for its own events.
//
// Closing is a state: sockets close at once, memory goes back at the end of the turn, when no callback runs
// on it.
#include "proxy/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "batching/session/room.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "protocol/write.h"
#include "proxy/cancel_key.h"

#define TLS_BYTES       20000 // that OpenSSL keeps for a connection which is idle, about
#define SMALL_BACKLOG   2048  // bytes: not worth waiting for
#define KEEP_BUFFER     1024  // an empty buffer of at most this many bytes is kept
#define LOGIN_READ_SIZE 1024  // what a log-in consists of is small; of what strangers send, little is held

static void side_flush(struct side *s);
static void on_client(uv_poll_t *poll, int status, int events);
static void on_server(uv_poll_t *poll, int status, int events);

// ---- life

// A message of a batch must fit in; what an answer or a batch may add beyond the point where reading stops
// must fit out. Never less than before: bytes may be there.
static void side_limits(struct side *s, const struct config *c) {
    size_t in = c->max_answer + c->max_text + (size_t)4 * PROXY_READ_SIZE;
    size_t out = c->session_buffer + 4 * c->max_answer + (size_t)4 * PROXY_READ_SIZE;
    s->in.limit = in > s->in.limit ? in : s->in.limit;
    s->out.limit = out > s->out.limit ? out : s->out.limit;
}

void link_adopt_limits(struct link *l, const struct config *c) {
    side_limits(&l->client, c);
    side_limits(&l->server, c);
}

// Until the log-in is over, what passes may be a password.
static void side_is_secret(struct side *s, bool secret) {
    s->in.secret = s->out.secret = secret;
    if (!secret)
        stream_end_wiping(&s->stream);
}

static bool side_open(struct link *l, struct side *s) {
    s->poll = malloc(sizeof *s->poll);
    if (s->poll && uv_poll_init(l->proxy->loop, s->poll, s->stream.fd) == 0) {
        s->poll->data = l;
        s->events = 0;
        return true;
    }
    free(s->poll);
    s->poll = NULL;
    return false;
}

struct link *link_create(struct proxy *p, int fd) {
    struct link *l = calloc(1, sizeof *l);
    if (!l) {
        close(fd);
        return NULL;
    }
    l->proxy = p;
    l->settings = settings_ref(p->settings);
    l->id = ++p->next_link;
    l->started = proxy_now();
    l->client.stream.fd = l->server.stream.fd = -1;
    link_adopt_limits(l, l->settings->config);
    side_is_secret(&l->client, true);
    side_is_secret(&l->server, true);
    stream_init_plain(&l->client.stream, fd);
    if (!side_open(l, &l->client)) {
        stream_close(&l->client.stream);
        settings_unref(l->settings);
        free(l);
        return NULL;
    }
    l->next = p->links;
    if (l->next)
        l->next->previous = l;
    p->links = l;
    p->n_links++;
    gate_enter(l);
    login_start(l);
    link_update(l);
    return l;
}

static void unweigh(struct link *l) {
    account_set(l->memory, &l->weighs, 0);
}

static void link_free(struct link *l) {
    buf_free(&l->client.in);
    buf_free(&l->client.out);
    buf_free(&l->server.in);
    buf_free(&l->server.out);
    settings_unref(l->settings);
    free(l->address);
    free(l);
}

static void on_poll_closed(uv_handle_t *handle) {
    free(handle);
}

void side_close(struct side *s) {
    if (s->poll) {
        uv_poll_stop(s->poll);
        uv_close((uv_handle_t *)s->poll, on_poll_closed);
        s->poll = NULL;
    }
    if (s->stream.fd >= 0)
        stream_close(&s->stream);
    s->eof = s->broken = true;
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
    login_leave_place(l);
}

void link_close(struct link *l) {
    if (l->state == LINK_CLOSED)
        return;
    l->state = LINK_CLOSED;
    gate_leave(l);
    pace_ends(l, false);
    unweigh(l);
    proxy_tell_time(l->proxy);
    session_destroy(l->session);
    l->session = NULL;
    cancel_forget_link(l);
    cancel_key_remove(l);
    if (l->connector)
        connector_cancel(l->connector);
    login_free(l);
    unlist_everywhere(l);
    side_close(&l->client);
    side_close(&l->server);
    l->next = l->proxy->graveyard;
    l->proxy->graveyard = l;
}

void link_bury(struct proxy *p) {
    while (p->graveyard) {
        struct link *l = p->graveyard;
        p->graveyard = l->next;
        link_free(l);
    }
}

void link_close_server(struct link *l) {
    side_close(&l->server);
    buf_free(&l->server.in);
    buf_free(&l->server.out);
    l->server.eof = l->server.broken = l->server.read_wants_write = l->server.write_wants_read = false;
    l->server.hung_up = false;
    l->end_passed = false;
}

void link_set_state(struct link *l, enum link_state state) {
    l->state = state;
    if (state == LINK_CLOSING && l->place.taken) // a log-in that failed
        login_leave_place(l);
    if (state == LINK_READY || state == LINK_CLOSING)
        pace_ends(l, state == LINK_READY);
    if (state == LINK_READY || state == LINK_CANCEL)
        gate_leave(l);
    else // a log-in at the server waits for the client when the server asks for something
        gate_waits(l, state == LINK_START || state == LINK_CLIENT_TLS || state == LINK_CLOSING);
    if (state != LINK_READY)
        return;
    side_is_secret(&l->client, false);
    side_is_secret(&l->server, false);
}

// The server is not kept waiting for a client that reads slowly.
static void end_server(struct link *l) {
    proxy_tell_time(l->proxy);
    if (l->session)
        session_server_gone(l->session);
    if (l->connector)
        connector_cancel(l->connector);
    l->connector = NULL;
    side_flush(&l->server);
    side_close(&l->server);
    buf_free(&l->server.in);
    buf_free(&l->server.out);
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

static void say_farewell(struct link *l, const char *sqlstate, const char *message, const char *hint) {
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
    say_farewell(l, sqlstate, message, hint);
}

void link_dismiss(struct link *l, const char *sqlstate, const char *message, const char *hint) {
    say_farewell(l, sqlstate, message, hint);
}

bool link_open_server(struct link *l, const struct stream *stream) {
    l->server.stream = *stream;
    return side_open(l, &l->server);
}

// ---- writing

static void mark_dirty(struct link *l) {
    if (l->dirty)
        return;
    l->dirty = true;
    l->next_dirty = l->proxy->dirty;
    l->proxy->dirty = l;
}

// Sends what it can; broken connections are noticed here and handled when the link is next looked at. What
// the peer said before is still there to be read, but for OpenSSL, which forbids it.
static size_t side_send(struct side *s, const uint8_t *bytes, size_t len) {
    size_t sent = 0;
    while (sent < len && !s->broken) {
        ssize_t n = stream_write(&s->stream, bytes + sent, len - sent);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        s->write_wants_read = n == STREAM_WANT_READ;
        s->broken = n == STREAM_ERROR;
        s->eof |= s->broken && s->stream.ssl;
        break;
    }
    s->sent += sent;
    return sent;
}

static void side_flush(struct side *s) {
    if (!s->out.len)
        return;
    size_t sent = side_send(s, s->out.data, s->out.len);
    if (sent)
        buf_consume(&s->out, sent);
    if (s->broken)
        buf_reset(&s->out); // nobody will have it
    if (!s->out.len && s->out.cap > KEEP_BUFFER)
        buf_free(&s->out);
}

// While memory is short, who has more than its share is waited for.
static bool is_behind(const struct link *l, size_t waiting) {
    const struct engine *e = l->proxy->engine;
    size_t session = e->limits.max_session / 8;
    return waiting > l->settings->config->session_buffer || waiting > session || waiting > room_share(e);
}

bool link_is_backlogged(const struct link *l, const struct side *s) {
    return s->out.len > SMALL_BACKLOG && is_behind(l, s->out.len);
}

// It was waited for, and need not be any more: what it kept back goes on.
static bool has_caught_up(const struct link *l, struct side *s) {
    if (!s->behind || link_is_backlogged(l, s))
        return false;
    s->behind = false;
    return true;
}

static void side_put(struct link *l, struct side *s, const uint8_t *bytes, size_t len, bool more) {
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
    mark_dirty(l);
}

void link_to_client(struct link *l, const uint8_t *bytes, size_t len, bool more) {
    side_put(l, &l->client, bytes, len, more);
    if (l->session)
        l->session->backlogged = link_is_backlogged(l, &l->client);
}

void link_to_server(struct link *l, const uint8_t *bytes, size_t len, bool more) {
    if (!l->end_passed) // else the server has read the last of this client
        side_put(l, &l->server, bytes, len, more);
}

// ---- what is waited for

static bool wants_client(const struct link *l) {
    if (l->client.eof || !l->client.poll)
        return false;
    switch (l->state) {
    case LINK_START:
    case LINK_CLIENT_TLS:
    case LINK_CANCEL:
        return true;
    case LINK_LOGIN:
        return login_takes_client(l) && !link_is_backlogged(l, &l->server);
    case LINK_READY:
        // A client that does not read its answers is not asked for more questions, as PostgreSQL does it.
        return session_takes_client(l->session) && !link_is_backlogged(l, &l->server) &&
               !link_is_backlogged(l, &l->client);
    case LINK_LENDING: // what it sent before it left
        return session_takes_client(l->session) && !link_is_backlogged(l, &l->server);
    default:
        return false;
    }
}

// With room for what one more read and a batch may add to it.
static bool looks_on(const struct link *l) {
    const struct engine *e = l->proxy->engine;
    size_t waiting = l->client.out.len;
    size_t adds = (size_t)l->settings->config->max_answer + (size_t)2 * PROXY_READ_SIZE;
    return l->looks_on && waiting < room_share(e) && waiting < e->limits.max_session / 8 &&
           waiting + adds < l->client.out.limit;
}

static bool wants_server(const struct link *l) {
    if (l->server.eof || !l->server.poll)
        return false;
    switch (l->state) {
    case LINK_LOGIN:
        return !link_is_backlogged(l, &l->client);
    case LINK_READY:
        return !link_is_backlogged(l, &l->client) || session_server_is_lending(l->session) || looks_on(l);
    case LINK_LENDING:
        return true;
    default:
        return false;
    }
}

// `unsent`: bytes wait for the socket; those that wait for the end of the turn are sent there. A side that is
// waited for in neither direction still tells when it hangs up: epoll says that with any other event, and out
// of band data, of which there are none, are one that does not come.
static void side_wait(struct side *s, bool read, bool unsent, bool tells_end, uv_poll_cb callback) {
    int events = 0;
    if (!s->poll)
        return;
    unsent = unsent && !s->broken;
    if (read || (s->write_wants_read && unsent))
        events |= UV_READABLE;
    if ((unsent && !s->write_wants_read) || (read && s->read_wants_write))
        events |= UV_WRITABLE;
    if (!events && !s->broken)
        events = UV_PRIORITIZED;
    if (!read && !s->hung_up && !s->broken && tells_end)
        events |= UV_DISCONNECT;
    if (events == s->events)
        return;
    s->events = events;
    if (events)
        uv_poll_start(s->poll, events, callback);
    else
        uv_poll_stop(s->poll);
}

// Its buffers count against its session, or before there is one against all.
static void weigh(struct link *l) {
    struct account *memory = l->session ? &l->session->memory : &l->proxy->engine->memory;
    if (memory != l->memory)
        unweigh(l);
    l->memory = memory;
    account_set(memory, &l->weighs,
                sizeof *l + l->client.in.cap + l->client.out.cap + l->server.in.cap + l->server.out.cap +
                    TLS_BYTES * (unsigned)(!!l->client.stream.ssl + !!l->server.stream.ssl));
}

void link_update(struct link *l) {
    if (l->state == LINK_CLOSED)
        return;
    weigh(l);
    l->client.behind |= link_is_backlogged(l, &l->client);
    l->server.behind |= link_is_backlogged(l, &l->server);
    if (l->session)
        l->session->backlogged = link_is_backlogged(l, &l->client);
    bool ends = l->client.eof && !l->end_passed && l->server.poll && !l->server.out.len;
    side_wait(&l->client, wants_client(l), l->client.out.len && !l->dirty, l->pace.queued, on_client);
    side_wait(&l->server, wants_server(l), (l->server.out.len || (ends && l->end_waits)) && !l->dirty, true,
              on_server);
}

// ---- reading

static size_t take_from_client(struct link *l, const uint8_t *bytes, size_t len) {
    proxy_tell_time(l->proxy);
    switch (l->state) {
    case LINK_START:
    case LINK_LOGIN:
        return login_from_client(l, bytes, len);
    case LINK_READY:
    case LINK_LENDING:
        return session_from_client(l->session, bytes, len);
    case LINK_CONNECTING:
    case LINK_CLIENT_TLS:
        return 0;
    default:
        return len; // not wanted any more
    }
}

static size_t take_from_server(struct link *l, const uint8_t *bytes, size_t len) {
    proxy_tell_time(l->proxy);
    switch (l->state) {
    case LINK_LOGIN:
        return login_from_server(l, bytes, len);
    case LINK_READY:
    case LINK_LENDING:
        return l->session ? session_from_server(l->session, bytes, len) : len;
    default:
        return len;
    }
}

typedef size_t take_function(struct link *l, const uint8_t *bytes, size_t len);

// Looks at what was left over, again and again while something is taken and the state lets it.
static void feed_leftover(struct link *l, struct side *s, take_function *take) {
    while (s->in.len && l->state != LINK_CLOSED) {
        size_t taken = take(l, s->in.data, s->in.len);
        if (l->state == LINK_CLOSED)
            return;
        buf_consume(&s->in, taken);
        if (!taken)
            break;
    }
    if (!s->in.len && s->in.cap)
        buf_free(&s->in);
}

// What is read may have to be kept.
static size_t read_size(const struct link *l) {
    const struct engine *e = l->proxy->engine;
    size_t most = e->limits.max_session ? e->limits.max_session / 8 : PROXY_READ_SIZE, share = room_share(e);
    most = share < most ? share : most;
    return most < 4096 ? 4096 : most < PROXY_READ_SIZE ? most : PROXY_READ_SIZE;
}

// One read. Returns its count or STREAM_*.
static ssize_t read_once(struct link *l, struct side *s, take_function *take) {
    struct proxy *p = l->proxy;
    bool fresh = !s->in.len;
    size_t room = l->place.taken ? LOGIN_READ_SIZE : read_size(l);
    if (!fresh && !buf_reserve(&s->in, room))
        return STREAM_ERROR;
    uint8_t *to = fresh ? p->read_buffer : s->in.data + s->in.len;
    ssize_t n = stream_read(&s->stream, to, room);
    s->read_wants_write = n == STREAM_WANT_WRITE;
    if (n <= 0)
        return n;
    if (!fresh) {
        s->in.len += (size_t)n;
        feed_leftover(l, s, take);
        return n;
    }
    bool secret = s->in.secret;
    size_t taken = take(l, to, (size_t)n);
    if (l->state != LINK_CLOSED && taken < (size_t)n)
        buf_put(&s->in, to + taken, (size_t)n - taken);
    if (secret)
        explicit_bzero(to, (size_t)n);
    return s->in.failed ? STREAM_ERROR : n;
}

static void note_partial(struct link *l) {
    struct proxy *p = l->proxy;
    if (l->partial || !l->session || !l->session->partial_since)
        return;
    l->partial = true;
    l->next_partial = p->partial;
    p->partial = l;
}

// Reads while there may be more that poll cannot see (TLS), else once: the loop tells when there is more.
static void side_read(struct link *l, struct side *s, take_function *take,
                      bool (*wants)(const struct link *)) {
    ssize_t n;
    do {
        n = read_once(l, s, take);
    } while (n > 0 && l->state != LINK_CLOSED && wants(l) && stream_has_buffered(&s->stream));
    if (l->state == LINK_CLOSED)
        return;
    if (n > 0 && s == &l->client && l->session && session_is_pipelining(l->session))
        stream_acknowledge(&s->stream);
    if (n == STREAM_EOF || n == STREAM_ERROR) {
        s->eof = true;
        s->broken |= n == STREAM_ERROR;
        if (s == &l->client)
            link_note_end(l);
    }
    note_partial(l);
}

bool link_feed_leftover(struct link *l) {
    feed_leftover(l, &l->client, take_from_client);
    return l->state != LINK_CLOSED;
}

void link_feed_client(struct link *l) {
    feed_leftover(l, &l->client, take_from_client);
    // Decrypted bytes that came while the client was not read are not announced by poll.
    if (l->state != LINK_CLOSED && l->client.poll && wants_client(l) &&
        stream_has_buffered(&l->client.stream))
        side_read(l, &l->client, take_from_client, wants_client);
    if (l->state != LINK_CLOSED)
        note_partial(l);
    link_settle(l);
}

void link_feed_server(struct link *l) {
    feed_leftover(l, &l->server, take_from_server);
    if (l->state != LINK_CLOSED && l->server.poll && wants_server(l) &&
        stream_has_buffered(&l->server.stream))
        side_read(l, &l->server, take_from_server, wants_server);
    link_settle(l);
}

// libuv stops a handle whose socket is broken. Bytes that came before may still wait there, more than one
// read takes, and the error only comes behind them.
static int after_poll_error(struct side *s) {
    s->events = 0;
    s->broken = true;
    return UV_READABLE | UV_WRITABLE;
}

// Of a side that was waited for in neither direction.
static void note_hang_up(struct side *s) {
    struct pollfd p = {.fd = s->stream.fd};
    uint8_t urgent;
    if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
        s->broken = true;
    else if (recv(s->stream.fd, &urgent, 1, MSG_OOB) < 0) // of no meaning to anybody
        return;
}

static void client_is_ready(struct link *l, int events) {
    if (l->state == LINK_CLIENT_TLS) {
        login_client_tls(l);
        return;
    }
    if (events & UV_WRITABLE || l->client.write_wants_read) {
        l->client.behind |= link_is_backlogged(l, &l->client);
        side_flush(&l->client);
        bool drained = has_caught_up(l, &l->client);
        if (drained && l->server.poll && l->state != LINK_CLOSED)
            link_feed_server(l);
        if (drained && l->state == LINK_READY)
            link_feed_client(l);
        if (l->state == LINK_CLOSED)
            return;
    }
    if (l->state == LINK_START && !l->client.in.len && login_direct_tls(l))
        return;
    if (wants_client(l) && (events & UV_READABLE || l->client.read_wants_write))
        side_read(l, &l->client, take_from_client, wants_client);
    link_settle(l);
}

void link_client_is_due(struct link *l) {
    client_is_ready(l, UV_READABLE | UV_WRITABLE);
}

static void on_client(uv_poll_t *poll, int status, int events) {
    struct link *l = poll->data;
    struct proxy *p = l->proxy;
    enum gate_kind kind = l->state == LINK_CLIENT_TLS ? GATE_TLS : GATE_ANY;
    if (status < 0)
        events = after_poll_error(&l->client);
    if (events & UV_PRIORITIZED)
        note_hang_up(&l->client);
    if (events & UV_DISCONNECT && l->pace.queued) // whom the server need not even be asked for
        link_close(l);
    else if (!l->place.taken) {
        gate_session_works(&p->gate, uv_now(p->loop));
        client_is_ready(l, events);
    } else if (!gate_may_work(p, kind)) {
        l->client.events = 0;
        uv_poll_stop(poll);
        gate_defer(l, kind);
    } else {
        uint64_t begun = gate_begins();
        client_is_ready(l, events);
        gate_worked(p, kind, begun);
    }
}

static void server_is_ready(struct link *l, int events) {
    if (events & UV_WRITABLE || l->server.write_wants_read) {
        l->server.behind |= link_is_backlogged(l, &l->server);
        side_flush(&l->server);
        if (has_caught_up(l, &l->server))
            link_feed_client(l);
        if (l->state == LINK_CLOSED)
            return;
    }
    if (wants_server(l) && (events & UV_READABLE || l->server.read_wants_write))
        side_read(l, &l->server, take_from_server, wants_server);
    link_settle(l);
}

static void on_server(uv_poll_t *poll, int status, int events) {
    struct link *l = poll->data;
    struct proxy *p = l->proxy;
    if (status < 0)
        events = after_poll_error(&l->server);
    if (events & (UV_PRIORITIZED | UV_DISCONNECT))
        note_hang_up(&l->server);
    if (events & UV_DISCONNECT && !l->server.hung_up) { // behind what has not been read yet
        l->server.hung_up = true;
        l->since = proxy_now();
    }
    if (!l->place.taken) {
        gate_session_works(&p->gate, uv_now(p->loop));
        server_is_ready(l, events);
    } else {
        uint64_t begun = gate_begins();
        server_is_ready(l, events);
        gate_worked(p, GATE_ANY, begun);
    }
}

// ---- the end of a turn

void link_flush_dirty(struct proxy *p) {
    while (p->dirty) {
        struct link *l = p->dirty;
        p->dirty = l->next_dirty;
        l->dirty = false;
        side_flush(&l->client);
        side_flush(&l->server);
        bool caught_up = has_caught_up(l, &l->client);
        if (caught_up && l->server.poll)
            link_feed_server(l);
        caught_up |= has_caught_up(l, &l->server);
        if (l->state == LINK_CLOSED)
            continue;
        if (l->resume || caught_up) {
            l->resume = false;
            link_feed_client(l);
        } else {
            link_settle(l);
        }
    }
}

void link_check_partial(struct proxy *p) {
    struct link *l = p->partial;
    p->partial = NULL;
    while (l) {
        struct link *next = l->next_partial;
        l->partial = false;
        proxy_tell_time(p);
        if (l->session && session_partial_expired(l->session, p->engine->now))
            link_feed_client(l);
        else
            note_partial(l);
        l = next;
    }
}
