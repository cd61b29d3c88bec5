// SPDX-License-Identifier: PostgreSQL
#include "proxy/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "batching/watch/control.h"
#include "protocol/frame.h"
#include "protocol/message.h"
#include "proxy/cancel.h"
#include "proxy/cancel_key.h"
#include "proxy/connector.h"
#include "proxy/console.h"
#include "proxy/console_login.h"
#include "proxy/login_server.h"
#include "proxy/traffic.h"

static void login_start(struct link *l) {
    l->login = calloc(1, sizeof *l->login);
    if (!l->login)
        return; // noticed at the first packet
    l->login->packet = buf_make(l->settings->config->max_startup_packet + 4);
    l->login->held = buf_make((size_t)1 << 20);
    l->login->instead = buf_make(l->settings->config->max_startup_packet + 1024);
    l->login->packet.secret = l->login->held.secret = true;
}

static void login_free(struct link *l) {
    if (!l->login)
        return;
    buf_free(&l->login->packet);
    buf_free(&l->login->held);
    buf_free(&l->login->instead);
    free(l->login->skip);
    free(l->login);
    l->login = NULL;
}

// ---- TLS to the client

// With direct TLS the client must negotiate ALPN: otherwise it may speak something else than PostgreSQL's
// protocol.
static bool alpn_is_missing(const struct link *l) {
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(l->client.stream.ssl, &name, &len);
    return l->login->tls_direct && (len != 10 || memcmp(name, "postgresql", 10) != 0);
}

// OpenSSL needs forty times the memory that the connection has cost so far, so it starts with the first
// record.
static bool has_begun(struct link *l) {
    if (l->client.stream.ssl)
        return true;
    if (!stream_hello_is_here(&l->client.stream))
        link_update(l);
    else if (stream_start_tls(&l->client.stream, l->settings->client_tls, true, NULL) != 0)
        link_close(l);
    return l->client.stream.ssl != NULL;
}

static void go_on_with_tls(struct link *l) {
    if (!has_begun(l))
        return;
    int r = l->client.stream.ops->handshake(&l->client.stream);
    l->client.read_wants_write = r == STREAM_WANT_WRITE;
    if (r == STREAM_ERROR || (r == 1 && alpn_is_missing(l))) {
        char why[256] = "the client negotiated TLS directly without ALPN \"postgresql\"";
        if (r == STREAM_ERROR)
            stream_error(&l->client.stream, why, sizeof why);
        log_limited(&l->proxy->log, NULL, LOG_LEVEL_WARNING, l->id,
                    "TLS handshake with the client failed: %s", why);
        link_close(l);
        return;
    }
    if (r == 1)
        link_set_state(l, LINK_START);
    link_update(l);
}

static void start_client_tls(struct link *l) {
    link_set_state(l, LINK_CLIENT_TLS);
    go_on_with_tls(l);
}

// A TLS handshake starts with the byte 22. No start-up packet of a sane length does.
static bool begins_with_tls(struct link *l) {
    uint8_t first;
    if (l->client.stream.ssl || !l->login || l->login->packet.len || l->login->tls_direct)
        return false;
    if (recv(l->client.stream.fd, &first, 1, MSG_PEEK) != 1 || first != 22)
        return false;
    if (!l->settings->client_tls) {
        log_limited(
            &l->proxy->log, NULL, LOG_LEVEL_WARNING, l->id,
            "client negotiates TLS directly, but client_tls is disable: set client_tls, client_tls_cert "
            "and client_tls_key");
        link_close(l);
        return true;
    }
    l->login->tls_direct = true;
    start_client_tls(l);
    return true;
}

static size_t answer_ssl_request(struct link *l, size_t taken, size_t len) {
    bool accept = l->settings->client_tls && !l->client.stream.ssl;
    // Bytes behind the request were sent before encryption: somebody on the way may have put them there
    // (CVE-2021-23214).
    if (accept && taken < len) {
        log_limited(&l->proxy->log, NULL, LOG_LEVEL_WARNING, l->id,
                    "received unencrypted data after SSL request");
        link_close(l);
        return len;
    }
    link_to_client(l, (const uint8_t *)(accept ? "S" : "N"), 1, false);
    l->login->asked_gss |= accept; // inside TLS it may not be asked for any more
    if (accept)
        start_client_tls(l);
    return taken;
}

// ---- start-up packets

void login_connect(struct link *l) {
    login_server_connect(l, 0);
}

static void await_turn(struct link *l) {
    struct slice user = {NULL, 0};
    startup_param(&l->login->startup, "user", &user);
    switch (pace_begins(l->proxy->pace, &l->pace, l->client.stream.fd, user.data, user.len)) {
    case PACE_GO:
        login_connect(l);
        break;
    case PACE_WAIT:
        link_set_state(l, LINK_CONNECTING);
        link_update(l);
        break;
    case PACE_REFUSE:
        link_refuse(l, "53300", "too many log-ins that fail are waiting for the server",
                    "Connect again in a moment. If those are your own clients', see why they fail.");
        break;
    case PACE_FULL:
        link_refuse(
            l, "53300", "too many log-ins are waiting for the server",
            "Connect again in a moment. Raise max_logins in pgfold's configuration if the server takes "
            "long to log clients in.");
        break;
    }
}

// The console takes no place among max_clients: it is wanted when there is none. The server says who the user
// is, unless it is pgfold's own.
static void begin_console(struct link *l) {
    struct buf b = buf_make(65536);
    if (console_is_own_user(l)) {
        console_start(l, &l->login->startup);
        if (l->state == LINK_CONSOLE)
            login_free(l);
        return;
    }
    console_negotiate(&l->login->startup, &b);
    link_to_client(l, b.data, b.len, true);
    buf_free(&b);
    l->login->console = true;
    console_write_startup(l, &l->login->startup, &l->login->instead);
    await_turn(l);
}

static bool keep_packet(struct link *l, const struct frame *f, const uint8_t *bytes) {
    struct frame own;
    buf_put(&l->login->packet, bytes, f->size);
    if (frame_startup(l->login->packet.data, l->login->packet.len, f->size, &own) != FRAME_OK)
        return false;
    l->login->startup = startup_read(&own);
    return true;
}

// A setting of pgfold's own that would do nothing. False: there is none.
static bool refuse_setting(struct link *l) {
    char name[64], text[128];
    if (!control_bad_start(l->login->startup.params, name, sizeof name))
        return false;
    bool known = strcasecmp(name, "pgfold.expect") == 0 || strcasecmp(name, "pgfold.counts") == 0;
    snprintf(text, sizeof text,
             known ? "parameter \"%s\" cannot be set at the beginning of a connection"
                   : "unrecognized configuration parameter \"%s\"",
             name);
    link_refuse(l, known ? "55P02" : "42704", text,
                known ? "Say SET pgfold.expect = 'loops=0' where a test begins. A connection can begin with "
                        "pgfold.scope and pgfold.tags."
                      : "A connection can begin with pgfold.scope and pgfold.tags.");
    return true;
}

static void begin_session(struct link *l, const struct frame *f, const uint8_t *bytes) {
    const struct config *c = l->settings->config;
    struct proxy *p = l->proxy;
    if (c->client_tls == CLIENT_TLS_REQUIRE && !l->client.stream.ssl)
        return link_refuse(l, "28000", "pgfold accepts only connections with TLS (client_tls = require)",
                           "Set sslmode=require in the client's connection string.");
    if (p->draining)
        return link_refuse(l, "57P03", "pgfold is shutting down", "Connect again when it is back.");
    if (!keep_packet(l, f, bytes))
        return link_refuse(l, "53200", "out of memory", NULL);
    if (console_is_asked_for(&l->login->startup))
        return begin_console(l);
    if (refuse_setting(l))
        return;
    if (p->n_sessions >= (unsigned)p->settings->config->max_clients)
        return login_refuse_for_clients(l);
    if (gate_is_short(p->gate, l->client.stream.fd, GATE_LOGIN))
        return login_refuse_for_descriptors(l);
    l->login->replication = startup_is_replication(&l->login->startup);
    await_turn(l);
}

// Bytes that cannot be a packet of PostgreSQL's get no answer: it is logged, and the connection is closed. So
// does PostgreSQL (ProcessStartupPacket).
static void close_on_packet(struct link *l, const char *why) {
    log_limited(&l->proxy->log, NULL, LOG_LEVEL_INFO, l->id, "client closed without an answer: %s", why);
    link_close(l);
}

static void refuse_packet(struct link *l, const struct startup *s) {
    char text[128];
    if (s->silent) {
        close_on_packet(l, "invalid length of startup packet"); // of a cancel request
    } else if (s->version >> 16 != 3) {
        snprintf(text, sizeof text, "unsupported frontend protocol %u.%u: pgfold supports 3.0 to 3.2",
                 s->version >> 16, s->version & 0xffff);
        link_refuse(l, "0A000", text, NULL);
    } else {
        link_refuse(l, "08P01", "invalid startup packet layout: expected terminator as last byte", NULL);
    }
}

// A start-up packet that came in one piece with a request for encryption was sent before the answer was
// known. It is refused, as PostgreSQL does it. A second request is answered as if it had come later.
static void refuse_unencrypted(struct link *l) {
    char text[128];
    snprintf(text, sizeof text, "received unencrypted data after %s request", l->login->ahead_of);
    link_refuse(l, "08P01", text,
                "This could be either a client-software bug or evidence of an attempted man-in-the-middle "
                "attack.");
}

// Each way of encryption may be asked for once.
static struct startup read_request(struct link *l, const struct frame *f) {
    struct startup s = startup_read(f);
    if (s.kind != STARTUP_SSL && s.kind != STARTUP_GSS)
        return s;
    bool *asked = s.kind == STARTUP_SSL ? &l->login->asked_tls : &l->login->asked_gss;
    if (*asked)
        return (struct startup){.kind = STARTUP_BAD, .version = get_u32(f->body)};
    *asked = true;
    return s;
}

static size_t take_packet(struct link *l, const struct frame *f, const uint8_t *bytes, size_t len) {
    struct startup s = read_request(l, f);
    bool asks = s.kind == STARTUP_SSL || s.kind == STARTUP_GSS;
    if (l->login->ahead_of && !asks) {
        refuse_unencrypted(l);
        return len;
    }
    l->login->ahead_of = !asks || f->size == len ? NULL : s.kind == STARTUP_SSL ? "SSL" : "GSSAPI encryption";
    switch (s.kind) {
    case STARTUP_SSL:
        return answer_ssl_request(l, f->size, len);
    case STARTUP_GSS:
        link_to_client(l, (const uint8_t *)"N", 1, false);
        break;
    case STARTUP_CANCEL:
        cancel_from_client(l, s.pid, s.secret);
        break;
    case STARTUP_SESSION:
        begin_session(l, f, bytes);
        break;
    case STARTUP_BAD:
        refuse_packet(l, &s);
        break;
    }
    return f->size;
}

// PostgreSQL does not count the length word.
static size_t longest_packet(const struct link *l) {
    return l->settings->config->max_startup_packet + 4;
}

static size_t startup_from_client(struct link *l, const uint8_t *bytes, size_t len) {
    struct frame f;
    if (!l->login) {
        link_refuse(l, "53200", "out of memory", NULL);
        return len;
    }
    switch (frame_startup(bytes, len, longest_packet(l), &f)) {
    case FRAME_INCOMPLETE:
        return 0;
    case FRAME_MALFORMED:
        l->login->ahead_of ? refuse_unencrypted(l) : close_on_packet(l, "invalid length of startup packet");
        return len;
    case FRAME_OK:
        break;
    }
    return take_packet(l, &f, bytes, len);
}

// ---- the log-in, client's side

static bool binding_is_denied(struct link *l, const struct frame *f) {
    if (!l->login->stripped_plus || !l->client.stream.ssl || !startup_sasl_denied_binding(f))
        return false;
    link_refuse(l, "28000",
                "SCRAM log-in with channel binding cannot be relayed: TLS ends at pgfold on both sides, so "
                "the server would "
                "take the missing channel binding for an attack",
                "Set channel_binding=disable in the client's connection string, or use TLS on one side of "
                "pgfold only.");
    return true;
}

// Only messages of a log-in pass. Anything else waits until the log-in is complete.
static size_t message_from_client(struct link *l, const uint8_t *bytes, size_t len) {
    struct frame f;
    enum frame_result r = frame_read(bytes, len, &f);
    if (r == FRAME_MALFORMED || (r == FRAME_INCOMPLETE && len >= LOGIN_MESSAGE_MOST)) {
        link_refuse(l, "08P01", "invalid message during log-in", NULL);
        return len;
    }
    if (r == FRAME_INCOMPLETE)
        return 0;
    if (f.type == F_TERMINATE) {
        link_close(l);
        return len;
    }
    if (f.type != F_PASSWORD || l->login->authenticated)
        return 0;
    if (binding_is_denied(l, &f))
        return len;
    l->login->client_spoke = true;
    gate_waits(l->proxy->gate, &l->place, false);
    pace_asks(l->proxy->pace, &l->pace, false);
    link_to_server(l, bytes, f.size, false);
    return f.size;
}

// ---- the stage

static size_t from_client(struct link *l, const uint8_t *bytes, size_t len) {
    size_t at = 0;
    proxy_is_awake(l->proxy);
    if (l->state == LINK_CANCEL || l->state == LINK_CLOSING)
        return len; // not wanted any more
    while (at < len && (l->state == LINK_START || l->state == LINK_LOGIN)) {
        size_t taken = l->state == LINK_START ? startup_from_client(l, bytes + at, len - at)
                                              : message_from_client(l, bytes + at, len - at);
        if (!taken)
            break;
        at += taken;
    }
    return l->state == LINK_CLOSED ? len : at;
}

static size_t from_server(struct link *l, const uint8_t *bytes, size_t len) {
    proxy_is_awake(l->proxy);
    size_t taken = login_server_take(l, bytes, len);
    if (l->state == LINK_READY || l->state == LINK_CONSOLE) {
        login_free(l);
        l->resume = true; // the client may have sent more than its log-in
    }
    return taken;
}

static bool takes_client(const struct link *l) {
    switch (l->state) {
    case LINK_START:
    case LINK_CLIENT_TLS:
    case LINK_CANCEL:
        return true;
    case LINK_LOGIN:
        return l->client.in.len < LOGIN_MESSAGE_MOST && !link_is_backlogged(l, &l->server);
    default:
        return false;
    }
}

static bool takes_server(const struct link *l) {
    return l->state == LINK_LOGIN && !link_is_backlogged(l, &l->client);
}

static bool client_is_ready_early(struct link *l) {
    if (l->state != LINK_CLIENT_TLS)
        return false;
    go_on_with_tls(l);
    return true;
}

static bool client_is_ready_late(struct link *l) {
    return l->state == LINK_START && !l->client.in.len && begins_with_tls(l);
}

// The client's next message can only be the one that the server asks for, and not all of it will come. What
// else it has sent waits for the end of the log-in.
static bool end_is_due(struct link *l) {
    struct frame f;
    const struct buf *in = &l->client.in;
    return !in->len || frame_read(in->data, in->len, &f) == FRAME_INCOMPLETE;
}

static void closes(struct link *l) {
    cancel_forget_link(l);
    cancel_key_remove(l);
    if (l->connector)
        connector_cancel(l->connector);
    login_free(l);
}

static const struct link_stage login_stage = {
    .from_client = from_client,
    .from_server = from_server,
    .takes_client = takes_client,
    .takes_server = takes_server,
    .client_is_ready_early = client_is_ready_early,
    .client_is_ready_late = client_is_ready_late,
    .end_is_due = end_is_due,
    .closes = closes,
};

void login_accept(struct proxy *p, int fd) {
    struct link *l = link_create(p, fd, &login_stage, traffic_on_client);
    if (!l)
        return;
    login_start(l);
    link_update(l);
}

// ---- for the gate

bool login_is_at_server(const struct link *l) {
    return l->state == LINK_LOGIN;
}

void login_evict(struct link *l) {
    pace_withdraw(l->proxy->pace, &l->pace);
    if (l->state == LINK_CLOSING)
        link_close(l);
    else
        link_dismiss(
            l, "53300", "connection closed before its log-in was complete, to make room for others",
            "Connect again. Raise max_logins in pgfold's configuration if this happens to clients of "
            "your own.");
    if (l->state != LINK_CLOSED)
        link_close(l); // it does not read what it is told
}
