// SPDX-License-Identifier: PostgreSQL
//
// The connector against servers that a thread plays: each accepted connection follows the next line of a
// script. The client's side runs on a loop of its own; at the end of each test no handle, no descriptor and
// no memory may be left.
#include "proxy/connector.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/unit/tls_files.h"

// ---- servers ----

enum act {
    HOLD,          // accepts, then echoes until the client leaves
    SAY_N,         // N to SSLRequest, then echoes
    SAY_S,         // S, TLS, echoes
    SAY_S_AND,     // S with a byte of plain text behind it
    SAY_S_SILENT,  // S, then nothing
    SAY_X,         // neither S nor N
    SAY_E,         // the first byte of an ErrorResponse
    SAY_NOTHING,   // reads SSLRequest, answers nothing
    HANG_UP,       // reads SSLRequest, closes
    DIRECT,        // TLS at once
    DIRECT_NO_ALPN // the same, without an answer to ALPN
};

struct server {
    int fd, port;
    enum act script[3];
    size_t n_script;
    SSL_CTX *ctx;
    pthread_t thread;
    atomic_uint n_accepted;
    char sni[64]; // of the last TLS connection, "-" for none; read after server_stop
};

static bool read_request(int fd) {
    static const unsigned char expected[8] = {0, 0, 0, 8, 4, 210, 22, 47};
    unsigned char got[8];
    return recv(fd, got, sizeof(got), MSG_WAITALL) == 8 && memcmp(got, expected, 8) == 0;
}

static void echo(int fd) {
    char bytes[512];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0 && send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n)
        ;
}

static void swallow(int fd) {
    char bytes[512];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0)
        ;
}

static void echo_tls(struct server *s, int fd) {
    char bytes[512];
    int n;
    SSL *ssl = SSL_new(s->ctx);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        snprintf(s->sni, sizeof(s->sni), "%s", name != NULL ? name : "-");
        while ((n = SSL_read(ssl, bytes, sizeof(bytes))) > 0 && SSL_write(ssl, bytes, n) == n)
            ;
    }
    SSL_free(ssl);
    ERR_clear_error();
}

static void play(struct server *s, enum act act, int fd) {
    static const char *const answers[] = {
        [SAY_N] = "N", [SAY_S] = "S", [SAY_S_AND] = "SX", [SAY_S_SILENT] = "S", [SAY_X] = "x", [SAY_E] = "E",
    };
    bool direct = act == DIRECT || act == DIRECT_NO_ALPN;
    if (act != HOLD && !direct && !read_request(fd))
        return;
    if (act >= SAY_N && act <= SAY_E)
        send(fd, answers[act], strlen(answers[act]), MSG_NOSIGNAL);
    if (act == SAY_S || direct)
        echo_tls(s, fd);
    else if (act == HOLD || act == SAY_N)
        echo(fd);
    else if (act != HANG_UP)
        swallow(fd);
}

static void *serve(void *arg) {
    struct server *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        unsigned n = atomic_fetch_add(&s->n_accepted, 1);
        play(s, s->script[n < s->n_script ? n : s->n_script - 1], fd);
        close(fd);
    }
}

static int listen_on(const struct sockaddr *to, socklen_t len, int backlog) {
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, to, len) != 0 || listen(fd, backlog) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int listen_tcp(int *port, int backlog) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = listen_on((struct sockaddr *)&in, len, backlog);
    cr_assert(fd >= 0 && getsockname(fd, (struct sockaddr *)&in, &len) == 0);
    *port = ntohs(in.sin_port);
    return fd;
}

static SSL_CTX *server_context(enum act first) {
    char message[256] = "";
    SSL_CTX *ctx = client_tls_create(&TLS_OF("server.crt", "server.key"), message, sizeof(message));
    cr_assert_not_null(ctx, "%s", message);
    if (first == DIRECT_NO_ALPN)
        SSL_CTX_set_alpn_select_cb(ctx, NULL, NULL);
    return ctx;
}

static void server_run(struct server *s, const enum act *script, size_t n) {
    memcpy(s->script, script, n * sizeof(*script));
    s->n_script = n;
    s->ctx = server_context(script[0]);
    atomic_store(&s->n_accepted, 0);
    strcpy(s->sni, "none");
    cr_assert_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_start(struct server *s, enum act first, enum act then) {
    const enum act script[] = {first, then};
    s->fd = listen_tcp(&s->port, 16);
    server_run(s, script, 2);
}

static void server_stop(struct server *s) {
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    SSL_CTX_free(s->ctx);
}

// A port of 127.0.0.1 at which nobody listens: bound, so that nobody else gets it.
static int refusing_port(int *fd) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(*fd, (struct sockaddr *)&in, len), 0);
    getsockname(*fd, (struct sockaddr *)&in, &len);
    return ntohs(in.sin_port);
}

// ---- the client's side ----

struct outcome {
    uv_loop_t loop;
    uv_poll_t poll;
    unsigned calls;
    int poll_result; // of uv_poll_init within done
    struct stream stream;
    size_t host;
    char address[128], message[2048];
};

static void on_done(void *arg, struct stream *stream, size_t host_index, const char *address,
                    const char *message) {
    struct outcome *o = arg;
    o->calls++;
    o->host = host_index;
    snprintf(o->message, sizeof(o->message), "%s", message != NULL ? message : "");
    if (stream == NULL)
        return;
    o->stream = *stream;
    snprintf(o->address, sizeof(o->address), "%s", address);
    o->poll_result = uv_poll_init(&o->loop, &o->poll, o->stream.fd);
    if (o->poll_result == 0)
        uv_close((uv_handle_t *)&o->poll, NULL);
}

static void outcome_init(struct outcome *o) {
    memset(o, 0, sizeof(*o));
    stream_init_plain(&o->stream, -1);
    cr_assert_eq(uv_loop_init(&o->loop), 0);
}

static void outcome_finish(struct outcome *o) {
    stream_close(&o->stream);
    cr_expect_eq(uv_loop_close(&o->loop), 0, "a handle is left");
    expect_no_leaks();
}

static struct target *make_target(const char *format, ...) {
    char text[1024], ignored[64], message[512] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct target *t = target_create(text, ignored, sizeof(ignored), message, sizeof(message));
    cr_assert_not_null(t, "\"%s\": %s", text, message);
    return t;
}

static void run_attempt(struct outcome *o, const struct target *t, size_t first, const bool *skip) {
    outcome_init(o);
    cr_assert_not_null(connector_start(&o->loop, t, first, skip, on_done, o));
    cr_expect_eq(o->calls, 0, "done was called from within connector_start");
    uv_run(&o->loop, UV_RUN_DEFAULT);
    cr_expect_eq(o->calls, 1);
    if (o->stream.fd >= 0)
        cr_expect_eq(o->poll_result, 0, "the descriptor is still polled when done runs");
}

static void wait_ready(const struct stream *s) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(s->fd, &set);
    select(s->fd + 1, &set, NULL, NULL, NULL);
}

// What was sent comes back: the stream works in both directions.
static void expect_echo(struct stream *s) {
    char back[4] = "";
    size_t got = 0;
    cr_assert_eq(stream_write(s, "ping", 4), 4);
    while (got < 4) {
        ssize_t n = stream_read(s, back + got, 4 - got);
        cr_assert(n > 0 || n == STREAM_WANT_READ, "read said %zd", n);
        if (n > 0)
            got += (size_t)n;
        else
            wait_ready(s);
    }
    cr_expect_arr_eq(back, "ping", 4);
}

static void expect_failure(const struct outcome *o, const char *part) {
    cr_expect(o->stream.fd < 0, "connected, should have failed with \"%s\"", part);
    cr_expect(strstr(o->message, part) != NULL, "\"%s\" is not in: %s", part, o->message);
}

static size_t open_descriptors(void) {
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void setup(void) {
    signal(SIGPIPE, SIG_IGN);
    tls_files_create();
    setenv("HOME", tls_file("home"), 1);
}

TestSuite(connector, .init = setup, .fini = tls_files_remove, .timeout = 60);

// ---- hosts and addresses ----

Test(connector, plain_tcp) {
    struct server s;
    struct outcome o;
    char expected[64];
    int on = 0;
    socklen_t len = sizeof(on);
    server_start(&s, HOLD, HOLD);
    struct target *t = make_target("host=127.0.0.1 port=%d sslmode=disable keepalives_idle=77", s.port);
    run_attempt(&o, t, 0, NULL);
    cr_assert(o.stream.fd >= 0, "%s", o.message);
    snprintf(expected, sizeof(expected), "127.0.0.1:%d", s.port);
    cr_expect_str_eq(o.address, expected);
    expect_echo(&o.stream);
    cr_expect(getsockopt(o.stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0 && on != 0);
    cr_expect(getsockopt(o.stream.fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len) == 0 && on != 0);
    cr_expect(getsockopt(o.stream.fd, IPPROTO_TCP, TCP_KEEPIDLE, &on, &len) == 0 && on == 77);
    outcome_finish(&o);
    target_destroy(t);
    server_stop(&s);
}

Test(connector, a_name_is_resolved) {
    struct server s;
    struct outcome o;
    server_start(&s, HOLD, HOLD);
    struct target *t = make_target("host=localhost port=%d sslmode=disable", s.port);
    run_attempt(&o, t, 0, NULL);
    cr_assert(o.stream.fd >= 0, "%s", o.message);
    cr_expect(strncmp(o.address, "127.0.0.1:", 10) == 0, "%s", o.address);
    outcome_finish(&o);
    target_destroy(t);
    server_stop(&s);
}

Test(connector, ipv6_in_brackets) {
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(in6);
    struct outcome o;
    char expected[64];
    int fd = listen_on((struct sockaddr *)&in6, len, 4);
    if (fd < 0)
        cr_skip_test("no IPv6 here");
    getsockname(fd, (struct sockaddr *)&in6, &len);
    struct target *t = make_target("host=::1 port=%d sslmode=disable", ntohs(in6.sin6_port));
    run_attempt(&o, t, 0, NULL);
    snprintf(expected, sizeof(expected), "[::1]:%d", ntohs(in6.sin6_port));
    cr_expect_str_eq(o.address, expected, "%s", o.message);
    outcome_finish(&o);
    outcome_init(&o);
    cr_assert_not_null(connector_start_address(&o.loop, t, 0, expected, on_done, &o));
    uv_run(&o.loop, UV_RUN_DEFAULT);
    cr_expect_str_eq(o.address, expected, "%s", o.message);
    outcome_finish(&o);
    target_destroy(t);
    close(fd);
}

// TLS is never asked for on a Unix socket, whatever sslmode says.
static void expect_unix(const char *directory, const struct sockaddr_un *un, socklen_t len) {
    const enum act script[] = {HOLD};
    struct server s;
    struct outcome o;
    char path[128];
    s.fd = listen_on((const struct sockaddr *)un, len, 4);
    cr_assert(s.fd >= 0);
    server_run(&s, script, 1);
    struct target *t = make_target("host=%s port=5433 sslmode=require", directory);
    snprintf(path, sizeof(path), "%s/.s.PGSQL.5433", directory);
    run_attempt(&o, t, 0, NULL);
    cr_assert(o.stream.fd >= 0, "%s", o.message);
    cr_expect_str_eq(o.address, path);
    expect_echo(&o.stream);
    outcome_finish(&o);
    outcome_init(&o);
    cr_assert_not_null(connector_start_address(&o.loop, t, 0, path, on_done, &o));
    uv_run(&o.loop, UV_RUN_DEFAULT);
    cr_expect_str_eq(o.address, path, "%s", o.message);
    outcome_finish(&o);
    target_destroy(t);
    server_stop(&s);
}

Test(connector, unix_socket) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s/.s.PGSQL.5433", tls_dir);
    expect_unix(tls_dir, &un, sizeof(un));
}

Test(connector, abstract_unix_socket) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char directory[64];
    snprintf(directory, sizeof(directory), "@pgfold-test-%d", (int)getpid());
    int len = snprintf(un.sun_path, sizeof(un.sun_path), "%s/.s.PGSQL.5433", directory);
    un.sun_path[0] = '\0';
    expect_unix(directory, &un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len));
}

Test(connector, the_first_host_refuses) {
    struct server s;
    struct outcome o;
    int closed;
    server_start(&s, HOLD, HOLD);
    struct target *t = make_target("host=127.0.0.1,/nonexistent,127.0.0.1 port=%d,5432,%d sslmode=disable",
                                   refusing_port(&closed), s.port);
    run_attempt(&o, t, 0, NULL);
    cr_assert(o.stream.fd >= 0, "%s", o.message);
    cr_expect_eq(o.host, 2);
    outcome_finish(&o);
    const bool skip_last[] = {false, false, true};
    run_attempt(&o, t, 0, skip_last);
    expect_failure(&o, "Connection refused; ");
    expect_failure(&o, "socket \"/nonexistent/.s.PGSQL.5432\" failed: No such file or directory");
    outcome_finish(&o);
    const bool skip_all[] = {true, true, true};
    run_attempt(&o, t, 0, skip_all);
    expect_failure(&o, "no server host is left to try");
    outcome_finish(&o);
    run_attempt(&o, t, 1, NULL);
    cr_expect(o.stream.fd >= 0 && o.host == 2, "%s", o.message);
    outcome_finish(&o);
    target_destroy(t);
    close(closed);
    server_stop(&s);
}

Test(connector, a_name_that_cannot_be_resolved) {
    struct outcome o;
    // A label of more than 63 bytes fails without asking anybody.
    struct target *t = make_target(
        "host=%.*s", 70, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    run_attempt(&o, t, 0, NULL);
    expect_failure(&o, "could not translate host name to address");
    outcome_finish(&o);
    target_destroy(t);
}

Test(connector, invalid_address_text) {
    static const char *const texts[] = {"",      "10.0.0.1", "10.0.0.1:0", "name:5432",
                                        "[::1]", "]:1",      ":1",         "10.0.0.1:70000"};
    struct target *t = make_target("host=127.0.0.1,127.0.0.1 sslmode=disable");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct outcome o;
        outcome_init(&o);
        cr_assert_not_null(connector_start_address(&o.loop, t, 0, texts[i], on_done, &o));
        cr_expect_eq(o.calls, 0);
        uv_run(&o.loop, UV_RUN_DEFAULT);
        cr_expect_eq(o.calls, 1);
        expect_failure(&o, "invalid server address");
        outcome_finish(&o);
    }
    target_destroy(t);
}

Test(connector, too_many_open_files) {
    struct outcome o;
    struct target *t = make_target("host=127.0.0.1 port=1 sslmode=disable");
    outcome_init(&o);
    int lowest = dup(0);
    close(lowest);
    struct rlimit limit = {(rlim_t)lowest, (rlim_t)lowest}, before;
    getrlimit(RLIMIT_NOFILE, &before);
    limit.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_assert_not_null(connector_start(&o.loop, t, 0, NULL, on_done, &o));
    uv_run(&o.loop, UV_RUN_DEFAULT);
    setrlimit(RLIMIT_NOFILE, &before);
    cr_expect_eq(o.calls, 1);
    expect_failure(&o, "too many open files: raise the limit");
    outcome_finish(&o);
    target_destroy(t);
}

Test(connector, the_last_descriptors_are_others) {
    struct outcome o;
    struct target *t = make_target("host=127.0.0.1 port=1 sslmode=disable");
    outcome_init(&o);
    int lowest = dup(0);
    close(lowest);
    struct connector *c = connector_start(&o.loop, t, 0, NULL, on_done, &o);
    cr_assert_not_null(c);
    connector_keep_back(c, lowest);
    uv_run(&o.loop, UV_RUN_DEFAULT);
    cr_expect_eq(o.calls, 1);
    expect_failure(&o, "too many open files: raise the limit");
    int again = dup(0);
    cr_expect_eq(again, lowest, "the socket was not closed");
    close(again);
    outcome_finish(&o);
    target_destroy(t);
}

// ---- TLS ----

static const struct tls_case {
    enum act first, then;
    const char *conninfo; // host is appended
    const char *failure;  // part of the message; NULL: connects
    bool tls;             // in the end
    unsigned connections; // that the server saw
} tls_cases[] = {
    {SAY_N, HOLD, "sslmode=prefer", NULL, false, 1},
    {SAY_S, HOLD, "sslmode=prefer", NULL, true, 1},
    {SAY_S, HOLD, "sslmode=require", NULL, true, 1},
    {HOLD, HOLD, "sslmode=allow", NULL, false, 1},
    {SAY_N, HOLD, "sslmode=require", "the server does not support TLS, but sslmode requires it", false, 1},
    {SAY_S, HOLD, "sslmode=verify-ca sslrootcert=ca.crt", NULL, true, 1},
    {SAY_S, HOLD, "sslmode=verify-full sslrootcert=ca.crt", NULL, true, 1},
    {SAY_S, HOLD, "sslmode=verify-full sslrootcert=ca.crt host=db.example", NULL, true, 1},
    {SAY_S, HOLD, "sslmode=verify-ca sslrootcert=ca.crt host=web.example", NULL, true, 1},
    {SAY_S, HOLD, "sslmode=verify-full sslrootcert=ca.crt host=web.example", "hostname mismatch", false, 1},
    {SAY_S, HOLD, "sslmode=verify-full sslrootcert=ca.crt host=127.0.0.2", "IP address mismatch", false, 1},
    {SAY_S, HOLD, "sslmode=verify-full sslrootcert=ca.crt host=ignored.example", "hostname mismatch", false,
     1},
    {SAY_S, HOLD, "sslmode=require sslrootcert=other-ca.crt", "certificate verify failed", false, 1},
    {SAY_S, HOLD, "sslmode=prefer sslrootcert=other-ca.crt", NULL, false, 2},
    {SAY_S, HOLD, "sslmode=require ssl_max_protocol_version=TLSv1.2", NULL, true, 1},
    {SAY_S_AND, HOLD, "sslmode=require", "received unencrypted data after the answer to SSLRequest", false,
     1},
    {SAY_S_AND, HOLD, "sslmode=prefer", "received unencrypted data after the answer to SSLRequest", false, 1},
    {SAY_X, HOLD, "sslmode=prefer", "invalid answer to SSLRequest: byte 0x78", false, 1},
    {SAY_E, HOLD, "sslmode=require", "answered SSLRequest with an error message", false, 1},
    {HANG_UP, HOLD, "sslmode=require", "closed the connection during the TLS negotiation", false, 1},
    {SAY_NOTHING, HOLD, "sslmode=require", "timeout expired", false, 1},
    {SAY_S_SILENT, HOLD, "sslmode=require", "timeout expired", false, 1},
    {DIRECT, HOLD, "sslmode=require sslnegotiation=direct", NULL, true, 1},
    {DIRECT_NO_ALPN, HOLD, "sslmode=require sslnegotiation=direct", "without ALPN", false, 1},
};

static void write_conninfo(const char *text, int port, char *out, size_t size) {
    const char *root = strstr(text, "sslrootcert=");
    size_t before = root != NULL ? (size_t)(root - text) + 12 : strlen(text);
    const char *host = strstr(text, "host=") == NULL ? "host=127.0.0.1" : "";
    snprintf(out, size, "%.*s%s%s%s %s hostaddr=127.0.0.1 port=%d", (int)before, text,
             root != NULL ? tls_dir : "", root != NULL ? "/" : "", text + before, host, port);
}

static void expect_tls_case(const struct tls_case *c) {
    struct server s;
    struct outcome o;
    char conninfo[512];
    server_start(&s, c->first, c->then);
    write_conninfo(c->conninfo, s.port, conninfo, sizeof(conninfo));
    struct target *t = make_target("%s", conninfo);
    bool silent = c->failure != NULL && strcmp(c->failure, "timeout expired") == 0;
    t->connect_timeout = silent ? 30000 : 0;
    run_attempt(&o, t, 0, NULL);
    if (c->failure != NULL) {
        expect_failure(&o, c->failure);
    } else {
        cr_assert(o.stream.fd >= 0, "act %d, \"%s\": %s", (int)c->first, conninfo, o.message);
        cr_expect_eq(o.stream.ssl != NULL, c->tls, "act %d, \"%s\"", (int)c->first, conninfo);
        expect_echo(&o.stream);
    }
    outcome_finish(&o);
    target_destroy(t);
    server_stop(&s);
    cr_expect_eq(atomic_load(&s.n_accepted), c->connections, "act %d, \"%s\"", (int)c->first, conninfo);
}

Test(connector, tls) {
    for (size_t i = 0; i < sizeof(tls_cases) / sizeof(tls_cases[0]); i++)
        expect_tls_case(&tls_cases[i]);
}

Test(connector, server_name_indication) {
    static const struct {
        const char *conninfo, *sni;
    } cases[] = {
        {"host=db.example", "db.example"}, {"host=db.example sslsni=0", "-"}, {"host=127.0.0.1", "-"}};
    for (size_t i = 0; i < 3; i++) {
        struct server s;
        struct outcome o;
        server_start(&s, SAY_S, SAY_S);
        struct target *t =
            make_target("%s hostaddr=127.0.0.1 port=%d sslmode=require", cases[i].conninfo, s.port);
        run_attempt(&o, t, 0, NULL);
        cr_assert(o.stream.ssl != NULL, "%s", o.message);
        outcome_finish(&o);
        target_destroy(t);
        server_stop(&s);
        cr_expect_str_eq(s.sni, cases[i].sni, "%s", cases[i].conninfo);
    }
}

Test(connector, a_failed_handshake_leads_to_the_next_host) {
    struct server bad, good;
    struct outcome o;
    server_start(&bad, SAY_X, SAY_X);
    server_start(&good, SAY_S, SAY_S);
    struct target *t =
        make_target("host=127.0.0.1,127.0.0.1 port=%d,%d sslmode=require", bad.port, good.port);
    run_attempt(&o, t, 0, NULL);
    cr_assert(o.stream.fd >= 0, "%s", o.message);
    cr_expect_eq(o.host, 1);
    expect_echo(&o.stream);
    outcome_finish(&o);
    target_destroy(t);
    server_stop(&bad);
    server_stop(&good);
}

// ---- waiting and cancelling ----

#define CROWD 8

// Connections that nobody accepts, until the kernel takes no more.
static void fill_backlog(const struct sockaddr *to, socklen_t len, int *crowd) {
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i] = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(crowd[i], to, len);
    }
}

static void disperse(const int *crowd) {
    for (size_t i = 0; i < CROWD; i++)
        close(crowd[i]);
}

Test(connector, a_full_backlog_times_out) {
    struct outcome o;
    int port, crowd[CROWD], fd = listen_tcp(&port, 0);
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    fill_backlog((struct sockaddr *)&in, sizeof(in), crowd);
    struct target *t = make_target("host=127.0.0.1 port=%d sslmode=disable", port);
    t->connect_timeout = 30000;
    run_attempt(&o, t, 0, NULL);
    expect_failure(&o, "timeout expired");
    outcome_finish(&o);
    target_destroy(t);
    disperse(crowd);
    close(fd);
}

Test(connector, a_full_unix_backlog_is_named) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct outcome o;
    int crowd[CROWD];
    snprintf(un.sun_path, sizeof(un.sun_path), "%s/.s.PGSQL.5434", tls_dir);
    int fd = listen_on((struct sockaddr *)&un, sizeof(un), 0);
    fill_backlog((struct sockaddr *)&un, sizeof(un), crowd);
    struct target *t = make_target("host=%s port=5434", tls_dir);
    run_attempt(&o, t, 0, NULL);
    expect_failure(&o, "the server's listen queue is full");
    outcome_finish(&o);
    target_destroy(t);
    disperse(crowd);
    close(fd);
}

// Runs the loop for `turns` turns, then cancels. False when the attempt was over before that.
static bool cancel_after(const struct target *t, unsigned turns) {
    struct outcome o;
    outcome_init(&o);
    struct connector *c = connector_start(&o.loop, t, 0, NULL, on_done, &o);
    cr_assert_not_null(c);
    for (unsigned i = 0; i < turns && o.calls == 0; i++)
        uv_run(&o.loop, i == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE); // not waiting shows a name being resolved
    bool over = o.calls > 0;
    if (!over)
        connector_cancel(c);
    uv_run(&o.loop, UV_RUN_DEFAULT);
    cr_expect_eq(o.calls, over ? 1 : 0, "done was called after connector_cancel");
    outcome_finish(&o);
    return !over;
}

// Cancels after every turn of the loop that the attempt takes; returns how many there were.
static unsigned cancel_everywhere(const struct target *t) {
    unsigned turns = 0;
    while (cancel_after(t, turns)) {
        turns++;
        cr_assert(turns < 1000);
    }
    return turns;
}

// libuv makes descriptors and threads for the process at first use, and keeps them.
static void warm_up(void) {
    struct outcome o;
    struct target *t = make_target("host=localhost port=1 sslmode=disable");
    run_attempt(&o, t, 0, NULL);
    outcome_finish(&o);
    target_destroy(t);
}

Test(connector, cancel_at_every_turn) {
    static const enum act acts[] = {HOLD, SAY_N, SAY_S, SAY_S_AND, SAY_S_SILENT, SAY_X, SAY_NOTHING, HANG_UP};
    warm_up();
    size_t before = open_descriptors();
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        struct server s;
        server_start(&s, acts[i], acts[i]);
        struct target *t =
            make_target("host=localhost port=%d sslmode=%s", s.port, acts[i] == HOLD ? "disable" : "prefer");
        t->connect_timeout = 30000;
        cr_expect(cancel_everywhere(t) >= 2, "act %d", (int)acts[i]);
        target_destroy(t);
        server_stop(&s);
        cr_expect_eq(open_descriptors(), before, "act %d: a descriptor is left", (int)acts[i]);
    }
}

Test(connector, cancel_while_connecting) {
    warm_up();
    int port, crowd[CROWD], fd = listen_tcp(&port, 0);
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    fill_backlog((struct sockaddr *)&in, sizeof(in), crowd);
    struct target *t = make_target("host=127.0.0.1 port=%d sslmode=disable", port);
    t->connect_timeout = 30000;
    size_t before = open_descriptors();
    cr_expect(cancel_everywhere(t) >= 2);
    cr_expect_eq(open_descriptors(), before, "a descriptor is left");
    target_destroy(t);
    disperse(crowd);
    close(fd);
}
