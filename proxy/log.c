// SPDX-License-Identifier: PostgreSQL
//
// The line is built in one buffer and written with one write(), so that lines of a busy proxy never mix.
#include "proxy/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log_text.h"

#define MESSAGE_ROOM 1024

static const char *const level_names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};

static size_t timestamp(char *out, size_t room) {
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, room - n, ".%03ldZ", now.tv_nsec / 1000000);
}

// What comes before the message.
static size_t write_head(const struct log *log, enum config_log_level level, uint64_t session,
                         char line[static LOG_LINE]) {
    char when[64];
    timestamp(when, sizeof when);
    size_t n = 0, room = LOG_LINE;
    if (log->json) {
        n += (size_t)snprintf(line, room, "{\"time\":\"%s\",\"level\":\"%s\",", when, level_names[level]);
        if (session)
            n += (size_t)snprintf(line + n, room - n, "\"session\":%llu,", (unsigned long long)session);
        n += (size_t)snprintf(line + n, room - n, "\"message\":\"");
    } else {
        n += (size_t)snprintf(line, room, "%s pgfold[%d] ", when, (int)getpid());
        if (session)
            n += (size_t)snprintf(line + n, room - n, "session %llu ", (unsigned long long)session);
        n += (size_t)snprintf(line + n, room - n, "%s: ", level_names[level]);
    }
    return n;
}

static size_t format_line(const struct log *log, enum config_log_level level, uint64_t session,
                          char line[static LOG_LINE], const char *format, va_list args) {
    char message[MESSAGE_ROOM];
    int wanted = vsnprintf(message, sizeof message - sizeof "…", format, args);
    size_t len = strlen(message);
    if (wanted < 0 || (size_t)wanted > len) {
        len = log_text_whole(message, len);
        memcpy(message + len, "…", sizeof "…" - 1);
        len += sizeof "…" - 1;
    }
    size_t n = write_head(log, level, session, line);
    n += log_text(line + n, LOG_LINE - 3 - n, message, len, log->json);
    if (log->json) {
        line[n++] = '"';
        line[n++] = '}';
    }
    line[n++] = '\n';
    return n;
}

size_t log_format(const struct log *log, enum config_log_level level, uint64_t session,
                  char line[static LOG_LINE], const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t n = format_line(log, level, session, line, format, args);
    va_end(args);
    return n;
}

static void write_event(const struct log *log, enum config_log_level level, uint64_t session,
                        const char *format, va_list args) {
    char line[LOG_LINE];
    size_t n = format_line(log, level, session, line, format, args);
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
