// SPDX-License-Identifier: PostgreSQL
//
// The server that pgfold stands before: a libpq connection string, read with libpq's own parser.
#ifndef PGFOLD_PROXY_TARGET_H
#define PGFOLD_PROXY_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/tls.h"

enum target_attrs {
    TARGET_ANY,
    TARGET_READ_WRITE,
    TARGET_READ_ONLY,
    TARGET_PRIMARY,
    TARGET_STANDBY,
    TARGET_PREFER_STANDBY
};

struct target_host {
    char *host;     // name, or directory of a Unix socket ('/' or '@' first); NULL: only hostaddr is given
    char *hostaddr; // NULL: host is to be resolved
    char *port;
};

struct target {
    struct target_host *hosts;
    size_t n_hosts;
    enum target_sslmode sslmode;
    bool ssl_direct;            // sslnegotiation = direct
    struct ssl_ctx_st *ssl_ctx; // NULL: sslmode is disable, or every host is a Unix socket (without TLS)
    enum target_attrs attrs;
    uint64_t connect_timeout; // microseconds, 0: no limit
    bool keepalives;
    int keepalives_idle, keepalives_interval, keepalives_count; // 0: system default
    int tcp_user_timeout;                                       // milliseconds, 0: system default
};

// Parses conninfo, in keyword or URI form. sslnegotiation is understood also where libpq is too old for it.
// user, password, dbname and other settings of a log-in belong to the client: they are named in `ignored`,
// separated by commas. Settings that are not supported (gssencmode=require, channel_binding=require, …) are
// errors. NULL: the message is in err.
struct target *target_create(const char *conninfo, char *ignored, size_t ignored_size, char *err,
                             size_t err_size);
void target_destroy(struct target *t); // takes NULL

// Writes where the server is and how it is reached, for the log: hosts, ports and sslmode, and nothing else
// of the connection string. Returns out.
const char *target_describe(const struct target *t, char *out, size_t size);

// True when the host is reached through a Unix socket; its path is <host>/.s.PGSQL.<port>.
static inline bool target_host_is_unix(const struct target_host *h) {
    return h->hostaddr == NULL && h->host != NULL && (h->host[0] == '/' || h->host[0] == '@');
}

#endif
