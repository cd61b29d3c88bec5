// SPDX-License-Identifier: PostgreSQL
#include "batching/savepoint.h"

#include <string.h>

#include "protocol/frame.h"

static struct slice slice_of(const char *text) {
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static void write_run(struct buf *out, const char *name, struct slice sql, bool prepared) {
    if (!prepared) {
        write_close(out, 'S', slice_of(name));
        write_parse(out, slice_of(name), sql, NULL, 0);
    }
    size_t at = write_begin(out, F_BIND);
    buf_put_u8(out, 0); // the unnamed portal
    buf_put_str(out, name);
    buf_put_u16(out, 0);
    buf_put_u16(out, 0);
    buf_put_u16(out, 0);
    write_end(out, at);
    write_execute_all(out, (struct slice){0});
}

void savepoint_write_open(struct buf *out, bool prepared) {
    write_run(out, "pgfold_savepoint", slice_of("SAVEPOINT pgfold_guard"), prepared);
}

void savepoint_write_release(struct buf *out, bool prepared) {
    write_run(out, "pgfold_release", slice_of("RELEASE SAVEPOINT pgfold_guard"), prepared);
}

const char *savepoint_replies(bool prepared) {
    static const char run[] = {B_CLOSE_COMPLETE, B_PARSE_COMPLETE, B_BIND_COMPLETE, B_COMMAND_COMPLETE, 0};
    return prepared ? run + 2 : run;
}

static void write_undo(struct buf *out) {
    write_run(out, "pgfold_query", slice_of("ROLLBACK TO SAVEPOINT pgfold_guard"), false);
}

void savepoint_write_question(struct buf *out, struct slice settings, struct slice sql) {
    savepoint_write_open(out, false);
    write_run(out, "pgfold_query", settings, false);
    write_run(out, "pgfold_query", sql, false);
    write_undo(out);
    savepoint_write_release(out, false);
    write_empty(out, F_SYNC);
}

void savepoint_write_unit(struct buf *out, struct slice unit) {
    savepoint_write_open(out, false);
    buf_put(out, unit.data, unit.len - FRAME_HEADER);
    write_undo(out);
    savepoint_write_release(out, false);
    write_empty(out, F_SYNC);
}

void savepoint_write_repair(struct buf *out) {
    write_run(out, "pgfold_repair", slice_of("ROLLBACK TO SAVEPOINT pgfold_guard"), false);
    savepoint_write_release(out, false);
    write_empty(out, F_SYNC);
}
