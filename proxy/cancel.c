// SPDX-License-Identifier: PostgreSQL
#include "proxy/cancel.h"

#include <stdlib.h>
#include <string.h>

#include "batching/flow/cancel.h"
#include "batching/session/session_state.h"
#include "protocol/write.h"
#include "proxy/cancel_key.h"
#include "proxy/connector.h"
#include "proxy/link.h"

#define CANCEL_TIMEOUT 10000000 // microseconds, from its start
#define QUEUE_TIMEOUT  30000000 // microseconds
#define GRACE          20000 // microseconds to the next request: what the first has struck has ended by then
#define PERIOD         20    // milliseconds between two looks at what waits
#define MAX_JOINED     32    // clients that wait for the same request; others are not kept waiting

struct cancel {
    struct proxy *proxy;
    struct settings *settings;      // a reference: the target outlives the attempt; NULL before it is started
    struct link *target;            // the link whose session it is for; NULL: that has gone
    bool ours;                      // the engine's request: the session is told of its end
    struct link *clients;           // list: who wait for its end
    unsigned n_clients;             // how many they are
    struct source source;           // of the first of them
    bool busy;                      // something of the session's ran when the last of them asked,
    uint64_t replies;               // and so much had been answered before
    struct connector *connector;    // the attempt under way
    struct stream stream;           // open: the connection that it is sent on
    uv_poll_t poll;                 // open: of that connection
    bool queued, open, closing;     // it is in the queue; it is connected; it has ended
    struct buf request;             // what is still to be sent
    uint64_t started;               // microseconds: when it was made, then when the attempt began
    uint64_t not_before;            // microseconds
    uint64_t turn;                  // its place in the queue
    struct cancel *next, *previous; // in the list of running ones, or in the queue
};

static void run_queue(struct proxy *p);
static void on_timer(uv_timer_t *timer);

// ---- lists

static struct cancel *cancel_new(struct link *target) {
    struct cancel *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->proxy = target->proxy;
    c->target = target;
    c->request = buf_make(1024);
    c->request.secret = true;
    c->started = proxy_now();
    c->proxy->cancels->n++;
    return c;
}

static void watch_the_clock(struct proxy *p) {
    if (!uv_is_active((uv_handle_t *)&p->cancels->timer))
        uv_timer_start(&p->cancels->timer, on_timer, PERIOD, PERIOD);
}

// Sources take turns: a request comes behind those of its own source, and in between those of other sources.
static uint64_t turn_of(const struct cancel *c) {
    const struct cancels *all = c->proxy->cancels;
    uint64_t last = all->turn;
    for (const struct cancel *o = all->queue; o; o = o->next)
        if (o->turn > last && source_equal(&o->source, &c->source))
            last = o->turn;
    return last + 1;
}

static void enqueue(struct cancel *c) {
    struct cancels *all = c->proxy->cancels;
    watch_the_clock(c->proxy);
    c->queued = true;
    c->turn = turn_of(c);
    c->previous = all->queue_end;
    while (c->previous && c->previous->turn > c->turn)
        c->previous = c->previous->previous;
    c->next = c->previous ? c->previous->next : all->queue;
    *(c->previous ? &c->previous->next : &all->queue) = c;
    *(c->next ? &c->next->previous : &all->queue_end) = c;
}

static void unlist(struct cancel *c) {
    struct cancels *all = c->proxy->cancels;
    if (c->queued && all->queue_end == c)
        all->queue_end = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else if (c->queued)
        all->queue = c->next;
    else if (all->running == c)
        all->running = c->next;
    if (c->next)
        c->next->previous = c->previous;
    c->next = c->previous = NULL;
    c->queued = false;
}

static void enlist_running(struct cancel *c) {
    struct cancels *all = c->proxy->cancels;
    c->next = all->running;
    if (c->next)
        c->next->previous = c;
    all->running = c;
    *(c->ours ? &all->n_own : &all->n_clients) += 1;
}

// ---- the end

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

static void close_connection(struct cancel *c) {
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
}

// The request that follows it, if any, takes its place at the session.
static void leave_target(struct cancel *c) {
    struct link *t = c->target;
    if (!t || c->ours)
        return;
    t->cancel = t->parked;
    t->parked = NULL;
    if (!t->cancel)
        return;
    t->cancel->not_before = proxy_now() + GRACE;
    enqueue(t->cancel);
}

static void finish(struct cancel *c) {
    if (c->closing)
        return;
    c->closing = true;
    bool ours = c->ours, running = c->settings != NULL;
    struct cancels *all = c->proxy->cancels;
    struct link *target = c->target, *clients = c->clients;
    unlist(c);
    all->n--;
    *(ours ? &all->n_own : &all->n_clients) -= running;
    leave_target(c);
    close_connection(c);
    for (struct link *l = clients, *next; l; l = next) {
        next = l->next_waiting;
        l->awaits = NULL;
        link_close(l);
    }
    if (ours && target && target->session) {
        session_cancel_done(target->session, proxy_now());
    }
}

static void cancel_end(struct cancel *c) {
    struct proxy *p = c->proxy;
    finish(c);
    run_queue(p);
}

// ---- the connection

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

// False: there are no descriptors, or no memory. Nothing has changed.
static bool start(struct cancel *c) {
    struct proxy *p = c->proxy;
    struct link *t = c->target;
    buf_reset(&c->request);
    if (t->key)
        write_cancel_request(&c->request, get_u32(t->key), (struct slice){t->key + 4, t->key_len - 4});
    if (!c->request.len || c->request.failed)
        return false;
    c->connector =
        connector_start_address(p->loop, t->settings->target, t->host_index, t->address, on_connected, c);
    if (!c->connector)
        return false;
    c->settings = settings_ref(t->settings);
    c->started = proxy_now();
    if (c->queued && c->turn > p->cancels->turn)
        p->cancels->turn = c->turn;
    unlist(c);
    enlist_running(c);
    return true;
}

// ---- the queue

static bool may_start(const struct cancel *c) {
    const struct cancels *all = c->proxy->cancels;
    unsigned most = (unsigned)c->proxy->settings->config->max_cancels, share = most / 2 ? most / 2 : 1, n = 0;
    if (all->n_clients >= most)
        return false;
    for (const struct cancel *o = all->running; o && n < share; o = o->next)
        n += !o->ours && source_equal(&o->source, &c->source);
    return n < share;
}

// Does what was to be cancelled still run?
static bool is_wanted(const struct cancel *c) {
    const struct link *t = c->target;
    if (!t || !t->session || t->state != LINK_READY)
        return false;
    const struct session *s = t->session;
    return (session_is_opaque(s) || (c->busy && session_replies(s) == c->replies)) &&
           session_cancel(t->session, proxy_now());
}

static void run_queue(struct proxy *p) {
    unsigned most = (unsigned)p->settings->config->max_cancels;
    uint64_t now = proxy_now();
    for (struct cancel *c = p->cancels->queue, *next; c && p->cancels->n_clients < most; c = next) {
        next = c->next;
        if (c->target && (now < c->not_before || !may_start(c)))
            continue;
        if (!is_wanted(c))
            finish(c);
        else if (!start(c))
            return; // tried again later
    }
}

// ---- whose request it is

static void attach(struct cancel *c, struct link *l) {
    const struct session *s = c->target->session;
    c->busy = session_is_opaque(s) || session_server_owes(s);
    c->replies = session_replies(s);
    if (!c->n_clients)
        c->source = source_of(l->client.stream.fd);
    if (c->n_clients >= MAX_JOINED) {
        link_close(l);
        return;
    }
    c->n_clients++;
    l->awaits = c;
    l->next_waiting = c->clients;
    c->clients = l;
}

// The request of this session that another client may join: one that is not sent yet, or the one that follows
// it. NULL: a new one is needed.
static struct cancel *to_be_joined(struct link *target) {
    if (target->parked || !target->cancel)
        return target->parked;
    return target->cancel->open ? NULL : target->cancel;
}

static void relay(struct link *target, struct link *l) {
    struct cancel *c = to_be_joined(target), *before = target->cancel;
    target->proxy->cancels->relayed++;
    if (c || before)
        target->proxy->cancels->joined++;
    if (c) {
        attach(c, l);
        return;
    }
    c = cancel_new(target);
    if (!c) {
        link_close(l);
        return;
    }
    *(before ? &target->parked : &target->cancel) = c;
    attach(c, l);
    if (!before && (target->proxy->cancels->queue || !may_start(c) || !start(c))) {
        enqueue(c);
        run_queue(target->proxy);
    }
}

// Logs it in PostgreSQL's words, without the key. Its connection is closed later than that of a right
// request.
static void refuse_guess(struct link *l, const struct source *from, uint32_t pid, bool known) {
    struct proxy *p = l->proxy;
    char name[SOURCE_NAME];
    source_name(l->client.stream.fd, name);
    if (known)
        log_limited(&p->log, NULL, LOG_LEVEL_WARNING, l->id,
                    "wrong key in cancel request for process %u, from %s", pid, name);
    else
        log_limited(&p->log, NULL, LOG_LEVEL_INFO, l->id,
                    "wrong key in cancel request: process %u did not match any session, from %s", pid, name);
    if (guess_note(&p->cancels->guesses, from, l, proxy_now()))
        watch_the_clock(p);
    else
        link_close(l);
}

// Finds the session that a request is for. A source that has guessed much reaches only sessions of its own.
static struct link *find(struct link *l, uint32_t pid, struct slice secret, const struct source *from,
                         bool *known) {
    struct link *target = cancel_key_find(l->proxy, pid, secret, known);
    if (!target || guess_is_allowed(&l->proxy->cancels->guesses, from))
        return target;
    struct source own = source_of(target->client.stream.fd);
    return source_equal(&own, from) ? target : NULL;
}

void cancel_from_client(struct link *l, uint32_t pid, struct slice secret) {
    struct source from = source_of(l->client.stream.fd);
    bool known;
    struct link *target = find(l, pid, secret, &from, &known);
    link_set_state(l, LINK_CANCEL);
    if (!target)
        refuse_guess(l, &from, pid, known);
    else if (target->state == LINK_READY && target->session && session_cancel(target->session, proxy_now()))
        relay(target, l);
    else
        link_close(l); // done already; a log-in that is under way has nothing to cancel
}

bool cancel_for_engine(struct link *l) {
    struct proxy *p = l->proxy;
    if (p->cancels->n_own >= (unsigned)p->settings->config->max_cancels)
        return false;
    struct cancel *c = cancel_new(l);
    if (!c)
        return false;
    c->ours = true;
    if (start(c))
        return true;
    p->cancels->n--;
    buf_free(&c->request);
    free(c);
    return false;
}

// ---- time, and ends of links

void cancel_init(struct cancels *all, struct proxy *p) {
    uv_timer_init(p->loop, &all->timer);
    all->timer.data = p;
}

static void on_timer(uv_timer_t *timer) {
    struct proxy *p = timer->data;
    for (struct link *l; (l = guess_due(&p->cancels->guesses, proxy_now()));)
        link_close(l);
    run_queue(p);
    if (!p->cancels->guesses.n_waiting && !p->cancels->queue)
        uv_timer_stop(timer);
}

// Without this, a server that takes a request and never closes would keep the session from going on.
void cancel_tick(struct proxy *p, uint64_t now) {
    for (struct cancel *c = p->cancels->running, *next; c; c = next) {
        next = c->next;
        if (now > c->started + CANCEL_TIMEOUT)
            finish(c);
    }
    for (struct cancel *c = p->cancels->queue, *next; c; c = next) {
        next = c->next;
        if (!c->target || now > c->started + QUEUE_TIMEOUT)
            finish(c);
    }
}

static void stop_waiting(struct link *l) {
    struct link **at = &l->awaits->clients;
    while (*at != l)
        at = &(*at)->next_waiting;
    *at = l->next_waiting;
    l->awaits->n_clients--;
    l->awaits = NULL;
}

void cancel_forget_link(struct link *l) {
    guess_forget_link(&l->proxy->cancels->guesses, l);
    if (l->awaits)
        stop_waiting(l);
    if (l->parked)
        enqueue(l->parked); // without a target it is dropped there
    for (struct cancel *c = l->key ? l->proxy->cancels->running : NULL; c; c = c->next)
        if (c->target == l)
            c->target = NULL;
    if (l->cancel)
        l->cancel->target = NULL;
    if (l->parked)
        l->parked->target = NULL;
    l->cancel = l->parked = NULL;
}

void cancel_close_all(struct proxy *p) {
    while (p->cancels->running || p->cancels->queue)
        finish(p->cancels->running ? p->cancels->running : p->cancels->queue);
}
