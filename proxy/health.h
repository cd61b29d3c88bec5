// SPDX-License-Identifier: PostgreSQL
//
// The program `pgfold healthcheck`: asks a running pgfold whether it is well, at the addresses that its own settings name. For
// containers and supervisors that run a command.
#ifndef PGFOLD_PROXY_HEALTH_H
#define PGFOLD_PROXY_HEALTH_H

// argv[0] is "healthcheck". Returns the exit code: 0 when it is well, 1 with a message when it is not, 2 wrong usage.
int health_main(int argc, char **argv, char **envp);

#endif
