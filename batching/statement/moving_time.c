// SPDX-License-Identifier: PostgreSQL
//
// A search for the words.
#include "batching/statement/moving_time.h"

#include <string.h>
#include <strings.h>

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool text_is_moving_time(const char *text, size_t len) {
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday", NULL};
    for (size_t at = 0; at < len;) {
        size_t end = at;
        while (end < len && is_letter(text[end]))
            end++;
        for (const char *const *w = words; *w; w++)
            if (end - at == strlen(*w) && strncasecmp(text + at, *w, end - at) == 0)
                return true;
        at = end > at ? end : at + 1;
    }
    return false;
}
