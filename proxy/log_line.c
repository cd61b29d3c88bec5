// SPDX-License-Identifier: PostgreSQL
#include "proxy/log_line.h"

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
static size_t write_head(bool json, enum config_log_level level, uint64_t session,
                         char line[static LOG_LINE]) {
    char when[64];
    timestamp(when, sizeof when);
    size_t n = 0, room = LOG_LINE;
    if (json) {
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

size_t log_line_of(bool json, enum config_log_level level, uint64_t session, char line[static LOG_LINE],
                   const char *format, va_list args) {
    char message[MESSAGE_ROOM];
    int wanted = vsnprintf(message, sizeof message - sizeof "…", format, args);
    size_t len = strlen(message);
    if (wanted < 0 || (size_t)wanted > len) {
        len = log_text_whole(message, len);
        memcpy(message + len, "…", sizeof "…" - 1);
        len += sizeof "…" - 1;
    }
    size_t n = write_head(json, level, session, line);
    n += log_text(line + n, LOG_LINE - 3 - n, message, len, json);
    if (json) {
        line[n++] = '"';
        line[n++] = '}';
    }
    line[n++] = '\n';
    return n;
}

size_t log_line(bool json, enum config_log_level level, uint64_t session, char line[static LOG_LINE],
                const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t n = log_line_of(json, level, session, line, format, args);
    va_end(args);
    return n;
}
