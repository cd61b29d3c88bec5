// SPDX-License-Identifier: PostgreSQL
//
// The console's commands that change something. Whether they may be given was asked before.
#ifndef PGFOLD_PROXY_CONSOLE_ADMIN_H
#define PGFOLD_PROXY_CONSOLE_ADMIN_H

#include "batching/show/command.h"
#include "proxy/link.h"

// Does it. False with a message: it was not done. `l`: the console's own link.
bool console_admin(struct link *l, const struct command *c, char *err, size_t err_size);

#endif
