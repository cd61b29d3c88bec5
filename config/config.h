// SPDX-License-Identifier: PostgreSQL
//
// One immutable struct with every setting, built whole or not at all; a reload builds a new one. Pure: the
// caller reads files and the environment. One table in config.c describes every key: a new setting belongs
// there, in this struct, in config/pgfold.ini and in docs/settings.md.
#ifndef PGFOLD_CONFIG_CONFIG_H
#define PGFOLD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_mode { MODE_FOLD, MODE_OBSERVE, MODE_VERIFY };
enum config_log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum config_lookahead { LOOKAHEAD_MODE_OFF, LOOKAHEAD_MODE_SNAPSHOT, LOOKAHEAD_MODE_BOUNDED };
enum config_client_tls { CLIENT_TLS_DISABLE, CLIENT_TLS_ALLOW, CLIENT_TLS_REQUIRE };
enum config_tls_version { CONFIG_TLS_1_0, CONFIG_TLS_1_1, CONFIG_TLS_1_2, CONFIG_TLS_1_3 };

// A section [table schema.name].
struct config_table {
    struct config_table *next;
    const char *schema, *name; // as PostgreSQL knows them: folded, without quotes
    bool lookahead;            // default: true
};

#define CONFIG_SETTINGS 52 // keys in the table

// Where a value came from: a file and line, or an override's origin with line 0. Without a name: the default.
struct config_place {
    const char *name; // borrowed from config_create's caller
    int line;
};

struct config {
    // [pgfold]
    char *listen; // comma-separated "host:port", ":port", "[v6]:port" or "/dir/of/socket:port"
    char *server; // libpq connection string, keyword or URI form
    enum config_mode mode;
    enum config_log_level log_level;
    bool log_json;   // log_format = text | json
    int log_repeats; // lines of one kind that are written within 10 s; 0: all
    int max_clients;
    int max_logins;            // connections that are not logged in yet
    int max_cancels;           // cancel requests under way at once
    uint64_t login_timeout;    // microseconds, as all times here; 0 means no limit
    size_t max_startup_packet; // bytes
    size_t session_buffer;     // bytes that may wait in each direction of one session
    size_t max_session_memory; // bytes that one session may hold
    size_t max_memory;         // bytes that all of them may hold, and what is remembered of statements
    enum config_client_tls client_tls;
    char *client_tls_cert, *client_tls_key; // PEM files; "" when not set
    enum config_tls_version client_tls_min_version;
    char *client_tls_ciphers;    // of TLS 1.2 and below, as OpenSSL writes them
    uint64_t drain_timeout;      // SIGTERM: how long running units may take; 0 means no limit
    bool core_dumps;             // after a crash the kernel may write the memory to a file
    int unix_socket_permissions; // as chmod() takes them
    // [batching]
    uint64_t window;      // microseconds a lookup may wait for company; 0: until the loop turn's end
    int max_keys;         // keys in one batch
    int max_in_flight;    // batches of one group under way at once
    int max_waiting;      // lookups of one session that may wait at once
    size_t max_answer;    // bytes of one batch's answer; a larger one runs its members alone
    size_t max_text;      // bytes of statement text that are looked at
    int max_shapes;       // shapes remembered
    int max_groups;       // groups remembered
    int max_statements;   // prepared statements remembered for each session
    uint64_t patience;    // how long a lookup waits for another session's connection, at least; 0: no limit
    uint64_t timeout;     // a batch older than this is cancelled and its members run alone; 0: no limit
    uint64_t vet_max_age; // a shape's vetting is repeated after this time
    int check_one_in;     // of so many folded lookups one is compared with its original; 0: none
    bool never_slower;    // a shape that loses by being folded is run as sent for a while
    bool early_commit;    // the end of a transaction that has only read is not waited for
    // microseconds of each second that new texts may take; 0: no limit
    uint64_t parse_budget;
    // [lookahead]
    enum config_lookahead lookahead;
    uint64_t ahead_gap;   // a loop that pauses longer than this has ended
    uint64_t ahead_age;   // a held answer older than this is dropped
    int ahead_keys;       // keys in one batch loaded ahead
    bool ahead_with_list; // what a list leads to is sent behind it
    size_t ahead_session; // bytes that one session may hold: trail and answers
    size_t ahead_memory;  // bytes that all sessions may hold
    // [report]
    int report_loops;     // that it lists
    int report_tags;      // sets of tags that it keeps
    int report_loop_tags; // of one loop, and that one statement brings
    // [http]
    char *http_listen; // as `listen`, without Unix sockets; "": there is no HTTP
    // [console]
    char *admin_users, *stats_users; // names, comma-separated
    char *auth_database;             // where the server is asked who a user is
    // [table schema.name]
    struct config_table *tables; // list, each table once
    size_t n_tables;
    struct config_place places[CONFIG_SETTINGS]; // of the values, in the order of config_describe
    struct config_place
        beaten[CONFIG_SETTINGS]; // of other values, which a file had and the environment replaced
};

// One override: a "section.key" ("table schema.name.lookahead", too) and its value, with words that say where
// it came from ("--set", "PGFOLD_SERVER").
struct config_override {
    const char *key, *value, *origin;
};

// Reads `file_text` (NULL: no file; the text of an ini file, zero-terminated) named `file_name` in messages,
// then the overrides in order, later ones winning; checks the whole. Returns a config owned by the caller or
// NULL with a message in `err` (PostgreSQL's style: file:line: what is wrong; what would be right), truncated
// to err_size. file_name and the origins must outlive the config.
struct config *config_create(const char *file_text, const char *file_name,
                             const struct config_override *overrides, size_t n_overrides, char *err,
                             size_t err_size);
void config_destroy(struct config *c); // takes NULL

// For the message of a check elsewhere, which begins with the "section.key" that it is about. Puts in front
// of it where the value came from, as config_create does in its own messages.
void config_add_origin(const struct config *c, char *message, size_t size);

// Finds what is allowed but was probably not meant: values that another one makes void. Calls
// report(arg, sentence) for each.
void config_notes(const struct config *c, void (*report)(void *arg, const char *note), void *arg);

// Calls report(arg, sentence) for each value of the file that one of the environment has replaced by another.
void config_beaten(const struct config *c, void (*report)(void *arg, const char *note), void *arg);

// Compares two configs for a reload. Calls report(arg, "section.key", old, new, needs_restart) for each
// difference, values as text that config_create would read back.
void config_diff(const struct config *old_config, const struct config *new_config,
                 void (*report)(void *arg, const char *key, const char *old_value, const char *new_value,
                                bool needs_restart),
                 void *arg);

// The i-th setting's "section.key", default as text and one-line description; false when there are no more.
// The switches of tables are not among them: there may be any number of those.
bool config_describe(size_t i, const char **key, const char **default_value, const char **description);

// The i-th setting's value as a file would say it, cut if `out` is too small. True: a reload changes it.
bool config_value(const struct config *c, size_t i, char *out, size_t size);

#endif
