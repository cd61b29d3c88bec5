// SPDX-License-Identifier: PostgreSQL
//
// The settings "listen": a comma-separated list of addresses, each host:port, :port or /directory:port.
// Nothing is opened or resolved here.
#ifndef PGFOLD_PROXY_ADDRESS_H
#define PGFOLD_PROXY_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

// The texts are valid during the visit.
struct listen_address {
    const char *name; // as it was written
    const char *host; // without brackets; empty: any; '/' first: a Unix socket's directory
    const char *port; // digits, 1 to 65535
};

// False with a message ends the visits.
typedef bool address_visitor(void *arg, const struct listen_address *a, char *err, size_t err_size);

// Visits each address in order. With visit NULL the list is only checked. False with a message: an address is
// malformed, or a visit failed. `key`: the setting, for messages.
bool addresses_visit(const char *key, const char *addresses, address_visitor *visit, void *arg, char *err,
                     size_t err_size);

#endif
