// SPDX-License-Identifier: PostgreSQL
//
// TLS contexts from files. target.c fills the settings of the server's side from the connection string; the
// clients' side (client_tls_create) is declared in target.h.
#ifndef PGFOLD_PROXY_TLS_H
#define PGFOLD_PROXY_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/target.h"

// The texts are borrowed for the call; NULL or "" is "not given", and libpq's default file in ~/.postgresql
// counts.
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

#endif
