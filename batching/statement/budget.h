// SPDX-License-Identifier: PostgreSQL
//
// A budget limits guesses: what may be loaded ahead before it has paid for itself. Each statement and each
// key costs something when it is sent, and is earned back when a lookup is answered by it. Nothing else earns
// it back, so it makes no difference why the rest was dropped. In addition, every lookup that runs as sent
// earns about a tenth of its own cost. So a guess that was wrong once is tried again, and never costs more
// than that.
//
//   statements at the server <= lookups + BUDGET_SHARE of the lookups + what the budget starts with
//
// A budget of zeros is a fresh one: nothing is spent. The unit of cost is 1/64 of a lookup (BUDGET_LOOKUP).
#ifndef PGFOLD_BATCHING_STATEMENT_BUDGET_H
#define PGFOLD_BATCHING_STATEMENT_BUDGET_H

#include <stdint.h>

#define BUDGET_LOOKUP  64u // the cost of a lookup that runs as sent
#define BUDGET_SHARE   6u  // what each of them earns
#define BUDGET_SHAPE   (32 * BUDGET_LOOKUP)
#define BUDGET_SESSION (64 * BUDGET_LOOKUP)
#define BUDGET_VET     (16 * BUDGET_LOOKUP) // the cost of a question about a statement
#define BUDGET_VETS    (6 * BUDGET_VET)

struct budget {
    uint32_t spent;
};

// How many keys of this cost a statement may have with what is left of `most`. All arguments are costs.
unsigned budget_keys(const struct budget *b, uint32_t most, uint32_t statement, uint32_t key);
// `cost` was sent; `value` of it has paid for itself.
void budget_spend(struct budget *b, uint64_t cost);
void budget_earn(struct budget *b, uint32_t value);

// The cost of one key of a batch. `lone`: microseconds of a lookup on its own; `cost`: nanoseconds of a key.
// 0: not known.
uint32_t budget_key_cost(uint32_t lone, uint32_t cost);

#endif
