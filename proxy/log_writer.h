// SPDX-License-Identifier: PostgreSQL
//
// Writes log lines to stderr, which may take any time: a pipe, a socket or a terminal whose reader stalls, a
// file on a disk that is slow or on a network that hangs. A thread of its own does it, which knows nothing of
// the engine; O_NONBLOCK would be set for all processes that share stderr, and poll() promises nothing when
// one of them writes, too. What does not fit in the queue is dropped, what cannot be written is lost; both
// are counted, and the count is logged when the log goes on.
#ifndef PGFOLD_PROXY_LOG_WRITER_H
#define PGFOLD_PROXY_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_writer;

// NULL: there is no memory for one; lines are then written at once.
struct log_writer *log_writer_create(void);
// Waits for what is queued, but not long: a reader that stalls does not keep the process. Takes NULL.
void log_writer_destroy(struct log_writer *w);
// A whole line, at most LOG_LINE bytes. json: how the count of dropped ones is to be written.
void log_writer_put(struct log_writer *w, const char *line, size_t len, bool json);
// Lines that nobody will read, since the start. Takes NULL.
uint64_t log_writer_lost(struct log_writer *w);

#endif
