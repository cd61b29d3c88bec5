// SPDX-License-Identifier: PostgreSQL
#include "proxy/console_rows.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "batching/session/session_state.h"
#include "protocol/buf.h"
#include "proxy/census.h"
#include "proxy/target.h"

// ---- sockets

struct end {
    char address[INET6_ADDRSTRLEN];
    unsigned port;
    int pid; // of the process behind a Unix socket; 0: not known
};

static struct end end_of(int fd, bool peer) {
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof a;
    struct ucred who;
    socklen_t who_len = sizeof who;
    struct end e = {.address = "unix"};
    if ((peer ? getpeername : getsockname)(fd, (struct sockaddr *)&a, &len) != 0)
        return e;
    if (a.ss_family == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_len) == 0)
        e.pid = who.pid;
    if (a.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((struct sockaddr_in *)&a)->sin_addr, e.address, sizeof e.address);
        e.port = ntohs(((struct sockaddr_in *)&a)->sin_port);
    } else if (a.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&a)->sin6_addr, e.address, sizeof e.address);
        e.port = ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
    }
    return e;
}

// Engine time as PgBouncer writes it.
static void put_time(struct table *t, uint64_t us) {
    char text[40];
    time_t at = time(NULL) - (time_t)((proxy_now() - us) / 1000000);
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    table_text(t, text);
}

static void put_pointer(struct table *t, const struct link *l, bool server) {
    char text[24];
    snprintf(text, sizeof text, "0x%llx", 2 * (unsigned long long)l->id + server);
    table_text(t, text);
}

static const char *database_of(const struct link *l) {
    return l->session ? session_database(l->session) : "(nodb)";
}

static void socket_row(struct table *t, const struct link *l, bool server, const char *state) {
    const struct side *s = server ? &l->server : &l->client;
    struct end peer = end_of(s->stream.fd, true), own = end_of(s->stream.fd, false);
    uint64_t asked = l->session ? session_last_answer(l->session) : 0;
    table_row(t);
    table_text(t, server ? "S" : "C");
    table_text(t, link_user(l));
    table_text(t, database_of(l));
    table_text(t, "none");
    table_text(t, state);
    table_text(t, peer.address);
    table_int(t, peer.port);
    table_text(t, own.address);
    table_int(t, own.port);
    put_time(t, l->started);
    put_time(t, asked > l->started ? asked : l->started);
    table_int(t, 0);
    table_int(t, 0);
    table_int(t, l->state == LINK_CLOSING);
    put_pointer(t, l, server);
    put_pointer(t, l, !server);
    table_int(t, server && l->key ? get_u32(l->key) : peer.pid > 0 ? (uint64_t)peer.pid : 0);
    table_text(t, s->stream.ssl ? "TLS" : "");
    table_text(t, link_application(l));
    table_int(t, 0);
    table_int(t, l->id);
    table_end_row(t);
}

static bool client_row(struct table *t, const struct link *l) {
    static const char *const states[CLIENT_STATES] = {
        [CLIENT_IDLE] = "idle", [CLIENT_IDLE_IN_TRANSACTION] = "active", [CLIENT_ACTIVE] = "active"};
    enum show_client state = census_client(l);
    bool shown = state < CLIENT_STATES && states[state];
    if (shown)
        socket_row(t, l, false, states[state]);
    return shown;
}

static bool server_row(struct table *t, const struct link *l) {
    static const char *const states[SERVER_STATES] = {[SERVER_LOGIN] = "new",
                                                      [SERVER_IDLE] = "idle",
                                                      [SERVER_IDLE_IN_TRANSACTION] = "active",
                                                      [SERVER_ACTIVE] = "active",
                                                      [SERVER_LENDING] = "active"};
    enum show_server state = census_server(l);
    if (state < SERVER_STATES)
        socket_row(t, l, true, states[state]);
    return state < SERVER_STATES;
}

// The list has the newest first, so that who comes meanwhile is not told of, and who goes is not missed.
static uint64_t connections_rows(const struct proxy *p, bool servers, uint64_t before, struct table *t) {
    unsigned n = 0;
    for (const struct link *l = p->links; l; l = l->next) {
        if (l->id >= before)
            continue;
        if (n == CONSOLE_AT_ONCE)
            return l->id + 1;
        n += servers ? server_row(t, l) : client_row(t, l);
    }
    return 0;
}

// ---- pools: the sessions of a user in a database

#define POOLS_MOST 128

struct pool {
    const char *database, *user; // borrowed from the sessions
    uint64_t clients, waiting, active, idle, login;
};

struct pools {
    struct pool *of; // POOLS_MOST; the last one takes what has no place
    unsigned n;
};

static struct pool *pool_for(struct pools *p, const char *database, const char *user) {
    for (unsigned i = 0; i < p->n; i++)
        if (strcmp(p->of[i].user, user) == 0 && strcmp(p->of[i].database, database) == 0)
            return &p->of[i];
    if (p->n == POOLS_MOST)
        return &p->of[POOLS_MOST - 1];
    bool last = p->n == POOLS_MOST - 1;
    struct pool *x = &p->of[p->n++];
    *x = (struct pool){.database = last ? "(other)" : database, .user = last ? "(other)" : user};
    return x;
}

static void count_in_pool(struct pool *x, const struct link *l) {
    enum show_client client = census_client(l);
    enum show_server server = census_server(l);
    x->clients += client < CLIENT_STATES && client != CLIENT_LOGIN;
    x->waiting += client == CLIENT_LOGIN;
    x->login += server == SERVER_LOGIN;
    x->idle += server == SERVER_IDLE;
    x->active += server == SERVER_ACTIVE || server == SERVER_IDLE_IN_TRANSACTION || server == SERVER_LENDING;
}

// By database and user, or by the latter alone.
static bool pools_count(const struct proxy *p, bool users, struct pools *out) {
    *out = (struct pools){.of = calloc(POOLS_MOST, sizeof(struct pool))};
    for (const struct link *l = p->links; l && out->of; l = l->next)
        if (l->session)
            count_in_pool(pool_for(out, users ? "" : database_of(l), link_user(l)), l);
    return out->of != NULL;
}

static void pools_rows(const struct proxy *p, struct table *t) {
    struct pools all;
    if (!pools_count(p, false, &all))
        return;
    for (unsigned i = 0; i < all.n; i++) {
        const struct pool *x = &all.of[i];
        const uint64_t v[] = {x->clients, x->waiting, 0, 0, x->active, 0, 0, x->idle, 0, 0, x->login, 0, 0};
        table_row(t);
        table_text(t, x->database);
        table_text(t, x->user);
        for (size_t j = 0; j < sizeof v / sizeof *v; j++)
            table_int(t, v[j]);
        table_text(t, "session");
        table_text(t, NULL);
        table_end_row(t);
    }
    free(all.of);
}

static void users_rows(const struct proxy *p, struct table *t) {
    struct pools all;
    if (!pools_count(p, true, &all))
        return;
    for (unsigned i = 0; i < all.n; i++) {
        const struct pool *x = &all.of[i];
        table_row(t);
        table_text(t, x->user);
        table_text(t, "");
        table_text(t, "");
        table_text(t, NULL);
        table_int(t, 0);
        table_int(t, x->active + x->idle + x->login);
        table_int(t, 0);
        table_int(t, x->clients);
        table_end_row(t);
    }
    free(all.of);
}

// ---- databases

static void databases_row(const struct proxy *p, const char *name, bool old, struct table *t) {
    const struct target_host *h = &p->settings->target->hosts[0];
    uint64_t most = (uint64_t)p->settings->config->max_clients, n = 0, servers = 0;
    for (const struct link *l = p->links; l; l = l->next) {
        bool its = l->session && strcmp(session_database(l->session), name) == 0;
        n += its && census_client(l) < CLIENT_STATES;
        servers += its && census_server(l) < SERVER_STATES;
    }
    const uint64_t v[] = {most, servers, most, n, 0, 0};
    table_row(t);
    table_text(t, name);
    table_text(t, h->host ? h->host : h->hostaddr);
    table_int(t, h->port ? strtoull(h->port, NULL, 10) : 5432);
    table_text(t, name);
    table_text(t, NULL);
    table_int(t, most);
    for (int i = 0; i < 3; i++)
        table_int(t, 0);
    table_text(t, "session");
    table_text(t, NULL);
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        table_int(t, v[i]);
    if (old)
        table_int(t, 0);
    table_end_row(t);
}

static void databases_rows(const struct proxy *p, bool old, struct table *t) {
    const struct figures *f = engine_figures(p->engine);
    for (unsigned i = 0; i < f->n_databases; i++)
        databases_row(p, f->databases[i].name, old, t);
}

// ---- the rest

static void lists_rows(const struct proxy *p, struct table *t) {
    struct show_outside o = census_take(p);
    struct pools by_user = {0}, all = {0};
    uint64_t used = o.clients[CLIENT_IDLE] + o.clients[CLIENT_IDLE_IN_TRANSACTION] + o.clients[CLIENT_ACTIVE];
    uint64_t servers = 0, most = (uint64_t)p->settings->config->max_clients;
    for (unsigned i = 0; i < SERVER_STATES; i++)
        servers += o.servers[i];
    if (pools_count(p, true, &by_user) && pools_count(p, false, &all)) {
        const struct {
            const char *name;
            uint64_t n;
        } rows[] = {{"databases", engine_figures(p->engine)->n_databases},
                    {"users", by_user.n},
                    {"peers", 0},
                    {"pools", all.n},
                    {"peer_pools", 0},
                    {"free_clients", most > used ? most - used : 0},
                    {"used_clients", used},
                    {"login_clients", o.clients[CLIENT_LOGIN]},
                    {"free_servers", most > servers ? most - servers : 0},
                    {"used_servers", servers},
                    {"dns_names", 0},
                    {"dns_zones", 0},
                    {"dns_queries", 0},
                    {"dns_pending", 0}};
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            table_row(t);
            table_text(t, rows[i].name);
            table_int(t, rows[i].n);
            table_end_row(t);
        }
    }
    free(by_user.of);
    free(all.of);
}

static void config_rows(const struct proxy *p, bool all, struct table *t) {
    const char *key, *initial, *description;
    for (size_t i = 0; config_describe(i, &key, &initial, &description); i++) {
        char value[1024];
        bool changeable = settings_shown(p->settings, i, value, sizeof value);
        table_row(t);
        table_text(t, key);
        table_text(t, value);
        if (all)
            table_text(t, description);
        if (!all)
            table_text(t, initial);
        if (!all)
            table_text(t, changeable ? "yes" : "no");
        table_end_row(t);
    }
}

uint64_t console_rows(struct proxy *p, enum console_show what, bool old, uint64_t before, struct table *t) {
    if (what == SHOW_CLIENTS || what == SHOW_SERVERS)
        return connections_rows(p, what == SHOW_SERVERS, before, t);
    if (what == SHOW_POOLS)
        pools_rows(p, t);
    else if (what == SHOW_USERS)
        users_rows(p, t);
    else if (what == SHOW_DATABASES)
        databases_rows(p, old, t);
    else if (what == SHOW_LISTS)
        lists_rows(p, t);
    else
        config_rows(p, what == SHOW_ALL, t);
    return 0;
}
