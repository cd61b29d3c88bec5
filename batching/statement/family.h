// SPDX-License-Identifier: PostgreSQL
//
// A statement is the same to who reads it, whatever constants it has. Its constants may be anywhere in its text,
// so that each row of a list makes a new shape; or be taken out of it without being its key, so that each makes
// a new group. Statements that differ in constants only are a family. What is asked and loaded in vain for one
// of them counts for all.
//
// Families are told apart by a hash. Two that have the same one share their fate: the one may have to begin a
// lookup later.
#ifndef PGFOLD_BATCHING_STATEMENT_FAMILY_H
#define PGFOLD_BATCHING_STATEMENT_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAMILIES       4096
#define FAMILY_GUESSES 4 // in vain, for constants that were not there a moment ago

struct families {
    uint8_t in_vain[FAMILIES]; // guesses since one of them served a lookup
};

// The family of a text, whose constants may have been replaced with parameters.
uint16_t family_of(const char *text, size_t len);

// May something be asked or loaded for constants that are new?
bool family_may_guess(const struct families *f, uint16_t family);
void family_guessed(struct families *f, uint16_t family);
void family_served(struct families *f, uint16_t family);

#endif
