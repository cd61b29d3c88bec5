// SPDX-License-Identifier: PostgreSQL
#include "tests/sim/told.h"

#include "protocol/buf.h"
#include "protocol/message.h"

typedef void message_function(struct told *t, uint8_t type);

static void cut(struct told *t, struct told_stream *s, const uint8_t *bytes, size_t len,
                message_function *f) {
    for (size_t at = 0; at < len;) {
        if (s->skip) {
            size_t n = s->skip < len - at ? s->skip : len - at;
            s->skip -= n;
            at += n;
            continue;
        }
        s->head[s->have++] = bytes[at++];
        if (s->have < 5)
            continue;
        s->have = 0;
        s->skip = get_u32(s->head + 1) - 4;
        f(t, s->head[0]);
    }
}

static void note_sent(struct told *t, uint8_t type) {
    t->executes += type == F_EXECUTE;
    if (type != F_QUERY && type != F_SYNC)
        return;
    t->units[t->n_sent++ % TOLD_UNITS] = type == F_QUERY ? -1 : t->executes;
    t->executes = 0;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

// Those behind an error are skipped.
static int answered_of_unit(const struct told *t) {
    int executes = t->units[t->n_got % TOLD_UNITS];
    return executes < 0 ? 1 : least(executes, t->completed + t->error);
}

static void note_got(struct told *t, uint8_t type) {
    t->completed += type == B_COMMAND_COMPLETE || type == B_EMPTY_QUERY || type == B_PORTAL_SUSPENDED;
    t->error |= type == B_ERROR;
    if (type != B_READY_FOR_QUERY)
        return;
    t->statements += (unsigned long)answered_of_unit(t);
    t->n_got++;
    t->completed = 0;
    t->error = false;
}

void told_sent(struct told *t, const uint8_t *bytes, size_t len) {
    cut(t, &t->sent, bytes, len, note_sent);
}

void told_got(struct told *t, const uint8_t *bytes, size_t len) {
    cut(t, &t->got, bytes, len, note_got);
}

const char *told_reported(struct told *t, const struct answered *a, uint64_t now) {
    t->reported++;
    if (a->outcome <= OUTCOME_NONE || a->outcome >= OUTCOME_COUNT || a->reason >= REASON_COUNT)
        return "a statement was answered in no known way";
    if (!a->asked || a->asked > a->answered || a->answered != now)
        return "a statement was answered before it was asked";
    if ((a->outcome == OUTCOME_FORWARDED) != (a->reason != REASON_NONE) && a->outcome != OUTCOME_ALONE)
        return "a statement was forwarded without a reason, or has one without being it";
    return NULL;
}

// Inside a unit its Executes may be reported one by one.
bool told_fits(const struct told *t) {
    unsigned long most = t->statements;
    bool between = !t->completed && !t->error;
    if (!between && t->units[t->n_got % TOLD_UNITS] > 0)
        most += (unsigned long)answered_of_unit(t);
    return t->reported >= t->statements && t->reported <= most;
}
