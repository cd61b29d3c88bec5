// SPDX-License-Identifier: PostgreSQL
#include "config/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

#define MAX_UNITS 5

// Smallest first; a NULL name ends a list.
static const struct unit lists[][MAX_UNITS] = {
    [UNITS_NONE] = {{NULL, 1}},
    [UNITS_TIME] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {NULL, 1}},
    [UNITS_SIZE] = {{"B", 1}, {"kB", 1024}, {"MB", 1024 * 1024}, {"GB", 1024 * 1024 * 1024}, {NULL, 1}},
};

// The digits that *text begins with; *text moves behind them.
static enum units_result read_digits(const char **text, uint64_t *value) {
    const char *at = *text;
    uint64_t sum = 0;

    if (*at < '0' || *at > '9')
        return UNITS_BAD;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return UNITS_TOO_LARGE;
        sum = sum * 10 + digit;
    }
    *text = at;
    *value = sum;
    return UNITS_OK;
}

enum units_result units_read(enum units units, const char *text, uint64_t *value) {
    enum units_result result = read_digits(&text, value);
    if (result != UNITS_OK)
        return result;
    text += strspn(text, " \t");
    if (*text == '\0')
        return UNITS_BARE;
    for (const struct unit *u = lists[units]; u->name; u++) {
        if (strcmp(u->name, text) != 0)
            continue;
        if (*value > UINT64_MAX / u->factor)
            return UNITS_TOO_LARGE;
        *value *= u->factor;
        return UNITS_OK;
    }
    return UNITS_BAD;
}

const char *units_write(enum units units, uint64_t value, char text[static UNITS_TEXT_SIZE]) {
    const struct unit *best = NULL;

    for (const struct unit *u = lists[units]; u->name && value; u++)
        if (value % u->factor == 0)
            best = u;
    snprintf(text, UNITS_TEXT_SIZE, "%" PRIu64 "%s", best ? value / best->factor : value,
             best ? best->name : "");
    return text;
}
