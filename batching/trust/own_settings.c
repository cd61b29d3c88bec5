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

// So many milliseconds, unless the session has less by its own: its client does not wait longer for our question than for
// what it asks itself.
#define OWN "pg_catalog.current_setting('lock_timeout')"
#define AT_MOST                                                                                              \
    ", ('lock_timeout', CASE WHEN " OWN " OPERATOR(pg_catalog.=) '0' OR " OWN                                \
    "::pg_catalog.interval OPERATOR(pg_catalog.>) '"
#define MILLISECONDS " ms'::pg_catalog.interval THEN '"
#define ELSE_OWN     "' ELSE " OWN " END)"

#define QUOTED(number)  #number
#define AS_TEXT(number) QUOTED(number)

const char *vet_settings(void) {
    return SETTINGS AT_MOST AS_TEXT(VET_LOCK_TIMEOUT) MILLISECONDS AS_TEXT(VET_LOCK_TIMEOUT)
        ELSE_OWN SETTINGS_END;
}

void vet_write_settings(struct buf *out, unsigned lock_timeout) {
    char number[16];
    snprintf(number, sizeof number, "%u", lock_timeout);
    if (lock_timeout) {
        buf_put_text(out, SETTINGS AT_MOST);
        buf_put_text(out, number);
        buf_put_text(out, MILLISECONDS);
        buf_put_text(out, number);
        buf_put_text(out, ELSE_OWN SETTINGS_END);
    } else {
        buf_put_text(out, SETTINGS SETTINGS_END);
    }
}
