// SPDX-License-Identifier: PostgreSQL
//
// How far the server is: the least time in which it has answered anything of late. That is the way there and back, and
// what it spends on any statement.
//
// The least value of a span is known exactly, an older one is forgotten when two spans have ended: a way that has
// become longer is believed after 10 to 20 seconds, a shorter one at once.
#ifndef PGFOLD_BATCHING_BASE_DISTANCE_H
#define PGFOLD_BATCHING_BASE_DISTANCE_H

#include <stdbool.h>
#include <stdint.h>

#define DISTANCE_SPAN UINT64_C(10000000) // microseconds

struct distance {
    uint64_t began;          // microseconds: the span at hand; 0: none yet
    uint64_t least, earlier; // of the span at hand, and of the one before; 0: nothing was answered in it
};

// A statement was answered `now`, `took` microseconds after it was sent, or after it came. 0 is ignored.
static inline void distance_note(struct distance *d, uint64_t now, uint64_t took) {
    if (!d->began || now >= d->began + DISTANCE_SPAN) {
        d->earlier = d->began && now < d->began + 2 * DISTANCE_SPAN ? d->least : 0;
        d->least = 0;
        d->began = now;
    }
    if (took && (!d->least || took < d->least))
        d->least = took;
}

// From so many microseconds on it pays to send what is not asked for yet, and not to wait for what is certain. Nearer by, the
// answer is there as soon as that would be sent.
#define DISTANCE_FAR 300

// Microseconds; 0: not known.
static inline uint64_t distance_to(const struct distance *d) {
    return d->earlier && (!d->least || d->earlier < d->least) ? d->earlier : d->least;
}

static inline bool distance_is_far(const struct distance *d) {
    return distance_to(d) >= DISTANCE_FAR;
}

#endif
