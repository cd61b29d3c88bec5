#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Proves that every function fits on a screen and that no file has grown too long.

Reads the C files and the Python files of the folders below, as clang-format leaves the former: a function begins at the first column and
ends with a brace there. A C function is counted from the line with its opening brace to the one with its closing one, a Python function
from its def. Tables at file scope are not counted: cases belong there.

    lengths.py SOURCE_ROOT
"""
import ast
import os
import re
import sys

FOLDERS = ("batching", "proxy", "protocol", "config", "tests")
# Lines of a function and of a file.
LIMITS, TEST_LIMITS = (54, 1200), (50, 1700)

LONG_FUNCTION = "%s:%d: %s has %d lines, and at most %d fit on a screen; give a part of it a name of its own, or move its table out of it"
LONG_FILE = "%s has %d lines, and at most %d are allowed; split it by subject (in C, each part with a header of its own)"


def c_functions(text):
    """(name, line, length) of each function."""
    declaration, opened = "", 0
    for at, line in enumerate(text.split("\n"), 1):
        if opened:
            if line == "}":
                yield name_of(declaration), opened, at - opened + 1
                declaration, opened = "", 0
        elif declaration or re.match(r"[A-Za-z_]", line):
            declaration += " " + line
            if re.search(r"\)\s*\{$", line) and "=" not in declaration:
                opened = at
            elif line.endswith((";", "{", "}")) or not line:
                declaration = ""


def name_of(declaration):
    """`static int f(int a) {` is f; `Test(suite, name) {` is name."""
    test = re.search(r"\bTest\(\w+, (\w+)", declaration)
    plain = re.sub(r"__attribute__\(\(.*?\)\)\)?", "", declaration)
    return test.group(1) if test else re.search(r"(\w+)\(", plain + "?(").group(1)


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def reader_of(path, text):
    if path.endswith((".c", ".h")):
        return c_functions
    if path.endswith(".py") or re.match(r"#!.*\bpython", text):
        return python_functions
    return None


def long_functions(path, text, limit):
    return [LONG_FUNCTION % (path, line, name, n, limit) for name, line, n in reader_of(path, text)(text) if n > limit]


def long_file(path, text, limit):
    n = text.count("\n")
    return [LONG_FILE % (path, n, limit)] if n > limit else []


def sources(root, folder):
    """Path and text of each file that is read; what was installed or built there is none of ours."""
    for at, folders, files in os.walk(os.path.join(root, folder)):
        folders[:] = [f for f in folders if f not in ("node_modules", "__pycache__") and not f.startswith((".", "build"))]
        for name in files:
            path = os.path.join(at, name)
            with open(path, errors="replace") as f:
                text = f.read()
            if reader_of(path, text):
                yield os.path.relpath(path, root), text


def check_itself():
    """One line too many is found in either language, and no line is one too many."""
    head, lines = "static int\nf(int a,\n  int b) {\n", "    x;\n" * 52
    test, table = "Test(a, b) {\n", "static int x[] = {\n" + "    1,\n" * 100 + "};\n"
    body = "def f():\n" + "    pass\n" * 53
    too_long = [("a.c", head + lines + "    x;\n}\n"), ("a.c", test + lines + "    x;\n}\n"), ("a.py", body + "    pass\n")]
    right = [("a.c", head + lines + "}\n"), ("a.c", table + head + lines + "}\n"), ("a.py", body)]
    wrong = ["the check does not find a long function: " + text[:30] for path, text in too_long if not long_functions(path, text, 54)]
    wrong += ["the check finds what is not too long: " + text[:30] for path, text in right if long_functions(path, text, 54)]
    if not long_file("a.c", "\n" * 1201, 1200) or long_file("a.c", "\n" * 1200, 1200):
        wrong.append("the check does not know a long file")
    return wrong


def main(root):
    results = [check_itself()]
    for folder in FOLDERS:
        of_function, of_file = TEST_LIMITS if folder == "tests" else LIMITS
        files = list(sources(root, folder))
        functions = sum(1 for path, text in files for _ in reader_of(path, text)(text))
        results.append([] if functions > 20 else ["%s/ has but %d functions; the check does not read it" % (folder, functions)])
        results.append([m for path, text in files for m in long_functions(path, text, of_function)])
        results.append([m for path, text in files for m in long_file(path, text, of_file)])
    for messages in results:
        print("".join("lengths: %s\n" % m for m in messages), end="")
    failed = sum(1 for messages in results if messages)
    print("lengths: passed=%d failed=%d" % (len(results) - failed, failed))
    return 1 if failed else 0


sys.exit(main(sys.argv[1]))
