// SPDX-License-Identifier: PostgreSQL
//
// The console: a stage of a link behind its log-in, in place of a session. It speaks both protocols; what may
// be said stands in batching/show/command.h, what is shown in batching/show/shows.h and console_rows.h.
//
// The log-in is the server's: it is relayed to the database auth_database, and when the server has let the
// client in, its connection is closed and the user's name decides (console_login.h). No secret is kept.
//
// Bounded: CONSOLES at once, messages of 64 kB, CONSOLE_STATEMENTS prepared statements and as many portals, with
// ANSWER_MOST bytes of rows together. A console that was answered rests four times as long as that took, so that
// all that is said to one takes at most a fifth of the loop's time.
#ifndef PGFOLD_PROXY_CONSOLE_H
#define PGFOLD_PROXY_CONSOLE_H

#include "proxy/link.h"

#define CONSOLES           16
#define CONSOLE_STATEMENTS 64

// Begins the stage, or refuses: the server has let the client in, or is not asked. Both sides of the log-in are
// over: `startup` is what the client has asked for.
void consoles_init(struct proxy *p);
void console_start(struct link *l, const struct startup *startup);

#endif
