// SPDX-License-Identifier: PostgreSQL
//
// The server's side of a log-in: the server is connected to, what it says is passed on, and at its first
// ReadyForQuery the link becomes a session. With target_session_attrs what a server says behind its
// AuthenticationOk is held until its role is known; if it is the wrong one, the next host is tried.
#ifndef PGFOLD_PROXY_LOGIN_SERVER_H
#define PGFOLD_PROXY_LOGIN_SERVER_H

#include "protocol/message.h"
#include "protocol/startup.h"
#include "proxy/link.h"

#define LOGIN_MESSAGE_MOST 65536 // bytes of a message during log-in

struct login {
    struct buf packet;         // StartupMessage as sent
    struct buf instead;        // what the server gets in its place
    bool console;              // the client wants the console
    struct startup startup;    // points into packet
    struct buf held;           // server's messages, while its role is not known
    bool stripped_plus;        // the server offered channel binding
    bool authenticated;        // AuthenticationOk came
    bool client_spoke;         // the client had to send something besides the start-up packet
    bool replication;          // it asks for a replication connection
    unsigned n_again;          // times that the server was full
    bool tls_direct;           // the client began with a TLS handshake
    bool asked_tls, asked_gss; // the client has asked for it; each may be asked for once
    const char *ahead_of;      // the request for encryption that came in one piece with what is looked at
    bool hot_standby;          // the server's in_hot_standby
    bool read_only;            // the server's default_transaction_read_only
    char client_encoding[32];  // what the server said of these two settings; empty: nothing
    char conforming_strings[8];
    bool *skip; // for each host: its role was wrong; NULL: none was
};

void login_server_connect(struct link *l, size_t first_host); // to this one, or one of those behind it
// Bytes of the server's; returns how many were taken. The link is READY when the log-in is over.
size_t login_server_take(struct link *l, const uint8_t *bytes, size_t len);

// Messages of either side.
void login_refuse_for_descriptors(struct link *l);
void login_refuse_for_clients(struct link *l);

#endif
