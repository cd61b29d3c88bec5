// SPDX-License-Identifier: PostgreSQL
#include "batching/session/order.h"

#include "batching/fold/batch.h"

void order_append(struct session *s, struct lookup *l) {
    l->previous = s->order.last;
    *(s->order.last ? &s->order.last->next : &s->order.first) = l;
    s->order.last = l;
    s->order.n++;
}

void order_shift(struct session *s) {
    struct lookup *l = s->order.first;
    s->order.first = l->next;
    if (s->order.first)
        s->order.first->previous = NULL;
    else
        s->order.last = NULL;
    l->next = NULL;
    s->order.n--;
}

struct lookup *order_take_last(struct session *s) {
    struct lookup *l = s->order.last;
    s->order.last = l->previous;
    *(s->order.last ? &s->order.last->next : &s->order.first) = NULL;
    s->order.n--;
    return l;
}

void order_clear(struct session *s) {
    s->order = (struct answer_order){0};
}
