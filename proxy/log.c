// SPDX-License-Identifier: PostgreSQL
//
// The line is built in one buffer and written with one write(), so that lines of a busy proxy never mix. A
// full disk or a closed stderr loses the line, not the proxy.
#include "proxy/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};

// Copies text into out, control characters and (for JSON) quotes and backslashes escaped. Returns bytes
// written.
static size_t escape(char *out, size_t room, const char *text, bool json) {
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && n + 7 < room; p++) {
        if (*p < 0x20 || *p == 0x7f)
            n += (size_t)snprintf(out + n, room - n, json ? "\\u%04x" : "\\x%02x", *p);
        else {
            if (json && (*p == '"' || *p == '\\'))
                out[n++] = '\\';
            out[n++] = (char)*p;
        }
    }
    return n;
}

static size_t timestamp(char *out, size_t room) {
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, room - n, ".%03ldZ", now.tv_nsec / 1000000);
}

static size_t format_line(const struct log *log, enum config_log_level level, uint64_t session,
                          char line[static LOG_LINE], const char *message) {
    char when[64];
    timestamp(when, sizeof when);
    size_t n = 0, room = LOG_LINE - 8;
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
    n += escape(line + n, room - n, message, log->json);
    if (log->json) {
        line[n++] = '"';
        line[n++] = '}';
    }
    line[n++] = '\n';
    return n;
}

size_t log_format(const struct log *log, enum config_log_level level, uint64_t session,
                  char line[static LOG_LINE], const char *format, ...) {
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return format_line(log, level, session, line, message);
}

void log_event(const struct log *log, enum config_log_level level, uint64_t session, const char *format,
               ...) {
    if (level > log->level)
        return;
    char message[1024], line[LOG_LINE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    size_t n = format_line(log, level, session, line, message);
    if (log->writer) {
        log_writer_put(log->writer, line, n, log->json);
        return;
    }
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}
