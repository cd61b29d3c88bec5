// SPDX-License-Identifier: PostgreSQL
//
// Streams, plain and with TLS, over a socket pair. Both ends are in one thread: whoever must wait gives the
// other end its turn.
#include "proxy/stream.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "proxy/target.h"
#include "tests/unit/tls_files.h"

static void setup(void) {
    signal(SIGPIPE, SIG_IGN);
    tls_files_create();
}

TestSuite(stream, .init = setup, .fini = tls_files_remove, .timeout = 60);

static void pair_plain(struct stream *a, struct stream *b) {
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    stream_init_plain(a, fds[0]);
    stream_init_plain(b, fds[1]);
}

static void pair_tcp(struct stream *a, struct stream *b) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(to);
    int listening = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listening, (struct sockaddr *)&to, len), 0);
    cr_assert_eq(listen(listening, 1), 0);
    cr_assert_eq(getsockname(listening, (struct sockaddr *)&to, &len), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, len), 0);
    stream_init_plain(a, fd);
    stream_init_plain(b, accept4(listening, NULL, NULL, SOCK_NONBLOCK));
    close(listening);
}

static bool is_readable(const struct stream *s, int ms) {
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    return poll(&p, 1, ms) > 0;
}

static void finish(struct stream *a, struct stream *b) {
    stream_close(a);
    stream_close(b);
    expect_no_leaks();
}

static bool has_waited(int rc) {
    return rc == STREAM_WANT_READ || rc == STREAM_WANT_WRITE;
}

static SSL_CTX *accepting_context(void) {
    char message[256] = "";
    SSL_CTX *ctx = client_tls_create(&TLS_OF("server.crt", "server.key"), message, sizeof(message));
    cr_assert_not_null(ctx, "%s", message);
    return ctx;
}

// The handshake of both ends; the contexts go back at once, the streams hold what they need of them.
static void pair_tls(struct stream *client, struct stream *server) {
    SSL_CTX *accepting = accepting_context(), *connecting = SSL_CTX_new(TLS_client_method());
    int c = 0, s = 0;
    pair_plain(client, server);
    cr_assert_eq(stream_start_tls(client, connecting, false, "db.example"), 0);
    cr_assert_eq(stream_start_tls(server, accepting, true, NULL), 0);
    while (c != 1 || s != 1) {
        c = c == 1 ? 1 : client->ops->handshake(client);
        s = s == 1 ? 1 : server->ops->handshake(server);
        cr_assert((c == 1 || has_waited(c)) && (s == 1 || has_waited(s)));
    }
    SSL_CTX_free(accepting);
    SSL_CTX_free(connecting);
}

static void fill_pattern(unsigned char *to, size_t len) {
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)(i * 7 + (i >> 8));
}

// Sends len bytes, each try from another place in memory, while the other end reads; compares what arrives.
static void transfer(struct stream *from, struct stream *to, size_t len) {
    unsigned char *sent = malloc(len), *got = malloc(len), *moved = NULL;
    size_t n_sent = 0, n_got = 0;
    fill_pattern(sent, len);
    while (n_got < len) {
        if (n_sent < len) {
            free(moved);
            moved = malloc(len - n_sent);
            memcpy(moved, sent + n_sent, len - n_sent);
            ssize_t n = stream_write(from, moved, len - n_sent);
            cr_assert(n > 0 || has_waited((int)n), "write said %zd", n);
            n_sent += n > 0 ? (size_t)n : 0;
        }
        ssize_t n = stream_read(to, got + n_got, len - n_got > 1000 ? 1000 : len - n_got);
        cr_assert(n > 0 || has_waited((int)n), "read said %zd", n);
        n_got += n > 0 ? (size_t)n : 0;
    }
    cr_expect_arr_eq(got, sent, len);
    free(sent);
    free(got);
    free(moved);
}

static void expect_read(struct stream *s, ssize_t expected) {
    char byte;
    ssize_t n = stream_read(s, &byte, 1);
    cr_expect_eq(n, expected, "read said %zd instead of %zd", n, expected);
}

Test(stream, plain_transfers_and_ends) {
    struct stream a, b;
    pair_plain(&a, &b);
    expect_read(&a, STREAM_WANT_READ);
    transfer(&a, &b, 1000000);
    transfer(&b, &a, 1000000);
    cr_expect_not(stream_has_buffered(&a));
    stream_close(&b);
    stream_close(&b);
    expect_read(&a, STREAM_EOF);
    stream_close(&a);
    cr_expect_eq(a.fd, -1);
}

// The signal is left at its default here: a plain stream must not raise it.
Test(stream, plain_write_to_a_closed_peer) {
    struct stream a, b;
    char text[128];
    signal(SIGPIPE, SIG_DFL);
    pair_plain(&a, &b);
    stream_close(&b);
    cr_expect_eq(stream_write(&a, "x", 1), STREAM_ERROR);
    stream_error(&a, text, sizeof(text));
    cr_expect_str_eq(text, "Broken pipe");
    stream_close(&a);
    cr_expect_eq(stream_write(&a, "x", 1), STREAM_ERROR);
}

Test(stream, plain_write_stops_when_the_peer_does_not_read) {
    static const char block[65536];
    struct stream a, b;
    ssize_t n;
    pair_plain(&a, &b);
    while ((n = stream_write(&a, block, sizeof(block))) > 0)
        ;
    cr_expect_eq(n, STREAM_WANT_WRITE);
    finish(&a, &b);
}

Test(stream, tls_transfers_both_ways) {
    struct stream client, server;
    pair_tls(&client, &server);
    expect_read(&client, STREAM_WANT_READ);
    transfer(&client, &server, 1000000);
    transfer(&server, &client, 1000000);
    cr_expect_eq(stream_write(&client, "", 0), 0);
    stream_close(&client);
    expect_read(&server, STREAM_EOF);
    stream_close(&server);
}

Test(stream, tls_tells_of_decrypted_bytes) {
    struct stream client, server;
    pair_tls(&client, &server);
    cr_expect_not(stream_has_buffered(&server));
    cr_assert_eq(stream_write(&client, "ab", 2), 2);
    expect_read(&server, 1);
    cr_expect(stream_has_buffered(&server));
    expect_read(&server, 1);
    cr_expect_not(stream_has_buffered(&server));
    finish(&client, &server);
}

static void note_record(int writing, int version, int type, const void *bytes, size_t len, SSL *ssl,
                        void *arg) {
    const unsigned char *header = bytes;
    size_t *largest = arg;
    (void)version;
    (void)ssl;
    if (writing || type != SSL3_RT_HEADER || len < 5)
        return;
    size_t size = (size_t)header[3] << 8 | header[4];
    *largest = size > *largest ? size : *largest;
}

Test(stream, records_to_clients_hold_at_most_8_kB) {
    struct stream client, server;
    size_t largest = 0;
    pair_tls(&client, &server);
    SSL_set_msg_callback(client.ssl, note_record);
    SSL_set_msg_callback_arg(client.ssl, &largest);
    transfer(&server, &client, 200000);
    cr_expect(largest > 4096 && largest <= 8192 + 256, "%zu",
              largest); // 256: what TLS adds to the plain text at most
    finish(&client, &server);
}

Test(stream, tls_end_without_close_notify) {
    struct stream client, server;
    pair_tls(&client, &server);
    shutdown(client.fd, SHUT_RDWR);
    expect_read(&server, STREAM_EOF);
    finish(&client, &server);
}

Test(stream, tls_write_to_a_closed_peer) {
    struct stream client, server;
    char text[128] = "";
    pair_tls(&client, &server);
    stream_close(&client);
    cr_expect_eq(stream_write(&server, "x", 1), STREAM_ERROR);
    stream_error(&server, text, sizeof(text));
    cr_expect_str_eq(text, "Broken pipe");
    stream_close(&server);
}

Test(stream, a_stale_entry_of_the_error_queue_is_not_taken_for_ours) {
    struct stream client, server;
    pair_tls(&client, &server);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    expect_read(&client, STREAM_WANT_READ);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    cr_expect_eq(stream_write(&client, "x", 1), 1);
    finish(&client, &server);
}

Test(stream, garbage_instead_of_a_handshake) {
    struct stream client, server;
    char text[128] = "";
    SSL_CTX *ctx = accepting_context();
    pair_plain(&client, &server);
    cr_assert_eq(stream_start_tls(&server, ctx, true, NULL), 0);
    cr_assert_eq(stream_write(&client, "GET / HTTP/1.0\r\n\r\n", 18), 18);
    cr_expect_eq(server.ops->handshake(&server), STREAM_ERROR);
    stream_error(&server, text, sizeof(text));
    cr_expect_str_eq(text, "http request");
    finish(&server, &client);
    SSL_CTX_free(ctx);
}

// Until the whole record is there, poll() does not say that something is: a loop would turn for each byte.
Test(stream, a_hello_that_comes_byte_by_byte) {
    static const char record[] = "\x16\x03\x01\x00\x04"
                                 "abcd";
    struct stream client, server;
    pair_tcp(&client, &server);
    cr_expect_not(stream_hello_is_here(&server));
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(stream_write(&client, record + i, 1), 1);
        if (i == 0)
            cr_assert(is_readable(&server, 10000));
        cr_expect_not(stream_hello_is_here(&server));
        cr_expect(i == 4 || !is_readable(&server, 0), "after %d bytes", i + 1);
    }
    cr_assert_eq(stream_write(&client, record + 8, 1), 1);
    cr_assert(is_readable(&server, 10000));
    cr_expect(stream_hello_is_here(&server));
    finish(&client, &server);
}

Test(stream, a_hello_that_is_none) {
    static const char *const none[] = {"G", "\x16\x03\x01\xff\xff", ""};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        struct stream client, server;
        pair_tcp(&client, &server);
        cr_assert_eq(stream_write(&client, none[i], strlen(none[i])), (ssize_t)strlen(none[i]));
        if (!*none[i])
            stream_close(&client);
        cr_assert(is_readable(&server, 10000));
        cr_expect(stream_hello_is_here(&server), "case %zu", i);
        finish(&client, &server);
    }
}

Test(stream, a_peer_that_leaves_during_the_handshake) {
    struct stream client, server;
    char text[128] = "";
    SSL_CTX *ctx = accepting_context();
    pair_plain(&client, &server);
    cr_assert_eq(stream_start_tls(&server, ctx, true, NULL), 0);
    cr_expect_eq(server.ops->handshake(&server), STREAM_WANT_READ);
    stream_close(&client);
    cr_expect_eq(server.ops->handshake(&server), STREAM_ERROR);
    stream_error(&server, text, sizeof(text));
    cr_expect_str_eq(text, "the peer closed the connection");
    stream_close(&server);
    SSL_CTX_free(ctx);
}

// A client that offers other protocols only is refused; one that offers none, or ours among them, is served.
Test(stream, alpn) {
    static const struct {
        const char *offer;
        bool served;
    } cases[] = {{"", true}, {"\012postgresql", true}, {"\002h2\012postgresql", true}, {"\002h2", false}};
    for (size_t i = 0; i < 4; i++) {
        struct stream client, server;
        SSL_CTX *accepting = accepting_context(), *connecting = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_alpn_protos(connecting, (const unsigned char *)cases[i].offer,
                                (unsigned)strlen(cases[i].offer));
        pair_plain(&client, &server);
        cr_assert_eq(stream_start_tls(&client, connecting, false, NULL), 0);
        cr_assert_eq(stream_start_tls(&server, accepting, true, NULL), 0);
        cr_expect_eq(client.ops->handshake(&client), STREAM_WANT_READ);
        cr_expect_eq(server.ops->handshake(&server), cases[i].served ? STREAM_WANT_READ : STREAM_ERROR,
                     "case %zu", i);
        finish(&client, &server);
        SSL_CTX_free(accepting);
        SSL_CTX_free(connecting);
    }
}

Test(stream, a_name_to_check_must_be_given) {
    struct stream a, b;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    stream_set_tls_policy(ctx, STREAM_TLS_CHECK_NAME);
    pair_plain(&a, &b);
    cr_expect_eq(stream_start_tls(&a, ctx, false, NULL), -1);
    cr_expect_eq(stream_start_tls(&a, ctx, false, ""), -1);
    cr_expect_null(a.ssl);
    transfer(&a, &b, 100); // still plain
    cr_expect_eq(stream_start_tls(&a, ctx, false, "db.example"), 0);
    finish(&a, &b);
    SSL_CTX_free(ctx);
}
