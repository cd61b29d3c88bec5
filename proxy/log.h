// SPDX-License-Identifier: PostgreSQL
//
// One line an event on stderr, as text or JSON, without ever waiting for its reader. Values of statements'
// parameters never get here.
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

// session 0 means none. The message is one line in PostgreSQL's style; what it contains need not be text, see
// log_text.h.
void log_event(const struct log *log, enum config_log_level level, uint64_t session, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// The same for what somebody else can cause as often as he likes: so many of a kind, then their number alone.
// The kind is what `kind` begins with, see log_limit.h; NULL: the format.
void log_limited(const struct log *log, const char *kind, enum config_log_level level, uint64_t session,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
// Tells the numbers of those whose time has passed; `all`: of all. To be called now and then.
void log_tell_held(const struct log *log, bool all);

#endif
