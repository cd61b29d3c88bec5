// SPDX-License-Identifier: PostgreSQL
//
// The program `pgfold test`: runs a command with a pgfold of its own between it and its database, and ends with an
// error if the command's statements were not as expected.
//
//   test_create    reads the options; says what pgfold itself is to be started with
//   test_begin     pgfold listens: starts the command
//   test_end       the command has ended: prints the report
//
// docs/testing-your-application.md has the options and exit codes.
#ifndef PGFOLD_PROXY_TEST_H
#define PGFOLD_PROXY_TEST_H

#include <stdbool.h>
#include <uv.h>

#include "batching/watch/expect.h"

struct engine;
struct test;

#define TEST_ARGS 16

// Reads the options. argv[0] is "test". NULL: *code is the exit code, and the user was told why. The texts are borrowed
// from argv and envp, which stay.
struct test *test_create(int argc, char **argv, char **envp, int *code);
void test_destroy(struct test *t); // takes NULL

// Arguments for cmdline_read(); *argc of them. Borrowed.
char **test_arguments(struct test *t, int *argc);

// What is expected of all statements.
struct expectation test_expectation(const struct test *t);

// Tells the engine which loops are allowed, and starts the command. `ended` is called when it has ended. False: the user
// was told why, and test_end() has the exit code.
bool test_begin(struct test *t, uv_loop_t *loop, struct engine *e, void (*ended)(void *arg), void *arg);

// pgfold got a signal to end. True: it is the command's, whose end is to be awaited.
bool test_takes_signal(struct test *t, int number);

// Prints the report. Returns the exit code.
int test_end(struct test *t, struct engine *e);

#endif
