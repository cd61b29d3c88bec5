// SPDX-License-Identifier: PostgreSQL
#include "proxy/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "config/cmdline.h"
#include "proxy/address.h"
#include "proxy/target.h"
#include "proxy/tls.h"

struct settings *settings_ref(struct settings *s) {
    s->refs++;
    return s;
}

void settings_unref(struct settings *s) {
    if (!s || --s->refs)
        return;
    target_destroy(s->target);
    SSL_CTX_free(s->client_tls);
    free(s->ahead_off);
    config_destroy(s->config);
    free(s);
}

// Reads the whole file as text. NULL with a message.
static char *read_file(const char *path, char *err, size_t err_size) {
    FILE *f = fopen(path, "re");
    if (!f) {
        snprintf(err, err_size, "could not open configuration file \"%s\": %s", path, strerror(errno));
        return NULL;
    }
    enum { LIMIT = 1 << 20 };
    char *text = malloc(LIMIT + 1);
    size_t n = text ? fread(text, 1, LIMIT + 1, f) : 0;
    bool bad = !text || ferror(f) || n > LIMIT;
    if (bad)
        snprintf(err, err_size, "could not read configuration file \"%s\": %s", path,
                 n > LIMIT ? "it is larger than 1 MB" : strerror(errno));
    fclose(f);
    if (bad) {
        free(text);
        return NULL;
    }
    text[n] = 0;
    return text;
}

struct config *settings_read_config(const struct cmdline *c, char *err, size_t err_size) {
    char *text = NULL;
    if (c->config_file && !(text = read_file(c->config_file, err, err_size)))
        return NULL;
    struct config *config = config_create(text, c->config_file, c->overrides, c->n_overrides, err, err_size);
    free(text);
    return config;
}

// Lists the tables that are switched off, as the engine wants them.
static bool list_tables(struct settings *s, char *err, size_t err_size) {
    if (s->config->n_tables == 0)
        return true;
    s->ahead_off = calloc(s->config->n_tables, sizeof *s->ahead_off);
    if (!s->ahead_off) {
        snprintf(err, err_size, "out of memory");
        return false;
    }
    for (const struct config_table *t = s->config->tables; t; t = t->next)
        if (!t->lookahead)
            s->ahead_off[s->n_ahead_off++] = (struct table_name){t->schema, t->name};
    return true;
}

static struct ssl_ctx_st *create_client_tls(const struct config *c, char *err, size_t err_size) {
    const struct client_tls_settings set = {.cert = c->client_tls_cert,
                                            .key = c->client_tls_key,
                                            .min_version = c->client_tls_min_version,
                                            .ciphers = c->client_tls_ciphers};
    return client_tls_create(&set, err, err_size);
}

struct settings *settings_create(const struct cmdline *c, const struct log *log, char *err, size_t err_size) {
    char ignored[512] = "";
    struct settings *s = calloc(1, sizeof *s);
    if (!s) {
        snprintf(err, err_size, "out of memory");
        return NULL;
    }
    s->refs = 1;
    s->config = settings_read_config(c, err, err_size);
    if (s->config && list_tables(s, err, err_size) &&
        addresses_visit("pgfold.listen", s->config->listen, NULL, NULL, err, err_size) &&
        addresses_visit("http.listen", s->config->http_listen, NULL, NULL, err, err_size))
        s->target = target_create(s->config->server, ignored, sizeof ignored, err, err_size);
    bool tls = s->config && s->config->client_tls != CLIENT_TLS_DISABLE;
    if (s->target && tls)
        s->client_tls = create_client_tls(s->config, err, err_size);
    if (!s->target || (tls && !s->client_tls)) {
        if (s->config)
            config_add_origin(s->config, err, err_size);
        settings_unref(s);
        return NULL;
    }
    if (ignored[0])
        log_event(log, LOG_LEVEL_WARNING, 0,
                  "ignored in pgfold.server, since clients log in with their own: %s", ignored);
    return s;
}

static enum lookahead_mode lookahead_of(const struct config *c) {
    static const enum lookahead_mode modes[] = {[LOOKAHEAD_MODE_OFF] = LOOKAHEAD_OFF,
                                                [LOOKAHEAD_MODE_SNAPSHOT] = LOOKAHEAD_SNAPSHOT,
                                                [LOOKAHEAD_MODE_BOUNDED] = LOOKAHEAD_BOUNDED};
    return c->mode != MODE_VERIFY ? modes[c->lookahead] : LOOKAHEAD_OFF;
}

bool settings_shown(const struct settings *s, size_t i, char *out, size_t size) {
    const char *key, *initial, *description;
    bool changeable = config_value(s->config, i, out, size);
    if (config_describe(i, &key, &initial, &description) && strcmp(key, "pgfold.server") == 0)
        snprintf(out, size, "…");
    return changeable;
}

struct engine_limits settings_engine_limits(const struct settings *s) {
    const struct config *c = s->config;
    return (struct engine_limits){
        .observe = c->mode == MODE_OBSERVE,
        .dry = c->mode == MODE_OBSERVE,
        .window = c->window,
        .max_keys = (unsigned)c->max_keys,
        .max_in_flight = (unsigned)c->max_in_flight,
        .max_waiting = (unsigned)c->max_waiting,
        .max_shapes = (unsigned)c->max_shapes,
        .max_groups = (unsigned)c->max_groups,
        .max_statements = (unsigned)c->max_statements,
        .max_answer = c->max_answer,
        .max_text = c->max_text,
        .timeout = c->timeout,
        .patience = c->patience,
        .vet_max_age = c->vet_max_age,
        .parse_budget = c->parse_budget,
        .verify = c->mode == MODE_VERIFY,
        .never_slower = c->never_slower,
        .early_commit = c->early_commit,
        .check_one_in = (unsigned)c->check_one_in,
        .lookahead = lookahead_of(c),
        .ahead_gap = c->ahead_gap,
        .ahead_age = c->ahead_age,
        .ahead_keys = (unsigned)c->ahead_keys,
        .with_list = c->ahead_with_list,
        .ahead_session = c->ahead_session,
        .ahead_memory = c->ahead_memory,
        .report_loops = (unsigned)c->report_loops,
        .report_tags = (unsigned)c->report_tags,
        .report_loop_tags = (unsigned)c->report_loop_tags,
        .max_session = c->max_session_memory,
        .max_memory = c->max_memory,
        .ahead_off = s->ahead_off,
        .n_ahead_off = s->n_ahead_off,
    };
}

void settings_tell_notes(const struct settings *s, void (*report)(void *arg, const char *note), void *arg) {
    config_notes(s->config, report, arg);
    if (s->client_tls && client_tls_lacks_ciphers(s->client_tls))
        report(arg,
               "pgfold.client_tls_min_version is below TLSv1.2, but pgfold.client_tls_ciphers has no cipher "
               "for such versions; add some, for example ALL:@SECLEVEL=0, or set it to TLSv1.2");
}
