// SPDX-License-Identifier: PostgreSQL
//
// What the page is written from: seconds, and numbers and texts as people read them.
#include "batching/show/human.h"

#include <criterion/criterion.h>
#include <string.h>

#include "batching/base/histogram.h"
#include "batching/session/counters.h"
#include "batching/show/history.h"
#include "batching/show/text.h"

static struct buf b = {.limit = 10000};

static const char *written(void) {
    buf_put_u8(&b, 0);
    cr_assert_not(b.failed);
    b.len = 0;
    return (const char *)b.data;
}

// ---- texts

static const struct {
    const char *name, *html, *plain;
} names[] = {
    {"app", "app", "app"},
    {"<img src=x onerror=\"alert('1')\">", "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;",
     "<img src=x onerror=\"alert('1')\">"},
    {"a&lt;b", "a&amp;lt;b", "a&lt;b"},
    {"B\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "B\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80",
     "B\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"},
    // Controls, what is no UTF-8, and what turns the direction of writing.
    {"a\nb\x7f\xc2\x85",
     "a\xef\xbf\xbd"
     "b\xef\xbf\xbd\xef\xbf\xbd",
     "a?b??"},
    {"\xe4\xff\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "?????"},
    {"\xe2\x80\xae"
     "evil\xe2\x81\xa6\xef\xbb\xbf\xd8\x9c",
     "\xef\xbf\xbd"
     "evil\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
     "\xe2\x80\xae"
     "evil\xe2\x81\xa6\xef\xbb\xbf\xd8\x9c"},
};

Test(human, writes_any_bytes_as_text) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        human_text(&b, names[i].name);
        cr_expect_str_eq(written(), names[i].html);
        text_plain(&b, names[i].name);
        cr_expect_str_eq(written(), names[i].plain);
    }
    buf_free(&b);
}

// A name that is cut in the middle of a character reads no further than its zero.
Test(human, ends_with_the_text) {
    const char cut[] = "abc\xf0\x9f\x98";
    human_text(&b, cut);
    cr_expect_str_eq(written(), "abc\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    buf_free(&b);
}

// ---- numbers

static const struct {
    void (*write)(struct buf *b, uint64_t n);
    uint64_t n;
    const char *text;
} numbers[] = {
    {human_count, 0, "0"},
    {human_count, 999, "999"},
    {human_count, 1000, "1,000"},
    {human_count, 1234567, "1,234,567"},
    {human_count, UINT64_MAX, "18,446,744,073,709,551,615"},
    {human_time, 0, "0"},
    {human_time, 740, "740 µs"},
    {human_time, 1000, "1.00 ms"},
    {human_time, 12340, "12.3 ms"},
    {human_time, 999400, "999 ms"},
    {human_time, 999600, "1.00 s"},
    {human_time, 4560000, "4.56 s"},
    {human_time, 59999999, "60.0 s"},
    {human_time, 60000000, "1 min 0 s"},
    {human_time, 3600000000, "1 h 0 min"},
    {human_time, 273600000000, "3 d 4 h"},
    {human_bytes, 0, "0 B"},
    {human_bytes, 999, "999 B"},
    {human_bytes, 12345, "12.3 kB"},
    {human_bytes, 999600, "1.00 MB"},
    {human_bytes, 4560000, "4.56 MB"},
    {human_bytes, UINT64_MAX, "18.4 EB"},
};

Test(human, writes_numbers) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        numbers[i].write(&b, numbers[i].n);
        cr_expect_str_eq(written(), numbers[i].text);
    }
    buf_free(&b);
}

static const struct {
    void (*write)(struct buf *b, uint64_t n, uint64_t of);
    uint64_t n, of;
    const char *text;
} ratios[] = {
    {human_share, 0, 0, "–"},
    {human_share, 0, 9, "0 %"},
    {human_share, 9, 9, "100 %"},
    {human_share, 1, 8, "12.5 %"},
    {human_share, 1, 100000, "&lt;0.1 %"},
    {human_share, 99999, 100000, "&gt;99.9 %"},
    {human_rate, 0, 1000000, "0"},
    {human_rate, 7, 0, "0"},
    {human_rate, 1, 100000000, "0.1"},
    {human_rate, 9, 2000000, "4.5"},
    {human_rate, 9949, 1000000000, "9.9"},
    {human_rate, 9960, 1000000000, "10"},
    {human_rate, 2468, 2000000, "1,234"},
};

Test(human, writes_shares_and_rates) {
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        ratios[i].write(&b, ratios[i].n, ratios[i].of);
        cr_expect_str_eq(written(), ratios[i].text);
    }
    buf_free(&b);
}

// ---- quantiles

Test(histogram, estimates_quantiles_between_its_bounds) {
    struct histogram h = {0};
    cr_expect_eq(histogram_quantile(&h, 500), 0);
    for (int i = 0; i < 90; i++)
        histogram_note_time(&h, 80); // 50 to 100
    for (int i = 0; i < 9; i++)
        histogram_note_time(&h, 2000); // 1000 to 2500
    histogram_note_time(&h, 60000000);
    cr_expect_eq(histogram_quantile(&h, 450), 75);
    cr_expect_eq(histogram_quantile(&h, 900), 100);
    cr_expect_eq(histogram_quantile(&h, 990), 2500);
    cr_expect_eq(histogram_quantile(&h, 995), UINT64_MAX);
}

// ---- seconds

#define SECOND 1000000u

Test(history, has_what_each_second_counted) {
    static struct history h;
    struct engine_counters c = {.answered = 50, .sent = 40};
    history_tick(&h, &c, 7, false, 10 * SECOND);
    cr_expect_eq(h.n, 0, "what came before it began is in no second");
    c.answered += 10, c.from_ahead += 9, c.forwarded[REASON_CTE] += 1, c.sent += 2;
    history_tick(&h, &c, 7, false, 11 * SECOND);
    c.answered += 3, c.alone += 3, c.sent += 3;
    history_tick(&h, &c, 7, false, 13 * SECOND);
    cr_assert_eq(h.n, 2);
    const struct history_second *s = history_at(&h, 0);
    cr_expect(s->ended == 11 * SECOND && s->took == SECOND && s->asked == 10 && s->sent == 2);
    cr_expect(s->by[OUTCOME_AHEAD] == 9 && s->by[OUTCOME_FORWARDED] == 1 && !s->by[OUTCOME_ALONE]);
    s = history_at(&h, 1);
    cr_expect(s->took == 2 * SECOND && s->asked == 3 && s->by[OUTCOME_ALONE] == 3);
    struct history_second sum = history_sum(&h, 9);
    cr_expect(sum.took == 3 * SECOND && sum.asked == 13 && sum.sent == 5 && sum.ended == 13 * SECOND);
    cr_expect_eq(history_sum(&h, 1).asked, 3);
}

Test(history, counts_nothing_twice_when_the_counters_begin_anew) {
    static struct history h;
    struct engine_counters c = {.answered = 50};
    history_tick(&h, &c, 0, false, 10 * SECOND);
    c.answered = 60; // since the reset, more than before it
    history_tick(&h, &c, 10 * SECOND + 1, false, 11 * SECOND);
    cr_expect_eq(history_at(&h, 0)->asked, 60);
    c.answered = 5;
    history_tick(&h, &c, 11 * SECOND + 1, false, 12 * SECOND);
    cr_expect_eq(history_at(&h, 1)->asked, 5);
}

Test(history, keeps_the_last_seconds) {
    static struct history h;
    struct engine_counters c = {0};
    for (unsigned i = 0; i <= HISTORY_SECONDS + 20; i++, c.answered++)
        history_tick(&h, &c, 0, false, (i + 1) * (uint64_t)SECOND);
    cr_expect_eq(h.n, HISTORY_SECONDS);
    cr_expect_eq(history_at(&h, 0)->ended, 22 * SECOND);
    cr_expect_eq(history_at(&h, HISTORY_SECONDS - 1)->ended, (HISTORY_SECONDS + 21) * (uint64_t)SECOND);
    cr_expect_eq(history_sum(&h, HISTORY_SECONDS).asked, HISTORY_SECONDS);
}

Test(history, tells_what_would_be_sent_while_it_observes) {
    static struct history h;
    struct engine_counters c = {0};
    history_tick(&h, &c, 0, true, 10 * SECOND);
    c.answered += 10, c.sent += 10, c.would_send += 2;
    history_tick(&h, &c, 0, true, 11 * SECOND);
    c.answered += 30, c.sent += 3;
    history_tick(&h, &c, 0, false, 12 * SECOND);
    cr_expect_eq(history_at(&h, 0)->would, 2);
    cr_expect_eq(history_at(&h, 1)->would, HISTORY_UNKNOWN);
    struct history_second sum = history_observed(&h, HISTORY_SECONDS);
    cr_expect(sum.asked == 10 && sum.would == 2 && sum.took == SECOND);
    cr_expect_eq(history_sum(&h, HISTORY_SECONDS).asked, 40);
}
