// SPDX-License-Identifier: PostgreSQL
//
// The sums of budget.h.
#include "batching/statement/budget.h"

#define KEY_LEAST   2u
#define KEY_UNKNOWN 8u // an eighth of a lookup: more than most keys cost in measurements

unsigned budget_keys(const struct budget *b, uint32_t most, uint32_t statement, uint32_t key) {
    uint32_t left = b->spent < most ? most - b->spent : 0;
    return left > statement ? (left - statement) / key : 0;
}

void budget_spend(struct budget *b, uint64_t cost) {
    b->spent = cost < UINT32_MAX - b->spent ? b->spent + (uint32_t)cost : UINT32_MAX;
}

void budget_earn(struct budget *b, uint32_t value) {
    b->spent -= value < b->spent ? value : b->spent;
}

uint32_t budget_key_cost(uint32_t lone, uint32_t cost) {
    if (!lone || !cost)
        return KEY_UNKNOWN;
    uint64_t share = (uint64_t)cost * BUDGET_LOOKUP / (UINT64_C(1000) * lone);
    return share < KEY_LEAST ? KEY_LEAST : share < BUDGET_LOOKUP ? (uint32_t)share : BUDGET_LOOKUP;
}
