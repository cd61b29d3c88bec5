// SPDX-License-Identifier: PostgreSQL
//
// The program `pgfold explain`: reads statements, and says of each what pgfold would do with it.
#ifndef PGFOLD_PROXY_EXPLAIN_H
#define PGFOLD_PROXY_EXPLAIN_H

// argv[0] is "explain". Returns the exit code: 0 when all was read, 1 when a file or the server could not be
// read or reached, 2 for wrong usage.
int explain_main(int argc, char *const *argv);

#endif
