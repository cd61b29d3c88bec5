// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/climb.h"

void climb_step(struct climb *c, uint64_t question, bool named, uint64_t batch, uint32_t key) {
    c->n = named ? c->n : 0;
    if (c->n < CLIMB_MAX)
        c->questions[c->n++] = question;
    c->batch = batch;
    c->key = key;
}

void climb_asked(struct climb *c) {
    c->before = c->batch;
    c->batch = 0;
}

bool climb_may(const struct climb *c, uint64_t question) {
    for (unsigned i = 0; i < c->n; i++)
        if (c->questions[i] == question)
            return false;
    return c->batch && c->n < CLIMB_MAX;
}
