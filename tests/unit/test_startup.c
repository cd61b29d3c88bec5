// SPDX-License-Identifier: PostgreSQL
//
// Start-up packets, and what is changed of the log-in: tables of packets, and one of each kind cut at every
// byte.
#include <criterion/criterion.h>

#include "protocol/startup.h"
#include "tests/unit/bytes.h"

// A start-up packet from its body.
static struct startup read_body(struct slice body) {
    uint8_t *copy = exact_copy(body.data, body.len);
    struct frame f = {.type = 0, .body = copy, .body_len = body.len, .size = body.len + 4};
    struct startup s = startup_read(&f);
    free(copy);
    return s;
}

static const struct {
    const char *name;
    struct slice body;
    enum startup_kind kind;
} packets[] = {
    {"protocol 3.0", LIT("\0\3\0\0user\0a\0\0"), STARTUP_SESSION},
    {"protocol 3.2", LIT("\0\3\0\2user\0a\0\0"), STARTUP_SESSION},
    {"no parameters", LIT("\0\3\0\0\0"), STARTUP_SESSION},
    {"an empty value", LIT("\0\3\0\0user\0\0\0"), STARTUP_SESSION},
    {"protocol 2", LIT("\0\2\0\0user\0a\0\0"), STARTUP_BAD},
    {"protocol 4", LIT("\0\4\0\0user\0a\0\0"), STARTUP_BAD},
    {"no last zero", LIT("\0\3\0\0user\0a\0x"), STARTUP_BAD},
    {"a name without a value", LIT("\0\3\0\0user\0\0"), STARTUP_BAD},
    {"an empty name", LIT("\0\3\0\0\0a\0\0"), STARTUP_BAD},
    {"nothing behind the version", LIT("\0\3\0\0"), STARTUP_BAD},
    {"SSLRequest", LIT("\x04\xd2\x16\x2f"), STARTUP_SSL},
    {"SSLRequest with more", LIT("\x04\xd2\x16\x2f\0"), STARTUP_SSL},
    {"GSSENCRequest", LIT("\x04\xd2\x16\x30"), STARTUP_GSS},
    {"CancelRequest", LIT("\x04\xd2\x16\x2e\0\0\0\1\1\2\3\4"), STARTUP_CANCEL},
    {"CancelRequest without a key", LIT("\x04\xd2\x16\x2e\0\0\0\1"), STARTUP_BAD},
    {"CancelRequest with a short key", LIT("\x04\xd2\x16\x2e\0\0\0\1\1\2\3"), STARTUP_BAD},
};

Test(startup, packets_are_what_they_are) {
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++)
        cr_assert_eq(read_body(packets[i].body).kind, packets[i].kind, "%s", packets[i].name);
}

Test(startup, keys_of_cancel_requests_have_up_to_256_bytes) {
    struct buf b = buf_make(1000);
    buf_put(&b, "\x04\xd2\x16\x2e\0\0\0\1", 8);
    for (int i = 0; i < 256; i++)
        buf_put_u8(&b, 7);
    cr_assert_eq(read_body((struct slice){b.data, b.len}).kind, STARTUP_CANCEL);
    buf_put_u8(&b, 7);
    cr_assert_eq(read_body((struct slice){b.data, b.len}).kind, STARTUP_BAD);
    buf_free(&b);
}

// No cut of a packet is taken for a session with other parameters.
Test(startup, cut_packets_are_bad_or_shorter) {
    struct slice s = BYTES("\0\3\0\0user\0alice\0database\0x\0\0");
    for (size_t cut = 4; cut < s.len; cut++) {
        enum startup_kind kind = read_body((struct slice){s.data, cut}).kind;
        cr_assert_eq(kind, STARTUP_BAD, "cut at %zu", cut);
    }
}

Test(startup, parameters_are_found_by_their_name) {
    struct slice body = BYTES("\0\3\0\0user\0alice\0options\0\0\0"), v;
    struct frame f = {.body = body.data, .body_len = body.len};
    struct startup s = startup_read(&f);
    cr_assert(startup_param(&s, "user", &v) && slice_is(v, "alice", 5));
    cr_assert(startup_param(&s, "options", &v) && v.len == 0);
    cr_assert_not(startup_param(&s, "alice", &v), "a value is no name");
    cr_assert_not(startup_param(&s, "use", &v));
}

// The settings that the value of "options" has, in one text.
static void expect_options(const char *options, const char *wanted) {
    struct slice o = {(const uint8_t *)options, strlen(options)};
    char room[20], all[200] = "";
    struct startup_option is;
    size_t at = 0;
    while (startup_next_option(o, &at, room, sizeof room, &is)) {
        strcat(strcat(all, is.name), "=");
        strcat(strcat(all, is.value), "|");
    }
    cr_expect_str_eq(all, wanted, "%s", options);
}

Test(startup, options) {
    expect_options("", "");
    expect_options("-c a.b=c", "a.b=c|");
    expect_options("  -ca=b   --c-d.e=f=g -c h=i\\ j\\\\k", "a=b|c_d.e=f=g|h=i j\\k|");
    expect_options("-c", "");
    expect_options("-c a -d x=y a=b -c e=f", "e=f|");
    expect_options("-c aaaaaaaaaaaaaaaaaaaaaaaaaaa=b -c e=f -- -c g=h\\", "e=f|g=h|");
}

Test(startup, settings) {
    struct slice body = BYTES(
                     "\0\3\0\0user\0alice\0a.scope\0z\0options\0-c a.tags=x -c A.Tags=y -c a.scope=w\0\0"),
                 v;
    struct frame f = {.body = body.data, .body_len = body.len};
    struct startup s = startup_read(&f);
    char room[8];
    cr_assert(startup_setting(&s, "a.tags", room, sizeof room, &v) && slice_is(v, "y", 1));
    cr_assert(startup_setting(&s, "a.scope", room, sizeof room, &v) && slice_is(v, "z", 1));
    cr_assert_not(startup_setting(&s, "a.none", room, sizeof room, &v));
    cr_assert_not(startup_setting(&s, "a.tags", room, 1, &v));
}

Test(startup, the_last_of_equal_parameters_counts) {
    struct slice body = BYTES("\0\3\0\0user\0a\0user\0b\0database\0x\0user\0\0\0"), v;
    struct frame f = {.body = body.data, .body_len = body.len};
    struct startup s = startup_read(&f);
    cr_assert(startup_param(&s, "user", &v) && v.len == 0);
    cr_assert(startup_param(&s, "database", &v) && slice_is(v, "x", 1));
}

static const struct {
    const char *name;
    struct slice params;
    bool replication;
} replications[] = {
    {"not given", LIT("user\0a\0"), false},
    {"on", LIT("replication\0on\0"), true},
    {"1", LIT("replication\0001\0"), true},
    {"tr", LIT("replication\0tr\0"), true},
    {"database", LIT("replication\0database\0"), true},
    {"false", LIT("replication\0false\0"), false},
    {"FALSE", LIT("replication\0FALSE\0"), false},
    {"fa", LIT("replication\0fa\0"), false},
    {"N", LIT("replication\0N\0"), false},
    {"oF", LIT("replication\0oF\0"), false},
    {"o, which is refused", LIT("replication\0o\0"), true},
    {"nothing, which is refused", LIT("replication\0\0"), true},
    {"falsehood, which is refused", LIT("replication\0falsehood\0"), true},
    {"0", LIT("replication\0000\0"), false},
    {"00, which is refused", LIT("replication\000000\0"), true},
    {"off, then on", LIT("replication\0off\0replication\0on\0"), true},
    {"on, then off", LIT("replication\0on\0user\0a\0replication\0off\0"), false},
    {"database, then 0", LIT("replication\0database\0replication\0000\0"), false},
    {"another name", LIT("replication_\0on\0"), false},
};

Test(startup, replication_is_what_the_server_takes_for_it) {
    for (size_t i = 0; i < sizeof replications / sizeof *replications; i++) {
        struct startup s = {.kind = STARTUP_SESSION, .params = replications[i].params};
        cr_assert_eq(startup_is_replication(&s), replications[i].replication, "%s", replications[i].name);
    }
}

static bool strip(struct slice body, struct buf *out) {
    uint8_t *copy = exact_copy(body.data, body.len);
    struct frame f = {.type = B_AUTHENTICATION, .body = copy, .body_len = body.len, .size = body.len + 5};
    bool stripped = startup_strip_plus(&f, out);
    free(copy);
    return stripped;
}

Test(startup, channel_binding_is_taken_out_of_the_offer) {
    struct buf out = buf_make(1000);
    cr_assert(strip(BYTES("\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), &out));
    struct slice wanted = BYTES("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
    cr_assert(slice_is((struct slice){out.data, out.len}, (const char *)wanted.data, wanted.len));
    buf_reset(&out);
    cr_assert_not(strip(BYTES("\0\0\0\x0aSCRAM-SHA-256\0\0"), &out), "nothing to take out");
    cr_assert_eq(out.len, 0);
    cr_assert_not(strip(BYTES("\0\0\0\5salt"), &out), "another request");
    cr_assert_not(strip(BYTES("\0\0\0\x0a"), &out), "no list");
    cr_assert_not(strip(BYTES("\0\0\0\x0a-PLUS"), &out), "a name without its end");
    buf_free(&out);
}

static bool denies(struct slice body) {
    uint8_t *copy = exact_copy(body.data, body.len);
    struct frame f = {.type = F_PASSWORD, .body = copy, .body_len = body.len};
    bool denied = startup_sasl_denied_binding(&f);
    free(copy);
    return denied;
}

Test(startup, a_client_that_expected_channel_binding_is_recognised) {
    cr_assert(denies(BYTES("SCRAM-SHA-256\0\0\0\0\5y,,n=")));
    cr_assert_not(denies(BYTES("SCRAM-SHA-256\0\0\0\0\5n,,n=")));
    cr_assert_not(denies(BYTES("secret\0")));
    struct slice whole = BYTES("SCRAM-SHA-256\0\0\0\0\5y");
    for (size_t cut = 0; cut < whole.len; cut++)
        cr_assert_not(denies((struct slice){whole.data, cut}), "cut at %zu", cut);
}
