// SPDX-License-Identifier: PostgreSQL
//
// One attempt to reach the server, as a small state machine over one timer and, for each socket, one poll
// handle.
//
//   STARTING -> [RESOLVING ->] CONNECTING -> [ASKING -> ANSWER ->] [HANDSHAKE ->] ENDING -> done
//                    ^                |          |         |             |
//                    +--- LEAVING <---+----------+---------+-------------+   next address, next host
//
// A host has addresses, resolved or known at once; for each a socket is tried. What goes wrong with one
// address is added to the message, and the next one is tried. When none is left, the message is the answer.
// `prefer` tries an address whose TLS handshake failed once more without TLS, as libpq does. `allow` means
// plain here: libpq's second try with TLS comes after the server has refused the start-up message, which this
// module never sees.
//
// libuv allows one poll handle for a descriptor at a time and closes handles later, so both LEAVING and
// ENDING wait for the close callbacks. The look-up of a name cannot be taken back: its request lives on its
// own, and its `owner` is set to NULL when the connector has given up on it.
#include "proxy/connector.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <openssl/ssl.h>

#define MAX_ADDRESSES 32 // of one host; more of them only delay the next host
#define ADDRESS_TEXT  128
#define PHRASE_ROOM   256
#define MESSAGE_ROOM  2048

enum state {
    STARTING,   // the timer will fire at once
    RESOLVING,  // c->resolve is in flight
    CONNECTING, // connect() is in flight; waiting until the socket is writable
    ASKING,     // SSLRequest is being sent
    ANSWER,     // waiting for the one byte that answers it
    HANDSHAKE,  // TLS
    LEAVING,    // this socket is given up, its poll handle is closing
    ENDING,     // the outcome is known, both handles are closing
};

struct address {
    struct sockaddr_storage to;
    socklen_t len;
    char text[ADDRESS_TEXT];
};

// Owned by libuv while in flight, freed by its callback.
struct resolve {
    uv_getaddrinfo_t req;
    struct connector *owner; // NULL once the connector has lost interest
};

struct connector {
    uv_loop_t *loop;
    const struct target *target; // borrowed
    bool *skip;                  // n_hosts of them, or NULL
    connector_done *done;
    void *arg;

    enum state state;
    uv_timer_t timer;
    uv_poll_t poll;
    bool poll_open;
    unsigned n_closing; // handles whose close callback is still to come
    struct resolve *resolve;

    size_t host;      // being tried
    size_t next_host; // n_hosts when no other is to be tried
    struct address addresses[MAX_ADDRESSES];
    size_t n_addresses, at; // `at` is the address being tried
    bool plain_again;       // prefer: this address's TLS handshake failed

    struct stream stream; // fd -1 between sockets
    size_t asked;         // bytes of SSLRequest sent
    int files;            // its descriptors must be below this number; 0: they may have any
    bool succeeded, cancelled;
    char message[MESSAGE_ROOM];
};

static void run(struct connector *c);

// ---- messages ----

static void add_failure(struct connector *c, const char *text) {
    size_t used = strlen(c->message);
    snprintf(c->message + used, sizeof(c->message) - used, "%s%s", used > 0 ? "; " : "", text);
}

static const struct target_host *host_of(const struct connector *c) {
    return &c->target->hosts[c->host];
}

static const char *host_name(const struct connector *c) {
    const struct target_host *h = host_of(c);
    return h->host != NULL ? h->host : h->hostaddr;
}

static void __attribute__((format(printf, 2, 3))) host_failed(struct connector *c, const char *format, ...) {
    char why[PHRASE_ROOM], text[PHRASE_ROOM * 2];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    snprintf(text, sizeof(text), "connection to server \"%.200s\" failed: %s", host_name(c), why);
    add_failure(c, text);
}

static void address_failed(struct connector *c, const char *why) {
    const char *name = host_name(c), *where = c->addresses[c->at].text;
    char text[PHRASE_ROOM * 2];
    if (where[0] == '/' || where[0] == '@')
        snprintf(text, sizeof(text), "connection to server on socket \"%s\" failed: %s", where, why);
    else
        snprintf(text, sizeof(text), "connection to server at \"%.150s\" (%s) failed: %s", name, where, why);
    add_failure(c, text);
}

static const char *socket_reason(int error) {
    if (error == EMFILE || error == ENFILE)
        return CONNECTOR_NO_DESCRIPTORS ": raise the limit on open files (ulimit -n, fs.file-max)";
    if (error == EAGAIN)
        return "the server's listen queue is full";
    return strerror(error);
}

// ---- the end ----

// The last close callback has come: libuv knows nothing of the connector any more.
static void finish(struct connector *c) {
    bool handed_over = c->succeeded && !c->cancelled;
    if (!handed_over)
        stream_close(&c->stream);
    if (handed_over)
        c->done(c->arg, &c->stream, c->host, c->addresses[c->at].text, NULL);
    else if (!c->cancelled)
        c->done(c->arg, NULL, c->host, NULL, c->message);
    free(c->skip);
    free(c);
}

// A handle has closed: it was the end, or a socket was given up and the next address is due.
static void handle_closed(struct connector *c) {
    if (--c->n_closing > 0)
        return;
    if (c->state == ENDING) {
        finish(c);
        return;
    }
    stream_close(&c->stream);
    if (!c->plain_again)
        c->at++;
    run(c);
}

static void on_timer_closed(uv_handle_t *handle) {
    handle_closed(handle->data);
}

static void on_poll_closed(uv_handle_t *handle) {
    handle_closed(handle->data);
}

static void close_poll(struct connector *c) {
    if (!c->poll_open)
        return;
    c->poll_open = false;
    c->n_closing++;
    uv_close((uv_handle_t *)&c->poll, on_poll_closed);
}

static void forget_resolve(struct connector *c) {
    if (c->resolve == NULL)
        return;
    c->resolve->owner = NULL;
    (void)uv_cancel((uv_req_t *)&c->resolve->req); // its callback comes anyway
    c->resolve = NULL;
}

static void end(struct connector *c) {
    c->state = ENDING;
    forget_resolve(c);
    close_poll(c);
    c->n_closing++;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

static void succeed(struct connector *c) {
    c->succeeded = true;
    end(c);
}

// ---- giving up one socket ----

static void leave(struct connector *c) {
    c->state = LEAVING;
    uv_timer_stop(&c->timer);
    close_poll(c);
}

static void give_up_address(struct connector *c, const char *why) {
    address_failed(c, why);
    c->plain_again = false;
    leave(c);
}

static void tls_failed(struct connector *c) {
    char why[PHRASE_ROOM], reason[PHRASE_ROOM / 2];
    stream_error(&c->stream, reason, sizeof(reason));
    snprintf(why, sizeof(why), "TLS handshake failed: %s", reason);
    address_failed(c, why);
    // "first try an SSL connection; if that fails, try a non-SSL connection"
    c->plain_again = c->target->sslmode == SSLMODE_PREFER;
    leave(c);
}

static void stream_failed(struct connector *c, ssize_t result) {
    char reason[PHRASE_ROOM / 2];
    if (result == STREAM_EOF) {
        give_up_address(c, "the server closed the connection during the TLS negotiation");
        return;
    }
    stream_error(&c->stream, reason, sizeof(reason));
    give_up_address(c, reason);
}

// ---- from the socket to the stream ----

static void on_event(uv_poll_t *poll, int status, int events);

static void wait_for(struct connector *c, enum state state, int events) {
    c->state = state;
    int rc = uv_poll_start(&c->poll, events, on_event);
    if (rc != 0)
        give_up_address(c, uv_strerror(rc));
}

static bool spoke_alpn(const struct stream *s) {
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(s->ssl, &name, &len);
    return len == strlen("postgresql") && memcmp(name, "postgresql", len) == 0;
}

static void continue_handshake(struct connector *c) {
    int rc = c->stream.ops->handshake(&c->stream);
    if (rc == STREAM_WANT_READ)
        wait_for(c, HANDSHAKE, UV_READABLE);
    else if (rc == STREAM_WANT_WRITE)
        wait_for(c, HANDSHAKE, UV_WRITABLE);
    else if (rc != 1)
        tls_failed(c);
    else if (c->target->ssl_direct && !spoke_alpn(&c->stream))
        give_up_address(c, "direct TLS connection was established without ALPN: use sslnegotiation=postgres");
    else
        succeed(c);
}

static void start_tls(struct connector *c) {
    if (stream_start_tls(&c->stream, c->target->ssl_ctx, false, host_name(c)) != 0)
        tls_failed(c);
    else
        continue_handshake(c);
}

static void ask(struct connector *c) {
    // SSLRequest: "Int32(8) Length of message contents in bytes, including self. Int32(80877103) The SSL
    // request code."
    static const unsigned char request[8] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
    ssize_t n = stream_write(&c->stream, request + c->asked, sizeof(request) - c->asked);
    if (n < 0 && n != STREAM_WANT_WRITE) {
        stream_failed(c, n);
        return;
    }
    c->asked += n > 0 ? (size_t)n : 0;
    if (c->asked < sizeof(request))
        wait_for(c, ASKING, UV_WRITABLE);
    else
        wait_for(c, ANSWER, UV_READABLE);
}

// Bytes behind the 'S' came in plain text, before we had said a word of TLS. Somebody may have injected them,
// to be taken for encrypted bytes of the server (CVE-2021-23222).
static bool has_injected_bytes(const struct connector *c) {
    char byte;
    ssize_t n;
    do {
        n = recv(c->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

static void accept_tls(struct connector *c) {
    if (has_injected_bytes(c))
        give_up_address(c, "received unencrypted data after the answer to SSLRequest (CVE-2021-23222): a "
                           "man-in-the-middle attack or a broken server");
    else
        start_tls(c);
}

static void accept_plain(struct connector *c) {
    if (c->target->sslmode == SSLMODE_PREFER)
        succeed(c);
    else
        give_up_address(c, "the server does not support TLS, but sslmode requires it");
}

static void refuse_answer(struct connector *c, unsigned char byte) {
    char why[PHRASE_ROOM];
    if (byte == 'E')
        snprintf(why, sizeof(why), "the server answered SSLRequest with an error message");
    else
        snprintf(why, sizeof(why), "received invalid answer to SSLRequest: byte 0x%02x", byte);
    give_up_address(c, why);
}

// One byte and no more: what follows 'S' belongs to TLS.
static void read_answer(struct connector *c) {
    unsigned char byte = 0;
    ssize_t n = stream_read(&c->stream, &byte, 1);
    if (n == STREAM_WANT_READ)
        wait_for(c, ANSWER, UV_READABLE);
    else if (n != 1)
        stream_failed(c, n);
    else if (byte == 'S')
        accept_tls(c);
    else if (byte == 'N')
        accept_plain(c);
    else
        refuse_answer(c, byte);
}

static bool wants_tls(const struct connector *c) {
    bool tcp = c->addresses[c->at].to.ss_family != AF_UNIX;
    return tcp && c->target->sslmode >= SSLMODE_PREFER && !c->plain_again;
}

static void check_connected(struct connector *c) {
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(c->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0)
        give_up_address(c, socket_reason(error));
    else if (!wants_tls(c))
        succeed(c);
    else if (c->target->ssl_direct)
        start_tls(c);
    else
        ask(c);
}

// What each state does when its socket is ready (or broken: the next call on the socket tells how).
static void (*const on_ready[])(struct connector *c) = {
    [CONNECTING] = check_connected,
    [ASKING] = ask,
    [ANSWER] = read_answer,
    [HANDSHAKE] = continue_handshake,
};

static void on_event(uv_poll_t *poll, int status, int events) {
    struct connector *c = poll->data;
    (void)events;
    (void)status;
    on_ready[c->state](c);
}

// ---- one address ----

static void on_timeout(uv_timer_t *timer);

// libpq's limit holds for each address anew.
static void start_clock(struct connector *c) {
    if (c->target->connect_timeout > 0)
        uv_timer_start(&c->timer, on_timeout, (c->target->connect_timeout + 999) / 1000, 0);
}

static bool set_option(int fd, int level, int name, int value) {
    return value == 0 || setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static bool tune_tcp(int fd, const struct target *t) {
    if (!set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1))
        return false;
    if (t->keepalives && (!set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) ||
                          !set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, t->keepalives_idle) ||
                          !set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, t->keepalives_interval) ||
                          !set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, t->keepalives_count)))
        return false;
    return set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, t->tcp_user_timeout);
}

// 0 or an errno. A non-blocking connect() that was interrupted goes on by itself.
static int begin_connect(struct connector *c, const struct address *a) {
    int fd = socket(a->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    stream_init_plain(&c->stream, fd);
    if (c->files && fd >= c->files)
        return EMFILE;
    if (a->to.ss_family != AF_UNIX && !tune_tcp(fd, c->target))
        return errno;
    if (connect(fd, (const struct sockaddr *)&a->to, a->len) != 0 && errno != EINPROGRESS && errno != EINTR)
        return errno;
    int rc = uv_poll_init(c->loop, &c->poll, fd);
    if (rc != 0)
        return -rc;
    c->poll.data = c;
    c->poll_open = true;
    return 0;
}

// Tries addresses until one has a socket under way; false when none is left.
static bool try_addresses(struct connector *c) {
    for (; c->at < c->n_addresses; c->at++) {
        c->asked = 0;
        int error = begin_connect(c, &c->addresses[c->at]);
        if (error == 0) {
            start_clock(c);
            wait_for(c, CONNECTING, UV_WRITABLE);
            return true;
        }
        address_failed(c, socket_reason(error));
        stream_close(&c->stream);
        c->plain_again = false;
    }
    return false;
}

// ---- one host ----

static void add_address(struct connector *c, const struct sockaddr *to, socklen_t len) {
    char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE], port[8];
    if (c->n_addresses == MAX_ADDRESSES || len > sizeof(c->addresses[0].to))
        return;
    if (getnameinfo(to, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    struct address *a = &c->addresses[c->n_addresses++];
    memcpy(&a->to, to, len);
    a->len = len;
    snprintf(a->text, sizeof(a->text), to->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

// A path that starts with '@' is a name in Linux's abstract space: a zero byte stands for the '@', and none
// ends it.
static bool add_socket(struct connector *c, const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(un.sun_path))
        return false;
    memcpy(un.sun_path, path, len + 1);
    bool abstract = path[0] == '@';
    if (abstract)
        un.sun_path[0] = '\0';
    struct address *a = &c->addresses[c->n_addresses++];
    memcpy(&a->to, &un, sizeof(un));
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (abstract ? 0 : 1));
    snprintf(a->text, sizeof(a->text), "%s", path);
    return true;
}

static bool add_numeric(struct connector *c, const char *host, int port) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (uv_ip4_addr(host, port, &v4) == 0)
        add_address(c, (const struct sockaddr *)&v4, sizeof(v4));
    else if (uv_ip6_addr(host, port, &v6) == 0)
        add_address(c, (const struct sockaddr *)&v6, sizeof(v6));
    return c->n_addresses > 0;
}

static void take_addresses(struct connector *c, const struct addrinfo *list) {
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next)
        add_address(c, ai->ai_addr, ai->ai_addrlen);
    if (c->n_addresses == 0)
        host_failed(c, "its name has no usable address");
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list) {
    struct resolve *r = (struct resolve *)req;
    struct connector *c = r->owner;
    free(r);
    if (c != NULL) {
        c->resolve = NULL;
        uv_timer_stop(&c->timer);
        if (status == 0)
            take_addresses(c, list);
        else
            host_failed(c, "could not translate host name to address: %s", uv_strerror(status));
        run(c);
    }
    uv_freeaddrinfo(list);
}

// libpq's own look-up blocks without a limit; here connect_timeout bounds it, too.
static bool resolve_host(struct connector *c) {
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct resolve *r = calloc(1, sizeof(*r));
    int rc = UV_ENOMEM;
    if (r != NULL)
        rc = uv_getaddrinfo(c->loop, &r->req, on_resolved, host_name(c), host_of(c)->port, &hints);
    if (rc != 0) {
        free(r);
        host_failed(c, "could not look up its address: %s", uv_strerror(rc));
        return false;
    }
    r->owner = c;
    c->resolve = r;
    c->state = RESOLVING;
    start_clock(c);
    return true;
}

static bool choose_host(struct connector *c) {
    size_t i = c->next_host;
    while (i < c->target->n_hosts && c->skip != NULL && c->skip[i])
        i++;
    c->n_addresses = c->at = 0;
    if (i >= c->target->n_hosts)
        return false;
    c->host = i;
    c->next_host = i + 1;
    return true;
}

static void add_unix_host(struct connector *c) {
    char path[ADDRESS_TEXT];
    int len = snprintf(path, sizeof(path), "%s/.s.PGSQL.%s", host_of(c)->host, host_of(c)->port);
    if ((size_t)len >= sizeof(path) || !add_socket(c, path))
        host_failed(c, "the path of its socket is too long");
}

// Fills in the host's addresses; true when they are still being looked up.
static bool open_host(struct connector *c) {
    const struct target_host *h = host_of(c);
    if (target_host_is_unix(h))
        add_unix_host(c);
    else if (!add_numeric(c, h->hostaddr != NULL ? h->hostaddr : h->host, atoi(h->port)))
        return resolve_host(c);
    return false;
}

// Goes on with the next address or host until something is under way or nothing is left.
static void run(struct connector *c) {
    while (!try_addresses(c)) {
        if (!choose_host(c)) {
            if (c->message[0] == '\0')
                add_failure(c, "no server host is left to try");
            end(c);
            return;
        }
        if (open_host(c))
            return;
    }
}

// STARTING: `done` must not be called from within connector_start, so nothing is tried there.
static void on_timeout(uv_timer_t *timer) {
    struct connector *c = timer->data;
    if (c->state == STARTING) {
        run(c);
    } else if (c->state == RESOLVING) {
        forget_resolve(c);
        host_failed(c, "timeout expired while its name was looked up");
        run(c);
    } else {
        give_up_address(c, "timeout expired");
    }
}

// ---- from outside ----

static struct connector *create(uv_loop_t *loop, const struct target *target, connector_done *done,
                                void *arg) {
    struct connector *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->loop = loop;
    c->target = target;
    c->done = done;
    c->arg = arg;
    c->state = STARTING;
    stream_init_plain(&c->stream, -1);
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    c->poll.data = c;
    uv_timer_start(&c->timer, on_timeout, 0, 0);
    return c;
}

struct connector *connector_start(uv_loop_t *loop, const struct target *target, size_t first_host,
                                  const bool *skip, connector_done *done, void *arg) {
    bool *copy = NULL;
    if (skip != NULL) {
        copy = calloc(target->n_hosts, sizeof(*copy));
        if (copy == NULL)
            return NULL;
        memcpy(copy, skip, target->n_hosts * sizeof(*copy));
    }
    struct connector *c = create(loop, target, done, arg);
    if (c == NULL) {
        free(copy);
        return NULL;
    }
    c->skip = copy;
    c->next_host = first_host;
    return c;
}

// "10.0.0.1:5432" or "[::1]:5432", as add_address writes them.
static bool parse_address(struct connector *c, const char *address) {
    char host[ADDRESS_TEXT];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || strlen(address) >= sizeof(host))
        return false;
    size_t brackets = address[0] == '[' && colon > address && colon[-1] == ']' ? 1 : 0;
    size_t len = (size_t)(colon - address) - 2 * brackets;
    memcpy(host, address + brackets, len);
    host[len] = '\0';
    int port = atoi(colon + 1);
    return port > 0 && port <= 65535 && add_numeric(c, host, port);
}

struct connector *connector_start_address(uv_loop_t *loop, const struct target *target, size_t host_index,
                                          const char *address, connector_done *done, void *arg) {
    struct connector *c = create(loop, target, done, arg);
    if (c == NULL)
        return NULL;
    c->host = host_index;
    c->next_host = target->n_hosts;
    bool path = address[0] == '/' || address[0] == '@';
    if (path ? !add_socket(c, address) : !parse_address(c, address))
        host_failed(c, "invalid server address \"%.100s\"", address);
    return c;
}

void connector_keep_back(struct connector *c, int files) {
    c->files = files > 0 ? files : 1;
}

void connector_cancel(struct connector *c) {
    c->cancelled = true;
    if (c->state != ENDING)
        end(c);
}
