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
//   CLOSING     the client gets what is still buffered for it, the server's side is closed already
//   LENDING     the client is gone; the server connection still takes what the client sent before it left, or
//   runs something for others
//
// A client's end is a byte of its stream, passed on in its place: ending.c.
#ifndef PGFOLD_PROXY_LINK_H
#define PGFOLD_PROXY_LINK_H

#include "batching/base/hash.h"
#include "batching/session/session.h"
#include "protocol/buf.h"
#include "proxy/connector.h"
#include "proxy/gate.h"
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
    bool eof;                                // nothing more comes: all that the peer said has been read
    bool broken;                             // nothing that is written arrives: what is put here is dropped
    bool hung_up;                            // it has closed, behind what has not been read yet
    bool behind;                             // it was not written to for what waits for it
    uint64_t sent;                           // bytes
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
    struct account *memory; // that its buffers are counted in, with so many bytes:
    size_t weighs;
    struct session *session;
    struct login *login; // until READY
    struct connector *connector;
    uint64_t started; // microseconds
    size_t host_index;
    char *address; // of the server; owned
    uint8_t *key;  // BackendKeyData's body; owned
    size_t key_len;
    UT_hash_handle hh; // by key
    struct cancel *cancel,
        *parked;               // client's requests for its session: the one under way, the one that follows
    struct cancel *awaits;     // CANCEL: the request for whose end it waits
    struct link *next_waiting; // for the same
    bool counted;              // in n_sessions
    bool dirty, partial;       // stands in the proxy's list of that name
    bool resume;               // the client's left-over bytes shall be looked at again
    bool end_passed;           // the server knows that the client will send no more
    bool end_waits;            // it is told when its socket takes more
    bool aborted;              // the client has reset its connection
    bool probed;               // the server is asked now and then whether it is still there
    bool looks_on;             // the server is read, though the client takes nothing, to see if it has ended
    uint64_t stuck_since;      // microseconds: since when the client has taken nothing,
    uint64_t stuck_at;         // after so many bytes
    uint64_t since;            // microseconds: when something last went on of what the link's end waits for
    uint64_t seen;             // bytes sent then
    uint64_t closing;          // microseconds: since when it is CLOSING
    struct gate_place place;
    struct pace_place pace;
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
// The same, where it is no fault of the client's.
void link_dismiss(struct link *l, const char *sqlstate, const char *message, const char *hint);
void link_close(struct link *l);           // both sides, now
void link_close_when_sent(struct link *l); // once the client has what is buffered for it

bool link_open_server(struct link *l, const struct stream *stream); // takes the stream over
void link_close_server(struct link *l);                             // to try another one
void link_feed_client(struct link *l); // bytes that were left over are looked at again
void link_feed_server(struct link *l);
void link_update(struct link *l);        // what is waited for, after anything changed
bool link_feed_leftover(struct link *l); // the client's, without a look at what follows; false: closed
bool link_is_backlogged(const struct link *l, const struct side *s);
void side_close(struct side *s);
void link_flush_dirty(struct proxy *p);
void link_check_partial(struct proxy *p);
void link_client_is_due(struct link *l); // its turn has come: gate.h
void link_bury(struct proxy *p);         // frees closed links; no callback of theirs may be running

// ---- ending.c
void link_settle(struct link *l);               // after anything happened to it: is it to end?
void link_note_end(struct link *l);             // the client has said all that it will say
void link_expire(struct link *l, uint64_t now); // once a second
// pgfold has been stopping for so many microseconds: is there something that may end first?
bool link_is_busy(const struct link *l, uint64_t drained_for);

// ---- login.c
void login_start(struct link *l);
void login_connect(struct link *l); // to the first host: its turn has come
size_t login_from_client(struct link *l, const uint8_t *bytes, size_t len);
size_t login_from_server(struct link *l, const uint8_t *bytes, size_t len);
bool login_takes_client(const struct link *l);
bool login_end_is_due(const struct link *l); // may the client's end be passed on?
void login_client_tls(struct link *l);       // the client's socket is ready during its handshake
bool login_direct_tls(
    struct link *l); // first byte of a connection: direct TLS? True when it was taken care of
void login_leave_place(struct link *l); // among the clients, where it has one
void login_free(struct link *l);

// ---- relay.c
extern const struct engine_effects relay_effects;
void relay_start(struct link *l, struct slice startup_params, bool opaque);
void relay_parameter(struct link *l, const char *name, const char *value); // a ParameterStatus of the log-in

// ---- cancel.c
void cancel_init(struct proxy *p);
void cancel_from_client(struct link *l, uint32_t pid, struct slice secret);
bool cancel_for_engine(struct link *l);
void cancel_tick(struct proxy *p, uint64_t now); // time-outs
void cancel_forget_link(struct link *l);
void cancel_close_all(struct proxy *p);

#endif
