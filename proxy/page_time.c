// SPDX-License-Identifier: PostgreSQL
#include "proxy/page_time.h"

#include <time.h>

#include "batching/session/figures.h"
#include "batching/session/session_state.h"
#include "proxy/proxy.h"

struct page_time page_time_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (struct page_time){proxy_now(), (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000};
}

uint64_t page_time_of(struct page_time t, uint64_t us) {
    return us > t.now ? t.unix_ms : t.unix_ms - (t.now - us) / 1000;
}

void page_time_text(uint64_t unix_ms, char *out, unsigned size) {
    time_t at = (time_t)(unix_ms / 1000);
    struct tm tm;
    gmtime_r(&at, &tm);
    if (!strftime(out, size, "%Y-%m-%d %H:%M:%S UTC", &tm))
        *out = 0;
}

uint64_t page_since(const struct proxy *p) {
    uint64_t reset = engine_figures(p->engine)->since;
    return reset > p->history.began ? reset : p->history.began;
}
