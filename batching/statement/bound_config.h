// SPDX-License-Identifier: PostgreSQL
//
// Settings that are made with parameters: SELECT set_config('app.tenant', $1, true). With the values of a Bind they are what a text
// with constants would be.
#ifndef PGFOLD_BATCHING_STATEMENT_BOUND_CONFIG_H
#define PGFOLD_BATCHING_STATEMENT_BOUND_CONFIG_H

#include <stdbool.h>

struct buf;
struct msg_bind;
struct shape;

// Appends the text with constants that does what the statement does with these values. The value of a setting of an
// application's own that ends with the transaction is left out, since nothing follows from it. False: it is no such statement, or
// the values are not what the server would read without a doubt.
bool bound_config_text(const struct shape *shape, const struct msg_bind *m, struct buf *out)
    __attribute__((warn_unused_result));

#endif
