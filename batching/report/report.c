// SPDX-License-Identifier: PostgreSQL
#include "batching/report/report.h"

void report_begin(struct report_tables *r, struct account *memory) {
    r->loops.memory = r->names.memory = memory;
}

// What is listed beyond the limit stays until the report is reset.
void report_limit(struct report_tables *r, unsigned max_loops) {
    r->loops.max = max_loops;
}

void report_reset(struct report_tables *r) {
    loops_clear(&r->loops);
}

void report_finish(struct report_tables *r) {
    loops_clear(&r->loops);
    naming_finish(&r->names);
}
