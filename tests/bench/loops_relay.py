#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Stands between pgfold (or a client) and the server, and counts the statements that pass: Query and Execute messages.

    loops_relay.py SERVER_PORT

Prints the port that it listens on. For each line on its standard input it prints how many have passed so far; it ends with that input.
Nothing is changed on the way. Without TLS only.
"""
import asyncio
import struct
import sys

CHUNK = 1 << 16
SPECIAL = {80877102, 80877103, 80877104}  # CancelRequest, SSLRequest, GSSENCRequest


class Counter:
    """Cuts what a client sends into messages, however it arrives."""
    passed = 0

    def __init__(self):
        self.buffer, self.started = bytearray(), False

    def feed(self, data):
        self.buffer += data
        at = 0
        while True:
            head = 1 if self.started else 0
            if len(self.buffer) - at < head + 4:
                break
            size = head + struct.unpack_from("!I", self.buffer, at + head)[0]
            if len(self.buffer) - at < size:
                break
            if self.started:
                Counter.passed += self.buffer[at] in b"QE"
            else:
                self.started = struct.unpack_from("!I", self.buffer, at + 4)[0] not in SPECIAL
            at += size
        del self.buffer[:at]


async def pump(reader, writer, counter=None):
    try:
        while data := await reader.read(CHUNK):
            if counter:
                counter.feed(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()


async def main(server_port):
    async def serve(reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, server_writer, Counter()), pump(server_reader, writer))
        writer.close()
        server_writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(Counter.passed, flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
