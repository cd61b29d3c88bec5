// SPDX-License-Identifier: PostgreSQL
//
// Where the message of a failed set-up goes, and the one way to put it there.
#ifndef PGFOLD_PROXY_COMPLAINT_H
#define PGFOLD_PROXY_COMPLAINT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct complaint {
    char *text; // borrowed
    size_t size;
};

// Always false, so that a caller can end with `return complain(…)`.
static inline bool __attribute__((format(printf, 2, 3)))
complain(const struct complaint *to, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(to->text, to->size, format, args);
    va_end(args);
    return false;
}

#endif
