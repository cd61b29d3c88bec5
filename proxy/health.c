// SPDX-License-Identifier: PostgreSQL
//
// Over HTTP the path decides what is asked. Where there is no HTTP, a GSSENCRequest is sent in PostgreSQL's protocol: pgfold
// answers it with N whatever its settings, so a loop that hangs is noticed.
#include "proxy/health.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/cmdline.h"
#include "proxy/address.h"
#include "proxy/settings.h"

#define PATIENCE  4 // seconds
#define MOST_ARGS 1024
#define PROC_MOST (1 << 20)

static const char help[] =
    "pgfold healthcheck asks a running pgfold whether it is well, and ends with 0 if so, else with 1.\n"
    "\n"
    "Usage:\n"
    "  pgfold healthcheck [--like PID] [/readyz|/healthz] [OPTION]...\n"
    "\n"
    "  /readyz, the default: clients are let in, and the server is reachable. /healthz: pgfold is alive. Let "
    "this one\n"
    "  decide about a restart, which does not mend a server that is down.\n"
    "\n"
    "Options and environment are those of pgfold itself: give the same, so that the same addresses are "
    "found. HTTP is asked\n"
    "at [http] listen; where that is empty, PostgreSQL's protocol at listen, of Unix sockets, too.\n"
    "\n"
    "  --like PID               takes options and environment of this process: of 1 in a container\n";

struct arguments {
    int argc;
    char *argv[MOST_ARGS + 1];
};

struct check {
    const char *path; // of HTTP; NULL: PostgreSQL's protocol
    bool well;
};

// ---- one address

static int connect_unix(const char *dir, const char *port) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof addr.sun_path, "%s/.s.PGSQL.%s", dir, port);
    if (n < 0 || (size_t)n >= sizeof addr.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = PATIENCE};
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

// An address that means all of them is asked on loopback.
static const char *host_to_ask(const char *host) {
    static const char *const all[] = {"", "*", "0.0.0.0"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(host, all[i]) == 0)
            return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static int connect_tcp(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
    struct timeval limit = {.tv_sec = PATIENCE};
    int fd = -1;
    if (getaddrinfo(host_to_ask(host), port, &hints, &list) != 0)
        return -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            continue;
        close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    return fd;
}

// Sends a question and compares the beginning of what comes with the answer.
static bool ask(int fd, const char *question, size_t len, const char *answer) {
    struct timeval limit = {.tv_sec = PATIENCE};
    char got[32];
    size_t n = strlen(answer), at = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (send(fd, question, len, MSG_NOSIGNAL) != (ssize_t)len)
        return false;
    while (at < n) {
        ssize_t r = recv(fd, got + at, n - at, 0);
        if (r <= 0)
            return false;
        at += (size_t)r;
    }
    return memcmp(got, answer, n) == 0;
}

static bool ask_http(int fd, const char *path) {
    char request[128];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    return ask(fd, request, (size_t)n, "HTTP/1.1 200 ");
}

// One that answers is enough: all are one process.
static bool visit(void *arg, const struct listen_address *a, char *err, size_t err_size) {
    struct check *c = arg;
    if (c->well)
        return true;
    int fd = *a->host == '/' ? connect_unix(a->host, a->port) : connect_tcp(a->host, a->port);
    if (fd < 0) {
        snprintf(err, err_size, "%s: could not connect", a->name);
        return true;
    }
    c->well = c->path ? ask_http(fd, c->path) : ask(fd, "\0\0\0\10\4\322\26\60", 8, "N");
    if (!c->well)
        snprintf(err, err_size, "%s: %s%s", a->name, c->path ? c->path : "no answer",
                 c->path ? " does not say that it is well" : "");
    close(fd);
    return true;
}

static int check(const struct config *config, const char *path) {
    char err[512] = "";
    bool http = config->http_listen[strspn(config->http_listen, " ,")] != 0;
    struct check c = {.path = http ? path : NULL};
    bool valid = addresses_visit(http ? "http.listen" : "pgfold.listen",
                                 http ? config->http_listen : config->listen, visit, &c, err, sizeof err);
    if (valid && c.well)
        return 0;
    fprintf(stderr, "pgfold healthcheck: %s\n", err);
    return 1;
}

// ---- options

static bool add(struct arguments *a, char *word) {
    if (a->argc == MOST_ARGS)
        return false;
    a->argv[a->argc++] = word;
    return true;
}

// The texts of /proc/PID/NAME, each with its zero. They are kept to the end of the program.
static bool read_proc(const char *pid, const char *name, struct arguments *out) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%.20s/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd >= 0 ? calloc(1, PROC_MOST + 1) : NULL;
    ssize_t n, len = 0;
    while (text && (n = read(fd, text + len, (size_t)(PROC_MOST - len))) > 0)
        len += n;
    if (fd >= 0)
        close(fd);
    bool ok = text && len > 0;
    for (ssize_t at = 0; ok && at < len; at += (ssize_t)strlen(text + at) + 1)
        ok = add(out, text + at);
    if (!ok)
        free(text);
    return ok;
}

static bool is_pgfold(const char *program) {
    const char *slash = strrchr(program, '/');
    return strcmp(slash ? slash + 1 : program, "pgfold") == 0;
}

// Options and environment of a process. Of one that is no pgfold (an init that has started it) the environment alone.
static bool take_like(const char *pid, struct arguments *args, struct arguments *env) {
    static struct arguments like, its; // not on the stack: what they point to is never given back
    bool digits = *pid && !pid[strspn(pid, "0123456789")];
    if (!digits || !read_proc(pid, "cmdline", &like) || !read_proc(pid, "environ", &its)) {
        fprintf(stderr,
                "pgfold healthcheck: --like %s: could not read the options and environment of this process\n",
                pid);
        return false;
    }
    *env = its;
    if (is_pgfold(like.argv[0]))
        *args = like;
    return true;
}

// Takes what is for the health check out of the arguments; the rest is pgfold's.
static bool take_own(int argc, char **argv, struct arguments *args, struct arguments *env,
                     const char **path) {
    const char *like = NULL;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "/readyz") == 0 || strcmp(argv[i], "/healthz") == 0)
            *path = argv[i];
        else if (strcmp(argv[i], "--like") == 0 && i + 1 < argc)
            like = argv[++i];
        else if (!add(args, argv[i]))
            return false;
    }
    return !like || take_like(like, args, env);
}

int health_main(int argc, char **argv, char **envp) {
    struct arguments args = {0}, env = {0};
    const char *path = "/readyz";
    struct cmdline c;
    char err[1024] = "";
    for (int i = 0; envp[i] && add(&env, envp[i]); i++)
        ;
    if (!take_own(argc, argv, &args, &env, &path))
        return 1;
    if (!cmdline_read(args.argc, args.argv, env.argv, &c, err, sizeof err)) {
        fprintf(stderr, "pgfold healthcheck: %s\n", err);
        return 2;
    }
    if (c.action == CMDLINE_HELP) {
        cmdline_free(&c);
        return fputs(help, stdout) < 0;
    }
    struct config *config = settings_read_config(&c, err, sizeof err);
    int code = config ? check(config, path) : 1;
    if (!config)
        fprintf(stderr, "pgfold healthcheck: %s\n", err);
    config_destroy(config);
    cmdline_free(&c);
    return code;
}
