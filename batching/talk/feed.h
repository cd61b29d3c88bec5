// SPDX-License-Identifier: PostgreSQL
//
// Bytes of one side on their way to the other, as they stand in the caller's buffer.
//
//   bytes           run              at                len
//   |  sent already  |  to be sent    |  this message …  |
//
// One struct serves both directions: talk/client.c feeds the client's bytes to the server, talk/server.c the
// server's bytes to the client. Messages that are passed on become a run, which is sent in one piece. Whoever
// puts something of its own between two messages sends the run first.
#ifndef PGFOLD_BATCHING_TALK_FEED_H
#define PGFOLD_BATCHING_TALK_FEED_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/classify.h"

#define UNIT_SLACK 4096 // bytes of a unit beside its text

struct feed {
    struct session *s;
    const uint8_t *bytes; // borrowed from the caller
    size_t len;           // of `bytes`
    size_t at;            // the message that is looked at
    size_t run;           // bytes[run] to bytes[at] are to be passed on and not sent yet

    // From the client only; of the message, or the unit, at `at`.
    struct statement_class query; // of a Query message, when `classified`
    bool classified;
    bool learns, describes; // the reply to its Parse (and Describe) tells about all statements of that text
    bool single;            // the unit is one lookup and nothing else
    bool asks_no_more;      // it goes out now, inside a transaction: no question of ours may precede it
    bool prepares;          // the unit prepares a statement and runs none
    bool drop;              // the message is not for the server
    struct unit unit;       // the unit that is forwarded, if it may be a list,
    size_t unit_at;         // and where it stands
    struct shape *list;     // a reference; its text; NULL: it is none
    struct behind *behind;  // the unit is a lookup that goes out behind BEGIN; owned
    enum reason why;        // the unit is forwarded: for this reason
};

// What becomes of the client's unit at `at`.
enum take {
    TAKE_FORWARD, // it goes to the server as it came
    TAKE_TAKEN,   // pgfold answers it
    TAKE_WAIT     // it is looked at again later; `hold` in the session says why
};

// Sends the run to the server. `more`: further bytes for the server follow at once.
void feed_to_server(struct feed *f, bool more);

// Sends the run to the client, unless the client is gone. `more`: further bytes for it follow at once.
void feed_to_client(struct feed *f, bool more);

// Sends the run to the server, and a Flush behind it if a unit is open. Without the Flush the server may keep
// its replies until the unit ends, and the client cannot end it before it is read again.
void feed_ask_for_replies(struct feed *f);

// Classifies the Query message at `at`, once. The result is valid until the feed moves on.
const struct statement_class *feed_classify(struct feed *f, struct slice text);

#endif
