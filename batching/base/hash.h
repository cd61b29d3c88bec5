// SPDX-License-Identifier: PostgreSQL
//
// The hash table of uthash, with two changes. The hash function is xxHash. An add that finds no memory does
// not call exit(): it leaves the element out, and the caller of HASH_ADD sees `hh.tbl == NULL`.
#ifndef PGFOLD_BATCHING_BASE_HASH_H
#define PGFOLD_BATCHING_BASE_HASH_H

#include <stdint.h>
#include <xxhash.h>

#define HASH_NONFATAL_OOM                    1
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)XXH3_64bits((keyptr), (keylen)))
#include <uthash.h>

#endif
