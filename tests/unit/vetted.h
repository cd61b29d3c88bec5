// SPDX-License-Identifier: PostgreSQL
//
// Groups as vetting leaves them, without a server: what the catalogue would have said is put in by the test.
#ifndef PGFOLD_TESTS_VETTED_H
#define PGFOLD_TESTS_VETTED_H

#include "batching/fold/group.h"
#include "batching/trust/vet.h"

// The row of the check that says that all is as it was: a whole message.
void put_stamp_row(struct buf *b, const struct stamp *st);

// What vetting has found out about a group whose statement has int4 columns of one name: the catalogue's
// facts, and the types that the server gives the parameters. The group then waits for group_vetted().
void put_vetting(struct group *g, const struct vet_result *r, unsigned n_params, const uint32_t *params,
                 uint16_t n_columns);

#endif
