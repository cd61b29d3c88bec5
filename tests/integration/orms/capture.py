#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Shows what a library really sends: the messages of one connection during a page, each line one write.

    tests/integration/orms/capture.py LIBRARY [WAY] [PAGES]      (names as in ../orm_pages.py; the page before last is warm)
"""
import contextlib
import os
import socket
import struct
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import conftest  # noqa: E402
import orm_pages  # noqa: E402
import servers  # noqa: E402


def text(body, at):
    end = body.index(b"\0", at)
    return body[at:end].decode(), end + 1


def binding(body):
    portal, at = text(body, 0)
    name, at = text(body, at)
    n, = struct.unpack_from("!H", body, at)
    formats = struct.unpack_from("!%dH" % n, body, at + 2)
    at += 2 + 2 * n
    values, n = [], struct.unpack_from("!H", body, at)[0]
    at += 2
    for _ in range(n):
        size, = struct.unpack_from("!i", body, at)
        values.append(None if size < 0 else body[at + 4:at + 4 + size])
        at += 4 + max(size, 0)
    n, = struct.unpack_from("!H", body, at)
    return "B(%s%r formats %r values %r results %r)" % (portal and "portal %r " % portal, name, formats, values,
                                                        struct.unpack_from("!%dH" % n, body, at + 2))


def shown(kind, body):
    if kind == "Q":
        return "Q(%r)" % body[:-1].decode()
    if kind == "P":
        name, at = text(body, 0)
        sql, at = text(body, at)
        n, = struct.unpack_from("!H", body, at)
        return "P(%r %r types %r)" % (name, sql, struct.unpack_from("!%dI" % n, body, at + 2))
    if kind == "B":
        return binding(body)
    if kind in "DC":
        return "%s(%s %r)" % (kind, chr(body[0]), body[1:-1].decode())
    if kind == "E":
        portal, at = text(body, 0)
        return "E(%r %d)" % (portal, struct.unpack_from("!I", body, at)[0])
    return kind


class Listener:
    """A relay that notes what the first client that says anything now sends, after note() was called."""

    def __init__(self, port):
        self.to, self.port, self.noting, self.chosen, self.lines = port, servers.free_port(), False, None, []
        self.socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.socket.accept()[0]
            server = socket.create_connection(("127.0.0.1", self.to))
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.up, args=(client, server), daemon=True).start()
            threading.Thread(target=self.down, args=(server, client), daemon=True).start()

    def down(self, a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(1 << 16):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)

    def up(self, client, server):
        with contextlib.suppress(OSError):
            self.relay_up(client, server)
        server.close()

    def relay_up(self, client, server):
        buffer, greeted = b"", False
        while data := client.recv(1 << 16):
            buffer += data
            line = []
            if not greeted and len(buffer) >= 8:  # the start-up packet, or a request for TLS before it
                size, code = struct.unpack_from("!II", buffer)
                greeted, buffer = code not in (80877103, 80877104), buffer[size:]
            while greeted and len(buffer) >= 5:
                size, = struct.unpack_from("!I", buffer, 1)
                if len(buffer) < size + 1:
                    break
                line.append(shown(chr(buffer[0]), buffer[5:size + 1]))
                buffer = buffer[size + 1:]
            if self.noting and self.chosen in (None, client):
                self.chosen = client
                self.lines.append("  ".join(line))
            server.sendall(data)


def main():
    library, way, pages = (sys.argv[1:] + ["", "", ""])[:3]
    with tempfile.TemporaryDirectory(prefix="pgfold-capture-") as folder:
        pg = servers.Postgres()
        try:
            conftest.make_schema(pg)
            orm_pages.make_schema(pg)
            listener = Listener(pg.port)
            with orm_pages.Page(library, way, listener.port, folder) as page:
                for _ in range(int(pages or 3) - 1):
                    page.ask()
                listener.noting = True
                page.ask()
                listener.noting = False
            print("\n".join(listener.lines))
        finally:
            pg.remove()


main()
