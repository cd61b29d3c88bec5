// SPDX-License-Identifier: PostgreSQL
#include "proxy/console_login.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/write.h"

#define PROTOCOL_3_0 0x30000u
#define PROTOCOL_3_2 0x30002u

bool console_is_asked_for(const struct startup *s) {
    struct slice name;
    if (!startup_param(s, "database", &name) && !startup_param(s, "user", &name))
        return false;
    return slice_is(name, "pgfold", 6) || slice_is(name, "pgbouncer", 9);
}

bool console_is_own_user(const struct link *l) {
    struct ucred peer;
    socklen_t len = sizeof peer;
    struct sockaddr_storage a;
    socklen_t a_len = sizeof a;
    int fd = l->client.stream.fd;
    if (getsockname(fd, (struct sockaddr *)&a, &a_len) != 0 || a.ss_family != AF_UNIX)
        return false;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == geteuid();
}

// Is the name in the comma-separated list?
static bool is_listed(const char *list, struct slice name) {
    while (*list) {
        list += strspn(list, " \t,");
        size_t n = strcspn(list, ","), most = n;
        while (n && (list[n - 1] == ' ' || list[n - 1] == '\t'))
            n--;
        if (n && n == name.len && memcmp(list, name.data, n) == 0)
            return true;
        list += most;
    }
    return false;
}

enum console_role console_role_of(const struct link *l, const char *user, bool own) {
    const struct config *c = l->proxy->settings->config;
    struct slice name = {(const uint8_t *)user, strlen(user)};
    if (own || is_listed(c->admin_users, name))
        return CONSOLE_ADMIN;
    return is_listed(c->stats_users, name) ? CONSOLE_STATS : CONSOLE_NOBODY;
}

static void put_pair(struct buf *b, const char *name, struct slice value) {
    buf_put_str(b, name);
    buf_put(b, value.data, value.len);
    buf_put_u8(b, 0);
}

void console_write_startup(const struct link *l, const struct startup *s, struct buf *out) {
    const char *database = l->settings->config->auth_database;
    struct slice user = {NULL, 0};
    startup_param(s, "user", &user);
    buf_put_u32(out, 0);
    buf_put_u32(out, PROTOCOL_3_0);
    put_pair(out, "user", user);
    put_pair(out, "database", (struct slice){(const uint8_t *)database, strlen(database)});
    put_pair(out, "application_name", (struct slice){(const uint8_t *)"pgfold console", 14});
    buf_put_u8(out, 0);
    if (!out->failed)
        buf_set_u32(out, 0, (uint32_t)out->len);
}

static bool is_option(const char *name) {
    return strncmp(name, "_pq_.", 5) == 0;
}

// The names of options that are not known here, which is all; returns how many.
static uint32_t put_options(const struct startup *s, struct buf *out) {
    const char *p = (const char *)s->params.data, *end = p + s->params.len;
    uint32_t n = 0;
    while (p < end) {
        const char *value = p + strlen(p) + 1;
        if (is_option(p)) {
            buf_put_str(out, p);
            n++;
        }
        p = value < end ? value + strlen(value) + 1 : end;
    }
    return n;
}

void console_negotiate(const struct startup *s, struct buf *out) {
    struct buf options = buf_make(65536);
    uint32_t n = put_options(s, &options), known = s->version == PROTOCOL_3_0 || s->version == PROTOCOL_3_2;
    if (n || !known) {
        size_t at = write_begin(out, B_NEGOTIATE_VERSION);
        buf_put_u32(out, s->version < PROTOCOL_3_2 ? PROTOCOL_3_0 : PROTOCOL_3_2);
        buf_put_u32(out, n);
        buf_put(out, options.data, options.len);
        write_end(out, at);
    }
    buf_free(&options);
}
