// SPDX-License-Identifier: PostgreSQL
//
// The command line and environment as values. Pure: touches no file and prints nothing.
//
//   pgfold [-c FILE] [--listen ADDR] [--server CONNINFO] [--mode fold|observe|verify] [--log-level LEVEL]
//          [--set section.key=value]… [--check-config] [--version] [--help]
//
// Environment: PGFOLD_CONFIG (the file), PGFOLD_LISTEN, PGFOLD_SERVER, … = PGFOLD_<KEY> for [pgfold] keys and
// PGFOLD_<SECTION>_<KEY> for the others (PGFOLD_BATCHING_WINDOW). Flags beat the environment, which beats the
// file.
#ifndef PGFOLD_CONFIG_CMDLINE_H
#define PGFOLD_CONFIG_CMDLINE_H

#include "config/config.h"

enum cmdline_action { CMDLINE_RUN, CMDLINE_CHECK_CONFIG, CMDLINE_VERSION, CMDLINE_HELP };

struct cmdline {
    enum cmdline_action action;
    const char *config_file;           // NULL: no file is named, and none is read
    struct config_override *overrides; // environment first, flags behind, so that flags win
    size_t n_overrides;
    void *memory; // owned by cmdline.c
};

// argv and envp are borrowed and must outlive the result. False: a message is in err, and there is nothing to
// free. Unknown flags, missing arguments and unknown PGFOLD_… variables are errors; the message names the
// nearest known one.
bool cmdline_read(int argc, char *const *argv, char *const *envp, struct cmdline *out, char *err,
                  size_t err_size);
void cmdline_free(struct cmdline *c);
extern const char cmdline_help[]; // text for --help

#endif
