// SPDX-License-Identifier: PostgreSQL
//
// What there is of cancel requests, for cancel.c alone; its functions are declared in link.h.
#ifndef PGFOLD_PROXY_CANCEL_H
#define PGFOLD_PROXY_CANCEL_H

#include <uv.h>

#include "proxy/guess.h"

struct cancel;

struct cancels {
    struct cancel *running, *queue, *queue_end; // lists
    unsigned n;                                 // clients' and our own, running and waiting
    unsigned n_clients, n_own;                  // running
    uint64_t relayed, joined;                   // since the start; of clients
    uint64_t turn;                              // of the request that has been sent last of those that waited
    struct guesses guesses;
    uv_timer_t timer; // runs while something waits
};

#endif
