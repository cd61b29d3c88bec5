// SPDX-License-Identifier: PostgreSQL
//
// A limit on how often a message of the same kind is logged. Without it whoever can connect could fill a disk
// with lines, and hide other lines between them. Messages that are not logged are counted, and the count is
// logged.
#ifndef PGFOLD_PROXY_LOG_LIMIT_H
#define PGFOLD_PROXY_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_PERIOD 10000000 // microseconds to which the limit applies
#define LOG_KINDS  64       // messages told apart; those beyond share one limit
#define LOG_SAMPLE 240      // bytes kept of the first one that is not logged

struct log_kind {
    uint64_t digest;  // of what all messages of the kind begin with; 0: free
    uint64_t since;   // microseconds
    unsigned written; // lines since then
    uint64_t held;    // not logged since then
    int level;        // of the sample
    char sample[LOG_SAMPLE];
};

struct log_limit {
    uint64_t total; // not logged since the start
    struct log_kind kinds[LOG_KINDS];
};

// The kind that a message belongs to: the text up to the first colon, quote or digit. Behind those stands
// data.
struct log_kind *log_limit_kind(struct log_limit *l, const char *message, uint64_t now);
// Has its period passed? Then the caller logs how many were held, and calls log_kind_begin.
static inline bool log_kind_is_over(const struct log_kind *k, uint64_t now) {
    return now - k->since >= LOG_PERIOD;
}
void log_kind_begin(struct log_kind *k, uint64_t now);
// May one more of the kind be written? If not, it counts as held. `first`: it is the first one, whose text is
// to be kept as the sample.
bool log_limit_take(struct log_limit *l, struct log_kind *k, unsigned most, bool *first);

#endif
