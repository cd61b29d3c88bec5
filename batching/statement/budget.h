// SPDX-License-Identifier: PostgreSQL
//
// A budget for guesses: what may be loaded ahead before it has paid for itself. Each statement and each key
// is spent when it is sent, and earned back when a lookup is answered by it. Nothing else earns it back, so
// that it makes no difference what has dropped the rest. Besides, every lookup that runs as it was sent earns
// a tenth of itself: so a guess that was wrong once is tried again, and never costs more than that.
//
//   statements at the server <= lookups + BUDGET_SHARE of the lookups + what the budget starts with
//
// All zero at first: nothing is spent.
#ifndef PGFOLD_BATCHING_STATEMENT_BUDGET_H
#define PGFOLD_BATCHING_STATEMENT_BUDGET_H

#include <stdint.h>

#define BUDGET_LOOKUP  64u // what a lookup costs that runs as it was sent
#define BUDGET_SHARE   6u  // of that, earned by each of them
#define BUDGET_SHAPE   (32 * BUDGET_LOOKUP)
#define BUDGET_SESSION (64 * BUDGET_LOOKUP)
#define BUDGET_VET     (16 * BUDGET_LOOKUP) // what a question about a statement costs
#define BUDGET_VETS    (32 * BUDGET_VET)

struct budget {
    uint32_t spent;
};

// How many keys of this cost a statement may have with what is left of `most`.
unsigned budget_keys(const struct budget *b, uint32_t most, uint32_t statement, uint32_t key);
void budget_spend(struct budget *b, uint64_t cost);
void budget_earn(struct budget *b, uint32_t value);

// What a key of a batch costs, where a lone lookup takes `lone` microseconds and a key `cost` nanoseconds; 0:
// not known.
uint32_t budget_key_cost(uint32_t lone, uint32_t cost);

#endif
