# SPDX-License-Identifier: PostgreSQL
"""A raw client of PostgreSQL's protocol: sends any bytes, keeps every reply byte for byte.

It knows just enough to log in and to cut the stream into messages; nothing is interpreted behind the test's back.
Blocking, with a timeout on every read, so that a proxy that hangs fails a test instead of the run.
"""
import base64
import hashlib
import hmac
import os
import select
import socket
import ssl
import struct
from collections import namedtuple

PROTOCOL_3_0 = 0x00030000
PROTOCOL_3_2 = 0x00030002
SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
TIMEOUT = float(os.environ.get("PGFOLD_TEST_TIMEOUT", "30"))

Message = namedtuple("Message", "type body")


class Closed(Exception):
    """The peer closed the connection; `rest` holds bytes of an unfinished message."""

    def __init__(self, rest=b""):
        super().__init__("connection closed by the peer, %d bytes of an unfinished message" % len(rest))
        self.rest = rest


class ServerError(Exception):
    def __init__(self, fields):
        super().__init__("%s: %s" % (fields.get("C"), fields.get("M")))
        self.fields = fields


# ---- messages to the server -------------------------------------------------------------------------------------

def cstr(s):
    return (s if isinstance(s, bytes) else s.encode()) + b"\0"


def msg(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def startup(params, version=PROTOCOL_3_0):
    """params: a dict or a list of pairs (to repeat a name)."""
    pairs = params.items() if isinstance(params, dict) else params
    body = struct.pack("!I", version) + b"".join(cstr(k) + cstr(v) for k, v in pairs) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def special_request(code, rest=b""):
    return struct.pack("!II", 8 + len(rest), code) + rest


def cancel_request(pid, secret):
    return special_request(CANCEL_REQUEST, struct.pack("!I", pid) + secret)


def query(sql):
    return msg("Q", cstr(sql))


def parse(sql, name="", types=()):
    return msg("P", cstr(name) + cstr(sql) + struct.pack("!H", len(types)) + b"".join(struct.pack("!I", t) for t in types))


def bind(values=(), name="", portal="", formats=(), result_formats=()):
    """values: bytes, str or None each."""
    body = cstr(portal) + cstr(name) + struct.pack("!H", len(formats)) + b"".join(struct.pack("!H", f) for f in formats)
    body += struct.pack("!H", len(values))
    for v in values:
        if v is None:
            body += struct.pack("!i", -1)
        else:
            v = v if isinstance(v, bytes) else str(v).encode()
            body += struct.pack("!i", len(v)) + v
    body += struct.pack("!H", len(result_formats)) + b"".join(struct.pack("!H", f) for f in result_formats)
    return msg("B", body)


def describe(kind="P", name=""):
    return msg("D", kind.encode() + cstr(name))


def execute(limit=0, portal=""):
    return msg("E", cstr(portal) + struct.pack("!I", limit))


def close(kind="S", name=""):
    return msg("C", kind.encode() + cstr(name))


def function_call(oid, args, result_format=0):
    """Text arguments."""
    body = struct.pack("!IHHH", oid, 1, 0, len(args))
    for a in args:
        body += struct.pack("!i", -1) if a is None else struct.pack("!i", len(a)) + a
    return msg("F", body + struct.pack("!H", result_format))


SYNC, FLUSH, TERMINATE = msg("S"), msg("H"), msg("X")


def unit(sql, values, types=(), formats=(), result_formats=(), name="", want_parse=True, want_describe=True):
    """One extended-protocol unit, Parse to Sync, as drivers send it."""
    return ((parse(sql, name, types) if want_parse else b"") + bind(values, name, "", formats, result_formats)
            + (describe("P") if want_describe else b"") + execute() + SYNC)


# ---- messages from the server -----------------------------------------------------------------------------------

def fields(body):
    """Fields of an ErrorResponse or NoticeResponse by letter."""
    return {f[:1].decode(): f[1:].decode(errors="replace") for f in body.split(b"\0") if f}


def row(body):
    n, at, out = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(n):
        size = struct.unpack_from("!i", body, at)[0]
        at += 4
        out.append(None if size < 0 else body[at:at + size])
        at += max(size, 0)
    return out


def rows(messages):
    return [row(m.body) for m in messages if m.type == "D"]


def errors(messages):
    return [fields(m.body) for m in messages if m.type == "E"]


def types(messages):
    return "".join(m.type for m in messages)


def wire(messages):
    """The bytes as they came."""
    return b"".join(msg(m.type, m.body) for m in messages)


def mask(messages, *, parameters=True):
    """What two runs must have in common: BackendKeyData is masked."""
    return [Message("K", b"<%d>" % len(m.body)) if m.type == "K" else m for m in messages
            if parameters or m.type != "S"]


class Conn:
    """A connection. `where` is ("host", port) or a socket's path."""

    def __init__(self, where, timeout=TIMEOUT, rcvbuf=None, source=None):
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if family == socket.AF_INET:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(where)
        self.where, self.buffer, self.at = where, bytearray(), 0
        self.pid, self.secret, self.parameters, self.status = None, None, {}, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- bytes

    def send(self, *data):
        self.sock.sendall(b"".join(data))
        return self

    def send_slowly(self, data):
        """One byte at a time, each in its own packet as far as the kernel lets us."""
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
        return self

    def read_exact(self, n):
        while len(self.buffer) - self.at < n:
            chunk = self._read_some()
            if not chunk:
                raise Closed(bytes(self.buffer[self.at:]))
            if self.at > 1 << 20:
                del self.buffer[:self.at]
                self.at = 0
            self.buffer += chunk
        out = bytes(self.buffer[self.at:self.at + n])
        self.at += n
        return out

    def _read_some(self):
        try:
            return self.sock.recv(1 << 18)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def drain_raw(self):
        """Every byte up to the end of the connection."""
        out = bytes(self.buffer[self.at:])
        while True:
            chunk = self._read_some()
            if not chunk:
                return out
            out += chunk

    def readable(self, seconds):
        if len(self.buffer) > self.at or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
            return True
        return bool(select.select([self.sock], [], [], seconds)[0])

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass

    def reset(self):
        """Closes with a TCP reset: what a killed client leaves behind."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- messages

    def recv(self):
        head = self.read_exact(5)
        size = struct.unpack("!I", head[1:])[0]
        m = Message(chr(head[0]), self.read_exact(size - 4))
        if m.type == "K":
            self.pid, self.secret = struct.unpack("!I", m.body[:4])[0], m.body[4:]
        elif m.type == "S":
            name, value = m.body.split(b"\0")[:2]
            self.parameters[name.decode()] = value.decode(errors="replace")
        elif m.type == "Z":
            self.status = m.body.decode()
        return m

    def until(self, *kinds, count=1):
        """Messages up to and including the count-th of these types."""
        out = []
        while count:
            m = self.recv()
            out.append(m)
            count -= m.type in kinds
        return out

    def ready(self, count=1):
        return self.until("Z", count=count)

    def to_end(self):
        """Messages until the peer closes; an unfinished one at the end is an error."""
        out = []
        while True:
            try:
                out.append(self.recv())
            except Closed as e:
                assert not e.rest, "the connection ended within a message: %r" % e.rest[:80]
                return out

    def ask(self, *data, count=1):
        return self.send(*data).ready(count)

    def sql(self, text):
        """Simple query; the rows as text, errors raised."""
        got = self.ask(query(text))
        if errors(got):
            raise ServerError(errors(got)[0])
        return [tuple(None if c is None else c.decode() for c in r) for r in rows(got)]

    def value(self, text):
        return self.sql(text)[0][0]

    # -- TLS

    def request_tls(self):
        return self.send(special_request(SSL_REQUEST)).read_exact(1)

    def start_tls(self, *, alpn=None, cafile=None, server_name=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if cafile:
            context.load_verify_locations(cafile)
            context.verify_mode = ssl.CERT_REQUIRED
        if alpn:
            context.set_alpn_protocols([alpn])
        self.sock = context.wrap_socket(self.sock, server_hostname=server_name)
        return self

    # -- login

    def login(self, user, database, password=None, version=PROTOCOL_3_0, binding=b"n,,", slowly=False, **params):
        """Start-up to the first ReadyForQuery, or to the end after an ErrorResponse. Returns all messages."""
        pairs = {"user": user, "database": database, **params}
        self._put = self.send_slowly if slowly else self.send
        self._put(startup(pairs, version))
        out = []
        while True:
            try:
                m = self.recv()
            except Closed as e:
                assert out and not e.rest, "closed without a reply"
                return out
            out.append(m)
            if m.type == "Z":
                return out
            if m.type == "R":
                self._answer(m.body, user, password or "", binding)

    def _answer(self, body, user, password, binding):
        code, rest = struct.unpack_from("!I", body)[0], body[4:]
        if code == 3:
            self._put(msg("p", cstr(password)))
        elif code == 5:
            inner = hashlib.md5((password + user).encode()).hexdigest()
            self._put(msg("p", cstr("md5" + hashlib.md5(inner.encode() + rest[:4]).hexdigest())))
        elif code == 10:
            self.mechanisms = [m.decode() for m in rest.split(b"\0") if m]
            self._scram_first(binding)
        elif code == 11:
            self._scram_final(rest, password)
        elif code == 12:
            assert rest == b"v=" + base64.b64encode(self._server_signature), "the server does not know the password"

    def _scram_first(self, binding):
        self._gs2 = binding
        self._bare = b"n=,r=" + base64.b64encode(os.urandom(18))
        first = self._gs2 + self._bare
        name = "SCRAM-SHA-256-PLUS" if binding.startswith(b"p=") else "SCRAM-SHA-256"
        self._put(msg("p", cstr(name) + struct.pack("!I", len(first)) + first))

    def _scram_final(self, challenge, password):
        got = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(got[b"s"]), int(got[b"i"]))
        bound = self._gs2
        if bound.startswith(b"p="):
            bound += hashlib.sha256(self.sock.getpeercert(binary_form=True)).digest()
        without_proof = b"c=" + base64.b64encode(bound) + b",r=" + got[b"r"]
        auth = self._bare + b"," + challenge + b"," + without_proof
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), auth, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self._server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256")
        self._put(msg("p", without_proof + b",p=" + base64.b64encode(proof)))
