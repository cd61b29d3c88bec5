// SPDX-License-Identifier: PostgreSQL
//
// Many idle sessions and some busy ones through a proxy, to see what scraping its metrics costs statements. Plays both sides: a
// server that answers each Query at once with one row, and the clients.
//
//   gcc -O2 -o scrape tests/bench/scrape.c
//   scrape --serve PORT                                     the server
//   scrape --idle N --busy M --seconds S PORT [HTTP_PORT]   the clients at the proxy's PORT; with HTTP_PORT, /metrics is fetched
//                                                           once a second. Prints statements a second, quantiles of their time in
//                                                           microseconds, and of the scrapes'
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define MOST   4000000

static const uint8_t greeting[] = "R\0\0\0\10\0\0\0\0S\0\0\0\30server_version\0"
                                  "15.0\0"
                                  "S\0\0\0\31client_encoding\0UTF8\0"
                                  "S\0\0\0\43standard_conforming_strings\0on\0"
                                  "K\0\0\0\14\0\0\0\1\0\0\0\2Z\0\0\0\5I";
static const uint8_t answer[] = "T\0\0\0\35\0\1work\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0"
                                "D\0\0\0\15\0\1\0\0\0\0034MB"
                                "C\0\0\0\11SHOW\0Z\0\0\0\5I";
static const uint8_t startup[] = "\0\0\0\37\0\3\0\0user\0app\0database\0app\0\0";
static const uint8_t query[] = "Q\0\0\0\22SHOW work_mem\0";

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in at(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void watch(int ep, int fd) {
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static void serve_client(int fd, bool *started) {
    uint8_t b[8192];
    ssize_t n = read(fd, b, sizeof b);
    if (n <= 0) {
        close(fd);
        *started = false;
        return;
    }
    if (!*started) {
        *started = true;
        if (write(fd, greeting, sizeof greeting - 1) < 0)
            return;
    } else {
        for (ssize_t i = 0; i < n && b[i] == 'Q';
             i += 1 + (b[i + 1] << 24 | b[i + 2] << 16 | b[i + 3] << 8 | b[i + 4]))
            if (write(fd, answer, sizeof answer - 1) < 0)
                return;
    }
}

static void serve(int port) {
    static bool started[65536];
    struct sockaddr_in a = at(port);
    int on = 1, ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(ls, (struct sockaddr *)&a, sizeof a) || listen(ls, 4096))
        die("listen");
    watch(ep, ls);
    for (;;) {
        struct epoll_event e[EVENTS];
        int n = epoll_wait(ep, e, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (e[i].data.fd != ls) {
                serve_client(e[i].data.fd, &started[e[i].data.fd]);
                continue;
            }
            int fd = accept(ls, NULL, NULL);
            if (fd < 0)
                continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            started[fd] = false;
            watch(ep, fd);
        }
    }
}

static int log_in(int port) {
    struct sockaddr_in a = at(port);
    uint8_t b[4096];
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) || write(fd, startup, sizeof startup - 1) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (ssize_t n = 0, r; n < 6 || memcmp(b + n - 6, "Z\0\0\0\5I", 6) != 0; n += r)
        if ((r = read(fd, b + n, sizeof b - (size_t)n)) <= 0)
            die("log-in");
    return fd;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void print_quantiles(const char *what, uint32_t *v, size_t n) {
    qsort(v, n, sizeof *v, compare);
    if (n)
        printf("%s p50 %u p90 %u p99 %u p99.9 %u most %u", what, v[n / 2], v[n * 9 / 10], v[n * 99 / 100],
               v[n * 999 / 1000], v[n - 1]);
}

static int begin_scrape(int ep, int port) {
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    struct sockaddr_in a = at(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) || write(fd, request, sizeof request - 1) < 0)
        die("scrape");
    watch(ep, fd);
    return fd;
}

static uint32_t times[MOST], scrapes[100000];
static uint64_t asked[65536];

static void load(int ep, int http, double seconds) {
    size_t n_times = 0, n_scrapes = 0, bytes = 0;
    uint64_t begun = now_us(), end = begun + (uint64_t)(seconds * 1e6), next = begun, scraped = 0;
    int scrape = -1;
    while (now_us() < end && n_times < MOST) {
        struct epoll_event e[EVENTS];
        uint8_t b[65536];
        if (http && scrape < 0 && now_us() >= next) {
            next += 1000000;
            scraped = now_us();
            scrape = begin_scrape(ep, http);
        }
        int n = epoll_wait(ep, e, EVENTS, 10);
        for (int i = 0; i < n; i++) {
            int fd = e[i].data.fd;
            ssize_t r = read(fd, b, sizeof b);
            if (fd == scrape) {
                bytes += r > 0 ? (size_t)r : 0;
                if (r <= 0) {
                    scrapes[n_scrapes++] = (uint32_t)(now_us() - scraped);
                    close(fd);
                    scrape = -1;
                }
            } else if (r >= 6 && memcmp(b + r - 6, "Z\0\0\0\5I", 6) == 0 && n_times < MOST) {
                uint64_t t = now_us();
                times[n_times++] = (uint32_t)(t - asked[fd]);
                asked[fd] = t;
                if (write(fd, query, sizeof query - 1) < 0)
                    die("write");
            }
        }
    }
    printf("%.0f statements/s; ", (double)n_times / seconds);
    print_quantiles("us", times, n_times);
    if (n_scrapes) {
        printf("; %zu scrapes of %zu bytes, ", n_scrapes, bytes / n_scrapes);
        print_quantiles("us", scrapes, n_scrapes);
    }
    printf("\n");
}

int main(int argc, char **argv) {
    int idle = 5000, busy = 50, ep = epoll_create1(0), i = 1;
    double seconds = 10;
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    if (argc == 3 && strcmp(argv[1], "--serve") == 0)
        serve(atoi(argv[2]));
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--idle") == 0)
            idle = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--busy") == 0)
            busy = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
    }
    if (i >= argc)
        return 2;
    int port = atoi(argv[i]), http = i + 1 < argc ? atoi(argv[i + 1]) : 0;
    for (int k = 0; k < idle; k++)
        log_in(port);
    for (int k = 0; k < busy; k++) {
        int fd = log_in(port);
        watch(ep, fd);
        asked[fd] = now_us();
        if (write(fd, query, sizeof query - 1) < 0)
            die("write");
    }
    load(ep, 0, 1); // warm
    for (int k = 0; k < 5; k++) {
        printf("not scraped: "), load(ep, 0, seconds / 10), fflush(stdout);
        if (http)
            printf("scraped:     "), load(ep, http, seconds / 10), fflush(stdout);
    }
    return 0;
}
