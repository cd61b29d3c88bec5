// SPDX-License-Identifier: PostgreSQL
#include "proxy/ending.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include "batching/session/settle.h"
#include "batching/talk/life.h"

#include "batching/session/session_state.h"

#define SECOND      1000000       // microseconds
#define LAST_WORDS  (15 * SECOND) // for a client that takes nothing of what is left for it
#define REFUSAL     (5 * SECOND)  // for one that was not logged in
#define CLOSING_END (5 * 60 * SECOND)
#define SERVER_END  (5 * SECOND) // for a server that does not close, though its client has gone
#define DRAIN_END   (5 * SECOND) // for either, while pgfold stops
#define PROBE_AFTER 10           // seconds until the first probe, and between two

// ---- the client's end

// Asks by TCP keepalive. A peer that has closed altogether forgets the socket after a while, and then says
// so.
static void probe(const struct side *s) {
    int on = 1, after = PROBE_AFTER, count = 3;
    setsockopt(s->stream.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(s->stream.fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after); // a Unix socket has none
    setsockopt(s->stream.fd, IPPROTO_TCP, TCP_KEEPINTVL, &after, sizeof after);
    setsockopt(s->stream.fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

void ending_client_ends(struct link *l) {
    l->since = proxy_now();
    l->aborted |= l->client.broken;
    if (!l->client.broken)
        probe(&l->client);
}

// The bytes that are left over are the beginning of a message.
static void pass_rest(struct link *l) {
    link_to_server(l, l->client.in.data, l->client.in.len, false);
    buf_free(&l->client.in);
}

// The client will send no more: tells the server, if it may be told now. True: the server knows.
static bool pass_end(struct link *l) {
    if (l->end_passed)
        return true;
    if (!l->stage->end_is_due(l))
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

// The client has gone while the server was at the last write of its, and only the answer tells when others
// see it. Where more was sent, the server must not run what is behind its next answer, so it is not waited for.
static bool awaits_write(const struct link *l) {
    return session_is_writing(l->session) && !l->server.out.len && session_replies(l->session) == l->replies;
}

static void settle_lending(struct link *l) {
    if (l->server.eof || session_has_failed(l->session)) {
        link_close(l);
        return;
    }
    if (l->client.eof && l->client.poll)
        side_close(&l->client);
    bool passed = l->client.eof && pass_end(l), patient = session_has_said_goodbye(l->session) && !l->aborted;
    // After a Terminate the server gets the time to do what came before it.
    if (!passed || patient || session_is_lending(l->session) || awaits_write(l)) {
        link_update(l);
        return;
    }
    if (session_server_owes(l->session))
        stream_abort(
            &l->server.stream); // as when a client crashes: the server runs nothing behind its next answer
    link_close(l);
}

static void client_hung_up(struct link *l) {
    if (!l->session) {
        link_close(l);
        return;
    }
    // Without pgfold the server would have failed to answer these, and would have run nothing behind them.
    bool unanswered = session_owes_client(l->session);
    l->replies = session_replies(l->session);
    session_client_gone(l->session, proxy_now());
    link_set_state(l, LINK_LENDING);
    l->since = l->closing = proxy_now();
    l->aborted |= !l->client.eof;
    buf_free(&l->client.out);
    if (unanswered) {
        buf_free(&l->client.in);
        l->client.eof = true;
    }
    link_offer_leftover(l, &l->client);
    if (l->state != LINK_CLOSED)
        settle_lending(l);
}

// The client gets what the server has said, then its connection is closed.
static void server_ended(struct link *l) {
    if (l->session)
        session_server_gone(l->session, proxy_now());
    link_close_when_sent(l);
}

static void settle_open(struct link *l) {
    if (l->server.eof)
        server_ended(l);
    else if (l->session && session_has_failed(l->session))
        link_close_when_sent(l);
    else if (l->client.broken)
        client_hung_up(l);
    else if (!l->client.eof || pass_end(l) || l->state != LINK_CLOSED)
        link_update(l);
}

// Broken connections are noticed while writing, where nothing may be closed. They are dealt with here.
void ending_settle(struct link *l) {
    bool gone = l->client.eof || l->client.broken;
    switch (l->state) {
    case LINK_START:
    case LINK_CLIENT_TLS:
    case LINK_CONNECTING:
    case LINK_CANCEL:
    case LINK_CONSOLE:
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

// The server has closed, behind bytes that the client does not take.
static bool is_abandoned(const struct link *l) {
    return l->state == LINK_READY && l->server.hung_up && !l->server.eof;
}

// What the end waits for is still going on.
static bool goes_on(const struct link *l, uint64_t now) {
    const struct session *s = l->session;
    if (l->state == LINK_LENDING)
        return session_is_wanted(s) || l->server.sent != l->seen ||
               (awaits_write(l) && now < l->closing + CLOSING_END);
    if (l->state == LINK_CLOSING || is_abandoned(l))
        return l->client.sent != l->seen;
    // When the client has said its last word and has all its answers, only the server's end is missing.
    return !session_is_idle(s) || session_is_copying(s);
}

static bool is_leaving(const struct link *l) {
    return l->state == LINK_LENDING || l->state == LINK_CLOSING || is_abandoned(l) ||
           (l->state == LINK_READY && l->end_passed);
}

// While a server is not read, since its client takes nothing, it cannot be seen that it has gone. So it is
// asked.
static void probe_unread(struct link *l) {
    if (l->probed || l->state != LINK_READY || !link_is_backlogged(l, &l->client))
        return;
    l->probed = true;
    probe(&l->server);
}

// When the server's last bytes do not fit into the socket's buffer, its end cannot be seen behind them. So
// when the client has taken nothing for a while, more is read from the server, as far as there is room.
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

void ending_expire(struct link *l, uint64_t now) {
    probe_unread(l);
    look_on(l, now);
    if (!is_leaving(l))
        return;
    bool reads = l->state == LINK_CLOSING || is_abandoned(l);
    if (goes_on(l, now)) {
        l->since = now;
        l->seen = reads ? l->client.sent : l->server.sent;
    }
    uint64_t words = l->proxy->draining ? DRAIN_END : LAST_WORDS;
    uint64_t bound = l->place.taken ? REFUSAL : reads ? words : SERVER_END;
    bool endless = l->state == LINK_CLOSING && now > l->closing + (l->place.taken ? REFUSAL : CLOSING_END);
    if (now > l->since + bound || endless)
        link_close(l);
}

// The client is in the middle of something.
static bool is_at_work(const struct link *l) {
    const struct session *s = l->session;
    return !session_is_idle(s) || session_is_in_transaction(s) || l->client.out.len || l->server.out.len;
}

bool ending_is_busy(const struct link *l, uint64_t drained_for) {
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
