// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests. A client's names a server connection by process id and secret; only a link that has both
// is found, and the engine says whether what runs there is the client's own. Then the request is sent to the
// server on a connection of its own, and the client, which waits for the end of its connection, gets it when
// the server has closed: as without a proxy.
#include <stdlib.h>
#include <string.h>

#include "protocol/write.h"
#include "proxy/link.h"

#define CANCEL_TIMEOUT 10000000 // microseconds

struct cancel {
    struct proxy *proxy;
    struct settings *settings; // a reference: the target outlives the attempt
    struct link *client;       // whose request it is; NULL: the engine's, or the client has gone
    struct link *target; // the engine's request: whose session is told of its end; NULL when it has gone
    struct connector *connector;
    struct stream stream;
    uv_poll_t poll;
    bool open, closing;
    struct buf request;
    uint64_t started;
    struct cancel *next, *previous;
};

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

static void cancel_end(struct cancel *c) {
    if (c->closing)
        return;
    c->closing = true;
    *(c->previous ? &c->previous->next : &c->proxy->cancels) = c->next;
    if (c->next)
        c->next->previous = c->previous;
    c->proxy->n_cancels--;
    struct link *client = c->client, *target = c->target;
    c->client = c->target = NULL;
    if (c->connector)
        connector_cancel(c->connector);
    buf_free(&c->request);
    settings_unref(c->settings);
    if (c->open) {
        uv_poll_stop(&c->poll);
        uv_close((uv_handle_t *)&c->poll, on_closed);
        stream_close(&c->stream);
    } else {
        free(c);
    }
    if (client)
        link_close(client);
    if (target && target->session) {
        proxy_tell_time(target->proxy);
        session_cancel_done(target->session);
    }
}

// Writes the request, then reads until the server closes.
static void on_ready(uv_poll_t *poll, int status, int events) {
    struct cancel *c = poll->data;
    (void)events;
    uint8_t ignored[64];
    if (c->request.len) {
        ssize_t n = stream_write(&c->stream, c->request.data, c->request.len);
        if (n == STREAM_ERROR || status < 0)
            return cancel_end(c);
        if (n > 0)
            buf_consume(&c->request, (size_t)n);
    }
    if (!c->request.len) {
        ssize_t n = stream_read(&c->stream, ignored, sizeof ignored);
        if (n == STREAM_EOF || n == STREAM_ERROR || status < 0)
            return cancel_end(c);
    }
    uv_poll_start(&c->poll, c->request.len ? UV_WRITABLE : UV_READABLE, on_ready);
}

static void on_connected(void *arg, struct stream *stream, size_t host_index, const char *address,
                         const char *message) {
    struct cancel *c = arg;
    (void)host_index;
    (void)address;
    c->connector = NULL;
    if (!stream) {
        log_limited(&c->proxy->log, NULL, LOG_LEVEL_WARNING, 0, "could not send a cancel request: %s",
                    message);
        return cancel_end(c);
    }
    c->stream = *stream;
    if (uv_poll_init(c->proxy->loop, &c->poll, c->stream.fd) != 0) {
        stream_close(&c->stream);
        return cancel_end(c);
    }
    c->open = true;
    c->poll.data = c;
    uv_poll_start(&c->poll, UV_WRITABLE, on_ready);
}

// False: it could not even be started.
static bool cancel_start(struct link *target, struct link *client) {
    struct proxy *p = target->proxy;
    if (p->n_cancels >= (unsigned)p->settings->config->max_cancels || !target->key)
        return false;
    struct cancel *c = calloc(1, sizeof *c);
    if (!c)
        return false;
    c->proxy = p;
    c->request = buf_make(1024);
    write_cancel_request(&c->request, get_u32(target->key),
                         (struct slice){target->key + 4, target->key_len - 4});
    c->settings = settings_ref(target->settings);
    c->started = proxy_now();
    c->connector = connector_start_address(p->loop, c->settings->target, target->host_index, target->address,
                                           on_connected, c);
    if (c->request.failed || !c->connector) {
        if (c->connector)
            connector_cancel(c->connector);
        buf_free(&c->request);
        settings_unref(c->settings);
        free(c);
        return false;
    }
    c->client = client;
    c->next = p->cancels;
    if (c->next)
        c->next->previous = c;
    p->cancels = c;
    p->n_cancels++;
    return true;
}

void cancel_from_client(struct link *l, uint32_t pid, struct slice secret) {
    struct buf key = buf_make(512);
    struct link *target = NULL;
    buf_put_u32(&key, pid);
    buf_put(&key, secret.data, secret.len);
    if (!key.failed)
        HASH_FIND(hh, l->proxy->by_key, key.data, key.len, target);
    buf_free(&key);
    link_set_state(l, LINK_CANCEL);
    proxy_tell_time(l->proxy);
    bool relay = target && target->session && target->state == LINK_READY && session_cancel(target->session);
    // A log-in that is under way has nothing to cancel; a key that is not known is dropped in silence, as
    // PostgreSQL does.
    if (!relay || !cancel_start(target, l))
        link_close(l);
}

bool cancel_for_engine(struct link *l) {
    if (!cancel_start(l, NULL))
        return false;
    l->proxy->cancels->target = l; // it has become the first
    return true;
}

// A server that takes the request and does not close would keep the session from going on.
void cancel_tick(struct proxy *p, uint64_t now) {
    for (struct cancel *c = p->cancels, *next; c; c = next) {
        next = c->next;
        if (now > c->started + CANCEL_TIMEOUT)
            cancel_end(c);
    }
}

void cancel_forget_link(struct link *l) {
    for (struct cancel *c = l->proxy->cancels; c; c = c->next) {
        if (c->client == l)
            c->client = NULL;
        if (c->target == l)
            c->target = NULL;
    }
}

void cancel_close_all(struct proxy *p) {
    while (p->cancels)
        cancel_end(p->cancels);
}
