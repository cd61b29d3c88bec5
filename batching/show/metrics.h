// SPDX-License-Identifier: PostgreSQL
//
// The engine's figures as Prometheus reads them: its text format (0.0.4), or OpenMetrics 1.0. Labels are fixed
// words, reasons and names of databases; no statement and no value is among them.
#ifndef PGFOLD_BATCHING_SHOW_METRICS_H
#define PGFOLD_BATCHING_SHOW_METRICS_H

#include <stdbool.h>

#include "batching/show/outside.h"
#include "protocol/buf.h"

struct engine;

enum metrics_format { METRICS_TEXT, METRICS_OPEN, METRICS_FORMATS };

// Appends all of it.
void metrics_write(struct buf *out, const struct engine *e, const struct show_outside *o,
                   enum metrics_format format);

// The format for the value of an Accept header; NULL: there is none.
enum metrics_format metrics_format_for(const char *accept);

// Its Content-Type; static.
const char *metrics_content_type(enum metrics_format format);

#endif
