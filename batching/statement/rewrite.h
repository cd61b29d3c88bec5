// SPDX-License-Identifier: PostgreSQL
//
// Writes the text of the folded statement, in one of two forms (see docs/architecture.md):
//
//   IN       SELECT t.id, <list> FROM t WHERE t.id = ANY ($1)
//            the key column comes first in every row
//   LATERAL  SELECT k.n, q.* FROM ROWS FROM (unnest($1), unnest($2)) WITH ORDINALITY AS k(v1, v2, n)
//            CROSS JOIN LATERAL (<original, its keys replaced with k.v1 and k.v2> OFFSET 0) AS q
//            the keys' ordinal comes first
//
// IN is used where the key column is unique: a key has one row, and so no order. LATERAL keeps every key's
// rows in the order of the original's own plan. OFFSET 0, or the original's own LIMIT, is a fence: the
// planner does not flatten the statement into the query around it.
//
// The texts add no casts: Parse declares the arrays' types by their OIDs. A set of keys is a mask: bit i
// stands for parsed->keys[i].
#ifndef PGFOLD_BATCHING_STATEMENT_REWRITE_H
#define PGFOLD_BATCHING_STATEMENT_REWRITE_H

#include "batching/statement/shape.h"

enum fold_form { FORM_IN, FORM_LATERAL };

// Tells whether the IN form is possible with this key alone, as far as the text tells. The catalogue must add
// that the key column is unique, that its type is a plain one, and that the parameter's type compares with it
// by bytes.
bool rewrite_in_possible(const struct shape *s, int key);

// Writes the folded text to `out`. `keys` is not 0; FORM_IN takes one key. `values`: for a simple shape, the
// constants as written, which are put back except for the keys; NULL for an extended shape. In a simple shape
// the arrays are $1, $2 … in the order of the bits. In an extended shape each array has its key's own number,
// and the other parameters keep theirs. An array key (parsed_key.array) becomes an array of one element,
// ARRAY[k.v1]: its own array holds the elements. Returns false when memory is out or the text names something
// like pgfold's aliases.
bool rewrite_folded(const struct shape *s, uint32_t keys, enum fold_form form, const struct slice *values,
                    struct buf *out) __attribute__((warn_unused_result));

// Writes the IN form under a condition that the statement itself proves (seal.h). The added parameters are
// $first and those behind it.
bool rewrite_sealed(const struct shape *s, uint32_t keys, const struct slice *values, struct slice condition,
                    unsigned first, struct buf *out) __attribute__((warn_unused_result));

// Writes the LATERAL form so that it looks up nothing unless the condition holds: nothing of what the statement
// says is run then.
bool rewrite_guarded(const struct shape *s, uint32_t keys, const struct slice *values, struct slice condition,
                     struct buf *out) __attribute__((warn_unused_result));

// One step from a list's rows to those of the lookups that it leads to.
struct rewrite_step {
    const struct shape *shape;  // the lookups'
    int key;                    // their only key, an index into its parsed->keys
    const struct slice *values; // simple shape: the constants as written; NULL for an extended one
    unsigned shift;             // is added to the numbers of its other parameters
    uint16_t column;   // index in the rows of the step before, or in the list's: what supplies the key
    const char *type;  // of the key, as SQL
    const char *range; // what the column must be to fit into that, as SQL behind its name; "": anything does
};

// The text without a semicolon at its end and what stands behind it; borrowed.
struct slice rewrite_without_end(struct slice text);

// Writes a statement that finds by itself what the last step's lookups are going to ask for, from the list's own
// text:
//
//   SELECT k.v, q.* FROM (SELECT DISTINCT p.c FROM (<list>) AS p(…)) AS k(v)
//   LEFT JOIN LATERAL (SELECT true, o.* FROM (<original, its key replaced with k.v> OFFSET 0) AS o) AS q ON true
//
// A key whose lookup has no row comes once, with NULL instead of true. Of each step at most `max` keys are taken.
// `list` is as rewrite_without_end() has left it. Returns false as rewrite_folded() does.
bool rewrite_behind(struct slice list, const struct rewrite_step *steps, unsigned n, unsigned max,
                    struct buf *out) __attribute__((warn_unused_result));

// Writes the statement as a member sent it, for Describe. For a simple shape the constants are put back
// except for the keys, which are $1, $2 … in the order of the bits. For an extended shape it is the text. To
// mean the same, a key that was written as an integer must be declared with the integer's own type (int4,
// int8 or numeric, the first that holds it), and one that was written as a string with none.
bool rewrite_original(const struct shape *s, uint32_t keys, const struct slice *values, struct buf *out)
    __attribute__((warn_unused_result));

#endif
