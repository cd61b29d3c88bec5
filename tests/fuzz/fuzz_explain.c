// SPDX-License-Identifier: PostgreSQL
//
// What `pgfold explain` reads: any text, cut into statements, each explained and redacted.
#include <stdlib.h>
#include <string.h>

#include "batching/explain.h"
#include "batching/statement/redact.h"
#include "batching/statement/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void explain(struct explainer *x, struct slice s) {
    struct explanation e;
    struct buf out = buf_make((size_t)4 << 20);
    explain_statement(x, s, &e);
    explain_report(&e, &out);
    if (!out.len || out.data[out.len - 1] != '\n')
        abort();
    buf_reset(&out);
    if (e.group && explain_write_vet(&e, &out))
        explain_vetted(x, &e);
    buf_reset(&out);
    redact_text((const char *)s.data, s.len, 100, &out);
    if (out.len > 102) // the dots have three bytes
        abort();
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct explainer *x = explainer_create();
    struct slice text = {data, size}, s;
    size_t before = 0, statements = 0;
    for (size_t at = 0; (s = script_next(text, &at)).len; before = at)
        if (at <= before || at > size || s.data < data || s.data + s.len > data + size || ++statements > size)
            abort();
    for (size_t at = 0; (s = script_next(text, &at)).len;)
        explain_learn(x, s);
    for (size_t at = 0; (s = script_next(text, &at)).len;)
        explain(x, s);
    explainer_destroy(x);
    return 0;
}
