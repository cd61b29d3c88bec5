// SPDX-License-Identifier: PostgreSQL
//
// The messages of savepoint.h, and the types of their replies.
#include "batching/fold/savepoint.h"

#include <string.h>
#include <strings.h>

#include "batching/trust/own_settings.h"
#include "protocol/buf.h"
#include "protocol/frame.h"

static struct slice slice_of(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

bool savepoint_is_own_name(struct slice name) {
    size_t n = strlen(SAVEPOINT_OWN);
    return name.len >= n && memcmp(name.data, SAVEPOINT_OWN, n) == 0;
}

static bool begins_as(const uint8_t *at, const char *lower) {
    return strncasecmp((const char *)at, lower, strlen(lower)) == 0;
}

// Names are folded to small letters unless they are quoted, and may be spelt with escapes: U&"…".
bool savepoint_in_text(struct slice text) {
    size_t n = strlen(SAVEPOINT_OWN);
    const uint8_t *end = text.data + text.len;
    for (const uint8_t *at = text.data; (at = memchr(at, '_', (size_t)(end - at))); at++)
        if (at - text.data >= (ptrdiff_t)n - 1 && begins_as(at - n + 1, SAVEPOINT_OWN))
            return true;
    for (const uint8_t *at = text.data; (at = memchr(at, '&', (size_t)(end - at))); at++)
        if (at > text.data && end - at > 1 && (at[-1] | 0x20) == 'u' && at[1] == '"')
            return true;
    return false;
}

static void close_portal(struct buf *out) {
    write_close(out, 'P', slice_of(SAVEPOINT_PORTAL));
}

static void close_statement(struct buf *out, const char *name) {
    write_close(out, 'S', slice_of(name));
}

static void write_run(struct buf *out, const char *name, struct slice sql, bool prepared) {
    if (!prepared) {
        close_statement(out, name);
        write_parse(out, slice_of(name), sql, NULL, 0);
    }
    size_t at = write_begin(out, F_BIND);
    buf_put_str(out, SAVEPOINT_PORTAL);
    buf_put_str(out, name);
    buf_put_u16(out, 0);
    buf_put_u16(out, 0);
    buf_put_u16(out, 0);
    write_end(out, at);
    write_execute_all(out, slice_of(SAVEPOINT_PORTAL));
    close_portal(out);
}

// A process hears of changes by others at two moments: when a transaction begins, and when it takes a lock
// that it does not have yet. This query takes and gives back a lock on a relation that does not exist, and
// returns no row.
static const char fresh_sql[] = "SELECT WHERE pg_catalog.pg_relation_is_updatable('0'::pg_catalog.regclass, "
                                "false) OPERATOR(pg_catalog.<) 0";

static void write_savepoint(struct buf *out, bool prepared) {
    write_run(out, SAVEPOINT_OPEN, slice_of("SAVEPOINT pgfold_guard"), prepared);
}

static void write_fresh(struct buf *out, bool prepared) {
    write_run(out, SAVEPOINT_FRESH, slice_of(fresh_sql), prepared);
}

void savepoint_write_open(struct buf *out, bool prepared) {
    write_savepoint(out, prepared);
    write_fresh(out, prepared);
}

void savepoint_write_release(struct buf *out, bool prepared) {
    write_run(out, SAVEPOINT_RELEASE, slice_of("RELEASE SAVEPOINT pgfold_guard"), prepared);
}

#define SHORT_REPLIES B_BIND_COMPLETE, B_COMMAND_COMPLETE, B_CLOSE_COMPLETE
#define REPLIES       B_CLOSE_COMPLETE, B_PARSE_COMPLETE, SHORT_REPLIES

const char *savepoint_open_replies(bool prepared) {
    static const char short_replies[] = {SHORT_REPLIES, SHORT_REPLIES, 0}, replies[] = {REPLIES, REPLIES, 0};
    return prepared ? short_replies : replies;
}

// The first CloseComplete belongs to what ran before.
const char *savepoint_release_replies(bool prepared) {
    static const char short_replies[] = {B_CLOSE_COMPLETE, SHORT_REPLIES, 0},
                      replies[] = {B_CLOSE_COMPLETE, REPLIES, 0};
    return prepared ? short_replies : replies;
}

void savepoint_write_forget(struct buf *out) {
    close_statement(out, SAVEPOINT_OPEN);
    close_statement(out, SAVEPOINT_FRESH);
    close_statement(out, SAVEPOINT_RELEASE);
}

static void end(struct buf *out, bool prepared) {
    savepoint_write_release(out, prepared);
    if (!prepared)
        savepoint_write_forget(out);
    write_empty(out, F_SYNC);
}

// Gives up what was set and locked since the savepoint.
static void write_undo(struct buf *out) {
    write_run(out, SAVEPOINT_QUERY, slice_of("ROLLBACK TO SAVEPOINT pgfold_guard"), false);
    close_statement(out, SAVEPOINT_QUERY);
}

// Takes back what was done since the savepoint, whether that has failed or not. `forget`: what batches have prepared, too. Otherwise
// that is neither used nor touched.
static void take_back(struct buf *out, bool forget) {
    close_portal(out); // otherwise its name would be taken
    write_run(out, SAVEPOINT_REPAIR, slice_of("ROLLBACK TO SAVEPOINT pgfold_guard"), false);
    write_run(out, SAVEPOINT_REPAIR, slice_of("RELEASE SAVEPOINT pgfold_guard"), false);
    if (forget)
        savepoint_write_forget(out);
    close_statement(out, SAVEPOINT_REPAIR);
    close_statement(out, SAVEPOINT_QUERY);
    close_statement(out, SAVEPOINT_VET);
    write_empty(out, F_SYNC);
}

// ---- whole units

static void write_bound(struct buf *out, bool local, unsigned lock_timeout) {
    struct buf sql = buf_make(256);
    bound_write(&sql, local, lock_timeout);
    write_run(out, SAVEPOINT_QUERY, (struct slice){sql.data, sql.len}, false);
    out->failed |= sql.failed;
    buf_free(&sql);
}

static void open_unit(struct buf *out, bool prepared, bool undone, unsigned lock_timeout) {
    if (undone)
        close_portal(out); // one that failed in an aborted transaction may be left
    write_savepoint(out, prepared);
    if (lock_timeout)
        write_bound(out, true, lock_timeout);
    write_fresh(out, prepared);
}

static void end_unit(struct buf *out, bool prepared, bool undone) {
    if (undone) {
        write_empty(out, F_SYNC);
        take_back(out, !prepared);
    } else {
        write_undo(out);
        end(out, prepared);
    }
}

void savepoint_write_question(struct buf *out, struct slice settings, struct slice sql, bool prepared,
                              bool undone, unsigned lock_timeout) {
    open_unit(out, prepared, undone, lock_timeout);
    write_run(out, SAVEPOINT_QUERY, settings, false);
    write_run(out, SAVEPOINT_QUERY, sql, false);
    end_unit(out, prepared, undone);
}

void savepoint_write_unit(struct buf *out, struct slice unit, bool prepared, bool undone,
                          unsigned lock_timeout) {
    open_unit(out, prepared, undone, lock_timeout);
    buf_put(out, unit.data, unit.len - FRAME_HEADER);
    end_unit(out, prepared, undone);
}

void savepoint_write_bound(struct buf *out, unsigned lock_timeout) {
    if (lock_timeout)
        write_bound(out, false, lock_timeout);
}

unsigned savepoint_bound_replies(unsigned lock_timeout) {
    static const char replies[] = {REPLIES, 0};
    return lock_timeout ? (unsigned)strlen(replies) : 0;
}

void savepoint_write_bound_end(struct buf *out, unsigned lock_timeout) {
    for (unsigned i = 0; lock_timeout && i < BOUND_END; i++)
        write_run(out, SAVEPOINT_QUERY, slice_of(bound_end(i)), false);
    if (lock_timeout)
        close_statement(out, SAVEPOINT_QUERY);
    write_empty(out, F_SYNC);
}

void savepoint_write_select(struct buf *out) {
    write_run(out, SAVEPOINT_QUERY, slice_of("SELECT 1"), false);
    close_statement(out, SAVEPOINT_QUERY);
    write_empty(out, F_SYNC);
}

void savepoint_write_repair(struct buf *out) {
    take_back(out, true);
}
