#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""Proves how the sources hang together: calls go down, each file has a header of its own, each state has one writer.

    layers.py SOURCE_ROOT protocol=OBJECTS config=OBJECTS batching=OBJECTS proxy=OBJECTS

For each of these folders: no include and no undefined symbol that points to a folder further up, no circle among files, each
.c with its own header as its first include, no header that declares what another file defines. Of a session's parts, and of
what a lookup's or a group's state is, none that another file than its own writes. Read from the #include lines, the statements,
and `nm` of the objects. It tries itself on planted faults first."""
import os
import re
import subprocess
import sys

# From the ground up. What is directly in batching/ is the roof.
FOLDERS = ["protocol", "base", "statement", "trust", "fold", "ahead", "report", "watch", "session", "flow", "talk", "show", ""]
# The parts and fields of struct session that one file each writes, with its header. What is not here has several writers.
SESSION = "batching/session/"
PARTS = {
    "order": SESSION + "order", "names": SESSION + "statements", "expect": SESSION + "expected",
    "giving": "batching/talk/given", "hold": SESSION + "hold", "hold.await": "batching/flow/await",
    "cancel": SESSION + "cancel_request", "frame": SESSION + "frame", "apart": SESSION + "apart",
    "own": SESSION + "own_prepared", "late": SESSION + "late", "owed": SESSION + "owed", "sent": SESSION + "sent",
    "learning": SESSION + "learn", "begun": SESSION + "begun", "answered_portal": SESSION + "portal",
    "watch": SESSION + "watched", "report": SESSION + "reporting",
    "transaction": SESSION + "txn", "writes": SESSION + "txn", "changes": SESSION + "changes", "turn": SESSION + "turns",
}
FIELDS = {
    "cursors": SESSION + "cursors", "ahead": SESSION + "held", "meaning": SESSION + "changes",
    "n_forward": SESSION + "owed", "n_ends": SESSION + "owed", "n_replies": SESSION + "owed", "failed": SESSION + "wire", "no_scan": SESSION + "wire",
    "dry": SESSION + "dry", "n_dry": SESSION + "dry", "dry_txn": SESSION + "dry",
    "observed": "batching/talk/reads", "portal": "batching/talk/extended", "server_skip": "batching/talk/server",
    "server_skip_drop": "batching/talk/server", "definitions_in_txn": "batching/talk/reply_end", "served": SESSION + "answered",
    "waited": SESSION + "answered", "cleared": SESSION + "cleared",
}
WITHOUT_HEADER = {"proxy/main"}
ORDER = " ".join(FOLDERS[:-1]) + ", and the roof, what is directly in batching/"
HELP = {
    "folder": f"put it into FOLDERS of tests/unit/layers.py, between what it calls and what calls it: {ORDER}. Name it in "
              "batching/meson.build and in the drawing of docs/architecture.md",
    "include": f"a file may include its own folder and those before it in: {ORDER}. Move the "
               "function that needs it up, or hand the lower one what it needs as an argument",
    "call": f"a function may call its own folder and those before it in: {ORDER}. Return to the "
            "caller what is to be done, and let it be done there; or move the function",
    "circle": "two files that need each other are one: move the function that closes the circle to the upper one, or return "
              "to the caller what is to be done",
    "header": "every .c has a header of the same name, which it includes first, so that the header is seen to stand alone",
    "writer": "each of these is written by one file (PARTS, FIELDS, MOVES), so that whoever reads a value finds there all that may have "
              "put it there. Call a function of that file; where there is none for what you mean, add one there that is named "
              "for it",
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


def first_include(text):
    found = re.search(r'^\s*#\s*include\s*[<"]([^">]+)[">]', text, re.M)
    return found and found.group(1)


def faults_of_sources(texts):
    places = {path.split("/")[1] for path in texts if path.startswith("batching/") and path.count("/") > 1}
    faults, headers = [("folder", f"batching/{place}/ has no place") for place in sorted(places - set(FOLDERS))], {}
    for path, text in sorted(texts.items()):
        module, wanted = path[:-2], includes(text)
        faults += [("include", f"{path} includes {other}") for other in wanted if points_up(module, other[:-2])]
        if path.endswith(".h"):
            headers[path] = set(wanted)
        elif module not in WITHOUT_HEADER and first_include(text) != module + ".h":
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
        if folder_name == top and rest:  # listed from the root
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


CHANGE = r"\s*(?:=(?!=)|[-+|&^*/]=|<<=|>>=|\+\+|--)"
SESSION_ARROW = r"\b(?:f->s|l->session|a->session|s|session|lender)->"
# Of fields that no other struct has: whatever stands in front of the arrow.
ANY_ARROW = r"->"
OWN_NAMES = {"n_forward", "n_replies", "cursors", "observed", "server_skip", "server_skip_drop", "definitions_in_txn"}
STATES = {"batching/fold/lookup_state", "batching/fold/group"}
# What changes besides: a pattern, and the file.
MOVES = {
    "a group's in_flight": (r"->in_flight" + CHANGE + r"|(?:\+\+|--)[\w.>-]*->in_flight\b", "batching/fold/group"),
}


def writes_field(name):
    """A pattern of what changes a field of struct session."""
    arrow = ANY_ARROW if name in OWN_NAMES else SESSION_ARROW
    before = rf"(?:\+\+|--)[\w.>-]*{arrow}" if name in OWN_NAMES else rf"(?:\+\+|--){arrow}"
    return rf"{arrow}{name}{CHANGE}|{before}{name}\b(?![.\[]|->)"


def writes_part(name):
    """The same of a part, or of a field in it; or what lets others do so by its address."""
    part = re.escape(name)
    field = r"(?:\.(?!await\b)\w+)" if name == "hold" else r"(?:\.\w+)"
    inside = rf"->{part}{field}+(?:\[[^\]]*\])?"
    address = rf"&(?:{SESSION_ARROW}|\w+->(?=order\b|apart\b|giving\b)){part}{field}*(?![\w.]|->)"
    return (rf"{writes_field(part)}|{inside}{CHANGE}|(?:\+\+|--)[\w.>-]*->{part}{field}+(?![\w.]|->)"
            rf"|\bfree\({SESSION_ARROW}{part}\b|HASH_(?:ADD|DEL)\w*\([^;]*{inside}|{address}")


def statements(text):
    """The code of a source, a statement a string; without comments."""
    return re.split(r"[;{}]", re.sub(r"//.*", "", text))


def faults_of_states(texts):
    """The states of lookups and groups, by whatever name they are at hand. Above fold/ nothing else has a field `state`."""
    change = re.compile(r"->state" + CHANGE)
    return [("writer", f"{path} writes a state itself, which lookup_set_state() or group_set_state() does: "
                       f"{' '.join(statement.split())}")
            for path, text in sorted(texts.items())
            if (folder(path[:-2]) or 0) >= FOLDERS.index("fold") and path[:-2] not in STATES
            for statement in statements(text) if change.search(statement)]


def faults_of_writers(texts):
    rules = [(f"s->{name}", re.compile(writes_part(name)), owner) for name, owner in PARTS.items()]
    rules += [(f"s->{name}", re.compile(writes_field(name)), owner) for name, owner in FIELDS.items()]
    moves = [(what, re.compile(pattern), owner) for what, (pattern, owner) in MOVES.items()]
    faults = faults_of_states(texts)
    for path, text in sorted(texts.items()):
        sees_sessions = folder(path[:-2]) is None or folder(path[:-2]) >= FOLDERS.index("session")
        for statement in statements(text):
            for what, pattern, owner in moves + (rules if sees_sessions else []):
                found = pattern.search(statement) if path[:-2] != owner else None
                if found and not (found.group().startswith("&") and re.match(r"\s*(?:else )?const\b", statement)):
                    faults.append(("writer", f"{path} writes {what} itself, which {owner}.c or .h does: "
                                             f"{' '.join(statement.split())}"))
    return faults


def try_writers():
    """Each way to write is found; what reads, or is the owner's, is not."""
    for line in ("s->order.kept += 3;", "s->order.n++;", "f->s->order.n--;", "--s->own.n;", "s->n_forward = s->order.n = 0;",
                 "s->order = (struct answer_order){0};", "at->late.next = s;", "s->own.ring[s->own.n - 1] = found;",
                 "buf_free(&s->giving.error);", "free(s->expect.ring);", "struct transaction *t = &s->transaction;",
                 "*(l ? &l->next : &s->order.first) = l;", "HASH_DEL(s->names.table, st);", "s->hold.lookups |= first;",
                 "s->hold.await.waited = true;", "s->observed = NULL;", "l->state = LOOKUP_ALONE;", "x->state = LOOKUP_SENT;",
                 "o->of.group->state = GROUP_NEW;", "m->state = next;", "other->observed = NULL;", "home->n_forward++;",
                 "--at->n_forward;", "home->cursors = NULL;", "struct answer_order *q = &other->order;", "g->in_flight++;", "--g->in_flight;", "g->in_flight -= late;"):
        faults = faults_of_writers({"batching/talk/b.c": f"void b(void) {{\n    {line}\n}}\n"})
        assert {kind for kind, _ in faults} == {"writer"}, line
    for line in ("if (s->order.kept == 3) return;", "const struct transaction *t = &s->transaction;", "n = s->order.n;",
                 "b->own = buf_make(1);", "b->ahead.used[key] = true;", "if (l->state == LOOKUP_ALONE) n++;", "const struct answer_order *q = &other->order;",
                 "while (s->hold.await.kind <= 1) n -= s->frame.n;", "n = g->in_flight - g->checking;"):
        assert not faults_of_writers({"batching/talk/b.c": f"void b(void) {{\n    {line}\n}}\n"}), line
    assert not faults_of_writers({"batching/session/order.h": "s->order.kept += bytes;"})
    assert not faults_of_writers({"batching/trust/facts.c": "free(s->names);"}), "no session is known there"
    assert not faults_of_writers({"batching/flow/await.c": "s->hold.await.waited = true;"})


def try_itself():
    """Each kind of fault, planted, is found; what is right is not."""
    up = {"batching/base/a.c": '#include "batching/base/a.h"\n#include "batching/talk/b.h"\n', "batching/talk/b.h": "",
          "batching/base/a.h": ""}
    around = {"proxy/a.h": '#include "proxy/b.h"\n', "proxy/b.h": '#include "proxy/a.h"\n', "proxy/c.c": '#include "proxy/a.h"\n'}
    where = {"a_do": "batching/base/a", "b_do": "batching/talk/b"}
    kinds = [kind for kind, _ in faults_of_sources(up) + faults_of_sources(around)]
    assert sorted(kinds) == ["circle", "header", "include"], kinds
    late = {"batching/new/a.h": "", "batching/new/a.c": '#include <stdlib.h>\n#include "batching/new/a.h"\n'}
    assert [kind for kind, _ in faults_of_sources(late)] == ["folder", "header"]
    kinds = [kind for kind, _ in faults_of_symbols(where, {"batching/base/a": {"b_do"}, "batching/talk/b": {"a_do"}})]
    assert kinds == ["call", "circle"], kinds
    assert not faults_of_symbols(where, {"batching/talk/b": {"a_do", "malloc"}})
    declared = {"batching/base/a.h": "struct b *b_do(struct a *a, int i);\nint a_do(void) __attribute__((unused));\n"}
    assert [kind for kind, _ in faults_of_headers(declared, where)] == ["declares"]


def main():
    root, objects = sys.argv[1], dict(argument.split("=", 1) for argument in sys.argv[2:])
    try_itself()
    try_writers()
    faults, checked = [], 0
    for top, place in objects.items():
        texts = read(root, top)
        defined, needed = symbols(place, top)
        assert len(texts) > 4 and len(needed) > 4, f"{top}/ has hardly any sources or objects: looked in {root} and {place}"
        faults += faults_of_writers(texts) if top == "batching" else []
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
