// SPDX-License-Identifier: PostgreSQL
//
// The server that pgfold stands before: a libpq connection string read with libpq's own parser, and the TLS
// contexts.
#ifndef PGFOLD_PROXY_TARGET_H
#define PGFOLD_PROXY_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_ctx_st;

enum target_sslmode {
    SSLMODE_DISABLE,
    SSLMODE_ALLOW,
    SSLMODE_PREFER,
    SSLMODE_REQUIRE,
    SSLMODE_VERIFY_CA,
    SSLMODE_VERIFY_FULL
};
enum target_attrs {
    TARGET_ANY,
    TARGET_READ_WRITE,
    TARGET_READ_ONLY,
    TARGET_PRIMARY,
    TARGET_STANDBY,
    TARGET_PREFER_STANDBY
};

struct target_host {
    char *host; // name, or directory of a Unix socket ('/' or '@' first); NULL when only hostaddr is given
    char *hostaddr; // NULL: resolve host
    char *port;
};

struct target {
    struct target_host *hosts;
    size_t n_hosts;
    enum target_sslmode sslmode;
    bool ssl_direct; // sslnegotiation = direct
    struct ssl_ctx_st
        *ssl_ctx; // NULL when sslmode is disable or every host is a Unix socket (those never use TLS)
    enum target_attrs attrs;
    uint64_t connect_timeout; // microseconds, 0: no limit
    bool keepalives;
    int keepalives_idle, keepalives_interval, keepalives_count; // 0: system default
    int tcp_user_timeout;                                       // milliseconds, 0: system default
};

// Parses conninfo (keyword or URI form; sslnegotiation is understood even where libpq's parser is older than
// it). user, password, dbname and other log-in settings belong to the client: they are named,
// comma-separated, in `ignored`. Settings that are not supported (gssencmode=require,
// channel_binding=require, …) are errors. NULL: message in err.
struct target *target_create(const char *conninfo, char *ignored, size_t ignored_size, char *err,
                             size_t err_size);
void target_destroy(struct target *t); // takes NULL

// True when the host is reached through a Unix socket; its path is <host>/.s.PGSQL.<port>.
static inline bool target_host_is_unix(const struct target_host *h) {
    return h->hostaddr == NULL && h->host != NULL && (h->host[0] == '/' || h->host[0] == '@');
}

struct client_tls_settings {
    const char *cert, *key; // PEM files
    unsigned min_version;   // 0 to 3: TLS 1.0 to 1.3
    const char *ciphers;    // of TLS 1.2 and below
};

// TLS context for clients' connections; NULL with a message that names the file or the setting. Records of at
// most 8 kB, ALPN "postgresql" (required when the client negotiates TLS directly).
struct ssl_ctx_st *client_tls_create(const struct client_tls_settings *set, char *err, size_t err_size);

// True when versions below TLS 1.2 are allowed, but no cipher is that they could use.
bool client_tls_lacks_ciphers(struct ssl_ctx_st *ctx);

#endif
