#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""Puts the settings' names, and the words that are their values, into the completion for bash.

    completion.py TEMPLATE docs/settings.md >OUT"""
import re
import sys


def settings(page):
    """(section.key, [words]) of each row; no words where the values are something else."""
    section = None
    for line in page.splitlines():
        if re.match(r"## \[[a-z]+\]$", line):
            section = line[4:-1]
        elif line.startswith("## "):
            section = None
        row = re.match(r"\| `([a-z_]+)` \| [^|]* \| ([^|]*) \|", line)
        if section and row:
            words = re.sub(r";.*", "", row.group(2))
            listed = re.fullmatch(r"(`[A-Za-z][\w.]*`(, )?)+ ?", words)
            yield "%s.%s" % (section, row.group(1)), re.findall(r"`([^`]*)`", words) if listed else []


def main(template, page):
    with open(template, encoding="utf-8") as f:
        text = f.read()
    with open(page, encoding="utf-8") as f:
        found = list(settings(f.read()))
    text = text.replace("@settings@", " ".join(name for name, _ in found))
    print(text.replace("@values@", "\n".join("%s=%s" % (name, " ".join(words)) for name, words in found if words)), end="")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
