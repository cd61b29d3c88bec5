// SPDX-License-Identifier: PostgreSQL
//
// The settings of one reading of the configuration, with all that is made of them: the target's hosts, the
// TLS context for clients, the tables that are never loaded ahead. They do not change: a reload makes new
// ones, and a link keeps those that it began with.
#ifndef PGFOLD_PROXY_SETTINGS_H
#define PGFOLD_PROXY_SETTINGS_H

#include <stddef.h>

#include "batching/session/engine.h"
#include "config/config.h"
#include "proxy/log.h"

struct cmdline;
struct ssl_ctx_st;
struct target;

struct settings {
    struct config *config;         // the values; owned
    struct target *target;         // where the server is; owned
    struct ssl_ctx_st *client_tls; // for clients' connections; NULL when client_tls = disable; owned
    struct table_name *ahead_off;  // the config's tables that are never loaded ahead; owned
    unsigned n_ahead_off;          // how many of them
    unsigned refs;                 // references; the last one that goes frees all
};

// Reads the file that the command line names, if any. NULL with a message. The log gets a warning about what
// is ignored.
struct settings *settings_create(const struct cmdline *c, const struct log *log, char *err, size_t err_size);
// The values alone. NULL with a message.
struct config *settings_read_config(const struct cmdline *c, char *err, size_t err_size);
struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings *s); // takes NULL

// The i-th setting's value as may be shown, cut if `out` is too small: the connection string may hold secrets.
// True: a reload changes it.
bool settings_shown(const struct settings *s, size_t i, char *out, size_t size);

static inline bool settings_observe(const struct settings *s) {
    return s->config->mode == MODE_OBSERVE;
}

// What the engine needs of them. Points into the settings.
struct engine_limits settings_engine_limits(const struct settings *s);
// Reports what is valid, but probably not what was meant.
void settings_tell_notes(const struct settings *s, void (*report)(void *arg, const char *note), void *arg);

#endif
