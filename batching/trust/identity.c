// SPDX-License-Identifier: PostgreSQL
//
// The session's state moves here: each event of identity.h changes what is known, and drops the identity that
// was made from it. The next use makes a new one.
#include "batching/trust/identity.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void identity_table_init(struct identity_table *t) {
    *t = (struct identity_table){.next_id = 1};
    proof_table_init(&t->proofs);
}

static size_t bytes_of(size_t len) {
    return sizeof(struct identity) + len + MEMORY_BLOCK;
}

void identity_table_finish(struct identity_table *t) {
    struct identity *i, *next;
    HASH_ITER(hh, t->table, i, next) {
        HASH_DEL(t->table, i);
        account_sub(&t->memory, bytes_of(i->len));
        free(i);
    }
    proof_table_finish(&t->proofs);
}

struct identity *identity_ref(struct identity *i) {
    i->refs++;
    return i;
}

void identity_unref(struct identity_table *t, struct identity *i) {
    if (!i || --i->refs)
        return;
    if (!i->is_private)
        HASH_DEL(t->table, i);
    proof_unref(&t->proofs, i->proof);
    account_sub(&t->memory, bytes_of(i->len));
    free(i);
}

static struct identity *identity_create(struct identity_table *t, const struct buf *bytes) {
    size_t len = bytes ? bytes->len : 0;
    bool full = account_is_full(&t->memory, bytes_of(len));
    struct identity *i = full ? NULL : calloc(1, sizeof *i + len);
    t->wanting |= full;
    if (!i)
        return NULL;
    account_add(&t->memory, bytes_of(len));
    i->id = t->next_id++;
    i->base = XXH3_128bits(&i->id, sizeof i->id);
    i->refs = 1;
    i->is_private = !bytes;
    i->len = len;
    if (len)
        memcpy(i->bytes, bytes->data, len);
    return i;
}

static struct identity *identity_shared(struct identity_table *t, const struct buf *bytes, XXH128_hash_t base,
                                        struct proof *proof) {
    struct identity *i;
    HASH_FIND(hh, t->table, bytes->data, bytes->len, i);
    if (i)
        return identity_ref(i);
    i = identity_create(t, bytes);
    if (!i)
        return NULL;
    HASH_ADD_KEYPTR(hh, t->table, i->bytes, i->len, i);
    if (!i->hh.tbl) {
        account_sub(&t->memory, bytes_of(i->len));
        free(i);
        return NULL;
    }
    i->proof = proof_ref(proof);
    i->base = base;
    return i;
}

static void put_sized(struct buf *b, struct slice s) {
    buf_put_u32(b, (uint32_t)s.len);
    buf_put(b, s.data, s.len);
}

// ---- start-up parameters

#define MAX_PARAMS 64 // more are taken as they come

// A name and its value, both with their zeros.
struct param {
    const uint8_t *at;
    size_t len;
};

// Cuts off the first pair. False: there is none.
static bool next_param(struct slice *params, struct param *out) {
    const uint8_t *name_end = params->len ? memchr(params->data, 0, params->len) : NULL;
    size_t name = name_end ? (size_t)(name_end - params->data) + 1 : params->len;
    const uint8_t *end = name < params->len ? memchr(params->data + name, 0, params->len - name) : NULL;
    if (!end)
        return false;
    *out = (struct param){params->data, (size_t)(end - params->data) + 1};
    params->data += out->len;
    params->len -= out->len;
    return true;
}

// Some drivers send them in another order each time. Of those with one name, in whatever case, the order matters.
static void put_params(struct buf *b, struct slice params) {
    struct param all[MAX_PARAMS], p;
    unsigned n = 0;
    buf_put_u32(b, (uint32_t)params.len);
    while (n < MAX_PARAMS && next_param(&params, &p)) {
        unsigned at = n++;
        for (; at && strcasecmp((const char *)all[at - 1].at, (const char *)p.at) > 0; at--)
            all[at] = all[at - 1];
        all[at] = p;
    }
    for (unsigned i = 0; i < n; i++)
        buf_put(b, all[i].at, all[i].len);
    buf_put(b, params.data, params.len);
}

void session_identity_init(struct session_identity *s, struct slice address, struct slice startup_params) {
    *s = (struct session_identity){.login = buf_make(IDENTITY_MAX_BYTES)};
    put_sized(&s->login, address);
    put_params(&s->login, startup_params);
    if (s->login.failed)
        s->state = IDENTITY_FOREVER;
}

static void setting_free(struct parsed_setting *p) {
    free(p->name);
    free(p->value);
}

static void settings_clear(struct session_identity *s) {
    for (unsigned i = 0; i < s->n_settings; i++)
        setting_free(&s->settings[i]);
    free(s->settings);
    s->settings = NULL;
    s->n_settings = 0;
    s->settings_bytes = 0;
}

static void drop_current(struct identity_table *t, struct session_identity *s) {
    identity_unref(t, s->current);
    s->current = NULL;
}

static void set_proof(struct identity_table *t, struct proof **of, struct proof *p) {
    p = p ? proof_ref(p) : NULL;
    proof_unref(&t->proofs, *of);
    *of = p;
}

void session_identity_finish(struct identity_table *t, struct session_identity *s) {
    drop_current(t, s);
    settings_clear(s);
    set_proof(t, &s->proof, NULL);
    set_proof(t, &s->home, NULL);
    buf_free(&s->login);
    buf_free(&s->proof_reader.bytes);
}

static struct slice text_slice(const char *s) {
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static int setting_find(const struct session_identity *s, const char *name, size_t len, bool *found) {
    int low = 0, high = (int)s->n_settings;
    while (low < high) {
        int mid = (low + high) / 2, order = strncmp(s->settings[mid].name, name, len);
        if (order == 0 && s->settings[mid].name[len])
            order = 1;
        if (order == 0) {
            *found = true;
            return mid;
        }
        *(order < 0 ? &low : &high) = order < 0 ? mid + 1 : mid;
    }
    *found = false;
    return low;
}

static bool is_listed(const void *ctx, struct slice name) {
    bool found;
    setting_find(ctx, (const char *)name.data, name.len, &found);
    return found;
}

bool setting_is_custom(const char *name) {
    return strchr(name, '.') != NULL;
}

// Those that are custom, or the others.
static void put_settings(struct buf *b, const struct session_identity *s, bool custom) {
    for (unsigned i = 0; i < s->n_settings; i++) {
        if (setting_is_custom(s->settings[i].name) != custom)
            continue;
        put_sized(b, text_slice(s->settings[i].name));
        put_sized(b, text_slice(s->settings[i].value));
    }
}

static struct identity *proven_identity(struct identity_table *t, const struct session_identity *s) {
    struct proof *p = s->n_settings ? proof_without(&t->proofs, s->proof, is_listed, s) : proof_ref(s->proof);
    struct buf b = buf_make(2 * IDENTITY_MAX_BYTES);
    struct identity *i = NULL;
    if (p) {
        buf_put(&b, s->login.data, s->login.len);
        buf_put_u64(&b, p->id);
        put_settings(&b, s, false);
        XXH128_hash_t base = XXH3_128bits(b.data, b.len);
        buf_put_u32(&b, UINT32_MAX); // no setting's size
        buf_put_u8(&b, (uint8_t)s->customs);
        put_settings(&b, s, true);
        i = b.failed ? NULL : identity_shared(t, &b, base, p);
    }
    buf_free(&b);
    proof_unref(&t->proofs, p);
    return i;
}

struct identity *session_identity_current(struct identity_table *t, struct session_identity *s) {
    if (!s->current && s->state == IDENTITY_PROVEN && s->proof)
        s->current = proven_identity(t, s);
    if (!s->current)
        s->current = identity_create(t, NULL);
    return s->current;
}

#define LATE_PROOF 4

bool session_identity_wants_proof(struct session_identity *s, bool waits) {
    if (s->state != IDENTITY_UNPROVEN)
        return false;
    unsigned needed = s->n_proofs < 6 ? 1u << s->n_proofs : 64;
    needed = waits && needed < LATE_PROOF ? LATE_PROOF : needed;
    return ++s->asked >= needed;
}

// What the server said no longer holds.
static void unprove(struct identity_table *t, struct session_identity *s) {
    // A private identity also stands for one state of the session: what was vetted for it before is void.
    drop_current(t, s);
    set_proof(t, &s->proof, NULL);
    if (s->state == IDENTITY_PROVEN || s->state == IDENTITY_PROVING)
        s->state = IDENTITY_UNPROVEN;
}

void session_identity_doubt(struct identity_table *t, struct session_identity *s) {
    unprove(t, s);
    s->origin = ORIGIN_UNKNOWN;
    s->customs = CUSTOMS_UNKNOWN;
    s->touched = true;
    // The next proof reports the settings that the server shows. For the others the list remains the best
    // knowledge.
    unsigned kept = 0;
    for (unsigned i = 0; i < s->n_settings; i++) {
        if (setting_is_custom(s->settings[i].name))
            s->settings[kept++] = s->settings[i];
        else
            setting_free(&s->settings[i]);
    }
    s->n_settings = kept;
}

void session_identity_moved(struct identity_table *t, struct session_identity *s) {
    if (s->state != IDENTITY_PROVEN)
        drop_current(t, s);
}

void session_identity_touched(struct session_identity *s, bool plain) {
    s->touched = true;
    if (plain)
        return;
    s->origin = ORIGIN_UNKNOWN;
    s->customs = CUSTOMS_UNKNOWN;
}

void session_identity_reloaded(struct identity_table *t, struct session_identity *s) {
    session_identity_doubt(t, s);
    set_proof(t, &s->home, NULL);
}

// A signal tells a session's server process that there is a new configuration. It comes a little after the
// server's first process has read the file, and a process that starts then takes over that earlier time. So a
// session that was proven within this time may not have been told yet.
#define SIGNAL_SLACK 20000 // microseconds

bool session_identity_may_take(struct identity_table *t, struct session_identity *s,
                               const struct identity *of, uint64_t loaded, bool own) {
    bool proven = s->state == IDENTITY_PROVEN && s->proof;
    if (proven && s->proved_at < loaded + (own || !loaded ? 0 : SIGNAL_SLACK)) {
        unprove(t, s);
        set_proof(t, &s->home, NULL);
        proven = false;
    }
    return own || (proven && session_identity_current(t, s) == of);
}

static void customs_at_least(struct session_identity *s, enum identity_customs customs) {
    s->customs = s->customs > customs ? s->customs : customs;
}

void session_identity_set_local(struct identity_table *t, struct session_identity *s) {
    if (s->customs != CUSTOMS_NONE)
        return;
    drop_current(t, s);
    s->customs = CUSTOMS_RESET;
}

void session_identity_forever(struct identity_table *t, struct session_identity *s) {
    session_identity_doubt(t, s);
    s->state = IDENTITY_FOREVER;
}

static size_t settings_bytes(const struct session_identity *s) {
    size_t bytes = s->n_settings * sizeof *s->settings;
    for (unsigned i = 0; i < s->n_settings; i++)
        bytes += strlen(s->settings[i].name) + strlen(s->settings[i].value) + 2 * (1 + MEMORY_BLOCK);
    return bytes;
}

static bool setting_put(struct session_identity *s, const struct parsed_setting *p) {
    bool found;
    if (settings_bytes(s) + strlen(p->name) + strlen(p->value) > IDENTITY_MAX_BYTES)
        return false;
    int at = setting_find(s, p->name, strlen(p->name), &found);
    char *value = strdup(p->value);
    if (!value)
        return false;
    if (found) {
        free(s->settings[at].value);
        s->settings[at].value = value;
        return true;
    }
    char *name = s->n_settings < IDENTITY_MAX_SETTINGS ? strdup(p->name) : NULL;
    struct parsed_setting *grown = name ? realloc(s->settings, (s->n_settings + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(name);
        free(value);
        return false;
    }
    s->settings = grown;
    memmove(grown + at + 1, grown + at, (s->n_settings - (unsigned)at) * sizeof *grown);
    grown[at] = (struct parsed_setting){name, value};
    s->n_settings++;
    return true;
}

static void setting_remove(struct session_identity *s, const char *name) {
    bool found;
    int at = setting_find(s, name, strlen(name), &found);
    if (!found)
        return;
    setting_free(&s->settings[at]);
    memmove(s->settings + at, s->settings + at + 1, (s->n_settings - (unsigned)at - 1) * sizeof *s->settings);
    s->n_settings--;
}

// Tells whether the new value is exactly what the statement says, whatever the value was before. SET
// DateStyle = 'ISO' is not such a statement: it keeps the order of day and month. A role is not a setting
// that the server shows.
static bool tells_its_value(const struct parsed_setting *p) {
    return p->value && strcmp(p->name, "role") != 0 && strcmp(p->name, "datestyle") != 0;
}

// Takes a RESET, or a statement whose result only the server knows: the server is asked again. The other
// settings keep their values.
static void set_otherwise(struct identity_table *t, struct session_identity *s,
                          const struct parsed_setting *p) {
    setting_remove(s, p->name);
    unprove(t, s);
    s->touched = true;
    if (setting_is_custom(p->name))
        customs_at_least(s, CUSTOMS_RESET);
    if (p->value && strcmp(p->name, "role") != 0)
        s->origin = ORIGIN_UNKNOWN;
    else if (p->value && s->origin == ORIGIN_DISCARD)
        s->origin = ORIGIN_RESET;
}

void session_identity_set(struct identity_table *t, struct session_identity *s,
                          const struct parsed_setting *settings, int n) {
    drop_current(t, s);
    for (int i = 0; i < n; i++) {
        if (!tells_its_value(&settings[i])) {
            set_otherwise(t, s, &settings[i]);
        } else if (!setting_put(s, &settings[i])) {
            setting_remove(s, settings[i].name);
            session_identity_doubt(t, s);
        }
    }
    s->settings_bytes = settings_bytes(s);
}

// A custom one that anything may have set is not known by what the list says.
bool session_identity_has(const struct session_identity *s, const struct parsed_setting *settings, int n) {
    bool all = n > 0 && s->state == IDENTITY_PROVEN;
    for (int i = 0; i < n && all; i++) {
        int at = setting_find(s, settings[i].name, strlen(settings[i].name), &all);
        bool certain = s->customs != CUSTOMS_UNKNOWN || !setting_is_custom(settings[i].name);
        all = all && certain && tells_its_value(&settings[i]) &&
              strcmp(s->settings[at].value, settings[i].value) == 0;
    }
    return all;
}

// Every setting now has the value of `home`, if `home` was made under the users of now.
static void go_home(struct identity_table *t, struct session_identity *s) {
    set_proof(t, &s->proof, s->home);
    s->proved_at = s->home_proved_at;
    s->state = IDENTITY_PROVEN;
}

// RESET ALL also resets custom settings, but they continue to exist.
static void reset_settings(struct session_identity *s) {
    bool any = s->customs != CUSTOMS_NONE;
    for (unsigned i = 0; i < s->n_settings; i++)
        any |= setting_is_custom(s->settings[i].name);
    settings_clear(s);
    s->customs = any ? CUSTOMS_RESET : CUSTOMS_NONE;
}

// RESET ALL does not reset the role and the session's user, and temporary tables stay.
void session_identity_reset_all(struct identity_table *t, struct session_identity *s) {
    if (s->state == IDENTITY_FOREVER)
        return;
    reset_settings(s);
    drop_current(t, s);
    if (s->state == IDENTITY_PROVEN && s->home && s->proof && proof_same_users(s->home, s->proof))
        go_home(t, s);
    else if (s->state == IDENTITY_PROVEN && s->proof)
        unprove(t, s);
    s->origin = s->origin == ORIGIN_DISCARD ? ORIGIN_DISCARD : ORIGIN_RESET;
    s->touched = false;
}

// DISCARD ALL drops temporary tables, resets the session's user and ends every role, also a role that ALTER
// ROLE … SET role has set at log-in. So only a proof that was made after another DISCARD ALL leads back. (In
// mode observe nothing is proven.)
void session_identity_discard_all(struct identity_table *t, struct session_identity *s) {
    if (s->state == IDENTITY_FOREVER)
        return;
    reset_settings(s);
    drop_current(t, s);
    if (s->home && s->home_origin == ORIGIN_DISCARD)
        go_home(t, s);
    else if (s->state != IDENTITY_PROVEN || s->proof) {
        set_proof(t, &s->proof, NULL);
        s->state = IDENTITY_UNPROVEN;
    }
    s->origin = ORIGIN_DISCARD;
    s->touched = false;
}

static enum identity_isolation isolation_of(struct slice value) {
    static const struct {
        const char *name;
        enum identity_isolation level;
    } levels[] = {{"read committed", ISOLATION_READ_COMMITTED},
                  {"read uncommitted", ISOLATION_READ_COMMITTED},
                  {"repeatable read", ISOLATION_REPEATABLE_READ},
                  {"serializable", ISOLATION_SERIALIZABLE}};
    // The value is written as the server shows it, or as a constant of a statement.
    bool quoted = value.len > 2 && value.data[0] == '\'' && value.data[value.len - 1] == '\'';
    if (quoted)
        value = (struct slice){value.data + 1, value.len - 2};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (value.len == strlen(levels[i].name) &&
            strncasecmp((const char *)value.data, levels[i].name, value.len) == 0)
            return levels[i].level;
    return ISOLATION_UNKNOWN;
}

enum identity_isolation identity_isolation_of(const char *value) {
    return isolation_of(text_slice(value));
}

static const char isolation_setting[] = "default_transaction_isolation";
static const char idle_setting[] = "idle_in_transaction_session_timeout";
static const char lock_setting[] = "lock_timeout";

static enum identity_isolation isolation_by(const struct proof *p) {
    struct slice value;
    return p && proof_setting(p, isolation_setting, &value) ? isolation_of(value) : ISOLATION_UNKNOWN;
}

// SHOW writes the value as "90s" or "5min": in the largest unit that divides it.
static bool may_idle_by(const struct proof *p) {
    struct slice value;
    if (!p || !proof_setting(p, idle_setting, &value) || !value.len)
        return false;
    unsigned number = 0;
    size_t at = 0;
    for (; at < value.len && at < 8 && value.data[at] >= '0' && value.data[at] <= '9'; at++)
        number = number * 10 + (unsigned)(value.data[at] - '0');
    struct slice unit = {value.data + at, value.len - at};
    bool long_unit = slice_is(unit, "min", 3) || slice_is(unit, "h", 1) || slice_is(unit, "d", 1);
    return at > 0 && (number == 0 || long_unit || (slice_is(unit, "s", 1) && number >= 60));
}

enum identity_isolation session_identity_isolation(const struct session_identity *s) {
    bool listed;
    if (s->state != IDENTITY_PROVEN || !s->proof)
        return ISOLATION_UNKNOWN;
    int at = setting_find(s, isolation_setting, strlen(isolation_setting), &listed);
    return listed ? isolation_of(text_slice(s->settings[at].value)) : isolation_by(s->proof);
}

bool session_identity_may_idle(const struct session_identity *s) {
    bool listed;
    setting_find(s, idle_setting, strlen(idle_setting), &listed);
    return !listed && s->state == IDENTITY_PROVEN && may_idle_by(s->proof);
}

bool session_identity_waits_for_locks(const struct session_identity *s) {
    bool listed;
    struct slice value;
    setting_find(s, lock_setting, strlen(lock_setting), &listed);
    return !listed && s->state == IDENTITY_PROVEN && s->proof &&
           proof_setting(s->proof, lock_setting, &value) && slice_is(value, "0", 1);
}

const char *identity_proof_start(struct session_identity *s) {
    s->state = IDENTITY_PROVING;
    proof_reader_start(&s->proof_reader);
    return proof_query(s->origin == ORIGIN_UNKNOWN);
}

void session_identity_not_asked(struct session_identity *s) {
    s->state = IDENTITY_UNPROVEN;
}

void session_identity_take_for_proven(struct session_identity *s) {
    if (s->state == IDENTITY_UNPROVEN)
        s->state = IDENTITY_PROVEN;
}

// With settings in the list, whether the server shows them or not, the values are not those of a RESET.
static bool is_home(const struct session_identity *s) {
    return (s->origin == ORIGIN_RESET || s->origin == ORIGIN_DISCARD) && !s->touched && !s->n_settings;
}

bool session_identity_is_clear(const struct session_identity *s) {
    struct slice path;
    bool known = s->state == IDENTITY_PROVEN && s->proof && s->proof == s->home &&
                 s->customs != CUSTOMS_UNKNOWN && proof_setting(s->proof, "search_path", &path);
    return known && is_home(s) && !memmem(path.data, path.len, "pg_catalog", 10);
}

void identity_proof_end(struct identity_table *t, struct session_identity *s, bool ok) {
    struct proof *p = proof_reader_end(&s->proof_reader, &t->proofs, ok);
    s->told_isolation = isolation_by(p);
    s->told_may_idle = may_idle_by(p);
    if (s->state == IDENTITY_PROVING) { // it did not fall into doubt while the query was under way
        drop_current(t, s);
        s->n_proofs++;
        s->asked = 0;
        s->proved_at = s->proof_reader.asked;
        set_proof(t, &s->proof, p);
        s->state = p ? IDENTITY_PROVEN : IDENTITY_REFUSED;
        if (p && is_home(s)) {
            set_proof(t, &s->home, p);
            s->home_origin = s->origin;
            s->home_proved_at = s->proved_at;
        }
    }
    proof_unref(&t->proofs, p);
}
