// SPDX-License-Identifier: PostgreSQL
//
// Groups as vetting leaves them, without a server.
#include "tests/unit/vetted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/write.h"
#include "tests/unit/replies.h"

// The answer to the stamp's question: user 10, tables from 16384 on, which transaction 7 has made; no
// function or operator of a user's; pg_catalog is first.
static void put_stamp_answer(struct buf *b, int n_relations) {
    char tables[1000] = "";
    size_t len = 0;
    for (int i = 0; i < n_relations; i++)
        len += (size_t)snprintf(tables + len, sizeof tables - len, i ? ",%d:7" : "%d:7", 16384 + i);
    buf_reset(b);
    buf_put_u16(b, 8);
    buf_put_u32(b, 2);
    buf_put_text(b, "10");
    buf_put_u32(b, (uint32_t)len);
    buf_put_text(b, tables);
    buf_put_u32(b, UINT32_MAX);
    buf_put_u32(b, UINT32_MAX);
    buf_put_u32(b, 1);
    buf_put_text(b, "0");
    buf_put_u32(b, 3);
    buf_put_text(b, "0::");
    buf_put_u32(b, 1);
    buf_put_text(b, "t");
    buf_put_u32(b, UINT32_MAX);
}

void put_stamp_row(struct buf *b, const struct stamp *st) {
    size_t at = write_begin(b, B_DATA_ROW);
    buf_put_u16(b, (uint16_t)(get_u16(st->expected.data) + 2 + (st->sealed.len > 0)));
    buf_put(b, st->expected.data + 2, st->expected.len - 2);
    buf_put_u32(b, 16);
    buf_put_text(b, "0000000000000005"); // when the configuration was read
    buf_put_u32(b, 2);
    buf_put_text(b, "77"); // the server process
    if (st->sealed.len) {
        buf_put_u32(b, 16);
        buf_put_text(b, "0000000000000007"); // the transaction's time
    }
    write_end(b, at);
}

void put_vetting(struct group *g, const struct vet_result *r, unsigned n_params, const uint32_t *params,
                 uint16_t n_columns) {
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
    for (unsigned i = 0; i < n_columns; i++)
        put_column(b, "a", 16384);
    put_stamp_answer(&g->vetting->stamp, g->shape->parsed->n_relations);
}
