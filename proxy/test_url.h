// SPDX-License-Identifier: PostgreSQL
//
// URLs of databases, as applications write them: postgres://, postgresql+psycopg2://, jdbc:postgresql://, and libpq's
// connection strings. Pure functions of the text.
#ifndef PGFOLD_PROXY_TEST_URL_H
#define PGFOLD_PROXY_TEST_URL_H

#include <stdbool.h>
#include <stddef.h>

// Writes what libpq takes for the same server. False: it is no URL of PostgreSQL and no connection string, or too long.
bool test_url_server(const char *url, char *out, size_t size);

// Writes the same URL with 127.0.0.1 and this port in place of its host and port, and without what asks for TLS. False as
// above.
bool test_url_rewrite(const char *url, const char *port, char *out, size_t size);

#endif
