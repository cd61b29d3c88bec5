// SPDX-License-Identifier: PostgreSQL
//
// Is each statement that a client was answered reported once (batching/session/answered.h)? Counted here by
// the messages on the wire alone.
#ifndef PGFOLD_TESTS_SIM_TOLD_H
#define PGFOLD_TESTS_SIM_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batching/session/answered.h"

#define TOLD_UNITS 1024 // more than a client has under way

// Cuts a stream into messages.
struct told_stream {
    uint8_t head[5];
    unsigned have;
    size_t skip;
};

struct told {
    struct told_stream sent, got;
    int units[TOLD_UNITS]; // by their numbers: how many Executes; -1: a Query
    int executes;          // of the unit that is being sent
    unsigned long n_sent, n_got;
    int completed;            // of the unit that is being answered
    bool error;               // it has come to one
    unsigned long statements; // answered, of whole units
    unsigned long reported;
};

void told_sent(struct told *t, const uint8_t *bytes, size_t len);
void told_got(struct told *t, const uint8_t *bytes, size_t len);
const char *told_reported(struct told *t, const struct answered *a, uint64_t now); // what is wrong, or NULL
bool told_fits(const struct told *t); // as many were reported as were answered

#endif
