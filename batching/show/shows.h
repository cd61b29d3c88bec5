// SPDX-License-Identifier: PostgreSQL
//
// What SHOW shows: the columns of each table, those of PgBouncer 1.25 where it has the command, and the rows
// that the engine alone can tell. The others are the proxy's (proxy/console_rows.h).
#ifndef PGFOLD_BATCHING_SHOW_SHOWS_H
#define PGFOLD_BATCHING_SHOW_SHOWS_H

#include "batching/session/figures.h"
#include "batching/show/command.h"
#include "batching/show/table.h"

struct engine;

#define SHOWS_SHAPES 1000 // rows of SHAPES and AHEAD at most: those used last

// What was counted some time ago, for averages. As in PgBouncer they are those of the last period that has
// ended, and what has passed since.
struct shows_period {
    struct database_figures before[FIGURES_DATABASES + 1], now[FIGURES_DATABASES + 1];
    uint64_t before_at, now_at; // engine time
};

#define SHOWS_PERIOD 60000000 // microseconds

// Begins a new period when the last one is over. To be called now and then.
void shows_tick(struct shows_period *p, const struct engine *e, uint64_t now);

// The columns; static. `old`: with those that PgBouncer had long ago, behind the others, for the exporter that
// Debian has (total_requests, reserve_pool). HELP has none.
const struct table_column *shows_columns(enum console_show what, bool old);

struct shows_context {
    const struct engine *engine;
    const struct shows_period *period;
    const char *version; // of pgfold
    bool old, paused;
    uint64_t now; // engine time
};

// Adds the rows. False: they are not the engine's to tell.
bool shows_rows(enum console_show what, const struct shows_context *c, struct table *t);

// The text of SHOW HELP.
extern const char shows_help[];

#endif
