// SPDX-License-Identifier: PostgreSQL
//
// Where the message goes when something cannot be set up, and the function that puts it there.
#ifndef PGFOLD_PROXY_COMPLAINT_H
#define PGFOLD_PROXY_COMPLAINT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct complaint {
    char *text; // borrowed
    size_t size;
    const char *setting; // that the message begins with: "section.key"
};

// Always false, so that a caller can end with `return complain(…)`.
static inline bool __attribute__((format(printf, 2, 3)))
complain(const struct complaint *to, const char *format, ...) {
    int n = snprintf(to->text, to->size, "%s: ", to->setting);
    va_list args;
    va_start(args, format);
    if (n > 0 && (size_t)n < to->size)
        vsnprintf(to->text + n, to->size - (size_t)n, format, args);
    va_end(args);
    return false;
}

#endif
