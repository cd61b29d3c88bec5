// SPDX-License-Identifier: PostgreSQL
#include "proxy/side.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proxy/proxy.h"

#define KEEP_BUFFER 1024 // an empty buffer of at most this many bytes is kept

// ---- life

bool side_open(struct side *s, uv_loop_t *loop, uv_poll_cb ready, void *data) {
    s->poll = malloc(sizeof *s->poll);
    if (s->poll && uv_poll_init(loop, s->poll, s->stream.fd) == 0) {
        s->poll->data = data;
        s->ready = ready;
        s->events = 0;
        return true;
    }
    free(s->poll);
    s->poll = NULL;
    return false;
}

static void on_poll_closed(uv_handle_t *handle) {
    free(handle);
}

void side_close(struct side *s) {
    if (s->poll) {
        uv_poll_stop(s->poll);
        uv_close((uv_handle_t *)s->poll, on_poll_closed);
        s->poll = NULL;
    }
    if (s->stream.fd >= 0)
        stream_close(&s->stream);
    s->eof = s->broken = true;
}

void side_free_buffers(struct side *s) {
    buf_free(&s->in);
    buf_free(&s->out);
}

// A message of a batch must fit into `in`. What an answer or a batch may add, beyond the point where reading
// stops, must fit into `out`.
void side_set_limits(struct side *s, const struct config *c) {
    size_t in = c->max_answer + c->max_text + (size_t)4 * PROXY_READ_SIZE;
    size_t out = c->session_buffer + 4 * c->max_answer + (size_t)4 * PROXY_READ_SIZE;
    s->in.limit = in > s->in.limit ? in : s->in.limit;
    s->out.limit = out > s->out.limit ? out : s->out.limit;
}

void side_set_secret(struct side *s, bool secret) {
    s->in.secret = s->out.secret = secret;
    if (!secret)
        stream_end_wiping(&s->stream);
}

// ---- writing

// A broken connection is noted here and handled when the link is next looked at. What the peer said before
// can still be read, except with TLS: OpenSSL forbids it.
size_t side_send(struct side *s, const uint8_t *bytes, size_t len) {
    size_t sent = 0;
    while (sent < len && !s->broken) {
        ssize_t n = stream_write(&s->stream, bytes + sent, len - sent);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        s->write_wants_read = n == STREAM_WANT_READ;
        s->broken = n == STREAM_ERROR;
        s->eof |= s->broken && s->stream.ssl;
        break;
    }
    s->sent += sent;
    return sent;
}

void side_flush(struct side *s) {
    if (!s->out.len)
        return;
    size_t sent = side_send(s, s->out.data, s->out.len);
    if (sent)
        buf_consume(&s->out, sent);
    if (s->broken)
        buf_reset(&s->out); // nobody will have it
    if (!s->out.len && s->out.cap > KEEP_BUFFER)
        buf_free(&s->out);
}

// ---- waiting

// epoll reports a hang-up together with any other event. Out-of-band data is an event that does not come, so
// waiting for it (UV_PRIORITIZED) waits for the hang-up alone.
void side_wait(struct side *s, bool read, bool unsent, bool tells_end) {
    int events = 0;
    if (!s->poll)
        return;
    unsent = unsent && !s->broken;
    if (read || (s->write_wants_read && unsent))
        events |= UV_READABLE;
    if ((unsent && !s->write_wants_read) || (read && s->read_wants_write))
        events |= UV_WRITABLE;
    if (!events && !s->broken)
        events = UV_PRIORITIZED;
    if (!read && !s->hung_up && !s->broken && tells_end)
        events |= UV_DISCONNECT;
    if (events == s->events)
        return;
    s->events = events;
    if (events)
        uv_poll_start(s->poll, events, s->ready);
    else
        uv_poll_stop(s->poll);
}

// libuv stops a handle whose socket is broken. Bytes that came before may still wait there, more than one
// read takes; the error itself comes only behind them.
int side_note_error(struct side *s) {
    s->events = 0;
    s->broken = true;
    return UV_READABLE | UV_WRITABLE;
}

void side_note_hang_up(struct side *s) {
    struct pollfd p = {.fd = s->stream.fd};
    uint8_t urgent;
    if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
        s->broken = true;
    else if (recv(s->stream.fd, &urgent, 1, MSG_OOB) < 0) // out-of-band data means nothing to anybody
        return;
}
