// SPDX-License-Identifier: PostgreSQL
//
// What the engine counts, in one table. The struct of the counts is made from it, and what shows the counts
// walks it with counter_at(). To add a counter, add a line here and increment the field where the event
// happens. docs/operations.md explains the counters in the log.
#ifndef PGFOLD_BATCHING_SESSION_COUNTERS_H
#define PGFOLD_BATCHING_SESSION_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batching/base/reason.h"

// X(field, name, kind, label, line, phrase, help)
//   name    as a metric, behind "pgfold_"
//   kind    COUNTER: only grows; GAUGE: how much there is now
//   label   PLAIN: one number; BY_REASON: one for each reason
//   line    the log line that it stands in, in the order of this table; NONE: in neither
//   phrase  what it adds to that line, with its number in place of %
//   help    what it counts
#define PGFOLD_COUNTERS(X)                                                                                   \
    X(forwarded, "forwarded_total", COUNTER, BY_REASON, NONE, "", "Units forwarded, by the reason")          \
    X(lookups, "lookups_recognised_total", COUNTER, PLAIN, FOLDING, ", lookups %",                           \
      "Lookups that were recognised as such")                                                                \
    X(folded, "lookups_folded_total", COUNTER, PLAIN, FOLDING, ", folded %",                                 \
      "Lookups answered from a batch, or from rows loaded ahead")                                            \
    X(batches, "batches_succeeded_total", COUNTER, PLAIN, FOLDING, " in % batches",                          \
      "Batches of concurrent lookups that succeeded")                                                        \
    X(batch_keys, "batch_keys_total", COUNTER, PLAIN, FOLDING, " of % keys", "Keys in those batches")        \
    X(alone, "lookups_alone_total", COUNTER, PLAIN, FOLDING, ", alone %",                                    \
      "Lookups answered by what they say as sent")                                                           \
    X(failed, "batches_failed_total", COUNTER, PLAIN, FOLDING, ", failed batches %",                         \
      "Batches whose members ran as sent")                                                                   \
    X(late, "lookups_not_waited_for_total", COUNTER, PLAIN, FOLDING, ", not waited for %",                   \
      "Lookups that ran as sent since their batch took long")                                                \
    X(would_fold, "lookups_would_fold_total", COUNTER, PLAIN, FOLDING, ", would fold %",                     \
      "Mode observe: lookups that came while another one of their kind was under way")                       \
    X(vets, "vettings_total", COUNTER, PLAIN, FOLDING, ", vettings %",                                       \
      "Queries of pgfold's own about statements")                                                            \
    X(proofs, "proofs_total", COUNTER, PLAIN, FOLDING, ", proofs %",                                         \
      "Queries of pgfold's own about who a session is")                                                      \
    X(lazy, "parses_answered_total", COUNTER, PLAIN, FOLDING, ", prepared here %",                           \
      "Parse messages answered without the server")                                                          \
    X(checked, "checks_same_total", COUNTER, PLAIN, FOLDING, ", checked %",                                  \
      "Lookups whose folded answer was the original's")                                                      \
    X(differences, "checks_different_total", COUNTER, PLAIN, FOLDING, ", differences %",                     \
      "Lookups whose folded answer was not the original's")                                                  \
    X(check_changed, "checks_undecided_total", COUNTER, PLAIN, FOLDING, ", not decided %",                   \
      "Lookups of which neither can be said, since the data changed meanwhile")                              \
    X(ahead_keys, "ahead_keys_loaded_total", COUNTER, PLAIN, AHEAD, "looked ahead: % keys",                  \
      "Keys in the batches loaded ahead")                                                                    \
    X(ahead_batches, "ahead_batches_total", COUNTER, PLAIN, AHEAD, " in % batches", "Batches loaded ahead")  \
    X(ahead_answers, "ahead_keys_answered_total", COUNTER, PLAIN, AHEAD, ", answered %",                     \
      "Lookups that were given what was loaded ahead")                                                       \
    X(ahead_unused, "ahead_keys_unused_total", COUNTER, PLAIN, AHEAD, ", never asked for %",                 \
      "Keys loaded ahead and given up unused")                                                               \
    X(ahead_stale, "ahead_keys_stale_total", COUNTER, PLAIN, AHEAD, ", stale %",                             \
      "Keys loaded ahead and dropped for a write, a pause, their age or the end of a transaction")           \
    X(ahead_again, "ahead_keys_again_total", COUNTER, PLAIN, AHEAD, ", again %",                             \
      "Lookups that were given it for a key that had been given before")                                     \
    X(held_back, "sessions_held_back_total", COUNTER, PLAIN, NONE, "",                                       \
      "Times that a session was not read for the memory that it held")                                       \
    X(miscounted, "sessions_miscounted_total", COUNTER, PLAIN, NONE, "",                                     \
      "Sessions that ended with bytes in their accounts: a fault of pgfold's")

enum counter_kind { COUNTER_COUNTER, COUNTER_GAUGE };
enum counter_line { COUNTER_LINE_NONE, COUNTER_LINE_FOLDING, COUNTER_LINE_AHEAD };

struct engine_counters {
#define COUNTER_FIELD_PLAIN(field)                      uint64_t field;
#define COUNTER_FIELD_BY_REASON(field)                  uint64_t field[REASON_COUNT];
#define X(field, name, kind, label, line, phrase, help) COUNTER_FIELD_##label(field)
    PGFOLD_COUNTERS(X)
#undef X
#undef COUNTER_FIELD_BY_REASON
#undef COUNTER_FIELD_PLAIN
};

struct counter {
    const char *name, *phrase, *help; // static
    enum counter_kind kind;
    bool by_reason;
    enum counter_line line;
    size_t at; // in struct engine_counters
};

// The i-th counter, from 0; static. NULL: there are no more.
const struct counter *counter_at(unsigned i);

// The value of a counter. `r`: for which reason; REASON_NONE if the counter is one number.
uint64_t counter_value(const struct engine_counters *c, const struct counter *k, enum reason r);

#endif
