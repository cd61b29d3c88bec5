// SPDX-License-Identifier: PostgreSQL
//
// Addresses are resolved once, at the start, before the loop runs. A burst of connections is taken in one go,
// but not without end: those that are here want service, too.
#include "proxy/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/write.h"
#include "proxy/link.h"

#define ACCEPT_AT_ONCE 64

struct listener {
    struct proxy *proxy;
    uv_poll_t poll;
    int fd;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; // Unix socket's file, else empty
    struct listener *next;
};

// No descriptors left: the spare one is given up to say so to one client, which would wait for its time-out
// otherwise.
static void refuse_for_descriptors(struct listener *ls) {
    struct proxy *p = ls->proxy;
    if (p->spare_fd >= 0)
        close(p->spare_fd);
    int fd = accept4(ls->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        struct buf b = buf_make(1024);
        write_error(&b, "FATAL", "53300", "pgfold has no file descriptors left", NULL,
                    "Raise the limit on open files (ulimit -n, LimitNOFILE).");
        ssize_t ignored = b.failed ? 0 : send(fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)ignored;
        buf_free(&b);
        close(fd);
    }
    p->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    p->refused++;
    log_limited(&p->log, NULL, LOG_LEVEL_ERROR, 0, "no file descriptors left: raise the limit on open files");
}

static void on_connection(uv_poll_t *poll, int status, int events) {
    struct listener *ls = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(ls->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE))
            return refuse_for_descriptors(ls);
        if (fd < 0)
            return; // EAGAIN, or a connection that ended before it was taken
        int on = 1;
        if (!ls->path[0])
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        ls->proxy->accepted++;
        link_create(ls->proxy, fd);
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

// A file that nobody answers at is left over from a process that is gone.
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

// "host:port" taken apart in `copy`; false with a message.
static bool split_address(const char *name, char *copy, size_t size, char **host, char **port, char *err,
                          size_t err_size) {
    int n = snprintf(copy, size, "%s", name);
    char *colon = strrchr(copy, ':'), *end = NULL;
    unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (n < 0 || (size_t)n >= size || !colon || *end || number < 1 || number > 65535) {
        snprintf(err, err_size,
                 "listen address \"%s\" has no port: write host:port, :port or /directory:port", name);
        return false;
    }
    *colon = 0;
    *host = copy;
    *port = colon + 1;
    size_t len = strlen(copy);
    if (copy[0] == '[' && len > 1 && copy[len - 1] == ']') {
        copy[len - 1] = 0;
        ++*host;
    }
    return true;
}

// Opens one address, or only looks at it where p is NULL.
static bool open_one(struct proxy *p, const char *name, char *err, size_t err_size) {
    char copy[300], *host, *port;
    if (!split_address(name, copy, sizeof copy, &host, &port, err, err_size))
        return false;
    if (!p)
        return true;
    return host[0] == '/' ? open_unix(p, host, port, err, err_size)
                          : open_tcp(p, host, port, name, err, err_size);
}

static bool for_each_address(struct proxy *p, const char *addresses, char *err, size_t err_size) {
    char *copy = strdup(addresses), *rest = copy;
    bool ok = copy != NULL;
    for (char *name; ok && (name = strsep(&rest, ","));) {
        while (*name == ' ')
            name++;
        for (size_t n = strlen(name); n && name[n - 1] == ' '; n--)
            name[n - 1] = 0;
        if (*name)
            ok = open_one(p, name, err, err_size);
    }
    free(copy);
    return ok;
}

bool listeners_check(const char *addresses, char *err, size_t err_size) {
    return for_each_address(NULL, addresses, err, err_size);
}

bool listeners_open(struct proxy *p, const char *addresses, char *err, size_t err_size) {
    bool ok = for_each_address(p, addresses, err, err_size);
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
