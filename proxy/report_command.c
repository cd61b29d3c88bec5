// SPDX-License-Identifier: PostgreSQL
#include "proxy/report_command.h"

#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "protocol/message.h"
#include "proxy/report_words.h"

#define EXIT_NEW   1
#define EXIT_WRONG 2
#define LONGEST    (64u << 20) // bytes of an answer or a file
#define PATIENCE   10          // seconds

static const char help[] =
    "pgfold report prints the loops that a running pgfold has seen: which page asks for one row after the\n"
    "other, and what to write instead.\n"
    "\n"
    "Usage:\n"
    "  pgfold report [OPTION]...\n"
    "\n"
    "Options:\n"
    "  --http URL          where pgfold serves HTTP (http://127.0.0.1:6433)\n"
    "  --format FORMAT     text, json, html or markdown (text)\n"
    "  --baseline FILE     print only loops that are not in FILE, which --format json has written\n"
    "  --help              print this text and exit\n"
    "\n"
    "Exit codes: 0; 1 with --baseline if there are new loops; 2 if the report could not be had, or for "
    "wrong\n"
    "usage.\n";

struct options {
    const char *http, *baseline;
    enum report_format format;
};

static int complain(const char *what, const char *why) {
    fprintf(stderr, "pgfold report: %s%s\n", what, why);
    return EXIT_WRONG;
}

// ---- options

static int take_value(struct options *o, const char *name, const char *value) {
    if (strcmp(name, "--http") == 0) {
        o->http = value;
    } else if (strcmp(name, "--baseline") == 0) {
        o->baseline = value;
    } else if (strcmp(name, "--format") == 0) {
        if (!report_format_read(value, &o->format))
            return complain("--format is text, json, html or markdown, and not ", value);
    } else {
        return complain("unknown option; see pgfold report --help: ", name);
    }
    return 0;
}

static int read_options(struct options *o, char **argv) {
    for (int i = 1; argv[i]; i++) {
        char *name = argv[i], *value = strchr(name, '=');
        if (strncmp(name, "--", 2) != 0)
            return complain("it takes options alone, see pgfold report --help; this is none: ", name);
        if (value)
            *value++ = 0;
        else
            value = argv[++i];
        if (!value)
            return complain("a value is missing behind ", name);
        int wrong = take_value(o, name, value);
        if (wrong)
            return wrong;
    }
    return 0;
}

// ---- HTTP

// http://host:port/ in its parts, which are cut out of the text. An address without http:// will do.
static bool read_url(char *url, char **host, char **port) {
    char *at = strncmp(url, "http://", 7) == 0 ? url + 7 : strstr(url, "://") ? NULL : url;
    if (!at)
        return false;
    at[strcspn(at, "/")] = 0;
    char *end = *at == '[' ? strchr(at, ']') : NULL;
    char *colon = strrchr(end ? end : at, ':');
    *host = end ? at + 1 : at;
    *port = colon ? colon + 1 : "6433";
    if (colon)
        *colon = 0;
    if (end)
        *end = 0;
    return **host && **port;
}

static int dial(const char *host, const char *port, char *why, size_t room) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all;
    struct timeval patience = {.tv_sec = PATIENCE};
    int r = getaddrinfo(host, port, &hints, &all), fd = -1;
    snprintf(why, room, "%s", r ? gai_strerror(r) : "");
    for (struct addrinfo *a = r ? NULL : all; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            continue;
        snprintf(why, room, "%s", strerror(errno));
        close(fd);
        fd = -1;
    }
    if (!r)
        freeaddrinfo(all);
    return fd;
}

static bool read_all(int fd, struct buf *out) {
    uint8_t piece[65536];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0)
        buf_put(out, piece, (size_t)n);
    return n == 0 && !out->failed;
}

// The answer's body; data NULL: none came, and `why` says why.
static struct slice body_of(const struct buf *b, char *why, size_t room) {
    const uint8_t *head = memmem(b->data, b->len, "\r\n\r\n", 4);
    if (!head || b->len < 12 || memcmp(b->data, "HTTP/1.", 7) != 0) {
        snprintf(why, room, "what answers there does not speak HTTP");
        return (struct slice){0};
    }
    if (memcmp(b->data + 9, "200", 3) != 0) {
        snprintf(why, room, "it answers %.3s", (const char *)b->data + 9);
        return (struct slice){0};
    }
    return (struct slice){head + 4, b->len - (size_t)(head + 4 - b->data)};
}

static json_t *read_report(struct slice body, char *why, size_t room) {
    json_error_t error;
    json_t *j = json_loadb((const char *)body.data, body.len, 0, &error);
    if (j && json_is_array(json_object_get(j, "loops")))
        return j;
    json_decref(j);
    snprintf(why, room, "%s", j ? "it is no report of loops" : error.text);
    return NULL;
}

static json_t *ask(const char *url, char *why, size_t room) {
    char text[512], request[700], *host, *port;
    snprintf(text, sizeof text, "%s", url);
    if (!read_url(text, &host, &port)) {
        snprintf(why, room, "it is no URL of HTTP; write http://127.0.0.1:6433");
        return NULL;
    }
    int fd = dial(host, port, why, room);
    if (fd < 0)
        return NULL;
    bool six = strchr(host, ':');
    int n = snprintf(request, sizeof request, "GET /report.json HTTP/1.0\r\nHost: %s%s%s:%s\r\n\r\n",
                     six ? "[" : "", host, six ? "]" : "", port);
    struct buf b = buf_make(LONGEST);
    bool ok = send(fd, request, (size_t)n, MSG_NOSIGNAL) == n && read_all(fd, &b);
    snprintf(why, room, "%s", strerror(errno));
    struct slice body = ok ? body_of(&b, why, room) : (struct slice){0};
    json_t *report = body.data ? read_report(body, why, room) : NULL;
    close(fd);
    buf_free(&b);
    return report;
}

// ---- the baseline

static bool has_id(const json_t *loops, const char *id) {
    size_t i;
    const json_t *one;
    json_array_foreach((json_t *)(uintptr_t)loops, i, one) {
        const char *of = json_string_value(json_object_get(one, "id"));
        if (id && of && strcmp(of, id) == 0)
            return true;
    }
    return false;
}

// Takes out of the report what the baseline has.
static void keep_new(json_t *report, const json_t *baseline) {
    json_t *loops = json_object_get(report, "loops"), *old = json_object_get(baseline, "loops");
    for (size_t i = json_array_size(loops); i-- > 0;)
        if (has_id(old, json_string_value(json_object_get(json_array_get(loops, i), "id"))))
            json_array_remove(loops, i);
}

static json_t *read_baseline(const char *path, char *why, size_t room) {
    json_error_t error;
    json_t *j = json_load_file(path, 0, &error);
    if (j && json_is_array(json_object_get(j, "loops")))
        return j;
    snprintf(why, room, "%s", j ? "it is no report that --format json has written" : error.text);
    json_decref(j);
    return NULL;
}

// ---- all

static int print(const json_t *report, enum report_format f, bool only_new) {
    struct buf b = buf_make(LONGEST);
    report_write_words(report, f, only_new, &b);
    bool ok = !b.failed && fwrite(b.data, 1, b.len, stdout) == b.len && fflush(stdout) == 0;
    buf_free(&b);
    if (!ok)
        return complain("the report could not be written: ", strerror(errno));
    return only_new && json_array_size(json_object_get(report, "loops")) ? EXIT_NEW : 0;
}

static int run(const struct options *o) {
    char why[300] = "", what[700];
    json_t *baseline = o->baseline ? read_baseline(o->baseline, why, sizeof why) : NULL;
    if (o->baseline && !baseline) {
        snprintf(what, sizeof what, "the baseline %.300s cannot be read: ", o->baseline);
        return complain(what, why);
    }
    json_t *report = ask(o->http, why, sizeof why);
    int code = EXIT_WRONG;
    if (report && baseline)
        keep_new(report, baseline);
    if (report) {
        code = print(report, o->format, o->baseline);
    } else {
        snprintf(what, sizeof what,
                 "there is no report at %.300s (http.listen of the running pgfold says where): ", o->http);
        complain(what, why);
    }
    json_decref(report);
    json_decref(baseline);
    return code;
}

int report_main(int argc, char **argv) {
    struct options o = {.http = "http://127.0.0.1:6433"};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return fputs(help, stdout) < 0 ? EXIT_WRONG : 0;
    int wrong = read_options(&o, argv);
    return wrong ? wrong : run(&o);
}
