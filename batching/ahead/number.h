// SPDX-License-Identifier: PostgreSQL
//
// Numerics in both of the server's forms: as text (12.50) and in binary (numeric_send in
// src/backend/utils/adt/numeric.c: digits to the base of 10,000). Only those of so many bytes; a longer one, or one
// with an exponent, is no key (risk.h).
#ifndef PGFOLD_BATCHING_AHEAD_NUMBER_H
#define PGFOLD_BATCHING_AHEAD_NUMBER_H

#include "protocol/message.h"

#define NUMBER_BYTES 40

// Writes a numeric as text, with its decimal places, to `out`, which has room for NUMBER_BYTES. Returns the number
// of bytes; 0: it has no such form.
size_t number_to_text(uint16_t format, struct slice value, uint8_t *out);
// Takes away what equal numbers may differ in. Returns the number of bytes that are left.
size_t number_strip(uint8_t *text, size_t len);
// Writes a text of number_to_text in binary to `out`. Returns the number of bytes.
size_t number_to_binary(struct slice text, uint8_t *out);

#endif
