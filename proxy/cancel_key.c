// SPDX-License-Identifier: PostgreSQL
#include "proxy/cancel_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#define PID_BYTES 4

void cancel_key_add(struct link *l, const uint8_t *body, size_t len) {
    if (l->key || len < 2 * PID_BYTES || len > PID_BYTES + 256)
        return;
    l->key = malloc(len);
    if (!l->key)
        return;
    memcpy(l->key, body, len);
    l->key_len = len;
    HASH_ADD_KEYPTR(hh, l->proxy->by_key, l->key, PID_BYTES, l); // several may have this process id
    if (!l->hh.tbl) {
        free(l->key);
        l->key = NULL;
    }
}

void cancel_key_remove(struct link *l) {
    if (!l->key)
        return;
    HASH_DEL(l->proxy->by_key, l);
    OPENSSL_cleanse(l->key, l->key_len);
    free(l->key);
    l->key = NULL;
}

static bool has_secret(const struct link *l, struct slice secret) {
    return l->key_len == PID_BYTES + secret.len &&
           CRYPTO_memcmp(l->key + PID_BYTES, secret.data, secret.len) == 0;
}

struct link *cancel_key_find(const struct proxy *p, uint32_t pid, struct slice secret, bool *known) {
    struct link *l, *found = NULL;
    uint8_t key[PID_BYTES] = {(uint8_t)(pid >> 24), (uint8_t)(pid >> 16), (uint8_t)(pid >> 8), (uint8_t)pid};
    HASH_FIND(hh, p->by_key, key, PID_BYTES, l);
    *known = l != NULL;
    // Other links with that id stand behind the first one in the same bucket.
    for (const struct UT_hash_handle *h = l ? &l->hh : NULL; h; h = h->hh_next) {
        l = ELMT_FROM_HH(p->by_key->hh.tbl, h);
        if (memcmp(h->key, key, PID_BYTES) == 0 && has_secret(l, secret))
            found = l;
    }
    return found;
}
