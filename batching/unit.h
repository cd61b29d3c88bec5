// SPDX-License-Identifier: PostgreSQL
//
// Units: what a client sends up to one answer. A function of bytes that recognises the two framings in which
// a lookup may come: one Query message, or [Parse] Bind [Describe portal] Execute Sync with the unnamed
// portal.
#ifndef PGFOLD_BATCHING_UNIT_H
#define PGFOLD_BATCHING_UNIT_H

#include "batching/reason.h"
#include "protocol/message.h"

enum unit_result {
    UNIT_SIMPLE,   // a whole Query message
    UNIT_EXTENDED, // a whole extended unit in the framing of a lookup
    UNIT_PARTIAL,  // may become one of these when more bytes arrive
    UNIT_OTHER,    // anything else; `why` says what
};

struct unit {
    size_t size;        // bytes of the whole unit
    struct slice query; // UNIT_SIMPLE: its text
    bool has_parse;     // UNIT_EXTENDED: Parse of the unnamed statement comes first
    struct msg_parse parse;
    struct msg_bind bind;
    bool has_describe; // Describe of the unnamed portal
    enum reason why;   // UNIT_OTHER
};

// Reads the unit at the front of the input. A unit longer than max bytes is UNIT_OTHER. A malformed frame or
// body is UNIT_OTHER, too: the server is the one to complain.
enum unit_result unit_read(const uint8_t *bytes, size_t len, size_t max, struct unit *u)
    __attribute__((warn_unused_result));

#endif
