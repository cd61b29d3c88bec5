// SPDX-License-Identifier: PostgreSQL
#include "batching/report/report.h"

void report_begin(struct report_tables *r, struct account *memory) {
    r->memory = (struct account){.parent = memory};
    r->loops.memory = r->names.memory = r->tags.memory = &r->memory;
}

// What is listed beyond the limit stays until the report is reset.
void report_limit(struct report_tables *r, unsigned max_loops, unsigned max_tags, unsigned loop_tags) {
    r->loops.max = max_loops;
    r->tags.max = max_tags;
    r->loop_tags = loop_tags;
}

void report_reset(struct report_tables *r) {
    loops_clear(&r->loops);
    tags_forget_figures(&r->tags);
}

void report_finish(struct report_tables *r) {
    tags_finish(&r->tags);
    loops_clear(&r->loops);
    naming_finish(&r->names);
}
