// SPDX-License-Identifier: PostgreSQL
//
// Finds the link that a cancel request names, by the server's process id and a secret. The process id is not
// secret, and servers at several hosts may use the same one. Secrets are compared in a time that tells
// nothing about them.
#ifndef PGFOLD_PROXY_CANCEL_KEY_H
#define PGFOLD_PROXY_CANCEL_KEY_H

#include "protocol/message.h"
#include "proxy/link.h"

// Takes BackendKeyData's body: it names the link from now on. Does nothing when the link has a key already,
// or when there is no memory.
void cancel_key_add(struct link *l, const uint8_t *body, size_t len);
void cancel_key_remove(struct link *l);
// NULL: there is none. `known`: a link has that process id, whatever its secret.
struct link *cancel_key_find(const struct proxy *p, uint32_t pid, struct slice secret, bool *known);

#endif
