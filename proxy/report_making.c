// SPDX-License-Identifier: PostgreSQL
#include "proxy/report_making.h"

#include <stdlib.h>
#include <time.h>

#include "proxy/census.h"
#include "proxy/proxy.h"
#include "proxy/report_json.h"

static double wall_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Notes where the loops are that have anything to tell.
static bool list_loops(struct report_making *m, const struct loops *l) {
    uint32_t *order = malloc((l->n + 1) * sizeof *order);
    m->places = malloc((l->n + 1) * sizeof *m->places);
    const struct loop *of = order && m->places ? loops_by_cost(l, 0, order) : NULL;
    for (unsigned i = 0; of; of = loops_by_cost(l, ++i, order))
        if (of->of.asked)
            m->places[m->n++] = (struct loop_place){.key = of->key, .at = (unsigned)(of - l->of)};
    free(order);
    return order && m->places;
}

bool report_making_begin(struct report_making *m, struct proxy *p, enum report_format f, uint32_t most) {
    uint64_t began = proxy_now();
    *m = (struct report_making){
        .runs = true, .format = f, .observed = p->engine->limits.observe, .next = began};
    m->out = buf_make(most);
    json_t *head = list_loops(m, &p->engine->report.loops)
                       ? report_head(p->engine, census_mode(p), wall_clock(), m->n)
                       : NULL;
    if (head)
        report_begin_words(head, f, m->n, &m->out);
    json_decref(head);
    m->cost = proxy_now() - began;
    if (!head)
        report_making_end(m);
    return head;
}

static void tell(struct report_making *m, const struct engine *e) {
    const struct loop *l = loops_at(&e->report.loops, &m->places[m->at++]);
    json_t *j = l ? report_loop(e, l) : NULL; // NULL: another one has taken its place meanwhile
    if (j)
        report_put_loop(j, m->format, m->observed, m->told++, &m->out);
    json_decref(j);
}

bool report_making_go_on(struct report_making *m, struct proxy *p) {
    uint64_t began = proxy_now(), now = began;
    if (!m->runs || now < m->next)
        return false;
    for (; m->at < m->n && now < began + REPORT_SLICE && !m->out.failed; now = proxy_now())
        tell(m, p->engine);
    m->cost += now - began;
    m->next = now + REPORT_PAUSE;
    if (m->at < m->n && !m->out.failed)
        return false;
    report_end_words(m->format, &m->out);
    m->runs = false;
    return true;
}

void report_making_end(struct report_making *m) {
    free(m->places);
    buf_free(&m->out);
    *m = (struct report_making){0};
}
