// SPDX-License-Identifier: PostgreSQL
//
// The settings' file, any text: a config or a message, never both and never neither.
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[512] = "";
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    struct config *c = config_create(text, "fuzz.ini", NULL, 0, err, sizeof err);
    if (!c && !err[0])
        abort();
    config_destroy(c);
    free(text);
    return 0;
}
