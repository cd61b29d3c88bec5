// SPDX-License-Identifier: PostgreSQL
//
// Which link a cancel request names: by the server's process id and a secret. The process id is no secret,
// and servers behind several hosts may use the same; secrets are compared in a time that tells nothing of
// them.
#ifndef PGFOLD_PROXY_CANCEL_KEY_H
#define PGFOLD_PROXY_CANCEL_KEY_H

#include "protocol/message.h"
#include "proxy/link.h"

// BackendKeyData's body, which names the link from now on. Nothing happens when it has a key or there is no
// memory.
void cancel_key_add(struct link *l, const uint8_t *body, size_t len);
void cancel_key_remove(struct link *l);
// NULL: none. `known`: there is a link of that process id, whatever its secret.
struct link *cancel_key_find(const struct proxy *p, uint32_t pid, struct slice secret, bool *known);

#endif
