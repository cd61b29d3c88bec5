// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests. A client's names a server connection by process id and secret; only a link that has both
// is found, and the engine says whether what runs there is the client's own. Then the request is sent to the
// server on a connection of its own, and the client, which waits for the end of its connection, gets it when
// the server has closed: as without a proxy.
//
// Of a session's one is under way at a time: those that come before it is sent are done by it, those that
// come later by the next one, which is sent if what they meant still runs. A session that may not have one
// yet waits in a queue, since limits are met (max_cancels; half of it for one source): nobody's request is
// dropped for another's.
#include <stdlib.h>
#include <string.h>

#include "protocol/write.h"
#include "proxy/cancel_key.h"
#include "proxy/link.h"
#include "batching/flow/cancel.h"
#include "batching/session/session.h"

#define CANCEL_TIMEOUT 10000000 // microseconds

#define QUEUE_TIMEOUT 30000000
#define GRACE         20000 // from the end of a request to the next one: what the first has struck has ended by then
#define PERIOD        20 // milliseconds between two looks at what waits
#define MAX_JOINED    32 // clients that wait for the same request; the rest are not kept waiting

struct cancel {
    struct proxy *proxy;
    struct settings *settings; // a reference: the target outlives the attempt; NULL before it is started
    struct link *target;       // whose session it is for; NULL when it has gone
    bool ours;                 // the engine's request: the session is told of its end
    struct link *clients;      // who wait for its end
    unsigned n_clients;
    struct source source; // of the first of them
    bool busy;            // something of the session's ran when the last of them asked,
    uint64_t replies;     // and this was how much had been answered before
    struct connector *connector;
    struct stream stream;
    uv_poll_t poll;
    bool queued, open, closing;
    struct buf request;
    uint64_t started, not_before;
    uint64_t turn; // in the queue
    struct cancel *next, *previous;
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
    c->proxy->cancel.n++;
    return c;
}

static void watch_the_clock(struct proxy *p) {
    if (!uv_is_active((uv_handle_t *)&p->cancel.timer))
        uv_timer_start(&p->cancel.timer, on_timer, PERIOD, PERIOD);
}

// Sources take turns: each request comes behind those of its own source, and beside those of others.
static uint64_t turn_of(const struct cancel *c) {
    const struct cancels *all = &c->proxy->cancel;
    uint64_t last = all->turn;
    for (const struct cancel *o = all->queue; o; o = o->next)
        if (o->turn > last && source_equal(&o->source, &c->source))
            last = o->turn;
    return last + 1;
}

static void enqueue(struct cancel *c) {
    struct cancels *all = &c->proxy->cancel;
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
    struct cancels *all = &c->proxy->cancel;
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
    struct cancels *all = &c->proxy->cancel;
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

// The one that follows takes its place.
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
    struct cancels *all = &c->proxy->cancel;
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
        proxy_tell_time(target->proxy);
        session_cancel_done(target->session);
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
    if (c->queued && c->turn > p->cancel.turn)
        p->cancel.turn = c->turn;
    unlist(c);
    enlist_running(c);
    return true;
}

// ---- the queue

static bool has_room(const struct cancel *c) {
    const struct cancels *all = &c->proxy->cancel;
    unsigned most = (unsigned)c->proxy->settings->config->max_cancels, share = most / 2 ? most / 2 : 1, n = 0;
    if (all->n_clients >= most)
        return false;
    for (const struct cancel *o = all->running; o && n < share; o = o->next)
        n += !o->ours && source_equal(&o->source, &c->source);
    return n < share;
}

// What was to be cancelled when it was asked for is still there to be.
static bool is_wanted(const struct cancel *c) {
    const struct link *t = c->target;
    if (!t || !t->session || t->state != LINK_READY)
        return false;
    const struct session *s = t->session;
    proxy_tell_time(c->proxy);
    return (s->opaque || (c->busy && s->n_replies == c->replies)) && session_cancel(t->session);
}

static void run_queue(struct proxy *p) {
    unsigned most = (unsigned)p->settings->config->max_cancels;
    uint64_t now = proxy_now();
    for (struct cancel *c = p->cancel.queue, *next; c && p->cancel.n_clients < most; c = next) {
        next = c->next;
        if (c->target && (now < c->not_before || !has_room(c)))
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
    c->busy = s->opaque || s->owed.n;
    c->replies = s->n_replies;
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

// What is under way and not sent yet, or what follows it; NULL: a new one is needed.
static struct cancel *to_be_joined(struct link *target) {
    if (target->parked || !target->cancel)
        return target->parked;
    return target->cancel->open ? NULL : target->cancel;
}

static void relay(struct link *target, struct link *l) {
    struct cancel *c = to_be_joined(target), *before = target->cancel;
    target->proxy->cancel.relayed++;
    if (c || before)
        target->proxy->cancel.joined++;
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
    if (!before && (target->proxy->cancel.queue || !has_room(c) || !start(c))) {
        enqueue(c);
        run_queue(target->proxy);
    }
}

// In PostgreSQL's words, and without the key. The end comes later than that of a right one.
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
    if (guess_note(&p->cancel.guesses, from, l, proxy_now()))
        watch_the_clock(p);
    else
        link_close(l);
}

// Who has guessed much may still cancel a session from where it came.
static struct link *find(struct link *l, uint32_t pid, struct slice secret, const struct source *from,
                         bool *known) {
    struct link *target = cancel_key_find(l->proxy, pid, secret, known);
    if (!target || guess_is_allowed(&l->proxy->cancel.guesses, from))
        return target;
    struct source own = source_of(target->client.stream.fd);
    return source_equal(&own, from) ? target : NULL;
}

void cancel_from_client(struct link *l, uint32_t pid, struct slice secret) {
    struct source from = source_of(l->client.stream.fd);
    bool known;
    struct link *target = find(l, pid, secret, &from, &known);
    link_set_state(l, LINK_CANCEL);
    proxy_tell_time(l->proxy);
    if (!target)
        refuse_guess(l, &from, pid, known);
    else if (target->state == LINK_READY && target->session && session_cancel(target->session))
        relay(target, l);
    else
        link_close(l); // done already; a log-in that is under way has nothing to cancel
}

bool cancel_for_engine(struct link *l) {
    struct proxy *p = l->proxy;
    if (p->cancel.n_own >= (unsigned)p->settings->config->max_cancels)
        return false;
    struct cancel *c = cancel_new(l);
    if (!c)
        return false;
    c->ours = true;
    if (start(c))
        return true;
    p->cancel.n--;
    buf_free(&c->request);
    free(c);
    return false;
}

// ---- time, and ends of links

void cancel_init(struct proxy *p) {
    uv_timer_init(p->loop, &p->cancel.timer);
    p->cancel.timer.data = p;
}

static void on_timer(uv_timer_t *timer) {
    struct proxy *p = timer->data;
    for (struct link *l; (l = guess_due(&p->cancel.guesses, proxy_now()));)
        link_close(l);
    run_queue(p);
    if (!p->cancel.guesses.n_waiting && !p->cancel.queue)
        uv_timer_stop(timer);
}

// A server that takes the request and does not close would keep the session from going on.
void cancel_tick(struct proxy *p, uint64_t now) {
    for (struct cancel *c = p->cancel.running, *next; c; c = next) {
        next = c->next;
        if (now > c->started + CANCEL_TIMEOUT)
            finish(c);
    }
    for (struct cancel *c = p->cancel.queue, *next; c; c = next) {
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
    guess_forget_link(&l->proxy->cancel.guesses, l);
    if (l->awaits)
        stop_waiting(l);
    if (l->parked)
        enqueue(l->parked); // where it is found to be of no use
    for (struct cancel *c = l->key ? l->proxy->cancel.running : NULL; c; c = c->next)
        if (c->target == l)
            c->target = NULL;
    if (l->cancel)
        l->cancel->target = NULL;
    if (l->parked)
        l->parked->target = NULL;
    l->cancel = l->parked = NULL;
}

void cancel_close_all(struct proxy *p) {
    while (p->cancel.running || p->cancel.queue)
        finish(p->cancel.running ? p->cancel.running : p->cancel.queue);
}
