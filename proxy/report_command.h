// SPDX-License-Identifier: PostgreSQL
//
// `pgfold report`: asks a running pgfold for its report of loops (/report.json) and prints it.
#ifndef PGFOLD_PROXY_REPORT_COMMAND_H
#define PGFOLD_PROXY_REPORT_COMMAND_H

// argv[0] is "report". Returns the exit code: 0; 1: with --baseline, there are loops that the baseline does not have; 2: the
// report could not be had, or wrong usage.
int report_main(int argc, char **argv);

#endif
