// SPDX-License-Identifier: PostgreSQL
//
// Who is at the other end of a client's socket, as far as limits go that apply to each: an IPv4 address, the
// network of an IPv6 one (/64, of which a single host may use all), or the user of the operating system
// behind a Unix socket.
#ifndef PGFOLD_PROXY_SOURCE_H
#define PGFOLD_PROXY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
    uint8_t family; // 0: unknown, and all of these are one
    uint8_t bytes[8];
};

struct source source_of(int fd);
bool source_equal(const struct source *a, const struct source *b);
// The whole address, for people.
#define SOURCE_NAME 64
void source_name(int fd, char name[static SOURCE_NAME]);

#endif
