// SPDX-License-Identifier: PostgreSQL
//
// The line is built in one buffer and written with one write(), so that lines of a busy proxy never mix.
#include "proxy/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log_line.h"
#include "proxy/log_text.h"

static void write_event(const struct log *log, enum config_log_level level, uint64_t session,
                        const char *format, va_list args) {
    char line[LOG_LINE];
    size_t n = log_line_of(log->json, level, session, line, format, args);
    if (log->writer) {
        log_writer_put(log->writer, line, n, log->json);
        return;
    }
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}

void log_event(const struct log *log, enum config_log_level level, uint64_t session, const char *format,
               ...) {
    va_list args;
    if (level > log->level)
        return;
    va_start(args, format);
    write_event(log, level, session, format, args);
    va_end(args);
}

// ---- the same at most so often

static uint64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void begin_anew(const struct log *log, struct log_kind *k, uint64_t now) {
    if (k->held)
        log_event(log, (enum config_log_level)k->level, 0, "%llu more like this were not logged: %s",
                  (unsigned long long)k->held, k->sample);
    log_kind_begin(k, now);
}

static bool may_be_written(const struct log *log, const char *kind, enum config_log_level level,
                           const char *format, va_list args) {
    if (!log->limit || !log->repeats)
        return true;
    uint64_t now = monotonic();
    struct log_kind *k = log_limit_kind(log->limit, kind ? kind : format, now);
    bool first;
    if (log_kind_is_over(k, now))
        begin_anew(log, k, now);
    if (log_limit_take(log->limit, k, log->repeats, &first))
        return true;
    if (first) {
        vsnprintf(k->sample, sizeof k->sample, format, args);
        k->sample[log_text_whole(k->sample, strlen(k->sample))] = 0;
        k->level = (int)level;
    }
    return false;
}

void log_limited(const struct log *log, const char *kind, enum config_log_level level, uint64_t session,
                 const char *format, ...) {
    va_list args;
    if (level > log->level)
        return;
    va_start(args, format);
    bool written = may_be_written(log, kind, level, format, args);
    va_end(args);
    va_start(args, format);
    if (written)
        write_event(log, level, session, format, args);
    va_end(args);
}

void log_tell_held(const struct log *log, bool all) {
    uint64_t now = monotonic();
    for (size_t i = 0; log->limit && i < LOG_KINDS; i++) {
        struct log_kind *k = &log->limit->kinds[i];
        if (k->held && (all || log_kind_is_over(k, now)))
            begin_anew(log, k, now);
    }
}
