// SPDX-License-Identifier: PostgreSQL
//
// Frames: where a message begins and ends. Bytes go in; a frame, or "incomplete", or "malformed" comes out.
// Frames point into the input: nothing is copied or allocated. See "Message Formats" and "Overview" of
// https://www.postgresql.org/docs/current/protocol.html.
#ifndef PGFOLD_PROTOCOL_FRAME_H
#define PGFOLD_PROTOCOL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER 5
// PostgreSQL refuses larger messages in both directions (PQ_LARGE_MESSAGE_LIMIT is MaxAllocSize).
#define FRAME_MAX_LENGTH 0x3fffffffu

enum frame_result { FRAME_OK, FRAME_INCOMPLETE, FRAME_MALFORMED };

struct frame {
    uint8_t type;        // message type; 0 for a start-up packet
    const uint8_t *body; // borrowed from the input; NULL after frame_header when the body is not all there
    size_t body_len;
    size_t size; // bytes of the whole frame, type and length included
};

// Reads type and length only: FRAME_OK as soon as five bytes are there. body and body_len are set, but the
// body may reach past the input. MALFORMED: a length below 4 or above FRAME_MAX_LENGTH.
enum frame_result frame_header(const uint8_t *bytes, size_t len, struct frame *f)
    __attribute__((warn_unused_result));

// Reads a whole frame: FRAME_OK only when the body is all there.
enum frame_result frame_read(const uint8_t *bytes, size_t len, struct frame *f)
    __attribute__((warn_unused_result));

// Reads a start-up packet (no type byte) of at most max bytes in all: StartupMessage, SSLRequest,
// GSSENCRequest or CancelRequest. MALFORMED: a length below 8 or above max.
enum frame_result frame_startup(const uint8_t *bytes, size_t len, size_t max, struct frame *f)
    __attribute__((warn_unused_result));

#endif
