// SPDX-License-Identifier: PostgreSQL
#include "proxy/test_url.h"

#include <stdio.h>
#include <string.h>

// The parts of a URL: scheme "://" user host "/" rest "?" query.
struct url {
    const char *scheme, *user, *host, *rest, *query;
    int n_scheme, n_user, n_host, n_rest;
};

// postgres, postgresql+psycopg, jdbc:postgresql …, and what frameworks call it: Django, Symfony, Laravel, Phoenix.
static bool is_scheme(const char *text, size_t len) {
    static const char *const names[] = {"postgres", "postgis", "pgsql", "ecto"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (memmem(text, len, names[i], strlen(names[i])))
            return true;
    return false;
}

static bool split(const char *text, struct url *u) {
    const char *sign = strstr(text, "://");
    if (!sign || !is_scheme(text, (size_t)(sign - text)))
        return false;
    const char *authority = sign + 3;
    size_t len = strcspn(authority, "/?");
    const char *at = memrchr(authority, '@', len);
    u->scheme = text;
    u->n_scheme = (int)(sign - text);
    u->user = authority;
    u->n_user = at ? (int)(at + 1 - authority) : 0;
    u->host = authority + u->n_user;
    u->n_host = (int)len - u->n_user;
    u->rest = authority + len;
    u->n_rest = (int)strcspn(u->rest, "?");
    u->query = u->rest + u->n_rest;
    return true;
}

// Is it a parameter that says where the server is, or how to reach it?
static bool leads_elsewhere(const char *parameter) {
    static const char *const names[] = {
        "host=",           "hostaddr=", "port=",   "ssl=",     "sslmode=",        "sslrootcert=",
        "sslnegotiation=", "sslcert=",  "sslkey=", "service=", "channel_binding="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(parameter, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

// May a server be reached by it, as libpq reads it?
static bool leads_to_server(const char *parameter) {
    return strncmp(parameter, "connect_timeout=", 16) == 0 ||
           (leads_elsewhere(parameter) && strncmp(parameter, "ssl=", 4) != 0 &&
            strncmp(parameter, "service=", 8) != 0 && strncmp(parameter, "channel_binding=", 16) != 0);
}

static bool append(char *out, size_t size, size_t *len, const char *text, size_t n) {
    if (*len + n >= size)
        return false;
    memcpy(out + *len, text, n);
    *len += n;
    out[*len] = 0;
    return true;
}

// Appends the query's parameters that lead to the server; or the others.
static bool append_query(const char *query, bool server, char *out, size_t size, size_t *len) {
    char sign = '?';
    while (*query) {
        const char *parameter = query + 1;
        size_t n = strcspn(parameter, "&");
        if (n && (server ? leads_to_server(parameter) : !leads_elsewhere(parameter))) {
            if (!append(out, size, len, &sign, 1) || !append(out, size, len, parameter, n))
                return false;
            sign = '&';
        }
        query = parameter + n;
    }
    return true;
}

// A connection string of libpq.
static bool is_conninfo(const char *text) {
    return strchr(text, '=') && !strstr(text, "://");
}

bool test_url_rewrite(const char *url, const char *port, char *out, size_t size) {
    struct url u;
    if (!split(url, &u)) {
        int n = snprintf(
            out, size, "%s host=127.0.0.1 hostaddr=127.0.0.1 port=%s sslmode=disable channel_binding=prefer",
            url, port);
        return is_conninfo(url) && n > 0 && (size_t)n < size;
    }
    int n = snprintf(out, size, "%.*s://%.*s127.0.0.1:%s%.*s", u.n_scheme, u.scheme, u.n_user, u.user, port,
                     u.n_rest, u.rest);
    size_t len = (size_t)n;
    return n > 0 && len < size && append_query(u.query, false, out, size, &len);
}

bool test_url_server(const char *url, char *out, size_t size) {
    struct url u;
    int n = 0;
    if (split(url, &u)) {
        n = snprintf(out, size, "postgresql://%.*s/", u.n_host, u.host);
        size_t len = (size_t)n;
        return n > 0 && len < size && append_query(u.query, true, out, size, &len);
    }
    if (is_conninfo(url))
        n = snprintf(out, size, "%s", url);
    return n > 0 && (size_t)n < size;
}
