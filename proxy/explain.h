// SPDX-License-Identifier: PostgreSQL
#ifndef PGFOLD_PROXY_EXPLAIN_H
#define PGFOLD_PROXY_EXPLAIN_H

// `pgfold explain …`: argv[0] is "explain". Returns the exit code: 0 all was read, 1 a file or server that
// could not be reached or read, 2 wrong usage.
int explain_main(int argc, char *const *argv);

#endif
