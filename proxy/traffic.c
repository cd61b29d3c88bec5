// SPDX-License-Identifier: PostgreSQL
//
// Bytes of a side are read into one buffer of the whole proxy and looked at there. Only what is left over
// (the first part of a message) is copied into a buffer of the side, which an idle side does not have.
#include "proxy/traffic.h"

#include <string.h>

#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/session_state.h"
#include "batching/talk/life.h"
#include "proxy/ending.h"

#define LOGIN_READ_SIZE 1024 // a log-in is small; of what strangers send, little is held

// ---- reading

// How much is read at once. All of it may have to be kept.
static size_t read_size(const struct link *l) {
    const struct engine *e = l->proxy->engine;
    size_t session = engine_max_session(e), share = room_share(e);
    size_t most = session ? session / 8 : PROXY_READ_SIZE;
    most = share < most ? share : most;
    return most < 4096 ? 4096 : most < PROXY_READ_SIZE ? most : PROXY_READ_SIZE;
}

// Reads once. Returns the count of bytes or STREAM_*.
static ssize_t read_once(struct link *l, struct side *s) {
    bool fresh = !s->in.len;
    size_t room = l->place.taken ? LOGIN_READ_SIZE : read_size(l);
    if (!fresh && !buf_reserve(&s->in, room))
        return STREAM_ERROR;
    uint8_t *to = fresh ? l->proxy->read_buffer : s->in.data + s->in.len;
    ssize_t n = stream_read(&s->stream, to, room);
    s->read_wants_write = n == STREAM_WANT_WRITE;
    if (n <= 0)
        return n;
    if (!fresh) {
        s->in.len += (size_t)n;
        link_offer_leftover(l, s);
        return n;
    }
    bool secret = s->in.secret;
    size_t taken = link_offer(l, s, to, (size_t)n);
    if (l->state != LINK_CLOSED && taken < (size_t)n)
        buf_put(&s->in, to + taken, (size_t)n - taken);
    if (secret)
        explicit_bzero(to, (size_t)n);
    return s->in.failed ? STREAM_ERROR : n;
}

static void note_partial(struct link *l) {
    struct proxy *p = l->proxy;
    if (l->partial || !l->session || !session_has_partial_unit(l->session))
        return;
    l->partial = true;
    l->next_partial = p->partial;
    p->partial = l;
}

// Reads once: the loop tells when there is more. Only bytes that TLS has decrypted already are read on, since
// poll cannot see them.
static void read_side(struct link *l, struct side *s) {
    ssize_t n;
    do {
        n = read_once(l, s);
    } while (n > 0 && l->state != LINK_CLOSED && link_wants(l, s) && stream_has_buffered(&s->stream));
    if (l->state == LINK_CLOSED)
        return;
    if (n > 0 && s == &l->client && l->session && session_is_pipelining(l->session))
        stream_acknowledge(&s->stream);
    if (n == STREAM_EOF || n == STREAM_ERROR) {
        s->eof = true;
        s->broken |= n == STREAM_ERROR;
        if (s == &l->client)
            ending_client_ends(l);
    }
    note_partial(l);
}

// Bytes that TLS decrypted while the side was not read are not announced by poll.
static void feed(struct link *l, struct side *s) {
    link_offer_leftover(l, s);
    if (l->state != LINK_CLOSED && link_wants(l, s) && stream_has_buffered(&s->stream))
        read_side(l, s);
}

void traffic_feed_client(struct link *l) {
    feed(l, &l->client);
    if (l->state != LINK_CLOSED)
        note_partial(l);
    ending_settle(l);
}

void traffic_feed_server(struct link *l) {
    feed(l, &l->server);
    ending_settle(l);
}

// ---- events

static void client_is_ready(struct link *l, int events) {
    const struct link_stage *stage = l->stage;
    if (stage->client_is_ready_early && stage->client_is_ready_early(l))
        return;
    if (events & UV_WRITABLE || l->client.write_wants_read) {
        l->client.behind |= link_is_backlogged(l, &l->client);
        side_flush(&l->client);
        bool drained = link_has_caught_up(l, &l->client);
        if (drained && l->server.poll && l->state != LINK_CLOSED)
            traffic_feed_server(l);
        if (drained && (l->state == LINK_READY || l->state == LINK_CONSOLE))
            traffic_feed_client(l);
        if (l->state == LINK_CLOSED)
            return;
    }
    stage = l->stage; // feeding may have ended the log-in
    if (stage->client_is_ready_late && stage->client_is_ready_late(l))
        return;
    if (link_wants(l, &l->client) && (events & UV_READABLE || l->client.read_wants_write))
        read_side(l, &l->client);
    ending_settle(l);
}

void traffic_client_is_due(struct link *l) {
    client_is_ready(l, UV_READABLE | UV_WRITABLE);
}

void traffic_on_client(uv_poll_t *poll, int status, int events) {
    struct link *l = poll->data;
    struct proxy *p = l->proxy;
    enum gate_kind kind = l->state == LINK_CLIENT_TLS ? GATE_TLS : GATE_ANY;
    if (status < 0)
        events = side_note_error(&l->client);
    if (events & UV_PRIORITIZED)
        side_note_hang_up(&l->client);
    if (events & UV_DISCONNECT && l->pace.queued) // the server need not even be asked for it
        link_close(l);
    else if (!l->place.taken) {
        gate_session_works(p->gate, uv_now(p->loop));
        client_is_ready(l, events);
    } else if (!gate_may_work(p->gate, kind)) {
        l->client.events = 0;
        uv_poll_stop(poll);
        gate_defer(p->gate, &l->place, kind);
    } else {
        uint64_t begun = gate_begins();
        client_is_ready(l, events);
        gate_worked(p->gate, kind, begun);
    }
}

static void server_is_ready(struct link *l, int events) {
    if (events & UV_WRITABLE || l->server.write_wants_read) {
        l->server.behind |= link_is_backlogged(l, &l->server);
        side_flush(&l->server);
        if (link_has_caught_up(l, &l->server))
            traffic_feed_client(l);
        if (l->state == LINK_CLOSED)
            return;
    }
    if (link_wants(l, &l->server) && (events & UV_READABLE || l->server.read_wants_write))
        read_side(l, &l->server);
    ending_settle(l);
}

void traffic_on_server(uv_poll_t *poll, int status, int events) {
    struct link *l = poll->data;
    struct proxy *p = l->proxy;
    if (status < 0)
        events = side_note_error(&l->server);
    if (events & (UV_PRIORITIZED | UV_DISCONNECT))
        side_note_hang_up(&l->server);
    if (events & UV_DISCONNECT && !l->server.hung_up) { // behind what has not been read yet
        l->server.hung_up = true;
        l->since = proxy_now();
    }
    if (!l->place.taken) {
        gate_session_works(p->gate, uv_now(p->loop));
        server_is_ready(l, events);
    } else {
        uint64_t begun = gate_begins();
        server_is_ready(l, events);
        gate_worked(p->gate, GATE_ANY, begun);
    }
}

// ---- the end of a turn

void traffic_flush_dirty(struct proxy *p) {
    while (p->dirty) {
        struct link *l = p->dirty;
        p->dirty = l->next_dirty;
        l->dirty = false;
        side_flush(&l->client);
        side_flush(&l->server);
        bool caught_up = link_has_caught_up(l, &l->client);
        if (caught_up && l->server.poll)
            traffic_feed_server(l);
        caught_up |= link_has_caught_up(l, &l->server);
        if (l->state == LINK_CLOSED)
            continue;
        if (l->resume || caught_up) {
            l->resume = false;
            traffic_feed_client(l);
        } else {
            ending_settle(l);
        }
    }
}

void traffic_check_partial(struct proxy *p) {
    struct link *l = p->partial;
    p->partial = NULL;
    while (l) {
        struct link *next = l->next_partial;
        l->partial = false;
        if (l->session && session_partial_expired(l->session, proxy_now()))
            traffic_feed_client(l);
        else
            note_partial(l);
        l = next;
    }
}
