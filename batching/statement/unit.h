// SPDX-License-Identifier: PostgreSQL
//
// A unit is what a client sends up to one answer. This is a function of bytes that recognises these framings:
//
//   one Query message
//   [Parse] Bind [Describe portal] Execute [Close]* Sync, with the unnamed portal
//   several of these before one Sync, of unnamed statements or such as were parsed before
//   Parse [Describe statement], up to a Flush, a Sync, or what comes next
//   Close statement, Sync
//   Execute of the unnamed portal, with its Sync if that is there
//   Sync
//
// Flush messages between others are ignored: all that they ask for comes with the Sync.
#ifndef PGFOLD_BATCHING_STATEMENT_UNIT_H
#define PGFOLD_BATCHING_STATEMENT_UNIT_H

#include "batching/base/reason.h"
#include "protocol/message.h"

enum unit_result {
    UNIT_SIMPLE,   // a whole Query message
    UNIT_EXTENDED, // a whole extended unit in the framing of a lookup
    UNIT_PIPELINE, // several of them in one unit; see unit_part
    UNIT_PREPARE,  // a statement is prepared; it may end before the client's unit does, see `sync`
    UNIT_CLOSE,    // a statement is closed
    UNIT_SYNC,     // a Sync alone
    UNIT_EXECUTE, // the unnamed portal is executed, as it is; it may end before the client's unit does, see `sync`
    UNIT_PARTIAL, // more bytes may make it one of these
    UNIT_OTHER,   // anything else; `why` says what
};

struct unit {
    size_t size;        // bytes of the whole unit
    struct slice query; // UNIT_SIMPLE: its text
    bool has_parse;     // UNIT_EXTENDED, always in UNIT_PREPARE: Parse comes first
    struct msg_parse parse;
    struct msg_bind bind; // UNIT_EXTENDED; behind Parse it is of the same statement
    size_t bind_at;       // UNIT_EXTENDED: offset of the Bind message
    bool has_describe;    // UNIT_EXTENDED: Describe of the unnamed portal; UNIT_PREPARE: of the statement
    uint32_t max_rows;    // UNIT_EXTENDED: of Execute; 0: all
    unsigned n_closes;    // UNIT_EXTENDED: Close messages, of the unnamed portal
    struct msg_target closing; // UNIT_CLOSE
    bool sync;       // UNIT_PREPARE, UNIT_EXECUTE: it ends with Sync; else the client's unit goes on
    enum reason why; // UNIT_OTHER
};

#define UNIT_MAX_CLOSES 4

// Reads the unit at the front of the input; its slices are borrowed. A unit longer than max bytes is
// UNIT_OTHER, and so is a malformed frame or body: the server is the one to complain.
enum unit_result unit_read(const uint8_t *bytes, size_t len, size_t max, struct unit *u)
    __attribute__((warn_unused_result));

// The Bind of a lookup's unit, as it was sent, with a Parse in front of it or without. False: it has none.
bool unit_bind(const uint8_t *bytes, size_t len, struct msg_bind *m) __attribute__((warn_unused_result));

// Reads the part of a UNIT_PIPELINE that begins at *at, and moves *at behind it. Returns false when none is
// left. `size` is the part's, `bind_at` counts from its beginning.
bool unit_part(const uint8_t *bytes, size_t len, size_t *at, struct unit *u);

#endif
