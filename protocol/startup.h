// SPDX-License-Identifier: PostgreSQL
//
// What a client may send before it is logged in, and the one message of a log-in that pgfold changes: the
// server's list of SASL mechanisms, from which those with channel binding are taken out.
#ifndef PGFOLD_PROTOCOL_STARTUP_H
#define PGFOLD_PROTOCOL_STARTUP_H

#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"

enum startup_kind { STARTUP_SESSION, STARTUP_SSL, STARTUP_GSS, STARTUP_CANCEL, STARTUP_BAD };

struct startup {
    enum startup_kind kind;
    bool silent;         // STARTUP_BAD: PostgreSQL closes the connection without a word
    uint32_t version;    // STARTUP_SESSION: 196608 is 3.0
    struct slice params; // STARTUP_SESSION: name and value pairs, up to and without the last zero
    uint32_t pid;        // STARTUP_CANCEL
    struct slice secret; // STARTUP_CANCEL: 4 to 256 bytes
};

// Reads the body of a start-up packet. Never fails: a packet that makes no sense is STARTUP_BAD.
struct startup startup_read(const struct frame *f);

// The value of a start-up parameter. False: it is not there. If it is given twice, the last one counts, as in
// PostgreSQL.
bool startup_param(const struct startup *s, const char *name, struct slice *value);

struct startup_option {
    char *name;
    const char *value;
};

// Takes the next setting from the value of the start-up parameter "options", as the server reads it: "-c name=value",
// "-cname=value" and "--name=value", with blanks and backslashes behind a backslash. It is copied to `room`, of `size` bytes;
// what does not fit is passed over. *at: 0 at first. False: there are no more.
bool startup_next_option(struct slice options, size_t *at, char *room, size_t size, struct startup_option *o);

// What the start-up parameters say of a setting, by its own name or in "options"; the last one counts. False: nothing.
// `value` is borrowed from the parameters, or from `room`, which has `size` bytes.
bool startup_setting(const struct startup *s, const char *name, char *room, size_t size, struct slice *value);

// Will the server take this for a replication connection, whose statements are not only SQL?
bool startup_is_replication(const struct startup *s);

// Copies AuthenticationSASL (a whole frame, type R, code 10) to out without the mechanisms that end in
// "-PLUS". True: one was taken out, and out holds a whole message. False: nothing was written; forward the
// original.
bool startup_strip_plus(const struct frame *f, struct buf *out);

// True for the client's SASLInitialResponse when its GS2 header says "I support channel binding, but think
// that you do not".
bool startup_sasl_denied_binding(const struct frame *f);

#endif
