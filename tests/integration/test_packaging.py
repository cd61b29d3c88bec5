# SPDX-License-Identifier: PostgreSQL
"""What `meson install` brings: manual pages and completion say what the program says, the unit is what systemd wants, and
pgfold tells systemd what it does. The Debian package itself is built and tried by `./check --package`."""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
import servers

from conftest import BINARY

pytestmark = pytest.mark.pgfold
ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "../.."))
COMMANDS = [[], ["explain"], ["test"], ["healthcheck"]]
PAGES = [("pgfold", "1", "docs/pgfold.md"), ("pgfold.ini", "5", "docs/settings.md")]


CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("PGFOLD_")}


def text_of(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def made(script, *arguments):
    return servers.run("/usr/bin/python3", os.path.join(ROOT, "deploy", script), *arguments)


def manual(name, section, page):
    return made("man.py", name, section, "words", "1.0", os.path.join(ROOT, page))


def options(command):
    """Options at the beginning of lines of --help."""
    lines = servers.run(BINARY, *command, "--help").splitlines()
    return {o for line in lines for o in re.findall(r"^  (--?[\w-]+)(?:, (--[\w-]+))?", line)[:1] for o in o if o}


@pytest.mark.parametrize("command", COMMANDS)
def test_manual_and_completion_have_every_option(command):
    page = manual(*PAGES[0]).replace("\\-", "-")
    template = text_of("deploy/pgfold.bash.in")
    assert len(options(command)) > 0
    for option in options(command):
        assert re.search(r"\\fB%s\b" % re.escape(option), page), "docs/pgfold.md has no %s of %s" % (option, command)
        assert option in template or option in ("-V", "-h"), "deploy/pgfold.bash.in has no %s of %s" % (option, command)
    if command:
        assert command[0] in page and command[0] in template


def subcommands():
    return set(re.findall(r"^  pgfold ([a-z]+) ", servers.run(BINARY, "--help"), re.M))


def test_manual_and_completion_have_every_subcommand():
    assert subcommands() >= {"explain", "test", "healthcheck"}
    for word in subcommands():
        assert word in text_of("docs/pgfold.md") and word in complete("pgfold ", "")


@pytest.mark.parametrize("name,section,page", PAGES)
def test_manual_is_without_faults(name, section, page):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-rLL=100n"], input=manual(name, section, page), text=True, capture_output=True)
    assert done.returncode == 0 and not [x for x in done.stderr.splitlines() if "break line" not in x and "adjust" not in x], done.stderr
    text = re.sub(".\b", "", done.stdout)  # bold, as terminals of paper had it
    assert "NAME" in text and "`" not in text and "**" not in text and "](" not in text


def keys():
    """section.key of config/pgfold.ini, which test_config compares with the program's table."""
    section, found = None, []
    for line in text_of("config/pgfold.ini").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif re.match(r"[a-z_]+ =", line):
            found.append("%s.%s" % (section, line.split(" =")[0]))
    return found


def complete(line, word):
    """What is offered for `word` at the end of `line`."""
    source = made("completion.py", os.path.join(ROOT, "deploy/pgfold.bash.in"), os.path.join(ROOT, "docs/settings.md"))
    words = re.findall(r"=|[^\s=]+", line + word) + ([""] if not word and not line.endswith("=") else [])
    script = source + "\ncompopt() { :; }\nCOMP_WORDS=(%s) COMP_CWORD=%d\n_pgfold\nprintf '%%s\\n' \"${COMPREPLY[@]}\"\n" % (
        " ".join("'%s'" % w for w in words), len(words) - 1)
    return servers.run("bash", "-c", script).split()


@pytest.mark.parametrize("line,word,some", [
    ("pgfold ", "", {"explain", "test", "healthcheck"}),
    ("pgfold ", "ex", {"explain"}),
    ("pgfold --", "", set()),
    ("pgfold ", "--li", {"--listen"}),
    ("pgfold --mode ", "", {"fold", "observe", "verify"}),
    ("pgfold --mode=", "o", {"observe"}),
    ("pgfold -c a.ini --set ", "batching.max_k", {"batching.max_keys="}),
    ("pgfold --set lookahead.mode=", "", {"off", "snapshot", "bounded"}),
    ("pgfold --set pgfold.client_tls_min_version=", "TLSv1.3", {"TLSv1.3"}),
    ("pgfold explain ", "--s", {"--server"}),
    ("pgfold test ", "--st", {"--statements"}),
    ("pgfold healthcheck ", "/", {"/readyz", "/healthz"}),
])
def test_completion(line, word, some):
    assert some <= set(complete(line, word))


def test_completion_has_every_setting():
    assert len(keys()) > 40
    assert {k + "=" for k in keys()} == set(complete("pgfold --set ", ""))


def test_pages_agree_on_what_takes_a_restart():
    section, wanted = "", set()
    for line in text_of("docs/settings.md").splitlines():
        section = line[4:-1] if re.match(r"## \[[a-z]+\]$", line) else section
        row = re.match(r"\| `([a-z_]+)` \|.*\| restart \|", line)
        if row:
            wanted.add(row.group(1) if section in ("pgfold", "batching") else "%s.%s" % (section, row.group(1)))
    said = re.search(r"what needs a restart \(([^)]*)\)", text_of("docs/operations.md")).group(1)
    assert wanted == set(re.findall(r"`([^`]*)`", said))


# ---- systemd


def unit(tmp_path):
    text = text_of("deploy/pgfold.service.in")
    for name, value in {"bindir": os.path.dirname(os.path.abspath(BINARY)), "sysconfdir": "/etc", "type": "notify", "watchdog": "WatchdogSec=60"}.items():
        text = text.replace("@%s@" % name, value)
    path = tmp_path / "pgfold.service"
    path.write_text(text.replace("\\@", "@"))
    return str(path)


def test_the_unit_is_tight(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    path = unit(tmp_path)
    servers.run("systemd-analyze", "verify", "--man=no", path)
    said = servers.run("systemd-analyze", "security", "--offline=true", "--no-pager", path)
    exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", said).group(1))
    assert exposure < 1.5, said
    for line in ("RuntimeDirectory=pgfold", "LoadCredential=", "Type=notify", "User=pgfold"):
        assert line in open(path).read()


class Notified:
    """A socket such as systemd listens on."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(30)
        self.said = ""

    def wait_for(self, word):
        """What was said up to the datagram with this word, which is taken."""
        said = []
        while not said or word not in said[-1].split("\n"):
            said.append(self.socket.recv(4096).decode())
        return said

    def close(self):
        self.socket.close()


def test_systemd_is_told(tmp_path):
    if "libsystemd" not in servers.run("ldd", BINARY):
        pytest.skip("built without libsystemd")
    told = Notified(tmp_path / "notify")
    port = servers.free_port()
    file = tmp_path / "pgfold.ini"
    file.write_text("[pgfold]\nlisten = 127.0.0.1:%d\nserver = host=127.0.0.1 port=1\n[http]\nlisten =\n" % port)
    env = {**CLEAN, "NOTIFY_SOCKET": told.path, "WATCHDOG_USEC": "60000000"}
    p = subprocess.Popen([BINARY, "-c", str(file)], env=env, stderr=subprocess.DEVNULL, preexec_fn=servers.die_with_parent)
    try:
        ready = told.wait_for("READY=1")[-1]
        assert "STATUS=Listening on 127.0.0.1:%d" % port in ready
        socket.create_connection(("127.0.0.1", port)).close()
        told.wait_for("WATCHDOG=1")
        p.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in told.wait_for("RELOADING=1")[-1]
        assert "failed" not in told.wait_for("READY=1")[-1]
        file.write_text("nonsense")
        p.send_signal(signal.SIGHUP)
        assert "the last reload failed" in told.wait_for("READY=1")[-1]
        p.send_signal(signal.SIGTERM)
        told.wait_for("STOPPING=1")
        assert p.wait(servers.STOP_SECONDS) == 0
    finally:
        p.kill()
        told.close()


def test_a_key_that_systemd_hands_over(tmp_path):
    """As a credential is: root's, and readable for the service by an access list, which shows as the group's right to read."""
    servers.make_certificates(str(tmp_path))
    key = tmp_path / "server.key"
    key.chmod(0o440)
    if os.geteuid() == 0:
        said = servers.run(BINARY, "--check-config", "--set", "pgfold.client_tls=require", "--set", "pgfold.client_tls_cert=%s" % (tmp_path / "server.crt"),
                           "--set", "pgfold.client_tls_key=%s" % key, env=CLEAN)
        assert "valid" in said
