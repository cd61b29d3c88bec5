// SPDX-License-Identifier: PostgreSQL
//
// The SQL of own_settings.h.
#include "batching/trust/own_settings.h"

// These settings are for one unit of pgfold's own. Its queries are too short to be worth compiling (jit), and
// indexes find what they look for.
const char *vet_settings(void) {
    return "SELECT pg_catalog.set_config(s.n, s.v, true) FROM (VALUES ('jit', 'off'), "
           "('enable_nestloop', 'on'), ('enable_indexscan', 'on'), ('enable_bitmapscan', 'on'), "
           "('max_parallel_workers_per_gather', '0')) AS s(n, v)";
}

void bound_write(struct buf *out, bool local, unsigned milliseconds) {
    buf_put_format(out, "SET %slock_timeout = %u", local ? "LOCAL " : "", milliseconds);
}

const char *bound_end(unsigned i) {
    static const char *const end[BOUND_END] = {"SET statement_timeout = 0", "BEGIN", "ROLLBACK"};
    return end[i];
}
