// SPDX-License-Identifier: PostgreSQL
//
// The SQL of own_settings.h.
#include "batching/trust/own_settings.h"

#include <stdio.h>

#include "batching/trust/vet.h"

// These settings are for one unit of pgfold's own. Its queries are too short to be worth compiling (jit), and
// indexes find what they look for.
#define SETTINGS                                                                                             \
    "SELECT pg_catalog.set_config(s.n, s.v, true) FROM (VALUES ('jit', 'off'), ('enable_nestloop', 'on'), "  \
    "('enable_indexscan', 'on'), ('enable_bitmapscan', 'on'), ('max_parallel_workers_per_gather', '0')"
#define SETTINGS_END ") AS s(n, v)"

#define QUOTED(number)  "'" #number "'"
#define AS_TEXT(number) QUOTED(number)

const char *vet_settings(void) {
    return SETTINGS ", ('lock_timeout', " AS_TEXT(VET_LOCK_TIMEOUT) ")" SETTINGS_END;
}

void vet_write_settings(struct buf *out, unsigned lock_timeout) {
    char number[16];
    snprintf(number, sizeof number, "%u", lock_timeout);
    buf_put_text(out, SETTINGS ", ('lock_timeout', '");
    buf_put_text(out, number);
    buf_put_text(out, "')" SETTINGS_END);
}
