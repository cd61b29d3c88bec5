// SPDX-License-Identifier: PostgreSQL
#include "batching/session/asking.h"

#include "batching/ahead/ahead.h"
#include "batching/session/engine.h"
#include "batching/session/reporting.h"

uint32_t session_lists_read(const struct session *s) {
    return (uint32_t)(s->ahead ? s->ahead->trail.serial : s->lists);
}

void session_note_question(struct session *s, uint64_t hash, uint32_t loads) {
    climb_asked(&s->climb);
    reporting_asks(s, hash);
    if (s->engine->limits.lookahead != LOOKAHEAD_OFF)
        asked_note(&s->asked, hash, session_lists_read(s), loads);
}
