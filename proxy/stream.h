// SPDX-License-Identifier: PostgreSQL
//
// A byte stream over a non-blocking socket, plain or TLS, behind one small table of operations, so that the
// code above cannot tell which it has. Owns its descriptor and its SSL object.
#ifndef PGFOLD_PROXY_STREAM_H
#define PGFOLD_PROXY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ssl_st;
struct ssl_ctx_st;

// What stream_read and stream_write say besides a count of bytes (> 0).
enum {
    STREAM_EOF = 0,         // read: the peer closed its side (TLS: with or without close_notify)
    STREAM_WANT_READ = -1,  // try again when the socket is readable
    STREAM_WANT_WRITE = -2, // try again when the socket is writable (a TLS read may want this, too)
    STREAM_ERROR = -3,      // errno or the TLS error is kept, see stream_error
};

struct stream;
struct stream_ops {
    ssize_t (*read)(struct stream *s, void *to, size_t len);
    ssize_t (*write)(struct stream *s, const void *from, size_t len);
    int (*handshake)(struct stream *s); // 1: done; STREAM_WANT_READ, STREAM_WANT_WRITE or STREAM_ERROR
    int (*finish)(struct stream *s);    // the same
};

struct stream {
    const struct stream_ops *ops;
    int fd;             // -1 when closed
    struct ssl_st *ssl; // NULL when plain
    int saved_errno;
    unsigned long saved_tls_error;
};

void stream_init_plain(struct stream *s, int fd);
// What a client-side context asks of stream_start_tls; kept in the context itself (its app_data).
enum { STREAM_TLS_CHECK_NAME = 1, STREAM_TLS_NO_SNI = 2 };
void stream_set_tls_policy(struct ssl_ctx_st *ctx, unsigned policy);
// Turns a plain stream into a TLS one; the handshake is still to be made. Returns 0, or -1 without a change.
// server_side: we are the server. host: the name for SNI and, with STREAM_TLS_CHECK_NAME, for the check; NULL
// when we are the server.
int stream_start_tls(struct stream *s, struct ssl_ctx_st *ctx, bool server_side, const char *host);
static inline ssize_t stream_read(struct stream *s, void *to, size_t len) {
    return s->ops->read(s, to, len);
}
// May write less than len. With TLS a call that returned STREAM_WANT_* must be repeated with the same bytes,
// which may have moved in memory.
static inline ssize_t stream_write(struct stream *s, const void *from, size_t len) {
    return s->ops->write(s, from, len);
}
// Tells the peer that nothing more will be written, behind all that was written. It can still be read from.
// Returns what a handshake returns.
static inline int stream_finish(struct stream *s) {
    return s->ops->finish(s);
}
// Has a client's whole first TLS record come, or something that is none, or its end? If not, the socket
// becomes readable only when that has changed. So nothing is allocated before there is something to answer.
bool stream_hello_is_here(const struct stream *s);
// Acknowledges what was read now, instead of with the answer to it. A peer that has not set TCP_NODELAY keeps
// its next statements back until then (RFC 896). See TCP_QUICKACK in tcp(7); does nothing where that is
// missing.
void stream_acknowledge(const struct stream *s);
bool stream_has_buffered(const struct stream *s); // decrypted bytes wait that poll() cannot see
// Until this is called, what TLS has decrypted is wiped from its buffers and from the stack once it is read.
void stream_end_wiping(const struct stream *s);
// Wipes what is left below the caller's frame. Where the loader finds a function at its first call, it saves registers there, and
// those may have in them what was read or written last.
void stream_wipe_stack(void);
void stream_error(const struct stream *s, char *out, size_t size); // the last error as a phrase
void stream_abort(const struct stream *s); // closing it will look like the end of a crashed peer
void stream_close(struct stream *s);       // close_notify tried once, without waiting; idempotent

#endif
