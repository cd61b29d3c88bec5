#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""Writes the files of the page as a C source: embed.py OUT FILE…"""
import hashlib
import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def main():
    out, names = sys.argv[1], sys.argv[2:]
    rows, arrays = [], []
    for i, name in enumerate(names):
        with open(name, "rb") as file:
            data = file.read()
        lines = [",".join(map(str, data[at:at + 24])) for at in range(0, len(data), 24)]
        arrays.append("static const unsigned char file_%d[] = {\n%s,\n0};\n" % (i, ",\n".join(lines)))
        rows.append('    {"/%s", "%s", "\\"%s\\"", file_%d, %d},\n' % (
            os.path.basename(name), TYPES[os.path.splitext(name)[1]], hashlib.sha256(data).hexdigest()[:16], i, len(data)))
    with open(out, "w", encoding="ascii") as file:
        file.write('#include "proxy/page_files.h"\n\n%s\nconst struct page_file page_files[] = {\n%s    {0},\n};\n' % (
            "".join(arrays), "".join(rows)))


main()
