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

// X(field, name, labels, kind, by, line, phrase, help)
//   name    as a metric, behind "pgfold_"; empty: in the log only
//   labels  as a metric, without braces. Those of one name are one family: the help of the first is that of all
//   kind    COUNTER: only grows; GAUGE: how much there is now
//   by      PLAIN: one number; BY_REASON: one for each reason
//   line    the log line that it stands in, in the order of this table; NONE: in neither
//   phrase  what it adds to that line, with its number in place of %
//   help    what it counts
#define PGFOLD_COUNTERS(X)                                                                                   \
    X(answered, "statements_total", "side=\"client\"", COUNTER, PLAIN, NONE, "",                             \
      "Statements: of clients, once each, when they are answered; to the server, when they are sent. Each "  \
      "of pgfold's own counts as one, with the checks and savepoints that come with it")                     \
    X(sent, "statements_total", "side=\"server\"", COUNTER, PLAIN, NONE, "",                                 \
      "Statements sent to the server, those of clients and those of pgfold")                                 \
    X(forwarded, "forwarded_total", "", COUNTER, BY_REASON, NONE, "",                                        \
      "Statements that the server answered as they came, since they were no lookups, by the reason")         \
    X(not_folded, "lookups_not_folded_total", "", COUNTER, BY_REASON, NONE, "",                              \
      "Lookups that ran as sent for a reason of their own, by the reason")                                   \
    X(here, "statements_answered_here_total", "", COUNTER, PLAIN, NONE, "",                                  \
      "Statements that are no lookups and were answered without the server, or before it had answered")      \
    X(early_ends, "transactions_ended_early_total", "", COUNTER, PLAIN, NONE, "",                            \
      "Those of them that have ended a transaction that had only read, and went to the server, too")         \
    X(lookups, "lookups_recognised_total", "", COUNTER, PLAIN, FOLDING, ", lookups %",                       \
      "Lookups that were recognised as such, when they came")                                                \
    X(folded, "", "", COUNTER, PLAIN, FOLDING, ", folded %",                                                 \
      "Lookups answered from a batch, or from rows loaded ahead")                                            \
    X(batches, "", "", COUNTER, PLAIN, FOLDING, " in % batches",                                             \
      "Batches of concurrent lookups that succeeded")                                                        \
    X(batch_keys, "", "", COUNTER, PLAIN, FOLDING, " of % keys", "Keys in those batches")                    \
    X(from_batch, "lookups_total", "outcome=\"folded\"", COUNTER, PLAIN, NONE, "",                           \
      "Lookups, when they are answered: from a batch (folded), from rows loaded ahead (ahead), or by what "  \
      "they say as sent (alone)")                                                                            \
    X(from_ahead, "lookups_total", "outcome=\"ahead\"", COUNTER, PLAIN, NONE, "",                            \
      "Lookups answered from rows loaded ahead")                                                             \
    X(alone, "lookups_total", "outcome=\"alone\"", COUNTER, PLAIN, FOLDING, ", alone %",                     \
      "Lookups answered by what they say as sent")                                                           \
    X(failed, "", "", COUNTER, PLAIN, FOLDING, ", failed batches %", "Batches whose members ran as sent")    \
    X(in_ok, "batches_total", "form=\"in\",result=\"ok\"", COUNTER, PLAIN, NONE, "",                         \
      "Batches that have ended, of concurrent lookups and of rows loaded ahead, by how they were written")   \
    X(in_failed, "batches_total", "form=\"in\",result=\"failed\"", COUNTER, PLAIN, NONE, "",                 \
      "Batches that have failed; their lookups ran as sent")                                                 \
    X(lateral_ok, "batches_total", "form=\"lateral\",result=\"ok\"", COUNTER, PLAIN, NONE, "",               \
      "Batches that have succeeded")                                                                         \
    X(lateral_failed, "batches_total", "form=\"lateral\",result=\"failed\"", COUNTER, PLAIN, NONE, "",       \
      "Batches that have failed; their lookups ran as sent")                                                 \
    X(late, "lookups_not_waited_for_total", "", COUNTER, PLAIN, FOLDING, ", not waited for %",               \
      "Lookups that ran as sent since their batch took long")                                                \
    X(would_fold, "lookups_would_fold_total", "", COUNTER, PLAIN, FOLDING, ", would fold %",                 \
      "Mode observe, an estimate: lookups that would have gone to the server together with others")          \
    X(would_ahead, "lookups_would_ahead_total", "", COUNTER, PLAIN, FOLDING, ", would look ahead %",         \
      "Mode observe, an estimate: lookups that would have been answered from rows loaded ahead")             \
    X(would_send, "statements_would_send_total", "", COUNTER, PLAIN, FOLDING, ", would send %",              \
      "Mode observe, an estimate: statements that mode fold would have sent to the server, as in "           \
      "statements_total of side server")                                                                     \
    X(vets, "vettings_total", "", COUNTER, PLAIN, FOLDING, ", vettings %",                                   \
      "Queries of pgfold's own about statements")                                                            \
    X(proofs, "proofs_total", "", COUNTER, PLAIN, FOLDING, ", proofs %",                                     \
      "Queries of pgfold's own about who a session is")                                                      \
    X(lazy, "parses_answered_total", "", COUNTER, PLAIN, FOLDING, ", prepared here %",                       \
      "Parse messages answered without the server")                                                          \
    X(checked, "checks_total", "result=\"same\"", COUNTER, PLAIN, FOLDING, ", checked %",                    \
      "Lookups whose folded answer was compared with the original's; undecided: the data changed meanwhile") \
    X(differences, "checks_total", "result=\"different\"", COUNTER, PLAIN, FOLDING, ", differences %",       \
      "Lookups whose folded answer was not the original's")                                                  \
    X(check_changed, "checks_total", "result=\"undecided\"", COUNTER, PLAIN, FOLDING, ", not decided %",     \
      "Lookups of which neither can be said, since the data changed meanwhile")                              \
    X(ahead_keys, "ahead_keys_loaded_total", "", COUNTER, PLAIN, AHEAD, "looked ahead: % keys",              \
      "Keys in the batches loaded ahead")                                                                    \
    X(ahead_batches, "ahead_batches_total", "", COUNTER, PLAIN, AHEAD, " in % batches",                      \
      "Batches sent to load rows ahead")                                                                     \
    X(ahead_answers, "", "", COUNTER, PLAIN, AHEAD, ", answered %",                                          \
      "Lookups that were given what was loaded ahead")                                                       \
    X(ahead_first, "ahead_keys_total", "result=\"answered\"", COUNTER, PLAIN, NONE, "",                      \
      "Keys loaded ahead, when they are done with: asked for (answered), given up (unused), or dropped for " \
      "a write, a pause, their age or the end of a transaction (stale)")                                     \
    X(ahead_unused, "ahead_keys_total", "result=\"unused\"", COUNTER, PLAIN, AHEAD, ", never asked for %",   \
      "Keys loaded ahead and given up unused")                                                               \
    X(ahead_stale, "ahead_keys_total", "result=\"stale\"", COUNTER, PLAIN, AHEAD, ", stale %",               \
      "Keys loaded ahead and dropped for a write, a pause, their age or the end of a transaction")           \
    X(ahead_again, "ahead_keys_again_total", "", COUNTER, PLAIN, AHEAD, ", again %",                         \
      "Lookups that were given it for a key that had been given before")                                     \
    X(ahead_with_list, "ahead_batches_with_list_total", "", COUNTER, PLAIN, AHEAD, ", with lists %",         \
      "Those of the batches that were sent in their list's own write, before the first lookup")              \
    X(ahead_with_list_answers, "ahead_answers_with_list_total", "", COUNTER, PLAIN, NONE, "",                \
      "Lookups that were given what these have loaded")                                                      \
    X(ahead_with_burst, "ahead_batches_with_burst_total", "", COUNTER, PLAIN, AHEAD, ", with bursts %",      \
      "Batches loaded ahead of a page's next questions, with those that it asks at once")                    \
    X(ahead_with_burst_answers, "ahead_answers_with_burst_total", "", COUNTER, PLAIN, NONE, "",              \
      "Lookups answered with these")                                                                         \
    X(held_back, "sessions_held_back_total", "", COUNTER, PLAIN, NONE, "",                                   \
      "Times that a session was not read for the memory that it held")                                       \
    X(miscounted, "sessions_miscounted_total", "", COUNTER, PLAIN, NONE, "",                                 \
      "Sessions that ended with bytes in their accounts: a fault of pgfold's")

enum counter_kind { COUNTER_COUNTER, COUNTER_GAUGE };
enum counter_line { COUNTER_LINE_NONE, COUNTER_LINE_FOLDING, COUNTER_LINE_AHEAD };

struct engine_counters {
#define COUNTER_FIELD_PLAIN(field)                           uint64_t field;
#define COUNTER_FIELD_BY_REASON(field)                       uint64_t field[REASON_COUNT];
#define X(field, name, labels, kind, by, line, phrase, help) COUNTER_FIELD_##by(field)
    PGFOLD_COUNTERS(X)
#undef X
#undef COUNTER_FIELD_BY_REASON
#undef COUNTER_FIELD_PLAIN
};

struct counter {
    const char *name, *labels, *phrase, *help; // static
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
