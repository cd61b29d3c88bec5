// SPDX-License-Identifier: PostgreSQL
//
// Writes log lines to stderr in a thread of its own. A write may take any time: stderr may be a pipe whose
// reader stalls, or a file on a disk that hangs. O_NONBLOCK is no help, since it would be set for all
// processes that share stderr; nor is poll(), which promises nothing when another process writes, too. Lines
// that do not fit into the queue are dropped, lines that cannot be written are lost. Both are counted, and
// the count is logged when the log goes on.
#ifndef PGFOLD_PROXY_LOG_WRITER_H
#define PGFOLD_PROXY_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_writer;

// NULL: there is no memory. The caller then writes lines itself.
struct log_writer *log_writer_create(void);
// Waits for what is queued, but not long: a reader that stalls must not keep the process. Takes NULL.
void log_writer_destroy(struct log_writer *w);
// Queues a whole line of at most LOG_LINE bytes. json: the count of dropped lines is written as JSON.
void log_writer_put(struct log_writer *w, const char *line, size_t len, bool json);
// How many lines were dropped or lost since the start. Takes NULL.
uint64_t log_writer_lost(struct log_writer *w);

#endif
