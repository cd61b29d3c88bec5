// SPDX-License-Identifier: PostgreSQL
//
// TLS contexts from files. The one for connections to the server follows libpq's settings, which target.c
// reads from the connection string. The one for connections of clients follows pgfold's own settings.
#ifndef PGFOLD_PROXY_TLS_H
#define PGFOLD_PROXY_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct ssl_ctx_st;

enum target_sslmode {
    SSLMODE_DISABLE,
    SSLMODE_ALLOW,
    SSLMODE_PREFER,
    SSLMODE_REQUIRE,
    SSLMODE_VERIFY_CA,
    SSLMODE_VERIFY_FULL
};

// The texts are borrowed for the call. NULL or "" means "not given": then libpq's default file in
// ~/.postgresql is used.
struct tls_settings {
    enum target_sslmode mode;
    const char *rootcert; // a file, or "system" for OpenSSL's own trusted roots
    const char *cert, *key, *password;
    const char *crl, *crldir;
    const char *min_version, *max_version; // TLSv1, TLSv1.1, TLSv1.2, TLSv1.3
    bool sni;
};

// Context for connections to the server, with libpq's meaning of each setting. NULL: message in err.
struct ssl_ctx_st *tls_server_context(const struct tls_settings *set, char *err, size_t err_size);

// ---- clients

struct client_tls_settings {
    const char *cert, *key; // PEM files
    unsigned min_version;   // 0 to 3: TLS 1.0 to 1.3
    const char *ciphers;    // of TLS 1.2 and below
};

// TLS context for clients' connections; NULL with a message that names the file or the setting. Records of at
// most 8 kB, ALPN "postgresql" (required when the client negotiates TLS directly).
struct ssl_ctx_st *client_tls_create(const struct client_tls_settings *set, char *err, size_t err_size);

// True: versions below TLS 1.2 are allowed, but no cipher that they could use.
bool client_tls_lacks_ciphers(struct ssl_ctx_st *ctx);

#endif
