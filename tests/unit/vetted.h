// SPDX-License-Identifier: PostgreSQL
//
// Groups as vetting leaves them, without a server.
#ifndef PGFOLD_TESTS_VETTED_H
#define PGFOLD_TESTS_VETTED_H

#include <stdlib.h>
#include <string.h>

#include "batching/group.h"

// What vetting has found about a group whose statement has int4 columns of one name: the catalogue's facts,
// and the types that the server gives the parameters.
static inline void put_vetting(struct group *g, const struct vet_result *r, unsigned n_params,
                               const uint32_t *params, uint16_t n_columns) {
    struct buf *b;
    vetting_destroy(g->vetting);
    g->vetting = vetting_create();
    if (!g->vetting)
        abort();
    g->vetting->catalogue = *r;
    g->vetting->described = true;
    g->vetting->n_params = n_params;
    for (unsigned i = 0; i < n_params; i++)
        g->vetting->params[i] = params[i];
    b = &g->vetting->row_description;
    buf_put_u16(b, n_columns);
    for (unsigned i = 0; i < n_columns; i++) {
        buf_put_str(b, "a");
        buf_put(b, "\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0", 18);
    }
}

#endif
