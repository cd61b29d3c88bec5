// SPDX-License-Identifier: PostgreSQL
#include "batching/identity.h"

#include <stdlib.h>
#include <string.h>

void identity_table_init(struct identity_table *t) {
    *t = (struct identity_table){.next_id = 1};
}

void identity_table_finish(struct identity_table *t) {
    struct identity *i, *next;
    HASH_ITER(hh, t->table, i, next) {
        HASH_DEL(t->table, i);
        free(i);
    }
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
    free(i);
}

static struct identity *identity_create(struct identity_table *t, const struct buf *bytes) {
    size_t len = bytes ? bytes->len : 0;
    struct identity *i = calloc(1, sizeof *i + len);
    if (!i)
        return NULL;
    i->id = t->next_id++;
    i->refs = 1;
    i->is_private = !bytes;
    i->len = len;
    if (len)
        memcpy(i->bytes, bytes->data, len);
    return i;
}

static struct identity *identity_shared(struct identity_table *t, const struct buf *bytes) {
    struct identity *i;
    HASH_FIND(hh, t->table, bytes->data, bytes->len, i);
    if (i)
        return identity_ref(i);
    i = identity_create(t, bytes);
    if (!i)
        return NULL;
    HASH_ADD_KEYPTR(hh, t->table, i->bytes, i->len, i);
    if (!i->hh.tbl) {
        free(i);
        return NULL;
    }
    return i;
}

static void put_sized(struct buf *b, struct slice s) {
    buf_put_u32(b, (uint32_t)s.len);
    buf_put(b, s.data, s.len);
}

void session_identity_init(struct session_identity *s, struct slice address, struct slice startup_params) {
    *s = (struct session_identity){.login = buf_make(IDENTITY_MAX_BYTES),
                                   .proof = buf_make(IDENTITY_MAX_BYTES),
                                   .clean_proof = buf_make(IDENTITY_MAX_BYTES),
                                   .clean = true};
    put_sized(&s->login, address);
    put_sized(&s->login, startup_params);
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
}

static void drop_current(struct identity_table *t, struct session_identity *s) {
    identity_unref(t, s->current);
    s->current = NULL;
}

void session_identity_finish(struct identity_table *t, struct session_identity *s) {
    drop_current(t, s);
    settings_clear(s);
    buf_free(&s->login);
    buf_free(&s->proof);
    buf_free(&s->clean_proof);
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

// The proof's columns: digest, changed settings ("name=value" behind a byte 1 each), roles, temporary schema.
// A changed setting that stands in the list is left out: its value follows from the statement that the server
// confirmed.
static void put_proof(struct buf *b, const struct session_identity *s) {
    struct slice column;
    for (unsigned i = 0; msg_row_column(s->proof.data, s->proof.len, i, &column); i++) {
        if (i != 1 || s->reset) {
            put_sized(b, i == 1 ? text_slice("RESET ALL") : column);
            continue;
        }
        const uint8_t *p = column.data, *end = p + column.len;
        while (p && p < end) {
            const uint8_t *next = memchr(p + 1, 1, (size_t)(end - p - 1));
            struct slice item = {p + 1, (size_t)((next ? next : end) - p - 1)};
            const uint8_t *equals = memchr(item.data, '=', item.len);
            bool listed = false;
            if (equals)
                setting_find(s, (const char *)item.data, (size_t)(equals - item.data), &listed);
            if (!listed)
                put_sized(b, item);
            p = next;
        }
    }
}

static void put_settings(struct buf *b, const struct session_identity *s) {
    buf_put_u32(b, s->n_settings);
    for (unsigned i = 0; i < s->n_settings; i++) {
        put_sized(b, text_slice(s->settings[i].name));
        put_sized(b, text_slice(s->settings[i].value));
    }
}

struct identity *session_identity_current(struct identity_table *t, struct session_identity *s) {
    if (s->current)
        return s->current;
    if (s->state == IDENTITY_PROVEN && !s->proof.failed) {
        struct buf b = buf_make(4 * IDENTITY_MAX_BYTES);
        buf_put(&b, s->login.data, s->login.len);
        put_proof(&b, s);
        put_settings(&b, s);
        if (!b.failed)
            s->current = identity_shared(t, &b);
        buf_free(&b);
    }
    if (!s->current)
        s->current = identity_create(t, NULL);
    return s->current;
}

bool session_identity_wants_proof(struct session_identity *s) {
    if (s->state != IDENTITY_UNPROVEN)
        return false;
    unsigned needed = s->n_proofs < 6 ? 1u << s->n_proofs : 64;
    return ++s->asked >= needed;
}

void session_identity_doubt(struct identity_table *t, struct session_identity *s) {
    // A private identity stands for a state of the session, too: what was vetted before the doubt is void.
    drop_current(t, s);
    s->clean = s->reset = false;
    if (s->state == IDENTITY_PROVEN || s->state == IDENTITY_PROVING)
        s->state = IDENTITY_UNPROVEN;
    // The next proof reports the settings that the server shows; of the others the list stays the best that
    // is known.
    unsigned kept = 0;
    for (unsigned i = 0; i < s->n_settings; i++) {
        if (strchr(s->settings[i].name, '.'))
            s->settings[kept++] = s->settings[i];
        else
            setting_free(&s->settings[i]);
    }
    s->n_settings = kept;
}

void session_identity_forever(struct identity_table *t, struct session_identity *s) {
    session_identity_doubt(t, s);
    s->state = IDENTITY_FOREVER;
}

static bool setting_put(struct session_identity *s, const struct parsed_setting *p) {
    bool found;
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

void session_identity_set(struct identity_table *t, struct session_identity *s,
                          const struct parsed_setting *settings, int n) {
    drop_current(t, s);
    s->clean = false;
    for (int i = 0; i < n; i++) {
        // A role changes what other settings may do and be; the server is asked for the result.
        if (!settings[i].value || strcmp(settings[i].name, "role") == 0 || !setting_put(s, &settings[i])) {
            setting_remove(s, settings[i].name);
            session_identity_doubt(t, s);
        }
    }
}

// After RESET ALL every setting has the value that the proof's digest knows, whatever it was before. The role
// is none of the settings that it resets; a session whose role may have changed is in doubt.
void session_identity_reset_all(struct identity_table *t, struct session_identity *s) {
    settings_clear(s);
    drop_current(t, s);
    if (s->state == IDENTITY_PROVEN)
        s->reset = true;
    else if (!s->clean)
        session_identity_doubt(t, s);
}

// Was the proof made under the role of the log-in itself?
static bool proven_without_role(const struct buf *proof) {
    struct slice roles;
    return msg_row_column(proof->data, proof->len, 2, &roles) && roles.len > 5 &&
           memcmp(roles.data + roles.len - 5, "\x01none", 5) == 0;
}

// DISCARD ALL drops temporary tables, resets the session's user and ends every role, also one that ALTER ROLE
// … SET role had set at log-in: only a proof that was made before any of them leads back. (In mode observe
// nothing is proven.)
void session_identity_discard_all(struct identity_table *t, struct session_identity *s) {
    settings_clear(s);
    drop_current(t, s);
    if (s->state == IDENTITY_FOREVER)
        return;
    if (proven_without_role(&s->clean_proof)) {
        identity_proof_row(s, (struct slice){s->clean_proof.data, s->clean_proof.len});
        s->state = IDENTITY_PROVEN;
    } else if (s->state != IDENTITY_PROVEN || s->proof.len) {
        s->state = IDENTITY_UNPROVEN;
    }
    s->reset = s->state == IDENTITY_PROVEN;
    s->clean = true;
}

const char *identity_proof_query(void) {
    // Everything is qualified: the session's search_path must not choose what is called. reset_val is the
    // value in force at log-in. The server gives the settings in the order of their names.
    return "SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.textsend(pg_catalog.string_agg("
           "pg_catalog.concat(name, '=', reset_val), E'\\x01'))), 'hex'), "
           "pg_catalog.string_agg(CASE WHEN setting IS DISTINCT FROM reset_val "
           "THEN pg_catalog.concat(E'\\x01', name, '=', setting) END, ''), "
           "pg_catalog.concat(CURRENT_USER, E'\\x01', SESSION_USER, E'\\x01', "
           "pg_catalog.current_setting('role')), "
           "pg_catalog.pg_my_temp_schema()::pg_catalog.text FROM pg_catalog.pg_settings";
}

void identity_proof_row(struct session_identity *s, struct slice row) {
    buf_reset(&s->proof);
    buf_put(&s->proof, row.data, row.len);
}

void identity_proof_end(struct identity_table *t, struct session_identity *s, bool ok) {
    if (s->state != IDENTITY_PROVING)
        return; // in doubt again while the query was under way
    struct slice temp;
    drop_current(t, s);
    s->n_proofs++;
    s->asked = 0;
    bool good = ok && !s->proof.failed && msg_row_column(s->proof.data, s->proof.len, 3, &temp) &&
                slice_is(temp, "0", 1);
    s->state = good ? IDENTITY_PROVEN : IDENTITY_REFUSED;
    if (good && s->clean && !s->clean_proof.len)
        buf_put(&s->clean_proof, s->proof.data, s->proof.len);
}
