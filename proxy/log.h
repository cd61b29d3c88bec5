// SPDX-License-Identifier: PostgreSQL
//
// The log: one line for each event, on stderr, as text or JSON. Logging never waits for the reader of stderr.
// Values of statements' parameters never get here.
#ifndef PGFOLD_PROXY_LOG_H
#define PGFOLD_PROXY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "proxy/log_limit.h"
#include "proxy/log_writer.h"

struct log {
    enum config_log_level level;
    bool json;
    unsigned repeats;          // lines of one kind within LOG_PERIOD; 0: all
    struct log_writer *writer; // NULL: written at once
    struct log_limit *limit;   // NULL: no limit
};

// Session 0 means none. The message is one line in PostgreSQL's style. What is put into it need not be text:
// see log_text.h.
void log_event(const struct log *log, enum config_log_level level, uint64_t session, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// The same for events that somebody else can cause as often as he likes. Some of a kind are logged, then only
// their number. The kind is told by the beginning of `kind`, or of the format where it is NULL: see
// log_limit.h.
void log_limited(const struct log *log, const char *kind, enum config_log_level level, uint64_t session,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
// Logs how many were held, of the kinds whose period has passed; `all`: of all kinds. To be called now and
// then.
void log_tell_held(const struct log *log, bool all);

#endif
