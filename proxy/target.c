// SPDX-License-Identifier: PostgreSQL
//
// From a libpq connection string to a struct target. libpq's parser splits the string; one table says of each
// keyword whether it is used here, belongs to the client (which logs in by itself, through the proxy) or is
// allowed with some values only. A keyword that the table does not know is refused: a setting that protects a
// connection must not be ignored in silence. Neither environment variables nor the service file are read.
//
// sslnegotiation is taken out of the string by hand before libpq sees it, since libpq knows it from version
// 17 on only.
#include "proxy/target.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <uv.h>

#include "proxy/complaint.h"
#include "proxy/tls.h"

#define DEFAULT_PORT       "5432"
#define DEFAULT_SOCKET_DIR "/var/run/postgresql"
#define MAX_HOSTS          64

static bool out_of_memory(const struct complaint *to) {
    return complain(to, "out of memory while reading the server's connection string");
}

// ---- sslnegotiation ----

#define SSLNEGOTIATION "sslnegotiation"

enum negotiation { NEGOTIATION_POSTGRES, NEGOTIATION_DIRECT, NEGOTIATION_INVALID };

static enum negotiation negotiation_of(const char *value, size_t len) {
    if (len == 8 && memcmp(value, "postgres", 8) == 0)
        return NEGOTIATION_POSTGRES;
    if (len == 6 && memcmp(value, "direct", 6) == 0)
        return NEGOTIATION_DIRECT;
    return NEGOTIATION_INVALID;
}

static char *skip_spaces(char *p) {
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

// Behind a keyword's value, which may be quoted and holds backslash escapes.
static char *skip_value(char *p) {
    bool quoted = *p == '\'';
    if (quoted)
        p++;
    while (*p != '\0' && (quoted ? *p != '\'' : !isspace((unsigned char)*p))) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        p++;
    }
    return quoted && *p == '\'' ? p + 1 : p;
}

static enum negotiation negotiation_value(const char *from, const char *to) {
    if (to - from >= 2 && *from == '\'' && to[-1] == '\'') {
        from++;
        to--;
    }
    return negotiation_of(from, (size_t)(to - from));
}

// Blanks out each "sslnegotiation = value"; the last one counts. What is malformed stays: libpq will
// complain.
static enum negotiation take_from_keywords(char *text) {
    enum negotiation found = NEGOTIATION_POSTGRES;
    for (char *p = skip_spaces(text); *p != '\0'; p = skip_spaces(p)) {
        char *keyword = p;
        while (*p != '\0' && *p != '=' && !isspace((unsigned char)*p))
            p++;
        size_t len = (size_t)(p - keyword);
        p = skip_spaces(p);
        if (*p != '=')
            break;
        char *value = skip_spaces(p + 1);
        p = skip_value(value);
        if (len == strlen(SSLNEGOTIATION) && memcmp(keyword, SSLNEGOTIATION, len) == 0) {
            found = negotiation_value(value, p);
            memset(keyword, ' ', (size_t)(p - keyword));
        }
    }
    return found;
}

// The start of a URI's query. User and password, which may hold any '?', end at an '@' before the first '/'.
static char *uri_query(char *authority) {
    char *p = authority + strcspn(authority, "@/");
    p = *p == '@' ? p + 1 : authority;
    return strchr(p, '?');
}

static enum negotiation take_from_uri(char *authority) {
    enum negotiation found = NEGOTIATION_POSTGRES;
    char *query = uri_query(authority);
    const size_t len = strlen(SSLNEGOTIATION "=");
    char *p = query != NULL ? query + 1 : NULL;
    while (p != NULL && *p != '\0') {
        char *end = p + strcspn(p, "&");
        if (strncmp(p, SSLNEGOTIATION "=", len) != 0) {
            p = *end == '&' ? end + 1 : end;
            continue;
        }
        found = negotiation_of(p + len, (size_t)(end - p) - len);
        if (*end == '&')
            end++;
        else
            p--; // the last parameter goes with the '&' or '?' before it
        memmove(p, end, strlen(end) + 1);
    }
    return found;
}

static enum negotiation take_negotiation(char *conninfo) {
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    for (size_t i = 0; i < 2; i++) {
        if (strncmp(conninfo, schemes[i], strlen(schemes[i])) == 0)
            return take_from_uri(conninfo + strlen(schemes[i]));
    }
    return take_from_keywords(conninfo);
}

// ---- keywords ----

static const char *const ours[] = {
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "target_session_attrs",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    NULL,
};

// These belong to the client, or mean nothing here: they are named in `ignored`.
static const char *const clients[] = {
    "user",
    "password",
    "passfile",
    "dbname",
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "options",
    "replication",
    "krbsrvname",
    "gsslib",
    "sslcompression",
    "authtype",
    "tty",
    NULL,
};

// Allowed with these values only.
static const struct restricted {
    const char *keyword, *accepted[2], *remedy;
} restricted[] = {
    {"gssencmode", {"prefer", "disable"}, "GSSAPI encryption is not supported, use disable and TLS"},
    {"channel_binding",
     {"prefer", "disable"},
     "a proxy cannot pass channel binding on, use prefer or disable"},
    {"service",
     {NULL},
     "service files are not read, write the service's settings into the connection string"},
    {"requirepeer", {NULL}, "the server's owner is not checked, leave it out"},
    {"load_balance_hosts", {"disable"}, "hosts are tried in order, use disable"},
    {"sslcertmode", {"allow"}, "use allow"},
    {"require_auth", {NULL}, "the client logs in by itself, set it there"},
    {"gssdelegation", {"0"}, "the client logs in by itself, leave it out"},
};

static bool contains(const char *const *words, const char *word) {
    for (; *words != NULL; words++) {
        if (strcmp(*words, word) == 0)
            return true;
    }
    return false;
}

static bool check_restricted(const PQconninfoOption *o, const struct complaint *to) {
    for (size_t i = 0; i < sizeof(restricted) / sizeof(restricted[0]); i++) {
        const struct restricted *r = &restricted[i];
        if (strcmp(r->keyword, o->keyword) != 0)
            continue;
        for (size_t j = 0; j < 2 && r->accepted[j] != NULL; j++) {
            if (strcmp(r->accepted[j], o->val) == 0)
                return true;
        }
        return complain(to, "connection option \"%s\" is not supported with value \"%s\": %s", o->keyword,
                        o->val, r->remedy);
    }
    return complain(to, "connection option \"%s\" is not supported: leave it out", o->keyword);
}

static void append_name(char *list, size_t size, const char *name) {
    size_t used = strlen(list);
    if (used < size)
        snprintf(list + used, size - used, "%s%s", used > 0 ? ", " : "", name);
}

static bool check_keyword(const PQconninfoOption *o, char *ignored, size_t ignored_size,
                          const struct complaint *to) {
    if (contains(ours, o->keyword))
        return true;
    if (!contains(clients, o->keyword))
        return check_restricted(o, to);
    append_name(ignored, ignored_size, o->keyword);
    return true;
}

static bool check_keywords(const PQconninfoOption *o, char *ignored, size_t size,
                           const struct complaint *to) {
    for (; o->keyword != NULL; o++) {
        if (o->val != NULL && o->val[0] != '\0' && !check_keyword(o, ignored, size, to))
            return false;
    }
    return true;
}

// The value, or NULL where it is missing or empty (libpq makes no difference).
static const char *value_of(const PQconninfoOption *o, const char *keyword) {
    for (; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, keyword) == 0)
            return o->val != NULL && o->val[0] != '\0' ? o->val : NULL;
    }
    return NULL;
}

// ---- numbers and words ----

static bool parse_int(const char *text, int *out) {
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (end == text || errno != 0 || n < INT_MIN || n > INT_MAX || *skip_spaces(end) != '\0')
        return false;
    *out = (int)n;
    return true;
}

// Leaves *out alone when the keyword is missing.
static bool int_option(const PQconninfoOption *o, const char *keyword, int *out, const struct complaint *to) {
    const char *text = value_of(o, keyword);
    if (text == NULL || parse_int(text, out))
        return true;
    return complain(to, "invalid integer value \"%s\" for connection option \"%s\"", text, keyword);
}

static bool word_option(const PQconninfoOption *o, const char *keyword, const char *const *words, int *out,
                        const struct complaint *to) {
    const char *text = value_of(o, keyword);
    if (text == NULL)
        return true;
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return true;
        }
    }
    return complain(to, "invalid value \"%s\" for connection option \"%s\"", text, keyword);
}

// Negative values count as 0, "the system's default".
static int at_least_zero(int n) {
    return n > 0 ? n : 0;
}

static bool fill_sockets(struct target *t, const PQconninfoOption *o, const struct complaint *to) {
    static const char *const attrs[] = {
        "any", "read-write", "read-only", "primary", "standby", "prefer-standby", NULL,
    };
    int timeout = 0, keepalives = 1, idle = 0, interval = 0, count = 0, user_timeout = 0, attr = TARGET_ANY;
    if (!int_option(o, "connect_timeout", &timeout, to) || !int_option(o, "keepalives", &keepalives, to) ||
        !int_option(o, "keepalives_idle", &idle, to) ||
        !int_option(o, "keepalives_interval", &interval, to) ||
        !int_option(o, "keepalives_count", &count, to) ||
        !int_option(o, "tcp_user_timeout", &user_timeout, to) ||
        !word_option(o, "target_session_attrs", attrs, &attr, to))
        return false;
    // "The minimum allowed timeout is 2 seconds, therefore a value of 1 is interpreted as 2."
    if (timeout == 1)
        timeout = 2;
    t->connect_timeout = (uint64_t)at_least_zero(timeout) * 1000000;
    t->keepalives = keepalives != 0;
    t->keepalives_idle = at_least_zero(idle);
    t->keepalives_interval = at_least_zero(interval);
    t->keepalives_count = at_least_zero(count);
    t->tcp_user_timeout = at_least_zero(user_timeout);
    t->attrs = (enum target_attrs)attr;
    return true;
}

// ---- hosts ----

static size_t list_length(const char *list) {
    size_t n = 1;
    for (; *list != '\0'; list++)
        n += *list == ',';
    return n;
}

// A copy of the i-th element, "" where the list is missing; NULL when memory ran out.
static char *list_element(const char *list, size_t i) {
    if (list == NULL)
        return strdup("");
    for (; i > 0; i--)
        list += strcspn(list, ",") + 1;
    return strndup(list, strcspn(list, ","));
}

static void drop_if_empty(char **text) {
    if (*text != NULL && (*text)[0] == '\0') {
        free(*text);
        *text = NULL;
    }
}

static bool check_port(struct target_host *h, const struct complaint *to) {
    int port = 0;
    if (!parse_int(h->port, &port) || port < 1 || port > 65535)
        return complain(to, "invalid port number: \"%s\"", h->port);
    char text[16];
    snprintf(text, sizeof(text), "%d", port); // " 5432" is allowed, but not wanted in addresses
    free(h->port);
    h->port = strdup(text);
    return h->port != NULL || out_of_memory(to);
}

static bool check_host(const struct target_host *h, const struct complaint *to) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    if (h->hostaddr != NULL && uv_ip4_addr(h->hostaddr, 1, &v4) != 0 && uv_ip6_addr(h->hostaddr, 1, &v6) != 0)
        return complain(to,
                        "could not parse network address \"%s\": hostaddr takes numbers, host takes names",
                        h->hostaddr);
    if (!target_host_is_unix(h))
        return true;
    int len = snprintf(NULL, 0, "%s/.s.PGSQL.%s", h->host, h->port);
    if ((size_t)len < sizeof(un.sun_path))
        return true;
    return complain(to, "Unix-domain socket path \"%s/.s.PGSQL.%s\" is too long (maximum %zu bytes)", h->host,
                    h->port, sizeof(un.sun_path) - 1);
}

struct host_lists {
    const char *host, *hostaddr, *port;
};

static bool fill_host(struct target_host *h, const struct host_lists *lists, size_t i,
                      const struct complaint *to) {
    bool one_port = lists->port == NULL || list_length(lists->port) == 1;
    h->host = list_element(lists->host, i);
    h->hostaddr = list_element(lists->hostaddr, i);
    h->port = list_element(lists->port, one_port ? 0 : i);
    if (h->host == NULL || h->hostaddr == NULL || h->port == NULL)
        return out_of_memory(to);
    drop_if_empty(&h->host);
    drop_if_empty(&h->hostaddr);
    drop_if_empty(&h->port);
    if (h->host == NULL && h->hostaddr == NULL && (h->host = strdup(DEFAULT_SOCKET_DIR)) == NULL)
        return out_of_memory(to);
    if (h->port == NULL && (h->port = strdup(DEFAULT_PORT)) == NULL)
        return out_of_memory(to);
    return check_port(h, to) && check_host(h, to);
}

static bool fill_hosts(struct target *t, const PQconninfoOption *o, const struct complaint *to) {
    struct host_lists lists = {value_of(o, "host"), value_of(o, "hostaddr"), value_of(o, "port")};
    size_t n_names = lists.host != NULL ? list_length(lists.host) : 1;
    size_t n = lists.hostaddr != NULL ? list_length(lists.hostaddr) : n_names;
    size_t n_ports = lists.port != NULL ? list_length(lists.port) : 1;
    if (lists.host != NULL && n_names != n)
        return complain(to, "could not match %zu host names to %zu hostaddr values", n_names, n);
    if (n_ports != 1 && n_ports != n)
        return complain(to, "could not match %zu port numbers to %zu hosts", n_ports, n);
    if (n > MAX_HOSTS)
        return complain(to, "too many hosts in the connection string: %zu (maximum %d)", n, MAX_HOSTS);
    t->hosts = calloc(n, sizeof(*t->hosts));
    if (t->hosts == NULL)
        return out_of_memory(to);
    t->n_hosts = n;
    for (size_t i = 0; i < n; i++) {
        if (!fill_host(&t->hosts[i], &lists, i, to))
            return false;
    }
    return true;
}

// ---- TLS ----

static const char *const sslmodes[] = {
    "disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL,
};

static bool any_tcp(const struct target *t) {
    for (size_t i = 0; i < t->n_hosts; i++) {
        if (!target_host_is_unix(&t->hosts[i]))
            return true;
    }
    return false;
}

static bool fill_sni(struct tls_settings *set, const PQconninfoOption *o, const struct complaint *to) {
    static const char *const words[] = {
        "0",
        "1",
        NULL,
    };
    int sni = 1;
    if (!word_option(o, "sslsni", words, &sni, to))
        return false;
    set->sni = sni == 1;
    return true;
}

// sslrootcert=system raises the default to verify-full, as in libpq.
static bool fill_sslmode(struct target *t, const PQconninfoOption *o, enum negotiation how,
                         const struct complaint *to) {
    const char *root = value_of(o, "sslrootcert");
    int mode = root != NULL && strcmp(root, "system") == 0 ? SSLMODE_VERIFY_FULL : SSLMODE_PREFER;
    if (!word_option(o, "sslmode", sslmodes, &mode, to))
        return false;
    if (how == NEGOTIATION_INVALID)
        return complain(to, "invalid value for connection option \"sslnegotiation\": use postgres or direct");
    t->sslmode = (enum target_sslmode)mode;
    t->ssl_direct = how == NEGOTIATION_DIRECT;
    if (t->ssl_direct && t->sslmode < SSLMODE_REQUIRE)
        return complain(to,
                        "weak sslmode \"%s\" may not be used with sslnegotiation=direct (use \"require\", "
                        "\"verify-ca\", or \"verify-full\")",
                        sslmodes[mode]);
    return true;
}

static bool fill_tls(struct target *t, const PQconninfoOption *o, enum negotiation how,
                     const struct complaint *to) {
    struct tls_settings set = {
        .rootcert = value_of(o, "sslrootcert"),
        .cert = value_of(o, "sslcert"),
        .key = value_of(o, "sslkey"),
        .password = value_of(o, "sslpassword"),
        .crl = value_of(o, "sslcrl"),
        .crldir = value_of(o, "sslcrldir"),
        .min_version = value_of(o, "ssl_min_protocol_version"),
        .max_version = value_of(o, "ssl_max_protocol_version"),
    };
    if (!fill_sslmode(t, o, how, to) || !fill_sni(&set, o, to))
        return false;
    if (t->sslmode == SSLMODE_DISABLE || !any_tcp(t))
        return true;
    set.mode = t->sslmode;
    t->ssl_ctx = tls_server_context(&set, to->text, to->size);
    return t->ssl_ctx != NULL;
}

// ---- the whole ----

// libpq's message ends in a line feed. Some messages quote the whole URI, or a word that may be part of a
// password: what they quote is left out. Names of options are kept.
static void complain_libpq(const char *message, const struct complaint *to) {
    static const char *const may_tell[] = {"invalid connection option \"", "invalid URI query parameter: \""};
    if (message == NULL) {
        out_of_memory(to);
        return;
    }
    size_t len = strcspn(message, "\n");
    bool whole = false;
    for (size_t i = 0; i < sizeof(may_tell) / sizeof(may_tell[0]); i++)
        whole = whole || strncmp(message, may_tell[i], strlen(may_tell[i])) == 0;
    const char *quoted = strstr(message, ": \"");
    if (strncmp(message, "missing \"=\"", 11) == 0)
        complain(to,
                 "missing \"=\" in connection info string; write keyword=value, with single quotes around a "
                 "value that has blanks in it");
    else if (quoted != NULL && !whole)
        complain(to, "%.*s", (int)(quoted - message), message);
    else
        complain(to, "%.*s", (int)len, message);
}

// The copy may hold a password: it is wiped before it goes back.
static PQconninfoOption *parse(const char *conninfo, enum negotiation *how, const struct complaint *to) {
    char *copy = strdup(conninfo), *message = NULL;
    if (copy == NULL) {
        out_of_memory(to);
        return NULL;
    }
    *how = take_negotiation(copy);
    PQconninfoOption *options = PQconninfoParse(copy, &message);
    if (options == NULL)
        complain_libpq(message, to);
    PQfreemem(message);
    explicit_bzero(copy, strlen(copy));
    free(copy);
    return options;
}

static bool fill(struct target *t, const PQconninfoOption *o, enum negotiation how,
                 const struct complaint *to) {
    return fill_hosts(t, o, to) && fill_sockets(t, o, to) && fill_tls(t, o, how, to);
}

struct target *target_create(const char *conninfo, char *ignored, size_t ignored_size, char *err,
                             size_t err_size) {
    const struct complaint to = {err, err_size, "pgfold.server"};
    enum negotiation how = NEGOTIATION_POSTGRES;
    if (ignored_size > 0)
        ignored[0] = '\0';
    PQconninfoOption *options = parse(conninfo, &how, &to);
    if (options == NULL)
        return NULL;
    struct target *t = calloc(1, sizeof(*t));
    if (t == NULL)
        out_of_memory(&to);
    else if (!check_keywords(options, ignored, ignored_size, &to) || !fill(t, options, how, &to)) {
        target_destroy(t);
        t = NULL;
    }
    PQconninfoFree(options);
    return t;
}

const char *target_describe(const struct target *t, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < t->n_hosts && used < size; i++) {
        const struct target_host *h = &t->hosts[i];
        const char *name = h->host != NULL ? h->host : h->hostaddr;
        bool v6 = strchr(name, ':') != NULL;
        used += (size_t)snprintf(out + used, size - used, "%s%s%s%s:%s", i ? "," : "", v6 ? "[" : "", name,
                                 v6 ? "]" : "", h->port);
    }
    if (used < size && any_tcp(t))
        snprintf(out + used, size - used, " (sslmode=%s)", sslmodes[t->sslmode]);
    return out;
}

void target_destroy(struct target *t) {
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->n_hosts; i++) {
        free(t->hosts[i].host);
        free(t->hosts[i].hostaddr);
        free(t->hosts[i].port);
    }
    free(t->hosts);
    SSL_CTX_free(t->ssl_ctx);
    free(t);
}
