#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""Proves how the sources hang together: calls go down, and each file has a header of its own.

    layers.py SOURCE_ROOT batching=OBJECTS proxy=OBJECTS

For batching/ and proxy/: no include and no undefined symbol that points to a folder further up, no circle among files, each
.c with its own header as its first include, no header that declares what another file defines. Read from the #include lines
and from `nm` of the objects. It tries itself on planted faults first."""
import os
import re
import subprocess
import sys

# From the ground up. What is directly in batching/ is the roof.
FOLDERS = ["protocol", "base", "statement", "trust", "fold", "ahead", "session", "flow", "talk", ""]
WITHOUT_HEADER = {"proxy/main"}
HELP = {
    "include": "a file may include its own folder and those before it in: " + " ".join(FOLDERS[:-1]) + ". Move the "
               "function that needs it up, or hand the lower one what it needs as an argument",
    "call": "a function may call its own folder and those before it in: " + " ".join(FOLDERS[:-1]) + ". Return to the "
            "caller what is to be done, and let it be done there; or move the function",
    "circle": "two files that need each other are one: move the function that closes the circle to the upper one, or return "
              "to the caller what is to be done",
    "header": "every .c has a header of the same name, which it includes first, so that the header is seen to stand alone",
    "declares": "a header declares what its own .c defines: move the declaration to the header of the file that defines it",
}


def components(graph):
    """Sets of nodes that reach each other, of two and more. graph: node -> set of nodes."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            members = stack[stack.index(node):]
            del stack[len(stack) - len(members):]
            if len(members) > 1:
                found.append(sorted(members))

    sys.setrecursionlimit(10000)
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def folder(module):
    """The place in FOLDERS of batching/talk/server, batching/explain or protocol/buf; None elsewhere."""
    parts = module.split("/")
    name = parts[0] if parts[0] == "protocol" else parts[1] if len(parts) > 2 else ""
    return FOLDERS.index(name) if parts[0] in ("protocol", "batching") and name in FOLDERS else None


def points_up(module, other):
    ours, others = folder(module), folder(other)
    return ours is not None and others is not None and others > ours


def read(root, top):
    """The sources below top: path -> text."""
    texts = {}
    for place, _, names in os.walk(os.path.join(root, top)):
        for name in names:
            if name.endswith((".c", ".h")):
                path = os.path.join(place, name)
                with open(path, encoding="utf-8") as file:
                    texts[os.path.relpath(path, root)] = file.read()
    return texts


def includes(text):
    return re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.M)


def faults_of_sources(texts):
    faults, headers = [], {}
    for path, text in sorted(texts.items()):
        module, wanted = path[:-2], includes(text)
        faults += [("include", f"{path} includes {other}") for other in wanted if points_up(module, other[:-2])]
        if path.endswith(".h"):
            headers[path] = set(wanted)
        elif module not in WITHOUT_HEADER and wanted[:1] != [module + ".h"]:
            faults.append(("header", f"{path} does not include {module}.h first"))
    faults += [("circle", "headers include each other: " + " ".join(circle)) for circle in components(headers)]
    return faults


def symbols(objects, top):
    """Of each module of a folder of objects: the symbols that it defines, and those that it needs."""
    defined, needed = {}, {}
    for name in sorted(os.listdir(objects)):
        if not name.endswith(".c.o"):
            continue
        folder_name, _, rest = name[:-4].partition("_")
        if folder_name == top:  # listed from the root
            module = f"{top}/{rest}"
        elif folder_name in FOLDERS and rest:
            module = f"{top}/{folder_name}/{rest}"
        else:
            module = f"{top}/{name[:-4]}"
        listing = subprocess.run(["nm", os.path.join(objects, name)], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            kind, symbol = line.split()[-2:]
            if kind == "U":
                needed.setdefault(module, set()).add(symbol)
            elif kind in "TDBRVW":
                defined[symbol] = module
    return defined, needed


def faults_of_symbols(defined, needed):
    graph = {module: {defined[s] for s in wanted if s in defined} - {module} for module, wanted in needed.items()}
    faults = []
    for module, wanted in sorted(needed.items()):
        faults += [("call", f"{module}.c calls {symbol}() of {defined[symbol]}.c")
                   for symbol in sorted(wanted) if symbol in defined and points_up(module, defined[symbol])]
    for circle in components(graph):
        calls = [f"\n    {m}.c calls {s}() of {defined[s]}.c" for m in circle for s in sorted(needed[m])
                 if s in defined and defined[s] != m and defined[s] in circle]
        faults.append(("circle", "files call each other: " + " ".join(circle) + "".join(calls)))
    return faults


def faults_of_headers(texts, defined):
    faults = []
    for path, text in sorted(texts.items()):
        if not path.endswith(".h"):
            continue
        bare = re.sub(r"//.*|/\*.*?\*/|^\s*#.*", "", text, flags=re.M)
        for symbol in re.findall(r"^(?!static|typedef)[a-z][\w \*]*?\b(\w+)\([^;{]*\)[^;{]*;", bare, re.M):
            if symbol in defined and defined[symbol] != path[:-2]:
                faults.append(("declares", f"{path} declares {symbol}(), which {defined[symbol]}.c defines"))
    return faults


def try_itself():
    """Each kind of fault, planted, is found; what is right is not."""
    up = {"batching/base/a.c": '#include "batching/base/a.h"\n#include "batching/talk/b.h"\n', "batching/talk/b.h": "",
          "batching/base/a.h": ""}
    around = {"proxy/a.h": '#include "proxy/b.h"\n', "proxy/b.h": '#include "proxy/a.h"\n', "proxy/c.c": '#include "proxy/a.h"\n'}
    where = {"a_do": "batching/base/a", "b_do": "batching/talk/b"}
    kinds = [kind for kind, _ in faults_of_sources(up) + faults_of_sources(around)]
    assert sorted(kinds) == ["circle", "header", "include"], kinds
    kinds = [kind for kind, _ in faults_of_symbols(where, {"batching/base/a": {"b_do"}, "batching/talk/b": {"a_do"}})]
    assert kinds == ["call", "circle"], kinds
    assert not faults_of_symbols(where, {"batching/talk/b": {"a_do", "malloc"}})
    declared = {"batching/base/a.h": "struct b *b_do(struct a *a, int i);\nint a_do(void) __attribute__((unused));\n"}
    assert [kind for kind, _ in faults_of_headers(declared, where)] == ["declares"]


def main():
    root, objects = sys.argv[1], dict(argument.split("=", 1) for argument in sys.argv[2:])
    try_itself()
    faults, checked = [], 0
    for top, place in objects.items():
        texts = read(root, top)
        defined, needed = symbols(place, top)
        assert len(texts) > 20 and len(needed) > 10, f"{top}/ has hardly any sources or objects: looked in {root} and {place}"
        faults += faults_of_sources(texts) + faults_of_symbols(defined, needed) + faults_of_headers(texts, defined)
        checked += len(texts)
    for kind in HELP:
        mine = [text for other, text in faults if other == kind]
        if mine:
            print("layers: " + "\nlayers: ".join(mine) + f"\n  what to do: {HELP[kind]}.")
    print(f"layers: passed={checked} failed={len(faults)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
