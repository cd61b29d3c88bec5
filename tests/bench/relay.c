// SPDX-License-Identifier: PostgreSQL
//
// A relay that makes a loopback connection feel far away: every byte is handed on half a round-trip time
// after it came, in order and at full bandwidth. `tc netem` needs rights that containers lack; this needs
// none.
//
//   relay --listen HOST:PORT --to HOST:PORT --delay-us N [--trace FILE]   (prints "listening on HOST:PORT" when ready)
//
// With --trace each chunk is written to the file as it comes: nanoseconds of CLOCK_MONOTONIC, the number of its connection and
// of its bytes, 0 for the way to the server or 1 back (struct note); then its bytes.
//
// Each direction of a connection is a queue of chunks with the time at which each is due. libuv's timers
// count in milliseconds, so one timerfd, watched by the loop, wakes for the chunk that is due first. A
// direction whose queue holds 64 MB is not read until some has gone: that ceiling is bandwidth times delay
// for 640 MB/s at 100 ms.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

enum { CHUNK = 64 * 1024, QUEUE_MAX = 64 * 1024 * 1024, BACKLOG = 1024 };

struct chunk {
    struct chunk *next;
    uint64_t due; // nanoseconds of uv_hrtime
    size_t len;   // 0: the end of the stream
    uv_write_t write;
    struct direction *direction;
    char data[];
};

struct direction {
    struct pair *pair;
    uv_tcp_t *from, *to;
    struct chunk *head, **tail;
    size_t queued; // bytes read and not yet written
    bool paused;   // the queue is full, from is not read
};

struct pair {
    struct relay *relay;
    struct pair *next, **link; // in relay->pairs
    uint32_t number;
    uv_tcp_t client, server;
    uv_connect_t connect;
    struct direction up, down; // client to server, server to client
    int open_handles;
    bool closing;
};

struct note {
    uint64_t at;
    uint32_t pair, len, down;
} __attribute__((packed));

struct relay {
    uv_loop_t loop;
    FILE *trace; // NULL: none is kept
    uint32_t n_pairs;
    uv_tcp_t listener;
    uv_signal_t sigterm, sigint;
    uv_poll_t timer;
    int timer_fd;
    uint64_t armed; // the time for which the timer is set, 0: none
    uint64_t delay; // nanoseconds, one way
    struct sockaddr_in to;
    struct pair *pairs;
};

static void die(const char *what, int error) {
    fprintf(stderr, "relay: %s: %s\n", what, uv_strerror(error));
    exit(1);
}

static void drop_queue(struct direction *d) {
    while (d->head) {
        struct chunk *c = d->head;
        d->head = c->next;
        free(c);
    }
    d->tail = &d->head;
}

static void on_handle_closed(uv_handle_t *h) {
    struct pair *p = h->data;
    if (--p->open_handles > 0)
        return;
    drop_queue(&p->up);
    drop_queue(&p->down);
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    free(p);
}

static void pair_close(struct pair *p) {
    if (p->closing)
        return;
    p->closing = true;
    uv_close((uv_handle_t *)&p->client, on_handle_closed);
    uv_close((uv_handle_t *)&p->server, on_handle_closed);
}

static void arm_timer(struct relay *r, uint64_t due) {
    if (r->armed && r->armed <= due)
        return;
    r->armed = due;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(due / 1000000000), .tv_nsec = (long)(due % 1000000000)}};
    if (timerfd_settime(r->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        die("timerfd_settime", -errno);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf) {
    (void)h;
    (void)suggested;
    struct chunk *c = malloc(sizeof *c + CHUNK);
    *buf = c ? uv_buf_init(c->data, CHUNK) : uv_buf_init(NULL, 0);
}

static struct direction *direction_of(uv_stream_t *s) {
    struct pair *p = s->data;
    return s == (uv_stream_t *)&p->client ? &p->up : &p->down;
}

static void enqueue(struct direction *d, struct chunk *c, size_t len) {
    struct relay *r = d->pair->relay;
    c->next = NULL;
    c->len = len;
    c->direction = d;
    c->due = uv_hrtime() + r->delay;
    *d->tail = c;
    d->tail = &c->next;
    d->queued += len;
    arm_timer(r, d->head->due);
}

static void note(const struct direction *d, const char *data, size_t len) {
    FILE *f = d->pair->relay->trace;
    struct note n = {uv_hrtime(), d->pair->number, (uint32_t)len, d == &d->pair->down};
    if (!f)
        return;
    fwrite(&n, sizeof n, 1, f);
    fwrite(data, 1, len, f);
    fflush(f);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
    struct direction *d = direction_of(s);
    struct chunk *c = buf->base ? (struct chunk *)(void *)(buf->base - offsetof(struct chunk, data)) : NULL;
    if (n < 0 && n != UV_EOF)
        pair_close(d->pair);
    if (n == 0 || d->pair->closing) {
        free(c);
        return;
    }
    if (n > 0)
        note(d, buf->base, (size_t)n);
    if (n == UV_EOF && !c)
        c = malloc(sizeof *c);
    else if (c && n > 0)
        c = realloc(c, sizeof *c + (size_t)n); // most chunks are far smaller than the buffer
    if (!c)
        die("memory", UV_ENOMEM);
    if (n == UV_EOF)
        uv_read_stop(s);
    enqueue(d, c, n == UV_EOF ? 0 : (size_t)n);
    if (d->queued >= QUEUE_MAX && n > 0) {
        d->paused = true;
        uv_read_stop(s);
    }
}

static void on_written(uv_write_t *w, int status) {
    struct chunk *c = w->data;
    struct direction *d = c->direction;
    d->queued -= c->len;
    free(c);
    if (status < 0) {
        pair_close(d->pair);
    } else if (d->paused && d->queued < QUEUE_MAX / 2 && !d->pair->closing) {
        d->paused = false;
        uv_read_start((uv_stream_t *)d->from, on_alloc, on_read);
    }
}

static void on_shutdown(uv_shutdown_t *s, int status) {
    (void)status;
    struct direction *d = s->data;
    struct pair *p = d->pair;
    free(s);
    // Both directions have ended, or a peer that has seen the end closes soon: its own end comes as a chunk,
    // too.
    if (!p->closing && !uv_is_active((uv_handle_t *)&p->client) && !uv_is_active((uv_handle_t *)&p->server) &&
        !p->up.head && !p->down.head)
        pair_close(p);
}

static void pass_end(struct direction *d, struct chunk *c) {
    free(c);
    uv_shutdown_t *s = malloc(sizeof *s);
    if (!s)
        die("memory", UV_ENOMEM);
    s->data = d;
    if (uv_shutdown(s, (uv_stream_t *)d->to, on_shutdown) < 0) {
        free(s);
        pair_close(d->pair);
    }
}

static void pass_chunk(struct direction *d, struct chunk *c) {
    if (c->len == 0) {
        pass_end(d, c);
        return;
    }
    uv_buf_t buf = uv_buf_init(c->data, (unsigned)c->len);
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)d->to, &buf, 1, on_written) < 0) {
        free(c);
        pair_close(d->pair);
    }
}

// Hands on what is due; returns when the next is, 0 for never.
static uint64_t direction_run(struct direction *d, uint64_t now) {
    while (d->head && d->head->due <= now && !d->pair->closing) {
        struct chunk *c = d->head;
        d->head = c->next;
        if (!d->head)
            d->tail = &d->head;
        pass_chunk(d, c);
    }
    return d->head ? d->head->due : 0;
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static void on_timer(uv_poll_t *t, int status, int events) {
    (void)status;
    (void)events;
    struct relay *r = t->data;
    uint64_t expirations, next = 0, now = uv_hrtime();
    if (read(r->timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN)
        die("timerfd", -errno);
    r->armed = 0;
    for (struct pair *p = r->pairs; p; p = p->next) {
        if (p->closing)
            continue;
        next = earlier(next, direction_run(&p->up, now));
        next = earlier(next, direction_run(&p->down, now));
    }
    if (next)
        arm_timer(r, next);
}

static void on_connected(uv_connect_t *c, int status) {
    struct pair *p = c->data;
    if (status < 0) {
        pair_close(p);
        return;
    }
    uv_tcp_nodelay(&p->server, 1);
    uv_read_start((uv_stream_t *)&p->client, on_alloc, on_read);
    uv_read_start((uv_stream_t *)&p->server, on_alloc, on_read);
}

static void pair_init(struct relay *r, struct pair *p) {
    p->relay = r;
    p->number = ++r->n_pairs;
    p->open_handles = 2;
    p->up = (struct direction){.pair = p, .from = &p->client, .to = &p->server};
    p->down = (struct direction){.pair = p, .from = &p->server, .to = &p->client};
    p->up.tail = &p->up.head;
    p->down.tail = &p->down.head;
    p->client.data = p->server.data = p->connect.data = p;
    uv_tcp_init(&r->loop, &p->client);
    uv_tcp_init(&r->loop, &p->server);
    p->next = r->pairs;
    p->link = &r->pairs;
    if (p->next)
        p->next->link = &p->next;
    r->pairs = p;
}

static void on_connection(uv_stream_t *listener, int status) {
    struct relay *r = listener->data;
    struct pair *p = status < 0 ? NULL : calloc(1, sizeof *p);
    if (!p)
        return;
    pair_init(r, p);
    if (uv_accept(listener, (uv_stream_t *)&p->client) < 0 ||
        uv_tcp_connect(&p->connect, &p->server, (const struct sockaddr *)&r->to, on_connected) < 0) {
        pair_close(p);
        return;
    }
    uv_tcp_nodelay(&p->client, 1);
}

static void on_signal(uv_signal_t *s, int number) {
    (void)number;
    uv_stop(s->loop);
}

static struct sockaddr_in address(const char *text) {
    char host[64];
    const char *colon = text ? strrchr(text, ':') : NULL;
    struct sockaddr_in out;
    if (!colon || (size_t)(colon - text) >= sizeof host) {
        fprintf(stderr, "relay: \"%s\" is not HOST:PORT\n", text ? text : "");
        exit(2);
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    int error = uv_ip4_addr(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, atoi(colon + 1), &out);
    if (error)
        die(text, error);
    return out;
}

static const char *may_argument(int argc, char **argv, const char *name) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static const char *argument(int argc, char **argv, const char *name) {
    const char *found = may_argument(argc, argv, name);
    if (found)
        return found;
    fprintf(stderr, "usage: relay --listen HOST:PORT --to HOST:PORT --delay-us ROUND_TRIP [--trace FILE]\n");
    exit(2);
}

static void trace_to(struct relay *r, const char *name) {
    r->trace = name ? fopen(name, "wb") : NULL;
    if (name && !r->trace)
        die(name, -errno);
}

static void relay_start(struct relay *r, const char *listen_on) {
    struct sockaddr_in at = address(listen_on);
    uv_loop_init(&r->loop);
    uv_tcp_init(&r->loop, &r->listener);
    r->listener.data = r;
    int error = uv_tcp_bind(&r->listener, (const struct sockaddr *)&at, 0);
    if (!error)
        error = uv_listen((uv_stream_t *)&r->listener, BACKLOG, on_connection);
    if (error)
        die(listen_on, error);
    r->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC); // the clock of uv_hrtime
    if (r->timer_fd < 0)
        die("timerfd_create", -errno);
    uv_poll_init(&r->loop, &r->timer, r->timer_fd);
    r->timer.data = r;
    uv_poll_start(&r->timer, UV_READABLE, on_timer);
    uv_signal_init(&r->loop, &r->sigterm);
    uv_signal_init(&r->loop, &r->sigint);
    uv_signal_start(&r->sigterm, on_signal, SIGTERM);
    uv_signal_start(&r->sigint, on_signal, SIGINT);
}

int main(int argc, char **argv) {
    static struct relay r; // zeroed; the one relay of the process
    signal(SIGPIPE, SIG_IGN);
    r.to = address(argument(argc, argv, "--to"));
    r.delay = strtoull(argument(argc, argv, "--delay-us"), NULL, 10) * 1000 / 2;
    trace_to(&r, may_argument(argc, argv, "--trace"));
    relay_start(&r, argument(argc, argv, "--listen"));
    printf("listening on %s\n", argument(argc, argv, "--listen"));
    fflush(stdout);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    return 0;
}
