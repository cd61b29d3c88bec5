// SPDX-License-Identifier: PostgreSQL
//
// Bytes at hand, and the run of them that goes on in one piece.
#ifndef PGFOLD_BATCHING_TALK_FEED_H
#define PGFOLD_BATCHING_TALK_FEED_H

#include "batching/session/session.h"
#include "batching/talk/classify.h"

#define UNIT_SLACK 4096 // bytes of a unit beside its text

// The client's bytes at hand, and the run of them that is still to be forwarded: bytes[run] to bytes[at].
struct feed {
    struct session *s;
    const uint8_t *bytes;
    size_t len, at, run;
    struct statement_class query; // of the Query message at `at`, when classified
    bool classified;
    bool learns, describes; // the Parse at `at`, and the Describe behind it, tell about all like them
    bool single;            // the unit at `at` is a lookup and nothing else
    bool asks_no_more;      // it goes out now, inside a transaction: not behind a question of our own
    bool prepares;          // the unit at `at` prepares a statement and runs none
    bool drop;              // the message at `at` is not for the server
};

// Sends the run.
void feed_to_server(struct feed *f, bool more);
const struct statement_class *feed_classify(struct feed *f, struct slice text);

// The replies to an open unit may wait in the server for its end, which the client may not say before it is
// read again.
void feed_ask_for_replies(struct feed *f);

enum take { TAKE_FORWARD, TAKE_TAKEN, TAKE_WAIT };

void feed_to_client(struct feed *f, bool more);

#endif
