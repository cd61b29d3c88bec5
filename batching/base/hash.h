// SPDX-License-Identifier: PostgreSQL
//
// uthash with xxHash as its function, and without its exit() when memory runs out: an add that found no
// memory leaves the element out, which HASH_ADD's caller sees as `hh.tbl == NULL`.
#ifndef PGFOLD_BATCHING_BASE_HASH_H
#define PGFOLD_BATCHING_BASE_HASH_H

#include <stdint.h>
#include <xxhash.h>

#define HASH_NONFATAL_OOM                    1
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)XXH3_64bits((keyptr), (keylen)))
#include <uthash.h>

#endif
