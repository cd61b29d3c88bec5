// SPDX-License-Identifier: PostgreSQL
//
// The report of loops as JSON: what /report.json gives, and what all its other forms are written from.
//
//   {"pgfold", "mode", "since", "now", "estimate", "totals": {…}, "loops": [{…}, …]}
//
// Loops are in the order of what they cost. docs/report.md tells what each member means.
#ifndef PGFOLD_PROXY_REPORT_JSON_H
#define PGFOLD_PROXY_REPORT_JSON_H

#include <jansson.h>

struct engine;
struct loop;

// The report of all that was answered since the engine's figures were last reset. `mode`: as in the settings; `now`: seconds
// since 1970. NULL: out of memory. The caller decrefs it.
json_t *report_json(const struct engine *e, const char *mode, double now);

// In pieces: all but its loops, of which there will be so many; and one of these.
json_t *report_head(const struct engine *e, const char *mode, double now, unsigned loops);
json_t *report_loop(const struct engine *e, const struct loop *l);

#endif
