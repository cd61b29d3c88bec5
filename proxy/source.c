// SPDX-License-Identifier: PostgreSQL
#include "proxy/source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool peer_of(int fd, struct sockaddr_storage *peer) {
    socklen_t len = sizeof *peer;
    memset(peer, 0, sizeof *peer);
    return getpeername(fd, (struct sockaddr *)peer, &len) == 0;
}

static uid_t user_of(int fd) {
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t len = sizeof who;
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
    return who.uid;
}

struct source source_of(int fd) {
    struct sockaddr_storage peer;
    struct source s = {0};
    if (!peer_of(fd, &peer))
        return s;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer;
    uid_t user;
    switch (peer.ss_family) {
    case AF_INET:
        s.family = 4;
        memcpy(s.bytes, &v4->sin_addr, 4);
        break;
    case AF_INET6: {
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        s.family = mapped ? 4 : 6;
        memcpy(s.bytes, v6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8);
        break;
    }
    case AF_UNIX:
        s.family = 1;
        user = user_of(fd);
        memcpy(s.bytes, &user, sizeof user);
        break;
    }
    return s;
}

bool source_equal(const struct source *a, const struct source *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

void source_name(int fd, char name[static SOURCE_NAME]) {
    struct sockaddr_storage peer;
    snprintf(name, SOURCE_NAME, "an unknown address");
    if (!peer_of(fd, &peer))
        return;
    if (peer.ss_family == AF_UNIX)
        snprintf(name, SOURCE_NAME, "a Unix socket, user %u", (unsigned)user_of(fd));
    else if (peer.ss_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&peer)->sin_addr, name, SOURCE_NAME);
    else if (peer.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&peer)->sin6_addr, name, SOURCE_NAME);
}
