// SPDX-License-Identifier: PostgreSQL
//
// From the first byte of a connection to the first ReadyForQuery. Start-up packets are answered or passed on
// as they came; the log-in is relayed message by message, so that no secret is kept here. Two things are
// changed on the way: SASL mechanisms with channel binding are taken out of the server's offer, since they
// bind to a TLS connection that ends here, and nothing but the messages of a log-in passes before it is
// complete.
//
// With target_session_attrs the server's role is known only when it has logged the client in. A log-in that
// needed nothing from the client is then repeated at the next host; another one is refused, and the host is
// left out for a while.
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "protocol/frame.h"
#include "protocol/message.h"
#include "protocol/startup.h"
#include "protocol/write.h"
#include "proxy/cancel_key.h"
#include "proxy/link.h"
#include "batching/session/held.h"

#define MAX_LOGIN_MESSAGE 65536
#define ASK_AGAIN         10      // a server that is full
#define MAKE_ROOM         4       // so many leave for each that comes
#define SILENCE           1000000 // microseconds

struct login {
    struct buf packet;      // StartupMessage as sent
    struct startup startup; // points into packet
    struct buf held;        // server's messages, while its role is not known
    bool stripped_plus;     // the server offered channel binding
    bool authenticated;     // AuthenticationOk came
    bool client_spoke;      // the client had to send something besides the start-up packet
    bool replication;
    unsigned n_again; // times that the server was full
    bool tls_direct;
    bool asked_tls, asked_gss; // each may be asked for once
    const char *ahead_of;      // the request for encryption that came in one piece with what is looked at
    bool hot_standby, read_only, role_known;
    char client_encoding[32], conforming_strings[8];
    bool *skip; // hosts whose role was wrong
};

void login_start(struct link *l) {
    l->login = calloc(1, sizeof *l->login);
    if (!l->login)
        return; // noticed at the first packet
    l->login->packet = buf_make(l->settings->config->max_startup_packet + 4);
    l->login->held = buf_make((size_t)1 << 20);
    l->login->packet.secret = l->login->held.secret = true;
}

void login_free(struct link *l) {
    if (!l->login)
        return;
    buf_free(&l->login->packet);
    buf_free(&l->login->held);
    free(l->login->skip);
    free(l->login);
    l->login = NULL;
}

// ---- TLS to the client

static void start_client_tls(struct link *l) {
    link_set_state(l, LINK_CLIENT_TLS);
    login_client_tls(l);
}

// "If a direct SSL connection is used, ALPN must be" negotiated: without it the peer may be something else
// than PostgreSQL.
static bool alpn_is_missing(const struct link *l) {
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(l->client.stream.ssl, &name, &len);
    return l->login->tls_direct && (len != 10 || memcmp(name, "postgresql", 10) != 0);
}

// What OpenSSL needs is forty times what the connection has cost so far.
static bool has_begun(struct link *l) {
    if (l->client.stream.ssl)
        return true;
    if (!stream_hello_is_here(&l->client.stream))
        link_update(l);
    else if (stream_start_tls(&l->client.stream, l->settings->client_tls, true, NULL) != 0)
        link_close(l);
    return l->client.stream.ssl != NULL;
}

void login_client_tls(struct link *l) {
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

// A TLS record of type handshake starts with 22, which no start-up packet of a sane length does.
bool login_direct_tls(struct link *l) {
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
    l->login->asked_gss |= accept; // inside TLS it is no request any more
    if (accept)
        start_client_tls(l);
    return taken;
}

// ---- connecting

static void on_connected(void *arg, struct stream *stream, size_t host_index, const char *address,
                         const char *message);

static void refuse_for_descriptors(struct link *l) {
    link_refuse(l, "53300", "pgfold has no file descriptors left",
                "Raise the limit on open files (ulimit -n, LimitNOFILE).");
}

static void refuse_for_clients(struct link *l) {
    link_refuse(l, "53300", "sorry, too many clients already",
                "Raise max_clients in pgfold's configuration, or open fewer connections.");
}

static void connect_server(struct link *l, size_t first_host) {
    link_set_state(l, LINK_CONNECTING);
    l->connector =
        connector_start(l->proxy->loop, l->settings->target, first_host, l->login->skip, on_connected, l);
    if (!l->connector)
        return refuse_for_descriptors(l); // or memory, which nobody runs out of first
    connector_keep_back(l->connector, gate_files(l->proxy, GATE_LOGIN));
    link_update(l);
}

static void on_connected(void *arg, struct stream *stream, size_t host_index, const char *address,
                         const char *message) {
    struct link *l = arg;
    l->connector = NULL;
    if (!stream && message && strstr(message, CONNECTOR_NO_DESCRIPTORS)) {
        refuse_for_descriptors(l);
        return;
    }
    if (!stream) {
        char text[1024];
        snprintf(text, sizeof text, "could not connect to the server: %s",
                 message ? message : "no host is left");
        link_refuse(l, "08001", text,
                    "Check pgfold's setting \"server\", and whether PostgreSQL runs there.");
        return;
    }
    free(l->address);
    l->address = strdup(address);
    l->host_index = host_index;
    if (!l->address || !link_open_server(l, stream)) {
        if (!l->server.poll)
            stream_close(stream);
        link_refuse(l, "53200", "out of memory", NULL);
        return;
    }
    link_set_state(l, LINK_LOGIN);
    log_event(&l->proxy->log, LOG_LEVEL_DEBUG, l->id, "connected to %s", address);
    link_to_server(l, l->login->packet.data, l->login->packet.len, false);
    link_feed_client(l);
}

// ---- start-up packets

void login_connect(struct link *l) {
    connect_server(l, 0);
}

static void await_turn(struct link *l) {
    struct slice user = {NULL, 0};
    startup_param(&l->login->startup, "user", &user);
    switch (pace_begins(l, user.data, user.len)) {
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

static void begin_session(struct link *l, const struct frame *f, const uint8_t *bytes) {
    const struct config *c = l->settings->config;
    struct proxy *p = l->proxy;
    if (c->client_tls == CLIENT_TLS_REQUIRE && !l->client.stream.ssl)
        return link_refuse(l, "28000", "pgfold accepts only connections with TLS (client_tls = require)",
                           "Set sslmode=require in the client's connection string.");
    if (p->draining)
        return link_refuse(l, "57P03", "pgfold is shutting down", "Connect again when it is back.");
    if (p->n_sessions >= (unsigned)p->settings->config->max_clients)
        return refuse_for_clients(l);
    if (gate_is_short(p, l->client.stream.fd, GATE_LOGIN))
        return refuse_for_descriptors(l);
    buf_put(&l->login->packet, bytes, f->size);
    struct frame own;
    if (frame_startup(l->login->packet.data, l->login->packet.len, f->size, &own) != FRAME_OK)
        return link_refuse(l, "53200", "out of memory", NULL);
    l->login->startup = startup_read(&own);
    l->login->replication = startup_is_replication(&l->login->startup);
    await_turn(l);
}

// "ereport(FATAL) stuff is sent to the client, so only use it if that's what you want": what cannot be a
// packet of PostgreSQL's is logged and closed on without a word (ProcessStartupPacket).
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

// What came in one piece with a request for encryption was sent before its answer was known. A second request
// is answered like one that comes later; a start-up packet is refused as PostgreSQL refuses it.
static void refuse_unencrypted(struct link *l) {
    char text[128];
    snprintf(text, sizeof text, "received unencrypted data after %s request", l->login->ahead_of);
    link_refuse(l, "08P01", text,
                "This could be either a client-software bug or evidence of an attempted man-in-the-middle "
                "attack.");
}

// Encryption may be asked for in either way, once each.
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

// PostgreSQL's limit leaves out the length word.
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

bool login_takes_client(const struct link *l) {
    return l->client.in.len < MAX_LOGIN_MESSAGE;
}

// Its next message can only be the one that the server asks for, and not all of it will come. What else it
// has sent waits for the end of the log-in.
bool login_end_is_due(const struct link *l) {
    struct frame f;
    const struct buf *in = &l->client.in;
    return !in->len || frame_read(in->data, in->len, &f) == FRAME_INCOMPLETE;
}

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

// Only what a log-in consists of passes; anything else waits until it is complete.
static size_t login_client_message(struct link *l, const uint8_t *bytes, size_t len) {
    struct frame f;
    enum frame_result r = frame_read(bytes, len, &f);
    if (r == FRAME_MALFORMED || (r == FRAME_INCOMPLETE && len >= MAX_LOGIN_MESSAGE)) {
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
    gate_waits(l, false);
    pace_asks(l, false);
    link_to_server(l, bytes, f.size, false);
    return f.size;
}

size_t login_from_client(struct link *l, const uint8_t *bytes, size_t len) {
    size_t at = 0;
    while (at < len && (l->state == LINK_START || l->state == LINK_LOGIN)) {
        size_t taken = l->state == LINK_START ? startup_from_client(l, bytes + at, len - at)
                                              : login_client_message(l, bytes + at, len - at);
        if (!taken)
            break;
        at += taken;
    }
    return l->state == LINK_CLOSED ? len : at;
}

// ---- the log-in, server's side

static void note_status(struct login *login, const struct frame *f) {
    const char *name = (const char *)f->body;
    size_t n = strnlen(name, f->body_len);
    if (n + 2 > f->body_len || f->body[f->body_len - 1])
        return;
    const char *value = name + n + 1;
    if (strcmp(name, "client_encoding") == 0)
        snprintf(login->client_encoding, sizeof login->client_encoding, "%s", value);
    if (strcmp(name, "standard_conforming_strings") == 0)
        snprintf(login->conforming_strings, sizeof login->conforming_strings, "%s", value);
    if (strcmp(name, "in_hot_standby") == 0) {
        login->role_known = true;
        login->hot_standby = strcmp(value, "on") == 0;
    }
    if (strcmp(name, "default_transaction_read_only") == 0)
        login->read_only = strcmp(value, "on") == 0;
}

static bool role_fits(const struct link *l) {
    const struct login *g = l->login;
    bool writes = !g->hot_standby && !g->read_only;
    switch (l->settings->target->attrs) {
    case TARGET_READ_WRITE:
        return writes;
    case TARGET_READ_ONLY:
        return !writes;
    case TARGET_PRIMARY:
        return !g->hot_standby;
    case TARGET_STANDBY:
        return g->hot_standby;
    case TARGET_PREFER_STANDBY: // a second round, which takes any host, has nothing left out
        return g->hot_standby || !g->skip;
    default:
        return true;
    }
}

// A place among the clients is taken by whom the server takes, before it is told so: that there was one when
// it came is no promise.
static bool take_place(struct link *l) {
    struct proxy *p = l->proxy;
    if (l->counted)
        return true;
    if (p->n_sessions >= (unsigned)p->settings->config->max_clients) {
        refuse_for_clients(l);
        return false;
    }
    l->counted = true;
    p->n_sessions++;
    return true;
}

void login_leave_place(struct link *l) {
    l->proxy->n_sessions -= l->counted;
    l->counted = false;
}

static void forget_server(struct link *l) {
    login_leave_place(l);
    cancel_key_remove(l);
    link_close_server(l);
    buf_reset(&l->login->held);
    l->login->authenticated = false;
}

// The server is not of the kind that is wanted. A log-in in which the client said nothing can be had again
// elsewhere.
static void try_next_host(struct link *l) {
    struct login *g = l->login;
    const struct target *t = l->settings->target;
    if (!g->skip)
        g->skip = calloc(t->n_hosts, sizeof *g->skip);
    size_t next = l->host_index + 1;
    if (g->skip)
        g->skip[l->host_index] = true;
    bool prefer = t->attrs == TARGET_PREFER_STANDBY && next >= t->n_hosts;
    if (g->client_spoke || !g->skip || (next >= t->n_hosts && !prefer)) {
        link_refuse(
            l, "08001", "the server is not of the kind that target_session_attrs asks for",
            "List the host that is wanted first in pgfold's setting \"server\": a log-in with a password "
            "cannot be repeated at another host.");
        return;
    }
    forget_server(l);
    if (prefer) {
        free(g->skip);
        g->skip = NULL;
        next = 0;
    }
    connect_server(l, next);
}

static void pass_to_client(struct link *l, const uint8_t *bytes, size_t len) {
    if (l->settings->target->attrs != TARGET_ANY && l->login->authenticated)
        buf_put(&l->login->held, bytes, len);
    else
        link_to_client(l, bytes, len, true);
}

static void finish_login(struct link *l) {
    if (l->settings->target->attrs != TARGET_ANY && !role_fits(l)) {
        try_next_host(l);
        return;
    }
    link_to_client(l, l->login->held.data, l->login->held.len, true);
    relay_start(l, l->login->startup.params, l->login->replication);
    relay_parameter(l, "client_encoding", l->login->client_encoding);
    relay_parameter(l, "standard_conforming_strings", l->login->conforming_strings);
    if (l->state != LINK_READY)
        return;
    login_free(l);
    log_event(&l->proxy->log, LOG_LEVEL_DEBUG, l->id, "logged in at %s", l->address);
}

// AuthenticationOk (0) and AuthenticationSASLFinal (12) want no answer.
static void note_question(struct link *l, const struct frame *f) {
    uint32_t code = f->body_len >= 4 ? get_u32(f->body) : 0;
    l->login->authenticated |= f->body_len >= 4 && code == 0;
    gate_waits(l, code != 0 && code != 12);
    pace_asks(l, code != 0 && code != 12);
}

// Its processes may be those of clients that have said nothing for long: they are given up, and it is asked
// again where the client has heard nothing yet. A process needs a moment to end, as does the next to begin.
static bool make_room_at_server(struct link *l, const struct frame *f) {
    struct slice code = {NULL, 0};
    bool room = false;
    if (!msg_error_field(f->body, f->body_len, 'C', &code) || !slice_is(code, "53300", 5))
        return false;
    for (int i = 0; i < MAKE_ROOM; i++)
        room |= gate_evict_at_server(l->proxy, SILENCE);
    if ((!room && !l->login->n_again) || l->login->authenticated || l->login->client_spoke ||
        l->login->n_again == ASK_AGAIN)
        return false;
    l->login->n_again++;
    forget_server(l);
    connect_server(l, l->host_index);
    return true;
}

// Returns false when the message is not one of a log-in.
static bool login_server_message(struct link *l, const struct frame *f, const uint8_t *bytes) {
    struct buf changed = buf_make(MAX_LOGIN_MESSAGE);
    switch (f->type) {
    case B_AUTHENTICATION:
        note_question(l, f);
        if (l->login->authenticated && !take_place(l))
            return true;
        if (startup_strip_plus(f, &changed)) {
            l->login->stripped_plus = true;
            link_to_client(l, changed.data, changed.len, true);
            buf_free(&changed);
            return true;
        }
        buf_free(&changed);
        break;
    case B_PARAMETER_STATUS:
        note_status(l->login, f);
        break;
    case B_BACKEND_KEY_DATA:
        cancel_key_add(l, f->body, f->body_len);
        break;
    case B_ERROR:
        if (make_room_at_server(l, f))
            return true;
        break;
    case B_NOTICE:
    case B_NEGOTIATE_VERSION:
    case B_READY_FOR_QUERY:
        break;
    default:
        return false;
    }
    pass_to_client(l, bytes, f->size);
    if (f->type == B_ERROR &&
        l->login->held.len) { // it failed after AuthenticationOk: nothing more will be decided
        link_to_client(l, l->login->held.data, l->login->held.len, true);
        buf_reset(&l->login->held);
    }
    if (f->type == B_READY_FOR_QUERY)
        finish_login(l);
    return true;
}

size_t login_from_server(struct link *l, const uint8_t *bytes, size_t len) {
    size_t at = 0;
    while (at < len && l->state == LINK_LOGIN) {
        struct frame f;
        enum frame_result r = frame_read(bytes + at, len - at, &f);
        if (r == FRAME_INCOMPLETE && len - at < MAX_LOGIN_MESSAGE)
            break;
        if (r != FRAME_OK || !login_server_message(l, &f, bytes + at)) {
            link_refuse(l, "08P01", "unexpected message from the server during log-in", NULL);
            return len;
        }
        at += f.size;
    }
    if (l->state == LINK_READY)
        l->resume = true; // the client may have sent more than its log-in
    return l->state == LINK_LOGIN || l->state == LINK_READY ? at : len;
}
