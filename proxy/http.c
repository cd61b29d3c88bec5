// SPDX-License-Identifier: PostgreSQL
#include "proxy/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "proxy/address.h"
#include "proxy/gate.h"
#include "proxy/http_reply.h"
#include "proxy/report_making.h"
#include "proxy/reach.h"

#define HTTP_ADDRESSES 8
#define ACCEPT_AT_ONCE 8

struct door { // a listening socket
    struct http *http;
    uv_poll_t poll;
    int fd; // -1: the address is in use
    struct sockaddr_storage address;
    socklen_t len;
    char name[300]; // as it was set
};

struct http {
    struct proxy *proxy;
    struct MHD_Daemon *daemon;
    struct http_replies *replies;
    uv_poll_t poll;   // libmicrohttpd's epoll descriptor
    uv_timer_t timer; // its time-outs
    struct door doors[HTTP_ADDRESSES];
    unsigned n_doors;
    unsigned n;       // connections
    unsigned closing; // handles that the loop has not given back yet
};

// ---- the loop

static void arm(struct http *h);

static void run(struct http *h) {
    proxy_is_awake(h->proxy);
    http_replies_work(h->replies);
    MHD_run(h->daemon); // a request may begin such work
    arm(h);
}

static void on_timer(uv_timer_t *timer) {
    run(timer->data);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    run(poll->data);
}

static void arm(struct http *h) {
    MHD_UNSIGNED_LONG_LONG ms;
    bool ends = MHD_get_timeout(h->daemon, &ms) == MHD_YES;
    if (http_replies_works(h->replies) && (!ends || ms > REPORT_PAUSE / 1000 + 1))
        uv_timer_start(&h->timer, on_timer, REPORT_PAUSE / 1000 + 1, 0);
    else if (ends)
        uv_timer_start(&h->timer, on_timer, ms, 0);
    else
        uv_timer_stop(&h->timer);
}

static void on_told(void *arg) {
    struct http *h = arg;
    http_replies_resume(h->replies);
    run(h);
}

// ---- connections

static void on_connection(uv_poll_t *poll, int status, int events);

static void watch_doors(struct http *h) {
    for (unsigned i = 0; i < h->n_doors; i++) {
        struct door *d = &h->doors[i];
        if (d->fd >= 0 && h->n < HTTP_CONNECTIONS)
            uv_poll_start(&d->poll, UV_READABLE, on_connection);
        else if (d->fd >= 0)
            uv_poll_stop(&d->poll);
    }
}

static void on_life(void *arg, struct MHD_Connection *c, void **context,
                    enum MHD_ConnectionNotificationCode code) {
    struct http *h = arg;
    (void)c;
    (void)context;
    h->n += code == MHD_CONNECTION_NOTIFY_STARTED ? 1u : -1u;
    if (!h->closing)
        watch_doors(h);
}

// Descriptors are kept for clients of the database.
static void on_connection(uv_poll_t *poll, int status, int events) {
    struct door *d = poll->data;
    struct http *h = d->http;
    (void)status;
    (void)events;
    proxy_is_awake(h->proxy);
    for (int i = 0; i < ACCEPT_AT_ONCE && h->n < HTTP_CONNECTIONS; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept4(d->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED)
            uv_poll_stop(&d->poll); // none are left: http_tick() looks again
        if (fd < 0)
            break;
        if (gate_is_short(h->proxy->gate, fd, GATE_LOGIN))
            close(fd);
        else
            MHD_add_connection(h->daemon, fd, (struct sockaddr *)&peer, len); // closes it when it fails
    }
    run(h);
}

// ---- addresses

// False: the address cannot be used at all. In use is another matter.
static bool open_door(struct door *d) {
    int on = 1, fd = socket(d->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (d->address.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&d->address, d->len) != 0 || listen(fd, HTTP_CONNECTIONS) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return error == EADDRINUSE;
    }
    d->fd = fd;
    uv_poll_init(d->http->proxy->loop, &d->poll, fd);
    d->poll.data = d;
    uv_poll_start(&d->poll, UV_READABLE, on_connection);
    return true;
}

static bool add_door(struct http *h, const struct addrinfo *a, const char *name) {
    if (h->n_doors == HTTP_ADDRESSES || a->ai_addrlen > sizeof(struct sockaddr_storage))
        return false;
    struct door *d = &h->doors[h->n_doors];
    *d = (struct door){.http = h, .fd = -1, .len = a->ai_addrlen};
    memcpy(&d->address, a->ai_addr, a->ai_addrlen);
    snprintf(d->name, sizeof d->name, "%s", name);
    if (!open_door(d))
        return false;
    h->n_doors++;
    if (d->fd < 0)
        log_event(&h->proxy->log, LOG_LEVEL_WARNING, 0,
                  "http.listen: %s is in use, by another pgfold perhaps: there is no HTTP there until it is "
                  "free; set http.listen to another address, or to nothing",
                  name);
    else
        log_event(&h->proxy->log, LOG_LEVEL_INFO, 0, "HTTP: http://%s/", name);
    return true;
}

static bool open_one(void *arg, const struct listen_address *a, char *err, size_t err_size) {
    struct http *h = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    bool any = !*a->host || strcmp(a->host, "*") == 0;
    unsigned opened = 0;
    if (a->host[0] == '/') {
        snprintf(err, err_size, "http.listen: \"%s\" is no address of TCP: write host:port", a->name);
        return false;
    }
    int r = getaddrinfo(any ? NULL : a->host, a->port, &hints, &list);
    if (r != 0) {
        snprintf(err, err_size, "http.listen: could not resolve \"%s\": %s", a->name, gai_strerror(r));
        return false;
    }
    for (struct addrinfo *x = list; x; x = x->ai_next)
        opened += add_door(h, x, a->name);
    if (!opened)
        snprintf(err, err_size, "http.listen: could not bind \"%s\": %s", a->name, strerror(errno));
    freeaddrinfo(list);
    return opened > 0; // a host without IPv6 still resolves to it
}

// ---- life

static bool start(struct http *h) {
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
                                 NULL, http_reply, h->replies, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)HTTP_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                 (size_t)HTTP_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_TIMEOUT,
                                 MHD_OPTION_NOTIFY_CONNECTION, on_life, h, MHD_OPTION_SIGPIPE_HANDLED_BY_APP,
                                 1, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        h->daemon ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return false;
    uv_timer_init(h->proxy->loop, &h->timer);
    uv_poll_init(h->proxy->loop, &h->poll, info->epoll_fd);
    h->timer.data = h->poll.data = h;
    uv_poll_start(&h->poll, UV_READABLE, on_ready);
    h->proxy->reach->told = on_told;
    h->proxy->reach->arg = h;
    return true;
}

bool http_open(struct http **out, struct proxy *p, const char *addresses, char *err, size_t err_size) {
    *out = NULL;
    if (!addresses[strspn(addresses, " ,")])
        return true;
    struct http *h = calloc(1, sizeof *h);
    if (h)
        h->proxy = p;
    if (h)
        h->replies = http_replies_create(p);
    if (!h || !h->replies || !start(h)) {
        snprintf(err, err_size, "http.listen: out of memory or file descriptors");
        http_close(h);
        return false;
    }
    if (!addresses_visit("http.listen", addresses, open_one, h, err, err_size)) {
        http_close(h);
        return false;
    }
    *out = h;
    return true;
}

void http_tick(struct http *h) {
    for (unsigned i = 0; h && i < h->n_doors; i++) {
        struct door *d = &h->doors[i];
        if (d->fd < 0 && open_door(d) && d->fd >= 0)
            log_event(&h->proxy->log, LOG_LEVEL_INFO, 0, "HTTP: http://%s/", d->name);
    }
    if (h)
        watch_doors(h);
}

static void on_closed(uv_handle_t *handle) {
    struct http *h = uv_handle_get_data(handle);
    if (!--h->closing)
        free(h);
}

static void close_one(struct http *h, uv_handle_t *handle) {
    h->closing++;
    handle->data = h;
    uv_close(handle, on_closed);
}

void http_close(struct http *h) {
    if (!h)
        return;
    h->closing = 1;
    for (unsigned i = 0; i < h->n_doors; i++) {
        if (h->doors[i].fd < 0)
            continue;
        close_one(h, (uv_handle_t *)&h->doors[i].poll);
        close(h->doors[i].fd);
    }
    if (h->poll.data) {
        close_one(h, (uv_handle_t *)&h->poll);
        close_one(h, (uv_handle_t *)&h->timer);
    }
    h->proxy->reach->told = NULL;
    if (h->daemon)
        http_replies_resume_all(h->replies);
    if (h->daemon)
        MHD_stop_daemon(h->daemon);
    http_replies_free(h->replies);
    if (!--h->closing)
        free(h);
}
