// SPDX-License-Identifier: PostgreSQL
#include "proxy/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log_line.h"

#define QUEUE    262144 // bytes
#define PATIENCE 1      // seconds, at the end

struct log_writer {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake, idle; // there is something to do; there is nothing left
    bool stop, stopped, json;
    uint64_t dropped; // lines for which there was no room, not yet told
    uint64_t failed;  // lines that could not be written, not yet told
    int error;        // of the last of these
    uint64_t lost;    // either, since the start
    bool torn;        // the thread's own: the last line lacks its end
    size_t head, used;
    char queue[QUEUE];
};

// ---- the thread

// Returns when all of it is written, however long the reader takes: 0, or errno when stderr is closed or the
// disk is full.
static int write_all(const char *text, size_t len) {
    while (len) {
        ssize_t n = write(STDERR_FILENO, text, len);
        if (n >= 0) {
            text += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) { // somebody else has made it non-blocking
            struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

// A disk that became full in the middle of a line holds its first part. The next line begins below that.
static int write_line(struct log_writer *w, const char *line, size_t len) {
    int error = w->torn ? write_all("\n", 1) : 0;
    if (!error) {
        error = write_all(line, len);
        w->torn = error != 0;
    }
    return error;
}

// Takes the first line of the queue and returns its bytes; 0: there is none.
static size_t take_line(struct log_writer *w, char line[static LOG_LINE]) {
    size_t n = 0;
    while (n < w->used && n < LOG_LINE) {
        line[n] = w->queue[(w->head + n) % QUEUE];
        if (line[n++] == '\n')
            break;
    }
    w->head = (w->head + n) % QUEUE;
    w->used -= n;
    return n;
}

// Once there is room again, the number of dropped lines is told in front of what came since.
static size_t take(struct log_writer *w, char line[static LOG_LINE]) {
    if (!w->dropped || w->used > QUEUE / 2)
        return take_line(w, line);
    size_t n = log_line(w->json, LOG_LEVEL_WARNING, 0, line,
                        "%llu log lines were dropped, because stderr was not read fast enough",
                        (unsigned long long)w->dropped);
    w->dropped = 0;
    return n;
}

// Called with the mutex held; it is not held during the write.
static int write_unlocked(struct log_writer *w, const char *line, size_t len) {
    pthread_mutex_unlock(&w->mutex);
    int error = write_line(w, line, len);
    pthread_mutex_lock(&w->mutex);
    return error;
}

// Lines that could not be written are told of before anything else is written.
static bool tell_failed(struct log_writer *w) {
    char line[LOG_LINE], why[128];
    uint64_t failed = w->failed;
    if (!failed)
        return true;
    size_t n = log_line(w->json, LOG_LEVEL_WARNING, 0, line,
                        "%llu log lines were lost: could not write to stderr: %s", (unsigned long long)failed,
                        strerror_r(w->error, why, sizeof why));
    if (write_unlocked(w, line, n) != 0)
        return false;
    w->failed -= failed;
    return true;
}

static void put_out(struct log_writer *w, const char *line, size_t len) {
    int error = tell_failed(w) ? write_unlocked(w, line, len) : w->error;
    if (!error)
        return;
    w->error = error;
    w->failed++;
    w->lost++;
}

static void *run(void *arg) {
    struct log_writer *w = arg;
    char line[LOG_LINE];
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        size_t n = take(w, line);
        if (!n && w->stop)
            break;
        if (n)
            put_out(w, line, n);
        else
            pthread_cond_wait(&w->wake, &w->mutex);
    }
    w->stopped = true;
    pthread_cond_signal(&w->idle);
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

// ---- the loop's side

static bool start(struct log_writer *w) {
    sigset_t all, old;
    sigfillset(&all); // signals are the loop's
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bool started = pthread_create(&w->thread, NULL, run, w) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started;
}

struct log_writer *log_writer_create(void) {
    struct log_writer *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->wake, NULL);
    pthread_cond_init(&w->idle, NULL);
    if (start(w))
        return w;
    free(w);
    return NULL;
}

void log_writer_destroy(struct log_writer *w) {
    if (!w)
        return;
    struct timespec until;
    int waited = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    while (!w->stopped && waited == 0)
        waited = pthread_cond_timedwait(&w->idle, &w->mutex, &until);
    bool stopped = w->stopped;
    pthread_mutex_unlock(&w->mutex);
    if (!stopped) { // it hangs in write(), and ends with the process
        pthread_detach(w->thread);
        return;
    }
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->idle);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

void log_writer_put(struct log_writer *w, const char *line, size_t len, bool json) {
    pthread_mutex_lock(&w->mutex);
    w->json = json;
    // After a dropped line all further lines are dropped until that has been told. So the place of the
    // message in the log says when it happened.
    if (w->dropped || len > QUEUE - w->used) {
        w->dropped++;
        w->lost++;
    } else {
        for (size_t i = 0; i < len; i++)
            w->queue[(w->head + w->used + i) % QUEUE] = line[i];
        w->used += len;
    }
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->mutex);
}

uint64_t log_writer_lost(struct log_writer *w) {
    if (!w)
        return 0;
    pthread_mutex_lock(&w->mutex);
    uint64_t lost = w->lost;
    pthread_mutex_unlock(&w->mutex);
    return lost;
}
