#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""Makes a manual page of a page of the documentation.

    man.py NAME SECTION DESCRIPTION VERSION PAGE.md >OUT

It knows what these pages use of Markdown: headings, paragraphs, lists, tables, code. A table becomes a list: each row's first
column is its head, the others are its text, with their title in front where there are several."""
import re
import sys


def escaped(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def inline(text):
    """Roff of a line: code and bold in bold, links as their words."""
    text = re.sub(r"\[((?:[^\[\]`]|`[^`]*`)+)\]\((?!\s)[^)]*\)", r"\1", text)
    out = []
    for part in re.split(r"(`[^`]*`|\*\*[^*]+\*\*)", text.replace("\\|", "|")):
        if part.startswith("`"):
            out.append("\\fB%s\\fR" % escaped(part[1:-1]))
        elif part.startswith("**"):
            out.append("\\fB%s\\fR" % escaped(part[2:-2]).replace("`", ""))
        else:
            out.append(escaped(part))
    line = "".join(out)
    return "\\&" + line if line[:1] in (".", "'") else line


def cells(line):
    return [c.strip() for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def table(lines):
    heads, rows = cells(lines[0]), [cells(x) for x in lines[2:]]
    for row in rows:
        yield ".TP"
        yield inline(row[0]) or "\\ "
        if len(row) > 2:
            for head, cell in zip(heads[1:-1], row[1:-1]):
                yield inline("%s: %s." % (head[:1].upper() + head[1:], cell))
                yield ".br"
        yield inline(row[-1])


def code(lines):
    yield from (".PP", ".RS 4", ".nf")
    for line in lines:
        text = escaped(line)
        yield "\\&" + text if text[:1] in (".", "'") else text
    yield from (".fi", ".RE")


def item(first, rest):
    mark, text = re.match(r"(-|\d+\.) +(.*)", first).groups()
    yield ".IP %s" % ("\\(bu 2" if mark == "-" else '"%s" 4' % mark)
    yield inline(" ".join([text, *(x.strip() for x in rest)]))


def blocks(lines):
    """(kind, lines) of the page."""
    at = 0
    while at < len(lines):
        begin, line = at, lines[at]
        at += 1
        if not line.strip():
            continue
        if line.startswith("#"):
            yield "heading", [line]
        elif line.startswith("|"):
            while at < len(lines) and lines[at].startswith("|"):
                at += 1
            yield "table", lines[begin:at]
        elif line.startswith("```"):
            while at < len(lines) and not lines[at].startswith("```"):
                at += 1
            at += 1
            yield "code", lines[begin + 1:at - 1]
        elif line.startswith("    "):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            yield "code", [x[4:] for x in lines[begin:at]]
        elif re.match(r"(-|\d+\.) ", line):
            while at < len(lines) and re.match(r" +\S", lines[at]):
                at += 1
            yield "item", lines[begin:at]
        else:
            while at < len(lines) and lines[at].strip() and not re.match(r"#|\||```|- |\d+\. ", lines[at]):
                at += 1
            yield "text", lines[begin:at]


def body(lines):
    for kind, block in blocks(lines):
        if kind == "heading":
            level, words = re.match(r"(#+) +(.*)", block[0]).groups()
            if len(level) > 1:
                yield "%s %s" % (".SH" if len(level) == 2 else ".SS", inline(words.upper() if len(level) == 2 else words))
        elif kind == "table":
            yield from table(block)
        elif kind == "code":
            while block and not block[-1].strip():
                block = block[:-1]
            yield from code(block)
        elif kind == "item":
            yield from item(block[0], block[1:])
        else:
            yield ".PP"
            yield inline(" ".join(x.strip() for x in block))


def main(name, section, description, version, page):
    with open(page, encoding="utf-8") as f:
        lines = f.read().splitlines()
    synopsis = "SYNOPSIS" if section == "1" else "DESCRIPTION"
    print('.\\" Made from %s by deploy/man.py.' % re.sub(r".*/docs/", "docs/", page))
    print('.TH %s %s "" "pgfold %s" "pgfold"' % (name.upper(), section, version))
    print(".SH NAME\n%s \\- %s\n.SH %s" % (name, description, synopsis))
    text = list(body(lines))
    # What stands behind the synopsis is the description.
    if section == "1":
        at = text.index(".RE") + 1
        text[at:at] = [".SH DESCRIPTION"]
    print("\n".join(text))
    print(".SH SEE ALSO\n%s\n.PP\nThe pages that are named here, such as promise.md, are with the documentation of pgfold."
          % (".BR pgfold.ini (5)" if section == "1" else ".BR pgfold (1)"))


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    sys.stdout.reconfigure(encoding="utf-8")
    main(*sys.argv[1:])
