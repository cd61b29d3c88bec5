// SPDX-License-Identifier: PostgreSQL
//
// Streams: a plain one is recv() and send(); a TLS one is OpenSSL on the same descriptor. Every call ends in
// a count or in one of the STREAM_ values, so the callers' state machines never see errno or SSL_get_error.
//
// OpenSSL keeps errors in a queue per thread and SSL_get_error reads it, so the queue is emptied before each
// call: a stale entry of another connection would otherwise be taken for this one's. OpenSSL writes with
// write(), which can raise SIGPIPE: the process ignores that signal.
#include "proxy/stream.h"

#include <alloca.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static ssize_t plain_failed(struct stream *s, ssize_t want) {
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return want;
    s->saved_errno = errno;
    return STREAM_ERROR;
}

static ssize_t plain_read(struct stream *s, void *to, size_t len) {
    ssize_t n;
    do {
        n = recv(s->fd, to, len, 0);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : plain_failed(s, STREAM_WANT_READ);
}

static ssize_t plain_write(struct stream *s, const void *from, size_t len) {
    ssize_t n;
    do {
        n = send(s->fd, from, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : plain_failed(s, STREAM_WANT_WRITE);
}

static int plain_handshake(struct stream *s) {
    (void)s;
    return 1;
}

static int plain_finish(struct stream *s) {
    if (shutdown(s->fd, SHUT_WR) == 0)
        return 1;
    s->saved_errno = errno;
    return STREAM_ERROR;
}

static const struct stream_ops plain_ops = {plain_read, plain_write, plain_handshake, plain_finish};

static void tls_prepare(void) {
    ERR_clear_error();
    errno = 0;
}

// A peer that closes its socket without a close_notify: an error to OpenSSL, the end of the stream to us.
// Truncation is no danger here, since every PostgreSQL message carries its length.
static bool is_unexpected_eof(unsigned long e) {
    return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static int tls_broken(struct stream *s) {
    int system_error = errno;
    s->saved_tls_error = ERR_peek_error();
    if (s->saved_tls_error == 0)
        s->saved_errno = system_error != 0 ? system_error : ECONNRESET;
    return STREAM_ERROR;
}

// What a call that returned rc <= 0 means. errno is still that of the call.
static int tls_result(struct stream *s, int rc) {
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return STREAM_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return STREAM_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_EOF;
    default: // SSL_ERROR_SSL, SSL_ERROR_SYSCALL; the rest belong to callbacks that are not installed
        return tls_broken(s);
    }
}

#ifdef SSL_OP_CLEANSE_PLAINTEXT
#define WIPING SSL_OP_CLEANSE_PLAINTEXT
#else
#define WIPING 0
#endif
#define STACK_USED 16384 // by OpenSSL, and far more than it uses

// Wipes what OpenSSL has left on the stack, below the frame of the caller.
static void __attribute__((noinline)) wipe_stack(const struct stream *s) {
    if (SSL_get_options(s->ssl) & WIPING)
        explicit_bzero(alloca(STACK_USED), STACK_USED);
}

void stream_wipe_stack(void) {
    explicit_bzero(alloca(2 * STACK_USED), 2 * STACK_USED);
}

static ssize_t tls_read(struct stream *s, void *to, size_t len) {
    size_t n = 0;
    tls_prepare();
    int rc = SSL_read_ex(s->ssl, to, len, &n);
    wipe_stack(s);
    if (rc > 0)
        return (ssize_t)n;
    int result = tls_result(s, rc);
    if (result == STREAM_ERROR && is_unexpected_eof(s->saved_tls_error))
        return STREAM_EOF;
    return result;
}

static ssize_t tls_write(struct stream *s, const void *from, size_t len) {
    if (len == 0) // not defined for SSL_write_ex
        return 0;
    size_t n = 0;
    tls_prepare();
    int rc = SSL_write_ex(s->ssl, from, len, &n);
    wipe_stack(s);
    if (rc > 0)
        return (ssize_t)n;
    int result = tls_result(s, rc);
    if (result == STREAM_EOF) { // a write may not return it
        s->saved_errno = EPIPE;
        return STREAM_ERROR;
    }
    return result;
}

static int tls_handshake(struct stream *s) {
    tls_prepare();
    int rc = SSL_do_handshake(s->ssl);
    if (rc == 1)
        return 1;
    int result = tls_result(s, rc);
    if (result == STREAM_EOF) {
        s->saved_errno = ECONNRESET;
        return STREAM_ERROR;
    }
    return result;
}

// A close_notify ends our direction alone: SSL_read() goes on working behind it.
static int tls_finish(struct stream *s) {
    tls_prepare();
    int rc = SSL_shutdown(s->ssl);
    if (rc >= 0)
        return plain_finish(s);
    int result = tls_result(s, rc);
    return result == STREAM_EOF ? plain_finish(s) : result;
}

static const struct stream_ops tls_ops = {tls_read, tls_write, tls_handshake, tls_finish};

void stream_init_plain(struct stream *s, int fd) {
    *s = (struct stream){.ops = &plain_ops, .fd = fd};
}

void stream_set_tls_policy(struct ssl_ctx_st *ctx, unsigned policy) {
    SSL_CTX_set_app_data(ctx, (void *)(uintptr_t)policy);
}

static unsigned tls_policy(const SSL_CTX *ctx) {
    return (unsigned)(uintptr_t)SSL_CTX_get_app_data(ctx);
}

// Copies the address part of a literal IP address, less the scope of "fe80::1%eth0", which no certificate
// carries.
static bool is_ip_literal(const char *host, char *ip, size_t size) {
    unsigned char raw[16];
    size_t len = strcspn(host, "%");
    if (len >= size)
        return false;
    memcpy(ip, host, len);
    ip[len] = '\0';
    return inet_pton(AF_INET, ip, raw) == 1 || inet_pton(AF_INET6, ip, raw) == 1;
}

// Server Name Indication carries names only (RFC 6066 leaves literal addresses out).
static bool tls_name_peer(SSL *ssl, unsigned policy, const char *host) {
    char ip[INET6_ADDRSTRLEN];
    bool literal = is_ip_literal(host, ip, sizeof(ip));
    if (!literal && !(policy & STREAM_TLS_NO_SNI) && SSL_set_tlsext_host_name(ssl, host) != 1)
        return false;
    if (!(policy & STREAM_TLS_CHECK_NAME))
        return true;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (literal)
        return X509_VERIFY_PARAM_set1_ip_asc(param, ip) == 1;
    // A wildcard stands for one whole leftmost label, as in libpq.
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

static bool tls_configure(SSL *ssl, SSL_CTX *ctx, int fd, bool server_side, const char *host) {
    if (SSL_set_fd(ssl, fd) != 1)
        return false;
    // Callers keep unsent bytes in buffers that grow and move, and poll: hence partial writes and moving
    // buffers. An idle connection gives its record buffers (34 kB) back.
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS);
    SSL_set_options(ssl, WIPING);
    if (server_side) {
        SSL_set_accept_state(ssl);
        return true;
    }
    SSL_set_connect_state(ssl);
    unsigned policy = tls_policy(ctx);
    if (host != NULL && host[0] != '\0')
        return tls_name_peer(ssl, policy, host);
    return !(policy & STREAM_TLS_CHECK_NAME); // nothing to check against: refuse
}

int stream_start_tls(struct stream *s, struct ssl_ctx_st *ctx, bool server_side, const char *host) {
    tls_prepare();
    SSL *ssl = SSL_new(ctx);
    if (ssl == NULL || !tls_configure(ssl, ctx, s->fd, server_side, host)) {
        s->saved_tls_error = ERR_peek_error();
        if (s->saved_tls_error == 0)
            s->saved_errno = EINVAL;
        SSL_free(ssl);
        return -1;
    }
    s->ssl = ssl;
    s->ops = &tls_ops;
    return 0;
}

static bool wait_for_bytes(const struct stream *s, int n) {
    return setsockopt(s->fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof n) == 0;
}

static bool is_tcp(const struct stream *s) {
    int domain = AF_UNIX;
    socklen_t len = sizeof domain;
    return getsockopt(s->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain != AF_UNIX;
}

// RFC 8446, 5.1: type, version, length. poll() heeds SO_RCVLOWAT on TCP sockets alone (socket(7)).
bool stream_hello_is_here(const struct stream *s) {
    enum { HEADER = 5, HANDSHAKE = 22, LONGEST = HEADER + 16384 };
    unsigned char head[HEADER];
    int there = 0;
    struct pollfd end = {.fd = s->fd, .events = POLLRDHUP};
    ssize_t n = recv(s->fd, head, sizeof head, MSG_PEEK);
    if (n < 0)
        return errno != EAGAIN;
    if (n == 0 || head[0] != HANDSHAKE || !is_tcp(s) || ioctl(s->fd, FIONREAD, &there) != 0)
        return true;
    int wanted = n < HEADER ? HEADER : HEADER + (head[3] << 8 | head[4]);
    bool here = there >= wanted || wanted > LONGEST || poll(&end, 1, 0) > 0;
    return !wait_for_bytes(s, here ? 1 : wanted) || here;
}

void stream_acknowledge(const struct stream *s) {
#ifdef TCP_QUICKACK
    int on = 1;
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on); // a Unix socket has none
#else
    (void)s;
#endif
}

bool stream_has_buffered(const struct stream *s) {
    return s->ssl != NULL && SSL_pending(s->ssl) > 0;
}

void stream_end_wiping(const struct stream *s) {
    if (s->ssl != NULL)
        SSL_clear_options(s->ssl, WIPING);
}

static void tls_error_phrase(const struct stream *s, char *out, size_t size) {
    unsigned long e = s->saved_tls_error;
    if (is_unexpected_eof(e)) {
        snprintf(out, size, "the peer closed the connection");
        return;
    }
    if (ERR_SYSTEM_ERROR(e)) {
        snprintf(out, size, "%s", strerror(ERR_GET_REASON(e)));
        return;
    }
    const char *reason = ERR_reason_error_string(e);
    long verdict = s->ssl != NULL ? SSL_get_verify_result(s->ssl) : X509_V_OK;
    if (verdict != X509_V_OK && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(out, size, "certificate verify failed: %s", X509_verify_cert_error_string(verdict));
    else if (reason != NULL)
        snprintf(out, size, "%s", reason);
    else
        snprintf(out, size, "TLS error %lu", e);
}

void stream_error(const struct stream *s, char *out, size_t size) {
    if (s->saved_tls_error != 0)
        tls_error_phrase(s, out, size);
    else if (s->saved_errno != 0)
        snprintf(out, size, "%s", strerror(s->saved_errno));
    else
        snprintf(out, size, "no error");
}

// OpenSSL forbids SSL_shutdown after a fatal error; before the end of the handshake there is nothing to
// close.
static bool may_say_goodbye(const struct stream *s) {
    return s->saved_errno == 0 && s->saved_tls_error == 0 && SSL_is_init_finished(s->ssl);
}

void stream_abort(const struct stream *s) {
    struct linger reset = {.l_onoff = 1};
    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void stream_close(struct stream *s) {
    if (s->ssl != NULL) {
        tls_prepare();
        if (may_say_goodbye(s))
            (void)SSL_shutdown(s->ssl);
        SSL_free(s->ssl);
        s->ssl = NULL;
        ERR_clear_error();
    }
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->ops = &plain_ops; // a later call fails with EBADF instead of touching freed memory
}
