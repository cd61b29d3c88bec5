// SPDX-License-Identifier: PostgreSQL
//
// A side of a link: one socket, plain or TLS, with the bytes that wait in either direction. A side knows
// nothing of the link that it belongs to. Writing notices broken connections and only notes them; who owns
// the side closes it.
#ifndef PGFOLD_PROXY_SIDE_H
#define PGFOLD_PROXY_SIDE_H

#include <uv.h>

#include "config/config.h"
#include "protocol/buf.h"
#include "proxy/stream.h"

struct side {
    struct stream stream;  // the socket
    uv_poll_t *poll;       // NULL: not open; freed by its close callback
    uv_poll_cb ready;      // called when the socket is ready
    bool eof;              // nothing more comes: all that the peer said has been read
    bool broken;           // nothing that is written arrives: what is put here is dropped
    bool hung_up;          // the peer has closed, behind what has not been read yet
    bool behind;           // too much waited to be sent, so the other side was not read
    uint64_t sent;         // bytes, since the start
    bool read_wants_write; // TLS: to go on reading, the socket must take bytes
    bool write_wants_read; // TLS: to go on writing, the socket must give bytes
    int events;            // what poll waits for
    struct buf in;         // bytes read and not taken yet
    struct buf out;        // bytes to be sent
};

// Starts to watch the stream's socket; `data` is for the callback. False: no memory, or no descriptor.
bool side_open(struct side *s, uv_loop_t *loop, uv_poll_cb ready, void *data);
void side_close(struct side *s); // the socket, at once; the buffers stay; idempotent
void side_free_buffers(struct side *s);

// Sets the ceilings of its buffers. They never shrink: bytes may be there.
void side_set_limits(struct side *s, const struct config *c);
// What passes may be a password: buffers are wiped when they are freed. `secret` false ends that.
void side_set_secret(struct side *s, bool secret);

// Sends what the socket takes now; returns how many bytes.
size_t side_send(struct side *s, const uint8_t *bytes, size_t len);
void side_flush(struct side *s); // the same with what waits in `out`

// Waits for events. `read`: for bytes from the peer. `unsent`: until the socket takes bytes. `tells_end`: a
// side that waits for neither still tells when its peer hangs up.
void side_wait(struct side *s, bool read, bool unsent, bool tells_end);
// The poll reported an error and has been stopped. Returns the events to go on with.
int side_note_error(struct side *s);
// A side that waited for neither got an event: notes whether its peer has hung up.
void side_note_hang_up(struct side *s);

#endif
