// SPDX-License-Identifier: PostgreSQL
//
// A link: one client connection and the server connection made for it. This file has its state, its buffers,
// what is written, what is waited for and how it is closed.
//
// Other files do the rest, and call this one:
//   traffic.c   reads the sockets and offers what came to the stage that the link is in
//   login.c     the first stage: from the first byte to the first ReadyForQuery
//   relay.c     the second stage: a session of the engine
//   ending.c    decides when the link ends
//   cancel.c    cancel requests of clients, and for them
//
//   START <-> CLIENT_TLS
//     |
//     +--> CANCEL
//     |
//     +--> CONNECTING <-> LOGIN --> READY --> LENDING
//                           |
//                           +--> CONSOLE
//
//   START       waits for a start-up packet
//   CLIENT_TLS  handshake with the client
//   CONNECTING  waits for its turn, then the connector looks for a server; the client is not read
//   LOGIN       the log-in is relayed; a server of the wrong kind leads back to CONNECTING, for the next host
//   READY       a session: bytes go through the engine
//   CONSOLE     the console; there is no server any more
//   CANCEL      a cancel request is on its way; the client waits for the end of the connection
//   LENDING     the client is gone; the server connection still takes what the client sent before it left, or
//               runs something for others
//   CLOSING     from any of them: the client gets what is still buffered for it, the server's side is closed
//   CLOSED      from any of them: both sockets are closed; link_bury() frees the link at the end of the turn
#ifndef PGFOLD_PROXY_LINK_H
#define PGFOLD_PROXY_LINK_H

#include "batching/base/hash.h"
#include "proxy/gate.h"
#include "proxy/pace.h"
#include "proxy/proxy.h"
#include "proxy/side.h"

enum link_state { // the order counts: those before READY have not logged in yet
    LINK_START,
    LINK_CLIENT_TLS,
    LINK_CONNECTING,
    LINK_LOGIN,
    LINK_READY,
    LINK_CONSOLE,
    LINK_CANCEL,
    LINK_CLOSING,
    LINK_LENDING,
    LINK_CLOSED,
};

struct account;
struct cancel;
struct connector;
struct console;
struct login;
struct session;
struct startup;

// The stage that a link is in says what its bytes mean. There are two: login_stage and relay_stage.
struct link_stage {
    // Bytes that have come. Returns how many were taken; the rest is offered again with what follows it.
    size_t (*from_client)(struct link *l, const uint8_t *bytes, size_t len);
    size_t (*from_server)(struct link *l, const uint8_t *bytes, size_t len);
    // Shall that side be read now?
    bool (*takes_client)(const struct link *l);
    bool (*takes_server)(const struct link *l);
    // The client's socket is ready. True: the stage has done all that is to be done. `early` comes before
    // anything is written, `late` before anything is read. Either may be NULL.
    bool (*client_is_ready_early)(struct link *l);
    bool (*client_is_ready_late)(struct link *l);
    // The client will send no more: may the server be told now? It may close the link.
    bool (*end_is_due)(struct link *l);
    // The link is being closed: gives back what the stage has.
    void (*closes)(struct link *l);
};

struct link {
    struct proxy *proxy;            // what it belongs to
    struct settings *settings;      // those that it began with; a reference
    const struct link_stage *stage; // what its bytes mean now
    uint64_t id;                    // its number, for the log
    enum link_state state;          // see the drawing above
    struct side client, server;     // the two sockets
    struct account *memory;         // where the bytes of its buffers are counted; NULL: nowhere yet
    size_t weighs;                  // how many are counted there
    struct session *session;        // from READY on: the engine's; NULL before; owned
    struct console *console;        // CONSOLE: owned by console.c
    size_t stage_bytes;             // that its stage holds besides
    char *names;                    // who has logged in: user, zero, application_name; NULL: not known; owned
    struct login *login;            // until READY; NULL: out of memory; owned by login.c
    struct connector *connector;    // CONNECTING: the attempt under way
    uint64_t started;               // microseconds: when it was accepted
    size_t host_index;              // which of the target's hosts it is connected to
    char *address;                  // of the server; NULL: not connected yet; owned
    uint8_t *key;                   // body of the server's BackendKeyData; NULL: none; owned by cancel_key.c
    size_t key_len;                 // its bytes
    UT_hash_handle hh;              // by key
    struct cancel *cancel;          // a client's request for its session that is under way
    struct cancel *parked;          // and the one that follows it
    struct cancel *awaits;          // CANCEL: the request for whose end the client waits
    struct link *next_waiting;      // list of those that wait for the same
    bool counted;                   // it has a place among max_clients
    bool dirty, partial;            // it stands in the proxy's list of that name
    bool resume;                    // what is left of the client's bytes is to be looked at again
    bool end_passed;                // the server knows that the client will send no more
    bool end_waits;                 // the server is told when its socket takes more
    bool aborted;                   // the client has reset its connection
    bool probed;                    // keepalive tells whether the server is still there
    bool looks_on;           // the server is read, though the client takes nothing, to see if it has ended
    uint64_t stuck_since;    // microseconds: since when the client has taken nothing,
    uint64_t stuck_at;       // after so many bytes
    uint64_t since;          // microseconds: when something last went on of what its end waits for
    uint64_t seen;           // bytes that had been sent by then
    uint64_t replies;        // of the server, when the client had gone
    uint64_t closing;        // microseconds: since when it is CLOSING, or LENDING
    struct gate_place place; // among those that have not logged in (gate.h)
    struct pace_place pace;  // among those that the server is asked to log in (pace.h)
    struct link *next, *previous;           // list of all; CLOSED: `next` in the graveyard
    struct link *next_dirty, *next_partial; // the next one in these lists
};

// ---- life

// Takes over the client's socket and begins with that stage; `ready` is called when the socket is. NULL: out
// of memory, the socket is closed. The caller begins the stage and calls link_update.
struct link *link_create(struct proxy *p, int fd, const struct link_stage *stage, uv_poll_cb ready);
void link_set_state(struct link *l, enum link_state state);
void link_adopt_limits(struct link *l, const struct config *c); // after a reload: the engine's have changed
bool link_open_server(struct link *l, const struct stream *stream, uv_poll_cb ready); // takes over the stream
void link_close_server(struct link *l);                                               // to try another one
// A place among max_clients. False: there is none left.
bool link_take_place(struct link *l);
// Who has logged in; static texts where that is not known.
void link_note_names(struct link *l, const struct startup *s);
const char *link_user(const struct link *l);
const char *link_application(const struct link *l);
void link_leave_place(struct link *l);

// Ends the link with an ErrorResponse for the client; hint may be NULL. link_refuse logs and counts it as a
// client that was turned away.
void link_refuse(struct link *l, const char *sqlstate, const char *message, const char *hint);
void link_dismiss(struct link *l, const char *sqlstate, const char *message, const char *hint);
void link_close(struct link *l);           // both sides, now
void link_close_when_sent(struct link *l); // once the client has what is buffered for it
// Frees closed links. No callback of theirs may be running.
void link_bury(struct proxy *p);

// ---- bytes

// Queues bytes and sends what can be sent: at once, or, when `more` follows, at the end of the turn.
void link_to_client(struct link *l, const uint8_t *bytes, size_t len, bool more);
void link_to_server(struct link *l, const uint8_t *bytes, size_t len, bool more);
void link_mark_dirty(struct link *l); // it is looked at once more at the end of the turn
// More waits for that side than may wait: whoever fills it is not read.
bool link_is_backlogged(const struct link *l, const struct side *s);
// Has a side that was backlogged caught up? Says so once.
bool link_has_caught_up(const struct link *l, struct side *s);
bool link_wants(const struct link *l, const struct side *s); // shall the side be read?
// Offers bytes of a side to the stage; returns how many it took.
size_t link_offer(struct link *l, const struct side *s, const uint8_t *bytes, size_t len);
// Offers those that were left over, again and again while some are taken.
void link_offer_leftover(struct link *l, struct side *s);
void link_update(struct link *l); // what is waited for, after anything changed

#endif
