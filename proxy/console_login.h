// SPDX-License-Identifier: PostgreSQL
//
// Who gets into the console, decided here alone: users named in admin_users may do all, those in stats_users
// may only see; and over a Unix socket whoever runs pgfold itself, without the server's word.
#ifndef PGFOLD_PROXY_CONSOLE_LOGIN_H
#define PGFOLD_PROXY_CONSOLE_LOGIN_H

#include "protocol/startup.h"
#include "proxy/link.h"

enum console_role { CONSOLE_NOBODY, CONSOLE_STATS, CONSOLE_ADMIN };

// Does the packet ask for the console? `pgfold`, or `pgbouncer` for tools.
bool console_is_asked_for(const struct startup *s);

// Is it the operating system's user that pgfold runs under, over a Unix socket?
bool console_is_own_user(const struct link *l);

// What the user may do, whom the server has let in, by the settings now in force. `own`: it is pgfold's own user.
enum console_role console_role_of(const struct link *l, const char *user, bool own);

// Writes the packet for the server: the same user, at auth_database, in protocol 3.0.
void console_write_startup(const struct link *l, const struct startup *s, struct buf *out);

// Answers what the packet asks of the protocol beyond 3.2: NegotiateProtocolVersion, or nothing.
void console_negotiate(const struct startup *s, struct buf *out);

#endif
