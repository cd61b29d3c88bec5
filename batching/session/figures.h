// SPDX-License-Identifier: PostgreSQL
//
// What is counted besides the counters (counters.h): times as histograms, what folding has saved, and the
// figures of each database. All of it is part of the engine, of a fixed size; nothing is allocated.
//
// A database keeps its figures when its last session has left. Databases beyond FIGURES_DATABASES share one
// line, "(other)".
#ifndef PGFOLD_BATCHING_SESSION_FIGURES_H
#define PGFOLD_BATCHING_SESSION_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/base/histogram.h"
#include "batching/base/outcome.h"
#include "protocol/message.h"

#define FIGURES_DATABASES 64
#define FIGURES_NAME      64 // a name and its zero; PostgreSQL cuts longer ones

struct answered;
struct engine;
struct session;
struct batch;

// Times are microseconds, volumes bytes. All of them only grow.
struct database_figures {
    char name[FIGURES_NAME];
    uint64_t sessions;
    uint64_t answered[OUTCOME_COUNT], failed;
    uint64_t transactions, transaction_time;
    uint64_t query_time;     // from a statement's coming to its answer
    uint64_t received, sent; // of clients, by clients' and servers' connections
    uint64_t client_parses, server_parses, binds;
};

struct figures {
    struct histogram took[OUTCOME_COUNT]; // statements, from their coming to their answer
    struct histogram batch_keys, batch_took;
    struct histogram lag; // how long the event loop's turns took: what comes meanwhile waits for so long
    int64_t saved;        // microseconds: an estimate, see figures_saved()
    int64_t saved_most;   // the most that it was
    uint64_t since;       // engine time of the last reset
    unsigned n_databases;
    struct database_figures databases[FIGURES_DATABASES + 1]; // the last: all others
};

// It is counted from now on.
void figures_begin(struct figures *f, uint64_t now);

// ---- noting

// The line of a database; it stays where it is.
struct database_figures *figures_of(struct figures *f, struct slice database);

void figures_note_answered(struct session *s, const struct answered *a);

// A batch has ended, of concurrent lookups or of rows loaded ahead.
void figures_note_batch(struct engine *e, const struct batch *b);

// Sets all to zero, and the counters of the engine, its shapes and associations. Sessions keep their lines.
void figures_reset(struct engine *e);

// ---- reading

// Microseconds that the server, and the way to it, were spared: of each lookup that was not sent, what it would
// have taken alone (estimate_one in figures.c), less what batches took. An estimate. It never falls.
uint64_t figures_saved(const struct figures *f);

// How many lines there are: databases seen, and one more if there were too many.
unsigned figures_lines(const struct figures *f);

#endif
