// SPDX-License-Identifier: PostgreSQL
//
// How a link ends.
//
// A client's end is a byte of its stream: it is passed on in its place, behind all that came before it, and
// the server does what it does for a client of its own: in COPY, in the middle of a message, in a
// transaction. A client that has closed its sending side alone may still read what it asked for, so the link
// lasts until the server closes.
//
// A client that hung up reads nothing any more. What it said before still goes to the server; what its
// connection runs for others is waited for. (A TCP socket cannot tell one from the other until something is
// sent to it; hence the keepalive.)
//
// Each wait for a peer that is to close, or to take its last bytes, has a bound.
#ifndef PGFOLD_PROXY_ENDING_H
#define PGFOLD_PROXY_ENDING_H

#include "proxy/link.h"

// After anything has happened to the link: is it to end? Closes it, or says what is waited for.
void ending_settle(struct link *l);
void ending_client_ends(struct link *l);          // all that the client said has been read
void ending_expire(struct link *l, uint64_t now); // once a second: the bounds
// pgfold has been stopping for so many microseconds: may something of the link's end first?
bool ending_is_busy(const struct link *l, uint64_t drained_for);

#endif
