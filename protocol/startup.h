// SPDX-License-Identifier: PostgreSQL
//
// What a client may send before a connection is logged in, and the one message of the log-in that pgfold
// changes: the server's list of SASL mechanisms, from which the channel-binding ones are taken out.
#ifndef PGFOLD_PROTOCOL_STARTUP_H
#define PGFOLD_PROTOCOL_STARTUP_H

#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"

enum startup_kind { STARTUP_SESSION, STARTUP_SSL, STARTUP_GSS, STARTUP_CANCEL, STARTUP_BAD };

struct startup {
    enum startup_kind kind;
    bool silent;         // STARTUP_BAD: closed on without a word, as PostgreSQL does
    uint32_t version;    // STARTUP_SESSION: 196608 is 3.0
    struct slice params; // STARTUP_SESSION: name and value pairs, up to and without the last zero
    uint32_t pid;        // STARTUP_CANCEL
    struct slice secret; // STARTUP_CANCEL: 4 to 256 bytes
};

// Reads the body of a start-up packet. Never fails: what makes no sense is STARTUP_BAD.
struct startup startup_read(const struct frame *f);

// Value of a start-up parameter; false when it is not there. Given twice, the last counts, as in PostgreSQL.
bool startup_param(const struct startup *s, const char *name, struct slice *value);

// Does the server take the session for one of replication, whose statements are not SQL alone?
bool startup_is_replication(const struct startup *s);

// Copies AuthenticationSASL (whole frame, type R, code 10) to out without the mechanisms that end in "-PLUS".
// True when one was taken out; out then holds a whole message. False: nothing was written, forward the
// original.
bool startup_strip_plus(const struct frame *f, struct buf *out);

// True for the client's SASLInitialResponse when its GS2 header says "I support channel binding, but think
// that you do not".
bool startup_sasl_denied_binding(const struct frame *f);

#endif
