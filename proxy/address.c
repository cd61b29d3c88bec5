// SPDX-License-Identifier: PostgreSQL
#include "proxy/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_ROOM 300

// Takes "host:port" apart in `copy`. False with a message.
static bool split(const char *key, struct listen_address *a, char *copy, size_t size, char *err,
                  size_t err_size) {
    const char *name = a->name;
    int n = snprintf(copy, size, "%s", name);
    char *colon = strrchr(copy, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    if (n < 0 || (size_t)n >= size) {
        snprintf(err, err_size, "%s: address \"%.64s…\" is too long: write %zu bytes at most", key, name,
                 size - 1);
        return false;
    }
    if (digits == 0 || colon[1 + digits]) {
        snprintf(err, err_size, "%s: address \"%s\" has no port: write host:port, :port or /directory:port",
                 key, name);
        return false;
    }
    unsigned long number = strtoul(colon + 1, NULL, 10);
    if (number < 1 || number > 65535) {
        snprintf(err, err_size, "%s: address \"%s\" has a port out of range: write one from 1 to 65535", key,
                 name);
        return false;
    }
    *colon = 0;
    a->host = copy;
    a->port = colon + 1;
    size_t len = strlen(copy);
    if (copy[0] == '[' && len > 1 && copy[len - 1] == ']') {
        copy[len - 1] = 0;
        a->host = copy + 1;
    }
    return true;
}

static bool visit_one(const char *key, const char *name, address_visitor *visit, void *arg, char *err,
                      size_t err_size) {
    char copy[ADDRESS_ROOM];
    struct listen_address a = {.name = name};
    return split(key, &a, copy, sizeof copy, err, err_size) && (!visit || visit(arg, &a, err, err_size));
}

bool addresses_visit(const char *key, const char *addresses, address_visitor *visit, void *arg, char *err,
                     size_t err_size) {
    char *copy = strdup(addresses), *rest = copy;
    bool ok = copy != NULL;
    for (char *name; ok && (name = strsep(&rest, ","));) {
        while (*name == ' ')
            name++;
        for (size_t n = strlen(name); n && name[n - 1] == ' '; n--)
            name[n - 1] = 0;
        if (*name)
            ok = visit_one(key, name, visit, arg, err, err_size);
    }
    free(copy);
    return ok;
}
