// SPDX-License-Identifier: PostgreSQL
#include "batching/base/histogram.h"

const uint64_t histogram_times[] = {50,    100,    250,    500,    1000,    2500,    5000,    10000,   25000,
                                    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
const uint64_t histogram_counts[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};

#define N_TIMES  (sizeof histogram_times / sizeof *histogram_times)
#define N_COUNTS (sizeof histogram_counts / sizeof *histogram_counts)

_Static_assert(N_TIMES <= HISTOGRAM_BOUNDS && N_COUNTS <= HISTOGRAM_BOUNDS, "each has a place");

unsigned histogram_bounds(enum histogram_kind kind) {
    return kind == HISTOGRAM_TIME ? N_TIMES : N_COUNTS;
}

// The first bound that a time with so many bits may lie below; it lies at most one further up.
static const uint8_t first_time[] = {0, 0, 0, 0, 0,  0,  0,  1,  2,  3,  4,  5,  5,
                                     6, 7, 8, 9, 10, 11, 12, 13, 14, 14, 15, 16, N_TIMES};

static void note(struct histogram *h, const uint64_t *bounds, unsigned n, unsigned i, uint64_t value) {
    while (i < n && value > bounds[i])
        i++;
    h->n[i]++;
    h->sum += value;
}

void histogram_note_time(struct histogram *h, uint64_t us) {
    unsigned bits = us ? 64 - (unsigned)__builtin_clzll(us) : 0;
    note(h, histogram_times, N_TIMES, first_time[bits < 25 ? bits : 25], us);
}

void histogram_note_count(struct histogram *h, uint64_t value) {
    note(h, histogram_counts, N_COUNTS, 0, value);
}

uint64_t histogram_total(const struct histogram *h) {
    uint64_t n = 0;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        n += h->n[i];
    return n;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned per_mille) {
    double rank = (double)histogram_total(h) * per_mille / 1000, below = 0;
    if (rank <= 0)
        return 0;
    for (unsigned i = 0; i < N_TIMES; below += (double)h->n[i], i++) {
        double n = (double)h->n[i], least = i ? (double)histogram_times[i - 1] : 0;
        if (n > 0 && below + n >= rank)
            return (uint64_t)(least + ((double)histogram_times[i] - least) * (rank - below) / n);
    }
    return UINT64_MAX;
}
