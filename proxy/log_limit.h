// SPDX-License-Identifier: PostgreSQL
//
// The same message at most so often: whoever can connect could fill a disk with lines otherwise, and hide
// others between them. What is not logged is counted, and the count is logged.
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
    unsigned written; // since then
    uint64_t held;    // not logged since then
    int level;        // of these
    char sample[LOG_SAMPLE];
};

struct log_limit {
    uint64_t total; // not logged since the start
    struct log_kind kinds[LOG_KINDS];
};

// The kind that a message belongs to: what it begins with, up to a colon, a quote or a digit, since data
// stands behind these.
struct log_kind *log_limit_kind(struct log_limit *l, const char *message, uint64_t now);
// Has its time passed? What was held is then to be told, and it is to begin anew.
static inline bool log_kind_is_over(const struct log_kind *k, uint64_t now) {
    return now - k->since >= LOG_PERIOD;
}
void log_kind_begin(struct log_kind *k, uint64_t now);
// May one more of the kind be written? Else it counts as held; `first` tells that its text is to be kept.
bool log_limit_take(struct log_limit *l, struct log_kind *k, unsigned most, bool *first);

#endif
