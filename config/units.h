// SPDX-License-Identifier: PostgreSQL
//
// Numbers as settings write them: "500", "2ms", "64kB". Whole numbers only, units spelled as PostgreSQL
// spells them, blanks allowed between number and unit.
#ifndef PGFOLD_CONFIG_UNITS_H
#define PGFOLD_CONFIG_UNITS_H

#include <stddef.h>
#include <stdint.h>

// What a number counts: a plain number has no unit, times are in microseconds, sizes in bytes.
enum units { UNITS_NONE, UNITS_TIME, UNITS_SIZE };

enum units_result {
    UNITS_OK,       // *value is the number times its unit
    UNITS_BARE,     // there is no unit: *value is the bare number
    UNITS_BAD,      // no number, or a unit that is not in the list
    UNITS_TOO_LARGE // more than 64 bits
};

#define UNITS_TEXT_SIZE 32 // room for whatever units_write writes

enum units_result units_read(enum units units, const char *text, uint64_t *value);

// Writes value in the largest unit that keeps it whole; units_read gives the same value back. Returns text.
const char *units_write(enum units units, uint64_t value, char text[static UNITS_TEXT_SIZE]);

#endif
