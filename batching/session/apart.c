// SPDX-License-Identifier: PostgreSQL
#include "batching/session/apart.h"

// A session with a state of its own (not proven) must bring so many lookups before the catalogue is asked for
// it alone. Each question doubles that number, up to APART_DOUBLED times. The answers that a question brings
// pay for it, and take one doubling back.
#define APART_VETTED  4
#define APART_DOUBLED 8
#define APART_WORTH   16 // answers that pay for one question

bool apart_is_worth_asking(struct session *s) {
    unsigned doubled = s->apart.vets < APART_DOUBLED ? s->apart.vets : APART_DOUBLED;
    return ++s->apart.n >= (unsigned)APART_VETTED << doubled;
}

void apart_asked(struct session *s, bool alone) {
    s->apart.vets += alone;
    s->apart.costs &= !alone;
}

void apart_given(struct session *s) {
    if (++s->apart.given % APART_WORTH == 0 && s->apart.vets)
        s->apart.vets--;
}

void apart_forget(struct session *s) {
    s->apart.n = 0;
    s->apart.costs = false;
}

void apart_came_inside(struct session *s) {
    s->apart.inside++;
}

void apart_transaction_ended(struct session *s) {
    s->apart.inside_last = s->apart.inside;
    s->apart.inside = 0;
}

void apart_note_costs(struct session *s, bool costs) {
    s->apart.costs = costs;
}
