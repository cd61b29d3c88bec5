// SPDX-License-Identifier: PostgreSQL
//
// One line of the log as text: time, level, session, message. Nothing is written here.
#ifndef PGFOLD_PROXY_LOG_LINE_H
#define PGFOLD_PROXY_LOG_LINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

// Bytes of the longest line. Less than PIPE_BUF, so that lines of several processes do not mix in a pipe.
#define LOG_LINE 2600

// Writes the line with its end and returns its bytes. Session 0 means none. The message need not be text: see
// log_text.h.
size_t log_line(bool json, enum config_log_level level, uint64_t session, char line[static LOG_LINE],
                const char *format, ...) __attribute__((format(printf, 5, 6)));
size_t log_line_of(bool json, enum config_log_level level, uint64_t session, char line[static LOG_LINE],
                   const char *format, va_list args);

#endif
