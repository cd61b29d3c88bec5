// SPDX-License-Identifier: PostgreSQL
//
// How a link ends.
//
// A client's end is a byte of its stream: it is passed on in its place, behind all that came before it, and
// the server does what it does for a client of its own, in COPY, in the middle of a message, in a
// transaction. A client that has closed its sending side alone may still read what it asked for, so the link
// lasts until the server closes.
//
// A client that hung up reads nothing any more either. What it said before still goes to the server; what its
// connection runs for others is waited for. (A TCP socket cannot tell one from the other until something is
// sent to it; hence the keepalive.)
//
// Each wait for a peer that is to close, or to take its last bytes, has a bound.
#include "proxy/link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "batching/session/session.h"
#include "batching/session/settle.h"
#include "batching/talk/life.h"

#define SECOND      1000000       // microseconds
#define LAST_WORDS  (15 * SECOND) // a client that takes nothing of what is left for it
#define REFUSAL     (5 * SECOND)  // one that was not logged in
#define CLOSING_END (5 * 60 * SECOND)
#define SERVER_END  (5 * SECOND) // a server that does not close for a client that has gone
#define DRAIN_END   (5 * SECOND) // either, while pgfold stops
#define PROBE_AFTER 10           // seconds; the same between two probes

// ---- the client's end

// A peer that has closed altogether forgets the socket after a while, and says so when it is asked.
static void probe(const struct side *s) {
    int on = 1, after = PROBE_AFTER, count = 3;
    setsockopt(s->stream.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(s->stream.fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after); // a Unix socket has none
    setsockopt(s->stream.fd, IPPROTO_TCP, TCP_KEEPINTVL, &after, sizeof after);
    setsockopt(s->stream.fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

void link_note_end(struct link *l) {
    l->since = proxy_now();
    l->aborted |= l->client.broken;
    if (!l->client.broken)
        probe(&l->client);
}

// Units that wait for their rest go out now. False: the link has been closed.
static bool tell_session(struct link *l) {
    proxy_tell_time(l->proxy);
    if (l->session->ending)
        return true;
    session_client_ends(l->session);
    return link_feed_leftover(l);
}

static bool end_is_due(struct link *l) {
    if (l->state == LINK_LOGIN)
        return login_end_is_due(l);
    return tell_session(l) && !l->session->failed && session_end_is_due(l->session);
}

// What is left over is the beginning of a message.
static void pass_rest(struct link *l) {
    link_to_server(l, l->client.in.data, l->client.in.len, false);
    buf_free(&l->client.in);
}

// The client will send no more. True: the server knows.
static bool pass_end(struct link *l) {
    if (l->end_passed)
        return true;
    if (!end_is_due(l))
        return false;
    if (l->client.in.len)
        pass_rest(l);
    if (l->server.out.len)
        return false;
    int r = stream_finish(&l->server.stream);
    l->end_waits = r == STREAM_WANT_READ || r == STREAM_WANT_WRITE;
    l->end_passed = !l->end_waits;
    l->since = proxy_now();
    return l->end_passed;
}

// ---- what becomes of the link

static void settle_lending(struct link *l) {
    if (l->server.eof || l->session->failed) {
        link_close(l);
        return;
    }
    if (l->client.eof && l->client.poll)
        side_close(&l->client);
    bool passed = l->client.eof && pass_end(l), patient = l->session->goodbye && !l->aborted;
    // After a Terminate the server is left the time to do what came before it.
    if (!passed || patient || session_is_lending(l->session)) {
        link_update(l);
        return;
    }
    if (l->session->owed.n)
        stream_abort(&l->server.stream); // its next answer cannot be given: nothing behind it is run
    link_close(l);
}

static void client_hung_up(struct link *l) {
    if (!l->session) {
        link_close(l);
        return;
    }
    // The server would have found out when it answered these, and have run nothing behind them.
    bool unanswered = l->session->order.n;
    proxy_tell_time(l->proxy);
    session_client_gone(l->session);
    l->state = LINK_LENDING;
    l->since = proxy_now();
    l->aborted |= !l->client.eof;
    buf_free(&l->client.out);
    if (unanswered) {
        buf_free(&l->client.in);
        l->client.eof = true;
    }
    if (link_feed_leftover(l))
        settle_lending(l);
}

// The client gets what the server has said, then the end.
static void server_ended(struct link *l) {
    proxy_tell_time(l->proxy);
    if (l->session)
        session_server_gone(l->session);
    link_close_when_sent(l);
}

static void settle_open(struct link *l) {
    if (l->server.eof)
        server_ended(l);
    else if (l->session && l->session->failed)
        link_close_when_sent(l);
    else if (l->client.broken)
        client_hung_up(l);
    else if (!l->client.eof || pass_end(l) || l->state != LINK_CLOSED)
        link_update(l);
}

// Broken connections are noticed while writing, where nothing may be closed; here is where it happens.
void link_settle(struct link *l) {
    bool gone = l->client.eof || l->client.broken;
    switch (l->state) {
    case LINK_START:
    case LINK_CLIENT_TLS:
    case LINK_CONNECTING:
    case LINK_CANCEL:
        gone ? link_close(l) : link_update(l);
        break;
    case LINK_LOGIN:
    case LINK_READY:
        settle_open(l);
        break;
    case LINK_CLOSING:
        !l->client.out.len || l->client.broken ? link_close(l) : link_update(l);
        break;
    case LINK_LENDING:
        settle_lending(l);
        break;
    case LINK_CLOSED:
        break;
    }
}

// ---- bounds

// It can only go on when its client takes something. That may last, unless the server has closed behind what
// the client does not take.
static bool is_abandoned(const struct link *l) {
    return l->state == LINK_READY && l->server.hung_up && !l->server.eof;
}

// The end waits for something that still happens.
static bool goes_on(const struct link *l) {
    const struct session *s = l->session;
    if (l->state == LINK_LENDING)
        return session_is_wanted(s) || l->server.sent != l->seen;
    if (l->state == LINK_CLOSING || is_abandoned(l))
        return l->client.sent != l->seen;
    // Of a client that has said its last word and has all its answers nothing is left but the server's end.
    return s->owed.n || s->order.n || s->in_unit || s->copying || s->opaque;
}

static bool is_leaving(const struct link *l) {
    return l->state == LINK_LENDING || l->state == LINK_CLOSING || is_abandoned(l) ||
           (l->state == LINK_READY && l->end_passed);
}

// A server that is not read from, since its client takes nothing, cannot tell that it has gone.
static void probe_unread(struct link *l) {
    if (l->probed || l->state != LINK_READY || !link_is_backlogged(l, &l->client))
        return;
    l->probed = true;
    probe(&l->server);
}

// Where the server's last bytes do not fit into the socket's buffer its end cannot be seen behind them: when
// the client has taken nothing for a while, the server is read on from, as far as there is room.
static void look_on(struct link *l, uint64_t now) {
    uint64_t bound = l->proxy->draining ? DRAIN_END : LAST_WORDS;
    bool stuck = l->state == LINK_READY && l->client.sent == l->stuck_at &&
                 (l->looks_on || link_is_backlogged(l, &l->client));
    if (!stuck) {
        l->stuck_since = now;
        l->stuck_at = l->client.sent;
    }
    bool looks_on = now > l->stuck_since + bound;
    if (looks_on == l->looks_on)
        return;
    l->looks_on = looks_on;
    link_update(l);
}

void link_expire(struct link *l, uint64_t now) {
    probe_unread(l);
    look_on(l, now);
    if (!is_leaving(l))
        return;
    bool reads = l->state == LINK_CLOSING || is_abandoned(l);
    if (goes_on(l)) {
        l->since = now;
        l->seen = reads ? l->client.sent : l->server.sent;
    }
    uint64_t words = l->proxy->draining ? DRAIN_END : LAST_WORDS;
    uint64_t bound = l->place.taken ? REFUSAL : reads ? words : SERVER_END;
    bool endless = l->state == LINK_CLOSING && now > l->closing + (l->place.taken ? REFUSAL : CLOSING_END);
    if (now > l->since + bound || endless)
        link_close(l);
}

// What a live client is in the middle of.
static bool is_at_work(const struct link *l) {
    const struct session *s = l->session;
    return s->owed.n || s->order.n || s->in_unit || s->txn != 'I' || l->client.out.len ||
           l->server.out.len || s->opaque;
}

bool link_is_busy(const struct link *l, uint64_t drained_for) {
    bool bounded = drained_for < DRAIN_END;
    switch (l->state) {
    case LINK_READY:
        return is_at_work(l) && (!l->client.eof || bounded);
    case LINK_LENDING:
        return session_is_wanted(l->session) || bounded;
    case LINK_CLOSING:
        return bounded;
    case LINK_CANCEL: // has a bound of its own
        return true;
    default:
        return false;
    }
}
