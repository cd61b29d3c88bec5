// SPDX-License-Identifier: PostgreSQL
//
// The source of a client's connection. Some limits hold for each source. It is an IPv4 address, the /64
// network of an IPv6 address (a single host may use all of it), or the operating system's user behind a Unix
// socket.
#ifndef PGFOLD_PROXY_SOURCE_H
#define PGFOLD_PROXY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
    uint8_t family; // 0: unknown; all unknown sources count as one
    uint8_t bytes[8];
};

struct source source_of(int fd);
bool source_equal(const struct source *a, const struct source *b);
// The whole address, for people.
#define SOURCE_NAME 64
void source_name(int fd, char name[static SOURCE_NAME]);

#endif
