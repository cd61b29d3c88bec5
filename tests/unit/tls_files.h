// SPDX-License-Identifier: PostgreSQL
//
// Certificates and keys for tests, made when the test runs: a temporary directory with ca.crt, a server
// certificate for db.example and 127.0.0.1 signed by it (server.crt, server.key), another key (other.key), an
// authority that signed nothing (other-ca.crt), an encrypted key (locked.key, passphrase "secret") and an
// empty home/.
#ifndef PGFOLD_TESTS_TLS_FILES_H
#define PGFOLD_TESTS_TLS_FILES_H

extern char tls_dir[64];

void tls_files_create(void);
void tls_files_remove(void);

const char *tls_file(const char *name); // its path; good until eight more were asked for
void tls_write_text(const char *name, const char *text);

// What client_tls_create is given.
#define TLS_OF(cert_name, key_name)                                                                          \
    (const struct client_tls_settings) {                                                                     \
        .cert = tls_file(cert_name), .key = tls_file(key_name), .min_version = 2,                            \
        .ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20"                                                             \
    }

// Criterion's processes leave without the sanitizer's own look for leaks, and forget what fails in a test's
// .fini.
void expect_no_leaks(void);

#endif
