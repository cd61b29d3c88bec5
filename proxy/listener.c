// SPDX-License-Identifier: PostgreSQL
//
// Addresses are resolved once, at the start, before the loop runs. A burst of connections is accepted in one
// go, up to ACCEPT_AT_ONCE: those that are connected want service, too.
#include "proxy/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/write.h"
#include "proxy/address.h"
#include "proxy/gate.h"
#include "proxy/login.h"

#define ACCEPT_AT_ONCE 64
#define PAUSE_LEAST    10 // milliseconds without accepting, after it has failed
#define PAUSE_MOST     1000
#define TELL_EVERY     60000000 // microseconds: the log is told at most so often

struct listener {
    struct proxy *proxy;
    uv_poll_t poll;
    int fd;
    unsigned pause;                                         // milliseconds: the last one; 0: none
    uint64_t told;                                          // microseconds: when the log was last told of it
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; // Unix socket's file, else empty
    struct listener *next;
};

static void send_away(struct proxy *p, int fd) {
    struct buf b = buf_make(1024);
    write_error(&b, "FATAL", "53300", "pgfold has no file descriptors left", NULL,
                "Raise the limit on open files (ulimit -n, LimitNOFILE).");
    ssize_t ignored = b.failed ? 0 : send(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
    buf_free(&b);
    close(fd);
    p->refused++;
}

// There are no descriptors left. The spare one is given up to say so to one client, which would otherwise
// wait for its time-out.
static void refuse_for_descriptors(struct listener *ls) {
    struct proxy *p = ls->proxy;
    if (p->spare_fd >= 0)
        close(p->spare_fd);
    int fd = accept4(ls->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        send_away(p, fd);
    p->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

// It is not the client's fault, and the next one would fare no better. To try on and on would take the time
// of those that are connected, so the listeners pause.
static void accept_failed(struct listener *ls, int error) {
    struct proxy *p = ls->proxy;
    if (error == EMFILE || error == ENFILE)
        refuse_for_descriptors(ls);
    ls->pause = ls->pause ? ls->pause * 2 : PAUSE_LEAST;
    if (ls->pause > PAUSE_MOST)
        ls->pause = PAUSE_MOST;
    gate_evict(p->gate, GATE_HURRY);
    gate_shut(p->gate, ls->pause);
    uint64_t now = proxy_now();
    if (now < ls->told + TELL_EVERY)
        return;
    ls->told = now;
    log_event(&p->log, LOG_LEVEL_ERROR, 0, "could not accept a connection: %s%s", strerror(error),
              error == EMFILE || error == ENFILE ? ": raise the limit on open files (ulimit -n, fs.file-max)"
                                                 : "");
}

static bool is_shortage(int error) {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// The last descriptors are kept for cancel requests of clients that are logged in. A client that comes now
// may bring one. It is let in if another one that has said nothing so far is closed for it.
static void let_in(struct listener *ls, int fd) {
    struct proxy *p = ls->proxy;
    int on = 1;
    p->accepted++;
    ls->pause = 0;
    if (gate_is_short(p->gate, fd, GATE_CANCEL) && !gate_evict(p->gate, GATE_HURRY)) {
        send_away(p, fd);
        return;
    }
    if (!ls->path[0])
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    login_accept(p, fd);
}

static bool is_asked_for(const struct listener *ls) {
    struct pollfd p = {.fd = ls->fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

static void on_connection(uv_poll_t *poll, int status, int events) {
    struct listener *ls = poll->data;
    struct proxy *p = ls->proxy;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        if (!gate_may_work(p->gate, GATE_ANY))
            return gate_shut(p->gate, 1);
        if (gate_is_full(p->gate) && (!is_asked_for(ls) || !gate_admits(p->gate)))
            return;
        uint64_t begun = gate_begins();
        int fd = accept4(ls->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int error = errno;
        if (fd < 0 && is_shortage(error) && is_asked_for(ls)) // the error comes also when nobody is there
            return accept_failed(ls, error);
        if (fd < 0)
            return; // EAGAIN, or a connection that ended before it was taken
        let_in(ls, fd);
        gate_worked(p->gate, GATE_ANY, begun);
    }
}

void listeners_watch(struct proxy *p, bool look) {
    for (struct listener *ls = p->listeners; ls; ls = ls->next) {
        if (look)
            uv_poll_start(&ls->poll, UV_READABLE, on_connection);
        else
            uv_poll_stop(&ls->poll);
    }
}

static bool listener_add(struct proxy *p, int fd, const char *path, char *err, size_t err_size) {
    struct listener *ls = calloc(1, sizeof *ls);
    if (!ls || listen(fd, 4096) != 0 || uv_poll_init(p->loop, &ls->poll, fd) != 0) {
        snprintf(err, err_size, "could not listen: %s", strerror(errno));
        free(ls);
        close(fd);
        return false;
    }
    ls->proxy = p;
    ls->fd = fd;
    ls->poll.data = ls;
    snprintf(ls->path, sizeof ls->path, "%s", path);
    ls->next = p->listeners;
    p->listeners = ls;
    uv_poll_start(&ls->poll, UV_READABLE, on_connection);
    return true;
}

// A socket's file at which nobody answers was left over by a process that has ended.
static bool remove_stale_socket(const struct sockaddr_un *addr) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool stale =
        fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return stale && unlink(addr->sun_path) == 0;
}

static bool open_unix(struct proxy *p, const char *dir, const char *port, char *err, size_t err_size) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof addr.sun_path, "%s/.s.PGSQL.%s", dir, port);
    if (n < 0 || (size_t)n >= sizeof addr.sun_path) {
        snprintf(err, err_size, "path of Unix socket \"%s/.s.PGSQL.%s\" is too long: use a shorter directory",
                 dir, port);
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
    if (fd >= 0 && !bound && errno == EADDRINUSE && remove_stale_socket(&addr))
        bound = bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
    if (!bound) {
        snprintf(err, err_size, "could not bind Unix socket \"%s\": %s", addr.sun_path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    // Nobody can connect before listen().
    if (chmod(addr.sun_path, (mode_t)p->settings->config->unix_socket_permissions) != 0) {
        snprintf(err, err_size, "could not set permissions of Unix socket \"%s\": %s", addr.sun_path,
                 strerror(errno));
        close(fd);
        unlink(addr.sun_path);
        return false;
    }
    return listener_add(p, fd, addr.sun_path, err, err_size);
}

static bool open_address(struct proxy *p, const struct addrinfo *a, const char *name, char *err,
                         size_t err_size) {
    int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (a->ai_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) != 0) {
        snprintf(err, err_size, "could not bind \"%s\": %s", name, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    return listener_add(p, fd, "", err, err_size);
}

static bool open_tcp(struct proxy *p, const char *host, const char *port, const char *name, char *err,
                     size_t err_size) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    bool any = !*host || strcmp(host, "*") == 0;
    int r = getaddrinfo(any ? NULL : host, port, &hints, &list);
    if (r != 0) {
        snprintf(err, err_size, "could not resolve listen address \"%s\": %s", name, gai_strerror(r));
        return false;
    }
    unsigned opened = 0;
    for (struct addrinfo *a = list; a; a = a->ai_next)
        opened += open_address(p, a, name, err, err_size);
    freeaddrinfo(list);
    return opened > 0; // a host without IPv6 still resolves to it
}

static bool open_one(void *arg, const struct listen_address *a, char *err, size_t err_size) {
    return a->host[0] == '/' ? open_unix(arg, a->host, a->port, err, err_size)
                             : open_tcp(arg, a->host, a->port, a->name, err, err_size);
}

bool listeners_open(struct proxy *p, const char *addresses, char *err, size_t err_size) {
    bool ok = addresses_visit("pgfold.listen", addresses, open_one, p, err, err_size);
    if (!ok)
        listeners_close(p);
    return ok;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void listeners_close(struct proxy *p) {
    while (p->listeners) {
        struct listener *ls = p->listeners;
        p->listeners = ls->next;
        uv_close((uv_handle_t *)&ls->poll, on_closed);
        close(ls->fd);
        if (ls->path[0])
            unlink(ls->path);
    }
}
