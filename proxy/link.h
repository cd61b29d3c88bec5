// SPDX-License-Identifier: PostgreSQL
//
// A link: one client connection and the server connection made for it, with their buffers. Reads, writes,
// back-pressure and closing are here; what the bytes mean before log-in is in login.c, after it in the engine
// (relay.c).
//
//   START --> (CLIENT_TLS -->) START --> CONNECTING --> LOGIN --> READY --> CLOSING --> closed
//     |                                                            |
//     +--> CANCEL                                                  +--> LENDING --> closed
//
//   START       waits for a start-up packet
//   CLIENT_TLS  handshake with the client
//   CONNECTING  the connector looks for a server; the client is not read
//   LOGIN       the log-in is relayed
//   READY       a session: bytes go through the engine
//   CANCEL      a cancel request is on its way; the client waits for the end of the connection
//   CLOSING     the client gets what is still buffered for it, then both sides close
//   LENDING     the client is gone; the server connection still runs something, or takes what the client sent
//   before it left
#ifndef PGFOLD_PROXY_LINK_H
#define PGFOLD_PROXY_LINK_H

#include "batching/hash.h"
#include "batching/session.h"
#include "protocol/buf.h"
#include "proxy/connector.h"
#include "proxy/proxy.h"
#include "proxy/stream.h"

enum link_state {
    LINK_START,
    LINK_CLIENT_TLS,
    LINK_CONNECTING,
    LINK_LOGIN,
    LINK_READY,
    LINK_CANCEL,
    LINK_CLOSING,
    LINK_LENDING,
    LINK_CLOSED,
};

struct side {
    struct stream stream;
    uv_poll_t *poll;                         // NULL when not open; freed by its close callback
    bool eof;                                // the peer has closed or the connection is broken
    bool read_wants_write, write_wants_read; // TLS
    int events;                              // what poll waits for
    struct buf in;                           // bytes read and not yet taken
    struct buf out;                          // bytes to be sent
};

struct login; // login.c

struct link {
    struct proxy *proxy;
    struct settings *settings; // a reference
    uint64_t id;
    enum link_state state;
    struct side client, server;
    struct session *session;
    struct login *login; // until READY
    struct connector *connector;
    uint64_t started; // microseconds
    size_t host_index;
    char *address; // of the server; owned
    uint8_t *key;  // BackendKeyData's body; owned
    size_t key_len;
    UT_hash_handle hh;   // by key
    bool counted;        // in n_sessions
    bool dirty, partial; // stands in the proxy's list of that name
    bool resume;         // the client's left-over bytes shall be looked at again
    bool goodbye;        // LENDING: the client has sent Terminate, so the server will close
    bool half_closed;    // the client will send no more, but may still read
    struct link *next, *previous, *next_dirty, *next_partial; // CLOSED: `next` in the graveyard
};

struct link *link_create(struct proxy *p, int fd); // takes over fd; NULL: out of memory, fd is closed
void link_set_state(struct link *l, enum link_state state);
void link_adopt_limits(struct link *l, const struct config *c); // after a reload: the engine's have changed

// Queues bytes and sends what can be sent: at once, or at the end of the turn when more follows.
void link_to_client(struct link *l, const uint8_t *bytes, size_t len, bool more);
void link_to_server(struct link *l, const uint8_t *bytes, size_t len, bool more);

// Ends the link with a message for the client (an ErrorResponse; hint may be NULL).
void link_refuse(struct link *l, const char *sqlstate, const char *message, const char *hint);
void link_close(struct link *l);           // both sides, now
void link_close_when_sent(struct link *l); // once the client has what is buffered for it

bool link_open_server(struct link *l, const struct stream *stream); // takes the stream over
void link_close_server(struct link *l);                             // to try another one
void link_feed_client(struct link *l); // bytes that were left over are looked at again
void link_feed_server(struct link *l);
void link_update(struct link *l); // what is waited for, after anything changed
void link_flush_dirty(struct proxy *p);
void link_check_partial(struct proxy *p);
void link_bury(struct proxy *p); // frees closed links; no callback of theirs may be running

// ---- login.c
void login_start(struct link *l);
size_t login_from_client(struct link *l, const uint8_t *bytes, size_t len);
size_t login_from_server(struct link *l, const uint8_t *bytes, size_t len);
bool login_takes_client(const struct link *l);
void login_client_tls(struct link *l); // the client's socket is ready during its handshake
bool login_direct_tls(
    struct link *l); // first byte of a connection: direct TLS? True when it was taken care of
void login_free(struct link *l);
bool login_needs_exact_read(const struct link *l);

// ---- relay.c
extern const struct engine_effects relay_effects;
void relay_start(struct link *l, struct slice startup_params, bool opaque);
void relay_parameter(struct link *l, const char *name, const char *value); // a ParameterStatus of the log-in

// ---- cancel.c
void cancel_from_client(struct link *l, uint32_t pid, struct slice secret);
bool cancel_for_engine(struct link *l);
void cancel_tick(struct proxy *p, uint64_t now); // time-outs
void cancel_forget_link(struct link *l);
void cancel_close_all(struct proxy *p);

#endif
