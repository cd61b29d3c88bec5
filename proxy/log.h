// SPDX-License-Identifier: PostgreSQL
//
// One line an event on stderr, as text or JSON, without ever waiting for its reader. Values of statements'
// parameters never get here.
#ifndef PGFOLD_PROXY_LOG_H
#define PGFOLD_PROXY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "proxy/log_writer.h"

struct log {
    enum config_log_level level;
    bool json;
    struct log_writer *writer; // NULL: written at once
};

// session 0 means none. The message is one line in PostgreSQL's style; control characters are escaped.
void log_event(const struct log *log, enum config_log_level level, uint64_t session, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// The line itself, with its end; how many bytes.
size_t log_format(const struct log *log, enum config_log_level level, uint64_t session,
                  char line[static LOG_LINE], const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
